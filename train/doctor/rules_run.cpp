// Rules that watch a run while it goes: gradients, collapse, averages, time.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "train/doctor/rules.h"

namespace solobox::doctor {
namespace {

using Kind = Example::Kind;
using Rows = std::vector<std::pair<double, double>>;

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
        if (bad != values->end())
            return c.fire(Severity::fail, {},
                          fmt::format("{} is not finite in row {}", fact, bad - values->begin() + 1));
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
    const auto window = static_cast<std::size_t>(c.limit("window"));
    for (std::size_t i = 0; i < norms.size(); ++i) {
        if (!(norms[i] > 0)) continue;
        if (norms[i] > c.limit("norm"))
            return c.fire(Severity::fail, norms[i], fmt::format("gradient norm {:.4g} in step {}", norms[i], i + 1));
        if (i < window) continue;
        const double usual = median(
            {norms.begin() + static_cast<std::ptrdiff_t>(i - window), norms.begin() + static_cast<std::ptrdiff_t>(i)});
        if (norms[i] > c.limit("jump") * usual && norms[i] > c.limit("floor"))
            return c.fire(Severity::fail, norms[i],
                          fmt::format("gradient norm {:.4g} in step {}, {:.0f} times the median of the {} before",
                                      norms[i], i + 1, norms[i] / usual, window));
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
                              100 * share, n, limit / usual, usual));
}

Verdict early_drop(const Chart& c) {
    const Rows rows = c.by_epoch("metric");
    double first = NAN, worst = INFINITY;
    for (const auto& [epoch, v] : rows) {
        if (epoch == 1) first = v;
        if ((epoch == 2 || epoch == 3) && v < worst) worst = v;
    }
    if (std::isnan(first) || std::isinf(worst)) throw Chart::Missing{"metric of epochs 1 and 2"};
    if (!(first > 0)) throw Chart::Missing{"a metric above 0 in epoch 1"};
    const double share = worst / first;
    if (share >= c.limit("warn")) return c.pass(share);
    std::string changes;
    for (const auto& [epoch, v] : rows)
        if (epoch == 2 || epoch == 3)
            changes += fmt::format("{}{:.4g} in epoch {:g} ({:+.1f} %)", changes.empty() ? "" : ", ", v, epoch,
                                   100 * (v / first - 1));
    return c.fire(share < c.limit("fail") ? Severity::fail : Severity::warn, share,
                  fmt::format("the metric was {:.4g} in epoch 1 and is {}", first, changes));
}

Verdict stuck(const Chart& c) {
    const Rows rows = c.by_epoch("metric");
    const double last = rows.back().first, window = c.limit("epochs"), first = rows.front().second;
    if (last < window || rows.front().first != 1) throw Chart::Missing{fmt::format("{:g} epochs", window)};
    double best = -INFINITY;
    for (const auto& [epoch, v] : rows)
        if (epoch > std::max(1.0, last - window)) best = std::max(best, v);
    // Close to what can be reached at all there is no 5 % left to gain.
    const double top =
        *std::max_element(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.second < b.second; }) ==
                    rows.front() &&
                first <= 1 && c.limit("gain") * first > 1
            ? 1
            : INFINITY;
    if (std::isinf(best) || first <= 0 || top == 1) return c.pass(first);
    if (best >= c.limit("gain") * first) return c.pass(best / first);
    return c.fire(Severity::warn, best / first,
                  fmt::format("best metric of the last {:g} epochs {:.4g}, in epoch 1 {:.4g}: nothing was learned",
                              window, best, first));
}

