// The networks: what describe() says of them is what they are when they are built, and their names are torchvision's.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "nn/losses.h"
#include "nn/models/resnet.h"
#include "nn/models/vit.h"

namespace solobox {
namespace {

std::int64_t parameters_in(const std::vector<LayerRow>& rows, const std::string& prefix = "") {
    std::int64_t total = 0;
    for (const LayerRow& row : rows)
        if (row.name.starts_with(prefix)) total += row.parameters;
    return total;
}

double gmacs(const std::vector<LayerRow>& rows) {
    double total = 0;
    for (const LayerRow& row : rows) total += static_cast<double>(row.macs);
    return total / 1e9;
}

ResNetConfig small(const std::string& name, std::int64_t planes) {
    ResNetConfig c = resnet_config(name, 5);
    c.planes = planes;
    c.image = 32;
    return c;
}

Tensor pictures(std::int64_t n, std::int64_t h, std::int64_t w) {
    return normal({n, h, w, 3}, 0, 1, Random({7, Stream::test, 0, 0, 0}));
}

// torchvision's state_dict, written down from its definition: "name shape", counters as "name counter".
using Names = std::vector<std::string>;

struct StateDict {
    Names lines;
    std::size_t parameters = 0, entries = 0;

    void parameter(const std::string& name, const std::string& shape) {
        lines.push_back(name + " " + shape), ++parameters, ++entries;
    }
    void conv(const std::string& name, std::int64_t out, std::int64_t in, std::int64_t kernel) {
        parameter(name + ".weight", Shape({out, in, kernel, kernel}).str());
    }
    void norm(const std::string& name, std::int64_t channels) {
        parameter(name + ".weight", std::to_string(channels));
        parameter(name + ".bias", std::to_string(channels));
        lines.push_back(fmt::format("{}.running_mean {}", name, channels));
        lines.push_back(fmt::format("{}.running_var {}", name, channels));
        lines.push_back(name + ".num_batches_tracked counter");
        entries += 3;
    }
    void linear(const std::string& name, std::int64_t out, std::int64_t in) {
        parameter(name + ".weight", Shape({out, in}).str());
        parameter(name + ".bias", std::to_string(out));
    }
};

// Names and shapes for base planes p (64 in torchvision).
StateDict torchvision_resnet(bool bottleneck, const std::vector<int>& layers, std::int64_t p) {
    StateDict d;
    d.conv("conv1", p, 3, 7);
    d.norm("bn1", p);
    std::int64_t in = p;
    for (int stage = 1; stage <= 4; ++stage) {
        const std::int64_t planes = p << (stage - 1), out = bottleneck ? 4 * planes : planes;
        for (int b = 0; b < layers[static_cast<std::size_t>(stage - 1)]; ++b) {
            const std::string block = fmt::format("layer{}.{}.", stage, b);
            d.conv(block + "conv1", planes, in, bottleneck ? 1 : 3);
            d.norm(block + "bn1", planes);
            d.conv(block + "conv2", planes, planes, 3);
            d.norm(block + "bn2", planes);
            if (bottleneck) {
                d.conv(block + "conv3", out, planes, 1);
                d.norm(block + "bn3", out);
            }
            if (b == 0 && (stage > 1 || bottleneck)) {
                d.conv(block + "downsample.0", out, in, 1);
                d.norm(block + "downsample.1", out);
            }
            in = out;
        }
    }
    d.linear("fc", 5, in);
    return d;
}

template <class Model>
Names state_of(Model& model) {
    Names lines;
    Visitor v;
    v.on_parameter = [&](const std::string& name, Parameter& p) {
        lines.push_back(name + " " + to_torch_layout(p.value, p.layout).shape().str());
    };
    v.on_buffer = [&](const std::string& name, Tensor& b) { lines.push_back(name + " " + b.shape().str()); };
    v.on_counter = [&](const std::string& name, std::int64_t&) { lines.push_back(name + " counter"); };
    model.visit(v);
    return lines;
}

TEST(ResNet, DescriptionsHaveThePublishedSizes) {
    const auto r18 = describe(resnet_config("resnet18", 5)), r50 = describe(resnet_config("resnet50", 5));
    EXPECT_EQ(parameters_in(r18), 11'179'077);
    EXPECT_EQ(parameters_in(r50), 23'518'277);
    EXPECT_EQ(parameters_in(describe(resnet_config("resnet18"))), 11'689'512);
    EXPECT_EQ(parameters_in(describe(resnet_config("resnet34"))), 21'797'672);
    EXPECT_EQ(parameters_in(describe(resnet_config("resnet50"))), 25'557'032);
    const std::pair<const char*, std::int64_t> stages18[] = {
        {"layer1", 147'968}, {"layer2", 525'568}, {"layer3", 2'099'712}, {"layer4", 8'393'728}, {"fc", 2'565}};
    for (const auto& [stage, count] : stages18) EXPECT_EQ(parameters_in(r18, stage), count) << stage;
    const std::pair<const char*, std::int64_t> stages50[] = {
        {"conv1", 9'408},      {"bn1", 128},           {"layer1", 215'808}, {"layer2", 1'219'584},
        {"layer3", 7'098'368}, {"layer4", 14'964'736}, {"fc", 10'245}};
    for (const auto& [stage, count] : stages50) EXPECT_EQ(parameters_in(r50, stage), count) << stage;
    EXPECT_NEAR(gmacs(r18), 1.814, 5e-4);
    EXPECT_NEAR(gmacs(r50), 4.087, 5e-4);
    ResNetConfig at64 = resnet_config("resnet50", 5);
    at64.image = 64;
    EXPECT_NEAR(gmacs(describe(at64)), 0.334, 5e-4);
    // torchvision's wider relatives: resnext50_32x4d and wide_resnet50_2.
    ResNetConfig next = resnet_config("resnet50");
    next.groups = 32, next.width_per_group = 4;
    EXPECT_EQ(parameters_in(describe(next)), 25'028'904);
    next.groups = 1, next.width_per_group = 128;
    EXPECT_EQ(parameters_in(describe(next)), 68'883'240);
}

TEST(ResNet, RowsFollowEachOther) {
    for (const char* name : {"resnet18", "resnet50"}) {
        Shape previous{224, 224, 3};
        for (const LayerRow& row : describe(resnet_config(name))) {
            if (row.name.find("downsample") != std::string::npos) continue;  // stands beside the path
            EXPECT_EQ(row.in, previous) << row.name;
            previous = row.out;
        }
        EXPECT_EQ(previous, Shape{1000}) << name;
    }
}

TEST(ResNet, BuildsWhatItDescribes) {
    std::vector<ResNetConfig> configs{small("resnet18", 4), small("resnet34", 2), small("resnet50", 4)};
    configs.push_back(small("resnet50", 8));
    configs.back().groups = 4, configs.back().width_per_group = 24;  // 3 channels a group
    configs.push_back(small("resnet50", 4));
    configs.back().layers = {1, 2, 1, 1}, configs.back().small_stem = true;
    for (const ResNetConfig& config : configs) {
        ResNet model(config, 1);
        EXPECT_EQ(count_parameters(model), parameters_in(describe(config))) << config.name;
        const NoGrad quiet;
        for (const auto& [h, w] : {std::pair{32, 32}, {33, 47}})
            EXPECT_EQ(model(pictures(2, h, w)).shape(), (Shape{2, 5}));
    }
    ResNet full(resnet_config("resnet18", 5), 1);
    EXPECT_EQ(count_parameters(full), 11'179'077);
}

TEST(ResNet, NamesAndShapesAreTorchvisions) {
    const StateDict d18 = torchvision_resnet(false, {2, 2, 2, 2}, 4), d50 = torchvision_resnet(true, {3, 4, 6, 3}, 4);
    EXPECT_EQ(d18.parameters, 62U);
    EXPECT_EQ(d18.entries, 122U);
    EXPECT_EQ(d50.parameters, 161U);
    EXPECT_EQ(d50.entries, 320U);
    ResNet r18(small("resnet18", 4), 1), r50(small("resnet50", 4), 1), r34(small("resnet34", 2), 1);
    EXPECT_EQ(state_of(r18), d18.lines);
    EXPECT_EQ(state_of(r50), d50.lines);
    EXPECT_EQ(state_of(r34), torchvision_resnet(false, {3, 4, 6, 3}, 2).lines);
}

TEST(ResNet, StartsAsTorchvisionDoes) {
    ResNetConfig config = small("resnet50", 16);
    config.zero_init_residual = true;
    ResNet model(config, 3);
    for (const auto& [name, p] : parameters_of(model)) {
        const double n = static_cast<double>(p->value.numel());
        if (p->layout == Layout::hwio && p->value.numel() >= 4096) {  // normal(0, sqrt(2 / fan_out))
            const double expected =
                std::sqrt(2.0 / static_cast<double>(p->value.dim(0) * p->value.dim(1) * p->value.dim(3)));
            EXPECT_NEAR(norm(p->value) / std::sqrt(n) / expected, 1, 0.05) << name;
        }
        if (p->kind == ParamKind::norm && name.ends_with("weight")) {
            EXPECT_EQ(p->value[0], name.ends_with("bn3.weight") ? Real(0) : Real(1)) << name;
        }
        if (name.starts_with("fc")) {
            EXPECT_LE(max_abs(p->value), 1 / std::sqrt(512.0)) << name;
        }
        EXPECT_EQ(p->kind == ParamKind::weight, p->layout == Layout::hwio || name == "fc.weight") << name;
    }
    config.zero_init_residual = false;
    ResNet plain(config, 3);
    const Var loss = cross_entropy(plain(pictures(8, 64, 64)), IndexTensor::from({8}, {0, 1, 2, 3, 4, 0, 1, 2}));
    EXPECT_NEAR(static_cast<double>(loss.value().item()), std::log(5.0), 0.6);  // a fresh net knows nothing
}

TEST(ResNet, RefusesWhatIsNoNetwork) {
    EXPECT_THROW(resnet_config("resnet19"), ConfigError);
    ResNetConfig c = small("resnet18", 4);
    c.groups = 2;
    EXPECT_THROW(describe(c), ConfigError);
    c = small("resnet50", 4);
    c.width_per_group = 8;  // 4 * 8 / 64 = 0 channels
    EXPECT_THROW(ResNet(c, 0), ConfigError);
    c = small("resnet50", 4);
    c.layers[2] = 0;
    EXPECT_THROW(describe(c), ConfigError);
    ResNet model(small("resnet18", 4), 0);
    EXPECT_THROW(model(Var(Tensor::zeros({1, 3, 32, 32}))), ShapeError);
}

TEST(VitDet, BuildsWhatItDescribes) {
    VitDetConfig c;
    c.image = {32, 48};
    c.patch = 8, c.dim = 12, c.heads = 3, c.mlp = 20, c.layers = 3, c.det_tokens = 5, c.classes = 7;
    VitDet model(c, 1);
    EXPECT_EQ(count_parameters(model), parameters_in(describe(c)));
    const VitDetOutput out = model(pictures(2, 32, 48));
    EXPECT_EQ(out.classes.shape(), (Shape{2, 7}));
    EXPECT_EQ(out.boxes.shape(), (Shape{2, 5, 4}));
    EXPECT_THROW(model(pictures(2, 48, 32)), ShapeError);
    c.heads = 5;
    EXPECT_THROW(describe(c), ConfigError);
    c.heads = 3, c.image.w = 47;
    EXPECT_THROW(VitDet(c, 1), ConfigError);
}

// An encoder of torchvision's vit_b_16 size: its published 86,567,656 parameters are 85,798,656 without its head.
TEST(VitDet, TheEncoderHasThePublishedSize) {
    VitDetConfig c;
    c.patch = 16, c.dim = 768, c.heads = 12, c.mlp = 3072, c.layers = 12, c.det_tokens = 1;
    const auto rows = describe(c);
    const std::int64_t heads = parameters_in(rows, "head_"), detection_token = 2 * c.dim;  // with its position
    EXPECT_EQ(parameters_in(rows) - heads - detection_token, 85'798'656);
}

TEST(MultiheadAttention, HiddenKeysHaveNoSay) {
    Initializer init(2);
    MultiheadAttention attention(8, 2, init);
    const auto tokens = [](std::int64_t n, std::int64_t l) {
        return normal({n, l, 8}, 0, 1, Random({9, Stream::test, 0, 0, 0}));
    };
    const Tensor x = tokens(2, 4);
    Tensor changed = x.clone();
    for (int i = 0; i < 8; ++i) changed.mutable_data()[3 * 8 + i] = 100;  // the last token of the first sequence
    const auto same = [&](AttentionSpec spec) {
        spec.need_weights = true;
        const AttentionResult a = attention(Var(x), Var(x), Var(x), spec),
                              b = attention(Var(x), Var(changed), Var(changed), spec);
        return a.output.value().to_vector() == b.output.value().to_vector() && a.weights.value()[3] == 0;
    };
    AttentionSpec barred, additive, padded;
    EXPECT_FALSE(same({}));
    barred.barred = MaskTensor::zeros({4, 4});
    additive.additive = Tensor::zeros({4, 4});
    for (int i = 0; i < 4; ++i) {
        barred.barred.mutable_data()[4 * i + 3] = 1;
        additive.additive.mutable_data()[4 * i + 3] = -std::numeric_limits<Real>::infinity();
    }
    padded.padding = MaskTensor::from({2, 4}, {0, 0, 0, 1, 0, 0, 0, 0});
    EXPECT_TRUE(same(barred));
    EXPECT_TRUE(same(additive));
    EXPECT_TRUE(same(padded));
}

// Minus infinity in a mask is no number gone wrong, and a query that sees nothing is an error instead of a NaN.
TEST(MultiheadAttention, MasksLeaveNoInfinityBehind) {
    Initializer init(2);
    MultiheadAttention attention(4, 2, init);
    const Var x(normal({1, 3, 4}, 0, 1, Random({9, Stream::test, 0, 0, 0})));
    AttentionSpec causal;
    causal.additive = Tensor::zeros({3, 3});
    for (const int i : {1, 2, 5}) causal.additive.mutable_data()[i] = -std::numeric_limits<Real>::infinity();
    Tape tape(true);  // throws where an infinity is born
    tape.backward(sum(attention(x, {}, {}, causal).output));
    EXPECT_TRUE(all_finite(attention.in_proj_weight.grad));
    AttentionSpec blind;
    blind.padding = MaskTensor::full({1, 3}, 1);
    EXPECT_THROW(attention(x, {}, {}, blind), ShapeError);
    AttentionSpec odd;
    odd.barred = MaskTensor::zeros({1, 3, 3});  // one mask for two heads
    EXPECT_THROW(attention(x, {}, {}, odd), ShapeError);
}

}  // namespace
}  // namespace solobox
