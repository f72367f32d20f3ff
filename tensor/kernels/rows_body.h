// The loops of rows.h for one element type T. Included inside a namespace by rows.cpp and by isa_*.cpp, which set
// ROW_LANES, the numbers in a vector register, and act_body.h ahead of it.
//
// Sums walk down the rows with a few channels in registers: two vectors of them, one, or a single channel at the end.
// Plain C: see isa_body.h for why no std:: is allowed here.

namespace {

// From and to any address; copies of known size become single moves.
template <class V>
inline V row_load(const T* p) {
    V v;
    __builtin_memcpy(&v, p, sizeof(V));
    return v;
}
template <class V>
inline void row_store(T* p, V v) {
    __builtin_memcpy(p, &v, sizeof(V));
}

// LOOP<V, N>(k, ...) for the channels from k on: N registers of V each.
#define FOR_CHANNELS(c, LOOP, ...)                                                               \
    {                                                                                            \
        long k = 0;                                                                              \
        for (; k + 2 * ROW_LANES <= (c); k += 2 * ROW_LANES) LOOP<RowVector, 2>(k, __VA_ARGS__); \
        for (; k + ROW_LANES <= (c); k += ROW_LANES) LOOP<RowVector, 1>(k, __VA_ARGS__);         \
        for (; k < (c); ++k) LOOP<T, 1>(k, __VA_ARGS__);                                         \
    }

template <class V, int N>
inline void sum_loop(long k, long rows, long c, const T* x, T* to) {
    constexpr int width = sizeof(V) / sizeof(T);
    V total[N] = {};
    for (long r = 0; r < rows; ++r)
        for (int v = 0; v < N; ++v) total[v] += row_load<V>(x + r * c + k + v * width);
    for (int v = 0; v < N; ++v) row_store(to + k + v * width, row_load<V>(to + k + v * width) + total[v]);
}

void rows_sum(long rows, long c, const T* x, T* to) { FOR_CHANNELS(c, sum_loop, rows, c, x, to) }

template <class V, int N>
inline void moments_loop(long k, long rows, long c, const T* x, const T* origin, T* to_sum, T* to_square) {
    constexpr int width = sizeof(V) / sizeof(T);
    V total[N] = {}, square[N] = {}, middle[N];
    for (int v = 0; v < N; ++v) middle[v] = row_load<V>(origin + k + v * width);
    for (long r = 0; r < rows; ++r)
        for (int v = 0; v < N; ++v) {
            const V d = row_load<V>(x + r * c + k + v * width) - middle[v];
            total[v] += d;
            square[v] += d * d;
        }
    for (int v = 0; v < N; ++v) {
        row_store(to_sum + k + v * width, row_load<V>(to_sum + k + v * width) + total[v]);
        row_store(to_square + k + v * width, row_load<V>(to_square + k + v * width) + square[v]);
    }
}

void rows_moments(long rows, long c, const T* x, const T* origin, T* to_sum, T* to_square) {
    FOR_CHANNELS(c, moments_loop, rows, c, x, origin, to_sum, to_square)
}

template <class V, int N, class F>
inline void affine_loop(long k, long rows, long c, const T* x, const T* scale, const T* shift, const F& f, T* y) {
    constexpr int width = sizeof(V) / sizeof(T);
    V a[N], b[N];
    for (int v = 0; v < N; ++v) {
        a[v] = row_load<V>(scale + k + v * width);
        b[v] = row_load<V>(shift + k + v * width);
    }
    for (long r = 0; r < rows; ++r)
        for (int v = 0; v < N; ++v) {
            const V z = a[v] * row_load<V>(x + r * c + k + v * width) + b[v];
            row_store<V>(y + r * c + k + v * width, f.value(z));
        }
}

void rows_affine(long rows, long c, const T* x, const T* scale, const T* shift, Act act, T* y) {
    WITH_ACT(act, FOR_CHANNELS(c, affine_loop, rows, c, x, scale, shift, f, y))
}

template <class V, int N, class F>
inline void grad_sums_loop(long k, long rows, long c, const T* dy, const T* x, const T* scale, const T* shift,
                           const F& f, const T* centre, T* to_sum, T* to_dot) {
    constexpr int width = sizeof(V) / sizeof(T);
    V a[N], b[N], middle[N], total[N] = {}, dot[N] = {};
    for (int v = 0; v < N; ++v) {
        a[v] = row_load<V>(scale + k + v * width);
        b[v] = row_load<V>(shift + k + v * width);
        middle[v] = row_load<V>(centre + k + v * width);
    }
    for (long r = 0; r < rows; ++r)
        for (int v = 0; v < N; ++v) {
            const V here = row_load<V>(x + r * c + k + v * width), z = a[v] * here + b[v];
            const V dz = row_load<V>(dy + r * c + k + v * width) * f.slope(z);
            total[v] += dz;
            dot[v] += dz * (here - middle[v]);
        }
    for (int v = 0; v < N; ++v) {
        row_store(to_sum + k + v * width, row_load<V>(to_sum + k + v * width) + total[v]);
        row_store(to_dot + k + v * width, row_load<V>(to_dot + k + v * width) + dot[v]);
    }
}

void rows_grad_sums(long rows, long c, const T* dy, const T* x, const T* scale, const T* shift, Act act,
                    const T* centre, T* to_sum, T* to_dot) {
    WITH_ACT(act, FOR_CHANNELS(c, grad_sums_loop, rows, c, dy, x, scale, shift, f, centre, to_sum, to_dot))
}

template <class F>
inline void grad_input_loop(long rows, long c, const T* dy, const T* x, const T* scale, const T* shift, const F& f,
                            const T* centre, const T* a, const T* b, const T* d, T* __restrict dx) {
    for (long r = 0; r < rows; ++r) {
        const T* row = x + r * c;
        const T* grad = dy + r * c;
        T* __restrict out = dx + r * c;
        for (long i = 0; i < c; ++i) {
            const T dz = grad[i] * f.slope(scale[i] * row[i] + shift[i]);
            out[i] = a[i] * dz + b[i] * (row[i] - centre[i]) + d[i];
        }
    }
}

void rows_grad_input(long rows, long c, const T* dy, const T* x, const T* scale, const T* shift, Act act,
                     const T* centre, const T* a, const T* b, const T* d, T* dx) {
    WITH_ACT(act, grad_input_loop(rows, c, dy, x, scale, shift, f, centre, a, b, d, dx))
}

template <class F>
inline void affine_sum_loop(long rows, long c, const T* x, const T* scale, const T* shift, const T* add,
                            const T* add_scale, const T* add_shift, const F& f, T* __restrict y) {
    for (long r = 0; r < rows; ++r) {
        const T* row = x + r * c;
        const T* other = add + r * c;
        T* __restrict out = y + r * c;
        for (long i = 0; i < c; ++i)
            out[i] = f.value((scale[i] * row[i] + shift[i]) + (add_scale[i] * other[i] + add_shift[i]));
    }
}

void rows_affine_sum(long rows, long c, const T* x, const T* scale, const T* shift, const T* add, const T* add_scale,
                     const T* add_shift, Act act, T* y) {
    WITH_ACT(act, affine_sum_loop(rows, c, x, scale, shift, add, add_scale, add_shift, f, y))
}

template <class F>
inline void act_grad_loop(long n, const T* dy, const T* x, const F& f, T* __restrict dx) {
    for (long i = 0; i < n; ++i) dx[i] = dy[i] * f.slope(x[i]);
}

void rows_act_grad(long n, const T* dy, const T* x, Act act, T* dx) { WITH_ACT(act, act_grad_loop(n, dy, x, f, dx)) }

#include "tensor/kernels/rows_pool_body.h"

#undef FOR_CHANNELS

}  // namespace

static const RowKernels<T> row_table{
    rows_sum,      rows_moments, rows_affine,           rows_grad_sums,         rows_grad_input,    rows_affine_sum,
    rows_act_grad, rows_window,  rows_pooled_grad_sums, rows_pooled_grad_input, rows_window_scatter};
