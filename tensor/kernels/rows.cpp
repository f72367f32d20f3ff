// The reference copies of the row loops.
#include "tensor/kernels/rows.h"

#include "tensor/kernels/act.h"

#define ROW_EXACT

namespace solobox::reference {

namespace single {
using T = float;
#define ROW_LANES 4
#include "tensor/kernels/act_body.h"
#include "tensor/kernels/rows_body.h"
}  // namespace single
namespace twice {
#undef ROW_LANES
#define ROW_LANES 2
using T = double;
#undef WITH_ACT
#include "tensor/kernels/act_body.h"
#include "tensor/kernels/rows_body.h"
}  // namespace twice

const RowKernels<float>& row_kernels_float() { return single::row_table; }
const RowKernels<double>& row_kernels_double() { return twice::row_table; }

}  // namespace solobox::reference
