// What programs of one's own use: tensors that print, an optimizer in one call, weights saved and read in one line.
#include <gtest/gtest.h>

#include <sstream>

#include "nn/checkpoint.h"
#include "nn/layers.h"
#include "nn/losses.h"
#include "optim/optimizer.h"
#include "tensor/print.h"
#include "tests/support/fixtures.h"

namespace solobox {
namespace {

using fixtures::TemporaryDirectory;

TEST(LibraryPrint, LooksLikeNumPy) {
    EXPECT_EQ(to_text(Tensor::from({2, 3}, {1, -2, 3, 0.5, 100, 1e-7F})),
              "(2, 3)\n[[    1,    -2,     3],\n [  0.5,   100, 1e-07]]");
    EXPECT_EQ(to_text(Tensor::scalar(2)), "()\n2");
    EXPECT_EQ(to_text(IndexTensor::from({3}, {1, 20, 300})), "(3,)\n[  1,  20, 300]");
    EXPECT_EQ(to_text(MaskTensor::from({2}, {0, 1})), "(2,)\n[0, 1]");
    EXPECT_EQ(to_text(Tensor()), "(undefined)");
    EXPECT_EQ(to_text(Tensor::zeros({0})), "(0,)\n[]");
    EXPECT_EQ(to_text(Tensor::zeros({2, 1, 2})), "(2, 1, 2)\n[[[0, 0]],\n\n [[0, 0]]]");
    std::ostringstream out;
    out << Var(Tensor::from({1}, {7}));
    EXPECT_EQ(out.str(), "(1,)\n[7]");
}

TEST(LibraryPrint, OfLargeOnesTheEnds) {
    Tensor x(Shape{50, 40});
    for (std::int64_t i = 0; i < x.numel(); ++i) x.mutable_data()[i] = static_cast<Real>(i);
    const std::string text = to_text(x);
    EXPECT_LT(text.size(), 500U);
    EXPECT_NE(text.find("[   0,    1,    2, ...,   37,   38,   39]"), std::string::npos) << text;
    EXPECT_NE(text.find("\n ...,\n"), std::string::npos) << text;
    EXPECT_NE(text.find("1999]]"), std::string::npos) << text;
}

struct SmallNet {
    Linear first, out;
    std::string name;  // of the first layer
    explicit SmallNet(std::uint64_t seed, std::string first_name = "hidden") : name(std::move(first_name)) {
        Initializer init(seed);
        first = Linear(2, 4, init), out = Linear(4, 1, init);
    }
    Var operator()(const Var& x) { return out(tanh(first(x))); }
    void visit(Visitor& v) { v.child(name, first), v.child("out", out); }
};

// Weights decay, biases do not, and the update is that of the members by hand.
TEST(LibraryOptimizer, OneCallIsTheLongForm) {
    SmallNet a(3), b(3);
    Adam one(parameters_of(a), 0.1);
    Adam members(decay_weights_only(parameters_of(b), 0.1), Adam::Config());
    const Tensor x = Tensor::from({2, 2}, {1, 2, -1, 0.5}), y = Tensor::from({2, 1}, {1, 0});
    for (const auto& [net, optimizer] : {std::pair{&a, &one}, {&b, &members}})
        for (int step = 0; step < 3; ++step) {
            optimizer->zero_grad();
            Tape tape;
            tape.backward(mse_loss((*net)(x), y));
            optimizer->step(0.05);
        }
    for (std::int64_t i = 0; i < 8; ++i) EXPECT_EQ(a.first.weight.value[i], b.first.weight.value[i]);
    EXPECT_EQ(one.members()[0].weight_decay, 0.1);
    EXPECT_EQ(one.members()[1].weight_decay, 0);
    EXPECT_STREQ(Sgd(parameters_of(a)).name(), "SGD");
}

TEST(LibraryWeights, SaveAndLoadInOneLineEach) {
    const TemporaryDirectory dir;
    // A layer may be called as the weights of a run are prefixed.
    for (const char* name : {"hidden", "model"}) {
        SmallNet a(1, name), b(2, name);
        save(a, dir / "net.safetensors");
        EXPECT_TRUE(read_safetensors(dir / "net.safetensors").tensors.contains(std::string(name) + ".weight"));
        load(b, dir / "net.safetensors");
        for (std::int64_t i = 0; i < 8; ++i) EXPECT_EQ(a.first.weight.value[i], b.first.weight.value[i]) << name;
    }
    SmallNet a(1), other(2, "first");
    save(a, dir / "net.safetensors");
    EXPECT_THROW(load(other, dir / "net.safetensors"), DataError);
    SafetensorsFile run;  // as `train` writes it
    save_state(a, run);
    write_safetensors(dir / "run.safetensors", run);
    SmallNet b(5);
    load(b, dir / "run.safetensors");
    EXPECT_EQ(a.out.weight.value[0], b.out.weight.value[0]);
}

}  // namespace
}  // namespace solobox
