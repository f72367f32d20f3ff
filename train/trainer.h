// The one training loop body: loss closure in, one optimizer step out. Names no model and reads no file.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "nn/losses.h"
#include "optim/optimizer.h"
#include "train/flow.h"

namespace solobox::inline SOLOBOX_PRECISION {

struct TrainerConfig {
    std::function<double(std::int64_t step)> lr;  // the only writer of the learning rate; steps from 0
    double clip = 0;                              // largest gradient norm; 0 is off
};

struct StepReport {
    std::int64_t step = 0;  // from 1
    double loss = 0, lr = 0;
    double grad_norm = 0;  // before clipping
    std::vector<std::pair<std::string, double>> terms;
};

class Trainer {
public:
    Trainer(std::vector<NamedParameter> params, Optimizer& optimizer, TrainerConfig config);

    // Forward, backward, clip, update. NonFiniteError when the loss or a gradient is NaN or infinite, naming the op in
    // which it was born and the step; nothing is updated then. The first step checks that every parameter was used.
    StepReport step(const std::function<LossValue()>& loss, FlowRecorder* flow = nullptr);
    std::int64_t steps_done() const { return steps_; }

private:
    void check_leaves(const Tape& tape) const;
    [[noreturn]] void name_the_culprit(const std::function<LossValue()>& loss, const std::string& what) const;

    std::vector<NamedParameter> params_;
    Optimizer& optimizer_;
    TrainerConfig config_;
    std::int64_t steps_ = 0;
};

}  // namespace solobox::inline SOLOBOX_PRECISION
