// Pictures and their boxes under every change: values worked out by hand, and the one property that matters most: a
// rectangle that is drawn, transformed and found again lies where its transformed box says.
#include "data/feed/augment.h"

#include <gtest/gtest.h>

#include <cmath>

#include "data/image/image.h"
#include "tensor/check.h"

namespace solobox {
namespace {

using Plane = Pixels<double>;

Plane row(std::vector<double> values) {
    Plane out(1, static_cast<int>(values.size()), 1);
    out.values = std::move(values);
    return out;
}

// Every value different, all below 1.
Plane numbered(int height, int width, int channels = 3) {
    Plane out(height, width, channels);
    for (std::size_t i = 0; i < out.values.size(); ++i)
        out.values[i] = static_cast<double>(i) / static_cast<double>(out.values.size());
    return out;
}

// Black, with one white rectangle.
Plane with_rectangle(int height, int width, const Object& box) {
    Plane out(height, width, 3);
    for (int y = static_cast<int>(box.y1); y < static_cast<int>(box.y2); ++y)
        for (int x = static_cast<int>(box.x1); x < static_cast<int>(box.x2); ++x)
            for (int c = 0; c < 3; ++c) out.at(y, x)[c] = 1;
    return out;
}

// The tight box round what is brighter than one half.
Object find_rectangle(const Plane& image) {
    Object found{7, 1e9, 1e9, -1e9, -1e9};
    for (int y = 0; y < image.height; ++y)
        for (int x = 0; x < image.width; ++x)
            if (image.at(y, x)[0] > 0.5) {
                found.x1 = std::min<double>(found.x1, x), found.x2 = std::max<double>(found.x2, x + 1);
                found.y1 = std::min<double>(found.y1, y), found.y2 = std::max<double>(found.y2, y + 1);
            }
    return found;
}

void expect_same(const Object& got, const Object& want, double tolerance = 1e-12) {
    EXPECT_EQ(got.class_id, want.class_id);
    EXPECT_NEAR(got.x1, want.x1, tolerance);
    EXPECT_NEAR(got.y1, want.y1, tolerance);
    EXPECT_NEAR(got.x2, want.x2, tolerance);
    EXPECT_NEAR(got.y2, want.y2, tolerance);
}

void expect_near(const std::vector<double>& got, const std::vector<double>& want, double tolerance = 1e-12) {
    ASSERT_EQ(got.size(), want.size());
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], tolerance) << "element " << i;
}

const Object marked{7, 2, 3, 6, 5};  // in a picture of 9 rows, 12 columns
constexpr int plane_rows = 9, plane_columns = 12;

// ---- Resizing

TEST(DataAugment, ResizeByHand) {
    const Plane in = row({0, 1, 2, 3});
    expect_near(resize(in, 1, 2, Resampling::bilinear).values, {0.5, 2.5});
    expect_near(resize(row({0, 1}), 1, 4, Resampling::bilinear).values, {0, 0.25, 0.75, 1});
    expect_near(resize(in, 1, 2, Resampling::nearest).values, {1, 3});
    expect_near(resize(in, 1, 2, Resampling::nearest_floor).values, {0, 2});
    expect_near(resize(row({0, 3, 6}), 1, 2, Resampling::area).values, {1, 5});              // (0 + 3/2) / 1.5
    expect_near(resize(row({0, 3, 6}), 1, 2, Resampling::adaptive_avg).values, {1.5, 4.5});  // cells overlap
    expect_near(resize(row({0, 6}), 1, 3, Resampling::area).values, {0, 3, 6});
}

TEST(DataAugment, ResizeToTheSameSizeIsTheIdentityAndKeepsConstants) {
    const Plane in = numbered(5, 7);
    const Plane flat(5, 7, 2, 0.3);
    for (const auto how : {Resampling::bilinear, Resampling::nearest, Resampling::nearest_floor, Resampling::area,
                           Resampling::adaptive_avg}) {
        EXPECT_EQ(resize(in, 5, 7, how).values, in.values);
        for (const auto& [h, w] : {std::pair(1, 1), {3, 11}, {13, 2}}) {
            const Plane out = resize(flat, h, w, how);
            for (const double v : out.values) EXPECT_NEAR(v, 0.3, 1e-12);
        }
    }
    EXPECT_THROW(resize(in, 0, 3), ShapeError);
    EXPECT_THROW(resize(Plane{}, 2, 3), ShapeError);
}

