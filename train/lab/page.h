// The page of the IoU lab: what iou_lab.h measured, as fields, curves and tables with a sentence under each. Measures
// nothing itself.
#pragma once

#include <string>

#include "train/lab/result.h"
#include "train/report/report.h"

namespace solobox {

Report iou_lab_report(const IouLab& lab);

// "12 / 30 / 88": steps to each of lab_thresholds, with `never` where there were none.
std::string steps_text(const LabPath& path, const char* never);

}  // namespace solobox
