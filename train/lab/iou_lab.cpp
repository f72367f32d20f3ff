// See iou_lab.h. The table of losses, and the fields; the race is in race.cpp.
#include "train/lab/iou_lab.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "train/config/names.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

BoxLossSpec spec_of(BoxLoss loss, bool detach_alpha = true) {
    BoxLossSpec spec;
    spec.loss = loss;
    spec.detach_alpha = detach_alpha;
    spec.reduction = Reduction::sum;
    return spec;
}

Tensor repeated(const UnitBox& box, std::int64_t rows) {
    Tensor t({rows, 4});
    const std::array<double, 4> numbers = {box.cx, box.cy, box.w, box.h};
    for (std::int64_t i = 0; i < t.numel(); ++i)
        t.mutable_data()[i] = static_cast<Real>(numbers[static_cast<std::size_t>(i % 4)]);
    return t;
}

// d box / d number, (N, 4): decoding works number by number, so the gradient of the sum of all boxes is its diagonal.
Tensor slope_of_decoding(const Tensor& raw, const LabEntry& entry) {
    Parameter p(raw);
    Tape tape;
    tape.backward(sum(decode_boxes(use(p), {entry.decode})));
    return p.grad;
}

struct Pulls {
    std::vector<std::array<double, 2>> pull;
    std::vector<bool> still, dead;
};

// The gradient of the coordinates (first, first + 1) as a move of the box.
Pulls pulls_of(const Tensor& raw, const Tensor& gradient, const LabEntry& entry, std::int64_t first) {
    const Tensor slope = slope_of_decoding(raw, entry);
    Pulls out;
    for (std::int64_t row = 0; row < raw.dim(0); ++row) {
        const auto g = [&](std::int64_t k) { return static_cast<double>(gradient[row * 4 + k]); };
        const auto move = [&](std::int64_t k) { return -g(k) * static_cast<double>(slope[row * 4 + k]); };
        out.still.push_back(g(first) == 0 && g(first + 1) == 0);
        out.dead.push_back(g(0) == 0 && g(1) == 0 && g(2) == 0 && g(3) == 0);
        // Not -0: it would print as one.
        out.pull.push_back(out.still.back() ? std::array<double, 2>{} : std::array{move(first), move(first + 1)});
    }
    return out;
}

}  // namespace

const std::vector<LabEntry>& lab_losses() {
    static const std::vector<LabEntry> table = {
        {"mse", "mean squared difference of cx, cy, w, h", spec_of(BoxLoss::mse)},
        {"l1", "mean absolute difference of cx, cy, w, h", spec_of(BoxLoss::l1)},
        {"smooth_l1", "squared below a difference of 1, absolute above", spec_of(BoxLoss::smooth_l1)},
        {"iou", "1 - IoU", spec_of(BoxLoss::iou)},
        {"giou", "1 - IoU + the empty part of the enclosing box", spec_of(BoxLoss::giou)},
        {"diou", "1 - IoU + squared centre distance / squared diagonal", spec_of(BoxLoss::diou)},
        {"ciou", "DIoU + alpha v for the aspect; alpha is a constant in backward", spec_of(BoxLoss::ciou)},
        {"ciou_undetached", "CIoU with a gradient through alpha too", spec_of(BoxLoss::ciou, false)},
        {"box", "smooth-L1 of centre and sides, and 1 - CIoU", spec_of(BoxLoss::box)},
        {"yolo_bbox", "squared centre, squared roots of the sides, and 1 - CIoU", spec_of(BoxLoss::yolo_bbox)},
        {"log_wh", "smooth-L1 of the centre and of ln w, ln h; moves logits and logarithms", spec_of(BoxLoss::log_wh),
         Decode::log_wh},
    };
    return table;
}

const LabEntry& lab_loss(const std::string& name) {
    std::vector<std::string> names;
    std::string all;
    for (const LabEntry& e : lab_losses()) {
        if (e.name == name) return e;
        names.push_back(e.name);
        all += (all.empty() ? "" : ", ") + e.name;
    }
    throw ConfigError(
        fmt::format("--losses: '{}' is no box loss{}; expected some of {}", name, did_you_mean(name, names), all));
}

