// The fast float kernels against the double reference: every row of the ops table, forward and backward, plus
// convolutions of awkward sizes; and the same bits for every number of threads and every batch.
#include "train/proof/parity.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "tensor/check.h"
#include "tensor/kernels/conv.h"
#include "tensor/kernels/conv_small_maps.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/parallel.h"
#include "tensor/random.h"

namespace solobox::f64 {
std::vector<RowResult> evaluate_row(const std::string& name);
}

namespace solobox {
namespace {

class Parity : public ::testing::TestWithParam<std::string> {};

TEST_P(Parity, FloatAgreesWithDouble) {
    const auto single = evaluate_row(GetParam()), twice = f64::evaluate_row(GetParam());
    ASSERT_EQ(single.size(), twice.size());
    for (std::size_t i = 0; i < single.size(); ++i) {
        ASSERT_EQ(single[i].numbers.size(), twice[i].numbers.size()) << single[i].what;
        double scale = 1e-2, off = 0;
        for (const double v : twice[i].numbers) scale = std::max(scale, std::abs(v));
        for (std::size_t k = 0; k < single[i].numbers.size(); ++k)
            off = std::max(off, std::abs(single[i].numbers[k] - twice[i].numbers[k]));
        // A whole network of many layers adds up the rounding of each; an op alone must be close.
        const double allowed = GetParam() == "toy" ? 5e-3 : 2e-4;
        EXPECT_LE(off, allowed * scale) << single[i].what;
    }
}

INSTANTIATE_TEST_SUITE_P(Rows, Parity, ::testing::ValuesIn(row_names()), [](const auto& row) {
    std::string name = row.param;
    for (char& c : name)
        if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
    return name;
});

std::vector<float> uniform_noise(std::int64_t n, std::uint32_t op) {
    Random random({1, Stream::test, 0, 0, op});
    std::vector<float> v(static_cast<std::size_t>(n));
    for (float& x : v) x = static_cast<float>(random.uniform(-1, 1));
    return v;
}

struct Passes {
    std::vector<float> y, dx, dw;
};

Passes convolve(const ConvShape& s, bool fast) {
    const auto x = uniform_noise(s.n * s.h * s.w * s.c, 1), w = uniform_noise(s.kh * s.kw * s.group_c() * s.o, 2),
               b = uniform_noise(s.o, 3);
    const auto dy = uniform_noise(s.out_pixels() * s.o, 4);
    Passes p{std::vector<float>(dy.size(), NAN), std::vector<float>(x.size(), NAN), std::vector<float>(w.size(), NAN)};
    if (fast) {
        solobox::fast::conv2d_forward(s, x.data(), w.data(), b.data(), p.y.data());
        solobox::fast::conv2d_grad_input(s, dy.data(), w.data(), p.dx.data());
        solobox::fast::conv2d_grad_weight(s, x.data(), dy.data(), p.dw.data());
    } else {
        f32::reference::conv2d_forward(s, x.data(), w.data(), b.data(), p.y.data());
        f32::reference::conv2d_grad_input(s, dy.data(), w.data(), p.dx.data());
        f32::reference::conv2d_grad_weight(s, x.data(), dy.data(), p.dw.data());
    }
    return p;
}

void expect_near(const std::vector<float>& a, const std::vector<float>& b, const std::string& what) {
    double scale = 1e-6, off = 0;
    for (const float v : b) scale = std::max(scale, std::abs(static_cast<double>(v)));
    for (std::size_t i = 0; i < a.size(); ++i) {
        const double d = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
        if (!(d <= off)) off = d;
    }
    EXPECT_LE(off, 3e-5 * scale) << what;
}

TEST(Convolution, FastEqualsReferenceOnOddShapes) {
    if (active_kernels() == Kernels::reference) GTEST_SKIP() << "SOLOBOX_KERNELS=ref: there is no fast twin to compare";
    Random random({5, Stream::test});
    const auto pick = [&](std::int64_t lo, std::int64_t hi) { return lo + random.below(hi - lo + 1); };
    for (int trial = 0; trial < 120; ++trial) {
        ConvShape s;
        s.groups = trial % 5 == 0 ? pick(2, 3) : 1;
        s.n = pick(1, 3);
        s.h = pick(1, 13);
        s.w = pick(1, 13);
        s.c = s.groups * pick(1, trial % 3 ? 9 : 70);
        s.o = s.groups * pick(1, trial % 4 ? 20 : 70);
        s.kh = pick(1, 4);
        s.kw = pick(1, 4);
        s.stride_h = pick(1, 3);
        s.stride_w = pick(1, 3);
        s.dilation_h = pick(1, 2);
        s.dilation_w = pick(1, 2);
        s.pad_h = pick(0, 2);
        s.pad_w = pick(0, 2);
        if (s.h + 2 * s.pad_h < s.dilation_h * (s.kh - 1) + 1 || s.w + 2 * s.pad_w < s.dilation_w * (s.kw - 1) + 1)
            continue;
        const std::string what =
            fmt::format("n{} {}x{}x{} k{}x{} o{} s{}x{} p{}x{} d{}x{} g{}", s.n, s.h, s.w, s.c, s.kh, s.kw, s.o,
                        s.stride_h, s.stride_w, s.pad_h, s.pad_w, s.dilation_h, s.dilation_w, s.groups);
        const Passes quick = convolve(s, true), slow = convolve(s, false);
        expect_near(quick.y, slow.y, "forward " + what);
        expect_near(quick.dx, slow.dx, "grad input " + what);
        expect_near(quick.dw, slow.dw, "grad weight " + what);
    }
}

// Maps of a few pixels go pixel by pixel over all images, or, when the images are few, as any other map: no bit of an
// image may tell which.
TEST(Convolution, SmallMapsEqualReferenceAndAnImageAlone) {
    if (active_kernels() == Kernels::reference) GTEST_SKIP() << "SOLOBOX_KERNELS=ref: there is no fast twin to compare";
    Random random({6, Stream::test});
    const auto pick = [&](std::int64_t lo, std::int64_t hi) { return lo + random.below(hi - lo + 1); };
    int small = 0;
    for (int trial = 0; trial < 40; ++trial) {
        ConvShape s{pick(12, 20), pick(1, 4), pick(1, 4), pick(64, 90), pick(1, 4), pick(1, 4), pick(1, 70)};
        s.stride_h = pick(1, 2), s.stride_w = pick(1, 2), s.pad_h = pick(0, 3), s.pad_w = pick(0, 3);
        if (s.h + 2 * s.pad_h < s.kh || s.w + 2 * s.pad_w < s.kw) continue;
        small += fast::small_map_applies(s) ? 1 : 0;
        const std::string what = fmt::format("n{} {}x{}x{} k{}x{} o{} s{}x{} p{}x{}", s.n, s.h, s.w, s.c, s.kh, s.kw,
                                             s.o, s.stride_h, s.stride_w, s.pad_h, s.pad_w);
        const Passes quick = convolve(s, true), slow = convolve(s, false);
        expect_near(quick.y, slow.y, "forward " + what);
        expect_near(quick.dx, slow.dx, "grad input " + what);
        expect_near(quick.dw, slow.dw, "grad weight " + what);
        ConvShape first = s;
        first.n = 1;
        const Passes alone = convolve(first, true);
        EXPECT_EQ(std::memcmp(quick.y.data(), alone.y.data(), alone.y.size() * sizeof(float)), 0) << what;
        EXPECT_EQ(std::memcmp(quick.dx.data(), alone.dx.data(), alone.dx.size() * sizeof(float)), 0) << what;
    }
    EXPECT_GT(small, 10);
}

TEST(Convolution, BitsDependNeitherOnThreadsNorOnTheBatch) {
    if (active_kernels() == Kernels::reference) GTEST_SKIP() << "SOLOBOX_KERNELS=ref: there is no fast twin to compare";
    const ConvShape s{5, 14, 13, 24, 3, 3, 40, 1, 1, 1, 1};
    set_thread_count(1);
    const Passes one = convolve(s, true);
    for (const int threads : {2, 3, 4}) {
        set_thread_count(threads);
        const Passes many = convolve(s, true);
        EXPECT_EQ(std::memcmp(one.y.data(), many.y.data(), one.y.size() * sizeof(float)), 0);
        EXPECT_EQ(std::memcmp(one.dx.data(), many.dx.data(), one.dx.size() * sizeof(float)), 0);
        EXPECT_EQ(std::memcmp(one.dw.data(), many.dw.data(), one.dw.size() * sizeof(float)), 0);
    }
    set_thread_count(default_thread_count());
    ConvShape first = s;
    first.n = 1;  // the same first picture: uniform_noise() is a prefix
    const Passes alone = convolve(first, true);
    EXPECT_EQ(std::memcmp(one.y.data(), alone.y.data(), alone.y.size() * sizeof(float)), 0);
}

}  // namespace
}  // namespace solobox
