// The driver of the Winograd convolution: which tiles, which buffers, which thread. The arithmetic of a tile is in
// winograd_body.h, the matrix products are gemm_block's.
//
// Forward and the gradient of the input go tile block by tile block: transform some tiles, 36 products, transform back,
// all in buffers that stay in the cache; only the transformed weights are shared. The gradient of the weight transforms
// a chunk of tiles of both sides, and each block of the weight sums up over them.
#include "tensor/kernels/winograd.h"

#include <array>
#include <atomic>
#include <chrono>

#include "tensor/kernels/conv.h"
#include "tensor/kernels/workspace.h"

namespace solobox::fast {
namespace {

constexpr std::int64_t xis = 36;
constexpr std::int64_t tile_floats = 96 * 1024;      // transformed tiles of one block: three quarters of a 512 KB L2
constexpr std::int64_t weight_floats = 2048 * 1024;  // transformed weights alive at a time: a quarter of a 32 MB L3
constexpr std::int64_t chunk_floats = 3072 * 1024;   // transformed tiles of one chunk of the weight's gradient

std::atomic<bool> switched_on{true};
std::atomic<std::int64_t> product_ns{0};

// Adds its lifetime to product_ns. Two looks at the clock for dozens of products: under a thousandth of their time.
class ProductTime {
public:
    ~ProductTime() {
        const auto spent = std::chrono::steady_clock::now() - start_;
        product_ns.fetch_add(std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count(),
                             std::memory_order_relaxed);
    }

private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// A map (n, h, w, c) that is read or written tile by tile.
struct Map {
    std::int64_t h, w, c;
};

// The 4x4 output tiles of a stride-1 3x3 filter with `pad` pixels of zeros around its input.
struct Tiles {
    std::int64_t n, rows, cols, pad_h, pad_w;

