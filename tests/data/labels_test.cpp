// Labels stay with their pixels, whatever is done to a picture: a bright spot is where its key point is, in pictures
// that are not square too; masks cover what they covered.
#include "data/feed/labels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "data/feed/batches.h"

namespace solobox {
namespace {

constexpr int picture_height = 48, picture_width = 80;

// Black, with a white square of 5 pixels around (column, row).
Image spot(int column, int row) {
    Image image{picture_width, picture_height, std::vector<std::uint8_t>(3 * picture_width * picture_height, 0)};
    for (int y = row - 2; y <= row + 2; ++y)
        for (int x = column - 2; x <= column + 2; ++x)
            for (int c = 0; c < 3; ++c) image.rgb[static_cast<std::size_t>(3 * (y * picture_width + x) + c)] = 255;
    return image;
}

Labels around(int column, int row) {
    const double x = (column + 0.5) / picture_width, y = (row + 0.5) / picture_height;
    const auto mask = std::make_shared<Mask>(
        Mask{picture_height, picture_width, std::vector<std::uint8_t>(picture_width * picture_height)});
    for (int dy = -2; dy <= 2; ++dy)
        for (int dx = -2; dx <= 2; ++dx)
            mask->inside[static_cast<std::size_t>((row + dy) * picture_width + column + dx)] = 1;
    return {{{{x, y, 5.0 / picture_width, 5.0 / picture_height}, 3, false, {{x, y, 2}}}}, 3, mask};
}

struct Centre {
    double x = 0, y = 0, weight = 0;
};
// Of what is brighter than the grey beyond the border.
Centre bright(const Pixels<float>& p) {
    Centre c;
    for (int y = 0; y < p.height; ++y)
        for (int x = 0; x < p.width; ++x)
            if (const double v = p.at(y, x)[0]; v > 0.6)
                c.x += v * (x + 0.5) / p.width, c.y += v * (y + 0.5) / p.height, c.weight += v;
    return {c.x / c.weight, c.y / c.weight, c.weight};
}
Centre covered(const Mask& m) {
    Centre c;
    for (int y = 0; y < m.height; ++y)
        for (int x = 0; x < m.width; ++x)
            if (m.inside[static_cast<std::size_t>(y * m.width + x)])
                c.x += (x + 0.5) / m.width, c.y += (y + 0.5) / m.height, c.weight += 1;
    return {c.x / c.weight, c.y / c.weight, c.weight};
}

void expect_together(const Pixels<float>& pixels, const Labels& labels, const char* what) {
    ASSERT_EQ(labels.objects.size(), 1U) << what;
    const Centre c = bright(pixels);
    const Labelled& o = labels.objects[0];
    ASSERT_EQ(o.points.size(), 1U) << what;
    const double close = 1.2 / std::min(pixels.width, pixels.height);
    EXPECT_EQ(o.points[0].visible, 2) << what;
    EXPECT_NEAR(o.points[0].x, c.x, close) << what;
    EXPECT_NEAR(o.points[0].y, c.y, close) << what;
    EXPECT_NEAR(o.box.cx, c.x, close) << what;
    EXPECT_NEAR(o.box.cy, c.y, close) << what;
    EXPECT_EQ(o.class_id, 3) << what;
    EXPECT_EQ(labels.class_id, 3) << what;
    ASSERT_TRUE(labels.mask) << what;
    const Centre m = covered(*labels.mask);
    EXPECT_NEAR(m.x, c.x, close) << what;
    EXPECT_NEAR(m.y, c.y, close) << what;
}

TEST(Labels, MoveWithTheView) {
    const Image picture = spot(50, 20);
    for (const double degrees : {0.0, 20.0, -35.0}) {
        View view;
        view.size = 0.8, view.shift_x = 0.06, view.shift_y = -0.04,
        view.aspect = static_cast<double>(picture_width) / picture_height;
        view.sine = std::sin(degrees * 3.14159265 / 180), view.cosine = std::cos(degrees * 3.14159265 / 180);
        expect_together(seen(picture, view, picture_height, picture_width), seen(around(50, 20), view, 0.5), "view");
        // Fifteen pixels stay fifteen pixels, however the picture is turned: nothing is sheared.
        Labels two = around(50, 20);
        two.objects[0].points.push_back({65.5 / picture_width, 20.5 / picture_height, 2});
        const auto p = seen(two, view, 0).objects.at(0).points;
        EXPECT_NEAR(std::hypot((p[1].x - p[0].x) * picture_width, (p[1].y - p[0].y) * picture_height), 15 / 0.8, 1e-9);
    }
}

TEST(Labels, MoveWithFlipsAndCrops) {
    const Pixels<float> pixels = from_bytes<float>(spot(50, 20).rgb, picture_height, picture_width, 3);
    expect_together(hflip(pixels), hflip(around(50, 20), {}), "flip");
    const Window window{4, 30, 32, 40};
    const UnitBox fractions{50.0 / picture_width, 20.0 / picture_height, 40.0 / picture_width, 32.0 / picture_height};
    expect_together(crop(pixels, window), cropped(around(50, 20), fractions, 0.5), "crop");
    EXPECT_TRUE(cropped(around(20, 20), fractions, 0.5).objects.empty());
}

TEST(Labels, LeftAndRightPointsChangePlaces) {
    Labels l = around(50, 20);
    l.objects[0].points = {{0.2, 0.3, 2}, {0.6, 0.4, 1}};
    const auto swapped = hflip(l, {1, 0}).objects[0].points, kept = hflip(l, {}).objects[0].points;
    EXPECT_DOUBLE_EQ(swapped[0].x, 0.4);
    EXPECT_EQ(swapped[0].visible, 1);
    EXPECT_DOUBLE_EQ(kept[0].x, 0.8);
    EXPECT_EQ(kept[0].visible, 2);
}

TEST(Labels, APointOutsideIsNotVisible) {
    View view;
    view.size = 0.5, view.shift_x = 0.25;
    Labels l = around(50, 20);
    l.objects[0].points[0].x = 0.1;
    l.objects[0].box = {0.5, 0.5, 0.9, 0.9};
    EXPECT_EQ(seen(l, view, 0).objects.at(0).points.at(0).visible, 0);
}

TEST(Labels, FourInOneKeepWhatShows) {
    std::vector<Frame> four;
    for (const auto& [column, row] : {std::pair{60, 30}, {10, 30}, {60, 10}, {10, 10}})
        four.push_back(
            {from_bytes<float>(spot(column, row).rgb, picture_height, picture_width, 3), around(column, row)});
    // All four touch the middle of the canvas: every spot lies near it and shows.
    const Frame all = mosaic(four, picture_width, picture_height, 0.5, 2 * picture_height, 2 * picture_width);
    ASSERT_EQ(all.labels.objects.size(), 4U);
    for (const Labelled& o : all.labels.objects) {
        const int x = static_cast<int>(o.points[0].x * 2 * picture_width),
                  y = static_cast<int>(o.points[0].y * 2 * picture_height);
        EXPECT_GT(all.pixels.at(y, x)[0], 0.9F);
        EXPECT_EQ(o.class_id, 3);
    }
    ASSERT_TRUE(all.labels.mask);
    EXPECT_EQ(covered(*all.labels.mask).weight, 100);
    // Around a corner one picture alone is left.
    const Frame one = mosaic(four, 0, 0, 0.5, picture_height, picture_width);
    EXPECT_EQ(one.labels.objects.size(), 1U);
    keep_largest(four[0].labels);
    EXPECT_EQ(four[0].labels.objects.size(), 1U);
}

TEST(Labels, OneTargetIsTheLargestOrTheFirst) {
    const Labels three{{{{0.5, 0.5, 0.2, 0.2}, 0},
                        {{0.5, 0.5, 0.3, 0.2}, 1},
                        {{0.5, 0.5, 0.2, 0.3}, 2},
                        {{0.5, 0.5, 0.9, 0.9}, 3, true}},
                       -1,
                       nullptr};
    Labels largest = three, first = three;
    keep_largest(largest), keep_first(first);
    EXPECT_EQ(largest.objects.at(0).class_id, 1);  // the first of two equal ones; a crowd is none
    EXPECT_EQ(first.objects.at(0).class_id, 0);
}

// The whole road, in pictures that are not square: from the store through every draw of a recipe.
TEST(Recipes, KeepPointsWithTheirPixels) {
    std::vector<Tally> tallies;
    const PictureStore store(
        {{"a", "a", around(38, 22)}}, [](std::size_t) { return spot(38, 22); },
        {picture_height, picture_width, true, 1 << 20}, tallies);
    Recipe recipe;
    recipe.size = {picture_height, picture_width};
    recipe.settle = keep_largest;
    AugmentSpec& a = recipe.augment;
    a.fliplr = 0.5, a.translate = 0.1, a.scale = 0.3, a.degrees = 25, a.brightness = 0.1;
    for (std::int64_t epoch = 0; epoch < 20; ++epoch) {
        const Frame f = augmented(store, 0, recipe, 5, epoch);
        EXPECT_EQ(f.pixels.height, picture_height);
        EXPECT_EQ(f.pixels.width, picture_width);
        expect_together(f.pixels, f.labels, "recipe");
    }
    recipe.fit = Fit::centre_crop;
    recipe.size = {24, 40};
    a.smallest_crop = 0.5;
    for (std::int64_t epoch = 0; epoch < 20; ++epoch) {
        const Frame f = augmented(store, 0, recipe, 5, epoch);
        EXPECT_EQ(f.pixels.width, 40);
        if (!f.labels.objects.empty() && f.labels.objects[0].points[0].visible) {
            const Centre c = bright(f.pixels);
            EXPECT_NEAR(f.labels.objects[0].points[0].x, c.x, 0.06);
            EXPECT_NEAR(f.labels.objects[0].points[0].y, c.y, 0.1);
        }
    }
    const Frame middle = look(spot(38, 22), around(38, 22), recipe);
    EXPECT_EQ(middle.pixels.height, 24);
    EXPECT_NEAR(middle.labels.objects.at(0).points.at(0).x, bright(middle.pixels).x, 0.05);
}

}  // namespace
}  // namespace solobox
