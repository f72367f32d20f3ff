#include "nn/box_loss.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "nn/occupancy.h"
#include "tensor/constant.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

constexpr std::pair<const char*, Decode> decode_names[] = {
    {"identity", Decode::identity},       {"sigmoid", Decode::sigmoid}, {"sigmoid_softplus", Decode::sigmoid_softplus},
    {"sigmoid_exp", Decode::sigmoid_exp}, {"log_wh", Decode::log_wh},   {"occupancy", Decode::occupancy}};
constexpr std::pair<const char*, BoxLoss> loss_names[] = {{"box", BoxLoss::box},
                                                          {"mse", BoxLoss::mse},
                                                          {"l1", BoxLoss::l1},
                                                          {"smooth_l1", BoxLoss::smooth_l1},
                                                          {"yolo_bbox", BoxLoss::yolo_bbox},
                                                          {"log_wh", BoxLoss::log_wh},
                                                          {"iou", BoxLoss::iou},
                                                          {"giou", BoxLoss::giou},
                                                          {"diou", BoxLoss::diou},
                                                          {"ciou", BoxLoss::ciou},
                                                          {"occupancy", BoxLoss::occupancy}};

template <class E>
E by_name(const std::string& name, const char* what, std::span<const std::pair<const char*, E>> table) {
    std::string all;
    for (const auto& [text, value] : table) {
        if (name == text) return value;
        all += fmt::format("{}{}", all.empty() ? "" : ", ", text);
    }
    throw ConfigError(fmt::format("'{}' is no {}: expected one of {}", name, what, all));
}

template <class E>
const char* name_in(E value, std::span<const std::pair<const char*, E>> table) {
    for (const auto& [text, v] : table)
        if (v == value) return text;
    return "?";
}

Var columns(const Var& boxes, std::int64_t begin, std::int64_t end) { return slice(boxes, {-1, begin, end, 1}); }
Var xy(const Var& boxes) { return columns(boxes, 0, 2); }
Var wh(const Var& boxes) { return columns(boxes, 2, 4); }

LossValue weighted(bool plain, std::vector<LossTerm> terms) {
    Var total;
    for (const auto& t : terms) {
        // fault=unweighted: the weights were read and logged, and the sum was written without them.
        const Var part = plain ? t.value : t.value * t.weight;
        total = total.defined() ? total + part : part;
    }
    return {total, std::move(terms)};
}

}  // namespace

Decode decode_of(const std::string& name) { return by_name<Decode>(name, "decode", decode_names); }
const char* name_of(Decode decode) { return name_in<Decode>(decode, decode_names); }
BoxLoss box_loss_of(const std::string& name) { return by_name<BoxLoss>(name, "box loss", loss_names); }
const char* name_of(BoxLoss loss) { return name_in<BoxLoss>(loss, loss_names); }

Var decode_boxes(const Var& raw, const DecodeSpec& spec) {
    if (spec.decode == Decode::occupancy) return occupancy_boxes(raw, spec.cells);
    check(raw.rank() == 2 && raw.dim(1) == 4, "[decode] the head's output is {}, expected (N, 4)", raw.shape().str());
    Var boxes;
    switch (spec.decode) {
        case Decode::identity:
            boxes = raw;
            break;
        case Decode::sigmoid:
            boxes = sigmoid(raw);
            break;
        case Decode::sigmoid_softplus:
            boxes = cat({sigmoid(xy(raw)), softplus(wh(raw)) + 1e-6}, 1);
            break;
        case Decode::sigmoid_exp: {
            const Tensor prior =
                Tensor::from({1, 2}, {static_cast<Real>(spec.prior_w), static_cast<Real>(spec.prior_h)});
            boxes = cat({sigmoid(xy(raw)), exp(wh(raw)) * Var(prior)}, 1);
            break;
        }
        case Decode::log_wh:
            boxes = cat({sigmoid(xy(raw)), exp(wh(raw))}, 1);
            break;
        case Decode::occupancy:
            break;  // above
    }
    return spec.clamp_before_loss ? clamp(boxes, 0, 1) : boxes;
}

