// See metrics.h. Detection is in detection_ap.cpp.
#include "train/metrics/metrics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tensor/check.h"

namespace solobox::metrics {
namespace {

struct Areas {
    double inter = 0, both = 0;
};

Areas areas(const Object& a, const Object& b) {
    const double w = std::max(0.0, std::min(a.x2, b.x2) - std::max(a.x1, b.x1));
    const double h = std::max(0.0, std::min(a.y2, b.y2) - std::max(a.y1, b.y1));
    const double inter = w * h;
    return {inter, (a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1) - inter};
}

double ratio(double part, double whole) { return whole != 0 ? part / whole : 0; }

double ratio(std::int64_t part, std::int64_t whole) {
    return ratio(static_cast<double>(part), static_cast<double>(whole));
}

Overlap mean_overlap(const std::vector<Overlap>& each) {
    Overlap sum;
    for (const Overlap& o : each) sum.dice += o.dice, sum.iou += o.iou;
    const auto n = static_cast<double>(each.size());
    return {ratio(sum.dice, n), ratio(sum.iou, n)};
}

// Elements of one sample; the same for all.
std::size_t sample_size(const char* what, std::size_t a, std::size_t b, std::int64_t samples) {
    const auto n = static_cast<std::size_t>(samples);
    check(a == b && samples >= 0 && (n == 0 ? a == 0 : a % n == 0), "[{}] {} and {} elements for {} samples", what, a,
          b, samples);
    return n == 0 ? 0 : a / n;
}

}  // namespace

double mean(const std::vector<double>& values) {
    return ratio(std::accumulate(values.begin(), values.end(), 0.0), static_cast<double>(values.size()));
}

double median(std::vector<double> values) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
}

Object corners(const UnitBox& b) { return {0, b.cx - b.w / 2, b.cy - b.h / 2, b.cx + b.w / 2, b.cy + b.h / 2}; }

double box_iou(const Object& a, const Object& b) {
    const Areas found = areas(a, b);
    return found.both > 0 ? found.inter / found.both : 0;
}

std::vector<double> box_ious(const UnitBox& box, const std::vector<UnitBox>& truth) {
    std::vector<double> out;
    out.reserve(truth.size());
    for (const UnitBox& t : truth) out.push_back(box_iou(corners(box), corners(t)));
    return out;
}

double unit_box_iou(const UnitBox& a, const UnitBox& b, const UnitIouSpec& spec) {
    const auto clamped = [&](const UnitBox& box) {
        Object o = corners(box);
        for (double* v : {&o.x1, &o.y1, &o.x2, &o.y2}) {
            check(std::isfinite(*v), "[unit_box_iou] a box is not finite: {} {} {} {}", box.cx, box.cy, box.w, box.h);
            *v = std::clamp(*v, spec.low, spec.high);
        }
        return o;
    };
    const Areas found = areas(clamped(a), clamped(b));
    return std::clamp(ratio(found.inter, found.both + spec.eps), 0.0, 1.0);
}

std::vector<std::int64_t> label_ranks(const std::vector<double>& scores, std::int64_t classes,
                                      const std::vector<std::int64_t>& labels) {
    check(classes > 0 && scores.size() == labels.size() * static_cast<std::size_t>(classes),
          "[label_ranks] {} scores for {} samples of {} classes", scores.size(), labels.size(), classes);
    std::vector<std::int64_t> ranks;
    for (std::size_t i = 0; i < labels.size(); ++i) {
        check(labels[i] >= 0 && labels[i] < classes, "[label_ranks] label {} of {} classes", labels[i], classes);
        const double* row = &scores[i * static_cast<std::size_t>(classes)];
        const double own = row[labels[i]];
        std::int64_t ahead = 0;
        for (std::int64_t c = 0; c < classes; ++c) {
            check(!std::isnan(row[c]), "[label_ranks] score of sample {}, class {} is NaN", i, c);
            ahead += row[c] > own || (row[c] == own && c < labels[i]);
        }
        ranks.push_back(ahead);
    }
    return ranks;
}

double top_k_accuracy(const std::vector<std::int64_t>& ranks, std::int64_t k, std::int64_t classes) {
    const auto right =
        std::count_if(ranks.begin(), ranks.end(), [&](std::int64_t r) { return r < std::min(k, classes); });
    return ratio(right, static_cast<std::int64_t>(ranks.size()));
}

Prf prf(std::int64_t true_positives, std::int64_t predicted, std::int64_t actual) {
    const double p = ratio(true_positives, predicted), r = ratio(true_positives, actual);
    return {p, r, ratio(2 * p * r, p + r)};
}

Confusion::Confusion(std::int64_t classes) : classes_(classes) {
    check(classes > 0, "[Confusion] {} classes, expected at least one", classes);
    matrix_.assign(static_cast<std::size_t>(checked_mul(classes, classes)), 0);
}

void Confusion::add(std::int64_t truth, std::int64_t predicted) {
    check(truth >= 0 && truth < classes_ && predicted >= 0 && predicted < classes_,
          "[Confusion] truth {}, prediction {} of {} classes", truth, predicted, classes_);
    ++matrix_[static_cast<std::size_t>(truth * classes_ + predicted)];
}

std::vector<std::int64_t> Confusion::support() const {
    std::vector<std::int64_t> out(static_cast<std::size_t>(classes_));
    for (std::size_t i = 0; i < matrix_.size(); ++i) out[i / out.size()] += matrix_[i];
    return out;
}

