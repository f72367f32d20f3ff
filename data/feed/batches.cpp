#include "data/feed/batches.h"

#include <algorithm>
#include <numeric>

#include "tensor/random.h"

namespace solobox {

std::vector<std::size_t> BatchPlan::members(std::int64_t epoch, std::int64_t b) const {
    std::vector<std::int64_t> order(pictures);
    std::iota(order.begin(), order.end(), 0);
    Random random({seed, Stream::order, static_cast<std::uint32_t>(epoch)});
    shuffle(order.data(), static_cast<std::int64_t>(pictures), random);
    const std::size_t first = static_cast<std::size_t>(b) * batch, last = std::min(first + batch, pictures);
    std::vector<std::size_t> which;
    for (std::size_t i = first; i < last; ++i) which.push_back(static_cast<std::size_t>(order[i]));
    return which;
}

Extent BatchPlan::size(std::int64_t epoch, std::int64_t b) const {
    if (sizes.size() == 1) return sizes[0];
    constexpr std::uint32_t draw_size = 6;  // behind the draws of a picture, whose stream this is
    Random random({seed, Stream::augment, static_cast<std::uint32_t>(epoch), static_cast<std::uint32_t>(b), draw_size});
    return sizes[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(sizes.size())))];
}

Batch make_batch(const PictureStore& store, const BatchPlan& plan, Recipe recipe, std::int64_t epoch, std::int64_t b) {
    Batch batch;
    batch.size = recipe.size = plan.size(epoch, b);
    batch.which = plan.members(epoch, b);
    batch.images.resize(batch.count() * batch.length());
    for (std::size_t k = 0; k < batch.count(); ++k) {
        Frame frame = augmented(store, batch.which[k], recipe, plan.seed, epoch);
        std::copy(frame.pixels.values.begin(), frame.pixels.values.end(),
                  batch.images.begin() + static_cast<std::ptrdiff_t>(k * batch.length()));
        batch.labels.push_back(std::move(frame.labels));
    }
    return batch;
}

}  // namespace solobox
