// The occupancy head: boxes to maps and back, what the loss tells every cell, and that a graph says the same.
// Compiled in both precisions.
#include "nn/occupancy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "nn/box_loss.h"
#include "nn/checkpoint.h"
#include "nn/models/single_box.h"

namespace solobox {
namespace {

constexpr double rounding = sizeof(Real) == 8 ? 1e-7 : 2e-5;  // 1e-9 is the least mass

DecodeSpec map_of(std::int64_t cells) {
    DecodeSpec spec;
    spec.decode = Decode::occupancy;
    spec.cells = cells;
    return spec;
}

BoxLossSpec occupancy_loss(double bce, double iou) {
    BoxLossSpec spec;
    spec.loss = BoxLoss::occupancy;
    spec.lambda_bce = bce, spec.lambda_iou = iou;
    spec.iou = IouKind::giou;
    return spec;
}

Tensor boxes_of(const std::vector<std::array<double, 4>>& boxes) {
    Tensor t(Shape{std::ssize(boxes), 4});
    for (std::size_t i = 0; i < boxes.size(); ++i)
        for (std::size_t k = 0; k < 4; ++k) t.mutable_data()[4 * i + k] = static_cast<Real>(boxes[i][k]);
    return t;
}

// The logits of a map; nothing and everything become -40 and 40.
Tensor logits_of(const Tensor& map) {
    Tensor t(map.shape());
    for (std::int64_t i = 0; i < map.numel(); ++i) {
        const double p = static_cast<double>(map[i]);
        t.mutable_data()[i] = static_cast<Real>(std::clamp(std::log(p / (1 - p)), -40.0, 40.0));
    }
    return t;
}

Tensor there_and_back(const Tensor& boxes, std::int64_t cells) {
    return occupancy_boxes(Var(logits_of(occupancy_maps(boxes, cells))), cells).value();
}

TEST(Occupancy, BoxesBetweenCellBordersDecodeToThemselves) {
    for (const std::int64_t cells : {4, 7, 16}) {
        std::vector<std::array<double, 4>> boxes;
        const double c = 1 / static_cast<double>(cells);
        for (std::int64_t x1 = 0; x1 < cells; ++x1)
            for (std::int64_t x2 = x1 + 1; x2 <= cells; ++x2) {
                const std::int64_t y1 = (3 * x1 + x2) % cells, y2 = std::min(y1 + 1 + x2 % 3, cells);
                boxes.push_back({static_cast<double>(x1 + x2) / 2 * c, static_cast<double>(y1 + y2) / 2 * c,
                                 static_cast<double>(x2 - x1) * c, static_cast<double>(y2 - y1) * c});
            }
        const Tensor truth = boxes_of(boxes), found = there_and_back(truth, cells);
        for (std::int64_t i = 0; i < truth.numel(); ++i)
            ASSERT_NEAR(static_cast<double>(found[i]), static_cast<double>(truth[i]), rounding)
                << cells << " cells, box " << i / 4 << ", number " << i % 4;
    }
}

TEST(Occupancy, OtherBoxesDecodeToWithinAFractionOfACell) {
    Random random({1, Stream::test, 0, 0, 0});
    for (const std::int64_t cells : {8, 16, 32}) {
        std::vector<std::array<double, 4>> boxes;
        for (int i = 0; i < 2000; ++i) {
            const double w = random.uniform(2.0 / static_cast<double>(cells), 1),
                         h = random.uniform(2.0 / static_cast<double>(cells), 1);
            boxes.push_back({random.uniform(w / 2, 1 - w / 2), random.uniform(h / 2, 1 - h / 2), w, h});
        }
        const Tensor truth = boxes_of(boxes), found = there_and_back(truth, cells);
        for (std::int64_t i = 0; i < truth.numel(); ++i) {
            const double off = static_cast<double>(found[i] - truth[i]) * static_cast<double>(cells);
            if (i % 4 < 2) {
                ASSERT_LE(std::abs(off), 0.06) << cells << " cells, centre of box " << i / 4;
            } else {  // never narrower, and wider by the bound that nn/occupancy.h states
                const double width = static_cast<double>(truth[i]) * static_cast<double>(cells);
                ASSERT_GE(off, -2e-3) << cells << " cells, side of box " << i / 4;
                ASSERT_LE(off, 1.5 / width) << cells << " cells, side of box " << i / 4;
            }
        }
    }
}

TEST(Occupancy, TheMapAddsUpToTheAreaInsideThePicture) {
    const Tensor boxes = boxes_of({{0.5, 0.5, 1, 1},
                                   {0.43, 0.61, 0.37, 0.23},
                                   {0.5, 0.5, 0.01, 0.02},  // within one cell
                                   {0.95, 0.1, 0.2, 0.4},   // a half and a quarter of it outside
                                   {1.5, 0.5, 0.2, 0.2},    // all of it
                                   {0.5, 0.5, 0, 0.3}});    // no area
    const double areas[] = {1, 0.37 * 0.23, 0.0002, 0.15 * 0.3, 0, 0};
    for (const std::int64_t cells : {4, 16, 33}) {
        const Tensor maps = occupancy_maps(boxes, cells);
        for (std::int64_t i = 0; i < boxes.dim(0); ++i) {
            double sum = 0;
            for (std::int64_t k = 0; k < cells * cells; ++k) {
                const auto share = static_cast<double>(maps[i * cells * cells + k]);
                ASSERT_GE(share, 0);
                ASSERT_LE(share, 1 + 1e-6);
                sum += share;
            }
            EXPECT_NEAR(sum / static_cast<double>(cells * cells), areas[i], 1e-6) << i;
        }
    }
    // Rows of the picture come first: a box at the top covers the first numbers.
    const Tensor top = occupancy_maps(boxes_of({{0.5, 0.125, 1, 0.25}}), 4);
    for (std::int64_t k = 0; k < 16; ++k) EXPECT_EQ(top[k], Real(k < 4)) << k;
}

TEST(Occupancy, ExtremeMapsGiveFiniteBoxesAndGradients) {
    constexpr std::int64_t cells = 4, n = cells * cells;
    for (const double logit : {-1000.0, -100.0, -20.0, 0.0, 20.0, 1000.0}) {
        Parameter raw(Tensor::full({1, n}, static_cast<Real>(logit)));
        Tape tape;
        const LossValue loss =
            box_loss(use(raw), boxes_of({{0.3, 0.4, 0.2, 0.3}}), map_of(cells), occupancy_loss(1, 3));
        tape.backward(loss.total);
        EXPECT_TRUE(all_finite(loss.total.value())) << logit;
        EXPECT_TRUE(all_finite(raw.grad)) << logit;
        const Tensor box = metric_boxes(raw.value, map_of(cells));
        for (std::int64_t k = 0; k < 4; ++k) EXPECT_TRUE(box[k] > 0 && box[k] <= Real(1.0001)) << logit;
    }
}

// The IoU term alone, through the moments: every cell hears of it, and following it brings the box to the truth, from a
// map of another place, too.
TEST(Occupancy, TheIouTermMovesTheBoxThroughItsMoments) {
    constexpr std::int64_t cells = 8;
    const Tensor truth = boxes_of({{0.7, 0.6, 0.4, 0.5}});
    Parameter raw(logits_of(occupancy_maps(boxes_of({{0.25, 0.25, 0.25, 0.25}}), cells)));
    for (std::int64_t i = 0; i < raw.value.numel(); ++i)
        raw.value.mutable_data()[i] = std::clamp(raw.value[i], Real(-3), Real(3));
    double first = 0, last = 0;
    for (int step = 0; step < 400; ++step) {
        raw.zero_grad();
        Tape tape;
        const LossValue loss = box_loss(use(raw), truth, map_of(cells), occupancy_loss(0, 1));
        tape.backward(loss.total);
        last = static_cast<double>(loss.total.value().item());
        if (step == 0) {
            first = last;
            for (std::int64_t i = 0; i < raw.grad.numel(); ++i) EXPECT_NE(raw.grad[i], 0) << i;
        }
        for (std::int64_t i = 0; i < raw.grad.numel(); ++i) raw.value.mutable_data()[i] -= 10 * raw.grad[i];
    }
    EXPECT_GT(first, 0.9);
    EXPECT_LT(last, 0.05);
}

TEST(Occupancy, TheLossIsTheSumOfItsNamedTerms) {
    const Tensor truth = boxes_of({{0.4, 0.5, 0.3, 0.6}, {0.6, 0.4, 0.5, 0.2}});
    const Tensor raw = logits_of(occupancy_maps(boxes_of({{0.5, 0.5, 0.5, 0.5}, {0.6, 0.4, 0.5, 0.2}}), 8));
    BoxLossSpec spec = occupancy_loss(2, 3);
    const LossValue loss = box_loss(Var(raw), truth, map_of(8), spec);
    ASSERT_EQ(loss.terms.size(), 2U);
    EXPECT_EQ(loss.terms[0].name, "bce");
    EXPECT_EQ(loss.terms[1].name, "iou");
    const double bce = static_cast<double>(loss.terms[0].value.value().item()),
                 iou = static_cast<double>(loss.terms[1].value.value().item()),
                 total = static_cast<double>(loss.total.value().item());
    EXPECT_NEAR(total, 2 * bce + 3 * iou, 1e-4);
    spec.reduction = Reduction::sum;
    EXPECT_NEAR(static_cast<double>(box_loss(Var(raw), truth, map_of(8), spec).total.value().item()), 2 * total, 1e-3);
    EXPECT_THROW((void)box_loss(Var(raw), truth, map_of(8), {}), Error);               // another head's loss
    EXPECT_THROW((void)box_loss(Var(truth), truth, {}, occupancy_loss(1, 1)), Error);  // another head's decode
    EXPECT_THROW((void)box_loss(Var(raw), truth, map_of(7), spec), Error);             // other cells
}

TEST(Occupancy, ThePriorIsTheMeanMap) {
    const Tensor boxes =
        boxes_of({{0.5, 0.5, 0.5, 0.5}, {0.5, 0.5, 1, 1}, {0.25, 0.5, 0.5, 1}, {0.25, 0.25, 0.5, 0.5}});
    const auto bias = occupancy_prior(boxes, 4);
    const auto share = [&](std::size_t row, std::size_t column) { return 1 / (1 + std::exp(-bias[4 * row + column])); };
    EXPECT_NEAR(share(0, 0), 0.75, 1e-6);
    EXPECT_NEAR(share(1, 1), 0.98, 1e-6);  // all four, kept off certainty
    EXPECT_NEAR(share(3, 3), 0.25, 1e-6);
    EXPECT_NEAR(share(2, 2), 0.5, 1e-6);
    EXPECT_EQ(occupancy_prior(Tensor(Shape{0, 4}), 5), std::vector<double>(25, 0.0));
}

SingleBoxConfig small_model(std::int64_t cells) {
    SingleBoxConfig c = tiny_config();
    c.image = {32, 32};
    c.hidden = 12;
    c.outputs = cells * cells;
    for (TrunkRow& row : c.trunk) row.out /= 4;
    c.groups = 4;
    return c;
}

Tensor pictures(std::int64_t n) { return normal({n, 32, 32, 3}, 0.5, 0.2, Random({3, Stream::test, 0, 0, 0})); }

TEST(Occupancy, ACheckpointKeepsTheHead) {
    SingleBox model(small_model(6), 1), other(small_model(6), 2), larger(small_model(7), 2);
    SafetensorsFile file;
    save_state(model, file);
    EXPECT_EQ(file.tensors.at("model.fc.3.weight").shape, (std::vector<std::int64_t>{36, 12}));
    load_state(other, file, "file");
    const Tensor x = pictures(2);
    EXPECT_EQ(metric_boxes(model(Var(x)).value(), map_of(6)).to_vector(),
              metric_boxes(other(Var(x)).value(), map_of(6)).to_vector());
    EXPECT_THROW(load_state(larger, file, "file"), DataError);
}

TEST(Occupancy, TheTableAgreesWithTheBuiltModel) {
    const SingleBoxConfig c = small_model(6);
    SingleBox model(c, 0);
    std::int64_t parameters = 0;
    for (const LayerRow& row : describe(c)) parameters += row.parameters;
    EXPECT_EQ(parameters, count_parameters(model));
    EXPECT_EQ(describe(c).back().out, (Shape{36}));
}

// The few operators of ONNX that the end of the graph is made of, by their definition, on matrices.
Tensor run_graph(const Graph& graph, const Tensor& input) {
    std::map<std::string, Tensor> values{{graph.input.name, input}};
    std::map<std::string, std::vector<std::int64_t>> integers;
    for (const GraphConstant& k : graph.constants)
        if (const auto* numbers = std::get_if<std::vector<float>>(&k.numbers))
            values[k.name] = Tensor::from(Shape(k.dims), std::vector<Real>(numbers->begin(), numbers->end()));
        else
            integers[k.name] = std::get<std::vector<std::int64_t>>(k.numbers);
    for (const GraphNode& node : graph.nodes) {
        const auto in = [&](std::size_t i) { return Var(values.at(node.inputs.at(i))); };
        const auto whole = [&](std::size_t i) { return integers.at(node.inputs.at(i)).at(0); };
        const std::map<std::string, std::function<Var()>> operators{
            {"Identity", [&] { return in(0); }},
            {"Sigmoid", [&] { return sigmoid(in(0)); }},
            {"Sqrt", [&] { return sqrt(in(0)); }},
            {"MatMul", [&] { return matmul(in(0), in(1)); }},
            {"Add", [&] { return in(0) + in(1); }},
            {"Sub", [&] { return in(0) - in(1); }},
            {"Mul", [&] { return in(0) * in(1); }},
            {"Div", [&] { return in(0) / in(1); }},
            {"Concat",
             [&] {
                 return cat({in(0), in(1)}, static_cast<int>(std::get<std::int64_t>(node.attributes.at(0).second)));
             }},
            {"Slice", [&] {
                 return slice(in(0), {static_cast<int>(whole(3)), whole(1), whole(2), 1});
             }}};
        values[node.output] = operators.at(node.op)().value();
    }
    return values.at(graph.output.name);
}

TEST(Occupancy, AGraphComputesTheSameBoxes) {
    constexpr std::int64_t cells = 5;
    const Tensor raw = normal({40, cells * cells}, 0, 3, Random({4, Stream::test, 0, 0, 0}));
    GraphBuilder builder("raw", {-1, cells * cells});
    const Graph graph = builder.finish(decode_boxes(builder, builder.input(), map_of(cells)), "boxes", {-1, 4});
    const Tensor same = run_graph(graph, raw), boxes = decode_boxes(Var(raw), map_of(cells)).value();
    for (std::int64_t i = 0; i < boxes.numel(); ++i)
        EXPECT_NEAR(static_cast<double>(same[i]), static_cast<double>(boxes[i]), 1e-6) << i;
}

}  // namespace
}  // namespace solobox
