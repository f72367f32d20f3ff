// What a handful of repeated runs says about a mean: intervals that keep their promise with five seeds.
//
// The bootstrap-t (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 12.5) resamples the values and
// looks at (mean* - mean) / standard error*, so it knows that a spread estimated from five values is itself uncertain.
// The percentile bootstrap does not: at n = 5 its 95 % interval covers the truth in 83 % of cases.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace solobox::statistics {

double mean(const std::vector<double>& values);       // NaN for none
double deviation(const std::vector<double>& values);  // n - 1 in the denominator; NaN for fewer than two

struct Interval {
    double low = 0, high = 0;
    bool holds(double v) const { return low <= v && v <= high; }
};

enum class Method {
    none,         // fewer than two values: nothing can be said
    exact,        // all values are the same
    student,      // two to four: of so few, too many resamples have no spread; assumes a normal distribution
    bootstrap_t,  // five and more
};
const char* name_of(Method method);  // "bootstrap-t"
Method method_for(const std::vector<double>& values);

// Equal-tailed interval of the mean. Up to seven values every resample is counted, beyond that 1999 are drawn: the
// answer is a function of the values and their order. Paired differences go in as values. Nothing for fewer than two.
std::optional<Interval> mean_interval(const std::vector<double>& values, double level = 0.95);

// The method whose coverage is known to be too small, for the lesson and for the test that shows it.
std::optional<Interval> percentile_interval(const std::vector<double>& values, double level = 0.95);

}  // namespace solobox::statistics
