// Golden group `metrics`.
#include "data/baseline.h"
#include "tests/reference/golden_case.h"
#include "train/metrics/metrics.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

using Doubles = std::vector<double>;
using Integers = std::vector<std::int64_t>;

Doubles doubles(Case& c, const std::string& name) {
    const Tensor t = c.floats(name);
    return {t.data(), t.data() + t.numel()};
}

std::int64_t size_of(const Doubles& v) { return static_cast<std::int64_t>(v.size()); }

void expect(Case& c, const std::string& name, const Doubles& values) { c.expect(name, values, Shape{size_of(values)}); }
void expect(Case& c, const std::string& name, double value) { c.expect(name, Doubles{value}, Shape{}); }
void expect_integers(Case& c, const std::string& name, const Integers& values) {
    c.expect_integers(name, values, Shape{static_cast<std::int64_t>(values.size())});
}

// Rows of four as centre and size.
std::vector<UnitBox> boxes(Case& c, const std::string& name, const std::string& format) {
    const Doubles v = doubles(c, name);
    std::vector<UnitBox> out;
    for (std::size_t i = 0; i + 3 < v.size(); i += 4) {
        if (format == "cxcywh")
            out.push_back({v[i], v[i + 1], v[i + 2], v[i + 3]});
        else if (format == "xyxy")
            out.push_back({(v[i] + v[i + 2]) / 2, (v[i + 1] + v[i + 3]) / 2, v[i + 2] - v[i], v[i + 3] - v[i + 1]});
        else if (format == "xywh")
            out.push_back({v[i] + v[i + 2] / 2, v[i + 1] + v[i + 3] / 2, v[i + 2], v[i + 3]});
        else
            throw Unsupported("box format " + format);
    }
    return out;
}

// Rows of four as corners; xyxy goes through unchanged.
std::vector<Object> objects(Case& c, const std::string& name, const std::string& format) {
    std::vector<Object> out;
    if (format != "xyxy") {
        for (const UnitBox& b : boxes(c, name, format)) out.push_back(metrics::corners(b));
        return out;
    }
    const Doubles v = doubles(c, name);
    for (std::size_t i = 0; i + 3 < v.size(); i += 4) out.push_back({0, v[i], v[i + 1], v[i + 2], v[i + 3]});
    return out;
}

void box_iou_case(Case& c) {
    const std::string format = c.args.text("format");
    const auto a = objects(c, "input.0", format), b = objects(c, "input.1", format);
    Doubles rows, all;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) rows.push_back(metrics::box_iou(a[i], b[i]));
    for (const Object& x : a)
        for (const Object& y : b) all.push_back(metrics::box_iou(x, y));
    expect(c, "output.0", rows);
    expect(c, "output.1", metrics::mean(rows));
    c.expect("output.2", all, Shape{static_cast<std::int64_t>(a.size()), static_cast<std::int64_t>(b.size())});
}

void box_iou_unit_case(Case& c) {
    const std::string format = c.args.text("format");
    const auto a = boxes(c, "input.0", format), b = boxes(c, "input.1", format);
    metrics::UnitIouSpec spec;
    if (c.args.has("clamp"))
        spec.low = c.args.at("clamp").at(0).get<double>(), spec.high = c.args.at("clamp").at(1).get<double>();
    if (c.args.has("eps")) spec.eps = c.args.number("eps");
    Integers batches{static_cast<std::int64_t>(a.size())};
    if (c.args.has("batches")) batches = c.args.integers("batches");
    Doubles ious;  // fed batch by batch, averaged once
    std::size_t next = 0;
    for (const std::int64_t size : batches)
        for (std::int64_t i = 0; i < size; ++i, ++next)
            ious.push_back(metrics::unit_box_iou(a.at(next), b.at(next), spec));
    expect(c, "output.0", ious);
    expect(c, "output.1", metrics::mean(ious));
    expect(c, "output.2", metrics::median(ious));
}

void top_k_case(Case& c) {
    const std::int64_t classes = c.floats("input.0").dim(1);
    const Integers ranks = metrics::label_ranks(doubles(c, "input.0"), classes, c.index("input.1").to_vector());
    Doubles shares;
    for (const std::int64_t k : c.args.integers("k")) shares.push_back(metrics::top_k_accuracy(ranks, k, classes));
    expect(c, "output.0", shares);
    expect_integers(c, "output.rank", ranks);
}

Doubles three(const metrics::Prf& p) { return {p.precision, p.recall, p.f1}; }

