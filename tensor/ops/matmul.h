// Matrix products.
#pragma once

#include "tensor/tape.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// torch.matmul: 1-D operands are vectors, leading dimensions broadcast. (.., M, K) x (.., K, N) -> (.., M, N)
Var matmul(const Var& a, const Var& b);
Var bmm(const Var& a, const Var& b);  // (B, M, K) x (B, K, N), no broadcasting

// y = x W^T + b: x (.., in), weight (out, in), bias (out) or an undefined Var.
Var linear(const Var& x, const Var& weight, const Var& bias = {});

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
