// The inner loops for any CPU: vectors of four, which every compiler turns into what the base instruction set has (SSE2
// on x86-64, NEON on AArch64).
#include "tensor/kernels/dispatch.h"

#define ISA_LANES 4
#define ISA_VECTORS 2
#if defined(__aarch64__)
#define ISA_MR 10  // 20 of 32 registers hold sums
#else
#define ISA_MR 6  // 12 of 16
#endif

namespace solobox::generic {

#include "tensor/kernels/isa_body.h"

using T = float;
#define ROW_LANES ISA_LANES
#include "tensor/kernels/act_body.h"
#include "tensor/kernels/rows_body.h"
#include "tensor/kernels/winograd_body.h"

const Isa table{ISA_MR, nr, gemm_block, gemm_rows, row_table, winograd_table, multiply_adds, 2 * chains* ISA_LANES};

}  // namespace solobox::generic
