// The sections of the report page, one function each. Every function returns well-formed markup, or "" when its part of
// the report is empty.
#pragma once

#include <string>
#include <vector>

#include "train/report/report.h"

namespace solobox::report_parts {

// Positions of round numbers (1, 2 or 5 times a power of ten) within [low, high], about `wanted` of them.
struct Ticks {
    std::vector<double> at;
    std::vector<std::string> labels;
};
Ticks linear_ticks(double low, double high, int wanted);
Ticks decade_ticks(double log10_low, double log10_high, int wanted);  // `at` in log10

std::string dots(const Report& report);
std::string fields(const Report& report);
std::string plots(const Report& report);
std::string pictures(const Report& report);
std::string tables(const Report& report);

// What the newest recorded value of a series says.
enum class Flow { fine, zero, missing, not_finite };
struct FlowState {
    Flow flow = Flow::fine;
    double last = 0;        // newest recorded value; NaN when there is none
    std::size_t since = 0;  // index of the first of the trailing zeros or gaps
    bool always = false;    // never anything else
};
// `newest` is the last index at which any layer has a value; a layer without one there is missing.
FlowState flow_state(const std::vector<double>& series, std::size_t newest);

std::string layers(const Report& report);

}  // namespace solobox::report_parts
