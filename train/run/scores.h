// What a run's results.csv says about how well it did, beside answers that never look at a picture.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace solobox {

struct RunScores {
    bool classes = false;               // top-1 accuracy, not IoU
    std::int64_t rows = 0;              // of the table, epoch 0 (before the first step) included
    double epochs = 0, best_epoch = 0;  // parts of one where it validates within an epoch; best_epoch 0: none
    double best = std::nan(""), last = std::nan("");       // of validations after the first step
    double blind = std::nan(""), mean_box = std::nan("");  // blind: best constant box, or the most frequent class
    double loss = std::nan("");                            // validation, the last one
    double seconds = 0;
    std::vector<double> epoch, score;  // every validation
};
// DataError when the table cannot be read. A table without rows gives NaN.
RunScores read_run_scores(const std::string& run);

}  // namespace solobox
