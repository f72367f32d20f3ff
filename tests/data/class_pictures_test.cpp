// What a classifier sees: crops as torchvision draws them, the centre crop, normalised colours, batches that depend on
// nothing but (seed, epoch, picture).
#include <cmath>
#include <set>

#include "data/feed/batches.h"
#include "tests/support/fixtures.h"

namespace solobox {
namespace {

using fixtures::ramp;

Recipe small_recipe(int side) {
    Recipe r;
    r.fit = Fit::centre_crop;
    r.size = {side, side};
    return r;
}

PictureStore store_of(const std::vector<Image>& images, const PictureStore::Options& options) {
    std::vector<StoredPicture> targets;
    for (std::size_t i = 0; i < images.size(); ++i)
        targets.push_back({std::to_string(i), std::to_string(i), {{}, static_cast<int>(i), nullptr}});
    std::vector<Tally> tallies;
    return PictureStore(
        targets, [images](std::size_t i) { return images[i]; }, options, tallies);
}

TEST(ClassPictures, TheShorterSideIsTorchvisions) {
    EXPECT_EQ(shorter_side_of(224), 256);
    EXPECT_EQ(shorter_side_of(64), 73);
    EXPECT_EQ(shorter_side_of(1), 1);
}

TEST(ClassPictures, TheCentreIsCutFromTheMiddle) {
    // 73 pixels high already: only the cut happens, (73 - 64) / 2 rounded half to even from above and (97 - 64) / 2
    // left.
    const Image picture = ramp(97, 73);
    const Pixels<float> seen = look(picture, {}, small_recipe(64)).pixels;
    ASSERT_EQ(seen.width, 64);
    ASSERT_EQ(seen.height, 64);
    for (const auto& [x, y] : {std::pair{0, 0}, {63, 63}, {10, 50}})
        for (int c = 0; c < 3; ++c)
            EXPECT_FLOAT_EQ(
                seen.at(y, x)[c],
                static_cast<float>(picture.rgb[static_cast<std::size_t>(((y + 4) * 97 + x + 16) * 3 + c)]) / 255);
}

TEST(ClassPictures, ColoursAreNormalised) {
    Recipe s = small_recipe(8);
    s.mean = {0.5, 0.25, 0}, s.deviation = {0.5, 0.25, 2};
    Image picture{9, 9, std::vector<std::uint8_t>(243, 255)};
    const Pixels<float> seen = look(picture, {}, s).pixels;
    EXPECT_FLOAT_EQ(seen.at(3, 3)[0], 1);
    EXPECT_FLOAT_EQ(seen.at(3, 3)[1], 3);
    EXPECT_FLOAT_EQ(seen.at(3, 3)[2], 0.5);
}

TEST(ClassPictures, CropsStayInsideAndKeepTheirLaw) {
    Random random({1, Stream::test});
    double smallest = 1, narrow = 9, broad = 0;
    for (int i = 0; i < 2000; ++i) {
        const Window w = draw_crop(200, 300, 0.08, random);
        ASSERT_TRUE(w.top >= 0 && w.left >= 0 && w.top + w.height <= 200 && w.left + w.width <= 300);
        smallest = std::min(smallest, w.width * w.height / 60000.0);
        narrow = std::min(narrow, static_cast<double>(w.width) / w.height);
        broad = std::max(broad, static_cast<double>(w.width) / w.height);
    }
    EXPECT_NEAR(smallest, 0.08, 0.01);
    EXPECT_NEAR(narrow, 0.75, 0.02);
    EXPECT_NEAR(broad, 4.0 / 3, 0.03);
}

TEST(ClassPictures, APictureTooLongForAnyCropGivesItsCentre) {
    Random random({1, Stream::test});
    const Window w = draw_crop(10, 1000, 1, random);  // the whole area never has an allowed aspect
    EXPECT_EQ(w.height, 10);
    EXPECT_EQ(w.width, 13);
    EXPECT_EQ(w.left, 493);
}

TEST(ClassPictures, KeptPicturesHaveTheirAspect) {
    const PictureStore store = store_of({ramp(100, 50), ramp(20, 30)}, {25, 25, true, 1 << 20, false, true});
    EXPECT_EQ(store.image(0).width, 50);
    EXPECT_EQ(store.image(0).height, 25);
    EXPECT_EQ(store.image(1).width, 20);  // small ones are not enlarged
}

TEST(ClassPictures, BatchesDependOnNothingElse) {
    std::vector<Image> images;
    for (int i = 0; i < 7; ++i) images.push_back(ramp(30 + i, 40));
    const PictureStore store = store_of(images, {64, 64, true, 1 << 20, false, true}),
                       uncached = store_of(images, {64, 64, true, 0, false, true});
    EXPECT_EQ(uncached.cached(), 0U);
    const BatchPlan plan{7, 3, 5, {{16, 16}}};
    Recipe s = small_recipe(16);
    s.augment.brightness = 0.3, s.augment.hsv_h = 0.1;
    const Batch one = make_batch(store, plan, s, 2, 1), two = make_batch(uncached, plan, s, 2, 1);
    EXPECT_EQ(one.images, two.images);
    for (std::size_t i = 0; i < one.count(); ++i) EXPECT_EQ(one.labels[i].class_id, two.labels[i].class_id);
    EXPECT_NE(one.images, make_batch(store, plan, s, 3, 1).images);
    std::set<std::size_t> seen;
    for (int b = 0; b < 3; ++b)
        for (const std::size_t i : plan.members(2, b)) seen.insert(i);
    EXPECT_EQ(seen.size(), 7U);
    EXPECT_EQ(plan.per_epoch(), 3);
    const BatchPlan whole{7, 3, 5, {{16, 16}}, true};
    EXPECT_EQ(whole.per_epoch(), 2);
    const BatchPlan little{2, 3, 5, {{16, 16}}, true};
    EXPECT_EQ(little.per_epoch(), 1);  // a set below one batch is still a batch
}

}  // namespace
}  // namespace solobox
