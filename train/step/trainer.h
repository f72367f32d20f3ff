// The one training loop body: loss closure in, one optimizer step out. Names no model and reads no file.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "nn/losses.h"
#include "optim/ema.h"
#include "optim/optimizer.h"
#include "train/step/flow.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

struct TrainerConfig {
    std::function<double(std::int64_t step)> lr;  // the only writer of the learning rate; steps from 0
    double clip = 0;                              // largest gradient norm; 0 is off
    double clip_value = 0;                        // largest absolute gradient, before the norm; 0 is off
    std::vector<std::string> sometimes = {};      // prefixes of parameters that a step may leave unused
    bool check_finite = false;                    // look at the output of every op, not only at loss and gradients
    // Each parameter moves while backward goes on, and its gradient is gone at once: less memory, fewer passes over it,
    // the same bits. Without clipping, parts or a FlowRecorder, which need all gradients at a time (Error). A gradient
    // that is not finite stops the step at its parameter: those that backward reached before have moved.
    bool update_in_backward = false;
    bool where_possible = false;                             // and other steps after backward, instead of an Error
    Ema* ema = nullptr;                                      // updated after every step
    std::function<bool(std::int64_t step)> averages = {};    // unless this says no; steps from 1
    std::function<double(std::int64_t step)> momentum = {};  // of the optimizer; empty: as it was made
    // Rates of the optimizer's groups, where the step's is `lr`; empty, or an empty answer: by the members' factors.
    std::function<std::vector<double>(std::int64_t step, double lr)> group_rates = {};
    std::function<std::string()> batch_names = {};  // what the step works on, for messages
};

// What a step minimises, and numbers about the batch to be written down beside its terms: accuracy, use of experts.
struct Objective {
    LossValue loss;
    std::vector<std::pair<std::string, double>> watched = {};

    Objective(LossValue value) : loss(std::move(value)) {}
    Objective(LossValue value, std::vector<std::pair<std::string, double>> beside)
        : loss(std::move(value)), watched(std::move(beside)) {}
};

// A part of a batch that is too big to be computed at once. The parts' gradients are added up (gradient accumulation):
// with the shares of pictures as weights the sum is the gradient of the whole batch's mean loss. So are the parts of
// several batches that make one update.
struct BatchPart {
    std::function<Objective()> loss;
    double share = 1;  // those of one step add up to 1, or less where it has fewer batches than are due
};

struct StepReport {
    std::int64_t step = 0;  // from 1
    double loss = 0, lr = 0;
    double grad_norm = 0;      // before clipping
    bool in_backward = false;  // the parameters moved inside it
    std::vector<std::pair<std::string, double>> terms;
};

class Trainer {
public:
    Trainer(std::vector<NamedParameter> params, Optimizer& optimizer, TrainerConfig config);

    // Forward, backward, clip, update. NonFiniteError when the loss or a gradient is NaN or infinite, naming the op in
    // which it was born, the step, the parameters involved and the batch; nothing is updated then. The first step
    // checks that every parameter was used.
    StepReport step(const std::function<Objective()>& loss, FlowRecorder* flow = nullptr) {
        return step(std::vector<BatchPart>{{loss, 1}}, flow);
    }
    StepReport step(const std::vector<BatchPart>& parts, FlowRecorder* flow = nullptr);
    std::int64_t steps_done() const { return steps_; }
    void resume_at(std::int64_t steps) { steps_ = steps; }  // so many were done in an earlier process

private:
    void check_leaves(const Tape& tape) const;
    void average();
    void run_part(const BatchPart& part, StepReport& report);
    void update_in_backward(const BatchPart& part, StepReport& report, const std::vector<double>& group_rates);
    std::string describe(const NonFiniteError& e) const;
    [[noreturn]] void name_the_culprit(const std::vector<BatchPart>& parts, const std::string& what) const;

    std::vector<NamedParameter> params_;
    Optimizer& optimizer_;
    TrainerConfig config_;
    std::int64_t steps_ = 0;
};

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
