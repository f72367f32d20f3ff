// Inside data/sets/lint only: what the pixels of a set's pictures tell.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/sets/open_options.h"
#include "data/types.h"

namespace solobox {

// Of the decoded pixels: equal pictures are found whatever file format they were saved in without loss.
using Fingerprint = std::array<std::uint64_t, 2>;
Fingerprint fingerprint(const Image& image);

// A picture at a glance: 16 x 16 grey cells, and for each of 8 x 8 whether it is brighter than the mean.
struct Glance {
    std::array<std::uint8_t, 256> cells{};
    std::uint64_t bright = 0;
};
Glance glance(const Image& image);

// At most 3 of 64 cells on the other side of the mean, and the grey cells within 18 of 255 of each other on average,
// and within a third of the picture's own deviation.
bool nearly_equal(const Glance& a, const Glance& b);

// A mask is black or white, and not black everywhere; "" when nothing is wrong with it. DataError as read_image.
std::string flaw_of_mask(const std::string& path, const ImageLimits& limits);

}  // namespace solobox