    Tiles(std::int64_t images, const Map& out, std::int64_t vertical, std::int64_t horizontal)
        : n(images), rows(ceil_div(out.h, 4)), cols(ceil_div(out.w, 4)), pad_h(vertical), pad_w(horizontal) {}
    std::int64_t count() const { return n * rows * cols; }
};

// Pointers to the Size x Size pixels at (y, x) of one image; `outside` stands for pixels beyond the border.
template <int Size, class Pointer>
std::array<Pointer, Size * Size> pixels(Pointer data, const Map& map, std::int64_t image, std::int64_t y,
                                        std::int64_t x, Pointer outside) {
    std::array<Pointer, Size * Size> p;
    for (int i = 0; i < Size; ++i)
        for (int j = 0; j < Size; ++j) {
            const bool inside = y + i >= 0 && y + i < map.h && x + j >= 0 && x + j < map.w;
            p[static_cast<std::size_t>(Size * i + j)] =
                inside ? data + ((image * map.h + y + i) * map.w + x + j) * map.c : outside;
        }
    return p;
}

std::array<const float*, 36> input_pixels(const Tiles& t, std::int64_t tile, const float* x, const Map& map,
                                          const float* zeros) {
    return pixels<6>(x, map, tile / (t.rows * t.cols), tile / t.cols % t.rows * 4 - t.pad_h,
                     tile % t.cols * 4 - t.pad_w, zeros);
}

template <class Pointer>
std::array<Pointer, 16> output_pixels(const Tiles& t, std::int64_t tile, Pointer y, const Map& map, Pointer outside) {
    return pixels<4>(y, map, tile / (t.rows * t.cols), tile / t.cols % t.rows * 4, tile % t.cols * 4, outside);
}

// The transforms of one input tile, activated on the way when the source asks for it.
void transform_input(const Isa& cpu, const Tiles& t, std::int64_t tile, const Source<float>& x, const Map& map,
                     const float* zeros, float* v, std::int64_t xi_stride) {
    const auto d = input_pixels(t, tile, x.x, map, zeros);
    const std::int64_t image = tile / (t.rows * t.cols);
    if (x.plain())
        cpu.winograd.input(map.c, d.data(), v, xi_stride);
    else
        cpu.winograd.input_affine(map.c, d.data(), zeros, x.scale_of(image), x.shift_of(image), x.act, v, xi_stride);
}

Block zero_pixel(std::int64_t channels) {
    Block block = allocate_floats(channels);
    std::fill_n(floats(block), channels, 0.0F);
    return block;
}

// The distance between the 36 matrices of transformed weights.
std::int64_t weight_stride(const Isa& cpu, std::int64_t in, std::int64_t width) {
    return uneven_lines(ceil_div(width, cpu.nr) * cpu.nr * in);
}

// taps: 3x3 kernels (9, in, out). Their transforms for outputs [first, first + width): 36 matrices in panels.
void transform_weights(const Isa& cpu, std::int64_t in, std::int64_t out, std::int64_t first, std::int64_t width,
                       const float* taps, float* u) {
    const std::int64_t panels = ceil_div(width, cpu.nr), matrix = weight_stride(cpu, in, width);
    constexpr std::int64_t rows_per_task = 16;
    parallel_for(panels * ceil_div(in, rows_per_task), [&](std::int64_t task) {
        const std::int64_t p = task % panels, begin = task / panels * rows_per_task;
        const std::int64_t columns = std::min<std::int64_t>(cpu.nr, width - p * cpu.nr);
        for (std::int64_t i = begin; i < std::min(in, begin + rows_per_task); ++i) {
            std::array<const float*, 9> g;
            for (std::size_t k = 0; k < 9; ++k)
                g[k] = taps + (static_cast<std::int64_t>(k) * in + i) * out + first + p * cpu.nr;
            float* line = u + (p * in + i) * cpu.nr;
            cpu.winograd.weight(columns, g.data(), line, matrix);
            for (std::int64_t xi = 0; columns < cpu.nr && xi < xis; ++xi)
                std::fill(line + xi * matrix + columns, line + xi * matrix + cpu.nr, 0.0F);
        }
    });
}

// Outputs that are worked on together, so that their transformed weights stay in the cache.
std::int64_t outputs_at_once(const Isa& cpu, std::int64_t in, std::int64_t out) {
    const std::int64_t nr = cpu.nr;
    return std::clamp(weight_floats / (xis * in) / nr * nr, nr, ceil_div(out, nr) * nr);
}

// y (n, out) = the filter `taps` (9, in.c, out.c) over x (n, in)
void filter(const Tiles& t, const Map& in, const Map& out, const Source<float>& x, const float* taps, const float* bias,
            float* y, const float* packed = nullptr) {
    const Isa& cpu = isa(active_kernels());
    const Block zeros = zero_pixel(in.c);
    const std::int64_t width = outputs_at_once(cpu, in.c, out.c);
    const Block own = packed ? nullptr : allocate_floats(xis * weight_stride(cpu, in.c, std::min(width, out.c)));
    for (std::int64_t first = 0; first < out.c; first += width) {
        const std::int64_t o = std::min(width, out.c - first), matrix = weight_stride(cpu, in.c, o);
        if (!packed) transform_weights(cpu, in.c, out.c, first, o, taps, floats(own));
        const float* weights = packed ? packed : floats(own);
        if (packed) packed += xis * matrix;
        // Blocks of equal size, some for each thread; few tiles are shared by their outputs too.
        const std::int64_t fit = std::max<std::int64_t>(tile_floats / (xis * (in.c + o)), 24);
        const std::int64_t wanted = ceil_div(ceil_div(t.count(), fit), thread_count()) * thread_count();
        const std::int64_t even = ceil_div(t.count(), wanted);
        const std::int64_t block =
            even < 4 * cpu.mr ? std::max<std::int64_t>(even, cpu.mr) : ceil_div(even, cpu.mr) * cpu.mr;
        const std::int64_t blocks = ceil_div(t.count(), block), share = columns_per_task(o, blocks, cpu.nr);
        const std::int64_t shares = ceil_div(o, share);
        parallel_for(blocks * shares, [&](std::int64_t task) {
            const std::int64_t begin = task / shares * block, count = std::min(block, t.count() - begin);
            const std::int64_t from = task % shares * share, outputs = std::min(share, o - from);
            // A transform touches all 36 parts at once: they must not fall into the same sets of the L1 cache.
            const std::int64_t v_part = uneven_lines(block * in.c), m_part = uneven_lines(block * share);
            float* v = scratch(0, xis * v_part);
            float* m = scratch(1, xis * m_part);
            for (std::int64_t i = 0; i < count; ++i)
                transform_input(cpu, t, begin + i, x, in, floats(zeros), v + i * in.c, v_part);
            {
                const ProductTime timed;
                for (std::int64_t xi = 0; xi < xis; ++xi)
                    multiply(cpu, count, outputs, in.c, v + xi * v_part, in.c, weights + xi * matrix + from * in.c,
                             m + xi * m_part, outputs, nullptr);
            }
            for (std::int64_t i = 0; i < count; ++i)
                cpu.winograd.output(outputs, m + i * outputs, m_part, bias ? bias + first + from : nullptr,
                                    output_pixels<float*>(t, begin + i, y + first + from, out, nullptr).data());
        });
    }
}

// (9, in, out) -> (9, out, in), the taps in reverse: the kernel turned by half a turn.
Block turned(std::int64_t in, std::int64_t out, const float* weight) {
    Block block = allocate_floats(9 * in * out);
    float* to = floats(block);
    constexpr std::int64_t side = 16;
    const std::int64_t strips = ceil_div(out, side);
    parallel_for(9 * strips, [&](std::int64_t task) {
        const std::int64_t tap = task / strips, begin = task % strips * side, end = std::min(out, begin + side);
        const float* from = weight + (8 - tap) * in * out;
        for (std::int64_t i = 0; i < in; i += side)
            for (std::int64_t o = begin; o < end; ++o)
                for (std::int64_t k = i; k < std::min(in, i + side); ++k)
                    to[(tap * out + o) * in + k] = from[k * out + o];
    });
    return block;
}

Map input_map(const ConvShape& s) { return {s.h, s.w, s.c}; }
Map output_map(const ConvShape& s) { return {s.out_h(), s.out_w(), s.o}; }

}  // namespace

void set_winograd(bool on) { switched_on = on; }
bool winograd_on() { return switched_on; }
double take_winograd_product_seconds() { return 1e-9 * static_cast<double>(product_ns.exchange(0)); }

bool winograd_applies(const ConvShape& s) {
    if (!switched_on || s.kh != 3 || s.kw != 3 || s.stride_h != 1 || s.stride_w != 1 || s.dilation_h != 1 ||
        s.dilation_w != 1 || s.groups != 1 || s.pad_h > 2 || s.pad_w > 2 || s.c % 16 != 0 || s.o % 16 != 0)
        return false;
    // Tiles that hang over the border, and transformed weights that a small map cannot pay for, eat up the gain.
    const std::int64_t map = s.out_h() * s.out_w(), tiles = ceil_div(s.out_h(), 4) * ceil_div(s.out_w(), 4);
    return 10 * tiles * 36 <= 6 * map * 9 && (map >= 100 || s.c * s.o <= 512 * 512);
}

void winograd_forward(const ConvShape& s, const Source<float>& x, const float* weight, const float* bias, float* y,
                      const float* packed) {
    const Tiles tiles(s.n, output_map(s), s.pad_h, s.pad_w);
    filter(tiles, input_map(s), output_map(s), x, weight, bias, y, packed);
}

Block winograd_pack_weights(const ConvShape& s, const float* weight) {
    const Isa& cpu = isa(active_kernels());
    const std::int64_t width = outputs_at_once(cpu, s.c, s.o);
    std::int64_t size = 0;
    for (std::int64_t first = 0; first < s.o; first += width)
        size += xis * weight_stride(cpu, s.c, std::min(width, s.o - first));
    Block block = allocate_floats(size);
    float* u = floats(block);
    for (std::int64_t first = 0; first < s.o; first += width) {
        const std::int64_t o = std::min(width, s.o - first);
        transform_weights(cpu, s.c, s.o, first, o, weight, u);
        u += xis * weight_stride(cpu, s.c, o);
    }
    return block;
}

void winograd_grad_input(const ConvShape& s, const float* dy, const float* weight, float* dx) {
    const Block taps = turned(s.c, s.o, weight);
    const Tiles tiles(s.n, input_map(s), 2 - s.pad_h, 2 - s.pad_w);
    filter(tiles, output_map(s), input_map(s), dy, floats(taps), nullptr, dx);
}

namespace {

// How the weight's gradient is cut: into blocks of c x o that fit the cache with all their 36 elements.
struct WeightBlocks {
    std::int64_t c, o, rows, cols;
    static constexpr std::int64_t block_c = 64, block_o = 32;

