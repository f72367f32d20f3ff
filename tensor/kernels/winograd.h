// Winograd's minimal filtering F(4x4, 3x3): a 4x4 tile of outputs of a 3x3 convolution from a 6x6 tile of inputs with
// 36 multiplications per channel pair instead of 144 (Lavin & Gray 2016, arXiv 1509.09308).
//
//     Y = A^T [ (G g G^T) . (B^T d B) ] A          d (6x6) input, g (3x3) kernel, Y (4x4) output, "." element by
//     element
//
// The sum over input channels turns the "." into 36 matrix products, one per element ("xi") of the 6x6 transforms. The
// gradients are the same identity read backwards: dx is a convolution of dy with the kernel turned by half a turn, and
// dg = G^T [ sum (A dy A^T) . (B^T d B) ] G.
//
// The points are 0, +-sqrt(1/2), +-sqrt(2) and infinity: products of coefficients near 1 keep the rounding error at a
// few times that of the direct sum, where the textbook's 0, +-1, +-2 lose another factor of two (Alam et al. 2022).
#pragma once

#include <cstdint>

#include "tensor/kernels/source.h"
#include "tensor/pool.h"

namespace solobox {

struct ConvShape;
template <class T>
struct Source;

// The transforms of one tile, c channels at a time; xi-th element of channel k goes to [xi * xi_stride + k]. The driver
// passes pointers to pixels, so that borders are pointers to zeros.
struct WinogradKernels {
    // v = B^T d B; d: 36 pixels, row by row
    void (*input)(long c, const float* const* d, float* v, long xi_stride);
    // The same of act(scale * d + shift), where d[i] is not `outside`; there 0.
    void (*input_affine)(long c, const float* const* d, const float* outside, const float* scale, const float* shift,
                         const Act& act, float* v, long xi_stride);
    // y = A^T m A + bias (c, or null); y: 16 pixels, row by row, nullptr for those beyond the border
    void (*output)(long c, const float* m, long xi_stride, const float* bias, float* const* y);
    // z = A dy A^T; dy: 16 pixels
    void (*output_grad)(long c, const float* const* dy, float* z, long xi_stride);
    // u = G g G^T; g: 9 taps
    void (*weight)(long c, const float* const* g, float* u, long xi_stride);
    // dg = G^T du G; dg: 9 taps, overwritten
    void (*weight_grad)(long c, const float* du, long xi_stride, float* const* dg);
};

extern const WinogradKernels reference_winograd;  // the matrices, as they stand in the papers

namespace fast {

// Whether the three passes of this convolution go through Winograd: 3x3, stride 1, channel counts of whole vectors, a
// map that fills its tiles well. A fixed function of the layer, never of the batch; and off after set_winograd(false).
bool winograd_applies(const ConvShape& s);
void set_winograd(bool on);
bool winograd_on();

// Seconds that threads spent in the matrix products of the three passes since the last call, added up. For benchmarks.
double take_winograd_product_seconds();

void winograd_forward(const ConvShape& s, const Source<float>& x, const float* weight, const float* bias, float* y,
                      const float* packed = nullptr);
Block winograd_pack_weights(const ConvShape& s, const float* weight);
void winograd_grad_input(const ConvShape& s, const float* dy, const float* weight, float* dx);
void winograd_grad_weight(const ConvShape& s, const Source<float>& x, const float* dy, float* dw);

}  // namespace fast
}  // namespace solobox
