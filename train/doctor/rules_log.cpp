// Rules that read what a finished run reached: chance, divergence, throughput, targets.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "train/doctor/curve.h"
#include "train/doctor/rules.h"

namespace solobox::doctor {
namespace {

using Kind = Example::Kind;

double best_metric(const Chart& c) {
    double best = -INFINITY;
    for (const auto& [epoch, v] : c.by_epoch("metric")) best = std::max(best, v);
    return best;
}

Verdict too_few_epochs(const Chart& c) {
    const Rows rows = c.by_epoch("metric");
    const auto n = static_cast<std::size_t>(c.limit("epochs"));
    if (rows.size() < n) {
        if (c.epochs_seen() <= 1 || rows.size() < 2) {
            if (c.epochs_seen() > 0 && c.epochs_seen() < c.limit("epochs"))
                return c.fire(
                    Severity::info, c.epochs_seen(),
                    fmt::format("{:g} epoch{}: too few to judge by", c.epochs_seen(), c.epochs_seen() == 1 ? "" : "s"));
            throw Chart::Missing{fmt::format("{} validations", n)};
        }
        throw Chart::Missing{fmt::format("{} validations", n)};
    }
    // In shares of their mean. One low value at their beginning is no rise at their end, nor is one behind a fall.
    const Rows last(rows.end() - static_cast<std::ptrdiff_t>(n), rows.end());
    double mean = 0, highest = -INFINITY;
    for (const auto& [epoch, v] : last) mean += v / static_cast<double>(n), highest = std::max(highest, v);
    const double slope = mean > 0 ? slope_of(last) / mean : 0;
    const bool falls = highest - last.back().second > std::max(noise_of(rows), 0.02 * std::abs(highest)) ||
                       highest < c.limit("least");  // a rise of next to nothing is noise
    if (slope <= c.limit("slope") || falls) return c.pass(slope);
    return c.fire(Severity::info, slope,
                  fmt::format("the metric still rises by {:.1f} % an epoch at the end", 100 * slope));
}

Verdict chance_level(const Chart& c) {
    if (c.facts().series("accuracy")) {
        const double classes = c.number("classes"), chance = 100 / classes,
                     blind = std::max(chance, c.number_or("blind_accuracy", 0));
        const double last = c.last_of("accuracy");
        // What luck does on so few pictures is no skill either.
        const double n = c.number_or("val_images", INFINITY), luck = 2 * std::sqrt(blind * (100 - blind) / n);
        if (std::abs(last - chance) >= c.limit("points") && last - blind > luck) return c.pass(last);
        return c.fire(Severity::warn, last,
                      fmt::format("top-1 {:.2f} % where chance is {:.2f} %: it has not learned to tell them apart",
                                  last, chance));
    }
    const double blind = c.number("blind_metric"), best = best_metric(c);
    if (best - blind > c.limit("lift")) return c.pass(best - blind);
    return c.fire(Severity::warn, best - blind,
                  fmt::format("IoU {:.4f} against {:.4f} of the best constant box ({:+.4f}): no more than a box that "
                              "never looks at the picture. It has not learned to locate",
                              best, blind, best - blind),
                  "more pictures, stronger augmentation or pretrained weights; first check with `solobox overfit` that "
                  "the model can learn at all");
}

Verdict trivial_metric(const Chart& c) {
    const double k = c.number("top_k"), classes = c.number("classes");
    if (k < classes) return c.pass(k);
    return c.fire(Severity::info, k,
                  fmt::format("top-{:g} accuracy is trivial: with {:g} classes every picture is right", k, classes));
}

}  // namespace

double usual_start(const Series& losses) {
    Series first(losses.begin(), losses.begin() + static_cast<std::ptrdiff_t>(std::min(losses.size(), first_losses)));
    if (std::is_sorted(first.begin(), first.end())) return first.at(0);
    std::sort(first.begin(), first.end());
    return first.at(first.size() / 2);
}

namespace {

Verdict above_start(const Chart& c) {
    const bool classes = c.has("classes") && c.number("classes") > 1 && c.text_or("kind", "classes") == "classes";
    const bool by_step = c.facts().series("step_loss") != nullptr;
    const Series& all = c.series(by_step ? "step_loss" : "train_loss");
    const Series* places = c.facts().series(by_step ? "step" : "epoch");
    Series loss, at;
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (std::isnan(all[i])) continue;
        loss.push_back(all[i]);
        at.push_back(places && i < places->size() ? (*places)[i] : static_cast<double>(i + 1));
    }
    const auto place_of = [&](std::size_t i) { return at[i]; };
    const auto n = static_cast<std::size_t>(c.limit("steps"));
    if (loss.size() < n) throw Chart::Missing{fmt::format("{} losses", n)};
    // Auxiliary heads know as little at the start, and their losses are in the sum.
    const double heads = 1 + c.number_or("aux_heads", 0) * c.number_or("aux_weight", 0);
    const double start = classes ? heads * std::log(c.number("classes"))
                                 : c.number_or("loss_start", by_step ? usual_start(loss) : loss.front());
    if (!(start > 0)) throw Chart::Missing{"a loss above 0 at the start"};
    const double limit = c.limit("times") * start;
    // What came back to near where it began has not diverged, it stumbled.
    const std::size_t tail = std::min<std::size_t>(loss.size(), std::max<std::size_t>(n, loss.size() / 4));
    double recent = 0;
    for (std::size_t i = loss.size() - tail; i < loss.size(); ++i) recent += loss[i] / static_cast<double>(tail);
    for (std::size_t i = 0; i + n <= loss.size() && recent > (start + limit) / 2; ++i) {
        const auto begin = loss.begin() + static_cast<std::ptrdiff_t>(i), end = begin + static_cast<std::ptrdiff_t>(n);
        if (std::all_of(begin, end, [&](double v) { return v > limit; }) && std::is_sorted(begin, end))
            return c.fire(
                Severity::fail, *(end - 1),
                fmt::format(
                    "the training loss rose to {:.3g} ({} {:g}): more than {:.3g}, {:g} times {}. It diverges",
                    *(end - 1), by_step ? "step" : "epoch", place_of(i + n - 1), limit, c.limit("times"),
                    classes
                        ? fmt::format(
                              "what a network without any knowledge has (ln {:g}{} = {:.3g})", c.number("classes"),
                              heads > 1 ? fmt::format(" * {:g} with its auxiliary heads", heads) : std::string(), start)
                        : fmt::format("the {:.3g} that it began with", start)));
    }
    return c.pass(recent / start);
}

Verdict validation_apart(const Chart& c) {
    const Rows train = c.by_epoch("train_loss"), val = c.by_epoch("val_loss");
    double t = NAN, v = NAN;
    for (const auto& [epoch, x] : train)
        if (epoch <= 1) t = x;
    for (const auto& [epoch, x] : val)
        if (epoch <= 1) v = x;
    if (std::isnan(t) || std::isnan(v) || t <= 0) throw Chart::Missing{"losses of epoch 1"};
    if (!(v / t > c.limit("ratio"))) return c.pass(v / t);
    double steps = c.number_or("steps_per_epoch", 0);
    // A log that counts both tells how many steps the first epoch had.
    if (const Series* at = c.facts().series("step"), *epochs = c.facts().series("epoch"); steps == 0 && at && epochs)
        for (std::size_t i = 0; i < at->size() && i < epochs->size(); ++i)
            if ((*epochs)[i] <= 1 && std::isfinite((*at)[i])) steps = std::max(steps, (*at)[i]);
    const double memory = std::pow(0.9, steps);
    if (c.text_or("norm", "batch") != "batch") return c.pass(v / t, "no BatchNorm");
    if (memory <= c.limit("memory")) return c.pass(v / t, "BatchNorm's statistics are warm");
    return c.fire(
        Severity::warn, v / t,
        fmt::format("in the first epoch the validation loss ({:.4g}) is {:.1f} times the training loss ({:.4g}): "
                    "BatchNorm's running statistics still hold {:.0f} % of their start, or the run diverges (D60)",
                    v, v / t, t, 100 * memory));
}

Verdict slow_machine(const Chart& c) {
    // Forward and backward together do three times the forward's work.
    const double share = 3 * c.number("gmacs_per_image") * c.number("images_per_second") / c.number("peak_gmacs");
    if (share >= c.limit("share")) return c.pass(share);
    return c.fire(Severity::info, share,
                  fmt::format("{:.3g} pictures a second are {:.1f} % of what this machine multiplies",
                              c.number("images_per_second"), 100 * share));
}

Verdict targets(const Chart& c) {
    const auto exits = c.facts().family("exit_target.");
    if (exits.empty()) throw Chart::Missing{"exit_target.*"};
    for (const auto& [name, target] : exits) {
        const double reached = c.series("exit_metric." + name).back();
        if (reached < target->back())
            return c.fire(Severity::info, reached,
                          fmt::format("exit {} reached {:.3g}, {:.3g} was declared", name, reached, target->back()));
    }
    return c.pass();
}

Verdict labels_disagree(const Chart& c) {
    const double chance = 100 / c.number("classes"), val = c.last_of("accuracy"), train = c.last_of("train_accuracy");
    if (!(val < c.limit("chance") * chance && train > c.limit("train"))) return c.pass(val);
    return c.fire(Severity::fail, val,
                  fmt::format("top-1 is {:.1f} % in training and {:.2f} % in validation, below half of chance ({:.2f} "
                              "%): the two parts number their classes differently",
                              train, val, chance));
}

}  // namespace

