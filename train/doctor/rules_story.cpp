// Rules about the story that a log or a run tells as a whole: several runs in one file, a rate that begins again, a
// validation without labels, losses that cannot be, steps of the wrong size.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "train/doctor/curve.h"
#include "train/doctor/rules.h"
#include "train/run/causes.h"

namespace solobox::doctor {
namespace {

using Kind = Example::Kind;

Verdict begins_again(const Chart& c) {
    const Texts& places = c.texts("restarts");
    const double runs = c.number_or("runs_in_log", 1);
    // Counting in order is nothing to say when nothing else is known.
    const auto known = [&](const char* fact) { return c.facts().series(fact) != nullptr; };
    if (places.empty() && !known("train_loss") && !known("val_loss") && !known("step_loss") && !known("metric"))
        throw Chart::Missing{"losses or a metric"};
    if (places.empty()) return c.pass(runs);
    if (runs > 1)
        return c.fire(Severity::warn, runs,
                      fmt::format("{}: the epochs start again, so the file holds {:g} runs; the last one is judged",
                                  places.back(), runs));
    return c.fire(Severity::info, static_cast<double>(places.size()),
                  fmt::format("{}: epochs come twice, as behind a resume; the later rows count", places.back()));
}

Verdict rate_begins_again(const Chart& c) {
    if (c.has("job")) return c.pass({}, "overfit: its rate begins again on purpose");
    const bool by_epoch = c.facts().series("epoch_lr") != nullptr;
    const Rows lr = by_epoch ? c.by_epoch("epoch_lr") : Rows();
    Rows rates = lr, planned;
    if (!by_epoch) {
        const Series &steps = c.series("step"), &values = c.series("step_lr");
        for (std::size_t i = 0; i < values.size() && i < steps.size(); ++i)
            if (std::isfinite(values[i])) rates.emplace_back(steps[i], values[i]);
    }
    if (const Series* p = c.facts().series("step_lr_planned");
        p && std::any_of(p->begin(), p->end(), [](double v) { return std::isfinite(v); }))
        return c.pass({}, "the schedule is known: D16 and D22 compare with it");
    if (rates.size() < 4) throw Chart::Missing{"rates of 4 rows"};
    double peak = 0;
    std::vector<std::size_t> jumps;
    for (std::size_t i = 1; i < rates.size(); ++i) {
        peak = std::max(peak, rates[i - 1].second);
        // Behind its decay, and near to where it began: a warmup rises, too, but has not fallen before.
        const double before = rates[i - 1].second, now = rates[i].second;
        if (before > 0 && before < 0.5 * peak && now > c.limit("jump") * before && now > 0.5 * peak) jumps.push_back(i);
    }
    if (jumps.empty()) return c.pass(0);
    if (jumps.size() > 1)
        return c.fire(Severity::info, static_cast<double>(jumps.size()),
                      fmt::format("the rate begins again {} times: warm restarts?", jumps.size()));
    const std::size_t at = jumps.front();
    const bool repeats = c.facts().texts("restarts") && !c.texts("restarts").empty();
    // The place as the log counts it.
    const double epoch = rates[at].first;
    std::string loss;
    bool rose = false;
    if (const char* fact = by_epoch ? "train_loss" : "step_loss"; c.facts().series(fact)) {
        double before = NAN, behind = NAN;
        for (const auto& [e, v] : c.by_epoch(fact)) {
            if (e < epoch) before = v;
            if (e >= epoch && std::isnan(behind)) behind = v;
        }
        // Warm restarts pay for the jump with a lower loss later.
        const double end = level_at_end(c.by_epoch(fact));
        rose = behind > c.limit("loss") * before && (repeats || !(end < 0.97 * before));
        if (behind > c.limit("loss") * before)
            loss = fmt::format(", and the training loss went from {:.4g} to {:.4g} with it", before, behind);
    }
    return c.fire(
        rose ? Severity::warn : Severity::info, rates[at].second / rates[at - 1].second,
        fmt::format("the rate jumps from {:.3g} to {:.3g} in {} {:g}, behind its decay{}{}", rates[at - 1].second,
                    rates[at].second, by_epoch ? "epoch" : "step", epoch, loss, rose ? "" : " (a warm restart?)"));
}

Rows losses_of(const Chart& c) {
    if (!c.facts().series("step_loss")) return c.by_epoch("train_loss");
    Rows rows;
    const Series& loss = c.series("step_loss");
    for (std::size_t i = 0; i < loss.size(); ++i)
        if (std::isfinite(loss[i])) rows.emplace_back(static_cast<double>(i + 1), loss[i]);
    if (rows.empty()) throw Chart::Missing{"losses"};
    return rows;
}

Verdict empty_validation(const Chart& c) {
    const Rows rows = c.by_epoch("metric");
    if (rows.size() < static_cast<std::size_t>(c.limit("rows")))
        throw Chart::Missing{fmt::format("{:g} validations", c.limit("rows"))};
    if (std::any_of(rows.begin(), rows.end(), [](const auto& r) { return r.second != 0; })) return c.pass();
    if (const Series* own = c.facts().series("train_metric");
        own && std::all_of(own->begin(), own->end(), [](double v) { return !(v > 0); }))
        return c.pass(0, "it is 0 in training, too: a regression?");
    const Rows train = losses_of(c);
    const double first = train.front().second, last = level_at_end(train);
    if (!(first - last > std::max(c.limit("fall") * std::abs(first), 2 * noise_of(train))))
        return c.pass(0, "the training loss does not fall either");
    return c.fire(
        Severity::warn, 0,
        fmt::format("the metric is exactly 0 in all {} validations while the training loss fell from {:.4g} to "
                    "{:.4g}",
                    rows.size(), first, last));
}

Verdict negative_loss(const Chart& c) {
    bool seen = false;
    for (const char* fact : {"train_loss", "step_loss", "val_loss"}) {
        const Series* values = c.facts().series(fact);
        if (!values) continue;
        double lowest = INFINITY;
        for (const double v : *values)
            if (std::isfinite(v)) lowest = std::min(lowest, v);
        if (!std::isfinite(lowest)) continue;
        seen = true;
        // A score with its sign turned (-Dice, -SSIM) stays above -1; log-densities of numbers do not come with an
        // accuracy.
        const bool classes = c.facts().series("accuracy") || c.facts().series("train_accuracy");
        // A perfect fit may round to a little below 0.
        if (lowest < (classes ? -std::max(1e-3, 1e-3 * std::abs(values->front())) : c.limit("score")))
            return c.fire(
                classes ? Severity::warn : Severity::info, lowest,
                fmt::format("{} is negative ({:.4g}): a cross-entropy, a squared or absolute error, an IoU loss "
                            "is never below 0{}",
                            fact, lowest, classes ? ", and there is an accuracy: targets outside 0..1" : ""));
    }
    if (!seen) throw Chart::Missing{"losses"};
    return c.pass();
}

Verdict leap(const Chart& c) {
    const double largest = c.number("largest_update");
    if (largest <= c.limit("share")) return c.pass(largest);
    const Rows rows = losses_of(c);
    const double first =
        c.number_or("loss_start", c.facts().series("step_loss") ? c.series("step_loss").front() : rows.front().second);
    if (level_at_end(rows) < first) return c.pass(largest, "the loss fell all the same");
    return c.fire(
        Severity::fail, largest,
        fmt::format(
            "{} changed by {:.3g} times its own norm {}: the weights were thrown away. The loss was {:.4g} and is "
            "{:.4g}",
            c.text_or("largest_update_tensor", "a tensor"), largest, c.text_or("largest_update_when", ""), first,
            level_at_end(rows)));
}

Verdict creep(const Chart& c) {
    const double moved = c.number("weights_moved");
    if (moved >= c.limit("share")) return c.pass(moved);
    const Rows rows = losses_of(c);
    // A few steps tell nothing, unless they go nowhere at all.
    if (rows.size() < static_cast<std::size_t>(c.limit("steps")) && moved > 0.01 * c.limit("share"))
        throw Chart::Missing{fmt::format("{:g} steps", c.limit("steps"))};
    Series losses;
    for (const auto& [step, v] : rows) losses.push_back(v);
    const double first = usual_start(losses),
                 last = median_of({losses.end() - std::max<std::ptrdiff_t>(std::ssize(losses) / 4, 1), losses.end()});
    // Weights that someone else has trained need not go far.
    if (c.number_or("pretrained", 0) > 0 || last < c.limit("left") * first)
        return c.pass(moved, "the loss fell all the same");
    return c.fire(
        Severity::warn, moved,
        fmt::format("all steps together moved the weights by {:.2g} of their norm, and the loss from {:.4g} to "
                    "{:.4g}: the rate is too small",
                    moved, first, last));
}

// Losses that come down and go up again for good: whatever was learned is being lost.
Verdict given_back(const Chart& c) {
    const Rows rows = c.by_epoch(c.facts().series("train_loss") ? "train_loss" : "step_loss");
    if (rows.size() < static_cast<std::size_t>(c.limit("rows")))
        throw Chart::Missing{fmt::format("{:g} losses", c.limit("rows"))};
    const Rows smooth = smoothed(rows);
    const auto best = std::min_element(smooth.begin(), smooth.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    const double fall = smooth.front().second - best->second, rise = level_at_end(rows) - best->second;
    const double noise = noise_of(rows);
    if (!(fall > 4 * noise) || !(fall > 0)) return c.pass(0, "it never fell");
    // For good: the last three stay above, too.
    const bool stays = std::all_of(smooth.end() - 3, smooth.end(),
                                   [&](const auto& r) { return r.second - best->second > c.limit("share") * fall; });
    if (!stays || rise <= 4 * noise) return c.pass(rise / fall);
    return c.fire(
        Severity::warn, rise / fall,
        fmt::format("the training loss fell from {:.4g} to {:.4g} by {} {:g} and is {:.4g} at the end: {:.0f} % of "
                    "what it had gained is lost",
                    smooth.front().second, best->second, c.facts().series("train_loss") ? "epoch" : "row", best->first,
                    level_at_end(rows), 100 * rise / fall));
}

}  // namespace

void add_story_rules(std::vector<Rule>& t) {
    t.push_back({.id = "D74",
                 .phases = "L",
                 .name = "epochs begin again",
                 .signal =
                     "epochs (or steps) that fall back: to their start, another run in the same file (WARN); else "
                     "a resume that writes some of them twice (INFO)",
                 .severity = "INFO/WARN",
                 .cause = "a second run was appended to the file of the first",
                 .key = "name, project",
                 .fix = "a directory for each run; cut the file in two",
                 .report = "field",
                 .explains = {"D38", "D39", "D40", "D46", "D47", "D52", "D57", "D60"},
                 .example = {Kind::log, "epoch,metric\n1,0.3\n2,0.4\n3,0.5\n1,0.3\n2,0.4\n",
                             "epoch,metric\n1,0.3\n2,0.4\n3,0.5\n4,0.6\n5,0.65\n"},
                 .judge = begins_again});
    t.push_back(
        {.id = "D75",
         .phases = "L",
         .name = "rate begins again",
         .signal = "a rate that had fallen below half of its peak rises fivefold and more in one row, near to its "
                   "peak; WARN when the training loss rises by a fifth with it",
         .thresholds = {{"jump", 5, "times the rate before"}, {"loss", 1.2, "times the loss before"}},
         .severity = "INFO/WARN",
         .cause = "a resume that did not restore the schedule",
         .key = "schedule",
         .fix = "restore the scheduler's state with the weights (here `solobox resume` does), or say the epoch at "
                "which it goes on",
         .report = "field",
         .explains = {"D40", "D47", "D52"},
         .example = {Kind::log, "epoch,train_loss,lr\n1,2,0.1\n2,1,0.07\n3,0.6,0.03\n4,0.5,0.01\n5,1.5,0.1\n6,1,0.07\n",
                     "epoch,train_loss,lr\n1,2,0.1\n2,1,0.07\n3,0.6,0.03\n4,0.5,0.01\n5,0.45,0.005\n"
                     "6,0.44,0.002\n"},
         .judge = rate_begins_again});
    t.push_back({.id = "D76",
                 .phases = "RL",
                 .name = "validation finds nothing at all",
                 .signal = "a metric of exactly 0 in 5 validations and more while the training loss falls by a tenth",
                 .thresholds = {{"rows", 5, "validations"}, {"fall", 0.1, "of the first training loss"}},
                 .severity = "WARN",
                 .cause = "validation pictures without labels, or with the names of other classes",
                 .key = "data, val_list",
                 .fix = "look at the labels of validation (`solobox data check`), and at what is predicted there",
                 .report = "field",
                 .explains = {"D39", "D58"},
                 .example = {Kind::log, "epoch,train_loss,metric\n1,2,0\n2,1.5,0\n3,1.2,0\n4,1,0\n5,0.9,0\n",
                             "epoch,train_loss,metric\n1,2,0\n2,1.5,0.01\n3,1.2,0.1\n4,1,0.2\n5,0.9,0.3\n"},
                 .judge = empty_validation});
    t.push_back({.id = "D77",
                 .phases = "RL",
                 .name = "negative loss",
                 .signal = "a loss below 0 beside an accuracy; without one, below -1.5 (INFO)",
                 .thresholds = {{"score", -1.5, "a score with its sign turned stays above"}},
                 .severity = "INFO/WARN",
                 .cause = "targets that the loss is not made for: class numbers given to a binary cross-entropy",
                 .key = "loss",
                 .fix = "one output a class with a softmax cross-entropy, or targets in 0..1",
                 .report = "field",
                 .explains = {"D39", "D58"},
                 .example = {Kind::log, "epoch,train_loss,accuracy\n1,-55.02,11\n2,-55.03,11\n",
                             "epoch,train_loss,accuracy\n1,2.3,11\n2,1.9,30\n"},
                 .judge = negative_loss});
    t.push_back(
        {.id = "D78",
         .phases = "R",
         .name = "step too large",
         .signal = "a step that changes a weight tensor by more than its own norm, or a norm that grows threefold "
                   "between two samples, and a loss that is no lower at "
                   "the end",
         .thresholds = {{"share", cause("rate-too-high").limit, "of the tensor's norm"}},
         .severity = "FAIL",
         .cause = "the rate is too high: one step threw the weights away. Dead units, gradients of zero and a "
                  "mean answer follow",
         .key = "lr0, warmup_steps, clip",
         .fix = cause("rate-too-high").cure,
         .report = "field",
         .explains = {"D06", "D31", "D36", "D40", "D58", "D60"},
         .example = {Kind::run,
                     "data=synthetic train_images=64 val_images=16 image=32 epochs=4 optimizer=SGD lr0=30 clip=0 "
                     "warmup_steps=0 norm=none",
                     "data=synthetic train_images=64 val_images=16 image=32 epochs=4 optimizer=SGD lr0=0.01 "
                     "clip=0 warmup_steps=0"},
         .judge = leap});
    t.push_back({.id = "D79",
                 .phases = "R",
                 .name = "step too small",
                 .signal =
                     "all steps together move the weights by less than a tenth of their norm, and more than 0.9 of "
                     "the first loss is left",
                 .thresholds = {{"share", cause("rate-too-small").limit, "of the weights' norm"},
                                {"left", 0.9, "of the first loss"},
                                {"steps", 50, "fewer tell nothing"}},
                 .severity = "WARN",
                 .cause = "the rate is too small for so few steps",
                 .key = "lr0, epochs",
                 .fix = cause("rate-too-small").cure,
                 .report = "field",
                 .explains = {"D39", "D57", "D58"},
                 .example = {Kind::run, "data=synthetic train_images=256 val_images=16 image=32 epochs=2 lr0=0.0000001",
                             "data=synthetic train_images=256 val_images=16 image=32 epochs=2 lr0=0.001"},
                 .judge = creep});
    t.push_back({.id = "D80",
                 .phases = "L",
                 .name = "training loss given back",
                 .signal =
                     "more than half of what the training loss had fallen is lost again at the end, by more than four "
                     "times its noise and in three rows and more",
                 .thresholds = {{"share", 0.5, "of the fall"}, {"rows", 8, "losses"}},
                 .severity = "WARN",
                 .cause = "a rate that is too high for where the network has come to, or data that changed",
                 .key = "lr0, schedule, clip",
                 .fix = "go on from the best checkpoint with a lower rate; a schedule that decays; clip=5",
                 .report = "field",
                 .explains = {"D46", "D47", "D52"},
                 .example = {Kind::log, rows_of("epoch,train_loss\n", {2, 1.4, 1, .8, .7, 1.6, 1.7, 1.7, 1.8}),
                             rows_of("epoch,train_loss\n", {2, 1.4, 1, .8, .7, .65, .6, .58, .57})},
                 .judge = given_back});
}

}  // namespace solobox::doctor