std::vector<Prf> Confusion::per_class() const {
    const std::vector<std::int64_t> actual = support();
    std::vector<Prf> out;
    for (std::int64_t c = 0; c < classes_; ++c) {
        std::int64_t predicted = 0;
        for (std::int64_t t = 0; t < classes_; ++t) predicted += at(t, c);
        out.push_back(prf(at(c, c), predicted, actual[static_cast<std::size_t>(c)]));
    }
    return out;
}

double Confusion::accuracy() const {
    std::int64_t right = 0;
    for (std::int64_t c = 0; c < classes_; ++c) right += at(c, c);
    return ratio(right, std::accumulate(matrix_.begin(), matrix_.end(), std::int64_t{0}));
}

namespace {

Prf weighted_mean(const std::vector<Prf>& each, const std::vector<std::int64_t>& weights) {
    Prf sum;
    double total = 0;
    for (std::size_t c = 0; c < each.size(); ++c) {
        const auto w = static_cast<double>(weights[c]);
        sum.precision += w * each[c].precision, sum.recall += w * each[c].recall, sum.f1 += w * each[c].f1;
        total += w;
    }
    return {ratio(sum.precision, total), ratio(sum.recall, total), ratio(sum.f1, total)};
}

}  // namespace

Prf Confusion::macro() const {
    return weighted_mean(per_class(), std::vector<std::int64_t>(static_cast<std::size_t>(classes_), 1));
}
Prf Confusion::weighted() const { return weighted_mean(per_class(), support()); }

PrCurve pr_curve(const std::vector<double>& scores, const std::vector<bool>& positive) {
    check(scores.size() == positive.size(), "[pr_curve] {} scores for {} flags", scores.size(), positive.size());
    for (const double s : scores) check(!std::isnan(s), "[pr_curve] a score is NaN");
    std::vector<std::size_t> order(scores.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
    const auto actual = static_cast<std::int64_t>(std::count(positive.begin(), positive.end(), true));
    PrCurve curve;
    std::int64_t tp = 0;
    for (std::size_t k = 0; k < order.size(); ++k) {
        tp += positive[order[k]];
        const double score = scores[order[k]];
        if (k + 1 < order.size() && scores[order[k + 1]] == score) continue;  // equal scores are one point
        const Prf at = prf(tp, static_cast<std::int64_t>(k) + 1, actual);
        const double before = curve.recall.empty() ? 0 : curve.recall.back();
        curve.average_precision += (at.recall - before) * at.precision;
        if (curve.f1.empty() || at.f1 > curve.best_f1) curve.best_f1 = at.f1, curve.best_threshold = score;
        curve.thresholds.push_back(score);
        curve.precision.push_back(at.precision);
        curve.recall.push_back(at.recall);
        curve.f1.push_back(at.f1);
    }
    return curve;
}

Overlap mask_overlap(std::int64_t both, std::int64_t a, std::int64_t b, double both_empty) {
    if (a + b == 0) return {both_empty, both_empty};
    return {ratio(2 * both, a + b), ratio(both, a + b - both)};
}

MaskOverlaps mask_overlaps(const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b, std::int64_t masks,
                           double both_empty) {
    const std::size_t size = sample_size("mask_overlaps", a.size(), b.size(), masks);
    MaskOverlaps out;
    std::int64_t all_both = 0, all_a = 0, all_b = 0;
    for (std::size_t m = 0; m < static_cast<std::size_t>(masks); ++m) {
        std::int64_t both = 0, in_a = 0, in_b = 0;
        for (std::size_t i = m * size; i < (m + 1) * size; ++i) {
            both += a[i] != 0 && b[i] != 0;
            in_a += a[i] != 0;
            in_b += b[i] != 0;
        }
        out.each.push_back(mask_overlap(both, in_a, in_b, both_empty));
        all_both += both, all_a += in_a, all_b += in_b;
    }
    out.mean = mean_overlap(out.each);
    out.global = mask_overlap(all_both, all_a, all_b, both_empty);
    return out;
}

SoftOverlaps soft_overlaps(const std::vector<double>& p, const std::vector<double>& g, std::int64_t samples,
                           double smooth) {
    const std::size_t size = sample_size("soft_overlaps", p.size(), g.size(), samples);
    SoftOverlaps out;
    double all_absolute = 0, all_squared = 0;
    for (std::size_t s = 0; s < static_cast<std::size_t>(samples); ++s) {
        double both = 0, in_p = 0, in_g = 0, absolute = 0;
        for (std::size_t i = s * size; i < (s + 1) * size; ++i) {
            check(std::isfinite(p[i]) && std::isfinite(g[i]), "[soft_overlaps] element {} is not finite", i);
            both += p[i] * g[i];
            in_p += p[i];
            in_g += g[i];
            absolute += std::abs(p[i] - g[i]);
            all_squared += (p[i] - g[i]) * (p[i] - g[i]);
        }
        out.each.push_back(
            {ratio(2 * both + smooth, in_p + in_g + smooth), ratio(both + smooth, in_p + in_g - both + smooth)});
        out.mae_each.push_back(ratio(absolute, static_cast<double>(size)));
        all_absolute += absolute;
    }
    const auto n = static_cast<double>(p.size());
    out.mae = ratio(all_absolute, n);
    out.rmse = std::sqrt(ratio(all_squared, n));
    return out;
}

}  // namespace solobox::metrics
