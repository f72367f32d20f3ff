#include "tensor/ops/elementwise.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

std::vector<std::int64_t> broadcast_strides(const Shape& from, const Shape& to) {
    std::vector<std::int64_t> strides(static_cast<std::size_t>(to.rank()), 0);
    for (int i = 1; i <= from.rank(); ++i)
        if (from[-i] != 1) strides[static_cast<std::size_t>(to.rank() - i)] = from.inner(-i);
    return strides;
}

Tensor reduce_to(const Tensor& dy, const Shape& shape) {
    if (dy.shape() == shape) return dy;
    const auto strides = broadcast_strides(shape, dy.shape());
    const int rank = dy.rank();
    std::vector<std::int64_t> index(static_cast<std::size_t>(rank), 0);
    std::vector<double> sum(static_cast<std::size_t>(shape.numel()), 0.0);
    std::int64_t offset = 0;
    for (std::int64_t i = 0; i < dy.numel(); ++i) {
        sum[static_cast<std::size_t>(offset)] += static_cast<double>(dy[i]);
        for (int axis = rank - 1; axis >= 0; --axis) {
            const auto a = static_cast<std::size_t>(axis);
            offset += strides[a];
            if (++index[a] < dy.dim(axis)) break;
            offset -= strides[a] * dy.dim(axis);
            index[a] = 0;
        }
    }
    Tensor result(shape);
    std::copy(sum.begin(), sum.end(), result.mutable_data());
    return result;
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
