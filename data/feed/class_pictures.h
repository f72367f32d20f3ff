// From stored pictures to what a classifier sees: random resized crops for training, resize and centre crop for
// validation, colours normalised. As torchvision.transforms has them. No tensors, no threads.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "data/feed/augment.h"
#include "data/feed/batches.h"
#include "data/feed/picture_store.h"
#include "tensor/random.h"

namespace solobox {

struct ClassPictureSpec {
    int side = 224;
    bool antialias = true;
    std::array<double, 3> mean{0.485, 0.456, 0.406}, deviation{0.229, 0.224, 0.225};  // of ImageNet, RGB in [0, 1]
    // Training only
    bool random_crop = true;                              // else the same crop as in validation
    double smallest_crop = .08;                           // share of the picture's area
    double fliplr = 0.5;                                  // probability
    double brightness = 0, contrast = 0, saturation = 0;  // factors 1 - x .. 1 + x
    double hsv_h = 0, hsv_s = 0, hsv_v = 0;               // turn +-h, gains 1 - x .. 1 + x
};

// floor(side 256 / 224): the shorter side before the centre crop.
int shorter_side_of(int side);

// Shorter side to that, aspect kept, centre (side, side). (side, side, 3), normalised.
Pixels<float> centre_picture(const Image& picture, const ClassPictureSpec& spec);

// Where RandomResizedCrop looks: area share uniform in smallest..1, aspect 3/4..4/3 uniform in its logarithm, ten
// tries, then the largest centred window of an allowed aspect.
Window draw_crop(int height, int width, double smallest, Random& random);

// Picture i as the network sees it in this epoch: a function of (seed, epoch, i).
Pixels<float> training_picture(const PictureStore& store, std::size_t i, const ClassPictureSpec& spec,
                               std::uint64_t seed, std::int64_t epoch);

struct ClassBatch {
    std::vector<float> images;       // (n, side, side, 3)
    std::vector<int> classes;        // n
    std::vector<std::size_t> which;  // n, places in the store
};
ClassBatch make_class_batch(const PictureStore& store, const BatchPlan& plan, const ClassPictureSpec& spec,
                            std::int64_t epoch, std::int64_t b);

}  // namespace solobox
