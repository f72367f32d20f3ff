// Synthetic pictures made in memory: a cluttered background and one shape whose tight box is the truth.
// A pure function of (seed, index, size): no state, no files, the same bits everywhere.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/types.h"

namespace solobox {

enum class ShapeKind { rectangle, ellipse, triangle, diamond, cross, ring };
const std::vector<std::string>& shape_names();  // index = class_id of the objects

struct SyntheticSample {
    Image image;    // (size, size)
    Object object;  // the smallest box around all pixels of the shape; class_id = its ShapeKind
};

// size: 16 to 2048 pixels a side (ShapeError otherwise).
SyntheticSample make_synthetic(std::uint64_t seed, std::uint64_t index, int size);

}  // namespace solobox
