// Drawing: exact pixels where it matters, and nothing outside the picture.
#include "data/image/draw.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "tensor/check.h"

namespace solobox {
namespace {

constexpr Rgb white{255, 255, 255}, black{0, 0, 0};

int lit(const Image& image) {
    int count = 0;
    for (std::size_t i = 0; i < image.rgb.size(); i += 3) count += image.rgb[i] == 255 ? 1 : 0;
    return count;
}

bool is_lit(const Image& image, int x, int y) {
    return image.rgb[static_cast<std::size_t>(y * image.width + x) * 3] == 255;
}

TEST(Draw, OutlineGrowsInwards) {
    Image image = make_canvas(10, 8, black);
    draw_rect(image, {2, 1, 8, 7}, {white, 1});
    EXPECT_EQ(lit(image), 2 * 6 + 2 * 4);
    EXPECT_TRUE(is_lit(image, 2, 1) && is_lit(image, 7, 6));
    EXPECT_FALSE(is_lit(image, 8, 7) || is_lit(image, 1, 1) || is_lit(image, 3, 2));
    draw_rect(image, {2, 1, 8, 7}, {white, 50});
    EXPECT_EQ(lit(image), 6 * 6);
}

TEST(Draw, DashesLeaveGaps) {
    Image image = make_canvas(20, 3, black);
    draw_rect(image, {0, 0, 20, 1}, {white, 1, 3, 2});
    EXPECT_EQ(lit(image), 12 + 1);  // 3 of every 5, and the right side starts with a dash of its own
    EXPECT_TRUE(is_lit(image, 0, 0) && is_lit(image, 2, 0) && is_lit(image, 5, 0));
    EXPECT_FALSE(is_lit(image, 3, 0) || is_lit(image, 4, 0));
}

TEST(Draw, EverythingIsClipped) {
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max(),
                           least = std::numeric_limits<std::int64_t>::min();
    Image image = make_canvas(9, 7, black);
    fill_rect(image, {least, least, -1, most}, white);
    draw_rect(image, {20, 20, 30, 30}, {white, 2});
    draw_rect(image, {5, 5, 2, 2}, {white, 2});
    draw_rect(image, {-50, -50, 60, 60}, {white, 2, 3, 3});
    draw_text(image, 1000, 1000, "x", 3, white, white);
    draw_text(image, -1000, 0, "x", 3, white, white);
    draw_text(image, 0, 0, "x", 0, white, white);
    copy_into(image, make_canvas(5, 5, white), 9, 0);
    copy_into(image, make_canvas(5, 5, white), most, least);
    EXPECT_EQ(lit(image), 0);
    draw_rect(image, {least, 3, most, 4}, {white, 1, 4, 1});  // a line that leaves on both sides, in reasonable time
    EXPECT_GT(lit(image), 5);
    Image copied = make_canvas(9, 7, black);
    copy_into(copied, make_canvas(5, 5, white), -3, 5);
    EXPECT_EQ(lit(copied), 2 * 2);
    fill_rect(image, {least, least, most, most}, white);
    EXPECT_EQ(lit(image), 9 * 7);
}

TEST(Draw, EmptyAndInconsistentPicturesAreLeftAlone) {
    Image broken{100, 100, {1, 2, 3}};
    for (Image image : {Image{}, Image{0, 5, {}}, Image{-3, -3, {}}, broken}) {
        const std::vector<std::uint8_t> before = image.rgb;
        fill_rect(image, {0, 0, 50, 50}, white);
        draw_rect(image, {0, 0, 50, 50}, {white, 2, 2, 2});
        draw_box(image, {}, {white, 2});
        draw_text(image, 0, 0, "text", 2, white, black);
        copy_into(image, make_canvas(3, 3, white), 0, 0);
        Image canvas = make_canvas(3, 3, black);
        copy_into(canvas, image, 0, 0);
        EXPECT_EQ(lit(canvas), 0);
        EXPECT_EQ(scale_to_fit(image, 10, 10).width, 0);
        EXPECT_EQ(image.rgb, before);
    }
    EXPECT_EQ(scale_to_fit(make_canvas(4, 4, white), 0, 10).width, 0);
    EXPECT_THROW(make_canvas(-1, 4, white), ShapeError);
    EXPECT_THROW(make_canvas(1 << 30, 1 << 30, white), ShapeError);
}

TEST(Draw, UnitBoxesToPixels) {
    const auto r = to_pixels({0.5, 0.5, 0.5, 0.25}, 100, 200);
    ASSERT_TRUE(r.has_value());
    EXPECT_EQ(r->x1, 25);
    EXPECT_EQ(r->x2, 75);
    EXPECT_EQ(r->y1, 75);
    EXPECT_EQ(r->y2, 125);
    EXPECT_FALSE(to_pixels({NAN, 0.5, 1, 1}, 10, 10).has_value());
    EXPECT_FALSE(to_pixels({0.5, 0.5, INFINITY, 1}, 10, 10).has_value());
    const auto point = to_pixels({0.5, 0.5, 0, 0}, 10, 10);
    ASSERT_TRUE(point.has_value());
    EXPECT_EQ(point->x2 - point->x1, 1);
    EXPECT_TRUE(to_pixels({1e300, -1e300, 1e308, 1e308}, 10, 10).has_value());
}

TEST(Draw, EveryPrintableCharacterHasItsOwnGlyph) {
    std::set<std::vector<std::uint8_t>> seen;
    for (int code = 0x20; code <= 0x7E; ++code) {
        Image image = make_canvas(6, 9, black);
        draw_text(image, 0, 0, std::string(1, static_cast<char>(code)), 1, white);
        EXPECT_EQ(lit(image) > 0, code != ' ') << static_cast<char>(code);
        for (int y = 0; y < 9; ++y) EXPECT_FALSE(is_lit(image, 5, y)) << static_cast<char>(code);
        EXPECT_TRUE(seen.insert(image.rgb).second) << static_cast<char>(code) << " looks like another one";
    }
}

TEST(Draw, TextScalesAndCountsCharactersNotBytes) {
    EXPECT_EQ(text_width("abc", 2), 36);
    EXPECT_EQ(text_width("h\xC3\xA9", 1), 12);
    EXPECT_EQ(text_width("abc", -1), 0);
    EXPECT_EQ(text_height(2), 18);
    Image one = make_canvas(6, 9, black), three = make_canvas(18, 27, black);
    draw_text(one, 0, 0, "R", 1, white);
    draw_text(three, 0, 0, "R", 3, white);
    EXPECT_EQ(lit(three), 9 * lit(one));
    EXPECT_EQ(scale_nearest(one, 18, 27).rgb, three.rgb);
}

TEST(Draw, FitTextKeepsBothEnds) {
    EXPECT_EQ(fit_text("short", 1, 100), "short");
    EXPECT_EQ(fit_text("a_long_name.jpg", 1, 60), "a_lo...jpg");
    EXPECT_EQ(fit_text("a_long_name.jpg", 1, 6), "");
    EXPECT_EQ(fit_text("a_long_name.jpg", 1, -5), "");
    EXPECT_EQ(fit_text("x", 0, 50), "");
}

TEST(Draw, ScaleToFitKeepsTheAspectRatio) {
    const Image wide = scale_to_fit(make_canvas(400, 100, white), 100, 100);
    EXPECT_EQ(wide.width, 100);
    EXPECT_EQ(wide.height, 25);
    const Image enlarged = scale_to_fit(make_canvas(4, 2, white), 100, 100);
    EXPECT_EQ(enlarged.width, 100);
    EXPECT_EQ(enlarged.height, 50);
    EXPECT_EQ(lit(enlarged), 100 * 50);
    EXPECT_EQ(scale_to_fit(make_canvas(1000, 1, white), 50, 50).height, 1);
}

}  // namespace
}  // namespace solobox