TEST(DataAugment, AreaKeepsTheMeanWhateverTheFactor) {
    const Plane in = numbered(7, 11, 1);
    for (const auto& [h, w] : {std::pair(3, 4), {7, 2}, {5, 13}}) {
        const Plane out = resize(in, h, w, Resampling::area);
        double a = 0, b = 0;
        for (const double v : in.values) a += v / static_cast<double>(in.values.size());
        for (const double v : out.values) b += v / static_cast<double>(out.values.size());
        EXPECT_NEAR(a, b, 1e-12);
    }
}

// One resize for the loader's floats and for Pixels.
TEST(DataAugment, FloatResizeIsTheOneOfTheImageModule) {
    Pixels<float> in(6, 5, 3);
    for (std::size_t i = 0; i < in.values.size(); ++i) in.values[i] = static_cast<float>(i % 17) / 17.0F;
    EXPECT_EQ(resize(in, 4, 9).values, resize_bilinear(in.values, 6, 5, 3, 4, 9, false));
}

// ---- Flips and turns

TEST(DataAugment, FlipTwiceAndFourTurnsAreTheIdentity) {
    const Plane in = numbered(4, 6);
    EXPECT_EQ(hflip(hflip(in)).values, in.values);
    EXPECT_EQ(rot90(in, 4).values, in.values);
    EXPECT_EQ(rot90(rot90(in, 1), -1).values, in.values);
    EXPECT_EQ(rot90(rot90(in, 1), 2).values, rot90(in, 3).values);
    expect_same(hflip(hflip(marked, plane_columns), plane_columns), marked);
    expect_same(rot90(rot90(marked, 3, plane_rows, plane_columns), 1, plane_columns, plane_rows), marked);
    EXPECT_EQ(hflip(row({1, 2, 3})).values, (std::vector<double>{3, 2, 1}));
    const UnitBox unit = hflip(UnitBox{0.25, 0.5, 0.1, 0.2});
    EXPECT_DOUBLE_EQ(unit.cx, 0.75);
    EXPECT_DOUBLE_EQ(unit.w, 0.1);
}

TEST(DataAugment, AQuarterTurnIsCounterClockwise) {
    const Plane up = rot90(row({1, 2, 3}), 1);
    EXPECT_EQ(up.height, 3);
    EXPECT_EQ(up.values, (std::vector<double>{3, 2, 1}));  // the right end is on top now
}

TEST(DataAugment, BoxesFollowThePixels) {
    const Plane image = with_rectangle(plane_rows, plane_columns, marked);
    expect_same(find_rectangle(image), marked);
    expect_same(find_rectangle(hflip(image)), hflip(marked, plane_columns));
    for (int turns = -5; turns <= 5; ++turns)
        expect_same(find_rectangle(rot90(image, turns)), rot90(marked, turns, plane_rows, plane_columns));
    const Letterbox plan = plan_letterbox(plane_rows, plane_columns, 40, 24);  // twice as large, bars above and below
    EXPECT_EQ(plan.top, 11);
    expect_same(find_rectangle(letterbox(image, plan, 0)), to_letterbox(marked, plan));
    for (const Window& w : {Window{0, 0, plane_rows, plane_columns}, Window{4, 3, 5, 8}, Window{1, 0, 3, 3}}) {
        const Cropped left = crop_objects({marked}, w, 0);
        ASSERT_EQ(left.objects.size(), 1U);
        expect_same(find_rectangle(crop(image, w)), left.objects[0]);
    }
}

TEST(DataAugment, TurnedBoxes) {
    const Object square{7, 1, 2, 4, 3};
    for (int turns = 0; turns < 4; ++turns)
        expect_same(rotate(square, 90.0 * turns, 10, 10).enclosing, rot90(square, turns, 10, 10));
    const RotatedBox turned = rotate({0, 4, 4, 6, 6}, 45, 10, 10);  // a square about the centre stands on its corner
    const double half = std::sqrt(2.0);
    expect_same(turned.enclosing, {0, 5 - half, 5 - half, 5 + half, 5 + half});
    expect_near({turned.corners[1][0], turned.corners[1][1]}, {5, 5 - half});  // the right upper corner went up
    EXPECT_DOUBLE_EQ(turned.visible, 1);
    EXPECT_NEAR(rotate({0, 0, 0, 10, 2}, 90, 10, 10).visible, 1, 1e-12);
    const RotatedBox cut =
        rotate({0, 0, 0, 20, 2}, 90, 10, 20);  // x 0 to 2, y -5 to 15: half of it lies in the picture
    EXPECT_NEAR(cut.visible, 0.5, 1e-12);
}

