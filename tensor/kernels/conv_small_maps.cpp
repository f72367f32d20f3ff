#include "tensor/kernels/conv_small_maps.h"

#include "tensor/kernels/workspace.h"

namespace solobox::fast {
namespace {

// The taps [first, last) of a kernel of `size` that lie inside an axis of `length` pixels, the first at `origin`.
struct Inside {
    std::int64_t first, last;

    Inside(std::int64_t origin, std::int64_t size, std::int64_t length)
        : first(std::clamp<std::int64_t>(-origin, 0, size)),
          last(std::clamp<std::int64_t>(length - origin, first, size)) {}
    std::int64_t count() const { return last - first; }
};

Inside rows_inside(const ConvShape& s, std::int64_t y) { return {y * s.stride_h - s.pad_h, s.kh, s.h}; }
Inside columns_inside(const ConvShape& s, std::int64_t x) { return {x * s.stride_w - s.pad_w, s.kw, s.w}; }

// The activated input, so that products can read it in place.
Block activated(const ConvShape& s, const Source<float>& x) {
    const std::int64_t pixels = s.h * s.w;
    Block block = allocate_floats(s.n * pixels * s.c);
    parallel_for(s.n, [&](std::int64_t image) {
        const std::int64_t begin = image * pixels * s.c;
        row_kernels(float{}).affine(pixels, s.c, x.x + begin, x.scale_of(image), x.shift_of(image), x.act,
                                    floats(block) + begin);
    });
    return block;
}

}  // namespace

std::int64_t pairs_inside(const ConvShape& s) {
    std::int64_t down = 0, across = 0;
    for (std::int64_t y = 0; y < s.out_h(); ++y) down += rows_inside(s, y).count();
    for (std::int64_t x = 0; x < s.out_w(); ++x) across += columns_inside(s, x).count();
    return down * across;
}

bool small_map_applies(const ConvShape& s) {
    const std::int64_t pixels = s.out_h() * s.out_w();
    return s.groups == 1 && s.dilation_h == 1 && s.dilation_w == 1 && s.c >= 64 && pixels <= 16 && s.n >= 12 &&
           10 * pairs_inside(s) <= 7 * pixels * s.kh * s.kw;
}

void small_map_forward(const ConvShape& s, const Source<float>& x, const float* panels, const float* bias, float* y) {
    const Isa& cpu = isa(active_kernels());
    const Block own = x.plain() ? nullptr : activated(s, x);
    const float* input = x.plain() ? x.x : floats(own);
    const std::int64_t k = s.kh * s.kw * s.c, out_h = s.out_h(), out_w = s.out_w();
    // A task owns one panel of outputs: its weights stay in the L2 cache for all pixels.
    parallel_for(ceil_div(s.o, cpu.nr), [&](std::int64_t panel) {
        const std::int64_t first = panel * cpu.nr, outputs = std::min<std::int64_t>(cpu.nr, s.o - first);
        for (std::int64_t oy = 0; oy < out_h; ++oy)
            for (std::int64_t ox = 0; ox < out_w; ++ox) {
                const Inside rows = rows_inside(s, oy), columns = columns_inside(s, ox);
                float* out = y + (oy * out_w + ox) * s.o + first;
                bool accumulate = false;
                for (std::int64_t ky = rows.first; ky < rows.last && columns.count() > 0; ++ky) {
                    const std::int64_t iy = oy * s.stride_h - s.pad_h + ky,
                                       ix = ox * s.stride_w - s.pad_w + columns.first;
                    const float* a = input + (iy * s.w + ix) * s.c;
                    const float* b = panels + panel * k * cpu.nr + (ky * s.kw + columns.first) * s.c * cpu.nr;
                    const std::int64_t depth = columns.count() * s.c;  // neighbours in a row lie side by side
                    for (std::int64_t p = 0; p < depth; p += k_block, accumulate = true)
                        cpu.gemm_block(s.n, outputs, std::min(k_block, depth - p), a + p, s.h * s.w * s.c, 1,
                                       b + p * cpu.nr, cpu.nr, 0, out, out_h * out_w * s.o,
                                       bias ? bias + first : nullptr, accumulate);
                }
                for (std::int64_t image = 0; !accumulate && image < s.n; ++image)  // no tap reads anything here
                    for (std::int64_t o = 0; o < outputs; ++o)
                        out[image * out_h * out_w * s.o + o] = bias ? bias[first + o] : 0.0F;
            }
    });
}

}  // namespace solobox::fast
