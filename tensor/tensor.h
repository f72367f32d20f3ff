// A Tensor is numbers: an Array of Real. Images and feature maps are (N, H, W, C), everything else as PyTorch has it.
// What remembers how it was computed is a Var (tensor/tape.h).
#pragma once

#include "tensor/array.h"
#include "tensor/real.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

using Tensor = Array<Real>;

// Largest |x|, 0 for no elements; NaN if there is one.
double max_abs(const Tensor& x);
// Euclidean norm, summed in double in a fixed order.
double norm(const Real* x, std::int64_t n);
inline double norm(const Tensor& x) { return norm(x.data(), x.numel()); }
bool all_finite(const Tensor& x);
// A hash of every bit: equal for equal bytes, else different (but for one chance in 2^64).
std::uint64_t fingerprint(const Tensor& x);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
