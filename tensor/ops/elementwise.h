// The loops under the elementwise ops. Internal to tensor/ops; no Var, no tape.
#pragma once

#include <vector>

#include "tensor/kernels/parallel.h"
#include "tensor/tensor.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

constexpr std::int64_t elements_per_tile = 1 << 14;

// y[i] = f(x[i])
template <class F>
Tensor map(const Tensor& x, F f) {
    Tensor y(x.shape());
    const Real* from = x.data();
    Real* to = y.mutable_data();
    const std::int64_t n = x.numel();
    parallel_for((n + elements_per_tile - 1) / elements_per_tile, [&](std::int64_t tile) {
        const std::int64_t end = std::min(n, (tile + 1) * elements_per_tile);
        for (std::int64_t i = tile * elements_per_tile; i < end; ++i) to[i] = f(from[i]);
    });
    return y;
}

// y[i] = f(a[i], b[i]); equal shapes
template <class F>
Tensor zip(const Tensor& a, const Tensor& b, F f) {
    check(a.shape() == b.shape(), "shapes {} and {} differ", a.shape().str(), b.shape().str());
    Tensor y(a.shape());
    const Real *pa = a.data(), *pb = b.data();
    Real* to = y.mutable_data();
    const std::int64_t n = a.numel();
    parallel_for((n + elements_per_tile - 1) / elements_per_tile, [&](std::int64_t tile) {
        const std::int64_t end = std::min(n, (tile + 1) * elements_per_tile);
        for (std::int64_t i = tile * elements_per_tile; i < end; ++i) to[i] = f(pa[i], pb[i]);
    });
    return y;
}

// The strides with which an array of shape `from` is read when it is stretched to `to`: 0 along stretched axes.
std::vector<std::int64_t> broadcast_strides(const Shape& from, const Shape& to);

// x stretched to `shape`, element by element (a copy; x itself when nothing stretches).
template <class T>
Array<T> stretched(const Array<T>& x, const Shape& shape) {
    if (x.shape() == shape) return x;
    const auto strides = broadcast_strides(x.shape(), shape);
    Array<T> y(shape);
    const int rank = shape.rank();
    std::vector<std::int64_t> index(static_cast<std::size_t>(rank), 0);
    const T* from = x.data();
    T* to = y.mutable_data();
    std::int64_t offset = 0;
    for (std::int64_t i = 0; i < shape.numel(); ++i) {
        to[i] = from[offset];
        for (int axis = rank - 1; axis >= 0; --axis) {
            const auto a = static_cast<std::size_t>(axis);
            offset += strides[a];
            if (++index[a] < shape[axis]) break;
            offset -= strides[a] * shape[axis];
            index[a] = 0;
        }
    }
    return y;
}

// y = f(a, b) with NumPy broadcasting
template <class F>
Tensor broadcast_zip(const char* op, const Tensor& a, const Tensor& b, F f) {
    if (a.shape() == b.shape()) return zip(a, b, f);
    const Shape shape = broadcast_shape(op, a.shape(), b.shape());
    if (b.numel() == 1 && shape == a.shape()) return map(a, [f, v = b[0]](Real x) { return f(x, v); });
    if (a.numel() == 1 && shape == b.shape()) return map(b, [f, v = a[0]](Real x) { return f(v, x); });
    return zip(stretched(a, shape), stretched(b, shape), f);
}

// The adjoint of stretching: sums dy over the axes along which `shape` was stretched.
Tensor reduce_to(const Tensor& dy, const Shape& shape);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
