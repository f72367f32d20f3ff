// Rules about the model and its loss as they were built.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "train/doctor/rules.h"

namespace solobox::doctor {
namespace {

using Kind = Example::Kind;

Verdict unsquashed(const Chart& c) {
    double outside = 0;
    if (c.has("decoded_outside"))
        outside = c.number("decoded_outside");
    else
        outside = c.text("decode") == "identity" || c.text("decode") == "none" ? 1 : 0;
    if (outside <= c.limit("share")) return c.pass(outside);
    return c.fire(
        Severity::fail, outside,
        c.has("decoded_outside")
            ? fmt::format("for raw numbers of -8 to 8 {:.0f} % of the decoded ones leave their range (centres 0..1, "
                          "sides from 0): nothing squashes the output, the targets lie in 0..1",
                          100 * outside)
            : fmt::format("decode {}: nothing squashes the output, the targets lie in 0..1", c.text("decode")));
}

Verdict decayed(const Chart& c) {
    const Texts& names = c.texts("decayed_tensors");
    if (names.empty()) return c.pass(0);
    return c.fire(Severity::warn, static_cast<double>(names.size()),
                  fmt::format("{} biases and norms decay, the first {}", names.size(), names.front()));
}

Verdict head_start(const Chart& c) {
    if (c.has("head_bias_applied") && c.number("head_bias_applied") == 0)
        return c.fire(
            Severity::warn, 0,
            fmt::format("the preset {} for the head's bias is not used in the main mode", c.text_or("head_bias", "")));
    const Series& box = c.series("head_start");
    const char* const names[] = {"cx", "cy", "w", "h"};
    for (std::size_t k = 0; k < std::min<std::size_t>(4, box.size()); ++k)
        if (!(box[k] >= c.limit("low") && box[k] <= c.limit("high")))
            return c.fire(Severity::warn, box[k],
                          fmt::format("the head's bias decodes to {}={:.3g}: far from any box", names[k], box[k]));
    return c.pass(box.back());
}

Verdict imbalance(const Chart& c) {
    const Series& terms = c.series("weighted_terms");
    const Texts& names = c.texts("term_names");
    double low = INFINITY, high = 0, total = 0, iou = NAN;
    std::string lowest, highest;
    for (std::size_t i = 0; i < std::min(terms.size(), names.size()); ++i) {
        const double v = std::abs(terms[i]);
        total += v;
        if (v < low) low = v, lowest = names[i];
        if (v > high) high = v, highest = names[i];
        if (names[i].find("iou") != std::string::npos) iou = v;
    }
    if (terms.size() < 2) return c.pass({}, "one term");
    if (high > c.limit("ratio") * low)
        return c.fire(Severity::info, high / low,
                      fmt::format("at the first step {} weighs {:.3g}, {} {:.3g}: {:.0f} times as much", highest, high,
                                  lowest, low, high / low),
                      fmt::format("less weight for {}, or more for {}", highest, lowest));
    if (!std::isnan(iou) && iou < c.limit("iou") * total)
        return c.fire(Severity::info, iou / total,
                      fmt::format("the IoU term is {:.0f} % of the loss at the first step", 100 * iou / total),
                      fmt::format("{:.2g} times its weight", (total / iou - 1) / (1 / c.limit("iou") - 1)));
    return c.pass(high / low);
}

Verdict weights_applied(const Chart& c) {
    const double error = c.number("weight_error");
    if (error <= c.limit("relative")) return c.pass(error);
    return c.fire(Severity::fail, error,
                  fmt::format("moving {} moves the total by another factor than its weight: off by {:.0f} %",
                              c.text_or("weight_error_term", "a term"), 100 * error));
}

Verdict deep_share(const Chart& c) {
    if (c.number("aux_heads") == 0) return c.pass(0, "no auxiliary heads");
    const double weight = c.number("aux_weight");
    double share = NAN;
    if (c.facts().series("weighted_terms") && c.facts().texts("term_names")) {
        double deep = 0, total = 0;
        const Series& terms = c.series("weighted_terms");
        const Texts& names = c.texts("term_names");
        for (std::size_t i = 0; i < std::min(terms.size(), names.size()); ++i) {
            total += std::abs(terms[i]);
            deep += names[i].starts_with("aux") ? std::abs(terms[i]) : 0;
        }
        if (total > 0) share = deep / total;
    }
    if (c.has("reference_lr") && weight >= c.limit("weight") && c.rate_ratio() < c.limit("ratio"))
        return c.fire(Severity::warn, weight,
                      fmt::format("{:g} auxiliary losses at weight {:g} on top of a rate {:.1f}x too small",
                                  c.number("aux_heads"), weight, 1 / c.rate_ratio()));
    if (share > c.limit("share"))
        return c.fire(Severity::warn, share,
                      fmt::format("the auxiliary losses are {:.0f} % of the total", 100 * share));
    return c.pass(std::isnan(share) ? weight : share);
}

Verdict no_norm(const Chart& c) {
    const double depth = c.number("convolutions");
    if (c.text("norm") != "none" || depth <= c.limit("depth")) return c.pass(depth);
    return c.fire(Severity::info, depth,
                  fmt::format("{:g} convolutions one behind the other and no normalisation", depth));
}

Verdict single_scale(const Chart& c) {
    const bool several = c.number("multi_scale") > 0;
    if (several && c.number_or("fixed_input", 0) > 0)
        return c.fire(Severity::fail, 1, "the pictures change their size, but the head's linears take one size of map",
                      "adaptive pooling in front of the linears");
    const std::string kind = c.text("kind");
    if (several || (kind != "detector" && kind != "box")) return c.pass(several ? 1 : 0);
    return c.fire(Severity::info, 0, "all pictures have one size", "multi_scale (sides as 96,112,128), or mosaic");
}

}  // namespace

void add_model_rules(std::vector<Rule>& t) {
    t.push_back({.id = "D05",
                 .phases = "C",
                 .name = "nothing squashes the output",
                 .signal = "targets lie in 0..1 and more than 1 % of decoded numbers leave their range",
                 .thresholds = {{"share", 0.01, "of decoded numbers"}},
                 .severity = "FAIL",
                 .cause = "a linear layer's output is used as a box",
                 .key = "decode",
                 .fix = "decode=sigmoid, or sigmoid_softplus for the sides",
                 .report = "checklist",
                 .example = {Kind::config, "decode=identity head_bias=prior", "decode=sigmoid head_bias=prior"},
                 .judge = unsquashed});
    t.push_back({.id = "D11",
                 .phases = "C",
                 .name = "decay on biases and norms",
                 .signal = "a bias or 1-D tensor in a group with weight decay",
                 .severity = "WARN",
                 .cause = "one group for everything",
                 .key = "decay_all",
                 .fix = "two groups: weights decay, biases and norms do not",
                 .report = "checklist, smoke-test",
                 .example = {Kind::config, "decay_all=true", "decay_all=false"},
                 .judge = decayed});
    t.push_back({.id = "D14",
                 .phases = "C",
                 .name = "head starts far from any box",
                 .signal = "the bias is not applied, or decodes to outside 0.05..0.95",
                 .thresholds = {{"low", 0.05, "of the picture"}, {"high", 0.95, "of the picture"}},
                 .severity = "WARN",
                 .cause = "a preset of another decode, or used in a test mode only",
                 .key = "head_bias",
                 .fix = "the preset that fits the decode (head_bias=prior)",
                 .report = "checklist",
                 .example = {Kind::config, "decode=identity head_bias=zero", "decode=sigmoid head_bias=zero"},
                 .judge = head_start});
    t.push_back(
        {.id = "D23",
         .phases = "C",
         .name = "unequal loss terms",
         .signal =
             "largest over smallest weighted term above 50 at the first step, or the IoU term below 20 % of the loss",
         .thresholds = {{"ratio", 50, ""}, {"iou", 0.2, "of the loss"}},
         .severity = "INFO",
         .cause = "weights of another loss or scale",
         .key = "lambda_coord, lambda_wh, lambda_iou",
         .fix = "weights that make them equal",
         .report = "checklist",
         .example = {Kind::config, "lambda_iou=0.01", "lambda_iou=1.5 lambda_coord=10 lambda_wh=10"},
         .judge = imbalance});
    t.push_back({.id = "D24",
                 .phases = "PR",
                 .name = "loss weight not applied",
                 .signal = "d(total)/d(term), by least squares over random outputs, differs from the configured weight",
                 .thresholds = {{"relative", 0.01, "of the weight"}},
                 .severity = "FAIL",
                 .cause = "the weights are read and not used",
                 .key = "lambda_*, aux_weight",
                 .fix = "multiply the terms by them",
                 .report = "checklist",
                 .example = {Kind::config, "fault=unweighted", "fault=none"},
                 .judge = weights_applied});
    t.push_back({.id = "D25",
                 .phases = "C",
                 .name = "auxiliary losses weigh much",
                 .signal = "weight of 0.4 or more while r of D02 is below 0.5, or more than half of the total",
                 .thresholds = {{"weight", 0.4, ""}, {"ratio", 0.5, "r of D02"}, {"share", 0.5, "of the total"}},
                 .severity = "WARN",
                 .cause = "deep supervision pulls at a trunk that hardly moves",
                 .key = "aux_weight",
                 .fix = "0.2 to 0.4, falling; mend the learning rate first",
                 .report = "collapse",
                 .example = {Kind::config, "model=resnet18 image=32 batch=16 aux_heads=2 aux_weight=2",
                             "model=resnet18 image=32 batch=16 aux_heads=2 aux_weight=0.3"},
                 .judge = deep_share});
    t.push_back({.id = "D70",
                 .phases = "C",
                 .name = "deep without normalisation",
                 .signal = "more than 15 convolutions and no normalisation",
                 .thresholds = {{"depth", 15, "convolutions"}},
                 .severity = "INFO",
                 .cause = "the picture's signal dies on its way",
                 .key = "norm",
                 .fix = "norm=group",
                 .report = "checklist",
                 .note = "With the source's initialisation and without norm the 24 convolutions of the toy pass no "
                         "image signal: the features of different pictures agree to 1e-7. That, not the list in the "
                         "report, is very likely why it stood at IoU 0.44.",
                 .example = {Kind::config, "model=toy width_mult=0.1 image=64 hidden=64 norm=none",
                             "model=toy width_mult=0.1 image=64 hidden=64 norm=group"},
                 .judge = no_norm});
    t.push_back(
        {.id = "D71",
         .phases = "C",
         .name = "one picture size only",
         .signal = "a detector without several sizes or mosaic; FAIL: sizes change and the head takes one map only",
         .severity = "INFO/FAIL",
         .key = "multi_scale",
         .fix = "sides as 96,112,128, or mosaic",
         .report = "checklist",
         .note = "448 and 416 pixels give the toy a map of 7x7, 384 gives 6x6: without adaptive pooling the report's "
                 "own proposal {384, 416, 448} fails.",
         .example = {Kind::config, "image=128", "image=128 multi_scale=96,112,128 data=synthetic"},
         .judge = single_scale});
}

}  // namespace solobox::doctor
