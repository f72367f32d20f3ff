// The border between models and PyTorch: names, layouts and dtypes of a checkpoint, and what a model refuses.
#include "nn/checkpoint.h"

#include <cstring>
#include <filesystem>

#include "nn/layers.h"
#include "tests/support/safetensors_fixtures.h"

namespace solobox {
namespace {

namespace fs = std::filesystem;
using namespace fixtures;

struct Net {
    Conv2d conv, grouped;
    BatchNorm2d norm;
    Linear fc;
    explicit Net(std::uint64_t seed) {
        Initializer init(seed);
        ConvSpec plain, split;
        split.groups = 2;
        conv = Conv2d(2, 4, 3, plain, true, init);
        grouped = Conv2d(4, 6, 1, split, false, init);
        norm = BatchNorm2d(6);
        fc = Linear(6, 5, init);
    }
    void visit(Visitor& v) {
        v.child("conv", conv);
        v.child("grouped", grouped);
        v.child("norm", norm);
        v.child("fc", fc);
    }
};

SafetensorsFile state_of(Net& net) {
    SafetensorsFile file;
    save_state(net, file);
    return file;
}

std::string load_refusal(const SafetensorsFile& file) {
    Net net(9);
    return fixtures::refusal([&] { load_state(net, file, "w.safetensors"); });
}

TEST(EngineSafetensors, ConvolutionsAreOihwAtTheBorder) {
    Net net(1);
    const SafetensorsFile file = state_of(net);
    const RawTensor& stored = file.tensors.at("model.conv.weight");
    ASSERT_EQ(stored.shape, (std::vector<std::int64_t>{4, 2, 3, 3}));
    EXPECT_EQ(file.tensors.at("model.grouped.weight").shape, (std::vector<std::int64_t>{6, 2, 1, 1}));
    EXPECT_EQ(file.tensors.at("model.fc.weight").shape, (std::vector<std::int64_t>{5, 6}));
    const Tensor& here = net.conv.weight.value;  // (kh, kw, in, out)
    ASSERT_EQ(here.shape(), (Shape{3, 3, 2, 4}));
    ASSERT_EQ(stored.dtype, sizeof(Real) == 4 ? "F32" : "F64");
    std::size_t at = 0;
    for (std::int64_t o = 0; o < 4; ++o)
        for (std::int64_t i = 0; i < 2; ++i)
            for (std::int64_t y = 0; y < 3; ++y)
                for (std::int64_t x = 0; x < 3; ++x, at += sizeof(Real)) {
                    Real value;
                    std::memcpy(&value, stored.bytes.data() + at, sizeof value);
                    EXPECT_EQ(value, here[((y * 3 + x) * 2 + i) * 4 + o]);
                }
}

TEST(EngineSafetensors, AModelsStateComesBackToTheBit) {
    Net net(1), other(2);
    net.norm.stats.mean.mutable_data()[1] = Real(0.25);
    EXPECT_FALSE(serialize_safetensors(state_of(net)) == serialize_safetensors(state_of(other)));
    const Bytes bytes = serialize_safetensors(state_of(net));
    load_state(other, parse_safetensors(bytes, "w"), "w");
    EXPECT_TRUE(bytes == serialize_safetensors(state_of(other)));
    EXPECT_TRUE(state_of(net).tensors.contains("model.norm.running_mean"));
    EXPECT_TRUE(state_of(net).tensors.contains("model.norm.num_batches_tracked"));
}

TEST(EngineSafetensors, BothFloatsAreTaken) {
    Net net(1);
    SafetensorsFile file = state_of(net);
    RawTensor wide{"F64", {5}, Bytes(40)};
    for (std::size_t i = 0; i < 5; ++i) {
        const double value = 0.5 * static_cast<double>(i);
        std::memcpy(wide.bytes.data() + 8 * i, &value, 8);
    }
    file.tensors["model.fc.bias"] = wide;
    load_state(net, file, "w");
    for (std::int64_t i = 0; i < 5; ++i) EXPECT_EQ(net.fc.bias.value[i], Real(0.5) * static_cast<Real>(i));
}

TEST(EngineSafetensors, WhatTheModelDoesNotTakeIsNamed) {
    Net net(1);
    SafetensorsFile file = state_of(net);
    file.tensors["ema.conv.weight"] = file.tensors["model.conv.weight"];  // another prefix is somebody else's business
    load_state(net, file, "w.safetensors");
    file.tensors["model.conv2.weight"] = file.tensors["model.conv.weight"];
    const std::string text = load_refusal(file);
    EXPECT_TRUE(has(text, "'model.conv2.weight'") && has(text, "w.safetensors")) << text;
}

TEST(EngineSafetensors, WhatTheModelMissesIsNamed) {
    Net net(1);
    const SafetensorsFile good = state_of(net);
    for (const auto& [name, tensor] : good.tensors) {
        SafetensorsFile file = good;
        file.tensors.erase(name);
        const std::string text = load_refusal(file);
        EXPECT_TRUE(has(text, "'" + name + "'") && has(text, "missing") && has(text, "w.safetensors")) << text;
    }
    SafetensorsFile renamed = good;
    renamed.tensors["model.fc.wieght"] = renamed.tensors["model.fc.weight"];
    renamed.tensors.erase("model.fc.weight");
    EXPECT_TRUE(has(load_refusal(renamed), "'model.fc.weight'"));
}

TEST(EngineSafetensors, AWrongShapeOrTypeIsNamed) {
    Net net(1);
    const SafetensorsFile good = state_of(net);
    for (const auto& [name, tensor] : good.tensors) {
        SafetensorsFile file = good;
        file.tensors[name].shape.insert(file.tensors[name].shape.begin(), 1);
        if (name.ends_with("num_batches_tracked")) continue;  // one I64 is one I64
        const std::string text = load_refusal(file);
        EXPECT_TRUE(has(text, "'" + name + "'") && has(text, "shape") && has(text, "w.safetensors")) << text;
    }
    SafetensorsFile permuted = good;  // the same number of bytes
    permuted.tensors["model.fc.weight"].shape = {6, 5};
    const std::string text = load_refusal(permuted);
    EXPECT_TRUE(has(text, "6x5") && has(text, "5x6")) << text;
    for (const char* dtype : {"I32", "U8", "BOOL", "I64"}) {
        SafetensorsFile typed = good;
        typed.tensors["model.fc.bias"] = raw(dtype, {5});
        const std::string said = load_refusal(typed);
        EXPECT_TRUE(has(said, "model.fc.bias") && has(said, dtype)) << said;
    }
    SafetensorsFile counter = good;
    counter.tensors["model.norm.num_batches_tracked"] = raw("I32", {});
    EXPECT_TRUE(has(load_refusal(counter), "num_batches_tracked"));
}

}  // namespace
}  // namespace solobox
