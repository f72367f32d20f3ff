#include "train/experiment/statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

namespace solobox::statistics {
namespace {

constexpr double speaks_against = 0.01;  // of a normal distribution

// The regularized incomplete beta function, x below (a + 1) / (a + b + 2): its continued fraction (Abramowitz and
// Stegun 26.5.8), evaluated by Lentz's method.
double beta_fraction(double a, double b, double x) {
    const double tiny = std::numeric_limits<double>::min() / std::numeric_limits<double>::epsilon();
    const auto away = [&](double v) { return std::abs(v) < tiny ? tiny : v; };
    double c = 1, d = 1 / away(1 - (a + b) * x / (a + 1)), value = d;
    for (int m = 1; m < 10'000; ++m) {
        for (const double step : {m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
                                  -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))}) {
            d = 1 / away(1 + step * d);
            c = away(1 + step / c);
            value *= c * d;
        }
        if (std::abs(c * d - 1) < 1e-16) break;
    }
    return value *
           std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) + b * std::log1p(-x)) / a;
}

double normal_share(double z) { return std::erfc(-z / std::numbers::sqrt2) / 2; }

// The argument at which a growing function reaches `target`, between `low` and `high`, to the last digit.
template <class Growing>
double solve(Growing f, double target, double low, double high) {
    for (int i = 0; i < 2000; ++i) {
        const double middle = low + (high - low) / 2;
        if (middle <= low || middle >= high) break;
        (f(middle) < target ? low : high) = middle;
    }
    return low + (high - low) / 2;
}

// Rounding alone does not make a spread.
bool all_same(const std::vector<double>& values) {
    return std::all_of(values.begin(), values.end(), [&](double v) { return v == values.front(); });
}

double polynomial(std::initializer_list<double> coefficients, double x) {  // the constant first
    double value = 0, power = 1;
    for (const double c : coefficients) value += c * power, power *= x;
    return value;
}

// The weights of the ordered values in Shapiro and Wilk's statistic, of the upper half (Royston 1992).
std::vector<double> royston_weights(std::size_t n) {
    const double size = static_cast<double>(n), root = 1 / std::sqrt(size);
    std::vector<double> m(n / 2);
    double squares = 0;
    for (std::size_t i = 0; i < m.size(); ++i) {
        const double share = (size - static_cast<double>(i) - 0.375) / (size + 0.25);
        m[i] = solve(normal_share, share, 0, 40);
        squares += 2 * m[i] * m[i];
    }
    if (n == 3) return {std::numbers::sqrt2 / 2};
    std::vector<double> a(m.size());
    a[0] = m[0] / std::sqrt(squares) + polynomial({0, 0.221157, -0.147981, -2.07119, 4.434685, -2.706056}, root);
    std::size_t own = 1;
    double left = squares - 2 * m[0] * m[0], taken = 1 - 2 * a[0] * a[0];
    if (n > 5) {
        a[1] = m[1] / std::sqrt(squares) + polynomial({0, 0.042981, -0.293762, -1.752461, 5.682633, -3.582633}, root);
        own = 2, left -= 2 * m[1] * m[1], taken -= 2 * a[1] * a[1];
    }
    for (std::size_t i = own; i < a.size(); ++i) a[i] = m[i] / std::sqrt(left / taken);
    return a;
}

}  // namespace

double mean(const std::vector<double>& values) {
    if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double deviation(const std::vector<double>& values) {
    if (values.size() < 2) return std::numeric_limits<double>::quiet_NaN();
    const double m = mean(values);
    double squares = 0;
    for (const double v : values) squares += (v - m) * (v - m);
    return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

double student_two_sided(double t, double freedom) {
    if (std::isinf(t)) return 0;
    // Whichever of the two ratios is the smaller has all its digits.
    const double far = t * t / (freedom + t * t), near = freedom / (freedom + t * t), a = freedom / 2;
    return near < (a + 1) / (a + 2.5) ? beta_fraction(a, 0.5, near) : 1 - (t == 0 ? 0 : beta_fraction(0.5, a, far));
}

double student_quantile(double tail, double freedom) {
    double high = 1;
    while (student_two_sided(high, freedom) > 2 * tail && high < 1e300) high *= 2;
    return solve([&](double t) { return -student_two_sided(t, freedom); }, -2 * tail, 0, high);
}

std::optional<Interval> mean_interval(const std::vector<double>& values, double level) {
    if (values.size() < 2) return std::nullopt;
    if (all_same(values)) return Interval{values.front(), values.front()};
    const double n = static_cast<double>(values.size()), at = mean(values);
    const double reach = student_quantile((1 - level) / 2, n - 1) * deviation(values) / std::sqrt(n);
    return Interval{at - reach, at + reach};
}

std::optional<double> p_value(const std::vector<double>& values, double expected) {
    if (values.size() < 2) return std::nullopt;
    if (all_same(values)) return values.front() == expected ? 1 : 0;
    const double n = static_cast<double>(values.size());
    return student_two_sided((mean(values) - expected) / (deviation(values) / std::sqrt(n)), n - 1);
}

std::vector<double> holm(const std::vector<double>& p) {
    std::vector<std::size_t> order(p.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] < p[b]; });
    std::vector<double> out(p.size());
    double before = 0;
    for (std::size_t k = 0; k < order.size(); ++k)
        out[order[k]] = before = std::min(1.0, std::max(before, static_cast<double>(p.size() - k) * p[order[k]]));
    return out;
}

