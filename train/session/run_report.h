// The page of a training run, made from what the run wrote: so `report RUN` draws it again at any time.
#pragma once

#include <string>
#include <vector>

#include "train/report/report.h"
#include "train/run/run.h"

namespace solobox {

// Curves, layers, configuration and events of a run's directory; pictures and verdict are the caller's.
Report read_run_report(const RunDirectory& run);

// Several runs over each other: loss, IoU, learning rate. Names are those of the directories.
Report compare_report(const std::vector<std::string>& runs);

}  // namespace solobox
