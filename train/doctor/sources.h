// Where facts come from when there is no model to look at: logs and configurations of other programs, and the tables
// that a run of this one left behind.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "train/run/facts.h"
#include "train/run/run.h"
#include "train/step/stages.h"

namespace solobox::doctor {

// A table of an unknown program: CSV, JSON (a list of rows, or an object of columns) or JSON lines. Columns are found
// by name (fact_catalogue) or as told: "metric=mAP50". Rows may leave cells empty. DataError naming file and line.
struct Log {
    Facts facts;
    std::vector<std::string> used;    // "metric: column mAP50"
    std::vector<std::string> unused;  // columns that no rule reads
};
Log read_log(const std::string& path, const std::vector<std::string>& columns);

// Whether a log holds more than counters, clocks and rates.
bool says_something(const Facts& facts);

// A YAML configuration of another program, nested or not: keys are found by name. DataError naming file and line.
Facts read_foreign_config(const std::string& path);
// The scalars of such a file as text, by key path ("train.lr"), for comparing two files.
std::map<std::string, std::string> foreign_settings(const std::string& path);

// results.csv, steps.csv, layers.csv and events.jsonl of a run, as far as they are there.
Facts read_run_tables(const RunDirectory& run);

// The newest checkpoint of a run: tensors that are not finite, how far the averages are from the weights.
Facts read_checkpoint_facts(const RunDirectory& run);

// All of a finished or running run: its settings, tables, events and checkpoint.
Facts read_whole_run(const RunDirectory& run, const Config& config, bool checkpoint);

// What the schedule says for a step (from 0), whatever else writes the rate; NaN when it depends on the run (plateau).
std::function<double(std::int64_t)> planned_rate(const Config& config, const schedule::Calendar& steps,
                                                 const std::vector<StageRate>& stages);

// What follows from what is known: steps per epoch, the end of the schedule, shares of an average. Overwrites nothing.
void derive(Facts& facts);

}  // namespace solobox::doctor
