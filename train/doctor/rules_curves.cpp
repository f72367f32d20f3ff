// Rules that read a finished run's curves, and compare it with another.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "train/doctor/curve.h"
#include "train/doctor/rules.h"

namespace solobox::doctor {
namespace {

using Kind = Example::Kind;

Verdict deeper_worse(const Chart& c) {
    const auto exits = c.facts().family("exit_loss.");
    if (exits.size() < 2) throw Chart::Missing{"exit_loss.* of two exits"};
    for (std::size_t i = 1; i < exits.size(); ++i) {
        const auto last = [](const Series& s) {
            for (auto v = s.rbegin(); v != s.rend(); ++v)
                if (!std::isnan(*v)) return *v;
            return std::nan("");
        };
        const double shallow = last(*exits[i - 1].second), deep = last(*exits[i].second);
        if (deep > shallow)
            return c.fire(Severity::info, deep,
                          fmt::format("exit {} has a loss of {:.4f}, the shallower exit {} {:.4f}", exits[i].first,
                                      deep, exits[i - 1].first, shallow));
    }
    return c.pass();
}

Verdict no_average(const Chart& c) {
    if (c.number("ema_decay") > 0) return c.pass(c.number("ema_decay"));
    const Rows rows = c.by_epoch("metric");
    if (rows.size() < 3 || rows.back().second < rows.front().second) return c.pass(0, "not stable enough to say");
    return c.fire(Severity::info, 0, "training is stable and no average of the weights is kept");
}

Verdict overfitting(const Chart& c) {
    if (c.facts().series("train_metric") && c.facts().series("metric")) {
        const double gap = c.last_of("train_metric") - c.last_of("metric");
        if (gap > c.limit("gap"))
            return c.fire(Severity::warn, gap, fmt::format("the metric is {:.3f} higher on training pictures", gap));
    }
    const Rows val = c.by_epoch("val_loss"), train = c.by_epoch("train_loss");
    if (val.size() < 3 || train.size() < 2) throw Chart::Missing{"3 validations"};
    // Both curves with their noise: a validation loss that wavers is not rising, nor a training loss falling.
    const Rows smooth = smoothed(val);
    std::size_t best = 0, rises = 0;
    for (std::size_t i = 1; i < val.size(); ++i) {
        if (smooth[i].second < smooth[best].second) best = i;
        rises = val[i].second > val[i - 1].second ? rises + 1 : 0;
    }
    const double late = level_at_end(val), ratio = late / smooth[best].second;
    // Training loss since the best validation: falling means that the two part.
    double then = train.front().second;
    for (const auto& [epoch, v] : smoothed(train))
        if (epoch <= smooth[best].first) then = v;
    const bool falls = then - level_at_end(train) > 2 * noise_of(train);
    const bool apart = late - smooth[best].second > 2 * noise_of(val);
    const bool rising = rises >= static_cast<std::size_t>(c.limit("rises")) && ratio > 1;
    if (!falls || !apart || !(smooth[best].second > 0) || (!rising && ratio <= c.limit("ratio"))) return c.pass(ratio);
    return c.fire(Severity::warn, ratio,
                  fmt::format("the validation loss was {:.4f} in epoch {:g} and is {:.4f} ({:.4f} times that) while "
                              "the training loss fell from {:.4f} to {:.4f}",
                              smooth[best].second, smooth[best].first, late, ratio, then, level_at_end(train)));
}

Verdict best_epoch(const Chart& c) {
    const bool scored = c.facts().series("metric") != nullptr;
    const Rows rows = c.by_epoch(scored ? "metric" : "val_loss");
    if (rows.size() < 2) throw Chart::Missing{"two validations"};
    const auto better = [scored](const auto& a, const auto& b) {
        return scored ? a.second < b.second : a.second > b.second;
    };
    // The last of equals: the later epoch is as good.
    auto best = rows.begin();
    for (auto r = rows.begin(); r != rows.end(); ++r)
        if (!better(*r, *best)) best = r;
    // What lies within the noise is as good.
    const double behind = std::abs(best->second - level_at_end(rows));
    if (best == rows.end() - 1 ||
        (rows.size() >= 10 && behind <= std::max(3 * noise_of(rows), 0.01 * std::abs(best->second))))
        return c.pass(best->first);
    const double budget = best->first + c.number_or("patience", 0);
    return c.fire(
        Severity::info, best->first,
        fmt::format("best {} {:.4g} in epoch {:g}; {:.4g} in the last, {:g}", scored ? "metric" : "validation loss",
                    best->second, best->first, rows.back().second, rows.back().first),
        budget > best->first ? fmt::format("use the checkpoint of epoch {:g}; {:g} to {:g} epochs are enough",
                                           best->first, best->first, budget)
                             : fmt::format("use the checkpoint of epoch {:g}", best->first));
}

Verdict one_loss_overfits(const Chart& c) {
    bool seen = false;
    for (const auto& [name, train] : c.facts().family("train_term.")) {
        if (!c.facts().series("val_term." + name)) continue;
        const Rows t = c.by_epoch("train_term." + name), v = c.by_epoch("val_term." + name);
        if (!(t.back().second > 0)) continue;
        seen = true;
        const double ratio = v.back().second / t.back().second;
        const bool rising = v.size() < 2 || v.back().second > v.front().second ||
                            v.back().second > std::min_element(v.begin(), v.end(), [](const auto& a, const auto& b) {
                                                  return a.second < b.second;
                                              })->second;
        if (ratio > c.limit("ratio") && rising)
            return c.fire(Severity::warn, ratio,
                          fmt::format("{}: {:.4g} in validation, {:.4g} in training, {:.1f} times as much", name,
                                      v.back().second, t.back().second, ratio));
    }
    if (!seen) throw Chart::Missing{"train_term.* and val_term.*"};
    return c.pass();
}

// How a term changed from the baseline's last value: as it was logged, and per weight. "" where the logs do not tell.
std::string change_of(const Chart& c, const std::string& part, const std::string& name, double gain, double base) {
    const Series *now = c.facts().series(part + "_term." + name),
                 *then = c.facts().series("baseline_" + part + "_term." + name);
    if (!now || !then) return "";
    double a = NAN, b = NAN;
    for (const double v : *now) a = std::isnan(v) ? a : v;
    for (const double v : *then) b = std::isnan(v) ? b : v;
    if (!(b > 0) || std::isnan(a) || !(gain > 0) || !(base > 0)) return "";
    return fmt::format("; in {} {:+.0f} % as logged, {:+.1f} % per weight", part == "train" ? "training" : "validation",
                       100 * (a / b - 1), 100 * (a / gain / (b / base) - 1));
}

Verdict other_gains(const Chart& c) {
    bool seen = false;
    for (const auto& [name, gain] : c.facts().family("gain.")) {
        const Series* base = c.facts().series("baseline_gain." + name);
        if (!base || base->empty() || gain->empty()) continue;
        seen = true;
        if (gain->front() != base->front())
            return c.fire(Severity::warn, gain->front(),
                          fmt::format("the weight of {} is {:g} here and {:g} in the baseline: compare {} / weight{}{}",
                                      name, gain->front(), base->front(), name,
                                      change_of(c, "train", name, gain->front(), base->front()),
                                      change_of(c, "val", name, gain->front(), base->front())));
    }
    if (!seen) throw Chart::Missing{"gain.* and baseline_gain.*"};
    return c.pass();
}

Verdict regression(const Chart& c) {
    double last = -INFINITY;  // the best of both: a run is no worse than itself
    for (const auto& [epoch, v] : c.by_epoch("metric")) last = std::max(last, v);
    const double base = c.number("baseline_metric");
    if (last >= c.limit("share") * base) return c.pass(last / base);
    return c.fire(
        Severity::fail, last / base,
        fmt::format("best metric {:.4g}, the baseline had {:.4g} ({:+.0f} %)", last, base, 100 * (last / base - 1)));
}

// Keys that belong to one decision.
std::string group_of(const std::string& key) {
    static const std::map<std::string, std::string> groups{{"hsv_h", "colour"},
                                                           {"hsv_s", "colour"},
                                                           {"hsv_v", "colour"},
                                                           {"brightness", "colour"},
                                                           {"contrast", "colour"},
                                                           {"saturation", "colour"},
                                                           {"degrees", "geometry"},
                                                           {"translate", "geometry"},
                                                           {"scale", "geometry"},
                                                           {"fliplr", "geometry"},
                                                           {"flipud", "geometry"},
                                                           {"shear", "geometry"},
                                                           {"mosaic", "mixing"},
                                                           {"mixup", "mixing"},
                                                           {"box", "loss"},
                                                           {"cls", "loss"},
                                                           {"dfl", "loss"},
                                                           {"lambda_coord", "loss"},
                                                           {"lambda_wh", "loss"},
                                                           {"lambda_iou", "loss"},
                                                           {"loss", "loss"},
                                                           {"lr0", "rate"},
                                                           {"lr", "rate"},
                                                           {"lrf", "rate"},
                                                           {"schedule", "rate"},
                                                           {"warmup_steps", "rate"},
                                                           {"warmup_epochs", "rate"},
                                                           {"optimizer", "rate"},
                                                           {"momentum", "rate"},
                                                           {"batch", "batch"},
                                                           {"accumulate", "batch"},
                                                           {"epochs", "length"},
                                                           {"patience", "length"}};
    const auto found = groups.find(key);
    return found == groups.end() ? key : found->second;
}

Verdict many_changes(const Chart& c) {
    const Texts& changed = c.texts("changed_keys");
    if (c.has("blamed_keys"))
        for (const std::string& key : c.texts("blamed_keys")) {
            const bool is_change = std::find(changed.begin(), changed.end(), key) != changed.end();
            const Texts* defaults = c.facts().texts("default_keys");
            const bool is_default = defaults && std::find(defaults->begin(), defaults->end(), key) != defaults->end();
            if (!is_change || is_default)
                return c.fire(Severity::warn, static_cast<double>(changed.size()),
                              fmt::format("{} is held responsible, but {}; what differs: {}", key,
                                          is_default ? "it has its default value" : "it did not change",
                                          fmt::join(changed, ", ")));
        }
    std::set<std::string> groups;
    for (const std::string& key : changed) groups.insert(group_of(key));
    if (groups.size() <= static_cast<std::size_t>(c.limit("groups"))) return c.pass(static_cast<double>(groups.size()));
    return c.fire(Severity::warn, static_cast<double>(groups.size()),
                  fmt::format("{} things changed at once ({}): {}", groups.size(), fmt::join(groups, ", "),
                              fmt::join(changed, ", ")));
}

Verdict low_recall(const Chart& c) {
    const double recall = c.last_of("recall"), precision = c.last_of("precision");
    if (!(recall < c.limit("recall") && precision > c.limit("precision"))) return c.pass(recall);
    return c.fire(Severity::info, recall,
                  fmt::format("recall {:.3f} with precision {:.3f}: what is found is right, most is not found", recall,
                              precision));
}

}  // namespace

void add_curve_rules(std::vector<Rule>& t) {
    t.push_back({.id = "D34",
                 .phases = "L",
                 .name = "deeper exit worse",
                 .signal = "the loss of an exit above that of a shallower one",
                 .severity = "INFO",
                 .cause = "exits share a rate that fits one of them",
                 .key = "aux_weight",
                 .fix = "look at rate and norm of each exit",
                 .report = "exits",
                 .note = "The report says losses fall with depth: 0.2649 at exit 8 is below 0.3009 at exit 10.",
                 .example = {Kind::log, "epoch,exit_loss.8,exit_loss.10\n15,0.2649,0.3009\n",
                             "epoch,exit_loss.8,exit_loss.10\n15,0.3009,0.2649\n"},
                 .judge = deeper_worse});
    t.push_back({.id = "D43",
                 .phases = "L",
                 .name = "no average",
                 .signal = "stable training without averaged weights",
                 .severity = "INFO",
                 .key = "ema_decay",
                 .fix = "ema_decay=0.999 (often 1 to 2 % IoU)",
                 .report = "checklist",
                 .example = {Kind::log, "epoch,metric\n1,0.3\n2,0.4\n3,0.5\n", "epoch,metric\n1,0.3\n2,0.4\n3,0.5\n",
                             "ema_decay=0|ema_decay=0.999"},
                 .judge = no_average});
    t.push_back(
        {.id = "D46",
         .phases = "L",
         .name = "overfitting",
         .signal = "validation loss rising 3 times in a row at the end, or above 1.02 of its best, by more than its "
                   "noise, while the training loss falls by more than its own; or the metric 0.15 higher in training",
         .thresholds = {{"rises", 3, "in a row"}, {"ratio", 1.02, "of the best"}, {"gap", 0.15, "of the metric"}},
         .severity = "WARN",
         .cause = "the pictures are learned by heart",
         .key = "epochs, weight_decay, fliplr",
         .fix = "best checkpoint, earlier stop, more augmentation",
         .report = "exits, detector",
         .note =
             "The report sees no overfitting and best validation in epoch 6 in one breath: 8.2039 / 7.9902 = 1.0267.",
         .example = {Kind::log, "epoch,train_loss,val_loss\n1,7.4913,8.3527\n6,6,7.9902\n15,4.8634,8.2039\n",
                     "epoch,train_loss,val_loss\n1,7.4913,8.3527\n6,6,7.9902\n15,4.8634,7.9\n"},
         .judge = overfitting});
    t.push_back({.id = "D47",
                 .phases = "L",
                 .name = "best epoch is not the last",
                 .signal = "epoch, value and gap; a gap within the noise is none",
                 .severity = "INFO",
                 .key = "patience",
                 .fix = "use the best checkpoint",
                 .report = "exits (6 of 15), detector (12 of 15)",
                 .example = {Kind::log, "epoch,val_loss\n1,8.3527\n6,7.9902\n15,8.2039\n",
                             "epoch,val_loss\n1,8.3527\n6,7.9902\n15,7.9\n"},
                 .judge = best_epoch});
    t.push_back({.id = "D48",
                 .phases = "L",
                 .name = "one loss overfits",
                 .signal = "a term above 3 times its training value in validation, and rising",
                 .thresholds = {{"ratio", 3, "of the training value"}},
                 .severity = "WARN",
                 .cause = "one head learns by heart",
                 .fix = "augmentation, class prior",
                 .report = "detector",
                 .note = "5.139 / 0.929 = 5.5.",
                 .example = {Kind::log, "epoch,train_term.cls,val_term.cls\n1,2,3.78\n15,0.929,5.139\n",
                             "epoch,train_term.cls,val_term.cls\n1,2,3.78\n15,0.929,1.1\n"},
                 .judge = one_loss_overfits});
    t.push_back({.id = "D49",
                 .phases = "L",
                 .name = "losses not comparable",
                 .signal = "two runs with other loss weights or reductions",
                 .severity = "WARN",
                 .cause = "a loss of another weight is another unit",
                 .key = "lambda_*",
                 .fix = "divide by the weight",
                 .report = "detector",
                 .note = "The report's box loss fell by 40 %: its weight fell from 7.5 to 5.0. Per weight it is -12.0 "
                         "% in training, -1.6 % in validation.",
                 .example = {Kind::foreign, "gain.box: 5.0\nbaseline_gain.box: 7.5\n",
                             "gain.box: 7.5\nbaseline_gain.box: 7.5\n"},
                 .judge = other_gains});
    t.push_back({.id = "D50",
                 .phases = "L",
                 .name = "worse than the baseline",
                 .signal = "best primary metric below 0.9 of the baseline's best",
                 .thresholds = {{"share", 0.9, "of the baseline"}},
                 .severity = "FAIL",
                 .fix = "back to the baseline, then one change at a time",
                 .report = "detector",
                 .note = "0.082 against 0.154 is -47 %.",
                 .example = {Kind::log, "epoch,metric\n1,0.042\n15,0.082\n", "epoch,metric\n1,0.042\n15,0.16\n",
                             "baseline_metric=0.154"},
                 .judge = regression});
    t.push_back(
        {.id = "D51",
         .phases = "L",
         .name = "many changes at once",
         .signal = "more than one group of keys differs from the baseline, or a key is blamed that did not change",
         .thresholds = {{"groups", 1, "of keys"}},
         .severity = "WARN",
         .cause = "no change can be told from the others",
         .fix = "one change at a time",
         .report = "detector",
         .note = "The report blames degrees=0 and mixup=0: those are the defaults, the baseline had them too. What "
                 "differs is box, hsv_h, hsv_s, hsv_v and epochs.",
         .example = {Kind::foreign, "changed_keys: [box, hsv_h, hsv_s, hsv_v, epochs]\nblamed_keys: [degrees, mixup]\n",
                     "changed_keys: [box]\n"},
         .judge = many_changes});
    t.push_back(
        {.id = "D53",
         .phases = "L",
         .name = "low recall with high precision",
         .signal = "recall below 0.2 and precision above 0.4",
         .thresholds = {{"recall", 0.2, ""}, {"precision", 0.4, ""}},
         .severity = "INFO",
         .cause = "the threshold hides what was found",
         .fix = "lower confidence threshold, larger input, tiles, F2 as the threshold's criterion",
         .report = "detector",
         .example = {Kind::log, "epoch,precision,recall\n15,0.499,0.052\n", "epoch,precision,recall\n15,0.499,0.4\n"},
         .judge = low_recall});
}

}  // namespace solobox::doctor
