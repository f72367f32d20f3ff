// Intervals of means over few seeds: known answers, and the coverage that they promise, on data whose truth is known.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numeric>

#include "tensor/random.h"
#include "tests/support/program.h"
#include "train/experiment/table.h"

namespace solobox {
namespace {

using statistics::Interval;
using statistics::mean_interval;
using Values = std::vector<double>;

constexpr int trials = fixtures::instrumented ? 200 : 2000, few_trials = 200;

TEST(Statistics, FewValuesSaySo) {
    EXPECT_TRUE(std::isnan(statistics::mean({})));
    EXPECT_TRUE(std::isnan(statistics::deviation({1})));
    EXPECT_FALSE(mean_interval({}).has_value());
    EXPECT_FALSE(mean_interval({0.5}).has_value());
    EXPECT_EQ(statistics::method_for({0.5}), statistics::Method::none);
    EXPECT_EQ(statistics::method_for({0.5, 0.6, 0.7, 0.8}), statistics::Method::student);
    EXPECT_EQ(statistics::method_for({0.5, 0.6, 0.7, 0.8, 0.9}), statistics::Method::bootstrap_t);
    const auto same = mean_interval({0.25, 0.25, 0.25, 0.25, 0.25});
    ASSERT_TRUE(same.has_value());
    EXPECT_EQ(same->low, 0.25);
    EXPECT_EQ(same->high, 0.25);
}

// Tables of Student's t: 12.7062 for one degree of freedom, 4.30265 for two, 3.18245 for three.
TEST(Statistics, TwoToFourValuesUseStudent) {
    const auto two = mean_interval({1, 3});
    ASSERT_TRUE(two.has_value());
    EXPECT_NEAR(two->high - 2, 12.7062 * std::sqrt(2.0) / std::sqrt(2.0), 1e-3);
    const auto three = mean_interval({1, 2, 3});
    ASSERT_TRUE(three.has_value());
    EXPECT_NEAR(three->high - 2, 4.30265 / std::sqrt(3.0), 1e-4);
    EXPECT_NEAR(three->low + three->high, 4, 1e-9);
    const auto four = mean_interval({0, 0, 1, 1});
    ASSERT_TRUE(four.has_value());
    EXPECT_NEAR(four->high - 0.5, 3.18245 * std::sqrt(1.0 / 3) / 2, 1e-5);
}

// Every one of the n^n resamples, one after the other, against the counted ones.
TEST(Statistics, CountedResamplesAreAllResamples) {
    const Values x{0.61, 0.64, 0.66, 0.59, 0.65};
    const double m = statistics::mean(x), root = std::sqrt(5.0), error = statistics::deviation(x) / root;
    Values t;
    for (int code = 0; code < 3125; ++code) {
        Values sample;
        for (int i = 0, c = code; i < 5; ++i, c /= 5) sample.push_back(x[static_cast<std::size_t>(c % 5)]);
        const double s = statistics::deviation(sample) / root, d = statistics::mean(sample) - m;
        t.push_back(s > 1e-12 ? d / s : d > 0 ? INFINITY : -INFINITY);
    }
    std::sort(t.begin(), t.end());
    // The smallest value that at least 2.5 % (78.1 of 3125) and 97.5 % (3046.9) do not exceed.
    const auto interval = mean_interval(x);
    ASSERT_TRUE(interval.has_value());
    EXPECT_NEAR(interval->high, m - t[78] * error, 1e-12);
    EXPECT_NEAR(interval->low, m - t[3046] * error, 1e-12);
}

TEST(Statistics, MovesWithTheValuesAndGrowsWithTheLevel) {
    const Values x{0.61, 0.64, 0.66, 0.59, 0.63};
    const Interval at = *mean_interval(x);
    Values moved;
    for (const double v : x) moved.push_back(10 - 3 * v);
    const Interval mirrored = *mean_interval(moved);
    EXPECT_NEAR(mirrored.low, 10 - 3 * at.high, 1e-9);
    EXPECT_NEAR(mirrored.high, 10 - 3 * at.low, 1e-9);
    const Interval wide = *mean_interval(x, 0.99), narrow = *mean_interval(x, 0.8);
    EXPECT_LT(wide.low, at.low);
    EXPECT_GT(wide.high, at.high);
    EXPECT_GT(narrow.low, at.low);
    EXPECT_LT(narrow.high, at.high);
    EXPECT_EQ(mean_interval(x)->low, at.low);
}

// The share of trials in which the interval holds the true mean, 0.
double coverage(std::size_t n, const std::function<double(Random&)>& draw,
                const std::function<std::optional<Interval>(const Values&)>& interval, std::uint64_t seed) {
    int held = 0;
    for (int trial = 0; trial < trials; ++trial) {
        Random random({seed, Stream::test, static_cast<std::uint32_t>(trial), static_cast<std::uint32_t>(n)});
        Values x;
        for (std::size_t i = 0; i < n; ++i) x.push_back(draw(random));
        held += interval(x)->holds(0) ? 1 : 0;
    }
    return static_cast<double>(held) / trials;
}

std::optional<Interval> bootstrap_t(const Values& x) { return mean_interval(x); }
double normal(Random& r) { return r.normal(); }

// 2000 trials put two standard errors at 1 %.
TEST(Statistics, CoversWhatItPromises) {
    const double slack = fixtures::instrumented ? 0.03 : 0;
    for (const std::size_t n : {5U, 20U})
        for (const std::uint64_t seed : {1U, 2U, 3U}) {
            const double share = coverage(n, normal, bootstrap_t, seed);
            EXPECT_GE(share, 0.93 - slack) << "n " << n << " seed " << seed;
            EXPECT_LE(share, 0.97 + slack) << "n " << n << " seed " << seed;
        }
}

TEST(Statistics, CoversUniformDifferencesToo) {
    const double slack = fixtures::instrumented ? 0.03 : 0;
    const double share = coverage(
        5, [](Random& r) { return r.uniform(-1, 1); }, bootstrap_t, 4);
    EXPECT_GE(share, 0.93 - slack);
    EXPECT_LE(share, 0.97 + slack);
}

// Why the percentile bootstrap is not used.
TEST(Statistics, ThePercentileBootstrapCoversTooLittle) {
    const double share = coverage(
        5, normal, [](const Values& x) { return statistics::percentile_interval(x); }, 1);
    EXPECT_LT(share, 0.88);
    EXPECT_GT(share, 0.75);
}

// ---- The pairing, on made-up results: a seed's luck is shared by the arms, their difference is known.

experiment::Plan two_arms(std::size_t seeds) {
    experiment::Plan plan;
    plan.name = "made up";
    plan.sets = {{"set", {}, {}}};
    plan.arms = {{"control", "", "", {}}, {"other", "", "", {}}};
    for (std::size_t s = 0; s < seeds; ++s) plan.seeds.push_back(static_cast<std::int64_t>(s));
    return plan;
}

experiment::Result result(std::size_t arm, std::int64_t seed, double score) {
    experiment::Result r{0, arm, seed, "id", {}};
    r.outcome.state = experiment::State::done;
    r.outcome.scores.last = r.outcome.scores.best = score;
    r.outcome.scores.blind = 0.5, r.outcome.scores.second = 0.4;
    return r;
}

struct Shares {
    double covered = 0, told = 0, unpaired = 0;
};
// `luck` moves both arms of a seed alike, `noise` each alone.
Shares paired_trials(std::size_t n, double difference, double luck, double noise, int count = trials) {
    Shares shares;
    const experiment::Plan plan = two_arms(n);
    for (int trial = 0; trial < count; ++trial) {
        Random random({9, Stream::test, static_cast<std::uint32_t>(trial), static_cast<std::uint32_t>(n)});
        std::vector<experiment::Result> results;
        for (const std::int64_t seed : plan.seeds) {
            const double common = 0.5 + luck * random.normal();
            results.push_back(result(0, seed, common + noise * random.normal()));
            results.push_back(result(1, seed, common + difference + noise * random.normal()));
        }
        const auto rows = experiment::make_table(plan, results);
        const Interval interval = *rows.at(1).control.interval;
        shares.covered += interval.holds(difference) ? 1.0 / count : 0;
        shares.told += interval.low > 0 ? 1.0 / count : 0;
        shares.unpaired += rows[1].score.interval->low > rows[0].score.interval->high ? 1.0 / count : 0;
    }
    return shares;
}

TEST(Statistics, PairedDifferencesCoverTheTruth) {
    const double slack = fixtures::instrumented ? 0.03 : 0;
    for (const std::size_t n : {5U, 20U})
        for (const double difference : {0.0, 0.02}) {
            if (n == 20 && difference == 0) continue;  // each takes seconds
            const Shares s = paired_trials(n, difference, 0.05, 0.01);
            EXPECT_GE(s.covered, 0.93 - slack) << n << " " << difference;
            EXPECT_LE(s.covered, 0.97 + slack) << n << " " << difference;
        }
}

// A difference of a fifth of the seeds' luck: intervals of the arms overlap, the paired one tells.
TEST(Statistics, PairingSeesWhatSeparateIntervalsHide) {
    const Shares s = paired_trials(20, 0.01, 0.05, 0.005, few_trials);
    EXPECT_GT(s.told, 0.95);
    EXPECT_LT(s.unpaired, 0.05);
}

TEST(Statistics, ASeedThatOneArmLacksIsLeftOutOfThePair) {
    const experiment::Plan plan = two_arms(5);
    std::vector<experiment::Result> results;
    for (const std::int64_t seed : plan.seeds) {
        results.push_back(result(0, seed, 0.5 + 0.01 * static_cast<double>(seed)));
        results.push_back(result(1, seed, 0.6 + 0.01 * static_cast<double>(seed * seed)));
    }
    results[3].outcome.state = experiment::State::diverged;  // the other arm's seed 1
    const auto rows = experiment::make_table(plan, results);
    EXPECT_EQ(rows[1].control.n, 4U);
    EXPECT_EQ(rows[1].diverged, 1U);
    EXPECT_EQ(rows[1].score.n, 4U);
    EXPECT_EQ(rows[1].control.method, statistics::Method::student);
    EXPECT_NEAR(rows[1].control.mean, (0.1 + 0.12 + 0.16 + 0.22) / 4, 1e-12);
    EXPECT_NE(experiment::table_csv(plan, rows).find("diverged at 1 of 5 seeds"), std::string::npos);
}

// Accuracies are in per cent: an interval is cut at 0 and 100, not at 1.
TEST(Statistics, IntervalsEndWhereNoScoreCanBe) {
    const experiment::Plan plan = two_arms(5);
    for (const double scale : {1.0, 100.0}) {
        std::vector<experiment::Result> results;
        for (const std::int64_t seed : plan.seeds) {
            results.push_back(result(0, seed, scale * (seed == 0 ? 0.01 : 0.6 + 0.001 * static_cast<double>(seed))));
            results.push_back(result(1, seed, scale * (0.7 + 0.001 * static_cast<double>(seed * seed))));
        }
        for (auto& r : results) r.outcome.scores.info = scale > 1 ? class_task_info(5) : box_task_info();
        const auto rows = experiment::make_table(plan, results);
        for (const auto& row : rows) {
            EXPECT_GE(row.score.interval->low, 0);
            EXPECT_LE(row.score.interval->high, scale);
            EXPECT_TRUE(row.score.interval->holds(row.score.mean)) << scale;
        }
        EXPECT_TRUE(rows[1].control.interval->holds(rows[1].control.mean)) << scale;
        EXPECT_LE(rows[1].control.interval->high, scale);
        EXPECT_GE(rows[1].control.interval->low, -scale);
    }
}

TEST(Statistics, SaysInWordsWhatItCannotTell) {
    using experiment::estimate;
    EXPECT_EQ(experiment::difference_words(estimate({})), "nothing to compare yet");
    EXPECT_EQ(experiment::difference_words(estimate({0.25})), "one seed: +0.2500, no interval");
    EXPECT_EQ(experiment::difference_words(estimate({0, 0, 0, 0, 0})), "the same to the last digit at n=5");
    EXPECT_EQ(
        experiment::difference_words(estimate({0.1, -0.1, 0.05, -0.07, 0.02})).find("not distinguishable at n=5: "),
        0U);
    EXPECT_EQ(experiment::difference_words(estimate({0.1, 0.11, 0.12, 0.1, 0.11})).find("better by 0.1080 [+"), 0U);
    EXPECT_EQ(experiment::difference_words(estimate({-0.1, -0.11, -0.12, -0.1, -0.11})).find("worse by 0.1080 [-"), 0U);
}

}  // namespace
}  // namespace solobox
