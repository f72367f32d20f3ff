// Losses as compositions of ops: nobody types a gradient here. Names, arguments and edge cases are PyTorch's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tensor/ops.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// What a training step minimises, and what it is made of.
struct LossTerm {
    std::string name;
    Var value;  // scalar, unweighted
    double weight;
};
struct LossValue {
    Var total;
    std::vector<LossTerm> terms;
};

enum class Reduction { mean, sum, none };
Var reduced(const Var& x, Reduction reduction);

Var mse_loss(const Var& x, const Var& target, Reduction reduction = Reduction::mean);
Var l1_loss(const Var& x, const Var& target, Reduction reduction = Reduction::mean);
// 0.5 d^2 / beta for |d| < beta, else |d| - 0.5 beta; beta 0 is l1.
Var smooth_l1_loss(const Var& x, const Var& target, double beta = 1, Reduction reduction = Reduction::mean);
// 0.5 d^2 for |d| <= delta, else delta (|d| - 0.5 delta)
Var huber_loss(const Var& x, const Var& target, double delta = 1, Reduction reduction = Reduction::mean);

struct CrossEntropySpec {
    Tensor weight;  // (C) class weights, or undefined
    std::int64_t ignore_index = -100;
    double label_smoothing = 0;
    Reduction reduction = Reduction::mean;
};
// logits (N, C, ..) with the classes on axis 1, or (C); target class indices (N, ..) or a scalar.
// The mean divides by the summed weights of the kept targets, also for the smoothed term.
Var cross_entropy(const Var& logits, const IndexTensor& target, const CrossEntropySpec& spec = {});
// Targets as probabilities of the logits' shape; the mean divides by the number of positions.
Var cross_entropy(const Var& logits, const Tensor& probabilities, const CrossEntropySpec& spec = {});
Var nll_loss(const Var& log_probabilities, const IndexTensor& target, const CrossEntropySpec& spec = {});

// weight and pos_weight broadcast against x, or are undefined. Stable for |x| up to 1e4.
Var binary_cross_entropy_with_logits(const Var& x, const Tensor& target, const Tensor& weight = {},
                                     const Tensor& pos_weight = {}, Reduction reduction = Reduction::mean);
// alpha_t (1 - p_t)^gamma BCE (Lin et al. 2017), as torchvision: a negative alpha is off.
Var sigmoid_focal_loss(const Var& x, const Tensor& target, double alpha = 0.25, double gamma = 2,
                       Reduction reduction = Reduction::none);
// Per sample 1 - (2 sum(p t) + smooth) / (sum p + sum t + smooth); p = sigmoid(x) when `logits`.
Var dice_loss(const Var& x, const Tensor& target, double smooth, bool logits, Reduction reduction = Reduction::mean);

// Distributions over bins (Li et al. 2020, "Generalized focal loss"): logits (M, K), target (M) in [0, K - 1).
Var distribution_focal_loss(const Var& logits, const Tensor& target, Reduction reduction = Reduction::mean);
// (.., 4 K) -> (.., 4): softmax over each K bins, expectation of 0 .. K-1.
Var distribution_focal_decode(const Var& logits, std::int64_t bins);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
