// What the convolution kernels share: scratch memory of the thread that runs a tile, and weights packed for gemm_block.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/parallel.h"
#include "tensor/pool.h"

namespace solobox::fast {

constexpr std::int64_t k_block = 384;  // depth of one pass through the register tile: a panel fits L1

inline std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// At least n, as a row stride that is an odd number of cache lines: a column of such a matrix spreads over all sets of
// a cache, where one of a power of two would fall into a few and throw itself out.
inline std::int64_t uneven_lines(std::int64_t n) { return (ceil_div(n, 16) | 1) * 16; }

inline float* floats(const Block& block) { return reinterpret_cast<float*>(block.get()); }

inline Block allocate_floats(std::int64_t n) { return pool::allocate(n * static_cast<std::int64_t>(sizeof(float))); }

// Buffers of the calling thread, kept between calls. A slot's contents last until its next use.
inline float* scratch(int slot, std::int64_t n) {
    thread_local Block blocks[2];
    thread_local std::int64_t sizes[2] = {0, 0};
    if (sizes[slot] < n) {
        blocks[slot] = allocate_floats(n);
        sizes[slot] = n;
    }
    return floats(blocks[slot]);
}

inline void copy(float* to, const float* from, std::int64_t n) {
    if (n >= 64) {
        std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(float));
        return;
    }
    for (; n >= 8; n -= 8, to += 8, from += 8) std::memcpy(to, from, 32);  // a size known here becomes plain moves
    for (; n > 0; --n) *to++ = *from++;
}

// Columns of a product that one task takes: all of them, or, where the rows make fewer tasks than there are threads, a
// share in whole panels. Changes no sum, so no bit.
inline std::int64_t columns_per_task(std::int64_t n, std::int64_t row_tasks, std::int64_t nr) {
    const std::int64_t shares = std::max<std::int64_t>(1, thread_count() / std::max<std::int64_t>(1, row_tasks));
    return ceil_div(ceil_div(n, nr), shares) * nr;
}

// Packs b (k, n), row(i, j, n, to) giving n numbers of row i from column j on, into panels of `nr` columns, zero-filled
// at the end.
template <class Row>
void pack_panels(std::int64_t k, std::int64_t n, std::int64_t nr, Row row, float* out) {
    const std::int64_t panels = ceil_div(n, nr);
    constexpr std::int64_t rows_per_tile = 64;
    parallel_for(panels * ceil_div(k, rows_per_tile), [&](std::int64_t tile) {
        const std::int64_t p = tile % panels, begin = tile / panels * rows_per_tile;
        const std::int64_t width = std::min(nr, n - p * nr);
        for (std::int64_t i = begin; i < std::min(k, begin + rows_per_tile); ++i) {
            float* line = out + (p * k + i) * nr;
            row(i, p * nr, width, line);
            std::fill_n(line + width, nr - width, 0.0F);
        }
    });
}
inline std::int64_t panel_floats(std::int64_t k, std::int64_t n, std::int64_t nr) { return ceil_div(n, nr) * nr * k; }

// dw (size) += partial (parts, size), part by part in their order
inline void add_partials(std::int64_t parts, std::int64_t size, const float* partial, float* dw) {
    constexpr std::int64_t tile = 4096;
    parallel_for(parts > 0 ? ceil_div(size, tile) : 0, [&](std::int64_t t) {
        for (std::int64_t part = 0; part < parts; ++part)
            for (std::int64_t i = t * tile; i < std::min(size, (t + 1) * tile); ++i) dw[i] += partial[part * size + i];
    });
}

// c (m, n) = a (m, k) * panels, a with row stride `lda`, in passes of k_block. Panel j starts at panels + j * k * nr.
inline void multiply(const Isa& cpu, std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda,
                     const float* panels, float* c, std::int64_t ldc, const float* bias) {
    for (std::int64_t p = 0; p < k; p += k_block)
        cpu.gemm_block(m, n, std::min(k_block, k - p), a + p, lda, 1, panels + p * cpu.nr, cpu.nr, k * cpu.nr, c, ldc,
                       bias, p > 0);
}

}  // namespace solobox::fast
