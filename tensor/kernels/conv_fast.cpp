// Convolution as matrix products over pixels, for float: one register-tile kernel, three ways to feed it.
//
// Forward      y(pixel, o)   = patch(pixel, k) * weight(k, o),           k = (tap, input channel)
// Grad weight  dw(k, o)      = patch(pixel, k)^T * dy(pixel, o)
// Grad input   dx(pixel, c)  = dy_patch(pixel, (tap, o)) * weight^T      where dy_patch holds the output pixels that
//                                                                        this input pixel reached
// Patches of a few dozen pixels are gathered into a buffer that stays in the L2 cache; the whole im2col matrix never
// exists. With stride s, input pixels of equal (y mod s, x mod s) are reached by the same taps, so each such phase is
// a dense product of its own and no multiplication by an inserted zero is ever made.
#include <algorithm>
#include <cstring>
#include <vector>

#include "tensor/kernels/conv.h"
#include "tensor/kernels/conv_small_maps.h"
#include "tensor/kernels/conv_strips.h"
#include "tensor/kernels/winograd.h"
#include "tensor/kernels/workspace.h"

namespace solobox::fast {
namespace {

constexpr std::int64_t patch_floats = 24 * 1024;  // gathered patches: under half of a 512 KB L2, beside the weights

// One place a patch reads from: an offset in pixels against the patch's origin.
struct Tap {
    std::int64_t dy, dx;
};

// Patches read from `source` (n, h, w, c), channels [first, first + width) of every tap in turn; zero outside.
class PatchSource {
public:
    PatchSource(const Source<float>& from, std::int64_t rows, std::int64_t cols, std::int64_t channels,
                std::int64_t first_channel, std::int64_t count, const std::vector<Tap>& taps)
        : source(from), h(rows), w(cols), c(channels), first(first_channel), width(count) {
        for (const Tap& tap : taps) {
            // Neighbouring taps in a row lie side by side in memory: one copy for the run.
            Run* last = runs.empty() ? nullptr : &runs.back();
            if (last && width == c && tap.dy == last->dy && tap.dx == last->dx + last->taps)
                ++last->taps;
            else
                runs.push_back({tap.dy, tap.dx, 1});
            top = std::min(top, tap.dy), bottom = std::max(bottom, tap.dy);
            left = std::min(left, tap.dx), right = std::max(right, tap.dx);
        }
        length = static_cast<std::int64_t>(taps.size()) * width;
    }
    // Floats in a patch.
    std::int64_t size() const { return length; }
    std::int64_t channels() const { return width; }

    // Whether any tap of the patch at origin (y, x) lies inside the image.
    bool reads(std::int64_t y, std::int64_t x) const {
        return y + bottom >= 0 && y + top < h && x + right >= 0 && x + left < w;
    }

    // The patch at origin (y, x) of one image.
    void gather(std::int64_t image, std::int64_t y, std::int64_t x, float* out) const {
        const float* origin = source.x + ((image * h + y) * w + x) * c + first;
        const bool inside = y + top >= 0 && y + bottom < h && x + left >= 0 && x + right < w;
        for (const Run& run : runs) {
            const std::int64_t iy = y + run.dy, ix = x + run.dx, floats_in_run = run.taps * width;
            const float* from = origin + (run.dy * w + run.dx) * c;
            if (inside) {
                transfer(image, from, run.taps, out);
            } else {
                const std::int64_t before = iy < 0 || iy >= h ? run.taps : std::clamp<std::int64_t>(-ix, 0, run.taps);
                const std::int64_t there = std::clamp<std::int64_t>(w - ix, before, run.taps) - before;
                std::fill_n(out, before * width, 0.0F);
                if (there > 0) transfer(image, from + before * c, there, out + before * width);
                std::fill_n(out + (before + there) * width, (run.taps - before - there) * width, 0.0F);
            }
            out += floats_in_run;
        }
    }

private:
    struct Run {
        std::int64_t dy, dx, taps;
    };
    // A zero beyond the border is a zero behind the activation: only what was read goes through it.
    void transfer(std::int64_t image, const float* from, std::int64_t pixels, float* to) const {
        if (source.plain())
            copy(to, from, pixels * width);
        else
            affine(pixels, width, from, source.scale_of(image) + first, source.shift_of(image) + first, source.act, to);
    }

