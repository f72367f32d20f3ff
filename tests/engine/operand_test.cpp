// Values that are left pending: whoever works them out, and whenever, gets the same bits.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "tensor/kernels/act.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/ops.h"
#include "tensor/random.h"

namespace solobox {
namespace {

Tensor noise(const Shape& shape, std::uint32_t op) {
    Random random({7, Stream::test, 0, 0, op});
    Tensor t(shape);
    for (std::int64_t i = 0; i < t.numel(); ++i) t.mutable_data()[i] = static_cast<Real>(random.normal());
    return t;
}

void expect_same_bits(const Tensor& a, const Tensor& b, const std::string& what) {
    ASSERT_EQ(a.shape(), b.shape()) << what;
    EXPECT_EQ(std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.numel()) * sizeof(Real)), 0) << what;
}

struct Layer {
    Shape x, w;
    ConvSpec spec;
};

// Winograd, gathered patches, a pointwise product, groups, channels that are no whole vectors.
const std::vector<Layer> layers{{{3, 13, 12, 32}, {3, 3, 32, 48}, {{1, 1}, {1, 1}}},
                                {{3, 13, 12, 6}, {5, 3, 6, 7}, {{2, 1}, {2, 0}}},
                                {{3, 9, 8, 40}, {1, 1, 40, 24}, {}},
                                {{3, 9, 8, 40}, {1, 1, 40, 24}, {{2, 2}, {0, 0}}},
                                {{3, 8, 9, 12}, {3, 3, 6, 10}, {{1, 1}, {1, 1}, {2, 1}, 2}}};

TEST(EngineOperand, ReadersGetTheBitsOfTheValueWorkedOut) {
    std::vector<std::pair<Layer, Act>> combinations;
    for (const Layer& l : layers)
        for (const Act& act : {Act::leaky_relu(0.1), Act::silu(), Act::gelu()}) combinations.emplace_back(l, act);
    for (const Kernels kernels : {Kernels::reference, Kernels::generic, Kernels::avx2, Kernels::avx512}) {
        if (!cpu_supports(kernels)) continue;
        const Kernels before = active_kernels();
        force_kernels(kernels);
        for (const auto& [l, activation] : combinations) {
            const std::string what = fmt::format("{} {} {}", name_of(kernels), activation.op(), l.w.str());
            const Tensor z = noise(l.x, 1), w = noise(l.w, 2);
            Parameter weight(w), same(w);
            // Captured by name: clang 14 lets no lambda refer to a structured binding.
            const auto act = [&, activation = activation] { return group_norm(z, 2, {}, {}, 1e-5, activation); };
            Tape tape;
            const Var pending = act(), plain(act().value());
            ASSERT_NE(pending.operand().pending(), nullptr);
            const Var a = conv2d(pending, tape.leaf(weight), {}, l.spec),
                      b = conv2d(plain, tape.leaf(same), {}, l.spec);
            expect_same_bits(a.value(), b.value(), what);
            expect_same_bits(max_pool2d(pending).value(), max_pool2d(plain).value(), what);
            // One that nobody has worked out yet, read by all threads: sanitizers see whether two of them do it.
            expect_same_bits(adaptive_avg_pool2d(act(), {2, 3}).value(), adaptive_avg_pool2d(plain, {2, 3}).value(),
                             what);
            expect_same_bits(add_act(pending, z, activation).value(), add_act(plain, z, activation).value(), what);
            const Tensor dy = noise(a.shape(), 3);
            tape.backward({{a, dy}, {b, dy}});
            expect_same_bits(weight.grad, same.grad, what);
        }
        force_kernels(before);
    }
}

// Every instruction set against the formulas in double, far out on both sides too.
TEST(EngineOperand, ActivationsAgreeWithTheirFormulas) {
    for (const Kernels kernels : {Kernels::reference, Kernels::generic, Kernels::avx2, Kernels::avx512}) {
        if (!cpu_supports(kernels)) continue;
        const Kernels before = active_kernels();
        force_kernels(kernels);
        for (const Act& act : {Act::none(), Act::relu(), Act::leaky_relu(0.1), Act::silu(), Act::gelu()}) {
            const std::int64_t rows = 8001, c = 37;  // whole vectors, and single channels at the end
            Tensor x(Shape{rows, c}), y(x.shape()), dx(x.shape());
            for (std::int64_t i = 0; i < x.numel(); ++i)
                x.mutable_data()[i] = static_cast<Real>(static_cast<double>(i % 20011) / 100 - 100);
            const std::vector<Real> one(37, Real(1)), zero(37, Real(0));
            row_kernels(Real{}).affine(rows, c, x.data(), one.data(), zero.data(), act, y.mutable_data());
            const Tensor ones = Tensor::full(x.shape(), Real(1));
            row_kernels(Real{}).act_grad(x.numel(), ones.data(), x.data(), act, dx.mutable_data());
            for (std::int64_t i = 0; i < x.numel(); ++i) {
                const double v = static_cast<double>(x[i]), value = act_value(act, v), slope = act_slope(act, v);
                // Far below 0 a tail falls as exp(-v^2 / 2): the rounding of v^2 alone is that much of it.
                const double relative = 4e-7 * std::max(1.0, act.kind == Act::Kind::gelu ? v * v / 4 : 0);
                ASSERT_NEAR(static_cast<double>(y[i]), value, relative * std::abs(value) + 1e-30)
                    << name_of(kernels) << ' ' << act.op() << ' ' << v;
                ASSERT_NEAR(static_cast<double>(dx[i]), slope, 1e-6)
                    << name_of(kernels) << " slope of " << act.op() << ' ' << v;
            }
        }
        force_kernels(before);
    }
}

TEST(EngineOperand, ActivationsKeepNotANumber) {
    const Real nan = std::numeric_limits<Real>::quiet_NaN();
    const Tensor x = Tensor::full({1, 1, 1, 41}, nan);  // whole vectors, and single channels at the end
    for (const Kernels kernels : {Kernels::reference, Kernels::generic, Kernels::avx2, Kernels::avx512}) {
        if (!cpu_supports(kernels)) continue;
        const Kernels before = active_kernels();
        force_kernels(kernels);
        for (const Act& act : {Act::none(), Act::relu(), Act::silu(), Act::gelu()}) {
            const Tensor y = activated(x, act).value();
            for (std::int64_t i = 0; i < 41; ++i) EXPECT_TRUE(std::isnan(y[i])) << name_of(kernels) << act.op();
        }
        force_kernels(before);
    }
}

TEST(EngineOperand, IsWorkedOutOnceAndKeepsNothingForBackward) {
    const Var y = group_norm(noise({2, 4, 4, 8}, 1), 2);
    EXPECT_EQ(y.value().data(), y.value().data());
    EXPECT_NE(y.operand().forgetful().tensor().data(), y.value().data());
    expect_same_bits(y.operand().forgetful().tensor(), y.value(), "worked out twice");
    EXPECT_EQ(y.shape(), (Shape{2, 4, 4, 8}));
    EXPECT_TRUE(y.defined());
}

TEST(EngineOperand, AddActRefusesWhatItCannotSum) {
    EXPECT_THROW(add_act(noise({2, 3}, 1), noise({2, 4}, 2), Act::relu()), Error);
    EXPECT_THROW(add_act(noise({2, 3}, 1), noise({2, 3}, 2), Act::leaky_relu(-0.1)), Error);
}

}  // namespace
}  // namespace solobox
