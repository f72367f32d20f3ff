// Values that are left pending: whoever works them out, and whenever, gets the same bits.
#include <gtest/gtest.h>

#include <cstring>

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
    for (const Kernels kernels : {Kernels::reference, Kernels::generic, Kernels::avx2, Kernels::avx512}) {
        if (!cpu_supports(kernels)) continue;
        const Kernels before = active_kernels();
        force_kernels(kernels);
        for (const Layer& l : layers) {
            const std::string what = fmt::format("{} {}", name_of(kernels), l.w.str());
            const Tensor z = noise(l.x, 1), w = noise(l.w, 2);
            Parameter weight(w), same(w);
            const auto act = [&] { return group_norm(z, 2, {}, {}, 1e-5, 0.1); };
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
            expect_same_bits(add_act(pending, z, 0).value(), add_act(plain, z, 0).value(), what);
            const Tensor dy = noise(a.shape(), 3);
            tape.backward({{a, dy}, {b, dy}});
            expect_same_bits(weight.grad, same.grad, what);
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
    EXPECT_THROW(add_act(noise({2, 3}, 1), noise({2, 4}, 2), 0), Error);
    EXPECT_THROW(add_act(noise({2, 3}, 1), noise({2, 3}, 2), -0.1), Error);
}

}  // namespace
}  // namespace solobox
