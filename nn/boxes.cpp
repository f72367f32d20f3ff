#include "nn/boxes.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

// One coordinate of every box: (.., 4) -> (..)
Var column(const Var& boxes, int i) {
    const Var c = slice(boxes, {-1, i, i + 1, 1});
    return reshape(c, c.shape().without(-1).dims());
}

void check_boxes(const char* op, const Var& boxes) {
    check(boxes.rank() >= 1 && boxes.dim(-1) == 4, "[{}] boxes are {}, expected four numbers a row", op,
          boxes.shape().str());
}

struct Corners {
    Var x1, y1, x2, y2;
    explicit Corners(const Var& b) : x1(column(b, 0)), y1(column(b, 1)), x2(column(b, 2)), y2(column(b, 3)) {}
    Var area() const { return (x2 - x1) * (y2 - y1); }
};

// The overlap of two boxes; 0 without gradient unless it has positive width and height.
Var intersection(const Corners& a, const Corners& b) {
    const Var w = minimum(a.x2, b.x2) - maximum(a.x1, b.x1), h = minimum(a.y2, b.y2) - maximum(a.y1, b.y1);
    MaskTensor overlap(w.shape());
    for (std::int64_t i = 0; i < overlap.numel(); ++i) overlap.mutable_data()[i] = w.value()[i] > 0 && h.value()[i] > 0;
    return where(overlap, w * h, scalar(0));
}

// A height of exactly 0 (a clamped output) becomes a tiny constant: w / 0 and 0 / 0 would put a NaN into the gradient.
Var nonzero(const Var& side) {
    MaskTensor zero(side.shape());
    for (std::int64_t i = 0; i < zero.numel(); ++i) zero.mutable_data()[i] = side.value()[i] == 0;
    return where(zero, scalar(1e-30), side);
}

}  // namespace

Var box_convert(const Var& boxes, BoxFormat from, BoxFormat to) {
    check_boxes("box_convert", boxes);
    if (from == to) return boxes;
    const Var a = column(boxes, 0), b = column(boxes, 1), c = column(boxes, 2), d = column(boxes, 3);
    std::vector<Var> out;
    if (from == BoxFormat::xyxy) {
        out = to == BoxFormat::xywh ? std::vector<Var>{a, b, c - a, d - b}
                                    : std::vector<Var>{(a + c) / 2.0, (b + d) / 2.0, c - a, d - b};
    } else if (from == BoxFormat::xywh) {
        out = to == BoxFormat::xyxy ? std::vector<Var>{a, b, a + c, b + d}
                                    : std::vector<Var>{a + c / 2.0, b + d / 2.0, c, d};
    } else {
        const Var x = a - c / 2.0, y = b - d / 2.0;
        out = to == BoxFormat::xywh ? std::vector<Var>{x, y, c, d} : std::vector<Var>{x, y, a + c / 2.0, b + d / 2.0};
    }
    return stack(out, -1);
}

Var box_area(const Var& boxes) {
    check_boxes("box_area", boxes);
    return Corners(boxes).area();
}

Var clip_boxes(const Var& boxes, double height, double width) {
    check_boxes("clip_boxes_to_image", boxes);
    const Corners c(boxes);
    return stack({clamp(c.x1, 0, width), clamp(c.y1, 0, height), clamp(c.x2, 0, width), clamp(c.y2, 0, height)}, -1);
}

Var box_iou(const Var& a, const Var& b) {
    check_boxes("box_iou", a);
    check_boxes("box_iou", b);
    check(a.rank() == 2 && b.rank() == 2, "[box_iou] {} and {}: expected (N, 4) and (M, 4)", a.shape().str(),
          b.shape().str());
    const Corners p(reshape(a, {a.dim(0), 1, 4})), q(reshape(b, {1, b.dim(0), 4}));
    const Var inter =
        clamp(minimum(p.x2, q.x2) - maximum(p.x1, q.x1), 0) * clamp(minimum(p.y2, q.y2) - maximum(p.y1, q.y1), 0);
    return inter / (p.area() + q.area() - inter);
}

IouKind iou_kind(const std::string& name) {
    if (name == "iou") return IouKind::iou;
    if (name == "giou") return IouKind::giou;
    if (name == "diou") return IouKind::diou;
    if (name == "ciou") return IouKind::ciou;
    throw ConfigError(fmt::format("'{}' is no IoU: expected iou, giou, diou or ciou", name));
}

Var iou_of_kind(IouKind kind, const Var& a, const Var& b, const IouSpec& spec) {
    check_boxes("iou", a);
    check(a.shape() == b.shape(), "[iou] boxes {} and {} are paired row by row: shapes must agree", a.shape().str(),
          b.shape().str());
    const Corners p(a), t(b);
    const Var inter = intersection(p, t), both = p.area() + t.area() - inter;
    const Var iou = inter / (both + spec.eps);
    if (kind == IouKind::iou) return iou;
    const Var w = maximum(p.x2, t.x2) - minimum(p.x1, t.x1),
              h = maximum(p.y2, t.y2) - minimum(p.y1, t.y1);  // enclosing
    if (kind == IouKind::giou) return iou - (w * h - both) / (w * h + spec.eps);
    const Var diagonal = square(w) + square(h) + spec.eps;
    const Var distance =
        square((p.x1 + p.x2) / 2.0 - (t.x1 + t.x2) / 2.0) + square((p.y1 + p.y2) / 2.0 - (t.y1 + t.y2) / 2.0);
    const Var diou = iou - distance / diagonal;
    if (kind == IouKind::diou) return diou;
    const auto aspect = [](const Corners& c) { return atan((c.x2 - c.x1) / nonzero(c.y2 - c.y1)); };
    const Var turn = aspect(t) - aspect(p);
    const Var v = square(turn) * (4 / (std::numbers::pi * std::numbers::pi));
    Var alpha = v / (1.0 - iou + v + spec.alpha_eps);
    if (spec.detach_alpha) alpha = alpha.detached();
    return diou - alpha * v;
}

