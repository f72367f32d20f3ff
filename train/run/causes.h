// One table of what is wrong and what to do about it: an overfit run's verdict and the doctor's rules measure it in
// different ways and say it in the same words.
#pragma once

#include <string>
#include <vector>

namespace solobox {

struct Cause {
    std::string id;                // of the finding in overfit: "rate-too-high"
    std::string rule;              // of the doctor: D78
    double limit = 0;              // from which on it counts
    std::string cure;              // in the doctor's words: a phrase
    std::string sentence() const;  // the same as a sentence
};

const std::vector<Cause>& causes();
const Cause& cause(const std::string& id);  // Error for an unknown one

// How far steps go, in shares of what they change. Over the sampled steps of a run.
struct StepSizes {
    double largest = 0;  // share of its own norm by which a weight tensor changed, in one step or between two samples
    double from = 0, to = 0;  // the steps of that; equal: in one step
    std::string where;        // the tensor
    double moved = 0;  // path of a weight tensor over all steps, in shares of its norm: the median of the tensors
    bool known = false;

    std::string when() const;  // "in step 3", "between steps 3 and 50"
};

// One tensor's samples in order: step, |update| / |weight| and |weight|; biases and tensors of zeros are left out by
// the caller.
struct UpdateRatios {
    std::string name;
    std::vector<double> step, ratio, norm;
};
StepSizes step_sizes(const std::vector<UpdateRatios>& tensors);

}  // namespace solobox
