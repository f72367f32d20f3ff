// The numbers behind a heat map of the report: which rows, which cells, which colours, and what each row's newest value
// says. The markup around it is in report_layers.cpp.
#pragma once

#include <array>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "data/image/draw.h"
#include "train/report/parts.h"

namespace solobox::report_parts {

// Ordered in lightness and safe for colour-blind eyes: viridis and inferno (matplotlib, CC0), sampled at eleven points
// and interpolated.
using Palette = std::array<Rgb, 11>;
extern const Palette viridis, inferno;

// What one map shows and how it names a row that has nothing to show.
struct MapSpec {
    std::string id, title, unit, lead;
    const Palette* palette = &viridis;
    bool log_scale = true;
    std::string zero_word, zero_meaning;  // of a row whose newest value is exactly 0; empty: a 0 is nothing special
    std::string missing_word;             // of a row that stopped being recorded while others go on
    std::function<const std::vector<double>&(const ReportLayer&)> series;
    std::function<std::string(double)> print;
    double alarming = std::numeric_limits<double>::infinity();  // a newest value at or above this is shown in red
};

struct Map {
    std::vector<const ReportLayer*> rows;
    std::vector<FlowState> states;
    std::vector<std::vector<double>> cells;  // (rows, columns); 0, NaN and infinity mean themselves
    std::size_t steps = 0, columns = 0;
    double low = 0, high = 1;  // of the colours; log10 on a log scale
};

// At most 120 columns, whatever the number of steps. No rows when no layer has a value.
Map build_map(const Report& report, const MapSpec& spec);

// One pixel per cell, as a data URI.
std::string cells_image(const MapSpec& spec, const Map& map);

}  // namespace solobox::report_parts
