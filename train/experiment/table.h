// What an experiment found: for each set and arm the mean over seeds with its interval, the lift over the best answer
// that never looks at a picture, the paired differences to its control and to the arm it was made from, what a change
// does more or less in another level of a grid, and what became of the claims. No times: the same runs give the same
// table, to the last digit.
#pragma once

#include <cmath>
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

// A mean over seeds, and whether it differs from `expected`.
struct Estimate {
    std::vector<double> values;  // a seed each
    double mean = std::nan(""), deviation = std::nan("");
    std::optional<statistics::Interval> interval;  // 95 %
    std::optional<double> p;                       // of a mean as far from `expected`: Student's t, two-sided
    double holm = 1;                               // p, corrected for all of its kind in the table of its set
    std::size_t family = 1;                        // how many those are
    std::string caution;                           // why Student's t may mislead here

    std::size_t n() const { return values.size(); }
    bool clear() const { return p && holm < 0.05; }  // differs from what was expected, of so many as were looked at
};
// `seeds` name the values. An interval is cut off where no score can be.
Estimate estimate(const std::vector<double>& values, const std::vector<std::int64_t>& seeds,
                  statistics::Interval possible = {-1, 1}, double expected = 0);

struct TableRow {
    std::size_t set = 0, arm = 0;
    TaskInfo info;  // what the score is
    std::size_t planned = 0, done = 0, diverged = 0, failed = 0;
    std::size_t empty = 0;  // finished without a finite score
    Estimate score, lift;
    Estimate control;                     // paired by seed: this arm minus its control; n() = 0 for a control itself
    std::optional<Estimate> parent;       // minus the arm it was made `from`, where that is not the control
    std::optional<Estimate> interaction;  // `control` minus that of the same change where the first control stands
    std::optional<Estimate> claim;        // what the claim is about; expected: what it asks for
    double claimed = 0;                   // that
    double blind = 0, second = 0;         // means over the seeds
};
std::vector<TableRow> make_table(const Plan& plan, const std::vector<Result>& results);

// How the row stands against its control, and what is missing or went wrong.
std::string verdict(const Plan& plan, const TableRow& row);
// "better by 0.0123 [+0.0040, +0.0210]", "not distinguishable at n=5: +0.0010 [-0.0080, +0.0100]".
std::string difference_words(const Estimate& e, const char* more = "better", const char* less = "worse");
// "above the best constant box by ..", "not distinguishable from ..".
std::string lift_words(const TableRow& row);
// "holds", "does not hold", or "cannot be told", with the figures and how many seeds it would take. "" without a claim.
std::string claim_words(const Plan& plan, const TableRow& row);
// What the whole set of comparisons says, in three parts; all() has them one after the other.
struct Summary {
    std::vector<std::string> lines;     // how many differences and lifts are clear, and what that means
    std::vector<std::string> claims;    // each with its answer
    std::vector<std::string> cautions;  // where Student's t may mislead
    std::vector<std::string> all() const;
};
Summary summary(const Plan& plan, const std::vector<TableRow>& rows);

std::string table_csv(const Plan& plan, const std::vector<TableRow>& rows);
std::string runs_csv(const Plan& plan, const std::vector<Result>& results);
// What runs_csv wrote, for the runs of a plan: those that the file has not are missing. DataError names file and line.
std::vector<Result> read_runs_csv(const std::string& path, const Plan& plan, const std::vector<PlannedRun>& runs);
std::string table_text(const Plan& plan, const std::vector<TableRow>& rows);  // for a terminal
std::string table_markdown(const Plan& plan, const std::vector<TableRow>& rows, bool smoke);
// Curves per arm, dots per seed, a forest plot of the differences, the table.
Report experiment_report(const Plan& plan, const std::vector<TableRow>& rows, const std::vector<Result>& results,
                         bool smoke);

}  // namespace solobox::experiment
