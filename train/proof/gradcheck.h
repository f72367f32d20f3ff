// Is the backward of an op the derivative of its forward? Central differences in double against the tape.
//
// For a random upstream gradient u and L = sum(u * f(x)): numeric dL/dx_i = (L(x + h e_i) - L(x - h e_i)) / 2h with
// h = 1e-6. Error of a tensor = max |analytic - numeric| / max |numeric|. Values that the op declares constant in
// backward are held fixed in the numeric function too. A coordinate whose two one-sided differences disagree lies
// within h of a kink (a sign or an arg-max changes there): it is drawn anew and counted. Gradients start non-zero, so
// that an op which assigns instead of adding is caught.
#pragma once

#include <string>
#include <vector>

#include "train/proof/ops_table.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

struct GradcheckResult {
    std::string name, group, shapes;
    double error = 0;              // the largest over the case's tensors
    std::int64_t coordinates = 0;  // compared
    std::int64_t kinks = 0;        // drawn anew
    std::string worst;             // which tensor and element, its value and both gradients
    bool pass = false;
};

constexpr double gradcheck_tolerance = 1e-6;

GradcheckResult gradcheck(const OpRow& row, const OpCase& c, std::uint64_t seed, std::int64_t max_coordinates = 200);

// Every case of every row whose name or group is `only` (all when empty). ConfigError with the nearest name when
// nothing matches.
std::vector<GradcheckResult> run_gradcheck(const std::string& only, std::uint64_t seed = 0);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
