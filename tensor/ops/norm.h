// Normalisations over channels-last tensors: the last axis is the channel axis.
//
// Each can apply the activation that follows it in the same pass (Act in tensor/kernels/source.h: LeakyReLU, ReLU,
// SiLU, GELU). The result is left pending (tensor/operand.h): who reads it works it out.
#pragma once

#include "tensor/tape.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// x (N, .., C), groups of C / groups neighbouring channels of one image; biased variance. weight, bias (C) or
// undefined.
Var group_norm(const Var& x, std::int64_t groups, const Var& weight = {}, const Var& bias = {}, double eps = 1e-5,
               const Act& act = Act::none());

// Running statistics of a BatchNorm layer. Undefined tensors: track_running_stats = false.
struct RunningStats {
    Tensor mean, var;          // (C)
    std::int64_t batches = 0;  // num_batches_tracked
};

struct BatchNormSpec {
    bool training = true;
    double momentum = 0.1;  // negative: cumulative average, factor 1 / batches
    double eps = 1e-5;
};

// x (N, C) or (N, .., C). Training normalises by the batch's biased variance and updates `stats` in place (the
// unbiased one); evaluation uses `stats`, or the batch where there are none.
Var batch_norm(const Var& x, RunningStats& stats, const Var& weight = {}, const Var& bias = {},
               const BatchNormSpec& spec = {}, const Act& act = Act::none());

// act(a + b) of two (N, .., C) of one shape, the end of a residual block; no negative slope. Normalised sides are
// worked out on the way.
Var add_act(const Var& a, const Var& b, const Act& act);

// act(x) of a map (N, H, W, C), pending as a norm's result is.
Var activated(const Var& x, const Act& act);

// Over the trailing axes whose sizes are those of `normalized_shape`; biased variance.
Var layer_norm(const Var& x, const Shape& normalized_shape, const Var& weight = {}, const Var& bias = {},
               double eps = 1e-5);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