void check_lab(const LabSpec& spec) {
    const UnitBox& t = spec.target;
    const auto require = [](bool ok, const char* option, const std::string& found, const char* expected) {
        if (!ok) throw ConfigError(fmt::format("{} {}: expected {}", option, found, expected));
    };
    const std::string box = fmt::format("{:g},{:g},{:g},{:g}", t.cx, t.cy, t.w, t.h);
    // Sides of up to a half leave room for starts that do not touch it.
    require(t.w >= 0.02 && t.w <= 0.5 && t.h >= 0.02 && t.h <= 0.5, "--target", box,
            "cx,cy,w,h with sides from 0.02 to 0.5 of the picture");
    constexpr double rounding = 1e-9;
    require(t.cx - t.w / 2 >= -rounding && t.cx + t.w / 2 <= 1 + rounding && t.cy - t.h / 2 >= -rounding &&
                t.cy + t.h / 2 <= 1 + rounding,
            "--target", box, "cx,cy,w,h of a box inside the picture, which goes from 0 to 1");
    require(spec.width >= 0.01 && spec.width <= 0.99 && spec.height >= 0.01 && spec.height <= 0.99, "--size",
            fmt::format("{:g},{:g}", spec.width, spec.height), "w,h, each from 0.01 to 0.99");
    require(spec.grid >= 5 && spec.grid <= 41, "--grid", fmt::format("{}", spec.grid), "a whole number from 5 to 41");
    require(spec.steps >= 1 && spec.steps <= 10'000, "--steps", fmt::format("{}", spec.steps),
            "a whole number from 1 to 10000");
    require(!spec.rates.empty() && spec.rates.size() <= 40, "--lr", fmt::format("with {} rates", spec.rates.size()),
            "1 to 40 rates between commas");
    for (std::size_t i = 0; i < spec.rates.size(); ++i) {
        require(spec.rates[i] > 0 && spec.rates[i] <= 1000, "--lr", fmt::format("{:g}", spec.rates[i]),
                "rates above 0, up to 1000");
        require(std::count(spec.rates.begin(), spec.rates.end(), spec.rates[i]) == 1, "--lr",
                fmt::format("{:g}", spec.rates[i]), "each rate once");
    }
    for (const std::string& name : spec.losses) {
        (void)lab_loss(name);
        require(std::count(spec.losses.begin(), spec.losses.end(), name) == 1, "--losses", name, "each loss once");
    }
}

Tensor lab_encode(const std::vector<UnitBox>& boxes, const LabEntry& entry) {
    Tensor raw({static_cast<std::int64_t>(boxes.size()), 4});
    for (std::size_t i = 0; i < boxes.size(); ++i) {
        const UnitBox& b = boxes[i];
        const auto numbers = head_bias(HeadBias::prior, {b.cx, b.cy, b.w, b.h}, {entry.decode});
        for (std::size_t k = 0; k < 4; ++k) raw.mutable_data()[i * 4 + k] = static_cast<Real>(numbers[k]);
    }
    return raw;
}

std::vector<UnitBox> lab_decode(const Tensor& raw, const LabEntry& entry) {
    const NoGrad quiet;
    const Tensor boxes = decode_boxes(Var(raw), {entry.decode}).value();
    std::vector<UnitBox> out;
    for (std::int64_t i = 0; i < boxes.numel(); i += 4) {
        const auto number = [&](std::int64_t k) { return static_cast<double>(boxes[i + k]); };
        out.push_back({number(0), number(1), number(2), number(3)});
    }
    return out;
}

Tensor lab_gradient(const Tensor& raw, const UnitBox& target, const LabEntry& entry) {
    Parameter p(raw);
    Tape tape;
    tape.backward(box_loss(use(p), repeated(target, raw.dim(0)), {entry.decode}, entry.loss).total);
    return p.grad;
}

