// The files of seed 004's own program, under its own names: for people who compare with its logs.
#pragma once

#include <cstdint>
#include <string>

#include "train/config.h"
#include "train/run.h"

namespace solobox {

// From the tables of a classifier's run: logs/csv_logs/version_<n>/metrics.csv with the first free n (columns in
// alphabetical order, a row every 5 steps, a row a validation, a row and a rate an epoch; steps from 0), and
// checkpoints/<model>-epoch=<ee>-val/acc1=<aa.aaaa>.ckpt, a copy of the best weights: the slash in the metric's name
// made a folder there.
void write_legacy_names(const RunDirectory& run, const Config& config, std::int64_t steps_per_epoch);

}  // namespace solobox