std::optional<double> normality(const std::vector<double>& values) {
    const std::size_t n = values.size();
    if (n < 3 || n > 5000 || all_same(values)) return std::nullopt;
    std::vector<double> x = values;
    std::sort(x.begin(), x.end());
    const std::vector<double> a = royston_weights(n);
    const double at = mean(x), size = static_cast<double>(n);
    double spread = 0, squares = 0;
    for (std::size_t i = 0; i < a.size(); ++i) spread += a[i] * (x[n - 1 - i] - x[i]);
    for (const double v : x) squares += (v - at) * (v - at);
    const double w = std::min(1.0, spread * spread / squares);
    if (n == 3)  // exact
        return std::clamp(6 / std::numbers::pi * (std::asin(std::sqrt(w)) - std::asin(std::sqrt(0.75))), 0.0, 1.0);
    double y = std::log1p(-w), middle = 0, width = 0;
    if (n <= 11) {
        const double edge = polynomial({-2.273, 0.459}, size);
        if (y >= edge) return 1e-99;
        y = -std::log(edge - y);
        middle = polynomial({0.544, -0.39978, 0.025054, -6.714e-4}, size);
        width = std::exp(polynomial({1.3822, -0.77857, 0.062767, -0.0020322}, size));
    } else {
        const double logarithm = std::log(size);
        middle = polynomial({-1.5861, -0.31082, -0.083751, 0.0038915}, logarithm);
        width = std::exp(polynomial({-0.4803, -0.082676, 0.0030302}, logarithm));
    }
    return normal_share(-(y - middle) / width);
}

std::optional<Outlier> outlier(const std::vector<double>& values) {
    if (values.size() < 3 || all_same(values)) return std::nullopt;
    const double n = static_cast<double>(values.size()), at = mean(values), sd = deviation(values);
    Outlier o;
    for (std::size_t i = 0; i < values.size(); ++i)
        if (std::abs(values[i] - at) > std::abs(values[o.at] - at)) o.at = i;
    // The statistic is a function of the value's own t against the others (Grubbs 1950), one of n that could have been.
    const double g = std::abs(values[o.at] - at) / sd, rest = (n - 1) * (n - 1) - n * g * g;
    const double t = rest > 0 ? g * std::sqrt(n * (n - 2) / rest) : std::numeric_limits<double>::infinity();
    o.p = std::min(1.0, n * student_two_sided(t, n - 2));
    return o;
}

std::string caution(const std::vector<double>& values, const std::vector<std::string>& names) {
    if (const auto far = outlier(values); far && far->p < speaks_against) {
        std::vector<double> others = values;
        others.erase(others.begin() + static_cast<std::ptrdiff_t>(far->at));
        const auto without = mean_interval(others);
        return fmt::format("{} stands apart (Grubbs' test, p = {:.2g}): without it {:+.4f}{}", names.at(far->at),
                           far->p, mean(others),
                           without ? fmt::format(" [{:+.4f}, {:+.4f}]", without->low, without->high) : "");
    }
    if (const auto p = normality(values); p && *p < speaks_against)
        return fmt::format("the values do not look normal (Shapiro-Wilk, p = {:.2g}): the interval may mislead", *p);
    return "";
}

std::size_t values_needed(double effect, double deviation, double level, std::size_t most) {
    constexpr double power = 0.8;
    for (std::size_t n = 2; n < most; n += n < 100 ? 1 : n / 100) {
        const double freedom = static_cast<double>(n - 1);
        const double reach = student_quantile(level / 2, freedom) + student_quantile(1 - power, freedom);
        if (std::abs(effect) >= reach * deviation / std::sqrt(static_cast<double>(n))) return n;
    }
    return most;
}

}  // namespace solobox::statistics