void add_log_rules(std::vector<Rule>& t) {
    t.push_back(
        {.id = "D57",
         .phases = "L",
         .name = "too few epochs",
         .signal = "the metric rises by more than 2 % an epoch over the last 5, or there are fewer epochs than that",
         .thresholds = {{"epochs", 5, ""}, {"slope", 0.02, "an epoch"}, {"least", 0.01, "metric"}},
         .severity = "INFO",
         .key = "epochs",
         .fix = "30 to 50 epochs (`solobox extend`)",
         .report = "detector, smoke-test",
         .example = {Kind::log, "epoch,metric\n1,0.3\n2,0.35\n3,0.4\n4,0.45\n5,0.5\n",
                     "epoch,metric\n1,0.1\n2,0.22\n3,0.21\n4,0.2\n5,0.19\n"},
         .judge = too_few_epochs});
    t.push_back({.id = "D58",
                 .phases = "L",
                 .name = "no better than chance",
                 .signal = "top-1 within 2 points of 100 / classes at the end, or within luck of an answer that never "
                           "looks; a box no more than 0.01 above the best constant box",
                 .thresholds = {{"points", 2, "%"}, {"lift", 0.01, "IoU"}},
                 .severity = "WARN",
                 .key = "lr0, epochs",
                 .fix = "after one epoch that is expected: train longer; else look at the learning rate (`solobox "
                        "lr-find`) and whether the model can learn at all (`solobox overfit`)",
                 .report = "smoke-test",
                 .example = {Kind::log, "epoch,accuracy\n1,20\n", "epoch,accuracy\n1,60\n", "classes=5"},
                 .judge = chance_level});
    t.push_back({.id = "D59",
                 .phases = "L",
                 .name = "trivial metric",
                 .signal = "top-k accuracy with k at or above the classes",
                 .severity = "INFO",
                 .fix = "read top-1 only",
                 .report = "smoke-test",
                 .example = {Kind::foreign, "top_k: 5\nnum_classes: 5\n", "top_k: 5\nnum_classes: 20\n"},
                 .judge = trivial_metric});
    t.push_back(
        {.id = "D60",
         .phases = "LR",
         .name = "loss above its start",
         .signal =
             "loss above 1.5 times ln C (without classes: what it began with) in 3 steps, rising, and not come back",
         .thresholds = {{"times", 1.5, "the start"}, {"steps", 3, ""}},
         .severity = "FAIL",
         .cause = "the rate is too high: every step leads further away",
         .key = "lr0, warmup_steps",
         .fix = "lower lr0 by a factor of 10, or warm up (warmup_steps=200)",
         .report = "smoke-test",
         .note = "The report reads its losses (2.92, 4.13, 6.54, 7.11, 4.69) as learning: they stand above ln 5 = "
                 "1.61, where they began.",
         .example = {Kind::log, "step,step_loss\n1,1.61\n2,1.9\n3,2.92\n4,4.13\n5,6.54\n6,7.11\n7,4.69\n",
                     "step,step_loss\n1,1.61\n2,1.5\n3,1.4\n4,1.3\n5,1.2\n6,1.1\n7,1\n", "classes=5"},
         .judge = above_start});
    t.push_back({.id = "D61",
                 .phases = "L",
                 .name = "validation far above training in epoch 1",
                 .signal = "validation loss above 5 times the training loss in the first epoch",
                 .thresholds = {{"ratio", 5, ""}, {"memory", 0.1, "of the start in BatchNorm's statistics"}},
                 .severity = "WARN",
                 .cause = "BatchNorm's running statistics are not warm, or the run diverges",
                 .key = "epochs, lr0",
                 .fix = "validate after more steps (statistics keep 0.9^steps of their start); a lower lr0 or a warmup "
                        "if D60 fires too",
                 .report = "smoke-test",
                 .note = "109.6 / 4.09 = 26.8. Seven steps leave 0.9^7 = 48 % of the initial statistics.",
                 .example = {Kind::log, "epoch,train_loss,val_loss\n1,4.09,109.59\n",
                             "epoch,train_loss,val_loss\n1,4.09,4.5\n"},
                 .judge = validation_apart});
    t.push_back({.id = "D63",
                 .phases = "L",
                 .name = "low throughput",
                 .signal = "pictures a second below 10 % of what the machine's sgemm allows",
                 .thresholds = {{"share", 0.1, "of the peak"}},
                 .severity = "INFO",
                 .key = "--threads, workers",
                 .fix = "threads, layout, waiting for data",
                 .report = "smoke-test",
                 .example = {Kind::foreign, "images_per_second: 3.2\ngmacs_per_image: 4.1\npeak_gmacs: 800\n",
                             "images_per_second: 32\ngmacs_per_image: 4.1\npeak_gmacs: 800\n"},
                 .judge = slow_machine});
    t.push_back({.id = "D67",
                 .phases = "L",
                 .name = "declared target not met",
                 .signal = "metric of an exit below what was declared",
                 .severity = "INFO",
                 .fix = "second phase, distillation",
                 .report = "exits",
                 .example = {Kind::foreign, "exit_target.8: 0.25\nexit_metric.8: 0.21\n",
                             "exit_target.8: 0.25\nexit_metric.8: 0.3\n"},
                 .judge = targets});
    t.push_back({.id = "D69",
                 .phases = "L",
                 .name = "labels of the parts disagree",
                 .signal = "validation top-1 below half of chance with training above 50 %",
                 .thresholds = {{"chance", 0.5, "of chance"}, {"train", 50, "%"}},
                 .severity = "FAIL",
                 .cause = "the label file of one part is sorted otherwise",
                 .key = "data",
                 .fix = "check the validation labels",
                 .report = "smoke-test",
                 .example = {Kind::log, "epoch,train_accuracy,accuracy\n5,90,1\n",
                             "epoch,train_accuracy,accuracy\n5,90,50\n", "classes=5"},
                 .judge = labels_disagree});
}

}  // namespace solobox::doctor