// ---- Letterbox and crop

TEST(DataAugment, LetterboxAndBack) {
    const Letterbox wide = plan_letterbox(12, 25, 24, 24);
    EXPECT_EQ(wide.inner_height, 12);
    EXPECT_EQ(wide.inner_width, 24);
    EXPECT_EQ(wide.top, 6);
    EXPECT_EQ(wide.left, 0);
    const Object inside{3, 1.5, 2.25, 20, 11};
    expect_same(from_letterbox(to_letterbox(inside, wide), wide), inside);
    expect_same(from_letterbox({3, -5, 0, 30, 30}, wide), {3, 0, 0, 25, 12});
    const Letterbox small = plan_letterbox(4, 3, 9, 8, false);  // odd rests go below and right
    EXPECT_EQ(small.inner_height, 4);
    EXPECT_EQ(small.top, 2);
    EXPECT_EQ(small.left, 2);
    const Plane out = letterbox(numbered(4, 3), small);
    EXPECT_DOUBLE_EQ(out.at(0, 0)[0], 114.0 / 255.0);
    EXPECT_DOUBLE_EQ(out.at(2, 2)[0], 0);
    EXPECT_EQ(plan_letterbox(1, 1000, 10, 10).inner_height, 1);  // never vanishes
    EXPECT_THROW(letterbox(numbered(4, 4), small), ShapeError);
}

TEST(DataAugment, CropKeepsWhatIsVisibleEnough) {
    const std::vector<Object> objects{
        {0, 0, 0, 4, 4}, {1, 2, 2, 4, 4}, {2, 3, 0, 5, 4}, {3, 8, 8, 9, 9}, {4, 3, 3, 3, 3}};
    const Window window{0, 0, 4, 4};
    const Cropped half = crop_objects(objects, window, 0.5);
    EXPECT_EQ(half.visible, (std::vector<double>{1, 1, 0.5, 0, 0}));
    EXPECT_EQ(half.kept, (std::vector<std::size_t>{0, 1, 2}));  // exactly one half is enough
    EXPECT_EQ(crop_objects(objects, window, 0.51).kept, (std::vector<std::size_t>{0, 1}));
    EXPECT_EQ(crop_objects(objects, window, 0).kept.size(), 3U);  // nothing visible is never kept
    for (const Window& w : {Window{-1, 0, 2, 2}, Window{0, 0, 10, 2}, Window{0, 0, 0, 2}, Window{8, 11, 1, 2}})
        EXPECT_THROW(crop(numbered(9, 12), w), ShapeError);
}

TEST(DataAugment, BoxesThatAreNoBoxesAreDropped) {
    const double nan = std::nan("");
    const Cropped left = crop_objects({{0, nan, 0, 4, 4}, {0, 3, 3, 1, 1}}, {0, 0, 4, 4}, 0);
    EXPECT_TRUE(left.objects.empty());
}

// ---- Colours

TEST(DataAugment, ColoursByHand) {
    Plane one(1, 1, 3);
    one.values = {0.5, 0.25, 0};
    Plane p = one;
    brightness(p, 3);
    expect_near(p.values, {1, 0.75, 0});
    const double luma = 0.2989 * 0.5 + 0.587 * 0.25;
    p = one;
    saturation(p, 0);
    expect_near(p.values, {luma, luma, luma});
    p = one;
    contrast(p, 0.5);
    expect_near(p.values, {0.25 + luma / 2, 0.125 + luma / 2, luma / 2});
    p = one;
    hue(p, 1.0 / 3);  // red becomes green
    expect_near(p.values, {0, 0.5, 0.25});
    expect_near(rgb_to_hsv(one).values, {0.5 / 6, 1, 0.5});
    p = one;
    hsv_gain(p, {1, 0.5, 2});
    expect_near(p.values, {1, 0.75, 0.5});
}

TEST(DataAugment, ColourIdentities) {
    const Plane in = numbered(6, 5);
    Plane p = in;
    for (const auto kind : {ColourKind::brightness, ColourKind::contrast, ColourKind::saturation})
        colour_chain(p, {{kind, 1}});
    colour_chain(p, {{ColourKind::hue, 0}, {ColourKind::hue, 1}, {ColourKind::hue, -0.3}, {ColourKind::hue, 0.3}});
    hsv_gain(p, {1, 1, 1});
    expect_near(p.values, in.values, 1e-12);
    Plane grey = row({0.2, 0.8});  // one channel
    saturation(grey, 0);
    hue(grey, 0.4);
    expect_near(grey.values, {0.2, 0.8});
    contrast(grey, 0);
    expect_near(grey.values, {0.5, 0.5});
}

