#include "train/experiment/statistics.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <numeric>

#include "tensor/random.h"

namespace solobox::statistics {
namespace {

constexpr std::size_t counted_up_to = 7;  // values; 1716 different resamples
constexpr int drawn = 1999;               // (drawn + 1) * 0.025 is a whole number

struct Weighted {
    double value, weight;
};

// Every multiset of n values with its probability, or `drawn` random ones: `see` gets how often each value stands in
// it.
void each_resample(std::size_t n, const std::function<void(const std::vector<int>& counts, double weight)>& see) {
    std::vector<int> counts(n, 0);
    if (n > counted_up_to) {
        Random random({0, Stream::resample});
        for (int b = 0; b < drawn; ++b) {
            std::fill(counts.begin(), counts.end(), 0);
            for (std::size_t i = 0; i < n; ++i) ++counts[(std::uint64_t{random.next()} * n) >> 32];
            see(counts, 1.0 / drawn);
        }
        return;
    }
    // n! / (k_1! .. k_n!) of the n^n sequences have these counts.
    const double all = std::pow(static_cast<double>(n), static_cast<double>(n));
    const std::function<void(std::size_t, int, double)> choose = [&](std::size_t at, int left, double ways) {
        if (at + 1 == n) {
            counts[at] = left;
            see(counts, ways / all);
            return;
        }
        double choices = 1;  // left over k
        for (int k = 0; k <= left; ++k) {
            counts[at] = k;
            choose(at + 1, left - k, ways * choices);
            choices = choices * (left - k) / (k + 1);
        }
    };
    choose(0, static_cast<int>(n), 1);
}

// The smallest values that at least the shares `low` and `high` of the weights do not exceed.
Interval quantiles(std::vector<Weighted>& sample, double low, double high) {
    std::sort(sample.begin(), sample.end(), [](const Weighted& a, const Weighted& b) { return a.value < b.value; });
    const auto at = [&](double share) {
        double sum = 0;
        for (const Weighted& w : sample)
            if ((sum += w.weight) >= share - 1e-9) return w.value;
        return sample.back().value;
    };
    return {at(low), at(high)};
}

struct Moments {
    double mean = 0, error = 0;  // error: standard error of the mean
};
Moments moments(const std::vector<double>& values, const std::vector<int>& counts) {
    const double n = static_cast<double>(values.size());
    Moments m;
    for (std::size_t i = 0; i < values.size(); ++i) m.mean += counts[i] * values[i] / n;
    double squares = 0;
    for (std::size_t i = 0; i < values.size(); ++i) squares += counts[i] * (values[i] - m.mean) * (values[i] - m.mean);
    m.error = std::sqrt(squares / (n - 1) / n);
    return m;
}

// Student's distribution function for one, two and three degrees of freedom, where it has a closed form.
double student_share(double t, std::size_t freedom) {
    if (freedom == 1) return 0.5 + std::atan(t) / std::numbers::pi;
    if (freedom == 2) return 0.5 + t / (2 * std::sqrt(2 + t * t));
    const double s = t / std::numbers::sqrt3;
    return 0.5 + (s / (1 + s * s) + std::atan(s)) / std::numbers::pi;
}

double student_quantile(double p, std::size_t freedom) {
    double low = -1e6, high = 1e6;
    for (int i = 0; i < 200; ++i) {
        const double middle = (low + high) / 2;
        (student_share(middle, freedom) < p ? low : high) = middle;
    }
    return (low + high) / 2;
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

const char* name_of(Method method) {
    switch (method) {
        case Method::exact:
            return "exact";
        case Method::student:
            return "student-t";
        case Method::bootstrap_t:
            return "bootstrap-t";
        default:
            return "none";
    }
}

Method method_for(const std::vector<double>& values) {
    if (values.size() < 2) return Method::none;
    if (std::all_of(values.begin(), values.end(), [&](double v) { return v == values.front(); })) return Method::exact;
    return values.size() < 5 ? Method::student : Method::bootstrap_t;
}

std::optional<Interval> mean_interval(const std::vector<double>& values, double level) {
    const Method method = method_for(values);
    if (method == Method::none) return std::nullopt;
    if (method == Method::exact) return Interval{values.front(), values.front()};
    const double tail = (1 - level) / 2;
    const Moments here = moments(values, std::vector<int>(values.size(), 1));
    if (method == Method::student) {
        const double reach = student_quantile(1 - tail, values.size() - 1) * here.error;
        return Interval{here.mean - reach, here.mean + reach};
    }
    std::vector<Weighted> sample;
    each_resample(values.size(), [&](const std::vector<int>& counts, double weight) {
        const Moments m = moments(values, counts);
        const double distance = m.mean - here.mean;
        // A resample of one value alone has no spread: infinitely far out, on its side.
        const bool flat = m.error <= 1e-12 * here.error;
        const double t = !flat          ? distance / m.error
                         : distance > 0 ? std::numeric_limits<double>::infinity()
                         : distance < 0 ? -std::numeric_limits<double>::infinity()
                                        : 0;
        sample.push_back({t, weight});
    });
    const Interval t = quantiles(sample, tail, 1 - tail);
    return Interval{here.mean - t.high * here.error, here.mean - t.low * here.error};
}

std::optional<Interval> percentile_interval(const std::vector<double>& values, double level) {
    if (values.size() < 2) return std::nullopt;
    std::vector<Weighted> sample;
    each_resample(values.size(), [&](const std::vector<int>& counts, double weight) {
        sample.push_back({moments(values, counts).mean, weight});
    });
    return quantiles(sample, (1 - level) / 2, (1 + level) / 2);
}

}  // namespace solobox::statistics