    WeightBlocks(std::int64_t channels, std::int64_t outputs)
        : c(channels), o(outputs), rows(ceil_div(c, block_c)), cols(ceil_div(o, block_o)) {}
    std::int64_t count() const { return rows * cols; }
    std::int64_t first_c(std::int64_t b) const { return b / cols * block_c; }
    std::int64_t first_o(std::int64_t b) const { return b % cols * block_o; }
    std::int64_t size_c(std::int64_t b) const { return std::min(block_c, c - first_c(b)); }
    std::int64_t size_o(std::int64_t b) const { return std::min(block_o, o - first_o(b)); }
    static constexpr std::int64_t part = block_c * block_o + 16;  // an odd number of lines, as in filter()
    static constexpr std::int64_t floats = xis * part;
};

void finish_block(const Isa& cpu, const WeightBlocks& w, std::int64_t b, const float* du, float* dw) {
    for (std::int64_t i = 0; i < w.size_c(b); ++i) {
        std::array<float*, 9> taps;
        for (std::size_t k = 0; k < 9; ++k)
            taps[k] = dw + (static_cast<std::int64_t>(k) * w.c + w.first_c(b) + i) * w.o + w.first_o(b);
        cpu.winograd.weight_grad(w.size_o(b), du + i * WeightBlocks::block_o, WeightBlocks::part, taps.data());
    }
}

}  // namespace

void winograd_grad_weight(const ConvShape& s, const Source<float>& x, const float* dy, float* dw) {
    const Isa& cpu = isa(active_kernels());
    const Map in = input_map(s), out = output_map(s);
    const Tiles t(s.n, out, s.pad_h, s.pad_w);
    const Block zeros = zero_pixel(std::max(s.c, s.o));
    const std::int64_t nr = cpu.nr, panels = ceil_div(s.o, nr), padded_o = panels * nr;
    const std::int64_t fit = std::clamp<std::int64_t>(chunk_floats / (xis * (s.c + padded_o)) / 8 * 8, 48, 128);
    const std::int64_t all_tiles = ceil_div(t.count(), 8) * 8, chunk = all_tiles <= 128 ? all_tiles : fit;
    const std::int64_t stride = uneven_lines(s.c);  // of the transformed inputs, which are read down their columns
    const std::int64_t v_part = uneven_lines(chunk * stride), z_part = uneven_lines(chunk * padded_o);
    const Block tiles_in = allocate_floats(xis * v_part), tiles_out = allocate_floats(xis * z_part);
    float *v = floats(tiles_in), *z = floats(tiles_out);
    const WeightBlocks blocks(s.c, s.o);
    // Many blocks and one chunk: a block is finished when it is summed up, and needs no memory but its thread's.
    const bool many = blocks.count() >= 16, passing = many && t.count() <= chunk;
    const Block sums = passing ? nullptr : allocate_floats(blocks.count() * WeightBlocks::floats);
    const auto sum_of = [&](std::int64_t b) {
        return passing ? scratch(0, WeightBlocks::floats) : floats(sums) + b * WeightBlocks::floats;
    };
    for (std::int64_t first = 0; first < t.count(); first += chunk) {
        const std::int64_t count = std::min(chunk, t.count() - first);
        parallel_for(ceil_div(count, 4), [&](std::int64_t task) {
            for (std::int64_t i = 4 * task; i < std::min(count, 4 * task + 4); ++i) {
                transform_input(cpu, t, first + i, x, in, floats(zeros), v + i * stride, v_part);
                auto pixel = output_pixels<const float*>(t, first + i, dy, out, floats(zeros));
                for (std::int64_t p = 0; p < panels; ++p) {
                    const std::int64_t columns = std::min(nr, s.o - p * nr);
                    float* line = z + (p * chunk + i) * nr;
                    cpu.winograd.output_grad(columns, pixel.data(), line, z_part);
                    for (std::int64_t xi = 0; columns < nr && xi < xis; ++xi)
                        std::fill(line + xi * z_part + columns, line + xi * z_part + nr, 0.0F);
                    for (const float*& q : pixel) q += q == floats(zeros) ? 0 : nr;
                }
            }
        });
        const bool last = first + chunk >= t.count();
        const auto product = [&](std::int64_t b, std::int64_t xi) {
            cpu.gemm_block(blocks.size_c(b), blocks.size_o(b), count, v + xi * v_part + blocks.first_c(b), 1, stride,
                           z + xi * z_part + blocks.first_o(b) * chunk, nr, chunk * nr,
                           sum_of(b) + xi * WeightBlocks::part, WeightBlocks::block_o, nullptr, first > 0);
        };
        if (many) {
            parallel_for(blocks.count(), [&](std::int64_t b) {
                {
                    const ProductTime timed;
                    for (std::int64_t xi = 0; xi < xis; ++xi) product(b, xi);
                }
                if (last) finish_block(cpu, blocks, b, sum_of(b), dw);
            });
        } else {
            parallel_for(blocks.count() * xis, [&](std::int64_t i) {
                const ProductTime timed;
                product(i / xis, i % xis);
            });
            if (last)
                parallel_for(blocks.count(), [&](std::int64_t b) { finish_block(cpu, blocks, b, sum_of(b), dw); });
        }
    }
}

}  // namespace solobox::fast
