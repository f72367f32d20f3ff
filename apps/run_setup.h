// What the verbs of training runs share: configurations resolved, tasks built, pages written.
#pragma once

#include <string>
#include <vector>

#include "apps/apps.h"
#include "train/report/report.h"
#include "train/session/session.h"
#include "train/step/weights.h"
#include "train/tasks/kinds.h"

namespace solobox {

// Defaults < base chain < file < environment < command line; words without '=' name the file (at most one). A run's
// args.yaml keeps the origins that it names: what was a default there is one here.
Config training_config(const std::vector<std::string>& words);

// Threads as asked for on the command line (0: the default), kernels as the configuration says.
void set_up_compute(const Config& config, int threads);

// Tells whoever reads along what is about to happen.
void introduce(Talk& talk, Learner& learner);

// report.html, val_pred.png and worst.png of the best weights, which the model has from then on.
Measurement finish_run(Learner& learner, const RunDirectory& run, const std::string& verdict_text);

}  // namespace solobox
