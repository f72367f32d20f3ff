// From configuration keys to a data set: what both kinds of task share.
#pragma once

#include <cstdint>

#include "data/dataset.h"
#include "train/config.h"

namespace solobox {

OpenOptions open_options(const Config& config);

// The pictures of data=synthetic, by number: far apart, so that no validation picture is ever trained on.
struct SyntheticPart {
    std::uint64_t first = 0, count = 0;
};
inline constexpr SyntheticPart synthetic_training_part{0, 2000}, synthetic_validation_part{1'000'000, 400};

}  // namespace solobox