    Source<float> source;
    decltype(RowKernels<float>::affine) affine = row_kernels(float{}).affine;
    std::int64_t h, w, c, first, width, length = 0;
    std::int64_t top = INT32_MAX, bottom = INT32_MIN, left = INT32_MAX, right = INT32_MIN;
    std::vector<Run> runs;
};

// Pixels per tile, so that their patches fit the buffer: a multiple of 12, which suits every register tile well enough.
std::int64_t tile_pixels(std::int64_t patch) {
    return std::clamp<std::int64_t>(patch_floats / patch / 12 * 12, 24, 240);
}

std::vector<Tap> forward_taps(const ConvShape& s) {
    std::vector<Tap> taps;
    for (std::int64_t ky = 0; ky < s.kh; ++ky)
        for (std::int64_t kx = 0; kx < s.kw; ++kx) taps.push_back({ky * s.dilation_h, kx * s.dilation_w});
    return taps;
}

// A 1x1 convolution without padding or stride needs no patches: its rows are the pixels themselves.
bool pointwise(const ConvShape& s) {
    return s.kh == 1 && s.kw == 1 && s.stride_h == 1 && s.stride_w == 1 && s.pad_h == 0 && s.pad_w == 0;
}

}  // namespace

Block conv2d_pack_weights(const ConvShape& s, const float* weight) {
    if (winograd_applies(s)) return winograd_pack_weights(s, weight);
    const Isa& cpu = isa(active_kernels());
    const std::int64_t go = s.group_o(), k = s.kh * s.kw * s.group_c(), group = panel_floats(k, go, cpu.nr);
    Block block = allocate_floats(s.groups * group);
    for (std::int64_t g = 0; g < s.groups; ++g)
        pack_panels(
            k, go, cpu.nr,
            [&](std::int64_t i, std::int64_t j, std::int64_t n, float* to) {
                copy(to, weight + i * s.o + g * go + j, n);
            },
            floats(block) + g * group);
    return block;
}

void conv2d_forward(const ConvShape& s, const Source<float>& x, const float* weight, const float* bias, float* y,
                    const float* packed) {
    if (winograd_applies(s)) return winograd_forward(s, x, weight, bias, y, packed);
    const Block own = packed ? nullptr : fast::conv2d_pack_weights(s, weight);
    const float* panels = packed ? packed : floats(own);
    if (strips_apply(s)) return strips_forward(s, x, panels, bias, y);
    if (small_map_applies(s)) return small_map_forward(s, x, panels, bias, y);
    const Isa& cpu = isa(active_kernels());
    const std::int64_t gc = s.group_c(), go = s.group_o(), k = s.kh * s.kw * gc, pixels = s.out_pixels();
    const std::int64_t tile = tile_pixels(k), out_h = s.out_h(), out_w = s.out_w();
    for (std::int64_t g = 0; g < s.groups; ++g) {
        const PatchSource source{x, s.h, s.w, s.c, g * gc, gc, forward_taps(s)};
        const std::int64_t tiles = ceil_div(pixels, tile), width = columns_per_task(go, tiles, cpu.nr);
        const std::int64_t shares = ceil_div(go, width);
        parallel_for(tiles * shares, [&](std::int64_t task) {
            const std::int64_t begin = task / shares * tile, rows = std::min(tile, pixels - begin);
            const std::int64_t first = task % shares * width, columns = std::min(width, go - first);
            const float* a = x.x + begin * s.c + g * gc;
            std::int64_t lda = s.c;
            if (!pointwise(s) || !x.plain()) {
                float* patches = scratch(0, tile * k);
                for (std::int64_t r = 0; r < rows; ++r) {
                    const std::int64_t p = begin + r, oy = p / out_w % out_h, ox = p % out_w;
                    source.gather(p / (out_h * out_w), oy * s.stride_h - s.pad_h, ox * s.stride_w - s.pad_w,
                                  patches + r * k);
                }
                a = patches;
                lda = k;
            }
            multiply(cpu, rows, columns, k, a, lda, panels + g * panel_floats(k, go, cpu.nr) + first * k,
                     y + begin * s.o + g * go + first, s.o, bias ? bias + g * go + first : nullptr);
        });
    }
}

namespace {

// The input pixels (y, x) = (first_y + i * stride_h, first_x + j * stride_w) and the taps that reach them.
struct Phase {
    std::int64_t first_y, first_x, rows, cols;
    std::int64_t origin_y, origin_x;   // output position of the first pixel's patch origin
    std::vector<Tap> taps;             // output offsets
    std::vector<std::int64_t> kernel;  // tap number in the weight
};

Phase make_phase(const ConvShape& s, std::int64_t first_y, std::int64_t first_x) {
    Phase phase{first_y, first_x, ceil_div(s.h - first_y, s.stride_h), ceil_div(s.w - first_x, s.stride_w), 0, 0,
                {},      {}};
    // Input pixel iy is read by output oy through tap ky when oy * stride = iy + pad - ky * dilation.
    // Last tap first: the outputs then lie in the order of memory, and neighbours are copied in one run.
    for (std::int64_t ky = s.kh - 1; ky >= 0; --ky)
        for (std::int64_t kx = s.kw - 1; kx >= 0; --kx) {
            const std::int64_t ty = first_y + s.pad_h - ky * s.dilation_h, tx = first_x + s.pad_w - kx * s.dilation_w;
            if (ty % s.stride_h != 0 || tx % s.stride_w != 0) continue;
            phase.taps.push_back({ty / s.stride_h, tx / s.stride_w});
            phase.kernel.push_back(ky * s.kw + kx);
        }
    return phase;
}

// The convolution of dy that gives dx, its kernel turned by half a turn. With strides dy would have gaps.
ConvShape turned_around(const ConvShape& s) {
    ConvShape t = s;
    t.h = s.out_h(), t.w = s.out_w(), t.c = s.o, t.o = s.c;
    t.pad_h = s.kh - 1 - s.pad_h, t.pad_w = s.kw - 1 - s.pad_w;
    return t;
}

void grad_input_phase(const ConvShape& s, const Isa& cpu, const Phase& phase, std::int64_t g, const float* dy,
                      const float* weight, float* dx) {
    const std::int64_t gc = s.group_c(), go = s.group_o(), k = static_cast<std::int64_t>(phase.taps.size()) * go;
    const std::int64_t pixels = s.n * phase.rows * phase.cols, tile = tile_pixels(k);
    const Block panels = allocate_floats(panel_floats(k, gc, cpu.nr));
    pack_panels(
        k, gc, cpu.nr,
        [&](std::int64_t i, std::int64_t j, std::int64_t n, float* to) {
            const float* column =
                weight + (phase.kernel[static_cast<std::size_t>(i / go)] * gc + j) * s.o + g * go + i % go;
            for (std::int64_t v = 0; v < n; ++v) to[v] = column[v * s.o];
        },
        floats(panels));
    const bool direct = s.stride_h == 1 && s.stride_w == 1;  // results lie one pixel after the other
    if (const ConvShape turned = turned_around(s); direct && small_map_applies(turned))
        return small_map_forward(turned, dy, floats(panels), nullptr, dx);
    const PatchSource source{dy, s.out_h(), s.out_w(), s.o, g * go, go, phase.taps};
    parallel_for(ceil_div(pixels, tile), [&](std::int64_t t) {
        const std::int64_t begin = t * tile, rows = std::min(tile, pixels - begin);
        const float* a = dy + begin * s.o + g * go;
        std::int64_t lda = s.o;
        if (!pointwise(s)) {
            float* patches = scratch(0, tile * k);
            for (std::int64_t r = 0; r < rows; ++r) {
                const std::int64_t p = begin + r;
                source.gather(p / (phase.rows * phase.cols), p / phase.cols % phase.rows, p % phase.cols,
                              patches + r * k);
            }
            a = patches;
            lda = k;
        }
        if (direct) {
            multiply(cpu, rows, gc, k, a, lda, floats(panels), dx + begin * s.c + g * gc, s.c, nullptr);
            return;
        }
        float* result = scratch(1, tile * gc);
        multiply(cpu, rows, gc, k, a, lda, floats(panels), result, gc, nullptr);
        for (std::int64_t r = 0; r < rows; ++r) {
            const std::int64_t p = begin + r, image = p / (phase.rows * phase.cols);
            const std::int64_t iy = phase.first_y + p / phase.cols % phase.rows * s.stride_h;
            const std::int64_t ix = phase.first_x + p % phase.cols * s.stride_w;
            copy(dx + ((image * s.h + iy) * s.w + ix) * s.c + g * gc, result + r * gc, gc);
        }
    });
}

}  // namespace

void conv2d_grad_input(const ConvShape& s, const float* dy, const float* weight, float* dx) {
    if (winograd_applies(s)) return winograd_grad_input(s, dy, weight, dx);
    const Isa& cpu = isa(active_kernels());
    std::vector<Phase> phases;
    bool gaps = false;  // pixels that no tap reaches keep a zero gradient
    for (std::int64_t py = 0; py < std::min(s.stride_h, s.h); ++py)
        for (std::int64_t px = 0; px < std::min(s.stride_w, s.w); ++px) {
            phases.push_back(make_phase(s, py, px));
            gaps = gaps || phases.back().taps.empty();
        }
    if (gaps) std::fill_n(dx, s.n * s.h * s.w * s.c, 0.0F);
    for (const Phase& phase : phases)
        for (std::int64_t g = 0; g < s.groups && !phase.taps.empty(); ++g)
            grad_input_phase(s, cpu, phase, g, dy, weight, dx);
}

namespace {

// How the gradient of the weight is cut up. A fixed function of the layer, so that the bits are those of every thread
// count: blocks of (taps, channels) x outputs own their part of dw, small enough to stay in the cache while the pixels
// pass by; when blocks are few, the pixels are cut as well, into chunks with a partial result each, added in order.
struct WeightPlan {
    std::int64_t taps_per_block, channels_per_block, outputs_per_block, tap_blocks, channel_blocks, output_blocks,
        chunks;

