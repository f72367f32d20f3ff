// Window pooling on raw pointers. x (n, h, w, c), y (n, out_h, out_w, c).
#pragma once

#include <cstdint>

#include "tensor/kernels/source.h"
#include "tensor/real.h"

namespace solobox {

struct PoolShape {
    std::int64_t n = 1, h = 1, w = 1, c = 1;
    std::int64_t kh = 2, kw = 2, stride_h = 2, stride_w = 2, pad_h = 0, pad_w = 0, dilation_h = 1, dilation_w = 1;
    bool ceil_mode = false;

    // PyTorch's rule: with ceil_mode the last window must still start inside the input or its leading padding.
    std::int64_t out_h() const { return out(h, kh, stride_h, pad_h, dilation_h); }
    std::int64_t out_w() const { return out(w, kw, stride_w, pad_w, dilation_w); }
    // Every input pixel lies in exactly one window.
    bool tiles_input() const {
        return stride_h == kh && stride_w == kw && pad_h == 0 && pad_w == 0 && dilation_h == 1 && dilation_w == 1 &&
               h % kh == 0 && w % kw == 0;
    }

private:
    std::int64_t out(std::int64_t in, std::int64_t k, std::int64_t stride, std::int64_t pad, std::int64_t dil) const {
        const std::int64_t room = in + 2 * pad - dil * (k - 1) - 1;
        if (room < 0 && !(ceil_mode && room + stride - 1 >= 0)) return 0;
        std::int64_t count = (room + (ceil_mode ? stride - 1 : 0)) / stride + 1;
        if (ceil_mode && (count - 1) * stride >= in + pad) --count;
        return count;
    }
};

}  // namespace solobox

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// The maximum of each window and which of its kh * kw elements, in row-major order, came first with it.
void max_pool_forward(const PoolShape& s, const Source<Real>& x, Real* y, std::uint16_t* winner);
void max_pool_backward(const PoolShape& s, const Real* dy, const std::uint16_t* winner, Real* dx);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
