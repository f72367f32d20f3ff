// Rules that watch the steps of a run: gradients, clipping, time, memory.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "train/doctor/curve.h"
#include "train/doctor/rules.h"
#include "train/run/causes.h"

namespace solobox::doctor {
namespace {

using Kind = Example::Kind;

double median(Series values) {
    values.erase(std::remove_if(values.begin(), values.end(), [](double v) { return !std::isfinite(v); }),
                 values.end());
    if (values.empty()) return NAN;
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

Verdict not_finite(const Chart& c) {
    if (c.facts().texts("nonfinite")) {
        const Texts& where = c.texts("nonfinite");
        if (!where.empty())
            return c.fire(Severity::fail, static_cast<double>(where.size()),
                          fmt::format("not finite: {}", where.front()));
    }
    bool seen = c.facts().texts("nonfinite") != nullptr;
    for (const char* fact : {"step_loss", "grad_norm", "train_loss", "val_loss", "metric"}) {
        const Series* values = c.facts().series(fact);
        if (!values) continue;
        seen = true;
        const auto bad = std::find_if(values->begin(), values->end(), [](double v) { return std::isinf(v); });
        if (bad == values->end()) continue;
        // A log may write NaN where nothing was validated: then finite values follow.
        const std::string name = fact;
        const bool validated = name == "val_loss" || name == "metric";
        if (validated && std::any_of(bad, values->end(), [](double v) { return std::isfinite(v); })) continue;
        return c.fire(Severity::fail, {}, fmt::format("{} is not finite in row {}", name, bad - values->begin() + 1));
    }
    if (!seen) throw Chart::Missing{"losses"};
    return c.pass();
}

Verdict gradient_size(const Chart& c) {
    if (c.has("probe_grad_max") && !c.facts().series("grad_norm")) {
        const double largest = c.number("probe_grad_max"), mean = c.number("probe_grad_mean"),
                     total = c.number("probe_grad_total");
        if (total > c.limit("norm") || largest > c.limit("norm"))
            return c.fire(Severity::fail, total, fmt::format("the gradients of one batch have norm {:.3g}", total));
        if (mean < c.limit("vanished"))
            return c.fire(Severity::fail, mean, fmt::format("mean norm of a tensor's gradient: {:.3g}", mean));
        return c.pass(total);
    }
    const Series& norms = c.series("grad_norm");
    const Series* steps = c.facts().series("step");
    const auto step_of = [&](std::size_t i) {
        return steps && i < steps->size() ? (*steps)[i] : static_cast<double>(i + 1);
    };
    const auto window = static_cast<std::size_t>(c.limit("window"));
    for (std::size_t i = 0; i < norms.size(); ++i) {
        if (!(norms[i] > 0)) continue;
        if (norms[i] > c.limit("norm"))
            return c.fire(Severity::fail, norms[i],
                          fmt::format("gradient norm {:.4g} in step {:g}", norms[i], step_of(i)));
        if (i < window) continue;
        const double usual = median(
            {norms.begin() + static_cast<std::ptrdiff_t>(i - window), norms.begin() + static_cast<std::ptrdiff_t>(i)});
        if (norms[i] > c.limit("jump") * usual && norms[i] > c.limit("floor"))
            return c.fire(Severity::fail, norms[i],
                          fmt::format("gradient norm {:.4g} in step {:g}, {:.0f} times the median of the {} before",
                                      norms[i], step_of(i), norms[i] / usual, window));
    }
    if (const Series* means = c.facts().series("mean_grad"))
        for (const double v : *means)
            if (v < c.limit("vanished"))
                return c.fire(
                    Severity::fail, v,
                    fmt::format("the mean norm of a tensor's gradient fell to {:.3g}: nothing is left to learn from",
                                v));
    return c.pass(*std::max_element(norms.begin(), norms.end()));
}

Verdict tight_clip(const Chart& c) {
    const double limit = c.number("clip");
    if (limit <= 0) return c.pass(0, "clipping is off");
    const Series& norms = c.series("grad_norm");
    const auto n = static_cast<std::size_t>(c.limit("steps"));
    if (norms.size() < n) throw Chart::Missing{fmt::format("{} steps", n)};
    const Series last(norms.end() - static_cast<std::ptrdiff_t>(n), norms.end());
    const double share =
                     static_cast<double>(std::count_if(last.begin(), last.end(), [&](double v) { return v > limit; })) /
                     static_cast<double>(n),
                 usual = median(last);
    if (share <= c.limit("share") || limit / usual >= c.limit("ratio")) return c.pass(share);
    return c.fire(Severity::warn, share,
                  fmt::format("{:.0f} % of the last {} steps were clipped, to {:.2g} of their usual gradient ({:.3g}): "
                              "the rate in force is that much smaller",
                              100 * share, n, limit / usual, usual),
                  fmt::format("clip={:.2g} (their usual size), or 0 with Adam", usual));
}

Verdict slower(const Chart& c) {
    Rows seconds;
    if (c.facts().series("epoch_seconds"))
        seconds = c.by_epoch("epoch_seconds");
    else if (c.facts().series("elapsed_seconds")) {
        const Rows elapsed = c.by_epoch("elapsed_seconds");
        // A column "time" that falls is no clock: it holds the seconds of each epoch.
        if (!std::is_sorted(elapsed.begin(), elapsed.end(),
                            [](const auto& a, const auto& b) { return a.second < b.second; }))
            seconds = elapsed;
    }
    if (seconds.empty() && c.facts().series("elapsed_seconds")) {
        double before = 0, epoch_before = 0;
        for (const auto& [epoch, v] : c.by_epoch("elapsed_seconds")) {
            // Looks within an epoch and gaps between rows count by their share.
            if (epoch > epoch_before && v >= before) seconds.emplace_back(epoch, (v - before) / (epoch - epoch_before));
            before = v, epoch_before = epoch;
        }
    }
    Series before;
    for (const auto& [epoch, v] : seconds) {
        constexpr std::size_t recent = 64;  // epochs of the median: older ones tell no more
        const double usual = median(before.size() > recent ? Series(before.end() - recent, before.end()) : before);
        if (before.size() >= 2 && v > c.limit("times") * usual && v > usual + c.limit("seconds"))
            return c.fire(
                Severity::warn, v / usual,
                fmt::format("epoch {:g} took {:.0f} s, {:.0f} times the usual {:.0f} s", epoch, v, v / usual, usual));
        before.push_back(v);
    }
    bool seen = before.size() > 2;
    if (c.facts().series("rss_mb")) {
        const Rows rss = c.by_epoch("rss_mb");
        const auto n = static_cast<std::size_t>(c.limit("epochs"));
        std::size_t growing = 0;
        for (std::size_t i = 1; i < rss.size(); ++i) {
            growing = rss[i].second > (1 + c.limit("growth")) * rss[i - 1].second ? growing + 1 : 0;
            if (growing >= n)
                return c.fire(Severity::warn, rss[i].second,
                              fmt::format("memory grew by more than {:g} % in each of {} epochs, to {:.0f} MB",
                                          100 * c.limit("growth"), n, rss[i].second));
        }
        seen = seen || rss.size() > n;
    }
    if (!seen) throw Chart::Missing{"seconds or memory of some epochs"};
    return c.pass();
}

}  // namespace

void add_run_rules(std::vector<Rule>& t) {
    t.push_back(
        {.id = "D35",
         .phases = "RL",
         .name = "not finite",
         .signal = "NaN or infinity in loss, output, gradient or weight; the first tensor by name and step",
         .severity = "FAIL",
         .cause = "a rate too high, a logarithm or a division at 0",
         .key = "lr0",
         .fix = "a lower rate (lr0 / 10), warmup; check_finite=true names the op; go on from the last good checkpoint",
         .report = "exits, checklist, collapse",
         .example = {Kind::run,
                     "data=synthetic train_images=32 val_images=16 image=32 epochs=1 warmup_steps=0 dropout=0 "
                     "optimizer=SGD lr0=100 clip=0 decode=identity norm=none fault=none",
                     "data=synthetic train_images=32 val_images=16 image=32 epochs=1 warmup_steps=0 dropout=0 "
                     "optimizer=SGD lr0=0.001 clip=0 decode=identity norm=none fault=none"},
         .judge = not_finite});
    t.push_back({.id = "D36",
                 .phases = "PR",
                 .name = "gradients explode or vanish",
                 .signal = "global norm above 1000 or 100 times the running median; mean norm of a tensor below 1e-8",
                 .thresholds = {{"norm", 1000, ""},
                                {"jump", 100, "times the median"},
                                {"window", 50, "steps of the median"},
                                {"floor", 10, "norm below which a jump does not count"},
                                {"vanished", 1e-8, "mean norm"}},
                 .severity = "FAIL",
                 .cause = "rate, initialisation, or a missing norm",
                 .key = "clip, lr0, norm",
                 .fix = cause("vanishing-gradient").cure,
                 .report = "collapse",
                 .example = {Kind::config, "lambda_coord=100000", "lambda_coord=5"},
                 .judge = gradient_size});
    t.push_back(
        {.id = "D37",
         .phases = "R",
         .name = "clipping too tight",
         .signal = "more than half of 100 steps clipped, and the limit below a quarter of the median norm",
         .thresholds = {{"steps", 100, "looked at"},
                        {"share", 0.5, "of the steps"},
                        {"ratio", 0.25, "limit over median norm"}},
         .severity = "WARN",
         .cause = "a limit below the usual gradient is a smaller learning rate in disguise",
         .key = "clip",
         .fix = "the gradient's usual norm, or clip=0 with Adam",
         .report = "checklist (1.0), collapse (1.0), exits (0.1)",
         .example =
             {Kind::run,
              "data=synthetic train_images=800 val_images=16 image=32 warmup_steps=20 epochs=1 dropout=0 clip=0.01",
              "data=synthetic train_images=800 val_images=16 image=32 warmup_steps=20 epochs=1 dropout=0 clip=0"},
         .judge = tight_clip});
    t.push_back({.id = "D55",
                 .phases = "RL",
                 .name = "slower and slower",
                 .signal = "an epoch three times as long as the median of those before, or memory that grows by 2 % an "
                           "epoch for 5 epochs",
                 .thresholds = {{"times", 3, "the median"},
                                {"seconds", 5, "more than the median"},
                                {"growth", 0.02, "of the memory"},
                                {"epochs", 5, ""}},
                 .severity = "WARN",
                 .cause = "a leak, swapping, or something else on the machine",
                 .key = "workers, cache_mb",
                 .fix = "find the leak; `solobox resume` goes on from last",
                 .report = "detector",
                 .note = "979 s to 39,322 s is a factor of 40: no learning rate does that.",
                 .example = {Kind::log, rows_of("epoch,epoch_seconds\n", {979, 985, 990, 982, 39322}),
                             rows_of("epoch,epoch_seconds\n", {979, 985, 990, 982, 991})},
                 .judge = slower});
}

}  // namespace solobox::doctor
