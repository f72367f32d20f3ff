// Synthetic shapes: pure functions of (seed, index), with boxes that fit.
#include "data/sets/synthetic.h"

#include <set>

#include "data/image/image.h"
#include "tensor/check.h"
#include "tests/support/fixtures.h"

namespace solobox {
namespace {

TEST(DataSynthetic, SameArgumentsSameBits) {
    const SyntheticSample a = make_synthetic(3, 14, 64), b = make_synthetic(3, 14, 64);
    EXPECT_EQ(a.image.rgb, b.image.rgb);
    EXPECT_EQ(a.object.x1, b.object.x1);
    EXPECT_NE(a.image.rgb, make_synthetic(3, 15, 64).image.rgb);
    EXPECT_NE(a.image.rgb, make_synthetic(4, 14, 64).image.rgb);
}

TEST(DataSynthetic, StreamIsPinned) {
    // Runs on disk refer to these pictures: a change of the generator must be a decision, not an accident.
    const SyntheticSample s = make_synthetic(0, 0, 32);
    std::uint64_t hash = 1469598103934665603ULL;
    for (const std::uint8_t byte : s.image.rgb) hash = (hash ^ byte) * 1099511628211ULL;
    EXPECT_EQ(hash, 9593860508844993071ULL);
}

TEST(DataSynthetic, FiveHundredAreDistinctAndVaried) {
    std::set<std::vector<std::uint8_t>> pictures;
    std::set<int> classes;
    std::set<std::pair<double, double>> corners;
    for (std::uint64_t i = 0; i < 500; ++i) {
        const SyntheticSample s = make_synthetic(0, i, 48);
        pictures.insert(s.image.rgb);
        classes.insert(s.object.class_id);
        corners.insert({s.object.x1, s.object.y1});
    }
    EXPECT_EQ(pictures.size(), 500U);
    EXPECT_EQ(classes.size(), shape_names().size());
    EXPECT_GT(corners.size(), 200U);
}

TEST(DataSynthetic, BoxesLieInsideAndHaveArea) {
    for (const int size : {16, 33, 128}) {
        for (std::uint64_t i = 0; i < 200; ++i) {
            const SyntheticSample s = make_synthetic(9, i, size);
            ASSERT_EQ(s.image.width, size);
            ASSERT_EQ(s.image.rgb.size(), static_cast<std::size_t>(size * size * 3));
            EXPECT_GE(s.object.x1, 0);
            EXPECT_GE(s.object.y1, 0);
            EXPECT_LE(s.object.x2, size);
            EXPECT_LE(s.object.y2, size);
            EXPECT_GE(s.object.x2 - s.object.x1, 0.15 * size);
            EXPECT_GE(s.object.y2 - s.object.y1, 0.15 * size);
        }
    }
}

TEST(DataSynthetic, BoxesAreTight) {
    // The shape has one colour up to its shading by row. Take it from the middle of each side of the box: every side
    // must hold a pixel of it, and the ring of pixels around the box none. Rows share one shade, so compare by row.
    int tight = 0;
    for (std::uint64_t i = 0; i < 60; ++i) {
        const SyntheticSample s = make_synthetic(1, i, 96);
        if (s.object.class_id != 0) continue;  // rectangles: all corners belong to the shape
        const int x1 = static_cast<int>(s.object.x1), x2 = static_cast<int>(s.object.x2);
        const int y1 = static_cast<int>(s.object.y1), y2 = static_cast<int>(s.object.y2);
        const auto pixel = [&](int x, int y) {
            const auto at = static_cast<std::size_t>((y * 96 + x) * 3);
            return std::vector<std::uint8_t>(s.image.rgb.begin() + static_cast<std::ptrdiff_t>(at),
                                             s.image.rgb.begin() + static_cast<std::ptrdiff_t>(at) + 3);
        };
        for (int y = y1; y < y2; ++y) {
            EXPECT_EQ(pixel(x1, y), pixel(x2 - 1, y));
            EXPECT_EQ(pixel(x1, y), pixel((x1 + x2) / 2, y));
            if (x1 > 0) {
                EXPECT_NE(pixel(x1 - 1, y), pixel(x1, y));
            }
            if (x2 < 96) {
                EXPECT_NE(pixel(x2, y), pixel(x2 - 1, y));
            }
        }
        ++tight;
    }
    EXPECT_GT(tight, 3);
}

TEST(DataSynthetic, SizesAreChecked) {
    EXPECT_THROW(make_synthetic(0, 0, 15), ShapeError);
    EXPECT_THROW(make_synthetic(0, 0, 4096), ShapeError);
}

}  // namespace
}  // namespace solobox
