// Activations: one value in, one value out.
#pragma once

#include <limits>

#include "tensor/kernels/source.h"
#include "tensor/random.h"
#include "tensor/tape.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

Var relu(const Var& x);                               // gradient 0 at 0
Var leaky_relu(const Var& x, double negative_slope);  // gradient at 0 is negative_slope
Var sigmoid(const Var& x);
Var tanh(const Var& x);
Var silu(const Var& x);               // x sigmoid(x)
enum class GeluForm { exact, tanh };  // x Phi(x) with erf, or its tanh approximation
Var gelu(const Var& x, GeluForm form = GeluForm::exact);
// log(1 + exp(beta x)) / beta; x itself where beta x > threshold
Var softplus(const Var& x, double beta = 1, double threshold = 20);
Var hardswish(const Var& x);                 // x relu6(x + 3) / 6
Var activate(const Var& x, const Act& act);  // the one that `act` names; x itself where it is none
// Passes the gradient where lo <= x <= hi, bounds included; blocks it outside.
// min(max(x, lo), hi), so hi where lo > hi; gradient 1 inside and at the bounds.
Var clamp(const Var& x, double lo, double hi = std::numeric_limits<double>::infinity());
// weight has 1 element or one per channel; `channel_axis` says which axis that is. Gradient at 0: the negative side's.
Var prelu(const Var& x, const Var& weight, int channel_axis);
// Training: zeroes each element with probability p and scales the rest by 1 / (1 - p). Otherwise the identity.
Var dropout(const Var& x, double p, bool training, const RandomKey& key);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
