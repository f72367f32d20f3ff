// The inner loops for avx2. Compiled with that instruction set alone; everything with external linkage is the table.
#include "tensor/kernels/dispatch.h"

#define ISA_LANES 8
#define ISA_MR 6
#define ISA_VECTORS 2

namespace solobox::avx2 {

#include "tensor/kernels/isa_body.h"

using T = float;
#define ROW_LANES ISA_LANES
#include "tensor/kernels/act_body.h"
#include "tensor/kernels/rows_body.h"
#include "tensor/kernels/winograd_body.h"

const Isa table{ISA_MR, nr, gemm_block, gemm_rows, row_table, winograd_table, multiply_adds, 2 * chains* ISA_LANES};

}  // namespace solobox::avx2
