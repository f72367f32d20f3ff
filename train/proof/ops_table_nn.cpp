// The rows of the layers, losses and models.
#include <cmath>

#include "nn/attention.h"
#include "nn/box_loss.h"
#include "nn/losses.h"
#include "nn/models/resnet.h"
#include "nn/models/single_box.h"
#include "nn/models/vit.h"
#include "train/proof/ops_table_parts.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace rows {

// One sequence attending to itself, then two to each other under all masks at once, weights joined to the output.
void add_layers(Table& t) {
    t.add("layer", "multi_head_attention", [](Maker& m) {
        const auto projections = [&](std::int64_t e) {
            return Inputs{m.tensor({3 * e, e}), m.tensor({3 * e}), m.tensor({e, e}), m.tensor({e})};
        };
        Inputs self{m.tensor({2, 4, 6})}, cross{m.tensor({3, 2, 4}), m.tensor({5, 2, 4}), m.tensor({5, 2, 4})};
        for (const Tensor& p : projections(6)) self.push_back(p);
        for (const Tensor& p : projections(4)) cross.push_back(p);
        AttentionSpec spec;
        spec.batch_first = false;
        spec.need_weights = true;
        spec.average_weights = false;
        spec.additive = m.tensor({4, 3, 5});
        spec.barred = MaskTensor::zeros({3, 5});
        spec.barred.mutable_data()[1] = spec.barred.mutable_data()[13] = 1;
        spec.padding = MaskTensor::zeros({2, 5});
        spec.padding.mutable_data()[9] = 1;
        return std::vector<OpCase>{
            make_case(self,
                      [](const auto& x) {
                          return multi_head_attention(x[0], {}, {}, {x[1], x[2], x[3], x[4]}, 3).output;
                      }),
            make_case(cross, [spec](const auto& x) {
                const AttentionResult r = multi_head_attention(x[0], x[1], x[2], {x[3], x[4], x[5], x[6]}, 2, spec);
                return cat({reshape(r.output, {r.output.numel()}), reshape(r.weights, {r.weights.numel()})}, 0);
            })};
    });
}

// Boxes with corners or centres that overlap with some others.
static Tensor centre_boxes(Maker& m, std::int64_t n) {
    Tensor b(Shape{n, 4});
    for (std::int64_t i = 0; i < 4 * n; ++i)
        b.mutable_data()[i] = static_cast<Real>(i % 4 < 2 ? m.draw(0.3, 0.7) : m.draw(0.2, 0.5));
    return b;
}

static std::pair<DecodeSpec, BoxLossSpec> occupancy_head(std::int64_t cells, IouKind iou) {
    std::pair<DecodeSpec, BoxLossSpec> head;
    head.first.decode = Decode::occupancy;
    head.first.cells = cells;
    head.second.loss = BoxLoss::occupancy;
    head.second.iou = iou;
    return head;
}