double lab_value(const UnitBox& box, const UnitBox& target, const LabEntry& entry) {
    const NoGrad quiet;
    const Var raw(lab_encode({box}, entry));
    return static_cast<double>(box_loss(raw, repeated(target, 1), {entry.decode}, entry.loss).total.value().item());
}

std::vector<double> lab_iou(const std::vector<UnitBox>& boxes, const UnitBox& target) {
    const NoGrad quiet;
    std::vector<double> out;
    const auto corners = [](const Tensor& b) { return box_convert(b, BoxFormat::cxcywh, BoxFormat::xyxy); };
    Tensor all({static_cast<std::int64_t>(boxes.size()), 4});
    for (std::size_t i = 0; i < boxes.size(); ++i) {
        const std::array<double, 4> numbers = {boxes[i].cx, boxes[i].cy, boxes[i].w, boxes[i].h};
        for (std::size_t k = 0; k < 4; ++k) all.mutable_data()[i * 4 + k] = static_cast<Real>(numbers[k]);
    }
    const IouSpec exact{0, 0, true};
    const Tensor iou = iou_of_kind(IouKind::iou, corners(all), corners(repeated(target, all.dim(0))), exact).value();
    for (std::int64_t i = 0; i < iou.numel(); ++i) out.push_back(static_cast<double>(iou[i]));
    return out;
}

LabField lab_field(const LabSpec& spec, const LabEntry& entry, LabPlane plane) {
    const bool centre = plane == LabPlane::centre;
    const UnitBox& t = spec.target;
    std::vector<UnitBox> boxes;
    for (std::int64_t row = 0; row < spec.grid; ++row)
        for (std::int64_t column = 0; column < spec.grid; ++column) {
            const auto at = [&](std::int64_t i) {
                return (static_cast<double>(i) + 0.5) / static_cast<double>(spec.grid);
            };
            boxes.push_back(centre ? UnitBox{at(column), at(row), spec.width, spec.height}
                                   : UnitBox{t.cx, t.cy, at(column), at(row)});
        }
    LabField field;
    field.iou = lab_iou(boxes, t);
    for (const UnitBox& b : boxes) field.loss.push_back(lab_value(b, t, entry));
    const Tensor raw = lab_encode(boxes, entry);
    const Pulls pulls = pulls_of(raw, lab_gradient(raw, t, entry), entry, centre ? 0 : 2);
    field.pull = pulls.pull;

    std::int64_t counted = 0, still = 0, dead = 0, disjoint = 0, disjoint_still = 0, pulled = 0;
    double smallest = std::numeric_limits<double>::infinity(), cosines = 0;
    for (std::size_t i = 0; i < boxes.size(); ++i) {
        const UnitBox& b = boxes[i];
        const double dx = centre ? t.cx - b.cx : t.w - b.w, dy = centre ? t.cy - b.cy : t.h - b.h;
        const double way = std::hypot(dx, dy), length = std::hypot(field.pull[i][0], field.pull[i][1]);
        if (way < 1e-9) continue;  // already there
        ++counted;
        still += pulls.still[i] ? 1 : 0;
        dead += pulls.dead[i] ? 1 : 0;
        disjoint += field.iou[i] == 0 ? 1 : 0;
        disjoint_still += field.iou[i] == 0 && pulls.still[i] ? 1 : 0;
        if (!(length > 0)) continue;
        ++pulled;
        smallest = std::min(smallest, length);
        field.largest = std::max(field.largest, length);
        cosines += (field.pull[i][0] * dx + field.pull[i][1] * dy) / (length * way);
    }
    const auto share = [](std::int64_t part, std::int64_t of) {
        return of > 0 ? static_cast<double>(part) / static_cast<double>(of) : 0.0;
    };
    field.still_share = share(still, counted);
    field.dead_share = share(dead, counted);
    field.disjoint_share = share(disjoint, counted);
    field.disjoint_still_share = share(disjoint_still, disjoint);
    field.smallest = pulled > 0 ? smallest : 0;
    field.mean_cosine = pulled > 0 ? cosines / static_cast<double>(pulled) : 0;
    return field;
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