Verdict collapse(const Chart& c) {
    bool seen = false;
    if (const Series* share = c.facts().series("positive_fraction"); share && !share->empty()) {
        seen = true;
        const double v = share->back();
        if (v < c.limit("none") || v > 1 - c.limit("none"))
            return c.fire(Severity::fail, v,
                          fmt::format("{:.3g} of the predictions are positive: one answer for everything", v));
    }
    if (const Series* spread = c.facts().series("spread")) {
        Series known;
        for (const double v : *spread)
            if (!std::isnan(v)) known.push_back(v);
        const auto rows = static_cast<std::size_t>(c.limit("rows"));
        if (known.size() >= rows) {
            seen = true;
            const double best = *std::max_element(known.end() - static_cast<std::ptrdiff_t>(rows), known.end());
            if (best < c.limit("spread"))
                return c.fire(Severity::fail, best,
                              fmt::format("the predictions of different pictures vary {:.2g} % as much as the truth "
                                          "does: one mean answer for all",
                                          100 * best));
        }
    }
    if (!c.facts().series("metric")) {
        if (!seen) throw Chart::Missing{"metric"};
        return c.pass();
    }
    double best = 0;
    for (const auto& [epoch, v] : c.by_epoch("metric")) {
        if (v <= c.limit("zero") && best > c.limit("before"))
            return c.fire(Severity::fail, v,
                          fmt::format("the metric was {:.4g} and is {:.4g} in epoch {:g}", best, v, epoch));
        best = std::max(best, v);
    }
    return c.pass(best);
}

Verdict average_behind(const Chart& c) {
    if (c.number("ema_decay") == 0) return c.pass({}, "no average");
    if (c.number_or("ema_validates", 1) == 0) return c.pass({}, "validation uses the raw weights");
    if (c.has("ema_distance") && c.number("ema_distance") > c.limit("distance"))
        return c.fire(Severity::warn, c.number("ema_distance"),
                      fmt::format("the averaged weights are {:.2g} of the weights' norm away from them",
                                  c.number("ema_distance")));
    const double first = c.number("ema_share_first"), last = c.number_or("ema_share_last", NAN);
    if (first <= c.limit("warn")) return c.pass(first);
    return c.fire(first > c.limit("fail") ? Severity::fail : Severity::warn, first,
                  fmt::format("validation uses averaged weights of which {:.1f} % are still the initial ones at the "
                              "first validation{}: the score says nothing about the training",
                              100 * first,
                              std::isnan(last) ? std::string() : fmt::format(" and {:.1f} % at the last", 100 * last)));
}

Verdict unstable(const Chart& c) {
    const bool precise = c.facts().series("precision") != nullptr;
    const Rows rows = c.by_epoch(precise ? "precision" : "metric");
    const auto n = static_cast<std::size_t>(c.limit("epochs"));
    if (rows.size() < n) throw Chart::Missing{fmt::format("{} epochs", n)};
    double mean = 0, square = 0;
    for (std::size_t i = rows.size() - n; i < rows.size(); ++i) mean += rows[i].second / static_cast<double>(n);
    for (std::size_t i = rows.size() - n; i < rows.size(); ++i)
        square += (rows[i].second - mean) * (rows[i].second - mean) / static_cast<double>(n);
    const double spread = mean > 0 ? std::sqrt(square) / mean : 0;
    // Flips that no noise explains: both neighbouring changes are large.
    std::size_t flips = 0, pairs = 0;
    for (std::size_t i = 2; i < rows.size(); ++i) {
        const double a = rows[i - 1].second - rows[i - 2].second, b = rows[i].second - rows[i - 1].second;
        ++pairs;
        flips += a * b < 0 && std::min(std::abs(a), std::abs(b)) > c.limit("noise") * std::abs(mean);
    }
    const double share = pairs >= n ? static_cast<double>(flips) / static_cast<double>(pairs) : 0;
    if (spread <= c.limit("spread") && share <= c.limit("flips")) return c.pass(spread);
    return c.fire(
        Severity::warn, spread,
        fmt::format("{} over the last {} epochs: deviation {:.2f} of its mean; {:.0f} % of its changes turn round",
                    precise ? "precision" : "the metric", n, spread, 100 * share));
}