TEST(DataAugment, WhatColoursRefuse) {
    Plane two(1, 1, 2);
    EXPECT_THROW(contrast(two, 1), ShapeError);
    EXPECT_THROW(hsv_gain(two, {1, 1, 1}), ShapeError);
    EXPECT_THROW(colour_kind("solarize"), ConfigError);
    EXPECT_THROW(normalize(two, {0}, {1}), ShapeError);
    EXPECT_THROW(normalize(two, {0, 0}, {1, 0}), ShapeError);
    EXPECT_THROW(from_bytes<float>({1, 2}, 1, 1, 3), ShapeError);
}

TEST(DataAugment, BytesAndNormalisation) {
    Plane p = from_bytes<double>({0, 51, 255}, 1, 1, 3);
    expect_near(p.values, {0, 0.2, 1});
    normalize(p, {0.5, 0.2, 0}, {0.5, 1, 0.25});
    expect_near(p.values, {-1, 0, 4});
}

// ---- Mixing

TEST(DataAugment, BlendAndSoftLabels) {
    expect_near(blend(row({1, 0}), row({0, 1}), 0.25).values, {0.25, 0.75});
    expect_near(soft_labels({0, 2}, {1, 2}, 0.75, 3), {0.75, 0.25, 0, 0, 0, 1});
    EXPECT_THROW(soft_labels({3}, {0}, 0.5, 3), ShapeError);
    EXPECT_THROW(blend(row({1, 0}), row({1}), 0.5), ShapeError);
    EXPECT_EQ(concat({marked}, {marked, marked}).size(), 3U);
}

TEST(DataAugment, CutMix) {
    const Window w = cutmix_window(8, 8, 3, 4, 0.5);  // sides int(5.66) = 5
    EXPECT_EQ(w.left, 2);
    EXPECT_EQ(w.top, 1);
    EXPECT_EQ(w.width, 5);
    EXPECT_EQ(w.height, 5);
    EXPECT_DOUBLE_EQ(cutmix_lambda(w, 8, 8), 1 - 25.0 / 64);
    Plane a(8, 8, 1), b(8, 8, 1, 1.0);
    paste(a, b, w);
    double sum = 0;
    for (const double v : a.values) sum += v;
    EXPECT_DOUBLE_EQ(sum, 25);
    expect_same(find_rectangle(a), {7, 2, 1, 7, 6});
    const Window none = cutmix_window(8, 8, 0, 0, 1);
    EXPECT_DOUBLE_EQ(cutmix_lambda(none, 8, 8), 1);
    paste(a, b, none);  // nothing to do
    EXPECT_THROW(cutmix_window(8, 8, 0, 0, 1.5), ShapeError);
}

TEST(DataAugment, MosaicBoxesFollowThePixels) {
    for (const auto& [cx, cy] : {std::pair(10, 10), {5, 15}, {13, 6}})
        for (int quarter = 0; quarter < 4; ++quarter) {
            Plane canvas(20, 20, 3, 0.25);
            const Placement place = plan_mosaic(quarter, plane_rows, plane_columns, 10, cx, cy);
            paint(canvas, with_rectangle(plane_rows, plane_columns, marked), place);
            const Cropped left = mosaic_objects({marked}, place, 0);
            if (left.objects.empty()) continue;
            expect_same(find_rectangle(canvas), left.objects[0]);
        }
    const Placement top_left = plan_mosaic(0, plane_rows, plane_columns, 10, 5, 15);
    EXPECT_EQ(top_left.dx, -7);
    EXPECT_EQ(top_left.dy, 6);
    EXPECT_EQ(top_left.x1, 0);
    EXPECT_EQ(top_left.x2, 5);
    const Placement outside = plan_mosaic(0, plane_rows, plane_columns, 10, 0, 0);  // nothing of it shows
    Plane canvas(20, 20, 3);
    paint(canvas, numbered(plane_rows, plane_columns), outside);
    EXPECT_EQ(canvas.values, Plane(20, 20, 3).values);
    EXPECT_TRUE(mosaic_objects({marked}, outside, 0).objects.empty());
    EXPECT_THROW(plan_mosaic(4, 1, 1, 1, 0, 0), ShapeError);
}

}  // namespace
}  // namespace solobox
