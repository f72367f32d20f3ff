// The race of the IoU lab: gradient descent on free boxes, all starts and all rates of one loss in one batch. Rows do
// not see each other: a loss summed over rows gives each row its own gradient.
#include <algorithm>
#include <cmath>

#include "optim/schedule.h"
#include "train/lab/iou_lab.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

bool is_lost(const UnitBox& b) {
    const auto out = [](double v) { return !(std::abs(v) <= lab_lost); };  // true for NaN
    return out(b.cx) || out(b.cy) || out(b.w) || out(b.h);
}

void look(LabPath& path, const UnitBox& box, double iou) {
    path.diverged = path.diverged || is_lost(box);
    path.iou.push_back(path.diverged ? 0 : iou);
    path.area.push_back(path.diverged ? path.area.empty() ? 0 : path.area.back() : box.w * box.h);
}

void sum_up(LabPath& path) {
    for (std::size_t i = 0; i < lab_thresholds.size(); ++i) {
        const auto at =
            std::find_if(path.iou.begin(), path.iou.end(), [&](double iou) { return iou >= lab_thresholds[i]; });
        if (at != path.iou.end()) path.steps_to[i] = at - path.iou.begin();
    }
    const auto touch = std::find_if(path.iou.begin(), path.iou.end(), [](double iou) { return iou > 0; });
    if (touch != path.iou.end()) path.touch = touch - path.iou.begin();
    const auto end =
        static_cast<std::ptrdiff_t>(path.touch ? *path.touch + 1 : static_cast<std::int64_t>(path.iou.size()));
    path.largest_area = *std::max_element(path.area.begin(), path.area.begin() + end) / path.area.front();
    path.area_at_touch = path.area[static_cast<std::size_t>(end - 1)] / path.area.front();
}

LabRace race_of(double rate, std::vector<LabPath> paths) {
    LabRace race;
    race.rate = rate;
    for (LabPath& p : paths) sum_up(p);
    for (std::size_t t = 0; t < paths.front().iou.size(); ++t) {
        double sum = 0;
        for (const LabPath& p : paths) sum += p.iou[t];
        race.mean_iou.push_back(sum / static_cast<double>(paths.size()));
    }
    race.paths = std::move(paths);
    return race;
}

// One step of every row. A side of a box that is moved directly ends at lab_least_side at the least.
void step(Tensor& raw, const Tensor& gradient, const LabEntry& entry, const std::vector<double>& rates, double factor,
          std::vector<LabPath>& paths) {
    for (std::size_t row = 0; row < paths.size(); ++row) {
        if (paths[row].diverged) continue;
        Real* numbers = raw.mutable_data() + row * 4;
        const Real* g = gradient.data() + row * 4;
        const double rate = rates[row / (paths.size() / rates.size())] * factor;
        bool floored = false;
        for (std::size_t k = 0; k < 4; ++k) {
            numbers[k] -= static_cast<Real>(rate * static_cast<double>(g[k]));
            if (k < 2 || entry.decode != Decode::identity || !(numbers[k] < static_cast<Real>(lab_least_side)))
                continue;
            numbers[k] = static_cast<Real>(lab_least_side);
            floored = true;
        }
        paths[row].floored += floored ? 1 : 0;
    }
}

}  // namespace

std::vector<LabStart> lab_starts(const UnitBox& target) {
    const UnitBox& t = target;
    // Towards the side with more room, so that every start has its centre in the picture.
    const double x = t.cx >= 0.5 ? -t.w : t.w, y = t.cy >= 0.5 ? -t.h : t.h;
    const auto box = [&](double right, double down, double w, double h) {
        return UnitBox{t.cx + right * x, t.cy + down * y, w * t.w, h * t.h};
    };
    std::vector<LabStart> starts = {
        {"far", "disjoint, nearly a side away in both directions", box(0.95, 0.95, 0.4, 0.4)},
        {"near", "disjoint, a twentieth of a side away", box(0.75, 0.1, 0.4, 0.4)},
        {"overlap", "shifted, a little small", box(0.4, -0.4, 0.8, 0.8)},
        {"inside", "small, wholly inside the target", box(0.1, 0.15, 0.4, 0.4)},
        {"around", "large, wholly around the target", box(-0.1, 0.05, 1.6, 1.6)},
        {"aspect", "right centre, narrow and tall", box(0, 0, 0.5, 1.8)},
    };
    std::vector<UnitBox> boxes;
    for (const LabStart& s : starts) boxes.push_back(s.box);
    const std::vector<double> iou = lab_iou(boxes, target);
    for (std::size_t i = 0; i < starts.size(); ++i) starts[i].iou = iou[i];
    return starts;
}

