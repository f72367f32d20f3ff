// What a classifier minimises: cross-entropy, of the auxiliary heads too where there are some.
#pragma once

#include <string>
#include <vector>

#include "nn/losses.h"
#include "nn/models/resnet.h"
#include "train/config/config.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

struct ClassLossSpec {
    double label_smoothing = 0, aux_weight = 0;
    std::vector<std::string> aux = {};  // names of the auxiliary heads
    // Planted faults.
    bool unweighted = false;  // the total is the plain sum
    bool silent = false;      // a head without an output costs nothing, instead of being an error
};
ClassLossSpec class_loss_spec(const Config& config, const ResNet& model);

// Cross-entropy. With auxiliary heads the sum of theirs, weighted, is added, and there are terms: "ce", and one named
// as each head.
LossValue class_loss(const ResNetOutputs& outputs, const IndexTensor& target, const ClassLossSpec& spec);

// The same with the top-1 and top-5 accuracy in % of the batch beside it, as terms without weight.
LossValue class_loss_and_accuracy(const ResNetOutputs& outputs, const IndexTensor& target, const ClassLossSpec& spec);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
