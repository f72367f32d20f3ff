// What a run's results.csv says about how well it did, beside answers that never look at a picture.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "train/run/task_info.h"

namespace solobox {

struct RunScores {
    TaskInfo info;                      // what the score is
    bool steps = false;                 // an overfit run: its "epochs" are steps, and it may have no loss of validation
    std::int64_t rows = 0;              // of the table, epoch 0 (before the first step) included
    double epochs = 0, best_epoch = 0;  // parts of one where it validates within an epoch; best_epoch 0: none
    double best = std::nan(""), last = std::nan("");     // of validations after the first step
    double blind = std::nan(""), second = std::nan("");  // answers that never look: the best one, maybe another
    double loss = std::nan("");                          // validation, the last one
    double seconds = 0;
    std::vector<double> epoch, score;  // every validation
};
// DataError when the table cannot be read. A table without rows gives NaN.
RunScores read_run_scores(const std::string& run);

}  // namespace solobox