void add_losses(Table& t) {
    const auto pair_loss = [&](const std::string& name, const std::function<Var(const Var&, const Var&)>& f) {
        t.add("loss", name, [f](Maker& m) {
            return std::vector<OpCase>{
                make_case({m.tensor({3, 4}), m.tensor({3, 4})}, [f](const auto& x) { return f(x[0], x[1]); })};
        });
    };
    pair_loss("mse_loss", [](const Var& a, const Var& b) { return mse_loss(a, b); });
    pair_loss("l1_loss", [](const Var& a, const Var& b) { return l1_loss(a, b); });
    pair_loss("smooth_l1_loss", [](const Var& a, const Var& b) { return smooth_l1_loss(a, b, 0.7, Reduction::none); });
    pair_loss("huber_loss", [](const Var& a, const Var& b) { return huber_loss(a, b, 0.8); });
    t.add("loss", "cross_entropy", [](Maker& m) {
        IndexTensor target = m.indices({4}, 5);
        target.mutable_data()[1] = -100;
        const CrossEntropySpec spec{m.tensor({5}, 0.5, 2), -100, 0.1, Reduction::mean};
        return std::vector<OpCase>{
            make_case({m.tensor({4, 5})}, [=](const auto& x) { return cross_entropy(x[0], target, spec); })};
    });
    t.add("loss", "binary_cross_entropy_with_logits", [](Maker& m) {
        const Tensor target = m.tensor({3, 4}, 0, 1), weight = m.tensor({4}, 0.5, 2), positive = m.tensor({4}, 0.5, 2);
        return std::vector<OpCase>{make_case({m.tensor({3, 4})}, [=](const auto& x) {
            return binary_cross_entropy_with_logits(x[0], target, weight, positive);
        })};
    });
    t.add("loss", "sigmoid_focal_loss", [](Maker& m) {
        const Tensor target = m.tensor({3, 4}, 0, 1);
        return std::vector<OpCase>{
            make_case({m.tensor({3, 4})}, [=](const auto& x) { return sigmoid_focal_loss(x[0], target, 0.25, 1.5); })};
    });
    t.add("loss", "dice_loss", [](Maker& m) {
        const Tensor target = m.tensor({2, 3, 4}, 0, 1);
        return std::vector<OpCase>{
            make_case({m.tensor({2, 3, 4})}, [=](const auto& x) { return dice_loss(x[0], target, 1, true); })};
    });
    t.add("loss", "distribution_focal_loss", [](Maker& m) {
        const Tensor target = m.tensor({3}, 0.1, 5.9);
        return std::vector<OpCase>{
            make_case({m.tensor({3, 8})}, [=](const auto& x) { return distribution_focal_loss(x[0], target); }),
            make_case({m.tensor({2, 12})}, [](const auto& x) { return distribution_focal_decode(x[0], 3); })};
    });
    for (const auto& [name, kind] :
         {std::pair{"iou", IouKind::iou}, {"giou", IouKind::giou}, {"diou", IouKind::diou}, {"ciou", IouKind::ciou}})
        t.add("loss", name, [kind = kind](Maker& m) {
            const auto corners = [](const Var& b) { return box_convert(b, BoxFormat::cxcywh, BoxFormat::xyxy); };
            return std::vector<OpCase>{
                make_case({centre_boxes(m, 6), centre_boxes(m, 6)},
                          [=](const auto& x) { return iou_of_kind(kind, corners(x[0]), corners(x[1])); }),
                make_case({centre_boxes(m, 6), centre_boxes(m, 6)}, [=](const auto& x) {
                    return iou_of_kind(kind, corners(x[0]), corners(x[1]), {1e-7, 1e-7, false});
                })};
        });
    for (const BoxLoss loss : {BoxLoss::box, BoxLoss::mse, BoxLoss::l1, BoxLoss::smooth_l1, BoxLoss::yolo_bbox,
                               BoxLoss::log_wh, BoxLoss::giou, BoxLoss::ciou})
        t.add("loss", fmt::format("box_loss {}", name_of(loss)), [loss](Maker& m) {
            std::vector<OpCase> cases;
            for (const Decode decode :
                 {Decode::identity, Decode::sigmoid, Decode::sigmoid_softplus, Decode::sigmoid_exp, Decode::log_wh}) {
                const Tensor target = centre_boxes(m, 5);
                const bool raw_is_box = decode == Decode::identity;
                cases.push_back(
                    make_case({raw_is_box ? centre_boxes(m, 5) : m.tensor({5, 4}, -1.5, 0.5)},
                              [=](const auto& x) { return box_loss(x[0], target, {decode}, {loss}).total; }));
                cases.back().shapes += fmt::format(" ({})", name_of(decode));
            }
            return cases;
        });
    t.add("loss", "box_loss occupancy", [](Maker& m) {
        std::vector<OpCase> cases;
        for (const auto& [iou, name] : {std::pair{IouKind::giou, "giou"}, {IouKind::ciou, "ciou"}})
            for (const std::int64_t cells : {4, 5}) {
                const auto [decode, loss] = occupancy_head(cells, iou);
                const Tensor target = centre_boxes(m, 3);
                cases.push_back(
                    make_case({m.tensor({3, cells * cells})}, [=, decode = decode, loss = loss](const auto& x) {
                        return box_loss(x[0], target, decode, loss).total;
                    }));
                cases.back().shapes += fmt::format(" ({})", name);
            }
        const auto [decode, loss] = occupancy_head(6, IouKind::giou);
        cases.push_back(
            make_case({m.tensor({2, 36})}, [decode = decode](const auto& x) { return decode_boxes(x[0], decode); }));
        cases.back().shapes += " (decode)";
        return cases;
    });
    t.add("loss", "yolo_v1_loss", [](Maker& m) {
        return std::vector<OpCase>{make_case({m.tensor({2, 2, 2, 12}, 0.1, 0.9)}, [](const auto& x) {
            return yolo_v1_loss(x[0], {{0, 1, 0.6, 0.3, 0.4, 0.5}, {1, 0, 0.2, 0.8, 0.3, 0.2}}, {2, 2}).total;
        })};
    });
}

