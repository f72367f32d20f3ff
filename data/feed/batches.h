// The order of an epoch's pictures, and batches of them as a recipe makes them: a batch is the same whoever makes it,
// when, and after whatever. No tensors, no threads.
#pragma once

#include <cstdint>
#include <vector>

#include "data/feed/recipe.h"

namespace solobox {

struct Batch {
    Extent size;
    std::vector<float> images;       // (n, height, width, 3)
    std::vector<Labels> labels;      // n
    std::vector<std::size_t> which;  // n, places in the store

    std::size_t count() const { return which.size(); }
    std::size_t length() const {  // of a picture in `images`
        return 3 * static_cast<std::size_t>(size.height) * static_cast<std::size_t>(size.width);
    }
};

// The order and the sizes of an epoch's batches.
struct BatchPlan {
    std::size_t pictures = 0, batch = 8;
    std::uint64_t seed = 0;
    std::vector<Extent> sizes;  // one is drawn for every batch
    bool drop_last = false;     // leave out the last batch of an epoch when it is smaller, unless it is the only one

    std::int64_t per_epoch() const {
        return static_cast<std::int64_t>(drop_last && pictures >= batch ? pictures / batch
                                                                        : (pictures + batch - 1) / batch);
    }
    // Batch number `b` of `epoch`, both from 0. The last one of an epoch may be smaller.
    std::vector<std::size_t> members(std::int64_t epoch, std::int64_t b) const;
    Extent size(std::int64_t epoch, std::int64_t b) const;
};

// The recipe's own size gives way to the plan's.
Batch make_batch(const PictureStore& store, const BatchPlan& plan, Recipe recipe, std::int64_t epoch, std::int64_t b);

}  // namespace solobox
