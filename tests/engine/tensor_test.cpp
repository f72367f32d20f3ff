// Shape, Array, pool, random, tape: the parts that everything else leans on.
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "tensor/kernels/parallel.h"
#include "tensor/ops.h"
#include "tensor/random.h"

namespace solobox {
namespace {

TEST(Shape, RefusesWhatDoesNotFit) {
    EXPECT_THROW(Shape({-1}), ShapeError);
    EXPECT_THROW(Shape({1LL << 40, 1LL << 40}), ShapeError);
    EXPECT_THROW(Shape({1LL << 40, 0, 1LL << 40}), ShapeError);  // the overflow counts even beside a 0
    EXPECT_THROW(Shape(std::vector<std::int64_t>(9, 1)), ShapeError);
    EXPECT_THROW((void)Shape({2, 3})[2], ShapeError);
    EXPECT_EQ(Shape({}).numel(), 1);
    EXPECT_EQ(Shape({3, 0, 2}).numel(), 0);
    EXPECT_EQ(Shape({8, 16, 3}).str(), "8x16x3");
    EXPECT_EQ(Shape({8, 16, 3})[-1], 3);
}

TEST(Shape, BroadcastsAsNumpyAndNamesTheOp) {
    EXPECT_EQ(broadcast_shape("add", {3, 1, 4}, {2, 1}), (Shape{3, 2, 4}));
    try {
        broadcast_shape("add", {3, 2}, {4});
        FAIL() << "3x2 and 4 do not broadcast";
    } catch (const ShapeError& e) {
        EXPECT_NE(std::string(e.what()).find("[add]"), std::string::npos);
        EXPECT_NE(std::string(e.what()).find("3x2"), std::string::npos);
    }
}

TEST(Tensor, HandlesShareAndClonesDoNot) {
    Tensor a = Tensor::zeros({2, 2});
    Tensor b = a, c = a.clone();
    b.mutable_data()[3] = 5;
    EXPECT_EQ(a[3], 5);
    EXPECT_EQ(c[3], 0);
    EXPECT_THROW((void)a.reshaped({3}), ShapeError);
    EXPECT_THROW((void)a.item(), ShapeError);
}

TEST(Pool, GivesTheSameMemoryAgain) {
    const auto before = pool::stats();
    for (int i = 0; i < 1000; ++i) const Tensor t(Shape{1000});
    const auto after = pool::stats();
    EXPECT_LE(after.system_calls - before.system_calls, 1);
    EXPECT_EQ(after.live_bytes, before.live_bytes);
}

TEST(Random, PhiloxMatchesThePublishedVectors) {
    // Known answers of Random123 (kat_vectors, philox4x32 10 rounds).
    EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}),
              (std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
    const std::uint32_t f = 0xffffffff;
    EXPECT_EQ(philox({f, f, f, f}, {f, f}),
              (std::array<std::uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

TEST(Random, DrawsDependOnTheKeyAlone) {
    Random a({1, Stream::augment, 2, 3, 4}), b({1, Stream::augment, 2, 3, 4}), c({1, Stream::augment, 2, 4, 4});
    a.next();
    b.next();
    EXPECT_EQ(a.next(), b.next());
    EXPECT_NE(a.next(), c.next());
    double sum = 0, square = 0;
    Random n({7, Stream::init});
    for (int i = 0; i < 20000; ++i) {
        const double v = n.normal();
        sum += v;
        square += v * v;
    }
    EXPECT_NEAR(sum / 20000, 0, 0.03);
    EXPECT_NEAR(square / 20000, 1, 0.03);
}

TEST(Parallel, RunsEveryTileOnceAndRethrowsTheFirstError) {
    for (const int threads : {1, 2, 4}) {
        set_thread_count(threads);
        std::vector<std::atomic<int>> hits(1000);
        parallel_for(1000, [&](std::int64_t i) { ++hits[static_cast<std::size_t>(i)]; });
        for (const auto& h : hits) EXPECT_EQ(h.load(), 1);
        EXPECT_THROW(parallel_for(10,
                                  [](std::int64_t i) {
                                      if (i > 2) fail_shape("tile {}", i);
                                  }),
                     ShapeError);
        std::atomic<int> nested{0};
        parallel_for(4, [&](std::int64_t) { parallel_for(5, [&](std::int64_t) { ++nested; }); });
        EXPECT_EQ(nested.load(), 20);
    }
    set_thread_count(default_thread_count());
    EXPECT_THROW(set_thread_count(0), ConfigError);
}

TEST(Parallel, TheEnvironmentMaySayHowManyThreads) {
    const char* text = std::getenv("SOLOBOX_THREADS");
    const std::string before = text ? text : "";
    for (const auto& [value, threads] : {std::pair{"3", 3}, {"1", 1}, {"1024", 1024}}) {
        ASSERT_EQ(setenv("SOLOBOX_THREADS", value, 1), 0);
        EXPECT_EQ(default_thread_count(), threads);
    }
    for (const char* value : {"0", "-2", "1025", "two", "2x", "2.5", " 2"}) {
        ASSERT_EQ(setenv("SOLOBOX_THREADS", value, 1), 0);
        EXPECT_THROW(default_thread_count(), ConfigError) << value;
    }
    ASSERT_EQ(unsetenv("SOLOBOX_THREADS"), 0);
    EXPECT_GE(default_thread_count(), 1);
    if (text) {
        ASSERT_EQ(setenv("SOLOBOX_THREADS", before.c_str(), 1), 0);
    }
}

TEST(Tape, AddsUpEveryUseOfALeaf) {
    Parameter p(Tensor::from({2}, {3, 4}));
    p.grad = Tensor::from({2}, {100, 200});
    Tape tape;
    const Var x = use(p), y = mul(x, x) + use(p);  // the same leaf three times
    tape.backward(sum(y));
    EXPECT_EQ(p.grad[0], 107);
    EXPECT_EQ(p.grad[1], 209);
    EXPECT_EQ(tape.leaves().size(), 1U);
}

TEST(Tape, GradientsOfTwoParametersNeverShareMemory) {
    Parameter a(Tensor::zeros({2})), b(Tensor::zeros({2}));
    Tape tape;
    tape.backward(sum(use(a) + use(b)));
    a.grad.mutable_data()[0] = 9;  // what clipping does
    EXPECT_EQ(b.grad[0], 1);
}

TEST(Tape, RecordsNothingWithoutATapeOrUnderNoGrad) {
    Parameter p(Tensor::zeros({2}));
    EXPECT_FALSE(use(p).tracked());
    Tape tape;
    EXPECT_TRUE(use(p).tracked());
    const NoGrad quiet;
    EXPECT_FALSE(use(p).tracked());
}

TEST(Tape, RefusesMistakes) {
    Parameter p(Tensor::from({1}, {2}));
    Var stale;
    {
        Tape first;
        stale = square(use(p));
    }
    Tape tape;
    EXPECT_THROW((void)neg(stale), ShapeError);
    const Var loss = sum(square(use(p)));
    tape.backward(loss);
    EXPECT_THROW(tape.backward(loss), ShapeError);
}

TEST(Tape, NamesTheOpInWhichANanWasBorn) {
    Parameter p(Tensor::from({2}, {-1, 4}));
    Tape tape(true);
    try {
        (void)sqrt(use(p));
        FAIL() << "sqrt(-1) is a NaN";
    } catch (const NonFiniteError& e) {
        EXPECT_NE(std::string(e.what()).find("[sqrt]"), std::string::npos) << e.what();
        EXPECT_EQ(e.code(), ExitCode::diverged);
    }
}

TEST(Tape, ASinkTakesTheGradient) {
    Parameter p(Tensor::from({1}, {3}));
    double seen = 0;
    p.sink = [&](const GradPart& part) { seen = part.data[0] * static_cast<double>(part.size); };
    Tape tape;
    tape.backward(sum(square(use(p))));
    EXPECT_EQ(seen, 6);
    EXPECT_FALSE(p.grad.defined());
}

TEST(Tape, ALinearHandsItsGradientOverInParts) {
    constexpr std::int64_t in = 700, out = 3001;  // more than one part
    Tensor w(Shape{out, in}), x(Shape{3, in});
    for (std::int64_t i = 0; i < w.numel(); ++i) w.mutable_data()[i] = static_cast<Real>(i % 13) - 6;
    for (std::int64_t i = 0; i < x.numel(); ++i) x.mutable_data()[i] = static_cast<Real>(i % 7) - 3;
    const auto gradient = [&](int uses, bool by_sink, int& parts) {
        Parameter p(w);
        Tensor seen = Tensor::zeros(w.shape());
        parts = 0;
        if (by_sink)
            p.sink = [&](const GradPart& part) {
                ++parts;
                for (std::int64_t i = 0; i < part.size; ++i) seen.mutable_data()[part.begin + i] += part.data[i];
            };
        Tape tape;
        Var y = linear(x, use(p));
        for (int i = 1; i < uses; ++i) y = y + linear(x, use(p));
        tape.backward(sum(square(y)));
        return by_sink ? seen : p.grad;
    };
    int parts = 0;
    for (const int uses : {1, 2}) {
        const Tensor whole = gradient(uses, false, parts), pieces = gradient(uses, true, parts);
        EXPECT_EQ(parts > 1, uses == 1) << "the gradient of a weight that is used twice is a sum: whole or not at all";
        EXPECT_EQ(whole.to_vector(), pieces.to_vector());
    }
}

TEST(Ops, ErrorsNameTheOpAndBothShapes) {
    try {
        (void)conv2d(Tensor::zeros({8, 16, 16, 32}), Tensor::zeros({3, 3, 64, 10}));
        FAIL();
    } catch (const ShapeError& e) {
        const std::string text = e.what();
        EXPECT_NE(text.find("[conv2d]"), std::string::npos);
        EXPECT_NE(text.find("64"), std::string::npos);
        EXPECT_NE(text.find("8x16x16x32"), std::string::npos);
    }
    EXPECT_THROW((void)matmul(Tensor::zeros({2, 3}), Tensor::zeros({2, 3})), ShapeError);
    EXPECT_THROW((void)linear(Tensor::zeros({2, 3}), Tensor::zeros({4, 5})), ShapeError);
    EXPECT_THROW((void)group_norm(Tensor::zeros({1, 2, 2, 6}), 4), ShapeError);
    EXPECT_THROW((void)max_pool2d(Tensor::zeros({1, 1, 1, 1})), ShapeError);
    EXPECT_THROW((void)embedding(Tensor::zeros({2, 2}), IndexTensor::from({1}, {2})), ShapeError);
}

// At a kink the gradient follows PyTorch's stated side.
TEST(Ops, GradientsAtKinksFollowPyTorch) {
    const auto slope_at_zero = [](const std::function<Var(const Var&)>& f) {
        Parameter p(Tensor::zeros({1}));
        Tape tape;
        tape.backward(sum(f(use(p))));
        return p.grad.item();
    };
    EXPECT_EQ(slope_at_zero([](const Var& x) { return relu(x); }), 0);
    EXPECT_FLOAT_EQ(slope_at_zero([](const Var& x) { return leaky_relu(x, 0.1); }), 0.1F);
    EXPECT_EQ(slope_at_zero([](const Var& x) { return abs(x); }), 0);
    EXPECT_EQ(slope_at_zero([](const Var& x) { return clamp(x, 0, 1); }), 1);
    EXPECT_EQ(slope_at_zero([](const Var& x) { return maximum(x, scalar(0)); }), 0.5F);
    EXPECT_EQ(slope_at_zero([](const Var& x) { return minimum(x, scalar(0)); }), 0.5F);
}

}  // namespace
}  // namespace solobox