std::string decode_boxes(GraphBuilder& graph, const std::string& raw, const DecodeSpec& spec) {
    if (spec.decode == Decode::identity) return raw;
    if (spec.decode == Decode::occupancy) return occupancy_boxes(graph, raw, spec.cells);
    if (spec.decode == Decode::sigmoid) return graph.add("Sigmoid", {raw});
    const auto columns = [&](std::int64_t from, std::int64_t to) {
        return graph.add("Slice", {raw, graph.integers({from}), graph.integers({to}), graph.integers({1})});
    };
    const std::string centre = graph.add("Sigmoid", {columns(0, 2)}), sides = columns(2, 4);
    std::string size;
    if (spec.decode == Decode::sigmoid_softplus) {
        size =
            graph.add("Add", {graph.add("Softplus", {sides}), graph.constant("least", Tensor::full({1}, Real(1e-6)))});
    } else {
        size = graph.add("Exp", {sides});
        if (spec.decode == Decode::sigmoid_exp) {
            const Tensor prior =
                Tensor::from({1, 2}, {static_cast<Real>(spec.prior_w), static_cast<Real>(spec.prior_h)});
            size = graph.add("Mul", {size, graph.constant("prior", prior)});
        }
    }
    return graph.add("Concat", {centre, size}, {{"axis", std::int64_t{1}}});
}

Tensor metric_boxes(const Tensor& raw, const DecodeSpec& spec) {
    const NoGrad quiet;
    Tensor boxes = decode_boxes(Var(raw), spec).value().clone();
    double lo = 0, hi = std::numeric_limits<double>::infinity();  // of w and h
    if (spec.decode == Decode::sigmoid) lo = 1e-7, hi = 1 - 1e-7;
    if (spec.decode == Decode::sigmoid_exp) lo = 1e-4, hi = 1;
    if (spec.decode == Decode::log_wh) lo = 1e-6;
    if (spec.decode == Decode::occupancy) hi = 1;  // a map with two far corners has the spread of more than the picture
    for (std::int64_t i = 0; i < boxes.numel(); ++i)
        if (i % 4 >= 2) boxes.mutable_data()[i] = std::clamp(boxes[i], static_cast<Real>(lo), static_cast<Real>(hi));
    return boxes;
}

Tensor output_values(const Tensor& raw, const DecodeSpec& spec) {
    if (spec.decode != Decode::occupancy) return metric_boxes(raw, spec);
    const NoGrad quiet;
    return sigmoid(Var(raw)).value();
}

Tensor output_targets(const Tensor& boxes, const DecodeSpec& spec) {
    return spec.decode == Decode::occupancy ? occupancy_maps(boxes, spec.cells) : boxes;
}

namespace {

// The raw number that decodes to p; coordinates 0 and 1 are the centre, 2 and 3 the sides.
double encode(double p, std::size_t coordinate, const DecodeSpec& spec) {
    p = std::clamp(p, 1e-3, 1 - 1e-3);
    const bool side = coordinate >= 2;
    if (spec.decode == Decode::identity) return p;
    if (side && spec.decode == Decode::sigmoid_softplus) return std::log(std::expm1(p));
    if (side && spec.decode == Decode::sigmoid_exp)
        return std::log(p / (coordinate == 2 ? spec.prior_w : spec.prior_h));
    if (side && spec.decode == Decode::log_wh) return std::log(p);
    return std::log(p / (1 - p));
}

}  // namespace

std::array<double, 4> head_bias(HeadBias preset, const std::array<double, 4>& prior_box, const DecodeSpec& decode) {
    switch (preset) {
        case HeadBias::zero:
            return {0, 0, 0, 0};
        case HeadBias::logit:
            return {0, 0, -1.3862944, -1.3862944};  // logit 0.2
        case HeadBias::log:
            return {0, 0, -1.609, -1.609};  // ln 0.2
        case HeadBias::prior: {
            std::array<double, 4> bias{};
            for (std::size_t i = 0; i < 4; ++i) bias[i] = encode(prior_box[i], i, decode);
            return bias;
        }
    }
    return {};
}

