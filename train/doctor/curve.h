// Curves with their noise: what the rules that read whole curves measure them by.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace solobox::doctor {

using Rows = std::vector<std::pair<double, double>>;  // (epoch, value)

double median_of(std::vector<double> values);  // NaN of none

// The standard deviation of a value around a smooth curve: from the spread of the differences of neighbours, by their
// median, so that a single jump counts little. 0 for fewer than four rows.
double noise_of(const Rows& rows);

// Each value as the median of itself and its neighbours: one lucky or unlucky row is gone. Fewer than five rows stay.
Rows smoothed(const Rows& rows);

// The median of the last three values (of fewer than six rows: the last one).
double level_at_end(const Rows& rows);

// The median of the slopes between all pairs (Theil and Sen), per epoch.
double slope_of(const Rows& rows);

}  // namespace solobox::doctor