namespace {

double overlap(const Real* a, const Real* b) {
    const double w = static_cast<double>(std::min(a[2], b[2]) - std::max(a[0], b[0]));
    const double h = static_cast<double>(std::min(a[3], b[3]) - std::max(a[1], b[1]));
    const double inter = std::max(w, 0.0) * std::max(h, 0.0);
    const auto area = [](const Real* c) { return static_cast<double>((c[2] - c[0]) * (c[3] - c[1])); };
    return inter / (area(a) + area(b) - inter);
}

}  // namespace

IndexTensor nms(const Tensor& boxes, const Tensor& scores, double iou_threshold) {
    return batched_nms(boxes, scores, IndexTensor::zeros(scores.shape()), iou_threshold);
}

IndexTensor batched_nms(const Tensor& boxes, const Tensor& scores, const IndexTensor& classes, double iou_threshold) {
    check(boxes.rank() == 2 && boxes.dim(1) == 4 && scores.shape() == Shape{boxes.dim(0)} &&
              classes.shape() == scores.shape(),
          "[nms] boxes {}, scores {}, classes {}: expected (N, 4), (N), (N)", boxes.shape().str(), scores.shape().str(),
          classes.shape().str());
    std::vector<std::int64_t> order(static_cast<std::size_t>(scores.numel())), kept;
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](auto i, auto j) { return scores[i] > scores[j]; });
    for (const std::int64_t i : order) {
        const bool hidden = std::any_of(kept.begin(), kept.end(), [&](std::int64_t k) {
            return classes[k] == classes[i] && overlap(boxes.data() + 4 * k, boxes.data() + 4 * i) > iou_threshold;
        });
        if (!hidden) kept.push_back(i);
    }
    return IndexTensor::from(Shape{static_cast<std::int64_t>(kept.size())}, kept);
}

Assignment linear_sum_assignment(const Tensor& cost) {
    check(cost.rank() == 2, "[linear_sum_assignment] cost is {}, expected (N, M)", cost.shape().str());
    check(all_finite(cost), "[linear_sum_assignment] the costs hold NaN or infinity");
    const bool flip = cost.dim(0) > cost.dim(1);  // work on at most as many rows as columns
    const std::int64_t n = std::min(cost.dim(0), cost.dim(1)), m = std::max(cost.dim(0), cost.dim(1));
    const auto c = [&](std::int64_t i, std::int64_t j) {
        return static_cast<double>(flip ? cost[j * cost.dim(1) + i] : cost[i * cost.dim(1) + j]);
    };
    // Shortest augmenting paths: rows and columns from 1, 0 is "none"; u and v are the dual prices.
    const auto size = [](std::int64_t k) { return static_cast<std::size_t>(k) + 1; };
    std::vector<double> u(size(n)), v(size(m));
    std::vector<std::int64_t> row_of(size(m), 0), way(size(m), 0);
    for (std::int64_t i = 1; i <= n; ++i) {
        std::vector<double> least(size(m), std::numeric_limits<double>::infinity());
        std::vector<bool> done(size(m), false);
        std::int64_t j0 = 0;
        row_of[0] = i;
        do {
            done[static_cast<std::size_t>(j0)] = true;
            const std::int64_t i0 = row_of[static_cast<std::size_t>(j0)];
            double delta = std::numeric_limits<double>::infinity();
            std::int64_t next = 0;
            for (std::int64_t j = 1; j <= m; ++j) {
                const auto k = static_cast<std::size_t>(j);
                if (done[k]) continue;
                const double reach = c(i0 - 1, j - 1) - u[static_cast<std::size_t>(i0)] - v[k];
                if (reach < least[k]) {
                    least[k] = reach;
                    way[k] = j0;
                }
                if (least[k] < delta) {
                    delta = least[k];
                    next = j;
                }
            }
            for (std::size_t k = 0; k < done.size(); ++k) {
                if (done[k]) {
                    u[static_cast<std::size_t>(row_of[k])] += delta;
                    v[k] -= delta;
                } else {
                    least[k] -= delta;
                }
            }
            j0 = next;
        } while (row_of[static_cast<std::size_t>(j0)] != 0);
        for (; j0; j0 = way[static_cast<std::size_t>(j0)])
            row_of[static_cast<std::size_t>(j0)] = row_of[static_cast<std::size_t>(way[static_cast<std::size_t>(j0)])];
    }
    std::vector<std::pair<std::int64_t, std::int64_t>> pairs;
    Assignment result;
    for (std::int64_t j = 1; j <= m; ++j) {
        const std::int64_t i = row_of[static_cast<std::size_t>(j)];
        if (!i) continue;
        result.cost += c(i - 1, j - 1);
        flip ? pairs.emplace_back(j - 1, i - 1) : pairs.emplace_back(i - 1, j - 1);
    }
    std::sort(pairs.begin(), pairs.end());
    for (const auto& [row, col] : pairs) {
        result.rows.push_back(row);
        result.columns.push_back(col);
    }
    return result;
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
