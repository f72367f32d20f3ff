// Average precision of detections: ranking, matching, curves. Declared in metrics.h.
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "tensor/check.h"
#include "train/metrics/metrics.h"

namespace solobox::metrics {
namespace {

// Detections in rank order and truths, of one image and class.
struct Group {
    std::vector<std::size_t> detections, truths;
};
using Groups = std::map<std::pair<std::int64_t, int>, Group>;

std::vector<std::size_t> ranking(const std::vector<Detection>& detections) {
    for (const Detection& d : detections)
        check(!std::isnan(d.score), "[detection_ap] a score in image {} is NaN", d.image);
    std::vector<std::size_t> order(detections.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        const Detection &x = detections[a], &y = detections[b];
        return x.score != y.score ? x.score > y.score : x.image < y.image;
    });
    return order;
}

// Only the first max_det of a group take part.
Groups grouped(const std::vector<Detection>& detections, const std::vector<std::size_t>& order,
               const std::vector<Truth>& truths, std::int64_t max_det) {
    Groups groups;
    for (const std::size_t d : order) {
        auto& members = groups[{detections[d].image, detections[d].object.class_id}].detections;
        if (static_cast<std::int64_t>(members.size()) < max_det) members.push_back(d);
    }
    for (std::size_t t = 0; t < truths.size(); ++t)
        groups[{truths[t].image, truths[t].object.class_id}].truths.push_back(t);
    return groups;
}

void match(const Group& group, const std::vector<Detection>& detections, const std::vector<Truth>& truths,
           DetectionAp& out) {
    const std::size_t thresholds = out.iou_thresholds.size(), n = group.truths.size();
    std::vector<double> ious;  // (detections, truths) of the group
    for (const std::size_t d : group.detections)
        for (const std::size_t t : group.truths) ious.push_back(box_iou(detections[d].object, truths[t].object));
    for (std::size_t k = 0; k < thresholds; ++k) {
        std::vector<bool> taken(n, false);
        for (std::size_t i = 0; i < group.detections.size(); ++i) {
            std::size_t best = n;
            for (std::size_t t = 0; t < n; ++t) {
                const double iou = ious[i * n + t];
                if (!taken[t] && iou >= out.iou_thresholds[k] && (best == n || iou > ious[i * n + best])) best = t;
            }
            const std::size_t place = group.detections[i] * thresholds + k;
            (best < n ? out.tp : out.fp)[place] = 1;
            if (best == n) continue;
            taken[best] = true;
            out.matched[place] = static_cast<std::int64_t>(group.truths[best]);
        }
    }
}

// One class at one threshold; `order` has its detections that take part, by rank.
struct Curve {
    std::vector<double> precision, recall;  // after each detection
};

Curve curve_of(const std::vector<std::size_t>& order, std::size_t k, std::int64_t truths, const DetectionAp& out) {
    Curve curve;
    std::int64_t tp = 0;
    for (const std::size_t d : order) {
        tp += out.tp[d * out.iou_thresholds.size() + k];
        const Prf at = prf(tp, static_cast<std::int64_t>(curve.recall.size()) + 1, truths);
        curve.precision.push_back(at.precision);
        curve.recall.push_back(at.recall);
    }
    return curve;
}

// Precision made non-increasing from the right, read at recall i / (points - 1): the first point that reaches it.
std::vector<double> at_recall(Curve curve, std::int64_t points) {
    auto& p = curve.precision;
    for (std::size_t i = p.size(); i-- > 1;) p[i - 1] = std::max(p[i - 1], p[i]);
    std::vector<double> out;
    for (std::int64_t i = 0; i < points; ++i) {
        const double wanted = static_cast<double>(i) / static_cast<double>(points - 1);
        const auto first = std::lower_bound(curve.recall.begin(), curve.recall.end(), wanted) - curve.recall.begin();
        out.push_back(first < static_cast<std::ptrdiff_t>(p.size()) ? p[static_cast<std::size_t>(first)] : 0);
    }
    return out;
}

void confidence_curve(const std::vector<std::size_t>& order, std::int64_t truths,
                      const std::vector<Detection>& detections, DetectionAp& out) {
    for (int i = 0; i < confidence_points; ++i) {
        std::int64_t tp = 0, predicted = 0;
        for (const std::size_t d : order) {
            if (detections[d].score < i / 100.0) break;  // by falling score
            ++predicted;
            tp += out.tp[d * out.iou_thresholds.size()];
        }
        out.at_confidence.push_back(prf(tp, predicted, truths));
    }
}

void check_input(const std::vector<Detection>& detections, const std::vector<Truth>& truths, std::int64_t classes,
                 const ApSpec& spec) {
    check(classes > 0 && spec.recall_points > 1 && !spec.iou_thresholds.empty(),
          "[detection_ap] {} classes, {} recall points, {} thresholds: too few", classes, spec.recall_points,
          spec.iou_thresholds.size());
    const auto check_object = [&](const Object& o, std::int64_t image) {
        check(o.class_id >= 0 && o.class_id < classes, "[detection_ap] class {} of {} in image {}", o.class_id, classes,
              image);
        check(std::isfinite(o.x1 + o.y1 + o.x2 + o.y2), "[detection_ap] a box of image {} is not finite", image);
    };
    for (const Detection& d : detections) check_object(d.object, d.image);
    for (const Truth& t : truths) check_object(t.object, t.image);
}

}  // namespace

