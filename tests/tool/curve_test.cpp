// Curves and their noise, by which the doctor judges logs.
#include "train/doctor/curve.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace solobox {
namespace {

TEST(Curve, NoiseIsThatOfTheValues) {
    doctor::Rows rows;
    std::uint32_t state = 5;
    const auto normal = [&] {
        double sum = 0;
        for (int k = 0; k < 12; ++k) state = state * 1664525U + 1013904223U, sum += (state >> 8U) / double(1U << 24U);
        return sum - 6;
    };
    for (int i = 0; i < 2000; ++i) rows.emplace_back(i, 3 + .01 * i + .2 * normal());
    EXPECT_NEAR(doctor::noise_of(rows), .2, .02);
    EXPECT_NEAR(doctor::slope_of({rows.begin(), rows.begin() + 300}), .01, .001);
    EXPECT_EQ(doctor::noise_of({{1, 2}, {2, 9}, {3, 1}}), 0);  // too few to say
    EXPECT_NEAR(doctor::noise_of({{1, 1}, {2, 2}, {3, 3}, {4, 4}, {5, 5}}), 0, 1e-12);
    EXPECT_EQ(doctor::smoothed({{1, 1}, {2, 9}, {3, 2}, {4, 3}, {5, 4}})[1].second, 2);
}

}  // namespace
}  // namespace solobox