    explicit WeightPlan(const ConvShape& s) {
        constexpr std::int64_t depth = 512, width = 512;  // of a block of dw
        const std::int64_t taps = s.kh * s.kw, gc = s.group_c(), go = s.group_o();
        channel_blocks = ceil_div(gc, depth);
        channels_per_block = ceil_div(ceil_div(gc, channel_blocks), 8) * 8;
        taps_per_block = small_map_applies(s) ? 1 : std::clamp<std::int64_t>(depth / channels_per_block, 1, taps);
        tap_blocks = ceil_div(taps, taps_per_block);
        output_blocks = ceil_div(go, width);
        outputs_per_block = ceil_div(ceil_div(go, output_blocks), 32) * 32;
        chunks = std::clamp<std::int64_t>(ceil_div(8, s.groups * blocks()), 1, 8);
    }
    std::int64_t blocks() const { return tap_blocks * channel_blocks * output_blocks; }
};

constexpr std::int64_t pixels_per_pass = 192, outputs_per_product = 256;  // of dy, packed: a part of the L2 cache
constexpr std::int64_t pixels_ahead = 6;                                  // between a prefetch and its use

// One block of dw: rows are the patch's numbers, columns the outputs [first, first + width).
struct WeightBlock {
    std::int64_t first_output, outputs;
    std::int64_t begin, end;  // pixels
};

void grad_weight_block(const ConvShape& s, const Isa& cpu, const PatchSource& source, const WeightBlock& b,
                       const float* dy, float* dw) {
    const std::int64_t k = source.size(), stride = uneven_lines(k);
    const std::int64_t out_h = s.out_h(), out_w = s.out_w(), panels = ceil_div(b.outputs, cpu.nr);
    float* patches = scratch(0, pixels_per_pass * stride);
    const std::int64_t panel = uneven_lines(pixels_per_pass * cpu.nr);
    float* packed = scratch(1, panels * panel);
    thread_local std::vector<std::int64_t> chosen;  // on small maps, the pixels whose patches read anything
    chosen.clear();
    const bool choose = small_map_applies(s);
    for (std::int64_t q = b.begin; choose && q < b.end; ++q)
        if (source.reads(q / out_w % out_h * s.stride_h - s.pad_h, q % out_w * s.stride_w - s.pad_w))
            chosen.push_back(q);
    const std::int64_t pixels = choose ? static_cast<std::int64_t>(chosen.size()) : b.end - b.begin;
    const std::int64_t passes = ceil_div(pixels, pixels_per_pass);
    for (std::int64_t pass = 0; pass < passes; ++pass) {
        const std::int64_t begin = pixels * pass / passes, count = pixels * (pass + 1) / passes - begin;
        for (std::int64_t r = 0; r < count; ++r) {
            const std::int64_t q = choose ? chosen[static_cast<std::size_t>(begin + r)] : b.begin + begin + r;
            const std::int64_t oy = q / out_w % out_h, ox = q % out_w;
            source.gather(q / (out_h * out_w), oy * s.stride_h - s.pad_h, ox * s.stride_w - s.pad_w,
                          patches + r * stride);
            for (std::int64_t j = 0; j < panels; ++j) {
                float* line = packed + j * panel + r * cpu.nr;
                const std::int64_t width = std::min<std::int64_t>(cpu.nr, b.outputs - j * cpu.nr);
                const float* from = dy + q * s.o + b.first_output + j * cpu.nr;
                if (b.outputs < s.o) __builtin_prefetch(from + pixels_ahead * s.o);  // whole rows come by themselves
                copy(line, from, width);
                std::fill_n(line + width, cpu.nr - width, 0.0F);
            }
        }
        // Patches are read transposed: the sum runs over pixels, the rows of dw over (tap, channel).
        for (std::int64_t j = 0; j < b.outputs; j += outputs_per_product)
            cpu.gemm_block(k, std::min(outputs_per_product, b.outputs - j), count, patches, 1, stride,
                           packed + j / cpu.nr * panel, cpu.nr, panel, dw + j, s.o, nullptr, pass > 0);
    }
    if (passes == 0)
        for (std::int64_t i = 0; i < k; ++i) std::fill_n(dw + i * s.o, b.outputs, 0.0F);
}

}  // namespace

void conv2d_grad_weight(const ConvShape& s, const Source<float>& x, const float* dy, float* dw) {
    if (winograd_applies(s)) return winograd_grad_weight(s, x, dy, dw);
    if (strips_suit_weight(s)) return strips_grad_weight(s, x, dy, dw);
    const Isa& cpu = isa(active_kernels());
    const WeightPlan plan(s);
    const std::int64_t gc = s.group_c(), pixels = s.out_pixels(), size = s.kh * s.kw * gc * s.o;
    const std::vector<Tap> taps = forward_taps(s);
    const Block extra = allocate_floats((plan.chunks - 1) * size);
    float* partial = floats(extra);
    const std::int64_t per_group = plan.blocks() * plan.chunks;
    parallel_for(s.groups * per_group, [&](std::int64_t task) {
        const std::int64_t g = task / per_group, chunk = task % per_group / plan.blocks();
        const std::int64_t block = task % plan.blocks(), rows = block / plan.output_blocks;
        const std::int64_t first_tap = rows / plan.channel_blocks * plan.taps_per_block;
        const auto last_tap = std::min<std::int64_t>(first_tap + plan.taps_per_block, s.kh * s.kw);
        const std::int64_t first = rows % plan.channel_blocks * plan.channels_per_block,
                           width = std::min(plan.channels_per_block, gc - first);
        const std::int64_t output = block % plan.output_blocks * plan.outputs_per_block;
        if (width <= 0 || output >= s.group_o()) return;  // rounding up left this block nothing
        const PatchSource source{
            x, s.h, s.w, s.c, g * gc + first, width, {taps.begin() + first_tap, taps.begin() + last_tap}};
        const WeightBlock b{g * s.group_o() + output, std::min(plan.outputs_per_block, s.group_o() - output),
                            pixels * chunk / plan.chunks, pixels * (chunk + 1) / plan.chunks};
        float* out = (chunk == 0 ? dw : partial + (chunk - 1) * size) + (first_tap * gc + first) * s.o + b.first_output;
        grad_weight_block(s, cpu, source, b, dy, out);
    });
    add_partials(plan.chunks - 1, size, partial, dw);
}

}  // namespace solobox::fast