LossValue box_loss(const Var& raw, const Tensor& target, const DecodeSpec& decode, const BoxLossSpec& spec) {
    check(raw.shape() == Shape{target.dim(0), decode.outputs()},
          "[box_loss] targets {} do not match the head's output {}", target.shape().str(), raw.shape().str());
    check((spec.loss == BoxLoss::occupancy) == (decode.decode == Decode::occupancy),
          "[box_loss] the loss {} does not fit the decode {}", name_of(spec.loss), name_of(decode.decode));
    check(spec.reduction != Reduction::none, "[box_loss] reduction must be mean or sum");
    const Var t(target);
    const double rows = static_cast<double>(raw.dim(0));
    // Elementwise losses average over coordinates; `sum` then adds the samples up.
    const auto over_batch = [&](const Var& batch_mean) {
        return spec.reduction == Reduction::sum ? batch_mean * rows : batch_mean;
    };
    if (spec.loss == BoxLoss::log_wh) {
        const Var p = sigmoid(xy(raw)), log_target = log(wh(t) + 1e-6);
        const Var size = decode.clamp_before_loss ? clamp(wh(raw), std::log(1e-6), 0) : wh(raw);
        // One batch mean per coordinate: the mean over a pair of columns, twice.
        return weighted(spec.unweighted, {{"xy", over_batch(smooth_l1_loss(p, xy(t)) * 2.0), 2},
                                          {"wh", over_batch(smooth_l1_loss(size, log_target) * 2.0), 4}});
    }
    const Var p = decode_boxes(raw, decode);
    const auto iou_term = [&](IouKind kind) {
        const auto corners = [](const Var& b) { return box_convert(b, BoxFormat::cxcywh, BoxFormat::xyxy); };
        return 1.0 - iou_of_kind(kind, corners(p), corners(t), {spec.eps, spec.eps, spec.detach_alpha});
    };
    switch (spec.loss) {
        case BoxLoss::occupancy:
            return weighted(
                spec.unweighted,
                {{"bce", over_batch(binary_cross_entropy_with_logits(raw, occupancy_maps(target, decode.cells))),
                  spec.lambda_bce},
                 {"iou", over_batch(mean(iou_term(spec.iou))), spec.lambda_iou}});
        case BoxLoss::mse:
            return weighted(spec.unweighted, {{"mse", over_batch(mse_loss(p, t)), 1}});
        case BoxLoss::l1:
            return weighted(spec.unweighted, {{"l1", over_batch(l1_loss(p, t)), 1}});
        case BoxLoss::smooth_l1:
            return weighted(spec.unweighted, {{"smooth_l1", over_batch(smooth_l1_loss(p, t)), 1}});
        case BoxLoss::iou:
            return weighted(spec.unweighted, {{"iou", over_batch(mean(iou_term(IouKind::iou))), 1}});
        case BoxLoss::giou:
            return weighted(spec.unweighted, {{"giou", over_batch(mean(iou_term(IouKind::giou))), 1}});
        case BoxLoss::diou:
            return weighted(spec.unweighted, {{"diou", over_batch(mean(iou_term(IouKind::diou))), 1}});
        case BoxLoss::ciou:
            return weighted(spec.unweighted, {{"ciou", over_batch(mean(clamp(iou_term(IouKind::ciou), 0))), 1}});
        case BoxLoss::yolo_bbox: {
            const auto root = [&](const Var& sides) { return sqrt(clamp(sides, spec.eps)); };
            const auto squared = [&](const Var& a, const Var& b) { return over_batch(mean(sum(square(a - b), {1}))); };
            return weighted(spec.unweighted, {{"xy", squared(xy(p), xy(t)), spec.lambda_coord},
                                              {"wh", squared(root(wh(p)), root(wh(t))), spec.lambda_wh},
                                              {"iou", over_batch(mean(iou_term(spec.iou))), spec.lambda_iou}});
        }
        default:
            return weighted(spec.unweighted, {{"xy", over_batch(smooth_l1_loss(xy(p), xy(t))), spec.lambda_coord},
                                              {"wh", over_batch(smooth_l1_loss(wh(p), wh(t))), spec.lambda_wh},
                                              {"iou", over_batch(mean(iou_term(spec.iou))), spec.lambda_iou}});
    }
}

