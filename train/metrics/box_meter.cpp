#include "train/metrics/box_meter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "train/metrics/metrics.h"

namespace solobox {
namespace {

constexpr const char* coordinates[] = {"cx", "cy", "w", "h"};

}  // namespace

std::vector<std::string> BoxMeter::columns() const {
    return {"metrics/iou",  "metrics/iou50", "metrics/median_iou", "metrics/mean_box_iou", "metrics/constant_box_iou",
            "metrics/lift", "metrics/spread"};
}

void BoxMeter::add(const Prediction& prediction, const Labels& truth) {
    predictions_.push_back(prediction.objects.at(0).box);
    truths_.push_back(truth.objects.at(0).box);
    ious_.push_back(unit_iou(predictions_.back(), truths_.back()));
}

BoxMeter::Spread BoxMeter::spread_of(const std::vector<UnitBox>& boxes) {
    const auto numbers = [](const UnitBox& b) { return std::array<double, 4>{b.cx, b.cy, b.w, b.h}; };
    const double n = static_cast<double>(std::max<std::size_t>(boxes.size(), 1));
    Spread s;
    for (const UnitBox& b : boxes)
        for (std::size_t k = 0; k < 4; ++k) s.mean[k] += numbers(b)[k] / n;
    for (const UnitBox& b : boxes)
        for (std::size_t k = 0; k < 4; ++k)
            s.deviation[k] += (numbers(b)[k] - s.mean[k]) * (numbers(b)[k] - s.mean[k]) / n;
    for (double& d : s.deviation) d = std::sqrt(d);
    return s;
}

double BoxMeter::median() const { return metrics::median(ious_); }

double BoxMeter::share50() const {
    return static_cast<double>(std::count_if(ious_.begin(), ious_.end(), [](double v) { return v >= 0.5; })) /
           static_cast<double>(ious_.size());
}

Measured BoxMeter::result() const {
    const Spread predicted = spread_of(predictions_), truth = spread_of(truths_);
    // How much the answers to different pictures differ, against how much the truth does: 0 is one answer for all.
    double apart = 0, due = 0;
    for (std::size_t k = 0; k < 4; ++k)
        apart += predicted.deviation[k] * predicted.deviation[k], due += truth.deviation[k] * truth.deviation[k];
    const double mean = metrics::mean(ious_), mean_box = blind_.at(0).score, constant = blind_.at(1).score;
    const double values[] = {mean,
                             share50(),
                             median(),
                             mean_box,
                             constant,
                             mean - constant,
                             due > 0 ? std::sqrt(apart / due) : std::nan("")};
    Measured m;
    const auto names = columns();
    for (std::size_t i = 0; i < names.size(); ++i) m.columns.emplace_back(names[i], values[i]);
    m.score = mean;
    m.text = fmt::format("IoU {:.4f} (constant box {:.4f}, lift {:+.4f})", mean, constant, mean - constant);
    m.each = ious_;
    m.figures = {{"iou50", share50()}, {"median_iou", median()}};
    return m;
}

void BoxMeter::add_json(nlohmann::ordered_json& j, double loss) const {
    const Spread predicted = spread_of(predictions_), truth = spread_of(truths_);
    const double mean = metrics::mean(ious_);
    j["iou"] = mean, j["median_iou"] = median(), j["iou50"] = share50(), j["loss"] = loss;
    for (const Blind& b : blind_) j[b.name] = b.score;
    j["lift"] = mean - blind_.at(1).score;
    nlohmann::ordered_json spread;
    for (std::size_t k = 0; k < 4; ++k)
        spread[coordinates[k]] = {{"predicted_mean", predicted.mean[k]},
                                  {"predicted_std", predicted.deviation[k]},
                                  {"truth_mean", truth.mean[k]},
                                  {"truth_std", truth.deviation[k]}};
    j["coordinates"] = spread;
}

std::string BoxMeter::words(double loss) const {
    const Spread predicted = spread_of(predictions_), truth = spread_of(truths_);
    const double mean = metrics::mean(ious_);
    std::string text = fmt::format(
        "mean IoU {:.4f}, median {:.4f}, {:.1f} % above 0.5, loss {:.4f}\n"
        "without looking: mean box {:.4f}, best constant box {:.4f}; lift {:+.4f}\n{:<4} {:>16} {:>16}\n",
        mean, median(), 100 * share50(), loss, blind_.at(0).score, blind_.at(1).score, mean - blind_.at(1).score, "",
        "predicted", "truth");
    for (std::size_t k = 0; k < 4; ++k)
        text += fmt::format("{:<4} {:>8.3f} +-{:.3f} {:>9.3f} +-{:.3f}\n", coordinates[k], predicted.mean[k],
                            predicted.deviation[k], truth.mean[k], truth.deviation[k]);
    return text;
}

}  // namespace solobox
