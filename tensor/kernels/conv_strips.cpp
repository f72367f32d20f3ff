#include "tensor/kernels/conv_strips.h"

#include <algorithm>
#include <vector>

#include "tensor/kernels/workspace.h"

namespace solobox::fast {
namespace {

constexpr std::int64_t strip_floats = 48 * 1024;  // beside the weights in a 512 KB L2
constexpr std::int64_t pixels_per_strip = 240;    // enough for the packed weights to pay for their way to the core
constexpr std::int64_t chunks = 16;               // of the weight's gradient: partial sums of equal shares of the rows

// Output rows [first, first + rows) of one image and what they read.
struct Strip {
    const ConvShape& s;
    std::int64_t image, first, rows;

    std::int64_t in_rows() const { return (rows - 1) * s.stride_h + s.dilation_h * (s.kh - 1) + 1; }
    std::int64_t width() const { return s.w + 2 * s.pad_w; }
    std::int64_t line() const { return width() * s.c; }  // floats of one padded row

    void fill(const Source<float>& x, float* to) const {
        const auto affine = row_kernels(float{}).affine;
        for (std::int64_t r = 0; r < in_rows(); ++r, to += line()) {
            const std::int64_t iy = first * s.stride_h - s.pad_h + r;
            if (iy < 0 || iy >= s.h) {
                std::fill_n(to, line(), 0.0F);
                continue;
            }
            const float* from = x.x + (image * s.h + iy) * s.w * s.c;
            std::fill_n(to, s.pad_w * s.c, 0.0F);
            if (x.plain())
                copy(to + s.pad_w * s.c, from, s.w * s.c);
            else
                affine(s.w, s.c, from, x.scale_of(image), x.shift_of(image), x.act, to + s.pad_w * s.c);
            std::fill_n(to + (s.pad_w + s.w) * s.c, s.pad_w * s.c, 0.0F);
        }
    }
    // Where in the strip the patch of output pixel (row of the strip, column) begins.
    std::int64_t patch(std::int64_t row, std::int64_t column) const {
        return row * s.stride_h * line() + column * s.stride_w * s.c;
    }
    std::int64_t tap(std::int64_t ky, std::int64_t kx) const {
        return ky * s.dilation_h * line() + kx * s.dilation_w * s.c;
    }
};

std::int64_t rows_per_strip(const ConvShape& s) {
    const std::int64_t line = (s.w + 2 * s.pad_w) * s.c;
    const std::int64_t fit = (strip_floats / line - s.dilation_h * (s.kh - 1) - 1) / s.stride_h + 1;
    return std::clamp<std::int64_t>(std::min(fit, pixels_per_strip / s.out_w()), 1, s.out_h());
}

// A patch as pieces of equal length at fixed offsets: whole rows of taps where these lie side by side.
struct Pieces {
    std::int64_t length;
    std::vector<std::int64_t> offsets;