std::vector<double> coco_thresholds() {
    std::vector<double> out;
    for (int i = 0; i < 10; ++i) out.push_back((50 + 5 * i) / 100.0);
    return out;
}

std::size_t DetectionAp::threshold(double iou) const {
    for (std::size_t k = 0; k < iou_thresholds.size(); ++k)
        if (std::abs(iou_thresholds[k] - iou) < 1e-9) return k;
    fail_shape("[detection_ap] IoU {} is not among the thresholds: add it to ApSpec::iou_thresholds", iou);
}

double DetectionAp::mean_ap(double iou) const {
    const std::size_t k = threshold(iou);
    std::vector<double> found;
    for (std::size_t c = 0; c < truths.size(); ++c)
        if (truths[c] > 0) found.push_back(ap[c * iou_thresholds.size() + k]);
    return mean(found);
}

double DetectionAp::mean_ap() const {
    std::vector<double> found;
    for (const double iou : iou_thresholds) found.push_back(mean_ap(iou));
    return mean(found);
}

DetectionAp detection_ap(const std::vector<Detection>& detections, const std::vector<Truth>& truths,
                         std::int64_t classes, const ApSpec& spec) {
    check_input(detections, truths, classes, spec);
    const std::size_t thresholds = spec.iou_thresholds.size();
    DetectionAp out;
    out.iou_thresholds = spec.iou_thresholds;
    out.recall_points = spec.recall_points;
    out.truths.assign(static_cast<std::size_t>(classes), 0);
    for (const Truth& t : truths) ++out.truths[static_cast<std::size_t>(t.object.class_id)];
    out.tp.assign(detections.size() * thresholds, 0);
    out.fp = out.tp;
    out.matched.assign(out.tp.size(), -1);
    const std::vector<std::size_t> order = ranking(detections);
    for (const auto& [key, group] : grouped(detections, order, truths, spec.max_det))
        match(group, detections, truths, out);

    std::vector<std::vector<std::size_t>> by_class(out.truths.size());
    for (const std::size_t d : order)
        if (out.tp[d * thresholds] || out.fp[d * thresholds])
            by_class[static_cast<std::size_t>(detections[d].object.class_id)].push_back(d);
    for (std::size_t c = 0; c < by_class.size(); ++c) {
        const std::int64_t actual = out.truths[c];
        for (std::size_t k = 0; k < thresholds; ++k) {
            const Curve curve = curve_of(by_class[c], k, actual, out);
            const std::vector<double> points = at_recall(curve, spec.recall_points);
            out.precision_at_recall.insert(out.precision_at_recall.end(), points.begin(), points.end());
            out.ap.push_back(actual > 0 ? mean(points) : -1);
            out.recall_max.push_back(actual == 0 ? -1 : curve.recall.empty() ? 0 : curve.recall.back());
        }
        confidence_curve(by_class[c], actual, detections, out);
    }
    return out;
}

}  // namespace solobox::metrics
