#include "tensor/kernels/pool.h"

#include <algorithm>

#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/parallel.h"

namespace solobox::inline SOLOBOX_PRECISION {
namespace {

constexpr std::int64_t lanes = 64;  // channels worked on together; their winners stay in registers and L1

}  // namespace

void max_pool_forward(const PoolShape& s, const Real* x, Real* y, std::uint16_t* winner) {
    const auto& kernels = row_kernels(Real{});
    parallel_for(s.n * s.out_h(), [&](std::int64_t row) {
        const std::int64_t image = row / s.out_h(), oy = row % s.out_h();
        Real best[lanes];
        int which[lanes];
        for (std::int64_t ox = 0; ox < s.out_w(); ++ox)
            for (std::int64_t c = 0; c < s.c; c += lanes) {
                const std::int64_t count = std::min(lanes, s.c - c);
                bool empty = true;
                for (std::int64_t ky = 0; ky < s.kh; ++ky) {
                    const std::int64_t iy = oy * s.stride_h - s.pad_h + ky * s.dilation_h;
                    if (iy < 0 || iy >= s.h) continue;
                    for (std::int64_t kx = 0; kx < s.kw; ++kx) {
                        const std::int64_t ix = ox * s.stride_w - s.pad_w + kx * s.dilation_w;
                        if (ix < 0 || ix >= s.w) continue;
                        const Real* pixel = x + ((image * s.h + iy) * s.w + ix) * s.c + c;
                        const int number = static_cast<int>(ky * s.kw + kx);
                        if (empty) {
                            std::copy_n(pixel, count, best);
                            std::fill_n(which, count, number);
                            empty = false;
                        } else {
                            kernels.window_max(count, pixel, number, best, which);
                        }
                    }
                }
                const std::int64_t at = (row * s.out_w() + ox) * s.c + c;
                for (std::int64_t i = 0; i < count; ++i) {
                    y[at + i] = best[i];
                    winner[at + i] = static_cast<std::uint16_t>(which[i]);
                }
            }
    });
}

void max_pool_backward(const PoolShape& s, const Real* dy, const std::uint16_t* winner, Real* dx) {
    const auto& kernels = row_kernels(Real{});
    // Windows that do not touch write each input once; where they also cover everything, nothing needs a zero first.
    const bool apart = s.stride_h >= s.dilation_h * (s.kh - 1) + 1 && s.stride_w >= s.dilation_w * (s.kw - 1) + 1;
    const bool covered = apart && s.stride_h == s.kh && s.stride_w == s.kw && s.pad_h == 0 && s.pad_w == 0 &&
                         s.out_h() * s.kh == s.h && s.out_w() * s.kw == s.w;
    // One image per tile: windows may overlap, so rows of one image are not independent.
    parallel_for(s.n, [&](std::int64_t image) {
        if (!covered) std::fill_n(dx + image * s.h * s.w * s.c, s.h * s.w * s.c, Real(0));
        for (std::int64_t oy = 0; oy < s.out_h(); ++oy)
            for (std::int64_t ox = 0; ox < s.out_w(); ++ox) {
                const std::int64_t at = ((image * s.out_h() + oy) * s.out_w() + ox) * s.c;
                for (std::int64_t ky = 0; ky < s.kh; ++ky)
                    for (std::int64_t kx = 0; kx < s.kw; ++kx) {
                        const std::int64_t iy = oy * s.stride_h - s.pad_h + ky * s.dilation_h;
                        const std::int64_t ix = ox * s.stride_w - s.pad_w + kx * s.dilation_w;
                        if (iy < 0 || iy >= s.h || ix < 0 || ix >= s.w) continue;
                        kernels.window_scatter(s.c, dy + at, winner + at, static_cast<int>(ky * s.kw + kx), !apart,
                                               dx + ((image * s.h + iy) * s.w + ix) * s.c);
                    }
            }
    });
}

}  // namespace solobox::inline SOLOBOX_PRECISION
