// Reductions over some axes, or over all of them when none are given.
#pragma once

#include <utility>
#include <vector>

#include "tensor/tape.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

using Axes = std::vector<int>;  // negative counts from the end; empty = all

Var sum(const Var& x, const Axes& axes = {}, bool keepdim = false);
Var mean(const Var& x, const Axes& axes = {}, bool keepdim = false);
// Divisor n - 1 when unbiased, else n.
Var var(const Var& x, const Axes& axes = {}, bool unbiased = true, bool keepdim = false);
Var std_dev(const Var& x, const Axes& axes = {}, bool unbiased = true, bool keepdim = false);  // gradient 0 at 0
// Elements that tie share the gradient evenly.
Var amax(const Var& x, const Axes& axes = {}, bool keepdim = false);
Var amin(const Var& x, const Axes& axes = {}, bool keepdim = false);

// Along one axis, with the index of the first winner, which alone receives the gradient.
std::pair<Var, IndexTensor> max(const Var& x, int axis, bool keepdim = false);
std::pair<Var, IndexTensor> min(const Var& x, int axis, bool keepdim = false);
IndexTensor argmax(const Tensor& x, int axis, bool keepdim = false);

// softmax along one axis, shifted by the maximum.
Var softmax(const Var& x, int axis);
Var log_softmax(const Var& x, int axis);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
