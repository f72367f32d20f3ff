// Rules about the learning rate over time: warmup, decay, writers, groups, stages.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "train/doctor/rules.h"

namespace solobox::doctor {
namespace {

using Kind = Example::Kind;

bool near(double a, double b) { return std::abs(a - b) <= 1e-9 * std::max(std::abs(a), std::abs(b)); }

Verdict never_decays(const Chart& c) {
    if (c.text_or("schedule", "") == "plateau") return c.pass({}, "a plateau lowers the rate when it must");
    const double first = c.number("first_decay_epoch"), epochs = c.number("epochs");
    if (first < epochs) return c.pass(first);
    const double warmup = c.number_or("warmup_steps", 0), total = c.number_or("total_steps", INFINITY);
    if (warmup >= total)
        return c.fire(Severity::warn, warmup,
                      fmt::format("the warmup takes {:g} steps, the run has {:g}: the rate never reaches its height",
                                  warmup, total),
                      fmt::format("warmup_steps={:g}, or more epochs", std::floor(total / 10)));
    return c.fire(
        Severity::warn, first,
        std::isinf(first)
            ? fmt::format("the rate never falls in {:g} epochs", epochs)
            : fmt::format("the rate falls for the first time after epoch {:g}, but the run has {:g}", first, epochs));
}

// A rate that was lowered and comes back within the epoch, or in the next one, was written by two.
Verdict two_writers(const Chart& c) {
    if (c.has("schedulers")) {
        const Texts& names = c.texts("schedulers");
        if (names.size() < 2) return c.pass(static_cast<double>(names.size()));
        return c.fire(Severity::fail, static_cast<double>(names.size()),
                      fmt::format("{} write the same learning rate: the last one each epoch wins, the others are dead",
                                  fmt::join(names, " and ")));
    }
    if (c.has("lr_overwritten")) {
        const double epochs = c.number("lr_overwritten");
        if (epochs == 0) return c.pass(0);
        return c.fire(Severity::fail, epochs,
                      fmt::format("in {:g} epochs the rate was lowered and then set back by another writer", epochs));
    }
    const Series &lr = c.series("step_lr"), &planned = c.series("step_lr_planned");
    std::size_t returns = 0, at = 0;
    bool away = false, away_below = false, lowered = false;
    for (std::size_t i = 0; i < std::min(lr.size(), planned.size()); ++i) {
        if (std::isnan(lr[i]) || std::isnan(planned[i])) continue;
        const bool differs = !near(lr[i], planned[i]);
        if (away && !differs && away_below) ++returns, at = returns == 1 ? i : at;
        // Lowered, not merely left behind by a schedule that rises while this rate stands still (D22).
        if (differs && !away) lowered = i > 0 && lr[i] < lr[i - 1];
        away = differs, away_below = lowered && lr[i] < planned[i];
    }
    if (returns < static_cast<std::size_t>(c.limit("returns"))) return c.pass(static_cast<double>(returns));
    return c.fire(
        Severity::fail, static_cast<double>(returns),
        fmt::format("the rate was lowered and set back to the schedule's {} time{}, first at step {}: two writers",
                    returns, returns == 1 ? "" : "s", at + 1));
}

Verdict schedule_length(const Chart& c) {
    double schedule = NAN, planned = NAN;
    if (c.has("schedule_steps"))
        schedule = c.number("schedule_steps"),
        planned = c.has("planned_steps") ? c.number("planned_steps") : c.number("epochs");
    else
        schedule = c.number("epochs"), planned = c.number("max_epochs");
    double off = std::abs(schedule - planned) / planned;
    // Counted in steps, or behind a warmup of its own.
    const double warmup = c.number_or("warmup_epochs", 0);
    for (const double other : {c.number_or("total_steps", NAN), c.number_or("epochs", NAN) - warmup})
        if (other > 0) off = std::min(off, std::abs(schedule - other) / other);
    if (off <= c.limit("share")) return c.pass(off);
    return c.fire(Severity::fail, off,
                  fmt::format("the schedule is made for {:g}, the run has {:g}", schedule, planned));
}

double warmup_steps(const Chart& c) {
    if (c.has("warmup_steps")) return c.number("warmup_steps");
    const double epochs = c.number("warmup_epochs");
    return epochs == 0 ? 0 : c.has("steps_per_epoch") ? epochs * c.number("steps_per_epoch") : INFINITY;
}

Verdict no_warmup(const Chart& c) {
    const double batch = c.effective_batch(), steps = warmup_steps(c);
    if (batch < c.limit("batch") || steps > 0) return c.pass(steps);
    return c.fire(Severity::warn, steps, fmt::format("no warmup with {:g} pictures per step", batch));
}

Verdict short_warmup(const Chart& c) {
    const double steps = warmup_steps(c);
    double epochs = NAN;
    if (c.has("warmup_epochs"))
        epochs = c.number("warmup_epochs");
    else if (c.has("steps_per_epoch"))
        epochs = steps / c.number("steps_per_epoch");
    if (steps == 0) return c.pass(0, "no warmup (D18 looks at that)");
    if (!std::isnan(epochs) && c.has("batch_per_step") && c.effective_batch() <= c.limit("batch") &&
        epochs < c.limit("epochs"))
        return c.fire(Severity::info, epochs,
                      fmt::format("warmup of {:.3g} epochs at {:g} pictures per step", epochs, c.effective_batch()));
    const double total = c.has("total_steps")     ? c.number("total_steps")
                         : c.has("warmup_epochs") ? c.number("epochs") * steps / epochs
                                                  : c.number("total_steps");
    const double share = std::isinf(steps) ? epochs / c.number("epochs") : steps / total;
    if (share >= c.limit("share")) return c.pass(share);
    return c.fire(Severity::info, share, fmt::format("warmup of {:.2g} % of the run", 100 * share));
}

Verdict lost_groups(const Chart& c) {
    const double built = c.number("group_ratio"), asked = c.number("group_ratio_asked");
    if (std::abs(built - asked) <= c.limit("relative") * std::abs(asked)) return c.pass(built);
    return c.fire(
        Severity::fail, built,
        fmt::format("the backbone was to learn at {:g} of the head's rate, its group has {:g}", asked, built));
}

// From the switch on the schedule moves and the rate in force does not.
Verdict stale_scheduler(const Chart& c) {
    const Series &lr = c.series("step_lr"), &planned = c.series("step_lr_planned"), &step = c.series("step");
    const double from = c.number("switch_step");
    double low = INFINITY, high = 0, planned_low = INFINITY, planned_high = 0, before_low = INFINITY, before_high = 0;
    std::size_t seen = 0;
    for (std::size_t i = 0; i < lr.size(); ++i) {
        if (std::isnan(lr[i])) continue;
        if (step[i] < from) {
            before_low = std::min(before_low, lr[i]), before_high = std::max(before_high, lr[i]);
            continue;
        }
        ++seen, low = std::min(low, lr[i]), high = std::max(high, lr[i]);
        planned_low = std::min(planned_low, planned[i]), planned_high = std::max(planned_high, planned[i]);
    }
    if (seen < static_cast<std::size_t>(c.limit("steps"))) throw Chart::Missing{"steps behind the switch"};
    const bool planned_moves = planned_high - planned_low > c.limit("moves") * planned_high;
    if (!planned_moves || !near(low, high) || near(before_low, before_high)) return c.pass(high > 0 ? low / high : 0);
    return c.fire(Severity::fail, low,
                  fmt::format("from step {:g} on the rate stays at {:g} while the schedule goes from {:g} to {:g}: it "
                              "drives an optimizer that is no longer in use",
                              from, low, planned_high, planned_low));
}

Verdict bursts(const Chart& c) {
    const Series &lr = c.series("step_lr"), &planned = c.series("step_lr_planned");
    const auto per_epoch = static_cast<std::size_t>(c.number("steps_per_epoch"));
    if (per_epoch < 2) return c.pass({}, "one step per epoch");
    std::size_t flat = 0, jumps = 0, epochs = 0;
    std::size_t begin = 0;  // of an epoch: a watch keeps the last steps only
    if (const Series* step = c.facts().series("step"); step && !step->empty())
        begin = (per_epoch - static_cast<std::size_t>(step->front() - 1) % per_epoch) % per_epoch;
    for (std::size_t first = begin; first + per_epoch <= lr.size(); first += per_epoch) {
        bool same = true, moves = false;
        for (std::size_t i = first + 1; i < first + per_epoch; ++i) {
            same = same && near(lr[i], lr[first]);
            moves = moves || !near(planned[i], planned[first]);
        }
        if (!moves || std::isnan(planned[first])) continue;  // a schedule by epochs, or one that is not known
        ++epochs, flat += same;
        jumps += first + per_epoch < lr.size() && !near(lr[first + per_epoch], lr[first]);
    }
    if (epochs < 2) return c.pass({}, "the schedule moves by epochs");
    if (flat < epochs || jumps == 0) return c.pass(static_cast<double>(flat));
    return c.fire(Severity::warn, static_cast<double>(flat),
                  fmt::format("the rate stands still within each of {} epochs and jumps at their ends, where the "
                              "schedule moves with every step",
                              epochs));
}

Verdict stage_switch(const Chart& c) {
    if (c.has("stage_ratio")) {
        const double r = c.number("stage_ratio");
        if (r < c.limit("low") || r > c.limit("high"))
            return c.fire(
                Severity::warn, r,
                fmt::format("at the switch of stages the rate per picture changes to {:.3g} of what it was", r));
    }
    if (c.has("unfreeze_epoch") && c.facts().series("metric")) {
        const double from = c.number("unfreeze_epoch");
        double before = NAN, after = INFINITY;
        for (const auto& [epoch, v] : c.by_epoch("metric")) {
            if (epoch < from) before = v;
            if (epoch >= from && epoch < from + 2) after = std::min(after, v);
        }
        if (!std::isnan(before) && after < (1 - c.limit("drop")) * before)
            return c.fire(
                Severity::warn, after / before,
                fmt::format("the metric fell from {:.4g} to {:.4g} within 2 epochs of unfreezing (epoch {:g})", before,
                            after, from));
        if (!std::isnan(before) && !std::isinf(after)) return c.pass(after / before);
    }
    return c.pass(c.number("stage_ratio"));
}

Verdict fine_tune_rate(const Chart& c) {
    if (c.number("pretrained") == 0) return c.pass({}, "nothing pretrained");
    if (!c.has("unfreeze_epoch")) throw Chart::Missing{"unfreeze_epoch"};
    const double ratio = c.number("group_ratio");
    if (ratio <= c.limit("ratio")) return c.pass(ratio);
    return c.fire(Severity::warn, ratio,
                  fmt::format("the pretrained backbone is unfrozen at {:g} of the head's rate ({:g})", ratio,
                              ratio * c.number_or("lr", NAN)));
}

const char* const table_head = "step,step_lr,step_lr_planned\n";

}  // namespace

void add_schedule_rules(std::vector<Rule>& t) {
    t.push_back(
        {.id = "D15",
         .phases = "C",
         .name = "rate never decays",
         .signal = "the first decay lies behind the last epoch",
         .severity = "WARN",
         .cause = "a staircase made for a longer run, or a constant rate",
         .key = "schedule",
         .fix = "schedule=cosine or onecycle",
         .report = "checklist",
         .note =
             "The report's staircase keeps 1e-2 for 75 epochs behind the warmup of 5: with 60 epochs it never falls.",
         .example = {Kind::config, "data=synthetic schedule=constant", "data=synthetic schedule=cosine"},
         .judge = never_decays});
    t.push_back({.id = "D16",
                 .phases = "CR",
                 .name = "two writers of the learning rate",
                 .signal = "a rate that was lowered is set back by another writer, in the same epoch or the next",
                 .thresholds = {{"returns", 1, "times it came back"}},
                 .severity = "FAIL",
                 .cause = "a plateau and a schedule both write it: the schedule overwrites every reduction",
                 .key = "schedule",
                 .fix = "keep one of them",
                 .report = "checklist",
                 .note = "The report hopes for its plateau (\"increase the patience\"): the per-epoch schedule "
                         "overwrote it, no patience could matter.",
                 .example = {Kind::run,
                             "data=synthetic train_images=64 val_images=16 image=32 warmup_steps=2 epochs=4 dropout=0 "
                             "lr0=1e-12 schedule=linear fault=second_writer",
                             "data=synthetic train_images=64 val_images=16 image=32 warmup_steps=2 epochs=4 dropout=0 "
                             "lr0=1e-12 schedule=linear"},
                 .judge = two_writers});
    t.push_back({.id = "D17",
                 .phases = "C",
                 .name = "schedule and run differ in length",
                 .signal = "more than 5 % apart",
                 .thresholds = {{"share", 0.05, "of the run"}},
                 .severity = "FAIL",
                 .cause = "two keys for one number: epochs and max_epochs, T_max and epochs",
                 .key = "epochs, schedule_epochs",
                 .fix = "one key",
                 .report = "smoke-test",
                 .note = "The report's base file says epochs, its trainer reads max_epochs: the cosine was made for "
                         "the other number.",
                 .example = {Kind::config, "data=synthetic epochs=30 schedule_epochs=60",
                             "data=synthetic epochs=30 schedule_epochs=30"},
                 .judge = schedule_length});
    t.push_back({.id = "D18",
                 .phases = "C",
                 .name = "no warmup with a big batch",
                 .signal = "effective batch of 64 or more and no warmup",
                 .thresholds = {{"batch", 64, "pictures per step"}},
                 .severity = "WARN",
                 .cause = "the first steps at the full rate are taken with gradients of an untrained network",
                 .key = "warmup_steps",
                 .fix = "200 to 500 steps, or 3 to 5 epochs",
                 .report = "collapse",
                 .note = "The report states that warmup was missing. Its script used OneCycle with pct_start 0.1, "
                         "which warms up for 3 of 30 epochs: the rule stays silent there.",
                 .example = {Kind::config, "batch=64 warmup_steps=0", "batch=64 warmup_steps=200"},
                 .judge = no_warmup});
    t.push_back(
        {.id = "D19",
         .phases = "C",
         .name = "short warmup",
         .signal = "fewer than 10 epochs at 4 pictures per step or fewer, or less than 3 % of all steps",
         .thresholds = {{"epochs", 10, "epochs"}, {"batch", 4, "pictures per step"}, {"share", 0.03, "of all steps"}},
         .severity = "INFO",
         .key = "warmup_steps",
         .fix = "10 to 15 epochs, or a larger batch",
         .report = "checklist",
         .example = {Kind::config, "data=synthetic warmup_steps=5", "data=synthetic warmup_steps=2000"},
         .judge = short_warmup});
    t.push_back({.id = "D20",
                 .phases = "CR",
                 .name = "rate of a group lost",
                 .signal = "rate of the backbone's group over the head's differs from the configuration",
                 .thresholds = {{"relative", 1e-6, "difference"}},
                 .severity = "FAIL",
                 .cause = "a schedule that knows one rate only (OneCycle with a scalar max_lr) writes it to all groups",
                 .key = "backbone_lr",
                 .fix = "a rate per group",
                 .report = "collapse",
                 .note = "The report's script flattens its 0.1x backbone group this way, and does not mention it.",
                 .example = {Kind::config, "backbone_lr=0.1 fault=flat_groups", "backbone_lr=0.1"},
                 .judge = lost_groups});
    std::string stale = table_head, fresh = table_head, burst = table_head, smooth = table_head;
    for (int i = 0; i < 16; ++i) {
        const double planned = 1e-3 * (1 - i / 20.0), held = 1e-3 * (1 - 8 / 20.0),
                     epoch = 1e-3 * (1 - (i / 4 * 4) / 20.0);
        stale += fmt::format("{},{:g},{:g}\n", i + 1, i < 8 ? planned : held, planned);
        burst += fmt::format("{},{:g},{:g}\n", i + 1, epoch, planned);
        fresh += fmt::format("{},{:g},{:g}\n", i + 1, planned, planned);
    }
    smooth = fresh;
    t.push_back({.id = "D21",
                 .phases = "R",
                 .name = "schedule of an old optimizer",
                 .signal = "behind the switch of stages the schedule moves, the rate in force does not",
                 .thresholds = {{"steps", 4, "steps behind the switch"},
                                {"moves", 0.01, "of the rate, that the schedule must move"}},
                 .severity = "FAIL",
                 .cause = "the optimizer was made anew at unfreezing, the schedule holds the old one",
                 .key = "unfreeze_epoch",
                 .fix = "make both anew, or add a group",
                 .report = "collapse",
                 .note = "In the report's script the scheduler keeps the first stage's optimizer: the second stage ran "
                         "at one rate.",
                 .example = {Kind::log, stale, fresh, "switch_step=9"},
                 .judge = stale_scheduler});
    t.push_back({.id = "D22",
                 .phases = "R",
                 .name = "rate stepped in bursts",
                 .signal = "the rate stands still within every epoch where the schedule moves with every step",
                 .severity = "WARN",
                 .cause = "the schedule is stepped at the end of an epoch, as often as the epoch had steps",
                 .key = "schedule",
                 .fix = "one schedule step per optimizer step",
                 .report = "collapse",
                 .note = "So the report's OneCycle ran: constant for an epoch, then all its steps at once.",
                 .example = {Kind::log, burst, smooth, "steps_per_epoch=4"},
                 .judge = bursts});
    t.push_back(
        {.id = "D44",
         .phases = "CR",
         .name = "switch of stages changes the step",
         .signal = "rate per picture behind the switch over that before it outside 0.5 to 2, or the metric halves "
                   "within 2 epochs",
         .thresholds = {{"low", 0.5, ""}, {"high", 2, ""}, {"drop", 0.5, "of the metric"}},
         .severity = "WARN",
         .cause = "the second stage has another batch or rate, or unfreezes everything at once",
         .key = "unfreeze_lr, backbone_lr",
         .fix = "rescale the rate with the batch, unfreeze step by step",
         .report = "collapse",
         .example = {Kind::config, "data=synthetic freeze=backbone unfreeze_epoch=3 unfreeze_lr=0.1 backbone_lr=0.01",
                     "data=synthetic freeze=backbone unfreeze_epoch=3 backbone_lr=0.01"},
         .judge = stage_switch});
    t.push_back({.id = "D68",
                 .phases = "C",
                 .name = "rate for unfreezing a pretrained backbone",
                 .signal = "backbone rate above 0.01 of the head's",
                 .thresholds = {{"ratio", 0.01, "of the head's rate"}},
                 .severity = "WARN",
                 .cause = "large steps destroy what the weights know",
                 .key = "backbone_lr",
                 .fix = "backbone_lr=0.01 or less (1e-6 for a transformer), or layer by layer",
                 .report = "exits",
                 .example = {Kind::log, "epoch,metric\n1,0.3\n2,0.31\n", "epoch,metric\n1,0.3\n2,0.31\n",
                             "pretrained=1 unfreeze_epoch=2 lr=0.0001 group_ratio=1|pretrained=1 unfreeze_epoch=2 "
                             "lr=0.0001 group_ratio=0.01"},
                 .judge = fine_tune_rate});
}

}  // namespace solobox::doctor
