// The five pre-flight tests of the collapse report's script, by its names.
#include <fmt/format.h>

#include <cmath>

#include "train/doctor/rules.h"

namespace solobox::doctor {
namespace {

using Kind = Example::Kind;

Verdict model_output(const Chart& c) {
    const std::string& problem = c.text("output_problem");
    if (!problem.empty()) return c.fire(Severity::fail, {}, problem);
    if (c.has("aux_in_eval") && c.number("aux_in_eval") < c.number_or("aux_heads", 0))
        return c.fire(Severity::fail, c.number("aux_in_eval"),
                      fmt::format("{:g} auxiliary outputs are asked for, evaluation mode gives {:g}",
                                  c.number("aux_heads"), c.number("aux_in_eval")));
    return c.pass();
}

Verdict loss_function(const Chart& c) {
    const double* loss = c.facts().number("loss_value");
    if (!loss) throw Chart::Missing{"loss_value"};
    if (!std::isfinite(*loss)) return c.fire(Severity::fail, *loss, "the loss of random outputs is not finite");
    if (*loss >= c.limit("low") && *loss <= c.limit("high")) return c.pass(*loss);
    return c.fire(Severity::warn, *loss, fmt::format("the loss of random outputs is {:.4g}", *loss));
}

Verdict gradient_flow(const Chart& c) {
    const double total = c.number("probe_grad_total"), largest = c.number("probe_grad_max"),
                 mean = c.number("probe_grad_mean");
    if (!(total > 0)) return c.fire(Severity::fail, total, "no gradient at all");
    if (largest > c.limit("explosion") || !std::isfinite(largest))
        return c.fire(Severity::fail, largest,
                      fmt::format("largest gradient norm of a tensor {:.3g}: explosion", largest));
    if (mean < c.limit("vanishing"))
        return c.fire(Severity::fail, mean, fmt::format("mean gradient norm {:.3g}: vanishing", mean));
    if (largest > c.limit("large"))
        return c.fire(Severity::warn, largest, fmt::format("largest gradient norm of a tensor {:.3g}", largest));
    return c.pass(total);
}

Verdict hyperparameters(const Chart& c) {
    const double r = c.rate_ratio();
    if (r < c.limit("low") * (1 - 1e-9))
        return c.fire(Severity::fail, r, fmt::format("Learning rate is {:.1f}x too small!", 1 / r));
    if (r > c.limit("high") * (1 + 1e-9))
        return c.fire(Severity::fail, r, fmt::format("Learning rate is {:.1f}x too large!", r));
    return c.pass(r);
}

Verdict average(const Chart& c) {
    if (c.number("ema_decay") == 0) throw Chart::Missing{"an average: ema_decay=0"};
    const Texts &missing = c.texts("ema_missing"), &stuck = c.texts("ema_stuck");
    if (!missing.empty())
        return c.fire(Severity::fail, static_cast<double>(missing.size()),
                      fmt::format("{} tensors have no average, the first {}", missing.size(), missing.front()));
    if (!stuck.empty())
        return c.fire(
            Severity::fail, static_cast<double>(stuck.size()),
            fmt::format("the averages of {} trained tensors did not move, the first {}", stuck.size(), stuck.front()));
    return c.pass();
}

}  // namespace

void add_preflight_tests(std::vector<Rule>& t) {
    t.push_back(
        {.id = "T1",
         .phases = "P",
         .name = "Model Output",
         .signal =
             "two pictures of noise in evaluation mode: NaN or infinity, all values equal, auxiliary outputs missing",
         .severity = "FAIL",
         .key = "model",
         .fix = "look at the layers in `solobox model show`",
         .report = "collapse",
         .example = {Kind::config, "model=resnet18 image=32 batch=16 aux_heads=2 fault=aux_silent",
                     "model=resnet18 image=32 batch=16 aux_heads=2"},
         .judge = model_output});
    t.push_back({.id = "T2",
                 .phases = "P",
                 .name = "Loss Function",
                 .signal = "random outputs against random targets: not finite; WARN below 0 or above 100",
                 .thresholds = {{"low", 0, ""}, {"high", 100, ""}},
                 .severity = "WARN/FAIL",
                 .key = "loss",
                 .fix = "look at the weights of the loss terms",
                 .report = "collapse",
                 .example = {Kind::config, "lambda_coord=3000", "lambda_coord=5"},
                 .judge = loss_function});
    t.push_back({.id = "T3",
                 .phases = "P",
                 .name = "Gradient Flow",
                 .signal = "one backward pass with the backbone frozen and one as configured: no gradient, a tensor's "
                           "norm above 1000, a mean below 1e-8; WARN above 100",
                 .thresholds = {{"explosion", 1000, "norm of a tensor"},
                                {"vanishing", 1e-8, "mean norm"},
                                {"large", 100, "norm of a tensor"}},
                 .severity = "WARN/FAIL",
                 .key = "norm, lr0, clip",
                 .fix = "normalisation, other initialisation, clip=5",
                 .report = "collapse",
                 .example = {Kind::config, "lambda_coord=1000000", "lambda_coord=5"},
                 .judge = gradient_flow});
    t.push_back(
        {.id = "T4",
         .phases = "P",
         .name = "Hyperparameters",
         .signal = "r of D02",
         .thresholds = {{"low", 0.5, "too small below"}, {"high", 2, "too large above"}},
         .severity = "FAIL",
         .key = "lr0, batch",
         .fix = "see D02",
         .report = "collapse",
         .example = {Kind::config, "reference=batch=8,lr0=0.00025 batch=128 accumulate=8 lr0=0.0001 warmup_steps=20",
                     "reference=batch=8,lr0=0.00025 batch=128 accumulate=8 lr0=0.004 warmup_steps=20"},
         .judge = hyperparameters});
    t.push_back(
        {.id = "T5",
         .phases = "P",
         .name = "EMA",
         .signal =
             "a step with a frozen backbone, one without: every tensor averaged, averages of trained tensors move",
         .severity = "FAIL",
         .key = "ema_decay",
         .fix = "average every tensor of the state_dict, after every step",
         .report = "collapse",
         .note =
             "The report's EMA test passes on its failing run: that the average lags (D41) is not what it looks at.",
         .example = {Kind::config, "norm=batch batch=16 fault=ema_parameters_only", "norm=batch batch=16"},
         .judge = average});
}

}  // namespace solobox::doctor