// One member of each, in order.
Doubles column(const std::vector<metrics::Prf>& rows, double metrics::Prf::*part) {
    Doubles out;
    for (const auto& row : rows) out.push_back(row.*part);
    return out;
}

void confusion_case(Case& c) {
    if (c.args.text("rows") != "truth" || c.args.text("columns") != "prediction")
        throw Unsupported("a transposed confusion matrix");
    metrics::Confusion confusion(c.args.integer("classes"));
    const Integers predicted = c.index("input.0").to_vector(), truth = c.index("input.1").to_vector();
    for (std::size_t i = 0; i < truth.size(); ++i) confusion.add(truth[i], predicted.at(i));
    const auto each = confusion.per_class();
    c.expect_integers("output.matrix", confusion.matrix(), Shape{confusion.classes(), confusion.classes()});
    expect_integers(c, "output.support", confusion.support());
    expect(c, "output.precision", column(each, &metrics::Prf::precision));
    expect(c, "output.recall", column(each, &metrics::Prf::recall));
    expect(c, "output.f1", column(each, &metrics::Prf::f1));
    expect(c, "output.accuracy", confusion.accuracy());
    expect(c, "output.macro", three(confusion.macro()));
    expect(c, "output.weighted", three(confusion.weighted()));
}

void pr_curve_case(Case& c) {
    std::vector<bool> positive;
    for (const std::int64_t flag : c.index("input.1").to_vector()) positive.push_back(flag != 0);
    const metrics::PrCurve curve = metrics::pr_curve(doubles(c, "input.0"), positive);
    expect(c, "output.thresholds", curve.thresholds);
    expect(c, "output.precision", curve.precision);
    expect(c, "output.recall", curve.recall);
    expect(c, "output.f1", curve.f1);
    expect(c, "output.average_precision", curve.average_precision);
    expect(c, "output.best", Doubles{curve.best_threshold, curve.best_f1});
}

void check_images(const Integers& images, std::int64_t count) {
    for (const std::int64_t i : images) check(i >= 0 && i < count, "image {} of {}", i, count);
}

std::vector<Object> labelled(Case& c, const std::string& prefix) {
    std::vector<Object> found = objects(c, prefix + "boxes", "xyxy");
    const Integers labels = c.index(prefix + "labels").to_vector();
    for (std::size_t i = 0; i < found.size(); ++i) found[i].class_id = static_cast<int>(labels.at(i));
    return found;
}

void check_flags(Case& c, const metrics::DetectionAp& found, std::int64_t detections) {
    const Shape shape{detections, static_cast<std::int64_t>(found.iou_thresholds.size())};
    c.expect_integers("output.tp", Integers(found.tp.begin(), found.tp.end()), shape);
    c.expect_integers("output.fp", Integers(found.fp.begin(), found.fp.end()), shape);
    c.expect_integers("output.matched_gt", found.matched, shape);
    expect_integers(c, "output.num_gt", found.truths);
}

void check_curves(Case& c, const metrics::DetectionAp& found) {
    const auto classes = static_cast<std::int64_t>(found.truths.size()),
               thresholds = static_cast<std::int64_t>(found.iou_thresholds.size());
    c.expect("output.ap", found.ap, Shape{classes, thresholds});
    c.expect("output.recall_max", found.recall_max, Shape{classes, thresholds});
    Doubles at_50;
    for (std::int64_t k = 0; k < classes; ++k) {
        const auto first = found.precision_at_recall.begin() +
                           (k * thresholds + static_cast<std::int64_t>(found.threshold(0.5))) * found.recall_points;
        at_50.insert(at_50.end(), first, first + found.recall_points);
    }
    c.expect("output.precision101_at_50", at_50, Shape{classes, found.recall_points});
    const Shape confidences{classes, metrics::confidence_points};
    c.expect("output.conf_precision", column(found.at_confidence, &metrics::Prf::precision), confidences);
    c.expect("output.conf_recall", column(found.at_confidence, &metrics::Prf::recall), confidences);
    c.expect("output.conf_f1", column(found.at_confidence, &metrics::Prf::f1), confidences);
    expect(c, "output.map50", found.mean_ap(0.5));
    expect(c, "output.map75", found.mean_ap(0.75));
    expect(c, "output.map50_95", found.mean_ap());
}