    Pieces(const Strip& strip, std::int64_t group) {
        const ConvShape& s = strip.s;
        const bool joined = s.dilation_w == 1 && s.groups == 1;
        length = joined ? s.kw * s.c : s.group_c();
        for (std::int64_t ky = 0; ky < s.kh; ++ky)
            for (std::int64_t kx = 0; kx < (joined ? 1 : s.kw); ++kx)
                offsets.push_back(strip.tap(ky, kx) + group * s.group_c());
    }
};

// c = patches * panels, in passes of about k_block: several pieces at once, or parts of one.
void multiply_patches(const Isa& cpu, const Pieces& pieces, std::int64_t pixels, const float* const* patches,
                      std::int64_t n, const float* panels, float* c, std::int64_t ldc, const float* bias) {
    const auto count = static_cast<std::int64_t>(pieces.offsets.size());
    const std::int64_t k = count * pieces.length, at_once = std::max<std::int64_t>(1, k_block / pieces.length);
    for (std::int64_t p = 0; p < count; p += at_once)
        for (std::int64_t part = 0; part<pieces.length; part += at_once> 1 ? pieces.length : k_block) {
            const std::int64_t length = at_once > 1 ? pieces.length : std::min(k_block, pieces.length - part);
            const std::int64_t shifted = pieces.offsets[static_cast<std::size_t>(p)] + part;
            const std::int64_t row = p * pieces.length + part;
            cpu.gemm_rows(pixels, n, length, patches, 1, at_once > 1 ? pieces.offsets.data() + p : &shifted,
                          std::min(at_once, count - p), panels + row * cpu.nr, cpu.nr, k * cpu.nr, c, ldc, bias,
                          row > 0);
        }
}

}  // namespace

bool strips_apply(const ConvShape& s) {
    // With many channels a gathered patch is a few long copies, and its rows do not fall into the same sets of the L1
    // cache as pixels at a power-of-two distance do.
    return s.kh * s.kw > 1 && s.c <= 48 && (s.w + 2 * s.pad_w) * s.c <= strip_floats / 2;
}

bool strips_suit_weight(const ConvShape& s) {
    return strips_apply(s) && s.groups == 1 && s.o % isa(active_kernels()).nr == 0 &&
           s.kh * s.kw * s.c * s.o <= 32 * 1024 && s.out_w() >= 16;
}

void strips_forward(const ConvShape& s, const Source<float>& x, const float* panels, const float* bias, float* y) {
    const Isa& cpu = isa(active_kernels());
    const std::int64_t go = s.group_o(), k = s.kh * s.kw * s.group_c();
    const std::int64_t height = rows_per_strip(s), strips = ceil_div(s.out_h(), height);
    parallel_for(s.n * strips, [&](std::int64_t task) {
        const std::int64_t first = task % strips * height;
        const Strip strip{s, task / strips, first, std::min(height, s.out_h() - first)};
        float* buffer = scratch(0, strip.in_rows() * strip.line());
        strip.fill(x, buffer);
        thread_local std::vector<const float*> patches;
        patches.clear();
        for (std::int64_t r = 0; r < strip.rows; ++r)
            for (std::int64_t ox = 0; ox < s.out_w(); ++ox) patches.push_back(buffer + strip.patch(r, ox));
        const auto pixels = static_cast<std::int64_t>(patches.size());
        float* out = y + (strip.image * s.out_h() + first) * s.out_w() * s.o;
        for (std::int64_t g = 0; g < s.groups; ++g)
            multiply_patches(cpu, Pieces(strip, g), pixels, patches.data(), go,
                             panels + g * panel_floats(k, go, cpu.nr), out + g * go, s.o,
                             bias ? bias + g * go : nullptr);
    });
}

void strips_grad_weight(const ConvShape& s, const Source<float>& x, const float* dy, float* dw) {
    const Isa& cpu = isa(active_kernels());
    const std::int64_t size = s.kh * s.kw * s.c * s.o, height = rows_per_strip(s), strips = ceil_div(s.out_h(), height);
    const std::int64_t tasks = s.n * strips;
    const Block extra = allocate_floats((chunks - 1) * size);
    parallel_for(chunks, [&](std::int64_t chunk) {
        float* sum = chunk == 0 ? dw : floats(extra) + (chunk - 1) * size;
        std::fill_n(sum, size, 0.0F);
        thread_local std::vector<const float*> columns;  // of the patches: one per row of dw
        for (std::int64_t task = tasks * chunk / chunks; task < tasks * (chunk + 1) / chunks; ++task) {
            const std::int64_t first = task % strips * height;
            const Strip strip{s, task / strips, first, std::min(height, s.out_h() - first)};
            float* buffer = scratch(0, strip.in_rows() * strip.line());
            strip.fill(x, buffer);
            columns.clear();
            for (std::int64_t ky = 0; ky < s.kh; ++ky)
                for (std::int64_t kx = 0; kx < s.kw; ++kx)
                    for (std::int64_t c = 0; c < s.c; ++c) columns.push_back(buffer + strip.tap(ky, kx) + c);
            // The pixels of one row are the K of one product: dy already lies as its right side must.
            for (std::int64_t r = 0; r < strip.rows; ++r) {
                const std::int64_t shift = strip.patch(r, 0);
                cpu.gemm_rows(static_cast<std::int64_t>(columns.size()), s.o, s.out_w(), columns.data(),
                              s.stride_w * s.c, &shift, 1,
                              dy + ((strip.image * s.out_h() + first + r) * s.out_w()) * s.o, s.o, cpu.nr, sum, s.o,
                              nullptr, true);
            }
        }
    });
    add_partials(chunks - 1, size, floats(extra), dw);
}

}  // namespace solobox::fast