Verdict slower(const Chart& c) {
    Rows seconds;
    if (c.facts().series("epoch_seconds"))
        seconds = c.by_epoch("epoch_seconds");
    else if (c.facts().series("elapsed_seconds")) {
        double before = 0, epoch_before = 0;
        for (const auto& [epoch, v] : c.by_epoch("elapsed_seconds")) {
            // Looks within an epoch and gaps between rows count by their share.
            if (epoch > epoch_before && v >= before) seconds.emplace_back(epoch, (v - before) / (epoch - epoch_before));
            before = v, epoch_before = epoch;
        }
    }
    Series before;
    for (const auto& [epoch, v] : seconds) {
        const double usual = median(before);
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

std::string rows_of(const char* header, std::initializer_list<double> values) {
    std::string text = header;
    int row = 1;
    for (const double v : values) text += fmt::format("{},{:g}\n", row++, v);
    return text;
}

}  // namespace

void add_run_rules(std::vector<Rule>& t) {
    t.push_back({"D35",
                 "RL",
                 "not finite",
                 "NaN or infinity in loss, output, gradient or weight; the first tensor by name and step",
                 {},
                 "FAIL",
                 "a rate too high, a logarithm or a division at 0",
                 "lr0",
                 "a lower rate (lr0 / 10), warmup; check_finite=true names the op; go on from the last good checkpoint",
                 "000, 002, 003",
                 "",
                 {Kind::run,
                  "data=synthetic train_images=32 val_images=16 image=32 epochs=1 warmup_steps=0 dropout=0 "
                  "optimizer=SGD lr0=100 clip=0 decode=identity norm=none fault=none",
                  "data=synthetic train_images=32 val_images=16 image=32 epochs=1 warmup_steps=0 dropout=0 "
                  "optimizer=SGD lr0=0.001 clip=0 decode=identity norm=none fault=none"},
                 not_finite});
    t.push_back({"D36",
                 "PR",
                 "gradients explode or vanish",
                 "global norm above 1000 or 100 times the running median; mean norm of a tensor below 1e-8",
                 {{"norm", 1000, ""},
                  {"jump", 100, "times the median"},
                  {"window", 50, "steps of the median"},
                  {"floor", 10, "norm below which a jump does not count"},
                  {"vanished", 1e-8, "mean norm"}},
                 "FAIL",
                 "rate, initialisation, or a missing norm",
                 "clip, lr0, norm",
                 "clip=5, a lower rate, norm=group",
                 "003",
                 "",
                 {Kind::config, "lambda_coord=100000", "lambda_coord=5"},
                 gradient_size});
    t.push_back(
        {"D37",
         "R",
         "clipping too tight",
         "more than half of 100 steps clipped, and the limit below a quarter of the median norm",
         {{"steps", 100, "looked at"}, {"share", 0.5, "of the steps"}, {"ratio", 0.25, "limit over median norm"}},
         "WARN",
         "a limit below the usual gradient is a smaller learning rate in disguise",
         "clip",
         "clip=3 to 5, or 0 with Adam",
         "002 (1.0), 003 (1.0), 000 (0.1)",
         "",
         {Kind::run,
          "data=synthetic train_images=800 val_images=16 image=32 warmup_steps=20 epochs=1 dropout=0 clip=0.01",
          "data=synthetic train_images=800 val_images=16 image=32 warmup_steps=20 epochs=1 dropout=0 clip=0"},
         tight_clip});
    t.push_back({"D38",
                 "RL",
                 "metric drops in epoch 2",
                 "metric of epoch 2 or 3 below half of epoch 1's; FAIL below a fifth",
                 {{"warn", 0.5, "of epoch 1"}, {"fail", 0.2, "of epoch 1"}},
                 "WARN/FAIL",
                 "a rate far too small, or an average that validates the initial weights",
                 "lr0, ema_decay",
                 "look at D41 (average) and D02 (rate) first",
                 "003",
                 "The seed says a 90 % drop in epoch 2: it is 82.8 % in epoch 2 and 89.9 % by epoch 3.",
                 {Kind::log, rows_of("epoch,metric\n", {0.1094, 0.0188, 0.0111}),
                  rows_of("epoch,metric\n", {0.1091, 0.3, 0.4243})},
                 early_drop});
    t.push_back({"D39",
                 "RL",
                 "stuck",
                 "best of the last 10 epochs below 1.05 of epoch 1's",
                 {{"epochs", 10, ""}, {"gain", 1.05, "of epoch 1"}},
                 "WARN",
                 "rate against batch, capacity, or no way for the gradient",
                 "lr0, batch, model",
                 "`solobox overfit`, then `solobox lr-find`",
                 "003, 001",
                 "",
                 {Kind::log, rows_of("epoch,metric\n", {.11, .1, .1, .11, .1, .11, .1, .11, .1, .11, .11}),
                  rows_of("epoch,metric\n", {.11, .1, .1, .11, .12, .13, .14, .15, .16, .17, .18})},
                 stuck});
    t.push_back({"D40",
                 "RL",
                 "collapse",
                 "metric 0 after it was above 0.05; all predictions positive or none; predictions of different "
                 "pictures vary less than 5 % of the truth in 3 validations",
                 {{"zero", 1e-4, "metric"},
                  {"before", 0.05, "metric"},
                  {"none", 1e-4, "share of positive predictions"},
                  {"spread", 0.05, "of the truth's deviation"},
                  {"rows", 3, "validations"}},
                 "FAIL",
                 "the mean answer, or weights that left the region where they work",
                 "lr0, norm, decode",
                 "stop, go on from the best checkpoint with a lower rate; norm=group",
                 "003, 002",
                 "",
                 {Kind::log, rows_of("epoch,metric\n", {.1094, .0188, .1106, 0}),
                  rows_of("epoch,metric\n", {.1094, .2, .3, .4})},
                 collapse});
    t.push_back(
        {"D41",
         "CR",
         "average still holds the initial weights",
         "product of the decays at the first validation above 0.1, FAIL above 0.5, when validation uses the average; "
         "distance above 0.5",
         {{"warn", 0.1, "of the average"}, {"fail", 0.5, "of the average"}, {"distance", 0.5, "of the weights' norm"}},
         "WARN/FAIL",
         "a fixed decay of 0.9999 needs 10,000 steps to forget",
         "ema_decay, ema_tau",
         "ema_tau=100 (a decay that grows), or ema_decay=0.999; validate the raw weights beside it (val_weights=raw)",
         "003",
         "A second explanation of the seed's collapse that its report does not see: with 46 updates per epoch at "
         "0.9999 validation saw 99.5 % initial weights after epoch 1 and 87.1 % after epoch 30, with live BatchNorm "
         "statistics. It is read before D02.",
         {Kind::config, "data=synthetic train_images=320 dropout=0 ema_decay=0.9999 ema_tau=0 epochs=20",
          "data=synthetic train_images=320 dropout=0 ema_decay=0.9999 ema_tau=100 epochs=20"},
         average_behind});
    t.push_back({"D52",
                 "RL",
                 "unstable metric",
                 "deviation of the last 5 values above 0.4 of their mean, or more than 70 % of the changes turn round",
                 {{"epochs", 5, ""},
                  {"spread", 0.4, "of the mean"},
                  {"flips", 0.7, "of the changes"},
                  {"noise", 0.05, "of the mean: smaller changes do not count"}},
                 "WARN",
                 "few validation pictures, a high rate, no average",
                 "warmup_steps, ema_decay",
                 "longer warmup, an average, more validation pictures",
                 "001",
                 "",
                 {Kind::log, rows_of("epoch,precision\n", {.131, .471, .244, .085, .1, .499}),
                  rows_of("epoch,precision\n", {.131, .2, .244, .285, .3, .32})},
                 unstable});
    t.push_back({"D55",
                 "RL",
                 "slower and slower",
                 "an epoch three times as long as the median of those before, or memory that grows by 2 % an epoch for "
                 "5 epochs",
                 {{"times", 3, "the median"},
                  {"seconds", 5, "more than the median"},
                  {"growth", 0.02, "of the memory"},
                  {"epochs", 5, ""}},
                 "WARN",
                 "a leak, swapping, or something else on the machine",
                 "workers, cache_mb",
                 "find the leak; `solobox resume` goes on from last",
                 "001",
                 "979 s to 39,322 s is a factor of 40: no learning rate does that.",
                 {Kind::log, rows_of("epoch,epoch_seconds\n", {979, 985, 990, 982, 39322}),
                  rows_of("epoch,epoch_seconds\n", {979, 985, 990, 982, 991})},
                 slower});
}

}  // namespace solobox::doctor
