// Runs the cases of the ops table and hands out plain numbers, so that one program can compare the two precisions.
#pragma once

#include <string>
#include <vector>

#include "tensor/real.h"

namespace solobox {

struct RowResult {
    std::string what;  // "conv2d 3 output", "conv2d 3 grad 1"
    std::vector<double> numbers;
};

}  // namespace solobox

namespace solobox {
inline namespace SOLOBOX_PRECISION {

std::vector<std::string> row_names();
// Outputs and gradients (of one random upstream gradient) of every case of a row.
std::vector<RowResult> evaluate_row(const std::string& name);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
