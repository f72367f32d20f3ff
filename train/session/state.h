// What a run must remember to go on as if nothing had happened, and its way to and from a checkpoint.
#pragma once

#include <string>
#include <vector>

#include "nn/safetensors.h"
#include "optim/ema.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "train/step/learner.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

struct SessionState {
    std::int64_t epoch = 0, batch = 0, step = 0;  // the next batch; batch at the epoch's last: validation is due
    std::int64_t looked = -1;                     // steps behind it when a validation within an epoch was last done
    double lr = 0;                                // of the last step
    double loss_sum = 0;                          // over the epoch's pictures so far
    std::vector<double> term_sums;
    std::int64_t pictures = 0;
    double best_score = -1;
    std::int64_t best_epoch = 0, worse = 0;  // epochs from 1; validations since the best
    bool done = false;                       // early stopping or all epochs
    schedule::Plateau::State plateau;
    bool raw = false;     // validation looks at the raw weights, not at their average
    bool halved = false;  // planted fault: by the second writer of the rate
};

// Everything into one file, under PyTorch's names: model.*, ema.*, optim.<parameter>.<state>.
void save_session(const std::string& path, const SessionState& state, Learner& learner, Optimizer& optimizer, Ema* ema,
                  const std::string& seed, const std::string& hash, const std::string& data);
// DataError when the file is of another model, configuration or data set.
void load_session(const std::string& path, SessionState& state, Learner& learner, Optimizer& optimizer, Ema* ema,
                  const std::string& hash, const std::string& data);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
