#include "tensor/kernels/gemm.h"

#include <algorithm>

#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/parallel.h"

#if !defined(SOLOBOX_DOUBLE)
#include <cblas.h>
#endif

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

// Tiles of the result. Fixed sizes, so that the split, and with it every rounding, is the same for all thread counts.
constexpr std::int64_t tile_rows = 192, tile_cols = 256;

const Real* at(const MatrixView& v, std::int64_t row, std::int64_t col) {
    return v.transposed ? v.data + col * v.stride + row : v.data + row * v.stride + col;
}

void gemm_tile(std::int64_t m, std::int64_t n, std::int64_t k, MatrixView a, MatrixView b, Real* c, std::int64_t ldc,
               bool accumulate) {
#if !defined(SOLOBOX_DOUBLE)
    if (active_kernels() != Kernels::reference) {
        const auto flag = [](bool t) { return t ? CblasTrans : CblasNoTrans; };
        const auto i = [](std::int64_t v) { return static_cast<blasint>(v); };
        cblas_sgemm(CblasRowMajor, flag(a.transposed), flag(b.transposed), i(m), i(n), i(k), 1.0F, a.data, i(a.stride),
                    b.data, i(b.stride), accumulate ? 1.0F : 0.0F, c, i(ldc));
        return;
    }
#endif
    gemm_reference(m, n, k, a, b, c, ldc, accumulate);
}

}  // namespace

void gemm_reference(std::int64_t m, std::int64_t n, std::int64_t k, MatrixView a, MatrixView b, Real* c,
                    std::int64_t ldc, bool accumulate) {
    for (std::int64_t i = 0; i < m; ++i) {
        Real* row = c + i * ldc;
        if (!accumulate) std::fill_n(row, n, Real(0));
        for (std::int64_t p = 0; p < k; ++p) {
            const Real x = *at(a, i, p);
            const Real* y = at(b, p, 0);
            const std::int64_t step = b.transposed ? b.stride : 1;
            if (step == 1)
                for (std::int64_t j = 0; j < n; ++j) row[j] += x * y[j];
            else
                for (std::int64_t j = 0; j < n; ++j) row[j] += x * y[j * step];
        }
    }
}

void gemm(std::int64_t m, std::int64_t n, std::int64_t k, MatrixView a, MatrixView b, Real* c, std::int64_t ldc,
          bool accumulate) {
    if (m == 0 || n == 0) return;
    const std::int64_t row_tiles = (m + tile_rows - 1) / tile_rows, col_tiles = (n + tile_cols - 1) / tile_cols;
    parallel_for(row_tiles * col_tiles, [&](std::int64_t tile) {
        const std::int64_t i = tile / col_tiles * tile_rows, j = tile % col_tiles * tile_cols;
        gemm_tile(std::min(tile_rows, m - i), std::min(tile_cols, n - j), k, {at(a, i, 0), a.stride, a.transposed},
                  {at(b, 0, j), b.stride, b.transposed}, c + i * ldc + j, ldc, accumulate);
    });
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
