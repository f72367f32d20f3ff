// The files of the smoke-test report's own program, under its own names: for people who compare with its logs.
#pragma once

#include <cstdint>
#include <string>

#include "train/config/config.h"
#include "train/run/run.h"

namespace solobox {

struct LegacyRun {
    std::int64_t steps_per_epoch = 1;
    std::int64_t best_epoch = 0;  // from 0
    double best_accuracy = 0;     // of weights/best.safetensors, in %
};

// From the tables of a classifier's run: logs/csv_logs/version_<n>/metrics.csv with the first free n (columns in
// alphabetical order, a row every 5 steps, a row a validation, a row and a rate an epoch; steps from 0), and
// checkpoints/<model>-epoch=<ee>-val/acc1=<aa.aaaa>.ckpt, a copy of the best weights: the slash in the metric's name
// made a folder there.
void write_legacy_names(const RunDirectory& run, const Config& config, const LegacyRun& what);

}  // namespace solobox