namespace {

double unit_overlap(const double* a, const double* b) {  // centre boxes
    const auto side = [](double c1, double s1, double c2, double s2) {
        return std::max(0.0, std::min(c1 + s1 / 2, c2 + s2 / 2) - std::max(c1 - s1 / 2, c2 - s2 / 2));
    };
    const double inter = side(a[0], a[2], b[0], b[2]) * side(a[1], a[3], b[1], b[3]);
    return inter / std::max(a[2] * a[3] + b[2] * b[3] - inter, 1e-12);
}

}  // namespace

LossValue yolo_v1_loss(const Var& prediction, const std::vector<CellTruth>& truths, const YoloV1Spec& spec) {
    const std::int64_t width = 5 * spec.boxes + spec.classes;
    check(prediction.rank() == 4 && prediction.dim(1) == prediction.dim(2) && prediction.dim(3) == width,
          "[yolo_v1_loss] the prediction is {}, expected (N, S, S, {})", prediction.shape().str(), width);
    const std::int64_t n = prediction.dim(0), s = prediction.dim(1);
    // Everything that depends on which box is responsible is data, not graph: masks and targets of the full shape.
    Tensor target = Tensor::zeros(prediction.shape());
    Tensor is_xy = Tensor::zeros(prediction.shape()), is_wh = is_xy.clone(), is_class = is_xy.clone(),
           responsible = is_xy.clone();
    Tensor empty = is_xy.clone();
    for (std::int64_t i = 0; i < n * s * s * spec.boxes; ++i)
        empty.mutable_data()[i / spec.boxes * width + i % spec.boxes * 5 + 4] = 1;
    for (const CellTruth& t : truths) {
        check(t.image >= 0 && t.image < n && t.class_id >= 0 && t.class_id < spec.classes,
              "[yolo_v1_loss] truth of image {} class {} is out of range", t.image, t.class_id);
        const auto cell = [s](double c) {
            return std::clamp<std::int64_t>(static_cast<std::int64_t>(std::floor(c * static_cast<double>(s))), 0,
                                            s - 1);
        };
        const std::int64_t col = cell(t.cx), row = cell(t.cy), base = ((t.image * s + row) * s + col) * width;
        const Real* p = prediction.value().data() + base;
        const double truth[4] = {t.cx, t.cy, t.w, t.h};
        std::int64_t best = 0;
        double best_iou = -1;
        for (std::int64_t b = 0; b < spec.boxes; ++b) {
            const double box[4] = {
                (static_cast<double>(col) + static_cast<double>(p[5 * b])) / static_cast<double>(s),
                (static_cast<double>(row) + static_cast<double>(p[5 * b + 1])) / static_cast<double>(s),
                static_cast<double>(p[5 * b + 2]), static_cast<double>(p[5 * b + 3])};
            const double iou = unit_overlap(box, truth);
            if (iou > best_iou) best_iou = iou, best = b;
        }
        const std::int64_t at = base + 5 * best;
        const double goal[5] = {t.cx * static_cast<double>(s) - static_cast<double>(col),
                                t.cy * static_cast<double>(s) - static_cast<double>(row), std::sqrt(t.w),
                                std::sqrt(t.h), best_iou};
        for (std::int64_t k = 0; k < 5; ++k) {
            target.mutable_data()[at + k] = static_cast<Real>(goal[k]);
            (k < 2 ? is_xy : k < 4 ? is_wh : responsible).mutable_data()[at + k] = 1;
        }
        empty.mutable_data()[at + 4] = 0;
        for (std::int64_t c = 0; c < spec.classes; ++c) {
            is_class.mutable_data()[base + 5 * spec.boxes + c] = 1;
            target.mutable_data()[base + 5 * spec.boxes + c] = c == t.class_id ? 1 : 0;
        }
    }
    const Var goal(constant_in_backward(target));  // holds the responsible box's IoU
    const Var error = square(prediction - goal), root_error = square(sqrt(clamp(prediction, spec.eps)) - goal);
    const auto term = [&](const Var& e, const Tensor& mask) {
        return sum(e * Var(constant_in_backward(mask))) / static_cast<double>(n);
    };
    return weighted(false, {{"xy", term(error, is_xy), spec.lambda_coord},
                            {"wh", term(root_error, is_wh), spec.lambda_coord},
                            {"obj", term(error, responsible), 1},
                            {"noobj", term(square(prediction), empty), spec.lambda_noobj},
                            {"cls", term(error, is_class), 1}});
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
