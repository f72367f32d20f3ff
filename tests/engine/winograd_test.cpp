// Winograd's convolution: each transform against the matrices, the whole against the definition in double, the error
// within its bound, the same bits for every number of threads and every batch.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "tensor/check.h"
#include "tensor/kernels/conv.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/parallel.h"
#include "tensor/random.h"

namespace solobox {
namespace {

using Floats = std::vector<float>;

Floats normal_noise(std::int64_t n, std::uint32_t op) {
    Random random({1, Stream::test, 0, 0, op});
    Floats v(static_cast<std::size_t>(n));
    for (float& x : v) x = static_cast<float>(random.normal());
    return v;
}

template <std::size_t N>
std::array<const float*, N> rows_of(const Floats& v, std::int64_t length) {
    std::array<const float*, N> p;
    for (std::size_t i = 0; i < N; ++i) p[i] = v.data() + static_cast<std::int64_t>(i) * length;
    return p;
}
template <std::size_t N>
std::array<float*, N> rows_of(Floats& v, std::int64_t length) {
    std::array<float*, N> p;
    for (std::size_t i = 0; i < N; ++i) p[i] = v.data() + static_cast<std::int64_t>(i) * length;
    return p;
}

void expect_close(const Floats& a, const Floats& b, const char* what) {
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 2e-5) << what << " " << i;
}

class Winograd : public ::testing::Test {
protected:
    void SetUp() override {
        if (active_kernels() == Kernels::reference)
            GTEST_SKIP() << "SOLOBOX_KERNELS=ref: there is no fast twin to compare";
    }
    void TearDown() override {
        fast::set_winograd(true);
        set_thread_count(default_thread_count());
    }
};

TEST_F(Winograd, TransformsAreTheMatrices) {
    const WinogradKernels &quick = isa(active_kernels()).winograd, &slow = reference_winograd;
    const std::int64_t c = 32, stride = 40;
    const Floats in = normal_noise(36 * stride, 1), bias = normal_noise(c, 2);
    const auto both = [&](std::int64_t size, auto run, const char* what) {
        Floats a(static_cast<std::size_t>(size * stride), 7.0F), b = a;
        run(quick, a);
        run(slow, b);
        expect_close(a, b, what);
    };
    both(
        36, [&](auto& k, Floats& out) { k.input(c, rows_of<36>(in, stride).data(), out.data(), stride); }, "input");
    both(
        36, [&](auto& k, Floats& out) { k.output_grad(c, rows_of<16>(in, stride).data(), out.data(), stride); }, "dy");
    both(
        36, [&](auto& k, Floats& out) { k.weight(c, rows_of<9>(in, stride).data(), out.data(), stride); }, "weight");
    both(
        9, [&](auto& k, Floats& out) { k.weight_grad(c, in.data(), stride, rows_of<9>(out, stride).data()); }, "dw");
    for (const float* b : {bias.data(), static_cast<const float*>(nullptr)})
        both(
            16,
            [&](auto& k, Floats& out) {
                auto y = rows_of<16>(out, stride);
                y[3] = y[12] = y[15] = nullptr;  // beyond the border
                k.output(c, in.data(), stride, b, y.data());
            },
            "output");
}

struct WinogradPasses {
    Floats y, dx, dw;
};

WinogradPasses run(const ConvShape& s) {
    const Floats x = normal_noise(s.n * s.h * s.w * s.c, 1), w = normal_noise(9 * s.c * s.o, 2),
                 b = normal_noise(s.o, 3);
    const Floats dy = normal_noise(s.out_pixels() * s.o, 4);
    WinogradPasses p{Floats(dy.size(), NAN), Floats(x.size(), NAN), Floats(w.size(), NAN)};
    fast::conv2d_forward(s, x.data(), w.data(), b.data(), p.y.data());
    fast::conv2d_grad_input(s, dy.data(), w.data(), p.dx.data());
    fast::conv2d_grad_weight(s, x.data(), dy.data(), p.dw.data());
    return p;
}

// The definition, in double, at the same numbers.
struct Exact {
    std::vector<double> y, dx, dw;
    explicit Exact(const ConvShape& s) {
        const Floats x = normal_noise(s.n * s.h * s.w * s.c, 1), w = normal_noise(9 * s.c * s.o, 2),
                     b = normal_noise(s.o, 3);
        const Floats dy = normal_noise(s.out_pixels() * s.o, 4);
        y.assign(dy.size(), 0);
        dx.assign(x.size(), 0);
        dw.assign(w.size(), 0);
        const auto at = [](std::int64_t i) { return static_cast<std::size_t>(i); };
        for (std::int64_t p = 0; p < s.out_pixels(); ++p) {
            const std::int64_t n = p / (s.out_h() * s.out_w()), oy = p / s.out_w() % s.out_h(), ox = p % s.out_w();
            for (std::int64_t o = 0; o < s.o; ++o) y[at(p * s.o + o)] = static_cast<double>(b[at(o)]);
            for (std::int64_t k = 0; k < 9; ++k) {
                const std::int64_t iy = oy + k / 3 - s.pad_h, ix = ox + k % 3 - s.pad_w;
                if (iy < 0 || iy >= s.h || ix < 0 || ix >= s.w) continue;
                for (std::int64_t c = 0; c < s.c; ++c)
                    for (std::int64_t o = 0; o < s.o; ++o) {
                        const std::size_t xi = at(((n * s.h + iy) * s.w + ix) * s.c + c),
                                          wi = at((k * s.c + c) * s.o + o), yi = at(p * s.o + o);
                        y[yi] += static_cast<double>(x[xi]) * static_cast<double>(w[wi]);
                        dx[xi] += static_cast<double>(dy[yi]) * static_cast<double>(w[wi]);
                        dw[wi] += static_cast<double>(dy[yi]) * static_cast<double>(x[xi]);
                    }
            }
        }
    }
};

// Root mean square of the difference over that of the truth.
double relative_error(const Floats& a, const std::vector<double>& exact) {
    double off = 0, size = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const double d = static_cast<double>(a[i]) - exact[i];
        off += d * d;
        size += exact[i] * exact[i];
    }
    return std::sqrt(off / size);
}

