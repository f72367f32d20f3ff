// Which kernels run: found once from the CPU, or set by SOLOBOX_KERNELS=ref|generic|avx2|avx512.
#pragma once

#include <cstdint>
#include <string>

#include "tensor/kernels/rows.h"
#include "tensor/kernels/winograd.h"

namespace solobox {

enum class Kernels { reference, generic, avx2, avx512 };

// Throws ConfigError when SOLOBOX_KERNELS names something unknown or something that this CPU cannot run.
Kernels active_kernels();
bool cpu_supports(Kernels kernels);
void force_kernels(Kernels kernels);  // tests and benchmarks; ConfigError when the CPU cannot
const char* name_of(Kernels kernels);
std::string blas_name();  // for env.json; also pins BLAS to one thread per call

// The inner loops that exist once per instruction set. Raw pointers, no threads: callers cut the work into tiles.
struct Isa {
    int mr, nr;  // rows and columns of the register tile

    // c (m, n; row stride ldc) = [or += when accumulate] a b, where a(i, k) = a[i * ars + k * aks], one of
    // ars and aks 1, and b comes in panels of nr columns: b[(j / nr) * panel + k * ldb + j % nr], the last panel
    // readable to its full width. `bias` (n, or null) starts the sums when not accumulating.
    void (*gemm_block)(std::int64_t m, std::int64_t n, std::int64_t kc, const float* a, std::int64_t ars,
                       std::int64_t aks, const float* b, std::int64_t ldb, std::int64_t panel, float* c,
                       std::int64_t ldc, const float* bias, bool accumulate);
    // The batch-reduce form: rows of a anywhere in memory, and K in segments of kc, all shifted alike:
    // a(i, segment * kc + k) = a[i][offsets[segment] + k * step].
    void (*gemm_rows)(std::int64_t m, std::int64_t n, std::int64_t kc, const float* const* a, std::int64_t step,
                      const std::int64_t* offsets, std::int64_t segments, const float* b, std::int64_t ldb,
                      std::int64_t panel, float* c, std::int64_t ldc, const float* bias, bool accumulate);

    RowKernels<float> rows;
    WinogradKernels winograd;

    // Multiply-adds in registers alone, for benchmarks: the peak of this instruction set.
    float (*multiply_adds)(long rounds);
    int flops_per_round;
};

const Isa& isa(Kernels kernels);                // not for Kernels::reference
const RowKernels<float>& row_kernels(float);    // of the active kernels
const RowKernels<double>& row_kernels(double);  // always the reference

namespace generic {
extern const Isa table;
}
namespace avx2 {
extern const Isa table;
}
namespace avx512 {
extern const Isa table;
}

}  // namespace solobox
