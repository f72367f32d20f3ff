// The IoU lab: what each box loss does to a single box that may move freely. Every number comes from box_loss and its
// backward (nn/box_loss.h); nothing here knows a formula of a loss, trains a network or draws.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "nn/box_loss.h"
#include "train/lab/result.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// A loss as the lab shows it. To join, a loss needs one row of the table in iou_lab.cpp.
struct LabEntry {
    std::string name, what;
    BoxLossSpec loss;
    Decode decode = Decode::identity;  // what the moved numbers mean; identity: they are the box
};
const std::vector<LabEntry>& lab_losses();
const LabEntry& lab_loss(const std::string& name);  // ConfigError with the nearest name

// ConfigError naming the option, what was found and what was expected.
void check_lab(const LabSpec& spec);

// One row of numbers per box: what is moved, (N, 4).
Tensor lab_encode(const std::vector<UnitBox>& boxes, const LabEntry& entry);
std::vector<UnitBox> lab_decode(const Tensor& raw, const LabEntry& entry);

// Gradient of each row's own loss with respect to its numbers (N, 4): one batch, reduction sum.
Tensor lab_gradient(const Tensor& raw, const UnitBox& target, const LabEntry& entry);
double lab_value(const UnitBox& box, const UnitBox& target, const LabEntry& entry);  // the loss of one box
std::vector<double> lab_iou(const std::vector<UnitBox>& boxes, const UnitBox& target);

enum class LabPlane { centre, size };  // which two coordinates are moved over the grid
LabField lab_field(const LabSpec& spec, const LabEntry& entry, LabPlane plane);

// Six boxes around the target, of sizes and distances in its own sides, so that they mean the same for every target.
std::vector<LabStart> lab_starts(const UnitBox& target);

// Gradient descent from each start at each rate of the spec: numbers -= rate(t) * gradient.
std::vector<LabRace> lab_races(const LabSpec& spec, const LabEntry& entry, const std::vector<LabStart>& starts);
// The race that ends with the highest mean IoU; among those within lab_tie of it, the highest over all steps.
std::size_t best_race(const std::vector<LabRace>& races);

IouLab run_iou_lab(const LabSpec& spec);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
