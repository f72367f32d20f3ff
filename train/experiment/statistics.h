// What a handful of repeated runs says about a mean: Student's t, the same method at every n.
//
// Differences of two arms that share a seed are close to normal, and with five of them a method that also estimates the
// shape (a bootstrap) pays for it with intervals half as wide again. Where the values speak against a normal
// distribution, `caution` says so beside the interval, and the interval stays what it is.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace solobox::statistics {

double mean(const std::vector<double>& values);       // NaN for none
double deviation(const std::vector<double>& values);  // n - 1 in the denominator; NaN for fewer than two

// Student's distribution: P(|T| > |t|), and the t that T exceeds with probability `tail` (0 to 0.5). `freedom` > 0.
double student_two_sided(double t, double freedom);
double student_quantile(double tail, double freedom);

struct Interval {
    double low = 0, high = 0;
    bool holds(double v) const { return low <= v && v <= high; }
};

// Equal-tailed interval of the mean; nothing for fewer than two values. Paired differences go in as values.
std::optional<Interval> mean_interval(const std::vector<double>& values, double level = 0.95);

// The probability of a mean at least as far from `expected`, were that the truth; nothing for fewer than two values.
// Values that are all the same have 1 or 0.
std::optional<double> p_value(const std::vector<double>& values, double expected = 0);

// Holm's correction (1979): what each of several p-values is worth when the smallest was looked for. In their order.
std::vector<double> holm(const std::vector<double>& p);

// How likely so uneven a sample is, were it normal (Shapiro and Wilk 1965, by Royston's approximation of 1995).
// Nothing for fewer than three values, or more than 5000, or all the same.
std::optional<double> normality(const std::vector<double>& values);

struct Outlier {
    std::size_t at = 0;  // index of the value
    double p = 0;        // Grubbs' test: how likely so far a value is among so many, were they normal
};
std::optional<Outlier> outlier(const std::vector<double>& values);  // the farthest of at least three

// Why Student's t should not be trusted here; "" where nothing speaks against it at 1 %. `names` of the values, e.g.
// "seed 3".
std::string caution(const std::vector<double>& values, const std::vector<std::string>& names);

// How many values are needed for a two-sided test at `level` to find a mean that lies `effect` from what is expected in
// four of five cases, at this deviation. At most `most`: that many or more.
std::size_t values_needed(double effect, double deviation, double level = 0.05, std::size_t most = 10'000);

}  // namespace solobox::statistics
