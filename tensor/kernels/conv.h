// 2-D convolution (cross-correlation, as in PyTorch) on raw pointers: the three passes of training.
//
// x (n, h, w, c)   weight (kh, kw, c / groups, o)   y (n, out_h, out_w, o)
#pragma once

#include <cstdint>

#include "tensor/kernels/source.h"
#include "tensor/pool.h"
#include "tensor/real.h"

namespace solobox {

struct ConvShape {
    std::int64_t n = 1, h = 1, w = 1, c = 1;  // input
    std::int64_t kh = 1, kw = 1, o = 1;       // kernel, output channels
    std::int64_t stride_h = 1, stride_w = 1, pad_h = 0, pad_w = 0, dilation_h = 1, dilation_w = 1, groups = 1;

    std::int64_t out_h() const { return (h + 2 * pad_h - dilation_h * (kh - 1) - 1) / stride_h + 1; }
    std::int64_t out_w() const { return (w + 2 * pad_w - dilation_w * (kw - 1) - 1) / stride_w + 1; }
    std::int64_t group_c() const { return c / groups; }
    std::int64_t group_o() const { return o / groups; }
    std::int64_t out_pixels() const { return n * out_h() * out_w(); }
    std::int64_t macs() const { return out_pixels() * o * kh * kw * group_c(); }
};

}  // namespace solobox

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// y = conv(x, weight) + bias (o, or null); `packed` is what pack_weights made of this weight for this layer and these
// kernels, or null.
void conv2d_forward(const ConvShape& s, const Source<Real>& x, const Real* weight, const Real* bias, Real* y,
                    const Real* packed = nullptr);
// The weight as the forward pass reads it, for many calls with the same; null where it is read as it is. Serves any
// batch.
Block conv2d_pack_weights(const ConvShape& s, const Real* weight);
// dx = the gradient of the input, overwritten
void conv2d_grad_input(const ConvShape& s, const Real* dy, const Real* weight, Real* dx);
// dw = the gradient of the weight, overwritten
void conv2d_grad_weight(const ConvShape& s, const Source<Real>& x, const Real* dy, Real* dw);

// The readable twins: the definition, loop by loop.
namespace reference {
void conv2d_forward(const ConvShape& s, const Real* x, const Real* weight, const Real* bias, Real* y);
void conv2d_grad_input(const ConvShape& s, const Real* dy, const Real* weight, Real* dx);
void conv2d_grad_weight(const ConvShape& s, const Real* x, const Real* dy, Real* dw);
}  // namespace reference

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox

namespace solobox::fast {
void conv2d_forward(const ConvShape& s, const Source<float>& x, const float* weight, const float* bias, float* y,
                    const float* packed = nullptr);
Block conv2d_pack_weights(const ConvShape& s, const float* weight);
void conv2d_grad_input(const ConvShape& s, const float* dy, const float* weight, float* dx);
void conv2d_grad_weight(const ConvShape& s, const Source<float>& x, const float* dy, float* dw);
}  // namespace solobox::fast
