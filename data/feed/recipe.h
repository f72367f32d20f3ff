// How pictures become what a network sees: brought to one size, augmented in training, colours normalised, labels moved
// along. A recipe is the whole difference between tasks here. Every draw is a function of (seed, epoch, picture). No
// tensors, no threads.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/feed/augment.h"
#include "data/feed/labels.h"
#include "data/feed/picture_store.h"
#include "tensor/random.h"

namespace solobox {

enum class Fit {
    squeeze,      // the whole picture, its aspect lost
    centre_crop,  // the middle of it; in training crops of random area and aspect (torchvision's RandomResizedCrop)
};

struct AugmentSpec {
    double fliplr = 0;                                    // probability
    double translate = 0;                                 // largest shift, share of the side
    double scale = 0;                                     // smallest crop is 1 - scale of the side
    double degrees = 0;                                   // largest rotation
    double min_visible = 0.5;                             // share of its box that an object must keep
    double brightness = 0, contrast = 0, saturation = 0;  // factors 1 - x .. 1 + x
    double hsv_h = 0, hsv_s = 0, hsv_v = 0;               // turn +-h, gains 1 - x .. 1 + x
    double mosaic = 0, mixup = 0;                         // probabilities
    bool random_crop = true;                              // centre_crop: else the same crop as in validation
    double smallest_crop = .08;                           // centre_crop: share of the picture's area
};

struct Extent {
    int height = 0, width = 0;  // pixels
    bool operator==(const Extent&) const = default;
};

struct Recipe {
    Fit fit = Fit::squeeze;
    Extent size{128, 128};
    bool antialias = true;
    AugmentSpec augment = {};
    std::array<double, 3> mean{0, 0, 0}, deviation{1, 1, 1};  // of red, green, blue in [0, 1]
    // Of several objects the one that a task with one target learns; empty: all of them. Draws that would lose it are
    // drawn anew, and of two blended pictures the stronger one's counts.
    std::function<void(Labels&)> settle = {};
    std::vector<int> mirrored = {};  // key points: what becomes of each in a mirrored picture
};

// How large pictures are kept for such a recipe: `largest` is the largest size that will be asked for.
PictureStore::Options storage(const Recipe& recipe, const Extent& largest, bool training);

// A picture as it is seen in validation and prediction.
Frame look(const Image& picture, const Labels& labels, const Recipe& recipe);
// The same of a stored picture: its kept form instead of the file's.
Frame plain(const PictureStore& store, std::size_t i, const Recipe& recipe);
// Picture i as it is seen in this epoch of training.
Frame augmented(const PictureStore& store, std::size_t i, const Recipe& recipe, std::uint64_t seed, std::int64_t epoch);

// Where RandomResizedCrop looks: area share uniform in smallest..1, aspect 3/4..4/3 uniform in its logarithm, ten
// tries, then the largest centred window of an allowed aspect.
Window draw_crop(int height, int width, double smallest, Random& random);

// floor(side 256 / 224): the shorter side before the centre crop.
int shorter_side_of(int side);

}  // namespace solobox
