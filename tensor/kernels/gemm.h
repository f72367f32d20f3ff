// Matrix multiplication on raw pointers. The one door to BLAS.
#pragma once

#include <cstdint>

#include "tensor/real.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// How a matrix lies in memory: row-major with `stride` elements from row to row, read as stored or transposed.
struct MatrixView {
    const Real* data;
    std::int64_t stride;
    bool transposed = false;
};

// c (m, n, row stride ldc) = a (m, k) * b (k, n), or += when `accumulate`. Bits do not depend on the thread count.
void gemm(std::int64_t m, std::int64_t n, std::int64_t k, MatrixView a, MatrixView b, Real* c, std::int64_t ldc,
          bool accumulate = false);

// The readable twin: three loops.
void gemm_reference(std::int64_t m, std::int64_t n, std::int64_t k, MatrixView a, MatrixView b, Real* c,
                    std::int64_t ldc, bool accumulate = false);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
