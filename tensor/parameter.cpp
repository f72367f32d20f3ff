#include "tensor/parameter.h"

#include <array>

#include "tensor/kernels/parallel.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

Tensor permuted(const Tensor& x, const std::vector<int>& order) {
    const int rank = x.rank();
    check(static_cast<int>(order.size()) == rank, "[permute] {} axes given for shape {}", order.size(),
          x.shape().str());
    std::vector<std::int64_t> dims, steps;  // sizes of the result, and the input's stride along each
    std::vector<bool> seen(static_cast<std::size_t>(rank), false);
    for (const int axis : order) {
        const auto a = static_cast<std::size_t>(x.shape().normal_axis(axis));
        check(!seen[a], "[permute] axis {} is given twice for shape {}", axis, x.shape().str());
        seen[a] = true;
        dims.push_back(x.dim(axis));
        steps.push_back(x.shape().inner(axis));
    }
    Tensor y{Shape(dims)};
    if (rank == 0) return x;
    const std::int64_t inner = dims.back(), step = steps.back();
    const std::int64_t rows = inner ? x.numel() / inner : 0;
    const Real* from = x.data();
    Real* to = y.mutable_data();
    constexpr std::int64_t rows_per_tile = 256;
    parallel_for((rows + rows_per_tile - 1) / rows_per_tile, [&](std::int64_t tile) {
        const std::int64_t begin = tile * rows_per_tile, end = std::min(rows, begin + rows_per_tile);
        for (std::int64_t row = begin; row < end; ++row) {
            std::int64_t rest = row, offset = 0;
            for (std::size_t axis = static_cast<std::size_t>(rank) - 1; axis-- > 0;) {
                offset += rest % dims[axis] * steps[axis];
                rest /= dims[axis];
            }
            Real* out = to + row * inner;
            for (std::int64_t i = 0; i < inner; ++i) out[i] = from[offset + i * step];
        }
    });
    return y;
}

Tensor to_torch_layout(const Tensor& value, Layout layout) {
    return layout == Layout::same ? value : permuted(value, {3, 2, 0, 1});
}

Tensor from_torch_layout(const Tensor& value, Layout layout) {
    return layout == Layout::same ? value : permuted(value, {2, 3, 1, 0});
}

Tensor nhwc_from_nchw(const Tensor& x) { return permuted(x, {0, 2, 3, 1}); }
Tensor nchw_from_nhwc(const Tensor& x) { return permuted(x, {0, 3, 1, 2}); }

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
