// Loops over pixels with neighbouring channels: rows of c numbers, `rows` of them one after the other. The inside of
// normalisation and pooling, without threads. Written once in rows_body.h; compiled for the reference (Real, base
// instruction set) and once per instruction set (float).
#pragma once

namespace solobox {

template <class T>
struct RowKernels {
    // to[c] += sum over rows of x
    void (*sum)(long rows, long c, const T* x, T* to);
    // to[c] += sum over rows of (x - centre)^2
    void (*square_sum)(long rows, long c, const T* x, const T* centre, T* to);
    // y = act(scale * x + shift), act(v) = v > 0 ? v : slope * v
    void (*affine)(long rows, long c, const T* x, const T* scale, const T* shift, T slope, T* y);
    // dz = dy * act'(scale * x + shift): to_sum += sum dz, to_dot += sum dz * (x - centre)
    void (*grad_sums)(long rows, long c, const T* dy, const T* x, const T* scale, const T* shift, T slope,
                      const T* centre, T* to_sum, T* to_dot);
    // dx = a * dz + b * (x - centre) + d
    void (*grad_input)(long rows, long c, const T* dy, const T* x, const T* scale, const T* shift, T slope,
                       const T* centre, const T* a, const T* b, const T* d, T* dx);
    // One element of every window: keeps the larger value and the number of who had it. A NaN wins and stays.
    void (*window_max)(long c, const T* x, int number, T* best, int* which);
    // dx = winner == number ? dy : 0, or dx += .. where windows overlap
    void (*window_scatter)(long c, const T* dy, const unsigned short* winner, int number, bool add, T* dx);
};

namespace reference {
const RowKernels<float>& row_kernels_float();
const RowKernels<double>& row_kernels_double();
}  // namespace reference

}  // namespace solobox
