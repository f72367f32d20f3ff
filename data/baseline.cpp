// See baseline.h.
#include "data/baseline.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace solobox {
namespace {

using Corners = std::array<double, 4>;  // x1, y1, x2, y2

Corners corners(const UnitBox& b) {
    const auto cut = [](double v) { return std::clamp(v, 0.0, 1.0); };
    return {cut(b.cx - b.w / 2), cut(b.cy - b.h / 2), cut(b.cx + b.w / 2), cut(b.cy + b.h / 2)};
}

UnitBox from_corners(const Corners& c) { return {(c[0] + c[2]) / 2, (c[1] + c[3]) / 2, c[2] - c[0], c[3] - c[1]}; }

double iou(const Corners& a, const Corners& b) {
    const double w = std::max(0.0, std::min(a[2], b[2]) - std::max(a[0], b[0]));
    const double h = std::max(0.0, std::min(a[3], b[3]) - std::max(a[1], b[1]));
    const double inter = w * h;
    const double both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter;
    return both > 0 ? inter / both : 0;
}

double mean_iou(const Corners& box, const std::vector<Corners>& truth) {
    double sum = 0;
    for (const Corners& t : truth) sum += iou(box, t);
    return truth.empty() ? 0 : sum / static_cast<double>(truth.size());
}

// Directions in corner space: each edge, both edges of an axis together (a shift) or apart (a growth), and the
// diagonal ones, since the objective has creases that single edges cannot follow.
std::vector<Corners> directions() {
    std::vector<Corners> out;
    for (int code = 1; code < 81; ++code) {
        Corners d{};
        int rest = code;
        for (double& v : d) {
            v = rest % 3 == 2 ? -1 : rest % 3;
            rest /= 3;
        }
        out.push_back(d);
    }
    return out;
}

struct Found {
    Corners box{};
    double score = -1;
};

Found climb(const Corners& start, const std::vector<Corners>& truth, double step, double last_step) {
    static const std::vector<Corners> ways = directions();
    Found best{start, mean_iou(start, truth)};
    while (step >= last_step) {
        Found next = best;
        for (const Corners& way : ways) {
            Corners trial = best.box;
            for (std::size_t i = 0; i < 4; ++i) trial[i] = std::clamp(trial[i] + step * way[i], 0.0, 1.0);
            if (trial[2] <= trial[0] || trial[3] <= trial[1]) continue;
            const double score = mean_iou(trial, truth);
            if (score > next.score) next = {trial, score};
        }
        if (next.score > best.score)
            best = next;
        else
            step /= 2;
    }
    return best;
}

}  // namespace

double unit_iou(const UnitBox& a, const UnitBox& b) { return std::clamp(iou(corners(a), corners(b)), 0.0, 1.0); }

double mean_unit_iou(const UnitBox& box, const std::vector<UnitBox>& truth) {
    double sum = 0;
    for (const UnitBox& t : truth) sum += unit_iou(box, t);
    return truth.empty() ? 0 : sum / static_cast<double>(truth.size());
}

UnitBox mean_box(const std::vector<UnitBox>& boxes) {
    if (boxes.empty()) return {};
    UnitBox sum{0, 0, 0, 0};
    for (const UnitBox& b : boxes) {
        sum.cx += b.cx;
        sum.cy += b.cy;
        sum.w += b.w;
        sum.h += b.h;
    }
    const auto n = static_cast<double>(boxes.size());
    return {sum.cx / n, sum.cy / n, sum.w / n, sum.h / n};
}

UnitBox median_box(const std::vector<UnitBox>& boxes) {
    if (boxes.empty()) return {};
    const auto median = [&](double UnitBox::*part) {
        std::vector<double> values;
        for (const UnitBox& b : boxes) values.push_back(b.*part);
        std::sort(values.begin(), values.end());
        const std::size_t n = values.size();
        return (values[(n - 1) / 2] + values[n / 2]) / 2;
    };
    return {median(&UnitBox::cx), median(&UnitBox::cy), median(&UnitBox::w), median(&UnitBox::h)};
}

UnitBox best_constant_box(const std::vector<UnitBox>& boxes) {
    if (boxes.empty()) return {};
    std::vector<Corners> truth;
    truth.reserve(boxes.size());
    for (const UnitBox& b : boxes) truth.push_back(corners(b));
    // A rough search may look at a sample; the fine one looks at all.
    std::vector<Corners> rough;
    const std::size_t stride = std::max<std::size_t>(1, truth.size() / 1000);
    for (std::size_t i = 0; i < truth.size(); i += stride) rough.push_back(truth[i]);

    std::vector<Corners> starts = {corners(mean_box(boxes)), corners(median_box(boxes)), {0, 0, 1, 1}};
    const std::size_t picks = std::min<std::size_t>(8, truth.size());
    for (std::size_t i = 0; i < picks; ++i) starts.push_back(truth[i * truth.size() / picks]);
    std::vector<Found> hills;
    for (const Corners& start : starts) hills.push_back(climb(start, rough, 0.1, 1e-3));
    std::stable_sort(hills.begin(), hills.end(), [](const Found& a, const Found& b) { return a.score > b.score; });
    Found best;
    for (const Corners& start : {hills[0].box, starts[0], starts[1]}) {
        // The mean and the median only stand in as a floor when the rough winner was right.
        const Found found =
            hills[0].box == start ? climb(start, truth, 0.02, 1e-6) : Found{start, mean_iou(start, truth)};
        if (found.score > best.score) best = found;
    }
    return from_corners(best.box);
}

Spread spread_of(std::vector<double> values) {
    if (values.empty()) return {};
    std::sort(values.begin(), values.end());
    const std::size_t n = values.size();
    return {values.front(), (values[(n - 1) / 2] + values[n / 2]) / 2,
            std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(n), values.back()};
}

}  // namespace solobox
