// What a network says of a picture, in plain numbers: no tensors, no type of network. All places are fractions of the
// picture.
#pragma once

#include <memory>
#include <vector>

#include "data/feed/labels.h"

namespace solobox {

struct Scored {
    UnitBox box;
    double score = 1;
    int class_id = 0;
    std::vector<KeyPoint> points = {};
};

struct Prediction {
    std::vector<Scored> objects = {};
    std::vector<double> logits = {}, classes = {};  // of the whole picture, per class: raw, and as probabilities
    std::shared_ptr<const Mask> mask = nullptr;
};

}  // namespace solobox
