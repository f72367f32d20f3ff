// The page of a training run, made from what the run wrote: so `report RUN` draws it again at any time.
#pragma once

#include <string>
#include <vector>

#include "train/report.h"
#include "train/run.h"

namespace solobox {

// Curves, layers, configuration and events of a run's directory; pictures and verdict are the caller's.
Report read_run_report(const RunDirectory& run);

// Several runs over each other: loss, IoU, learning rate. Names are those of the directories.
Report compare_report(const std::vector<std::string>& runs);

// What a score says beside the box that never looks at a picture.
struct LiftVerdict {
    std::string severity;        // PASS | WARN | FAIL, as findings have it
    std::string facts, meaning;  // "IoU 0.61 against 0.67 of the best constant box (-0.06)"; what that says
    std::string text() const { return facts + ": " + meaning; }
};
LiftVerdict judge_lift(double iou, double constant_iou);

// The finding that says it, and the gap between training and validation loss where it is telling.
std::vector<ReportFinding> run_findings(const RunDirectory& run);

}  // namespace solobox
