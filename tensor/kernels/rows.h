// Loops over pixels with neighbouring channels: rows of c numbers, `rows` of them one after the other. The inside of
// normalisation and pooling, without threads. Written once in rows_body.h; compiled for the reference (Real, base
// instruction set) and once per instruction set (float).
#pragma once

#include "tensor/kernels/source.h"

namespace solobox {

template <class T>
struct RowKernels {
    // to[c] += sum over rows of x
    void (*sum)(long rows, long c, const T* x, T* to);
    // to_sum[c] += sum over rows of x - origin, to_square[c] += sum over rows of (x - origin)^2
    void (*moments)(long rows, long c, const T* x, const T* origin, T* to_sum, T* to_square);
    // y = act(scale * x + shift)
    void (*affine)(long rows, long c, const T* x, const T* scale, const T* shift, Act act, T* y);
    // dz = dy * act'(scale * x + shift): to_sum += sum dz, to_dot += sum dz * (x - centre)
    void (*grad_sums)(long rows, long c, const T* dy, const T* x, const T* scale, const T* shift, Act act,
                      const T* centre, T* to_sum, T* to_dot);
    // dx = a * dz + b * (x - centre) + d
    void (*grad_input)(long rows, long c, const T* dy, const T* x, const T* scale, const T* shift, Act act,
                       const T* centre, const T* a, const T* b, const T* d, T* dx);
    // y = act(scale * x + shift + add_scale * add + add_shift); the four factors and terms (c)
    void (*affine_sum)(long rows, long c, const T* x, const T* scale, const T* shift, const T* add, const T* add_scale,
                       const T* add_shift, Act act, T* y);
    // dx = dy * act'(x), n numbers
    void (*act_grad)(long n, const T* dy, const T* x, Act act, T* dx);
    // One window of `count` pixels: the largest number, after act(scale * x + shift) unless scale is null, and the
    // number of the pixel that first had it. A NaN wins and stays.
    void (*window)(long c, int count, const T* const* pixels, const unsigned short* numbers, const T* scale,
                   const T* shift, Act act, T* y, unsigned short* winner);
    // grad_sums and grad_input behind a max pool whose windows (kh, kw) lie side by side: dy and winner (windows, c), x
    // the first of kh rows of windows * kw pixels, `line` numbers apart. Only a window's winner has a gradient to hand
    // on.
    void (*pooled_grad_sums)(long windows, long c, long kh, long kw, long line, const T* dy,
                             const unsigned short* winner, const T* x, const T* scale, const T* shift, Act act,
                             const T* centre, T* to_sum, T* to_dot);
    void (*pooled_grad_input)(long windows, long c, long kh, long kw, long line, const T* dy,
                              const unsigned short* winner, const T* x, const T* scale, const T* shift, Act act,
                              const T* centre, const T* a, const T* b, const T* d, T* dx);
    // dx = winner == number ? dy : 0, or dx += .. where windows overlap
    void (*window_scatter)(long c, const T* dy, const unsigned short* winner, int number, bool add, T* dx);
};

namespace reference {
const RowKernels<float>& row_kernels_float();
const RowKernels<double>& row_kernels_double();
}  // namespace reference

}  // namespace solobox
