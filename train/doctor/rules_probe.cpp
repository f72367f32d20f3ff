// Rules about what a forward pass, a backward pass and a step of the real model show before training.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "train/doctor/rules.h"
#include "train/run/causes.h"

namespace solobox::doctor {
namespace {

using Kind = Example::Kind;

std::string listed(const Texts& names) {
    if (names.size() <= 3) return fmt::format("{}", fmt::join(names, ", "));
    return fmt::format("{}, {} .. {} ({} tensors)", names[0], names[1], names.back(), names.size());
}

// A list of names that should be empty.
std::function<Verdict(const Chart&)> none_of(std::string fact, Severity severity, std::string what) {
    return [fact = std::move(fact), severity, what = std::move(what)](const Chart& c) {
        const Texts& names = c.texts(fact);
        if (names.empty()) return c.pass(0);
        return c.fire(severity, static_cast<double>(names.size()), fmt::format("{}: {}", what, listed(names)));
    };
}

Verdict blocked(const Chart& c) {
    const double share = c.number("blocked_share");
    if (share <= c.limit("share")) return c.pass(share);
    return c.fire(Severity::fail, share,
                  fmt::format("{:.0f} % of the output numbers are off target and get no gradient at all: something "
                              "between output and loss cuts it off, as a clamp does",
                              100 * share));
}

Verdict silent_aux(const Chart& c) {
    // From tables: a term that is exactly 0 in every validation although training has it.
    bool any = false;
    for (const auto& [name, train] : c.facts().family("train_term.")) {
        const Series* val = c.facts().series("val_term." + name);
        if (!val || !(name.starts_with("aux") || name.starts_with("exit") || name.starts_with("layer"))) continue;
        double mean = 0, count = 0, largest = 0, seen = 0;
        for (const double v : *train)
            if (!std::isnan(v)) mean += v, ++count;
        for (const double v : *val)
            if (!std::isnan(v)) largest = std::max(largest, std::abs(v)), ++seen;
        if (count == 0 || seen == 0) continue;
        any = true;
        if (largest == 0 && mean / count > c.limit("mean"))
            return c.fire(Severity::fail, 0,
                          fmt::format("{} is exactly 0 in every validation, {:.4g} in training: the model leaves this "
                                      "output out in evaluation mode",
                                      name, mean / count));
    }
    if (any && !c.has("aux_in_eval")) return c.pass();
    const double asked = c.number("aux_heads"), given = c.number("aux_in_eval");
    if (asked == 0) return c.pass(0, "no auxiliary outputs");
    if (given >= asked) return c.pass(given);
    return c.fire(Severity::fail, given,
                  fmt::format("{:g} auxiliary outputs are asked for, evaluation mode gives {:g}", asked, given));
}

Verdict detached_aux(const Chart& c) {
    if (c.number("aux_heads") == 0) return c.pass({}, "no auxiliary losses");
    const double norm = c.number("aux_gradient");
    if (norm > c.limit("norm")) return c.pass(norm);
    return c.fire(Severity::warn, norm,
                  "the auxiliary losses leave no gradient in the trunk: they train their own heads and nothing else");
}

Verdict exit_index(const Chart& c) {
    const double difference = c.number("exit_difference");
    if (difference <= c.limit("relative")) return c.pass(difference);
    return c.fire(
        Severity::warn, difference,
        fmt::format(
            "an exit reads something else than the output of the block it is named after (relative difference {:.2g})",
            difference));
}

Verdict average_incomplete(const Chart& c) {
    const Texts& missing = c.texts("ema_missing");
    if (!missing.empty())
        return c.fire(Severity::warn, static_cast<double>(missing.size()),
                      fmt::format("not averaged: {}", listed(missing)));
    const double skipped = c.number("ema_skipped");
    if (skipped == 0) return c.pass(0);
    return c.fire(Severity::warn, skipped,
                  fmt::format("{:g} optimizer steps went by without an update of the average", skipped));
}

Verdict cannot_overfit(const Chart& c) {
    // An overfit run has judged itself, with the network at hand.
    if (c.has("overfit_verdict")) {
        const double score = c.number_or("overfit_iou", c.number_or("overfit_loss_share", NAN));
        const std::optional<double> value = std::isnan(score) ? std::nullopt : std::optional(score);
        if (c.text("overfit_verdict") == "pass") return c.pass(value, "its verdict: pass");
        return c.fire(Severity::fail, value, "its verdict: fail. " + c.text_or("overfit_reason", ""),
                      c.text_or("overfit_cure", ""));
    }
    if (c.has("overfit_iou") && c.number("overfit_iou") < c.limit("iou"))
        return c.fire(
            Severity::fail, c.number("overfit_iou"),
            fmt::format("8 pictures could not be learned by heart: mean IoU {:.3f}", c.number("overfit_iou")));
    if (!c.has("overfit_iou")) (void)c.number("overfit_loss_share");
    if (c.has("overfit_loss_share") && c.number("overfit_loss_share") > c.limit("loss"))
        return c.fire(Severity::fail, c.number("overfit_loss_share"),
                      fmt::format("8 pictures could not be learned by heart: {:.0f} % of the first loss is left",
                                  100 * c.number("overfit_loss_share")));
    return c.pass(c.has("overfit_iou") ? c.number("overfit_iou") : c.number("overfit_loss_share"));
}

Verdict batch_in_metric(const Chart& c) {
    if (c.has("undecoded_share") && c.number("undecoded_share") > c.limit("undecoded"))
        return c.fire(Severity::warn, c.number("undecoded_share"),
                      fmt::format("{:.0f} % of the boxes given to the metric lie outside the picture: raw outputs?",
                                  100 * c.number("undecoded_share")));
    const double change = c.number("metric_batch_change");
    if (change <= c.limit("change")) return c.pass(change);
    return c.fire(Severity::warn, change,
                  fmt::format("the metric changes by {:.3g} with the size of the validation batch", change));
}

Verdict bad_targets(const Chart& c) {
    if (c.has("target_rows") && c.has("mask_rows") && c.number("target_rows") != c.number("mask_rows"))
        return c.fire(Severity::fail, c.number("target_rows"),
                      fmt::format("{:g} target rows, {:g} mask rows", c.number("target_rows"), c.number("mask_rows")));
    if (c.has("target_rows") && c.has("mask_rows") && !c.has("bad_targets")) return c.pass(c.number("target_rows"));
    const double bad = c.number("bad_targets");
    if (bad == 0) return c.pass(0);
    return c.fire(
        Severity::fail, bad,
        fmt::format("{:g} target boxes of a training batch have no area, lie outside the picture or are not finite",
                    bad));
}

}  // namespace

void add_probe_rules(std::vector<Rule>& t) {
    t.push_back(
        {.id = "D06",
         .phases = "PR",
         .name = "gradient blocked in front of the loss",
         .signal = "output numbers that are off target and receive a gradient of exactly 0, above 5 %",
         .thresholds = {{"share", cause("clamped").limit, "of output numbers"}},
         .severity = "FAIL",
         .cause = "the loss is computed on clamped outputs",
         .key = "clamp_before_loss",
         .fix = cause("clamped").cure,
         .report = "checklist",
         .example = {Kind::config, "decode=identity clamp_before_loss=true", "decode=identity clamp_before_loss=false"},
         .judge = blocked});
    t.push_back({.id = "D26",
                 .phases = "PR",
                 .name = "auxiliary losses are zero in validation",
                 .signal = "an auxiliary term exactly 0.0 in whole validations while its training mean is above 1e-3, "
                           "or fewer outputs in evaluation mode than asked for",
                 .thresholds = {{"mean", 1e-3, "of the term in training"}},
                 .severity = "FAIL",
                 .cause = "the model gives its auxiliary outputs in training mode only",
                 .key = "aux_heads",
                 .fix = "ask for all outputs in validation, do not key on the training flag",
                 .report = "exits",
                 .example = {Kind::config, "model=resnet18 image=32 batch=16 aux_heads=2 fault=aux_silent",
                             "model=resnet18 image=32 batch=16 aux_heads=2"},
                 .judge = silent_aux});
    t.push_back({.id = "D27",
                 .phases = "PR",
                 .name = "auxiliary loss without gradient",
                 .signal = "the trunk's gradient from the auxiliary losses alone is zero",
                 .thresholds = {{"norm", 0, "of the gradient"}},
                 .severity = "WARN",
                 .cause = "a detached balance or auxiliary term: it is a number in the log and nothing more",
                 .key = "aux_weight",
                 .fix = "compute it from tracked values (a differentiable balance loss)",
                 .report = "collapse",
                 .note = "The report's balance loss is computed from detached gates: its weight changes nothing.",
                 .example = {Kind::config, "model=resnet18 image=32 batch=16 aux_heads=2 fault=aux_detached",
                             "model=resnet18 image=32 batch=16 aux_heads=2"},
                 .judge = detached_aux});
    t.push_back({.id = "D30",
                 .phases = "PR",
                 .name = "frozen parameter trains",
                 .signal = "a frozen parameter has a gradient, changes in a step, or is in the optimizer",
                 .severity = "FAIL",
                 .cause = "freezing set a flag that nobody reads, or weight decay still moves it",
                 .key = "freeze",
                 .fix = "take it out of the optimizer",
                 .report = "exits, collapse",
                 .example = {Kind::config, "freeze=backbone fault=frozen_trains", "freeze=backbone"},
                 .judge = none_of("frozen_moved", Severity::fail, "frozen, and yet trained")});
    t.push_back({.id = "D31",
                 .phases = "PR",
                 .name = "trainable parameter gets nothing",
                 .signal = "no gradient, or zeros only, in two batches",
                 .severity = "FAIL",
                 .cause = "the graph is cut in front of it, or what follows is zero",
                 .key = "model",
                 .fix = cause("detached").cure,
                 .report = "exits, checklist",
                 .note = "One batch is not enough to tell: a residual block whose last norm starts at 0 "
                         "(zero_init_residual) gives its convolutions a gradient from the second step on.",
                 .example = {Kind::config, "fault=cut", "fault=none"},
                 .judge = none_of("starved", Severity::fail, "trainable without any gradient")});
    t.push_back({.id = "D32",
                 .phases = "PR",
                 .name = "trainable parameter outside the optimizer",
                 .signal = "trainable parameters that the optimizer does not hold",
                 .severity = "FAIL",
                 .cause = "unfrozen after the optimizer was made",
                 .key = "unfreeze_epoch",
                 .fix = "make the groups anew, or add one",
                 .report = "checklist, collapse",
                 .example = {Kind::config, "freeze=backbone unfreeze_epoch=2 backbone_lr=0.01 fault=forgotten",
                             "freeze=backbone unfreeze_epoch=2 backbone_lr=0.01"},
                 .judge = none_of("unoptimised", Severity::fail, "trainable, but the optimizer does not hold")});
    t.push_back({.id = "D33",
                 .phases = "P",
                 .name = "exit index off by one",
                 .signal = "an exit's input differs from the output of its block",
                 .thresholds = {{"relative", 1e-6, "difference"}},
                 .severity = "WARN",
                 .cause = "hidden states count the embedding as number 0",
                 .key = "aux_heads",
                 .fix = "index k, not k-1",
                 .report = "exits",
                 .note = "The report says exits 8, 10 and 12: its code reads hidden_states[k-1], the outputs of blocks "
                         "7, 9 and 11.",
                 .example = {Kind::config, "model=resnet18 image=32 batch=16 aux_heads=2 fault=aux_shifted",
                             "model=resnet18 image=32 batch=16 aux_heads=2"},
                 .judge = exit_index});
    t.push_back(
        {.id = "D42",
         .phases = "PR",
         .name = "average misses something",
         .signal = "running statistics that are not averaged, or steps without an update of the average",
         .severity = "WARN",
         .cause =
             "only parameters are averaged, or the last, incomplete accumulation of an epoch steps without an update",
         .key = "ema_decay",
         .fix = "include the buffers; update after every step",
         .report = "collapse",
         .note = "The report's average skips buffers: averaged weights were validated with live BatchNorm statistics.",
         .example = {Kind::config, "norm=batch batch=16 fault=ema_parameters_only", "norm=batch batch=16"},
         .judge = average_incomplete});
    t.push_back({.id = "D56",
                 .phases = "R",
                 .name = "targets that no assigner can use",
                 .signal = "boxes of a training batch without area, outside the picture or not finite; target and mask "
                           "rows differ in number",
                 .severity = "FAIL",
                 .cause = "an augmentation leaves degenerate boxes behind",
                 .key = "min_visible, degrees, mosaic",
                 .fix = "drop degenerate boxes; switch augmentations off one by one",
                 .report = "detector",
                 .example = {Kind::run,
                             "data=synthetic train_images=32 val_images=16 image=32 epochs=1 warmup_steps=1 dropout=0 "
                             "fault=degenerate_boxes",
                             "data=synthetic train_images=32 val_images=16 image=32 epochs=1 warmup_steps=1 dropout=0"},
                 .judge = bad_targets});
    t.push_back({.id = "D64",
                 .phases = "P",
                 .name = "cannot overfit",
                 .signal = "8 pictures by heart: mean IoU below 0.9, or more than 5 % of the first loss left",
                 .thresholds = {{"iou", 0.9, ""}, {"loss", 0.05, "of the first loss"}},
                 .severity = "FAIL",
                 .cause = "what overfit says of it; most often a bug between the picture and the loss",
                 .key = "model, loss",
                 .fix = "mend the model or the loss before any other key: `solobox overfit` says where",
                 .report = "checklist",
                 .example = {Kind::overfit, "image=64 head_bias=zero lr0=0.0000001", "image=64"},
                 .judge = cannot_overfit});
    t.push_back({.id = "D65",
                 .phases = "P",
                 .name = "metric depends on the batch",
                 .signal = "the validation metric changes with the validation batch by more than 1e-6, or sees boxes "
                           "that were not decoded",
                 .thresholds = {{"change", 1e-6, "of the metric"}, {"undecoded", 0.05, "of the boxes"}},
                 .severity = "WARN",
                 .cause = "a mean of batch means, statistics of the batch in evaluation, or raw outputs in the metric",
                 .key = "norm",
                 .fix = "decode; a mean over pictures, the model in evaluation mode",
                 .report = "checklist, collapse",
                 .note = "The report averages batch means: its last, smaller batch weighs as much as the others.",
                 .example = {Kind::config, "norm=batch batch=16 fault=batch_metric", "norm=batch batch=16"},
                 .judge = batch_in_metric});
    t.push_back(
        {.id = "D72",
         .phases = "R",
         .name = "mask target interpolated",
         .signal = "a resized binary mask has values between 0 and 1",
         .thresholds = {{"share", 0, "of its values"}},
         .severity = "WARN",
         .cause = "the mask is resized like a picture",
         .fix = "nearest neighbour for masks",
         .report = "collapse",
         .example = {Kind::log, "epoch,metric\n1,0.1\n", "epoch,metric\n1,0.1\n", "mask_between=0.07|mask_between=0"},
         .judge = [](const Chart& c) {
             const double share = c.number("mask_between");
             if (share <= c.limit("share")) return c.pass(share);
             return c.fire(Severity::warn, share,
                           fmt::format("{:.1f} % of a binary mask lie between 0 and 1", 100 * share));
         }});
}

}  // namespace solobox::doctor
