// Rules that watch what validation says: drops, standstill, collapse, averages.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "train/doctor/curve.h"
#include "train/doctor/rules.h"

namespace solobox::doctor {
namespace {

using Kind = Example::Kind;

Verdict early_drop(const Chart& c) {
    const Rows rows = c.by_epoch("metric");
    double first = NAN, worst = INFINITY;
    for (const auto& [epoch, v] : rows) {
        if (epoch == 1) first = v;
        if ((epoch == 2 || epoch == 3) && v < worst) worst = v;
    }
    if (std::isnan(first) || std::isinf(worst)) throw Chart::Missing{"metric of epochs 1 and 2"};
    if (!(first > 0)) throw Chart::Missing{"a metric above 0 in epoch 1"};
    if (first < c.limit("least")) return c.pass({}, "next to nothing");
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

// Whether the training loss came down by a tenth, whatever validation says; nothing when no loss is known.
std::optional<bool> training_falls(const Chart& c) {
    const char* fact = c.facts().series("train_loss") ? "train_loss" : "step_loss";
    if (!c.facts().series(fact)) return std::nullopt;
    const Rows rows = c.by_epoch(fact);
    if (rows.size() < 3) return std::nullopt;
    const Rows smooth = smoothed(rows);
    const double first = rows.front().second, last = level_at_end(rows);
    return first - last > std::max(0.1 * std::abs(first), 2 * noise_of(smooth));
}

// An accuracy of 0 in training and validation alike is that of a regression, logged by habit.
bool is_regression(const Chart& c) {
    const Series* train = c.facts().series("train_metric");
    return train && std::all_of(train->begin(), train->end(), [](double v) { return !(v > 0); });
}

// Of a log without a metric: a training loss that is where it began.
Verdict stuck_loss(const Chart& c) {
    const Rows rows = c.by_epoch("train_loss");
    const double window = c.limit("epochs"), first = rows.front().second, last = level_at_end(rows);
    if (static_cast<double>(rows.size()) < window) throw Chart::Missing{fmt::format("{:g} epochs", window)};
    if (std::abs(first - last) > c.limit("loss") * std::abs(first)) return c.pass(last / first);
    for (const auto& [epoch, v] : smoothed(rows))
        if (std::abs(v - first) > 2 * c.limit("loss") * std::abs(first)) return c.pass(last / first);
    return c.fire(Severity::warn, last / first,
                  fmt::format("the training loss is {:.4g} in epoch {:g} and {:.4g} in epoch {:g}: nothing was learned",
                              first, rows.front().first, last, rows.back().first));
}

// A gain counts when it is more than a share of what was there or of what was left to gain, and more than noise.
Verdict stuck(const Chart& c) {
    if (!c.facts().series("metric")) return stuck_loss(c);
    const Rows rows = c.by_epoch("metric");
    const double window = c.limit("epochs"), first = rows.front().second;
    if (rows.back().first < window || rows.front().first != 1) throw Chart::Missing{fmt::format("{:g} epochs", window)};
    if (rows.size() < 2) throw Chart::Missing{"validations behind epoch 1"};
    const Rows smooth = smoothed(rows);
    const auto best = std::max_element(smooth.begin() + 1, smooth.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    const double gain = best->second - first, share = c.limit("gain") - 1;
    if (first <= 0) {
        if (best->second > 0) return c.pass(best->second);
        if (is_regression(c)) return stuck_loss(c);
        return c.fire(
            Severity::warn, best->second,
            fmt::format("the metric is {:.4g} in epoch 1 and no better in all {:g}", first, rows.back().first));
    }
    const bool bounded = first <= 1;
    const double least = bounded ? std::min(share * first, share * (1 - first)) : share * first;
    // A score of next to nothing that wavers is no gain where the loss does not move either.
    const bool nothing = bounded && gain < c.limit("least") && !training_falls(c).value_or(true);
    if (!nothing && gain >= std::max(least, 2 * noise_of(rows))) return c.pass(best->second / first);
    // Fine-tuning begins where others end: there is little to gain, and what falls is learning still.
    const double chance = c.has("classes") ? 1 / std::max(1.0, c.number("classes")) : 0;
    if (bounded && first > c.limit("high") && first > 1.5 * chance && training_falls(c).value_or(true))
        return c.pass(best->second / first, "it began high, and keeps it");
    return c.fire(Severity::warn, best->second / first,
                  fmt::format("best metric {:.4g} (epoch {:g}), in epoch 1 {:.4g}: nothing was learned", best->second,
                              best->first, first));
}

// Rows in which most of what had been gained since the first is lost again, three and more of them. begin == end: none.
struct Fall {
    std::size_t begin = 0, end = 0;
    double best = 0, level = 0;
};

Fall find_fall(const Chart& c, const Rows& rows) {
    const double first = rows.front().second, noise = noise_of(rows);
    Fall found;
    double best = first;
    for (std::size_t i = 1; i < rows.size(); ++i) {
        const double gain = best - first;
        const bool gained = gain > std::max(c.limit("before"), 4 * noise);
        // Of a fall within three rows that lasts to the end half is enough: nobody learned the less in so short a time.
        const std::size_t lately = i < 3 ? 0 : i - 3;
        const bool abrupt = best - rows[lately].second < 0.2 * gain &&
                            std::all_of(rows.begin() + static_cast<std::ptrdiff_t>(i), rows.end(),
                                        [&](const auto& r) { return best - r.second > c.limit("half") * gain; });
        const double lost = abrupt ? c.limit("half") : c.limit("lost");
        const auto low = [&](std::size_t k) { return best - rows[k].second > lost * gain; };
        if (gained && low(i)) {
            std::size_t end = i;
            std::vector<double> values;
            while (end < rows.size() && low(end)) values.push_back(rows[end++].second);
            if (values.size() >= 3) return {i, end, best, median_of(values)};
        }
        best = std::max(best, rows[i].second);
    }
    return found;
}

Verdict collapse(const Chart& c) {
    bool seen = false;
    if (const Series* share = c.facts().series("positive_fraction"); share && !share->empty()) {
        seen = true;
        double v = NAN;
        for (const double x : *share) v = std::isfinite(x) ? x : v;
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
            // What grows is a network that only begins to tell pictures apart.
            const bool grows = known.back() > c.limit("growth") * known[known.size() - rows];
            if (best < c.limit("spread") && !grows)
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
    const Rows rows = c.by_epoch("metric");
    if (const Fall fall = find_fall(c, rows); fall.end > fall.begin) {
        const bool lasts = fall.end == rows.size();
        return c.fire(
            lasts ? Severity::fail : Severity::warn, fall.level,
            fmt::format("the metric was {:.4g} and is {:.4g} in epochs {:g} to {:g}: what it had gained since "
                        "epoch {:g} ({:.4g}) is lost{}",
                        fall.best, fall.level, rows[fall.begin].first, rows[fall.end - 1].first, rows.front().first,
                        rows.front().second, lasts ? "" : "; then it came back"));
    }
    for (const auto& [epoch, v] : rows) {
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
    const double first = c.has("ema_distance") ? c.number_or("ema_share_first", 0) : c.number("ema_share_first"),
                 last = c.number_or("ema_share_last", NAN);
    if (first <= c.limit("warn")) {
        if (c.has("ema_distance") && c.number("ema_distance") > c.limit("distance"))
            return c.fire(Severity::warn, c.number("ema_distance"),
                          fmt::format("the averaged weights are {:.2g} of the weights' norm away from them",
                                      c.number("ema_distance")));
        return c.pass(first);
    }
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
    const double slope = slope_of({rows.end() - static_cast<std::ptrdiff_t>(n), rows.end()});
    const double middle = (rows[rows.size() - n].first + rows.back().first) / 2;
    for (std::size_t i = rows.size() - n; i < rows.size(); ++i) {
        const double off = rows[i].second - mean - slope * (rows[i].first - middle);
        square += off * off / static_cast<double>(n);
    }
    // Around the line through them: what rises steadily is not unstable. Of next to nothing all is noise.
    if (mean < c.limit("least")) return c.pass(0, "next to nothing");
    const double spread = std::sqrt(square) / mean;
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

}  // namespace

void add_metric_rules(std::vector<Rule>& t) {
    t.push_back(
        {.id = "D38",
         .phases = "RL",
         .name = "metric drops in epoch 2",
         .signal = "metric of epoch 2 or 3 below half of epoch 1's; FAIL below a fifth",
         .thresholds = {{"warn", 0.5, "of epoch 1"}, {"fail", 0.2, "of epoch 1"}, {"least", 0.01, "metric of epoch 1"}},
         .severity = "WARN/FAIL",
         .cause = "a rate far too small, or an average that validates the initial weights",
         .key = "lr0, ema_decay",
         .fix = "look at D41 (average) and D02 (rate) first",
         .report = "collapse",
         .note =
             "The report says a 90 % drop in epoch 2: it is 82.8 % in epoch 2 and 89.9 % by epoch 3. It calls the drop "
             "the sign of a rate too small; measured here (experiments/collapse-box-small-lr.yaml) a rate 40 times too "
             "small alone learns more slowly and does not drop, a fixed average (collapse-box-ema.yaml) does not rise.",
         .example = {Kind::log, rows_of("epoch,metric\n", {0.1094, 0.0188, 0.0111}),
                     rows_of("epoch,metric\n", {0.1091, 0.3, 0.4243})},
         .judge = early_drop});
    t.push_back({.id = "D39",
                 .phases = "RL",
                 .name = "stuck",
                 .signal =
                     "10 epochs and more, and the best of them (smoothed) gained neither 5 % of epoch 1's nor 5 % "
                     "of what was left to gain, or no more than noise; a metric that begins above 0.75 with a "
                     "training loss that falls is fine-tuning",
                 .thresholds = {{"epochs", 10, ""},
                                {"gain", 1.05, "of epoch 1, or the same share of what is left"},
                                {"high", 0.75, "metric of epoch 1: fine-tuning"},
                                {"least", 0.02, "of the metric, where the training loss does not fall"},
                                {"loss", 0.02, "of the first training loss, in a log without a metric"}},
                 .severity = "WARN",
                 .cause = "rate against batch, capacity, or no way for the gradient",
                 .key = "lr0, batch, model",
                 .fix = "`solobox overfit`, then `solobox lr-find`",
                 .report = "collapse, detector",
                 .example = {Kind::log, rows_of("epoch,metric\n", {.11, .1, .1, .11, .1, .11, .1, .11, .1, .11, .11}),
                             rows_of("epoch,metric\n", {.11, .1, .1, .11, .12, .13, .14, .15, .16, .17, .18})},
                 .judge = stuck});
    t.push_back({.id = "D40",
                 .phases = "RL",
                 .name = "collapse",
                 .signal =
                     "metric 0 after it was above 0.05; four fifths of what was gained lost again in 3 validations "
                     "and more (WARN when it came back), or half of it at once and to the end; all predictions "
                     "positive or none; predictions of "
                     "different pictures vary less than 5 % of the truth in 3 validations",
                 .thresholds = {{"zero", 1e-4, "metric"},
                                {"before", 0.05, "metric"},
                                {"lost", 0.8, "of the gain"},
                                {"half", 0.5, "of the gain, lost within three rows and to the end"},
                                {"none", 1e-4, "share of positive predictions"},
                                {"spread", 0.05, "of the truth's deviation"},
                                {"rows", 3, "validations"},
                                {"growth", 1.25, "of the spread over them: not a collapse"}},
                 .severity = "WARN/FAIL",
                 .cause = "the mean answer, or weights that left the region where they work",
                 .key = "lr0, norm, decode",
                 .fix = "stop, go on from the best checkpoint with a lower rate; norm=group",
                 .report = "collapse, checklist",
                 .example = {Kind::log, rows_of("epoch,metric\n", {.53, .71, .83, .91, .97, .5, .5, .5}),
                             rows_of("epoch,metric\n", {.53, .71, .83, .91, .97, .97, .96, .97})},
                 .judge = collapse});
    t.push_back(
        {.id = "D41",
         .phases = "CR",
         .name = "average still holds the initial weights",
         .signal = "product of the decays at the first validation above 0.1, FAIL above 0.5, when validation uses the "
                   "average; distance above 0.5",
         .thresholds = {{"warn", 0.1, "of the average"},
                        {"fail", 0.5, "of the average"},
                        {"distance", 0.5, "of the weights' norm"}},
         .severity = "WARN/FAIL",
         .cause = "a fixed decay of 0.9999 needs 10,000 steps to forget",
         .key = "ema_decay, ema_tau",
         .fix = "ema_tau=100 (a decay that grows), or ema_decay=0.999; validate the raw weights beside it "
                "(val_weights=raw)",
         .report = "collapse",
         .note = "A second explanation of the collapse that the report does not see: with 46 updates per epoch at "
                 "0.9999 validation saw 99.5 % initial weights after epoch 1 and 87.1 % after epoch 30, with live "
                 "BatchNorm statistics. It is read before D02.",
         .explains = {"D02"},
         .example = {Kind::config, "data=synthetic train_images=320 dropout=0 ema_decay=0.9999 ema_tau=0 epochs=20",
                     "data=synthetic train_images=320 dropout=0 ema_decay=0.9999 ema_tau=100 epochs=20"},
         .judge = average_behind});
    t.push_back({.id = "D52",
                 .phases = "RL",
                 .name = "unstable metric",
                 .signal = "deviation of the last 5 values from the line through them above 0.4 of their mean, or more "
                           "than 70 % of the changes turn round",
                 .thresholds = {{"epochs", 5, ""},
                                {"spread", 0.4, "of the mean"},
                                {"flips", 0.7, "of the changes"},
                                {"noise", 0.05, "of the mean: smaller changes do not count"},
                                {"least", 0.01, "of the mean, else there is nothing to waver"}},
                 .severity = "WARN",
                 .cause = "few validation pictures, a high rate, no average",
                 .key = "warmup_steps, ema_decay",
                 .fix = "longer warmup, an average, more validation pictures",
                 .report = "detector",
                 .example = {Kind::log, rows_of("epoch,precision\n", {.131, .471, .244, .085, .1, .499}),
                             rows_of("epoch,precision\n", {.131, .2, .244, .285, .3, .32})},
                 .judge = unstable});
}

}  // namespace solobox::doctor
