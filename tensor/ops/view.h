// Ops that move numbers and compute nothing: their gradients move them back.
#pragma once

#include <optional>
#include <vector>

#include "tensor/tape.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

Var reshape(const Var& x, const std::vector<std::int64_t>& shape);  // one size may be -1
Var permute(const Var& x, const std::vector<int>& order);           // a copy: tensors are always contiguous
Var transpose(const Var& x, int axis0, int axis1);
Var expand(const Var& x, const std::vector<std::int64_t>& shape);  // -1 keeps a size; the gradient sums

// Python's rules for negative and over-long bounds; nothing = the open end. step >= 1.
struct Slice {
    int axis = 0;
    std::optional<std::int64_t> start, end;
    std::int64_t step = 1;
};
Var slice(const Var& x, const Slice& s);
// Pieces of the given lengths along an axis; they must add up to its size.
std::vector<Var> split(const Var& x, const std::vector<std::int64_t>& lengths, int axis);
std::vector<Var> split(const Var& x, std::int64_t length, int axis);  // the last piece may be shorter
Var cat(const std::vector<Var>& parts, int axis);
Var stack(const std::vector<Var>& parts, int axis);
// `amounts`: before, after, before, after, .. with the LAST axis first (PyTorch's order); negative amounts crop.
Var pad(const Var& x, const std::vector<std::int64_t>& amounts, double value = 0);

// y[.., k, ..] = x[.., index[.., k, ..], ..] along `axis`; repeated indices add up in the gradient.
Var gather(const Var& x, int axis, const IndexTensor& index);
Var index_select(const Var& x, int axis, const IndexTensor& index);  // index: rank 1
// Rows of weight (V, D): (..) -> (.., D). Row `padding_index` receives no gradient.
Var embedding(const Var& weight, const IndexTensor& index, std::optional<std::int64_t> padding_index = {});

// (N, H, W, C) -> (N, C*H*W) in PyTorch's order C, H, W, so that linear weights are interchangeable.
Var flatten_chw(const Var& x);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
