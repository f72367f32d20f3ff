#include "train/run_findings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "train/table.h"

namespace solobox {
namespace {

using Numbers = std::vector<double>;
using Findings = std::vector<ReportFinding>;

// Thresholds, all in one place. Ids are the doctor's where it has a rule for the case.
constexpr double loss_above_start = 1.5;    // D60: times the loss of an answer that knows nothing, ln C
constexpr std::size_t rising_steps = 3;     // D60: so many steps above it
constexpr double validation_far_above = 5;  // D61: times the training loss
constexpr double by_heart = 2;              // validation loss / training loss

Numbers finite(const Numbers& values) {
    Numbers out;
    std::copy_if(values.begin(), values.end(), std::back_inserter(out), [](double v) { return std::isfinite(v); });
    return out;
}

void boxes_learned(const Table& t, Findings& out) {
    const Numbers iou = finite(t.numbers("metrics/iou")), constant = finite(t.numbers("metrics/constant_box_iou"));
    if (iou.empty() || constant.empty()) return;
    const LiftVerdict v = judge_lift(*std::max_element(iou.begin(), iou.end()), constant.back());
    if (v.severity == "WARN")
        out.push_back({v.severity, "lift", v.text(),
                       "more pictures, stronger augmentation or pretrained weights; first check with `solobox "
                       "overfit` that the model can learn at all"});
}

void classes_learned(const Table& t, Findings& out) {
    const Numbers acc = finite(t.numbers("val/acc1")), blind = finite(t.numbers("metrics/blind_acc1")),
                  chance = finite(t.numbers("metrics/chance")), count = finite(t.numbers("metrics/val_images"));
    if (acc.empty() || blind.empty() || chance.empty() || count.empty()) return;
    const LiftVerdict v = judge_accuracy(*std::max_element(acc.begin(), acc.end()),
                                         std::max(blind.back(), chance.back()), std::llround(count.back()));
    if (v.severity == "WARN")
        out.push_back({v.severity, "D58", v.text(),
                       "after one epoch that is expected: train longer; else look at the learning rate (`solobox "
                       "lr-find`) and whether the model can learn at all (`solobox overfit --task classify`)"});
    const std::int64_t classes = std::llround(100 / chance.back());
    if (classes <= 5)
        out.push_back({"INFO", "D59",
                       fmt::format("top-5 accuracy is trivial: with {} classes every picture is right", classes),
                       "read val/acc1 only"});
}

// The loss of a network that knows nothing is ln C; above that it knows less than nothing.
void diverging(const Table& t, const Table& steps, Findings& out) {
    if (!t.has("metrics/chance") || !steps.has("loss")) return;
    const Numbers loss = steps.numbers("loss"), chance = finite(t.numbers("metrics/chance"));
    if (chance.empty()) return;
    // Three steps may rise by chance: what came back below the start has not diverged.
    const Numbers epochs = finite(t.numbers("train/loss"));
    if (!epochs.empty() && epochs.back() < std::log(100 / chance.back())) return;
    const double limit = loss_above_start * std::log(100 / chance.back());
    for (std::size_t i = 0; i + rising_steps <= loss.size(); ++i) {
        const auto begin = loss.begin() + static_cast<std::ptrdiff_t>(i);
        const auto end = begin + static_cast<std::ptrdiff_t>(rising_steps);
        if (std::all_of(begin, end, [&](double v) { return v > limit; }) && std::is_sorted(begin, end)) {
            out.push_back({"FAIL", "D60",
                           fmt::format("the training loss rose to {:.3g} (step {}): more than {:.3g}, {} times what a "
                                       "network without any knowledge has (ln {:.0f} = {:.3g}). It diverges.",
                                       *(end - 1), i + rising_steps, limit, loss_above_start, 100 / chance.back(),
                                       std::log(100 / chance.back())),
                           "lower lr0 by a factor of 10, or warm up (warmup_steps=200)"});
            return;
        }
    }
}

void losses_apart(const Table& t, Findings& out) {
    const Numbers train = t.numbers("train/loss"), val = t.numbers("val/loss"), epoch = t.numbers("epoch");
    for (std::size_t i = 0; i < val.size() && t.has("metrics/chance"); ++i) {
        if (!(epoch[i] > 0 && epoch[i] <= 1) || !(train[i] > 0) || !(val[i] > validation_far_above * train[i]))
            continue;
        out.push_back(
            {"WARN", "D61",
             fmt::format("in the first epoch the validation loss ({:.4g}) is {:.1f} times the training loss "
                         "({:.4g}): the running statistics of BatchNorm still hold little of the data, or the "
                         "run diverges",
                         val[i], val[i] / train[i], train[i]),
             "validate after more steps (statistics keep 0.9^steps of their start); a lower lr0 or a warm-up "
             "if the training loss rises too"});
        break;
    }
    const bool diverges = std::any_of(out.begin(), out.end(), [](const ReportFinding& f) { return f.id == "D60"; });
    const Numbers a = finite(train), b = finite(val);
    if (!diverges && !a.empty() && !b.empty() && a.back() > 0 && b.back() > by_heart * a.back())
        out.push_back({"INFO", "overfitting",
                       fmt::format("the validation loss ({:.4f}) is {:.1f} times the training loss ({:.4f})", b.back(),
                                   b.back() / a.back(), a.back()),
                       "more augmentation, weight_decay or dropout; fewer epochs"});
}

}  // namespace

LiftVerdict judge_lift(double iou, double constant_iou) {
    const double lift = iou - constant_iou;
    const std::string facts =
        fmt::format("IoU {:.4f} against {:.4f} of the best constant box ({:+.4f})", iou, constant_iou, lift);
    if (!(lift > 0.01))  // NaN too
        return {"WARN", facts, "no more than a box that never looks at the picture. It has not learned to locate."};
    if (lift < 0.05) return {"INFO", facts, "a little more than a box that never looks at the picture."};
    return {"PASS", facts, "it has learned to locate."};
}

LiftVerdict judge_accuracy(double accuracy, double blind, std::int64_t pictures) {
    const double p = blind / 100,
                 error = 100 * std::sqrt(p * (1 - p) / static_cast<double>(std::max<std::int64_t>(pictures, 1)));
    const std::string facts = fmt::format("top-1 {:.2f} % against {:.2f} % of an answer that never looks ({:+.2f})",
                                          accuracy, blind, accuracy - blind);
    if (!(accuracy - blind > 2 * error))  // NaN too
        return {"WARN", facts,
                fmt::format("within what luck does on {} pictures (+-{:.1f}). It has not learned to tell them apart.",
                            pictures, 2 * error)};
    return {"PASS", facts, "it has learned to tell them apart."};
}

std::vector<ReportFinding> run_findings(const RunDirectory& run) {
    const Table t(run.file("results.csv"));
    Findings findings;
    if (t.has("metrics/iou")) boxes_learned(t, findings);
    if (t.has("val/acc1")) classes_learned(t, findings);
    diverging(t, Table(run.file("steps.csv")), findings);
    if (t.has("val/loss")) losses_apart(t, findings);
    return findings;
}

}  // namespace solobox