void detection_ap_case(Case& c) {
    const auto found = labelled(c, "input.det_"), wanted = labelled(c, "input.gt_");
    const Doubles scores = doubles(c, "input.det_scores");
    const Integers found_in = c.index("input.det_images").to_vector(),
                   wanted_in = c.index("input.gt_images").to_vector();
    check_images(found_in, c.args.integer("num_images"));
    check_images(wanted_in, c.args.integer("num_images"));
    std::vector<metrics::Detection> detections;
    std::vector<metrics::Truth> truths;
    for (std::size_t i = 0; i < found.size(); ++i) detections.push_back({found_in.at(i), found[i], scores.at(i)});
    for (std::size_t i = 0; i < wanted.size(); ++i) truths.push_back({wanted_in.at(i), wanted[i]});
    metrics::ApSpec spec;
    spec.iou_thresholds = c.args.at("iou_thresholds").get<Doubles>();
    spec.max_det = c.args.integer("max_det");
    spec.recall_points = c.args.integer("recall_thresholds");
    const metrics::DetectionAp ap = metrics::detection_ap(detections, truths, c.args.integer("num_classes"), spec);
    check_flags(c, ap, static_cast<std::int64_t>(detections.size()));
    check_curves(c, ap);
}

void mask_overlap_case(Case& c) {
    const MaskTensor a = c.mask("input.0"), b = c.mask("input.1");
    const auto found = metrics::mask_overlaps(a.to_vector(), b.to_vector(), a.dim(0), c.args.number("both_empty"));
    Doubles dice, iou;
    for (const auto& each : found.each) dice.push_back(each.dice), iou.push_back(each.iou);
    expect(c, "output.dice", dice);
    expect(c, "output.iou", iou);
    expect(c, "output.mean", Doubles{found.mean.dice, found.mean.iou});
    expect(c, "output.global", Doubles{found.global.dice, found.global.iou});
}

void soft_overlap_case(Case& c) {
    const auto found = metrics::soft_overlaps(doubles(c, "input.0"), doubles(c, "input.1"), c.floats("input.0").dim(0),
                                              c.args.number("smooth"));
    Doubles dice, iou;
    for (const auto& each : found.each) dice.push_back(each.dice), iou.push_back(each.iou);
    expect(c, "output.soft_dice", dice);
    expect(c, "output.soft_iou", iou);
    expect(c, "output.mae", found.mae);
    expect(c, "output.mae_each", found.mae_each);
    expect(c, "output.rmse", found.rmse);
}

Doubles four(const UnitBox& b) { return {b.cx, b.cy, b.w, b.h}; }

void mean_box_case(Case& c) {
    const std::string format = c.args.text("format");
    const auto train = boxes(c, "input.0", format), val = boxes(c, "input.1", format);
    const UnitBox mean = mean_box(train), median = median_box(train);
    expect(c, "output.box", four(mean));
    expect(c, "output.iou", metrics::box_ious(mean, val));
    expect(c, "output.mean_iou", metrics::mean(metrics::box_ious(mean, val)));
    expect(c, "output.mean_iou_train", metrics::mean(metrics::box_ious(mean, train)));
    expect(c, "output.median_box", four(median));
    expect(c, "output.median_iou", metrics::mean(metrics::box_ious(median, val)));
}

// Accepted when the box found reaches the stored mean IoU on the training boxes; another box may be as good.
void best_box_case(Case& c) {
    const std::string format = c.args.text("format");
    const auto train = boxes(c, "input.0", format);
    boxes(c, "input.1", format);  // validation: for information, as are the two outputs below
    c.args.ignore({"rule"});      // these words
    const double reached = metrics::mean(metrics::box_ious(best_constant_box(train), train));
    const double wanted = static_cast<double>(c.floats("output.mean_iou_train").item());
    expect(c, "output.mean_iou_train", std::min(reached, wanted));
    for (const char* information : {"output.box", "output.mean_iou"})
        if (c.has(information)) c.expect(information, c.floats(information));
}

const bool metrics_registered = [] {
    auto& a = adapters();
    a["metrics.box_iou"] = box_iou_case;
    a["metrics.box_iou_unit"] = box_iou_unit_case;
    a["metrics.topk_accuracy"] = top_k_case;
    a["metrics.confusion"] = confusion_case;
    a["metrics.pr_curve"] = pr_curve_case;
    a["metrics.detection_ap"] = detection_ap_case;
    a["metrics.mask_overlap"] = mask_overlap_case;
    a["metrics.soft_overlap"] = soft_overlap_case;
    a["metrics.mean_box"] = mean_box_case;
    a["metrics.best_constant_box"] = best_box_case;
    return true;
}();

}  // namespace
}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
