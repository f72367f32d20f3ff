// From stored pictures to batches: boxes stay with their pixels, every picture comes once an epoch, and threads hand
// out in order.
#include "data/feed/batches.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "data/feed/loader.h"
#include "data/sets/synthetic.h"
#include "tensor/check.h"

namespace solobox {
namespace {

// A bright rectangle on black: what is bright afterwards is where the box must be.
TEST(Augment, BoxesStayWithTheirPixels) {
    const int side = 64;
    const UnitBox box{0.4, 0.55, 0.3, 0.25};
    Image picture{side, side, std::vector<std::uint8_t>(3 * side * side, 0)};
    for (int y = 0; y < side; ++y)
        for (int x = 0; x < side; ++x)
            if (std::abs((x + 0.5) / side - box.cx) < box.w / 2 && std::abs((y + 0.5) / side - box.cy) < box.h / 2)
                for (int c = 0; c < 3; ++c) picture.rgb[static_cast<std::size_t>(3 * (y * side + x) + c)] = 255;
    std::vector<Tally> tallies;
    const PictureStore store(
        {{"a", "a", {{{box}}, -1, nullptr}}}, [&](std::size_t) { return picture; }, {side, side, true, 1 << 20},
        tallies);
    Recipe recipe;
    recipe.size = {side, side};
    recipe.settle = keep_largest;
    recipe.augment.fliplr = 0.5, recipe.augment.translate = 0.1, recipe.augment.scale = 0.3;
    bool mirrored = false, moved = false;
    for (std::int64_t epoch = 0; epoch < 40; ++epoch) {
        const Frame p = augmented(store, 0, recipe, 3, epoch);
        const UnitBox now = p.labels.objects.at(0).box;
        double left = 1, right = 0, top = 1, bottom = 0;
        for (int y = 0; y < side; ++y)
            for (int x = 0; x < side; ++x)
                if (p.pixels.at(y, x)[0] > 0.7F) {  // the grey beyond the border is darker
                    left = std::min(left, double(x) / side), right = std::max(right, (x + 1.0) / side);
                    top = std::min(top, double(y) / side), bottom = std::max(bottom, (y + 1.0) / side);
                }
        EXPECT_NEAR(now.cx - now.w / 2, left, 2.0 / side) << epoch;
        EXPECT_NEAR(now.cx + now.w / 2, right, 2.0 / side) << epoch;
        EXPECT_NEAR(now.cy - now.h / 2, top, 2.0 / side) << epoch;
        EXPECT_NEAR(now.cy + now.h / 2, bottom, 2.0 / side) << epoch;
        mirrored = mirrored || now.cx > 0.55;
        moved = moved || std::abs(now.w - box.w) > 0.02;
    }
    EXPECT_TRUE(mirrored);
    EXPECT_TRUE(moved);
}

TEST(Augment, ASwitchShiftsNoOtherDraw) {
    const int side = 24;
    std::vector<Tally> tallies;
    const PictureStore store(
        {{"a", "a", {{{{0.5, 0.5, 0.4, 0.4}}}, -1, nullptr}}, {"b", "b", {{{{0.3, 0.5, 0.2, 0.2}}}, -1, nullptr}}},
        [&](std::size_t i) { return make_synthetic(1, i, side).image; }, {side, side, true, 1 << 20}, tallies);
    Recipe grey, coloured;
    grey.size = coloured.size = {side, side};
    grey.augment.scale = coloured.augment.scale = 0.3;
    coloured.augment.brightness = 0.3, coloured.augment.hsv_s = 0.2;
    for (std::int64_t epoch = 0; epoch < 10; ++epoch)
        EXPECT_EQ(augmented(store, 0, grey, 0, epoch).labels.objects.at(0).box.cx,
                  augmented(store, 0, coloured, 0, epoch).labels.objects.at(0).box.cx);
}

TEST(Batches, EveryPictureOnceAnEpoch) {
    const BatchPlan plan{23, 5, 9, {{32, 32}}};
    std::vector<std::size_t> first_order;
    for (const std::int64_t epoch : {0, 1}) {
        std::vector<std::size_t> all;
        for (std::int64_t b = 0; b < plan.per_epoch(); ++b)
            for (const std::size_t i : plan.members(epoch, b)) all.push_back(i);
        if (epoch == 0) first_order = all;
        EXPECT_EQ(all == first_order, epoch == 0);
        std::sort(all.begin(), all.end());
        for (std::size_t i = 0; i < 23; ++i) EXPECT_EQ(all.at(i), i);
    }
}

TEST(LoaderThreads, HandOutInOrderAndPassErrorsOn) {
    for (const int workers : {0, 1, 3}) {
        Loader<int> loader(
            [](std::int64_t n) {
                if (n == 17) throw DataError("bad picture");
                return static_cast<int>(n);
            },
            5, 30, workers);
        for (int i = 5; i < 17; ++i) EXPECT_EQ(loader.next(), i);
        EXPECT_THROW(loader.next(), DataError);
    }
}

}  // namespace
}  // namespace solobox