const std::vector<ConvShape> winograd_layers{
    {2, 12, 12, 16, 3, 3, 32, 1, 1, 1, 1}, {1, 7, 7, 64, 3, 3, 48, 1, 1, 1, 1},  {3, 14, 11, 48, 3, 3, 16, 1, 1, 1, 1},
    {1, 10, 12, 32, 3, 3, 80, 1, 1, 0, 0}, {2, 8, 8, 112, 3, 3, 16, 1, 1, 2, 2}, {1, 11, 8, 16, 3, 3, 16, 1, 1, 0, 2},
    {1, 16, 16, 256, 3, 3, 64, 1, 1, 1, 1}};

std::string name_of_layer(const ConvShape& s) {
    return fmt::format("n{} {}x{}x{} -> {} pad {}x{}", s.n, s.h, s.w, s.c, s.o, s.pad_h, s.pad_w);
}

TEST_F(Winograd, AgreesWithTheDefinitionWithinItsErrorBound) {
    for (const ConvShape& s : winograd_layers) {
        ASSERT_TRUE(fast::winograd_applies(s)) << name_of_layer(s);
        const Exact exact(s);
        const WinogradPasses winograd = run(s);
        fast::set_winograd(false);
        const WinogradPasses direct = run(s);
        fast::set_winograd(true);
        const auto check = [&](const Floats& a, const Floats& b, const std::vector<double>& truth, const char* pass) {
            const double off = relative_error(a, truth), usual = relative_error(b, truth);
            EXPECT_LE(off, 8 * std::max(usual, 6e-8)) << name_of_layer(s) << " " << pass << ", direct " << usual;
        };
        check(winograd.y, direct.y, exact.y, "forward");
        check(winograd.dx, direct.dx, exact.dx, "grad input");
        check(winograd.dw, direct.dw, exact.dw, "grad weight");
    }
}

bool same(const Floats& a, const Floats& b, std::size_t n) {
    return std::memcmp(a.data(), b.data(), n * sizeof(float)) == 0;
}

TEST_F(Winograd, BitsDependNeitherOnThreadsNorOnTheBatch) {
    for (ConvShape s : winograd_layers) {
        s.n = 5;
        set_thread_count(1);
        const WinogradPasses one = run(s);
        for (const int threads : {2, 3, 4}) {
            set_thread_count(threads);
            const WinogradPasses many = run(s);
            EXPECT_TRUE(same(one.y, many.y, one.y.size())) << name_of_layer(s);
            EXPECT_TRUE(same(one.dx, many.dx, one.dx.size())) << name_of_layer(s);
            EXPECT_TRUE(same(one.dw, many.dw, one.dw.size())) << name_of_layer(s);
        }
        s.n = 1;  // the same first picture: normal_noise() is a prefix
        const WinogradPasses alone = run(s);
        EXPECT_TRUE(same(one.y, alone.y, alone.y.size())) << name_of_layer(s);
        EXPECT_TRUE(same(one.dx, alone.dx, alone.dx.size())) << name_of_layer(s);
    }
}

TEST_F(Winograd, IsChosenByTheLayerAlone) {
    ConvShape s{1, 56, 56, 64, 3, 3, 64, 1, 1, 1, 1};
    for (const std::int64_t n : {1, 2, 32}) {
        s.n = n;
        EXPECT_TRUE(fast::winograd_applies(s));
    }
    for (const auto& spoil : std::vector<std::function<void(ConvShape&)>>{
             [](ConvShape& t) { t.stride_h = t.stride_w = 2; }, [](ConvShape& t) { t.kh = 1; },
             [](ConvShape& t) { t.kw = 5; }, [](ConvShape& t) { t.dilation_w = 2; }, [](ConvShape& t) { t.groups = 2; },
             [](ConvShape& t) { t.c = 3; }, [](ConvShape& t) { t.o = 20; }, [](ConvShape& t) { t.pad_h = 3; },
             [](ConvShape& t) { t.h = t.w = 2; }}) {
        ConvShape other = s;
        spoil(other);
        EXPECT_FALSE(fast::winograd_applies(other)) << name_of_layer(other);
    }
    fast::set_winograd(false);
    EXPECT_FALSE(fast::winograd_applies(s));
}

}  // namespace
}  // namespace solobox
