// From configuration keys to a data set: what both kinds of task share.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "data/sets/dataset.h"
#include "train/config/config.h"

namespace solobox {

OpenOptions open_options(const Config& config);
void check_enough(std::size_t wanted, std::size_t there, const char* key);

// The pictures of data=synthetic, by number: far apart, so that no validation picture is ever trained on.
struct SyntheticPart {
    std::uint64_t first = 0, count = 0;
};
inline constexpr SyntheticPart synthetic_training_part{0, 2000}, synthetic_validation_part{1'000'000, 400};
// As many as train_images and val_images ask for.
SyntheticPart synthetic_part(const Config& config, bool training);

// train_images, val_images: so many of them, evenly spread over the order of the paths, so that a set that is sorted by
// class keeps its classes. ConfigError when there are fewer.
// by_class: from every class its share, so that none is missed where there are as many pictures as classes.
std::vector<Sample> limited(std::vector<Sample> all, const Config& config, const char* key, bool by_class);

}  // namespace solobox
