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

// For each of `val` (places in `all`) the first of `train` that is nearly equal to it; SIZE_MAX: none is.
std::vector<std::size_t> nearly_equal_pairs(const std::vector<Glance>& all, const std::vector<std::size_t>& train,
                                            const std::vector<std::size_t>& val);

// A mask is black or white, and not black everywhere; "" when nothing is wrong with it. DataError as read_image.
std::string flaw_of_mask(const std::string& path, const ImageLimits& limits);

}  // namespace solobox