std::vector<LabRace> lab_races(const LabSpec& spec, const LabEntry& entry, const std::vector<LabStart>& starts) {
    std::vector<UnitBox> boxes;  // rate by rate, every start
    for (std::size_t r = 0; r < spec.rates.size(); ++r)
        for (const LabStart& s : starts) boxes.push_back(s.box);
    std::vector<LabPath> paths(boxes.size());
    Tensor raw = lab_encode(boxes, entry);
    for (std::int64_t t = 0; t <= spec.steps; ++t) {
        boxes = lab_decode(raw, entry);
        const std::vector<double> iou = lab_iou(boxes, spec.target);
        for (std::size_t row = 0; row < paths.size(); ++row) look(paths[row], boxes[row], iou[row]);
        if (t == spec.steps) break;
        const double factor = spec.cosine ? schedule::cosine_annealing_lr(1, static_cast<double>(spec.steps), 0, t) : 1;
        step(raw, lab_gradient(raw, spec.target, entry), entry, spec.rates, factor, paths);
    }
    std::vector<LabRace> races;
    for (std::size_t r = 0; r < spec.rates.size(); ++r) {
        const auto first = paths.begin() + static_cast<std::ptrdiff_t>(r * starts.size());
        races.push_back(race_of(spec.rates[r], {first, first + static_cast<std::ptrdiff_t>(starts.size())}));
    }
    return races;
}

std::size_t best_race(const std::vector<LabRace>& races) {
    double top = 0;
    for (const LabRace& r : races) top = std::max(top, r.final_iou());
    std::size_t best = races.size();
    for (std::size_t i = 0; i < races.size(); ++i) {
        if (races[i].final_iou() < top - lab_tie) continue;
        if (best == races.size() || races[i].average_iou() > races[best].average_iou()) best = i;
    }
    return best;
}

IouLab run_iou_lab(const LabSpec& spec) {
    check_lab(spec);
    IouLab lab;
    lab.spec = spec;
    lab.starts = lab_starts(spec.target);
    if (lab.spec.losses.empty())
        for (const LabEntry& e : lab_losses()) lab.spec.losses.push_back(e.name);
    for (const std::string& name : lab.spec.losses) {
        const LabEntry& entry = lab_loss(name);
        LabLoss loss;
        loss.name = entry.name;
        loss.what = entry.what;
        loss.centre = lab_field(spec, entry, LabPlane::centre);
        loss.size = lab_field(spec, entry, LabPlane::size);
        loss.races = lab_races(spec, entry, lab.starts);
        loss.best = best_race(loss.races);
        lab.losses.push_back(std::move(loss));
    }
    // The rate that suits the losses best when all must share one: the same rule, over their average.
    std::vector<LabRace> together;
    for (std::size_t r = 0; r < spec.rates.size(); ++r) {
        LabRace mean;
        mean.mean_iou.assign(static_cast<std::size_t>(spec.steps) + 1, 0);
        for (const LabLoss& loss : lab.losses)
            for (std::size_t t = 0; t < mean.mean_iou.size(); ++t)
                mean.mean_iou[t] += loss.races[r].mean_iou[t] / static_cast<double>(lab.losses.size());
        together.push_back(std::move(mean));
    }
    lab.shared = best_race(together);
    return lab;
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
