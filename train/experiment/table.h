// What an experiment found: for each set and arm the mean over seeds with its interval, the lift over the best answer
// that never looks at a picture, and the paired differences to the control arm and to the arm it was made from.
// No times: the same runs give the same table, to the last digit.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "train/experiment/plan.h"
#include "train/experiment/statistics.h"
#include "train/experiment/store.h"
#include "train/report/report.h"

namespace solobox::experiment {

// A run of the plan and what came of it.
struct Result {
    std::size_t set = 0, arm = 0;
    std::int64_t seed = 0;
    std::string id;
    Outcome outcome;
};

// A mean over seeds. `n` is how many went in.
struct Estimate {
    std::size_t n = 0;
    double mean = 0, deviation = 0;  // NaN where there is nothing
    std::optional<statistics::Interval> interval;
    statistics::Method method = statistics::Method::none;
};
// An interval is cut off where no score can be: with one seed far from the others it may reach beyond.
Estimate estimate(const std::vector<double>& values, statistics::Interval possible = {-1, 1});

struct TableRow {
    std::size_t set = 0, arm = 0;
    TaskInfo info;  // what the score is
    std::size_t planned = 0, done = 0, diverged = 0, failed = 0;
    std::size_t empty = 0;       // finished without a finite score
    std::vector<double> scores;  // of the finished seeds, in their order
    Estimate score, lift;
    Estimate control;                // paired by seed: this arm minus the control; n = 0 for the control itself
    std::optional<Estimate> parent;  // minus the arm it was made `from`, where that is not the control
    double blind = 0, second = 0;    // means over the seeds
};
std::vector<TableRow> make_table(const Plan& plan, const std::vector<Result>& results);

// How the row stands against the control, and what is missing or went wrong.
std::string verdict(const Plan& plan, const TableRow& row);
// "better by 0.0123 [0.0040, 0.0210]", "not distinguishable at n=5: +0.0010 [-0.0080, 0.0100]".
std::string difference_words(const Estimate& e, const char* more = "better", const char* less = "worse");
// "above the best constant box by ..", "not distinguishable from ..".
std::string lift_words(const TableRow& row);
// What the whole set of comparisons says, and how many of them chance alone would call different.
std::vector<std::string> summary(const Plan& plan, const std::vector<TableRow>& rows);

std::string table_csv(const Plan& plan, const std::vector<TableRow>& rows);
std::string runs_csv(const Plan& plan, const std::vector<Result>& results);
std::string table_text(const Plan& plan, const std::vector<TableRow>& rows);  // for a terminal
std::string table_markdown(const Plan& plan, const std::vector<TableRow>& rows, bool smoke);
// Curves per arm, dots per seed, the table.
Report experiment_report(const Plan& plan, const std::vector<TableRow>& rows, const std::vector<Result>& results,
                         bool smoke);

}  // namespace solobox::experiment
