// From configuration keys to recipes: what several tasks share.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "data/feed/recipe.h"
#include "train/config/config.h"

namespace solobox {

// Colours, mirroring: of every recipe.
AugmentSpec common_augmentation(const Config& config);
// Whole pictures squeezed to `image`, with the keys of the group "geometry".
Recipe squeezed_recipe(const Config& config);
// The sizes of training batches: multi_scale, else image. ConfigError for what is no side of a picture.
std::vector<Extent> training_sizes(const Config& config);
// Of the key `box`: which object a task with one target learns.
std::function<void(Labels&)> one_target(const std::string& box);

}  // namespace solobox
