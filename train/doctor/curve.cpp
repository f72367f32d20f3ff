#include "train/doctor/curve.h"

#include <algorithm>
#include <cmath>

namespace solobox::doctor {

double median_of(std::vector<double> values) {
    if (values.empty()) return std::nan("");
    std::sort(values.begin(), values.end());
    const std::size_t n = values.size();
    return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

double noise_of(const Rows& rows) {
    if (rows.size() < 4) return 0;
    // Second differences: a steady rise or a bend leaves nothing in them. Their deviation is that of a value times the
    // root of 1 + 4 + 1.
    std::vector<double> bends;
    for (std::size_t i = 2; i < rows.size(); ++i)
        bends.push_back(std::abs(rows[i].second - 2 * rows[i - 1].second + rows[i - 2].second));
    constexpr double normal = 1.4826;  // deviation over median distance, of normal noise
    return normal * median_of(std::move(bends)) / std::sqrt(6.0);
}

Rows smoothed(const Rows& rows) {
    if (rows.size() < 5) return rows;
    Rows out = rows;
    for (std::size_t i = 1; i + 1 < rows.size(); ++i)
        out[i].second = median_of({rows[i - 1].second, rows[i].second, rows[i + 1].second});
    const std::size_t n = rows.size();
    out[n - 1].second = median_of({rows[n - 3].second, rows[n - 2].second, rows[n - 1].second});
    return out;
}

double level_at_end(const Rows& rows) {
    const std::size_t n = rows.size();
    if (n < 6) return rows.back().second;
    return median_of({rows[n - 3].second, rows[n - 2].second, rows[n - 1].second});
}

double slope_of(const Rows& rows) {
    std::vector<double> slopes;
    for (std::size_t i = 0; i < rows.size(); ++i)
        for (std::size_t k = i + 1; k < rows.size(); ++k)
            if (rows[k].first > rows[i].first)
                slopes.push_back((rows[k].second - rows[i].second) / (rows[k].first - rows[i].first));
    return slopes.empty() ? 0 : median_of(std::move(slopes));
}

}  // namespace solobox::doctor
