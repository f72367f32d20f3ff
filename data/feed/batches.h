// From stored pictures to the batches of training: drawn, shuffled, augmented. Every draw is a function of (seed,
// epoch, sample), so a batch is the same whoever makes it, when, and after whatever. No tensors, no threads.
#pragma once

#include <cstdint>
#include <vector>

#include "data/feed/augment.h"
#include "data/feed/picture_store.h"

namespace solobox {

struct AugmentSpec {
    double fliplr = 0;         // probability
    double translate = 0;      // largest shift, share of the side
    double scale = 0;          // smallest crop is 1 - scale of the side
    double degrees = 0;        // largest rotation
    double min_visible = 0.5;  // share of the box that must stay, else the geometry is drawn anew
    double brightness = 0, contrast = 0, saturation = 0;  // factors 1 - x .. 1 + x
    double hsv_h = 0, hsv_s = 0, hsv_v = 0;               // turn +-h, gains 1 - x .. 1 + x
    double mosaic = 0, mixup = 0;                         // probabilities
};

struct AugmentedPicture {
    Pixels<float> pixels;  // (side, side, 3) in [0, 1]
    UnitBox box;
};

// Picture i of the store as the network sees it in this epoch. side: pixels, any.
AugmentedPicture augment(const PictureStore& store, std::size_t i, const AugmentSpec& spec, std::uint64_t seed,
                         std::int64_t epoch, int side);

// Without augmentation.
AugmentedPicture plain(const PictureStore& store, std::size_t i, int side);

struct PictureBatch {
    int side = 0;
    std::vector<float> images;       // (n, side, side, 3)
    std::vector<UnitBox> boxes;      // n
    std::vector<std::size_t> which;  // n, places in the store
};

// The order and the sizes of an epoch's batches.
struct BatchPlan {
    std::size_t pictures = 0, batch = 8;
    std::uint64_t seed = 0;
    std::vector<int> sides;  // one is drawn for every batch
    bool drop_last = false;  // leave out the last batch of an epoch when it is smaller, unless it is the only one

    std::int64_t per_epoch() const {
        return static_cast<std::int64_t>(drop_last && pictures >= batch ? pictures / batch
                                                                        : (pictures + batch - 1) / batch);
    }
    // Batch number `b` of `epoch`, both from 0. The last one of an epoch may be smaller.
    std::vector<std::size_t> members(std::int64_t epoch, std::int64_t b) const;
    int side(std::int64_t epoch, std::int64_t b) const;
};

PictureBatch make_batch(const PictureStore& store, const BatchPlan& plan, const AugmentSpec& spec, std::int64_t epoch,
                        std::int64_t b);

}  // namespace solobox
