#include "tensor/kernels/pool.h"

#include <algorithm>
#include <vector>

#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/parallel.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

void max_pool_forward(const PoolShape& s, const Source<Real>& x, Real* y, std::uint16_t* winner) {
    const auto& kernels = row_kernels(Real{});
    parallel_for(s.n * s.out_h(), [&](std::int64_t row) {
        const std::int64_t image = row / s.out_h(), oy = row % s.out_h();
        const Real* scale = x.plain() ? nullptr : x.scale_of(image);
        const Real* shift = x.plain() ? nullptr : x.shift_of(image);
        // The pixels of a window that exist, and their numbers in it; kept by the thread from row to row.
        thread_local std::vector<const Real*> pixels;
        thread_local std::vector<std::uint16_t> numbers;
        pixels.resize(static_cast<std::size_t>(s.kh * s.kw));
        numbers.resize(pixels.size());
        for (std::int64_t ox = 0; ox < s.out_w(); ++ox) {
            std::size_t count = 0;
            for (std::int64_t ky = 0; ky < s.kh; ++ky) {
                const std::int64_t iy = oy * s.stride_h - s.pad_h + ky * s.dilation_h;
                if (iy < 0 || iy >= s.h) continue;
                for (std::int64_t kx = 0; kx < s.kw; ++kx) {
                    const std::int64_t ix = ox * s.stride_w - s.pad_w + kx * s.dilation_w;
                    if (ix < 0 || ix >= s.w) continue;
                    pixels[count] = x.x + ((image * s.h + iy) * s.w + ix) * s.c;
                    numbers[count++] = static_cast<std::uint16_t>(ky * s.kw + kx);
                }
            }
            const std::int64_t at = (row * s.out_w() + ox) * s.c;
            kernels.window(s.c, static_cast<int>(count), pixels.data(), numbers.data(), scale, shift, x.act, y + at,
                           winner + at);
        }
    });
}

void max_pool_backward(const PoolShape& s, const Real* dy, const std::uint16_t* winner, Real* dx) {
    const auto& kernels = row_kernels(Real{});
    // Windows that do not touch write each input once; where they also cover everything, nothing needs a zero first.
    const bool apart = s.stride_h >= s.dilation_h * (s.kh - 1) + 1 && s.stride_w >= s.dilation_w * (s.kw - 1) + 1;
    const bool covered = s.tiles_input();
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

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
