// Why did it not learn? Reads measurements only: norms, activations, gradients at the output. Never a configuration
// key: a fault that was planted in the model by hand gets the same words as one that was switched on.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "nn/box_loss.h"
#include "nn/visit.h"
#include "train/report/report.h"
#include "train/step/flow.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// One layer's outputs on the same batch of pictures.
struct ActivationSignal {
    std::string name;
    double spread = 0;         // how much pictures differ: rms of the deviation from the batch mean / rms
    double dead_fraction = 0;  // units (channels, features) with one value for every picture and place
};

// How the loss answers to each number that the head puts out.
struct OutputSignal {
    std::int64_t numbers = 0;
    std::int64_t blocked = 0;    // off target, yet the gradient is exactly 0
    std::int64_t outside = 0;    // of those, decoded value outside 0..1 if it were not limited
    std::int64_t saturated = 0;  // off target, gradient below 1e-4 of the largest
};

struct Measurements {
    std::vector<ParameterFlow> flows;           // from the input to the output
    std::vector<ActivationSignal> activations;  // in the order of the forward pass; "features" feeds the linears
    OutputSignal outputs;
    std::vector<double> losses;
    double largest_lr = 0;    // that the optimizer was told
    std::string scores = {};  // of the result, in words: "mean IoU 0.41, smallest 0.2"
};

// Runs `forward` once without a tape and watches the activations.
std::vector<ActivationSignal> measure_activations(const std::function<void()>& forward);
// raw (N, K) is what the head says, `target` what it should say, `values` what it says in the target's units, `loss`
// what the training makes of it.
OutputSignal measure_outputs(const Tensor& raw, const Tensor& target,
                             const std::function<LossValue(const Var& raw)>& loss,
                             const std::function<Tensor(const Tensor& raw)>& values);

// The flows as layers of a report.
void add_flow_layers(Report& report, const std::vector<ParameterFlow>& flows);

// Did every tensor receive a non-zero gradient and change within the first three steps? `sometimes`: prefixes of those
// that need not (Model::sometimes()).
bool everything_moved(const std::vector<ParameterFlow>& flows, const std::vector<std::string>& sometimes = {});

// The likely causes, the most fundamental first; empty when nothing is wrong with the flow of gradients and signals.
std::vector<ReportFinding> diagnose(const Measurements& m);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
