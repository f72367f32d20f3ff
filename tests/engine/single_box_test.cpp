// The single-box regressor's figures, derived by arithmetic in its specification.
#include "nn/models/single_box.h"

#include <gtest/gtest.h>

#include <cmath>

#include "nn/box_loss.h"
#include "optim/schedule.h"

namespace solobox {
namespace {

struct Totals {
    std::int64_t parameters = 0, macs = 0, convolutions = 0;
};
Totals totals(const SingleBoxConfig& c) {
    Totals t;
    for (const auto& row : describe(c)) {
        t.parameters += row.parameters;
        t.macs += row.macs;
        t.convolutions += row.type.starts_with("conv");
    }
    return t;
}

TEST(Toy, HasTheSpecifiedSize) {
    SingleBoxConfig c = toy_config();
    EXPECT_EQ(totals(c).parameters, 266'056'324);
    EXPECT_EQ(totals(c).convolutions, 24);
    EXPECT_NEAR(static_cast<double>(totals(c).macs), 25.41e9, 0.01e9);
    c.norm = NormKind::group;  // the conv bias is dropped under a norm
    EXPECT_EQ(totals(c).parameters, 266'069'700);
    c = toy_config(0.25);
    c.image = {224, 224};
    c.hidden = 512;
    EXPECT_EQ(totals(c).parameters, 5'889'700);
    EXPECT_NEAR(static_cast<double>(totals(c).macs), 0.469e9, 0.001e9);
    c = toy_config(0.125);
    c.image = {128, 128};
    c.hidden = 256;
    EXPECT_EQ(totals(c).parameters, 1'082'452);
}

TEST(Toy, MapsShrinkAsSpecified) {
    for (const auto& [image, flat] : {std::pair{448, 50176}, {416, 50176}, {384, 36864}, {224, 16384}}) {
        SingleBoxConfig c = toy_config();
        c.image = {image, image};
        for (const auto& row : describe(c))
            if (row.name == "fc.0") {
                EXPECT_EQ(row.out.numel(), flat) << image;
            }
    }
    SingleBoxConfig c = toy_config();
    c.image = {8, 8};
    EXPECT_THROW(describe(c), ConfigError);
}

// A wide picture has a wide map, and the linears read all of it.
TEST(SingleBox, PicturesNeedNotBeSquare) {
    SingleBoxConfig c = tiny_config();
    c.image = {64, 160}, c.hidden = 20;
    SingleBox model(c, 0);
    EXPECT_EQ(count_parameters(model), totals(c).parameters);
    for (const LayerRow& row : describe(c))
        if (row.name == "fc.0") {
            EXPECT_EQ(row.in, (Shape{2, 5, 256}));
        }
    const NoGrad quiet;
    set_training(model, false);
    EXPECT_EQ(model(Var(Tensor::zeros({3, 64, 160, 3}))).shape(), (Shape{3, 4}));
    EXPECT_EQ(model(Var(Tensor::zeros({1, 160, 96, 3}))).shape(), (Shape{1, 4}));
    c.image.h = 16;
    EXPECT_THROW(describe(c), ConfigError);
}

TEST(SingleBox, TheTableAgreesWithTheBuiltModel) {
    for (const NormKind norm : {NormKind::none, NormKind::batch, NormKind::group})
        for (SingleBoxConfig c : {tiny_config(), toy_config(1.0 / 16)}) {
            c.image = {64, 64};
            c.norm = norm;
            c.hidden = 20;
            c.dropout = 0.3;
            SingleBox model(c, 0);
            EXPECT_EQ(count_parameters(model), totals(c).parameters);
            std::vector<std::string> names;
            for (const auto& p : parameters_of(model)) names.push_back(p.name);
            EXPECT_EQ(names.back(), "fc.4.bias");  // fc.3 is the dropout
            EXPECT_EQ(names.front(), c.nested_names ? "feat.0.0.weight" : "feat.0.weight");
        }
}

TEST(SingleBox, OtherPictureSizesArePooledToTheSameMap) {
    SingleBoxConfig c = tiny_config();
    c.image = {64, 64};
    SingleBox model(c, 0);
    EXPECT_EQ(model(Var(Tensor::zeros({1, 96, 128, 3}))).shape(), (Shape{1, 4}));
}

double total(const std::vector<Real>& box, const std::vector<Real>& truth, BoxLossSpec spec,
             Decode decode = Decode::identity) {
    return static_cast<double>(
        box_loss(Var(Tensor::from({1, 4}, box)), Tensor::from({1, 4}, truth), {decode}, spec).total.value().item());
}

TEST(BoxLoss, GivesTheSpecifiedNumbers) {
    const std::vector<Real> p{0.5F, 0.5F, 0.4F, 0.2F}, g{0.55F, 0.45F, 0.3F, 0.4F};
    const std::vector<Real> far_p{0.2F, 0.2F, 0.2F, 0.2F}, far_g{0.8F, 0.7F, 0.2F, 0.4F};
    const auto iou = [](const std::vector<Real>& a, const std::vector<Real>& b, IouKind kind) {
        const auto corners = [](const std::vector<Real>& c) {
            return box_convert(Var(Tensor::from({1, 4}, c)), BoxFormat::cxcywh, BoxFormat::xyxy);
        };
        return static_cast<double>(iou_of_kind(kind, corners(a), corners(b)).value().item());
    };
    EXPECT_NEAR(iou(p, g, IouKind::iou), 0.42857143, 1e-4);
    EXPECT_NEAR(iou(p, g, IouKind::giou), 0.30357143, 1e-4);
    EXPECT_NEAR(iou(p, g, IouKind::diou), 0.41294643, 1e-4);
    EXPECT_NEAR(iou(p, g, IouKind::ciou), 0.40142033, 1e-4);
    EXPECT_NEAR(iou(far_p, far_g, IouKind::iou), 0, 1e-6);
    EXPECT_NEAR(iou(far_p, far_g, IouKind::giou), -0.8125, 1e-4);
    EXPECT_NEAR(iou(far_p, far_g, IouKind::ciou), -0.47825196, 1e-4);
    BoxLossSpec yolo{BoxLoss::yolo_bbox, 5, 5, 1};
    EXPECT_NEAR(total(p, g, yolo), 0.83105093, 1e-4);
    EXPECT_NEAR(total(p, g, {BoxLoss::yolo_bbox, 1, 1, 5}), 3.03939260, 1e-4);
    EXPECT_NEAR(total(p, g, {BoxLoss::yolo_bbox, 5, 5, 3}), 2.02821027, 1e-4);
    EXPECT_NEAR(total({0.2F, -0.3F, -1, -1.5F}, g, {BoxLoss::log_wh}, Decode::log_wh), 0.76524341, 1e-4);
}

TEST(BoxLoss, APerfectBoxHasIouOneAndFiniteGradients) {
    for (const IouKind kind : {IouKind::iou, IouKind::giou, IouKind::diou, IouKind::ciou}) {
        Parameter p(Tensor::from({1, 4}, {0.3F, 0.2F, 0.6F, 0.9F}));
        Tape tape;
        const Var y = iou_of_kind(kind, use(p), Var(p.value));
        EXPECT_NEAR(static_cast<double>(y.value().item()), 1, 1e-5);
        tape.backward(sum(y));
        EXPECT_TRUE(all_finite(p.grad));
    }
}

TEST(BoxLoss, ABoxWithoutAreaHasAFiniteLossAndGradient) {
    for (const IouKind kind : {IouKind::iou, IouKind::giou, IouKind::diou, IouKind::ciou}) {
        Parameter p(Tensor::from({2, 4}, {0.3F, 0.2F, 0.3F, 0.2F, 0, 0, 0, 0}));
        Tape tape;
        const Var y =
            iou_of_kind(kind, use(p), Var(Tensor::from({2, 4}, {0.1F, 0.1F, 0.6F, 0.7F, 0.2F, 0.2F, 0.5F, 0.4F})));
        EXPECT_TRUE(all_finite(y.value()));
        tape.backward(sum(y));
        EXPECT_TRUE(all_finite(p.grad));
    }
}

TEST(YoloV1, GivesTheGoldenCase) {
    std::vector<Real> cell{0.5F, 0.5F, 0.3F, 0.3F, 0.4F, 0.3F, 0.6F, 0.5F, 0.4F, 0.7F, 0.3F, 0.6F}, all;
    for (int i = 0; i < 4; ++i) all.insert(all.end(), cell.begin(), cell.end());
    const LossValue loss = yolo_v1_loss(Var(Tensor::from({1, 2, 2, 12}, all)), {{0, 1, 0.6, 0.3, 0.4, 0.5}}, {2, 2});
    EXPECT_NEAR(static_cast<double>(loss.total.value().item()), 1.41183920, 1e-4);
}

TEST(HeadBias, DecodesToTheStatedBoxes) {
    const auto decoded = [](HeadBias preset, Decode decode) {
        const auto b = head_bias(preset, {}, {decode});
        return static_cast<double>(
            decode_boxes(Var(Tensor::from({1, 4}, {Real(b[0]), Real(b[1]), Real(b[2]), Real(b[3])})),
                         {decode, 0.25, 0.35})
                .value()[2]);
    };
    EXPECT_NEAR(decoded(HeadBias::logit, Decode::sigmoid), 0.2, 1e-6);
    EXPECT_NEAR(decoded(HeadBias::logit, Decode::log_wh), 0.25, 1e-6);
    EXPECT_NEAR(decoded(HeadBias::logit, Decode::sigmoid_softplus), 0.22314355, 1e-5);
    EXPECT_NEAR(decoded(HeadBias::log, Decode::sigmoid), 0.1667275, 1e-6);
    EXPECT_NEAR(decoded(HeadBias::log, Decode::log_wh), 0.2000876, 1e-6);
}

TEST(HeadBias, ThePriorDecodesToTheGivenBoxUnderEveryDecode) {
    const std::array<double, 4> box{0.4, 0.6, 0.3, 0.7};
    for (const Decode decode :
         {Decode::identity, Decode::sigmoid, Decode::sigmoid_softplus, Decode::sigmoid_exp, Decode::log_wh}) {
        const auto b = head_bias(HeadBias::prior, box, {decode});
        const Tensor out =
            decode_boxes(Var(Tensor::from({1, 4}, {Real(b[0]), Real(b[1]), Real(b[2]), Real(b[3])})), {decode}).value();
        for (std::int64_t i = 0; i < 4; ++i)
            EXPECT_NEAR(static_cast<double>(out[i]), box[static_cast<std::size_t>(i)], 1e-5) << name_of(decode);
    }
}

TEST(Staircase, IsTheSeeds) {
    const std::pair<int, double> five[] = {{0, .0028}, {1, .0046}, {2, .0064}, {3, .0082},  {4, .01},
                                           {5, .01},   {79, .01},  {80, .001}, {109, .001}, {110, .0001}};
    for (const auto& [epoch, lr] : five) EXPECT_NEAR(schedule::staircase(5, epoch), lr, 1e-12) << epoch;
    const std::pair<int, double> three[] = {{0, .004},  {1, .007},   {2, .01},    {77, .01},
                                            {78, .001}, {107, .001}, {108, .0001}};
    for (const auto& [epoch, lr] : three) EXPECT_NEAR(schedule::staircase(3, epoch), lr, 1e-12) << epoch;
}

}  // namespace
}  // namespace solobox
