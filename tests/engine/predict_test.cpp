// Prediction: a frozen model computes what evaluation computes, its graph says the same, and it refuses to go on
// learning. (That other programs compute the same from the graph is what scripts/bench-onnx looks at.)
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "nn/box_loss.h"
#include "nn/models/resnet.h"
#include "nn/models/single_box.h"
#include "tensor/kernels/conv.h"
#include "tensor/kernels/dispatch.h"

namespace solobox {
namespace {

Tensor picture_noise(const Shape& shape, std::uint32_t op) {
    Random random({11, Stream::test, 0, 0, op});
    Tensor t(shape);
    for (std::int64_t i = 0; i < t.numel(); ++i) t.mutable_data()[i] = static_cast<Real>(random.uniform(0, 1));
    return t;
}

double largest_difference(const Tensor& a, const Tensor& b) {
    EXPECT_EQ(a.shape(), b.shape());
    double off = 0;
    for (std::int64_t i = 0; i < a.numel(); ++i)
        off = std::max(off, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
    return off;
}

// Running statistics and norm weights of something, not the 0 and 1 they start as.
template <class Model>
void stir(Model& model, std::int64_t image) {
    std::uint32_t op = 100;
    for (const auto& p : parameters_of(model))
        if (p.param->kind == ParamKind::norm) {
            const Tensor n = picture_noise(p.param->value.shape(), ++op);
            for (std::int64_t i = 0; i < n.numel(); ++i) p.param->value.mutable_data()[i] += n[i] - Real(0.3);
        }
    for (int i = 0; i < 3; ++i)
        (void)model(Var(picture_noise({4, image, image, 3}, 7 + static_cast<std::uint32_t>(i))));
    set_training(model, false);
}

template <class Model>
void expect_frozen_equals_evaluation(Model& model, std::int64_t image) {
    stir(model, image);
    const Tensor one = picture_noise({1, image, image, 3}, 1), three = picture_noise({3, image, image, 3}, 2);
    const Tensor y1 = model(Var(one)).value(), y3 = model(Var(three)).value();
    model.freeze();
    for (int again = 0; again < 2; ++again) {  // packed, and from the pack
        EXPECT_LE(largest_difference(model(Var(one)).value(), y1), 2e-5 * (1 + max_abs(y1)));
        EXPECT_LE(largest_difference(model(Var(three)).value(), y3), 2e-5 * (1 + max_abs(y3)));
    }
    EXPECT_THROW(parameters_of(model), Error);
    const Tape tape;
    EXPECT_THROW((void)model(Var(one)), Error);
}

TEST(EnginePredict, AFrozenModelComputesWhatEvaluationComputes) {
    for (const NormKind norm : {NormKind::none, NormKind::batch, NormKind::group}) {
        SingleBoxConfig c = tiny_config();
        c.image = {64, 64};
        c.norm = norm;
        SingleBox model(c, 3);
        expect_frozen_equals_evaluation(model, c.image.h);
    }
    for (const char* name : {"resnet18", "resnet50"}) {
        ResNetConfig c = resnet_config(name, 7);
        c.planes = name == std::string("resnet18") ? 16 : 32;
        c.width_per_group = name == std::string("resnet18") ? 64 : 32;
        ResNet model(c, 3);
        expect_frozen_equals_evaluation(model, 40);
    }
}

TEST(EnginePredict, PackedWeightsGiveTheSameBits) {
    for (const Kernels kernels : {Kernels::generic, Kernels::avx2, Kernels::avx512}) {
        if (!cpu_supports(kernels)) continue;
        const Kernels before = active_kernels();
        force_kernels(kernels);
        for (const ConvSpec& spec :
             {ConvSpec{{1, 1}, {1, 1}}, ConvSpec{{2, 2}, {1, 1}}, ConvSpec{{1, 2}, {0, 1}, {2, 1}, 2}}) {
            const Tensor w = picture_noise({3, 3, 32 / spec.groups, 48}, 3);
            PackedWeight packed;
            for (const std::int64_t side : {12, 9, 12}) {  // another size, another pack
                const Tensor x = picture_noise({2, side, side, 32}, 4);
                EXPECT_EQ(conv2d(x, w, {}, spec, &packed).value().to_vector(),
                          conv2d(x, w, {}, spec).value().to_vector());
            }
        }
        force_kernels(before);
    }
}

TEST(EnginePredict, AGraphNamesEveryParameterOnceAndEveryInputIsMade) {
    SingleBoxConfig c = tiny_config();
    ResNetConfig r = resnet_config("resnet18", 7);
    SingleBox box(c, 0);
    ResNet resnet(r, 0);
    const auto look = [](auto& model, const Graph& graph) {
        std::set<std::string> made{graph.input.name}, constants;
        for (const GraphConstant& k : graph.constants) {
            EXPECT_TRUE(made.insert(k.name).second) << k.name << " twice";
            constants.insert(k.name);
        }
        for (const GraphNode& node : graph.nodes) {
            for (const std::string& input : node.inputs) EXPECT_TRUE(made.contains(input)) << node.op << " " << input;
            EXPECT_TRUE(made.insert(node.output).second) << node.output;
        }
        EXPECT_TRUE(made.contains(graph.output.name));
        for (const auto& p : parameters_of(model)) EXPECT_TRUE(constants.contains(p.name)) << p.name;
    };
    for (const Decode decode : {Decode::identity, Decode::sigmoid, Decode::sigmoid_softplus, Decode::sigmoid_exp,
                                Decode::log_wh, Decode::occupancy}) {
        DecodeSpec spec;
        spec.decode = decode;
        spec.cells = 2;  // four numbers, as this model puts out
        GraphBuilder graph("images", {-1, 3, 128, 128});
        const std::string raw = box.append_to(graph);
        look(box, graph.finish(decode_boxes(graph, raw, spec), "boxes", {-1, 4}));
    }
    GraphBuilder graph("images", {-1, 3, 64, 64});
    const std::string logits = resnet.append_to(graph);
    look(resnet, graph.finish(logits, "logits", {-1, 7}));
}

TEST(EnginePredict, FoldingNeedsStatistics) {
    Initializer init(1);
    Conv2d conv(3, 4, 3, {}, false, init);
    BatchNorm2d norm(4);
    norm.stats = {};
    EXPECT_THROW(fold(conv, norm), Error);
}

}  // namespace
}  // namespace solobox
