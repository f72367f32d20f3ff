// See map.h.
#include "train/report/map.h"

#include <algorithm>
#include <cmath>

#include "data/image/image.h"

namespace solobox::report_parts {

const Palette viridis = {{{68, 1, 84},
                          {72, 36, 117},
                          {65, 68, 135},
                          {53, 95, 141},
                          {42, 120, 142},
                          {33, 145, 140},
                          {34, 168, 132},
                          {68, 191, 112},
                          {122, 209, 81},
                          {189, 223, 38},
                          {253, 231, 37}}};
const Palette inferno = {{{0, 0, 4},
                          {22, 11, 57},
                          {66, 10, 104},
                          {106, 23, 110},
                          {147, 38, 103},
                          {188, 55, 84},
                          {221, 81, 58},
                          {243, 120, 25},
                          {252, 165, 10},
                          {246, 215, 70},
                          {252, 255, 164}}};

namespace {

constexpr std::size_t max_columns = 120;
constexpr double no_number = std::numeric_limits<double>::quiet_NaN(),
                 infinity = std::numeric_limits<double>::infinity();
constexpr Rgb no_value{128, 132, 138}, zero_value{214, 48, 49}, overflow_value{255, 0, 200};

Rgb shade(const Palette& palette, double fraction) {
    const double at = std::clamp(fraction, 0.0, 1.0) * static_cast<double>(palette.size() - 1);
    const auto i = std::min(static_cast<std::size_t>(at), palette.size() - 2);
    const double part = at - static_cast<double>(i);
    const auto mix = [&](int a, int b) { return static_cast<std::uint8_t>(std::lround(a + (b - a) * part)); };
    const Rgb &a = palette[i], &b = palette[i + 1];
    return {mix(a.r, b.r), mix(a.g, b.g), mix(a.b, b.b)};
}

// Several steps in one cell: the mean (of the logarithms on a log scale) of what is neither 0 nor missing.
double cell_of(const std::vector<double>& series, std::size_t begin, std::size_t end, bool log_scale) {
    double sum = 0;
    std::size_t count = 0, zeros = 0;
    for (std::size_t i = begin; i < std::min(end, series.size()); ++i) {
        const double v = series[i];
        if (std::isnan(v)) continue;
        if (std::isinf(v)) return infinity;
        if (log_scale && v <= 0) {
            ++zeros;
            continue;
        }
        sum += log_scale ? std::log10(v) : v;
        ++count;
    }
    if (count == 0) return zeros > 0 ? 0 : no_number;
    const double mean = sum / static_cast<double>(count);
    return log_scale ? std::pow(10, mean) : mean;
}

bool has_value(const std::vector<double>& series) {
    return std::any_of(series.begin(), series.end(), [](double v) { return !std::isnan(v); });
}

void set_colour_range(Map& map, bool log_scale) {
    if (!log_scale) return;
    double low = infinity, high = -infinity;
    for (const auto& row : map.cells) {
        for (const double v : row) {
            if (!(v > 0) || std::isinf(v)) continue;
            low = std::min(low, std::log10(v));
            high = std::max(high, std::log10(v));
        }
    }
    if (!(low <= high)) low = high = 0;
    low = std::max(low, high - 10);  // ten decades are enough for any eye
    if (high - low < 1) low = (low + high) / 2 - 0.5, high = low + 1;
    map.low = low;
    map.high = high;
}

Rgb cell_colour(const MapSpec& spec, const Map& map, double v) {
    if (std::isnan(v)) return no_value;
    if (std::isinf(v)) return overflow_value;
    if (spec.log_scale && v <= 0) return spec.zero_word.empty() ? shade(*spec.palette, 0) : zero_value;
    const double at = spec.log_scale ? std::log10(v) : v;
    return shade(*spec.palette, (at - map.low) / (map.high - map.low));
}

}  // namespace

Map build_map(const Report& report, const MapSpec& spec) {
    Map map;
    map.steps = report.layer_steps.size();
    bool any = false;
    for (const ReportLayer& layer : report.layers) {
        const auto& series = spec.series(layer);
        any = any || has_value(series);
        if (spec.missing_word.empty() && !has_value(series)) continue;
        map.rows.push_back(&layer);
        map.steps = std::max(map.steps, series.size());
    }
    if (!any) map.rows.clear();
    std::size_t newest = 0;
    for (const ReportLayer* layer : map.rows) {
        const auto& series = spec.series(*layer);
        for (std::size_t i = newest; i < series.size(); ++i) newest = std::isnan(series[i]) ? newest : i;
    }
    map.columns = std::min(map.steps, max_columns);
    for (const ReportLayer* layer : map.rows) {
        const auto& series = spec.series(*layer);
        map.states.push_back(flow_state(series, newest));
        std::vector<double> row;
        for (std::size_t c = 0; c < map.columns; ++c)
            row.push_back(
                cell_of(series, c * map.steps / map.columns, (c + 1) * map.steps / map.columns, spec.log_scale));
        map.cells.push_back(std::move(row));
    }
    set_colour_range(map, spec.log_scale);
    return map;
}

std::string cells_image(const MapSpec& spec, const Map& map) {
    Image image = make_canvas(static_cast<int>(map.columns), static_cast<int>(map.rows.size()), no_value);
    for (std::size_t r = 0; r < map.rows.size(); ++r) {
        for (std::size_t c = 0; c < map.columns; ++c) {
            const auto x = static_cast<std::int64_t>(c), y = static_cast<std::int64_t>(r);
            fill_rect(image, {x, y, x + 1, y + 1}, cell_colour(spec, map, map.cells[r][c]));
        }
    }
    return "data:image/png;base64," + base64(encode_png(image));
}

FlowState flow_state(const std::vector<double>& series, std::size_t newest) {
    FlowState state;
    state.last = no_number;
    state.always = true;
    bool trailing = true;  // still inside the zeros at the end
    for (std::size_t i = series.size(); i-- > 0;) {
        const double v = series[i];
        if (std::isnan(v)) continue;
        if (std::isnan(state.last)) {
            state.last = v;
            state.flow = std::isinf(v) ? Flow::not_finite : v == 0 ? Flow::zero : Flow::fine;
            if (i < newest) {
                state.flow = Flow::missing;
                state.since = i + 1;
                state.always = false;
                return state;
            }
        }
        trailing = trailing && v == 0;
        if (trailing) state.since = i;
        if (v != 0) {
            state.always = false;
            break;
        }
    }
    if (std::isnan(state.last)) state.flow = Flow::missing;
    return state;
}

}  // namespace solobox::report_parts