// A whole regressor with its loss, small: every parameter tensor is checked.
static OpCase regressor(Maker& m, SingleBoxConfig config, const DecodeSpec& decode = {}, const BoxLossSpec& loss = {}) {
    config.hidden = 12;
    config.outputs = decode.outputs();
    auto model = std::make_shared<SingleBox>(config, 5);
    const Tensor images = m.tensor({2, config.image.h, config.image.w, 3}, 0, 1), target = centre_boxes(m, 2);
    OpCase c;
    c.owner = model;
    c.more = parameters_of(*model);
    c.shapes = fmt::format("{} parameters, {}", count_parameters(*model), images.shape().str());
    c.run = [=] { return box_loss((*model)(Var(images), {1, Stream::dropout, 0, 0, 0}), target, decode, loss).total; };
    return c;
}

// A whole classifier with its loss.
static OpCase classifier(Maker& m, const ResNetConfig& config) {
    auto model = std::make_shared<ResNet>(config, 5);
    const Tensor images = m.tensor({3, config.image, config.image, 3});
    const IndexTensor labels = m.indices({3}, config.classes);
    OpCase c;
    c.owner = model;
    c.more = parameters_of(*model);
    c.shapes = fmt::format("{} parameters, {}", count_parameters(*model), images.shape().str());
    c.run = [model, images, labels] { return cross_entropy((*model)(Var(images)), labels); };
    return c;
}

static OpCase transformer(Maker& m, const VitDetConfig& config) {
    auto model = std::make_shared<VitDet>(config, 5);
    const Tensor images = m.tensor({2, config.image.h, config.image.w, 3});
    const IndexTensor labels = m.indices({2}, config.classes);
    const Tensor boxes = centre_boxes(m, 2 * config.det_tokens);
    OpCase c;
    c.owner = model;
    c.more = parameters_of(*model);
    // As they start, near 0, the tokens' norms divide by 0.02: a curvature that differences would take for a kink.
    for (auto& p : c.more)
        if (p.param->kind == ParamKind::token) p.param->value = m.tensor(p.param->value.shape());
    c.shapes = fmt::format("{} parameters, {}", count_parameters(*model), images.shape().str());
    c.run = [model, images, labels, boxes] {
        const VitDetOutput out = (*model)(Var(images));
        return cross_entropy(out.classes, labels) +
               box_loss(reshape(out.boxes, boxes.shape().dims()), boxes, {}, {}).total;
    };
    return c;
}

void add_models(Table& t) {
    for (const NormKind norm : {NormKind::group, NormKind::batch, NormKind::none})
        t.add("model", fmt::format("tiny {}", name_of(norm)), [norm](Maker& m) {
            SingleBoxConfig config = tiny_config();
            config.image = {32, 32};
            config.norm = norm;
            for (auto& row : config.trunk) row.out /= 4;
            config.groups = 4;
            config.dropout = 0.2;
            std::vector<OpCase> cases{regressor(m, config)};
            config.image = {32, 64};
            if (norm == NormKind::group) cases.push_back(regressor(m, config));
            return cases;
        });
    t.add("model", "tiny occupancy", [](Maker& m) {
        SingleBoxConfig config = tiny_config();
        config.image = {32, 32};
        for (auto& row : config.trunk) row.out /= 4;
        config.groups = 4;
        const auto [decode, loss] = occupancy_head(5, IouKind::giou);
        return std::vector<OpCase>{regressor(m, config, decode, loss)};
    });
    t.add("model", "toy", [](Maker& m) {
        SingleBoxConfig config = toy_config(1.0 / 32);
        config.image = {64, 64};
        config.norm = NormKind::group;
        return std::vector<OpCase>{regressor(m, config)};
    });
    t.add("model", "resnet basic", [](Maker& m) {
        ResNetConfig config = resnet_config("resnet18", 4);
        config.layers = {2, 1, 1, 1};
        config.planes = 2;
        config.image = 40;
        return std::vector<OpCase>{classifier(m, config)};
    });
    t.add("model", "resnet bottleneck", [](Maker& m) {
        ResNetConfig config = resnet_config("resnet50", 3);
        config.layers = {1, 2, 1, 1};
        config.planes = 2;
        config.image = 40;
        ResNetConfig grouped = config;  // 3x3 convolutions of 4 groups, and the stem for small pictures
        grouped.groups = 4;
        grouped.width_per_group = 32;
        grouped.small_stem = true;
        grouped.image = 12;
        return std::vector<OpCase>{classifier(m, config), classifier(m, grouped)};
    });
    t.add("model", "vit", [](Maker& m) {
        VitDetConfig config;
        config.image = {16, 24};
        config.patch = 8;
        config.dim = 8;
        config.heads = 2;
        config.mlp = 12;
        config.layers = 2;
        config.det_tokens = 3;
        config.classes = 4;
        return std::vector<OpCase>{transformer(m, config)};
    });
}

}  // namespace rows
}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
