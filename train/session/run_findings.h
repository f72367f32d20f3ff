// What a run's own tables say about it: has it learned more than an answer that never looks, has it learned by heart,
// has it diverged. Reads numbers, never a configuration key.
#pragma once

#include <string>
#include <vector>

#include "train/report/report.h"
#include "train/run/run.h"

namespace solobox {

std::vector<ReportFinding> run_findings(const RunDirectory& run);

}  // namespace solobox
