// One row per op, layer, loss and model: how to make a small case of it. The table serves the gradient check, the
// comparison of float kernels with double ones, and the timings; a test fails when an op has no row.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "nn/visit.h"
#include "tensor/ops.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// One concrete case: the tensors to differentiate by, and the function of them.
struct OpCase {
    std::string shapes;  // for the table that users read
    std::vector<std::shared_ptr<Parameter>> inputs;
    std::function<Var()> run;          // reads the inputs through use()
    std::vector<NamedParameter> more;  // a model's own parameters
    std::shared_ptr<void> owner;       // keeps a model alive
};

struct OpRow {
    std::string name;   // the op's name on the tape, or the layer's, loss's or model's
    std::string group;  // op | layer | loss | model
    std::function<std::vector<OpCase>(std::uint64_t seed)> cases;
};

const std::vector<OpRow>& ops_table();

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
