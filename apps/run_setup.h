// What the verbs of training runs share: settings applied, the start announced, findings printed.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "apps/apps.h"
#include "train/report/report.h"
#include "train/session/whole_run.h"
#include "train/step/weights.h"
#include "train/tasks/kinds.h"

namespace solobox {

// Threads as asked for on the command line (0: the default), kernels as the configuration says.
void set_up_compute(const Config& config, int threads);

// Tells whoever reads along what is about to happen.
void introduce(Talk& talk, Learner& learner);

// What the doctor says of a run, below its verdict and in its JSON.
void print_findings(const std::vector<ReportFinding>& findings);
nlohmann::ordered_json json_of(const std::vector<ReportFinding>& findings);

}  // namespace solobox
