// What a predictor that never looks at the picture can reach: the mean box and the best constant box. Beside these
// stands every IoU that solobox prints. Pure functions of the boxes; double precision; deterministic.
#pragma once

#include <vector>

#include "data/types.h"

namespace solobox {

// Intersection over union, corners clamped to [0, 1], in [0, 1]; 0 when the union is empty.
double unit_iou(const UnitBox& a, const UnitBox& b);
double mean_unit_iou(const UnitBox& box, const std::vector<UnitBox>& truth);  // 0 without boxes

UnitBox mean_box(const std::vector<UnitBox>& boxes);    // coordinate by coordinate; the whole picture without boxes
UnitBox median_box(const std::vector<UnitBox>& boxes);  // likewise; mean of the two middle values

// The constant box with the highest mean unit_iou on `boxes`, found by pattern search from the mean, the median and a
// few of the boxes themselves, steps shrinking to 1e-6. Never below mean_box and median_box.
UnitBox best_constant_box(const std::vector<UnitBox>& boxes);

struct Spread {
    double min = 0, median = 0, mean = 0, max = 0;
};
Spread spread_of(std::vector<double> values);  // zeros for none

}  // namespace solobox
