// Rules about what somebody wrote into a configuration: batch, rate, optimizer, device, memory.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "train/doctor/rules.h"

namespace solobox::doctor {
namespace {

using Kind = Example::Kind;

bool same_letters(const std::string& a, const std::string& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

Verdict rate_against_batch(const Chart& c) {
    const double batch = c.effective_batch(), lr = c.number("lr");
    if (!c.has("reference_lr") && c.has("previous_lr")) {
        const double k = batch / c.number("previous_batch"), change = lr / c.number("previous_lr");
        if ((k > 1 && change < 1) || (k < 1 && change > 1))
            return c.fire(Severity::fail, change / k,
                          fmt::format("the effective batch went from {:g} to {:g}, the learning rate the other way, "
                                      "from {:g} to {:g}: the rate per picture is {:.3g} times what it was",
                                      c.number("previous_batch"), batch, c.number("previous_lr"), lr, change / k));
        return c.pass(change / k);
    }
    const double r = c.rate_ratio(), linear = lr / r, reference = c.number("reference_lr"),
                 root = reference * std::sqrt(batch / c.number("reference_batch"));
    constexpr double rounding = 1e-9;  // exactly half is enough, whatever its last bit
    const bool small = r < c.limit("low") * (1 - rounding);
    if (!small && r <= c.limit("high") * (1 + rounding)) return c.pass(r);
    const bool adaptive =
        c.text_or("optimizer", "").starts_with("Ada") || c.text_or("optimizer", "").starts_with("ada");
    return c.fire(
        Severity::fail, r,
        fmt::format(
            "the learning rate per picture, {:g} / {:g} = {:.8f}, is {:.1f}x too {} against {:g} / {:g} = {:.8f} of {}",
            lr, batch, lr / batch, small ? 1 / r : r, small ? "small" : "large", reference, c.number("reference_batch"),
            reference / c.number("reference_batch"), c.text_or("reference_name", "the reference")),
        fmt::format("lr0={:.6f} (linear rule, reference * batch / reference batch){}", linear,
                    adaptive ? fmt::format(", or {:.6f} (square-root rule, often better for Adam and AdamW)", root)
                             : std::string()));
}

Verdict built_optimizer(const Chart& c) {
    const std::string &asked = c.text("optimizer"), &built = c.text("optimizer_built");
    if (same_letters(asked, "auto")) return c.pass({}, "the optimizer was left open (D04 looks at that)");
    if (!same_letters(asked, built))
        return c.fire(
            Severity::fail, {},
            fmt::format(
                "the configuration says {}, but a {} was built: learning rates and decay mean something else for it",
                asked, built));
    for (const char* key : {"lr", "momentum", "weight_decay"}) {
        const std::string fact = std::string(key) + "_built";
        if (!c.has(key) || !c.has(fact)) continue;
        const double a = c.number(key), b = c.number(fact);
        if (std::abs(a - b) > c.limit("relative") * std::max(std::abs(a), std::abs(b)))
            return c.fire(Severity::fail, b,
                          fmt::format("the configuration says {} {:g}, the built {} has {:g}", key, a, built, b));
    }
    return c.pass({}, built);
}

Verdict automatic_optimizer(const Chart& c) {
    if (!same_letters(c.text("optimizer"), "auto")) return c.pass({}, "the optimizer is named");
    const double lr = c.number("lr");
    double built = c.number_or("lr_built", NAN), close = c.limit("relative");
    if (std::isnan(built)) {
        built = 0, close = c.limit("logged");  // a schedule has moved it by the time that it is logged
        for (const auto& [epoch, rate] : c.by_epoch("epoch_lr")) built = std::max(built, rate);
    }
    const bool momentum = c.has("momentum") && c.has("momentum_built") &&
                          std::abs(c.number("momentum") - c.number("momentum_built")) > 1e-9;
    if (std::abs(built - lr) <= close * lr && !momentum) return c.pass(built);
    return c.fire(Severity::warn, built,
                  fmt::format("optimizer=auto: lr0={:g} was set, but {} with a rate of {:g}{} was built", lr,
                              c.text_or("optimizer_built", "an optimizer"), built,
                              momentum ? fmt::format(" and momentum {:g} instead of {:g}", c.number("momentum_built"),
                                                     c.number("momentum"))
                                       : std::string()));
}

Verdict small_batch(const Chart& c) {
    const double batch = c.effective_batch();
    const std::string norm = c.text("norm");
    if (batch >= c.limit("batch") || norm == "group" || norm == "layer") return c.pass(batch);
    return c.fire(Severity::warn, batch,
                  fmt::format("{:g} pictures per step with norm={}: gradients are noisy", batch, norm));
}

Verdict batch_norm_small(const Chart& c) {
    if (c.text("norm") != "batch") return c.pass({}, "no BatchNorm");
    const double batch = c.number("batch_per_step"), values = batch * c.number_or("smallest_map", INFINITY);
    if (batch > c.limit("warn")) return c.pass(batch);
    const bool fail = batch < c.limit("fail") && values < c.limit("values");
    return c.fire(fail ? Severity::fail : Severity::warn, batch,
                  std::isinf(values) ? fmt::format("BatchNorm takes its statistics from {:g} pictures at a time", batch)
                                     : fmt::format("BatchNorm takes its statistics from {:g} pictures at a time: on "
                                                   "the smallest map {:g} values a channel",
                                                   batch, values));
}

Verdict devices(const Chart& c) {
    if (c.has("device")) {
        std::string device = c.text("device");
        std::transform(device.begin(), device.end(), device.begin(),
                       [](unsigned char ch) { return static_cast<char>(std::tolower(ch)); });
        if (device == "cpu" || device == "auto" || device.empty() || device == "none") return c.pass({}, device);
        const double visible = c.number("devices_visible");
        const std::size_t colon = device.find(':');
        const std::string index = colon == std::string::npos ? device : device.substr(colon + 1);
        double wanted = 0;
        for (const char digit : index)
            if (std::isdigit(static_cast<unsigned char>(digit))) wanted = 10 * wanted + (digit - '0');
        if (wanted >= visible)
            return c.fire(
                Severity::fail, visible,
                fmt::format("device {} is asked for, {:g} {} visible here{}", c.text("device"), visible,
                            visible == 1 ? "is" : "are",
                            wanted > 0 && visible > 0 ? ": CUDA_VISIBLE_DEVICES numbers them from 0 again" : ""),
                visible > 0 ? "use the visible device 0" : "train on the CPU (solobox has no other)");
        return c.pass(wanted);
    }
    const double threads = c.number("threads"), cores = c.number("cores");
    if (threads <= cores) return c.pass(threads);
    return c.fire(Severity::warn, threads,
                  fmt::format("{:g} threads on {:g} cores: they wait for each other", threads, cores),
                  fmt::format("--threads {:g}", cores));
}

Verdict smaller_pictures(const Chart& c) {
    const double share = c.number("image") / c.number("reference_image");
    if (!(share < c.limit("share"))) return c.pass(share);
    return c.fire(Severity::info, share,
                  fmt::format("pictures of {:g} px where {} had {:g}: fine detail is lost", c.number("image"),
                              c.text_or("reference_name", "the reference"), c.number("reference_image")),
                  fmt::format("image={:g}", c.number("reference_image")));
}

Verdict out_of_memory(const Chart& c) {
    if (c.has("exit_code") && c.number("exit_code") == 137)
        return c.fire(Severity::fail, 137,
                      "exit code 137 = 128 + SIGKILL: the system ended the process, as it does when memory runs out");
    if (c.has("peak_bytes") && c.has("memory_bytes")) {
        const double share = c.number("peak_bytes") / c.number("memory_bytes");
        if (share > c.limit("share"))
            return c.fire(Severity::fail, share,
                          fmt::format("{:.1f} GB will be needed of {:.1f} GB that there are",
                                      c.number("peak_bytes") / 1e9, c.number("memory_bytes") / 1e9));
        return c.pass(share);
    }
    const auto rss = c.by_epoch("rss_mb");
    const auto n = static_cast<std::size_t>(c.limit("epochs"));
    if (rss.size() <= n || !c.has("epochs") || !c.has("memory_bytes")) throw Chart::Missing{"peak_bytes"};
    // What grows in every epoch: the caches of the first ones are not a leak.
    double least = INFINITY;
    for (std::size_t i = rss.size() - n; i < rss.size(); ++i)
        least = std::min(least, (rss[i].second - rss[i - 1].second) / (rss[i].first - rss[i - 1].first));
    const double end = rss.back().second + least * std::max(0.0, c.number("epochs") - rss.back().first);
    if (least > 0 && end * 1e6 > c.number("memory_bytes"))
        return c.fire(
            Severity::fail, end,
            fmt::format("memory grows by {:.0f} MB in every epoch: {:.1f} GB at the end of {:g}, of {:.1f} GB", least,
                        end / 1e3, c.number("epochs"), c.number("memory_bytes") / 1e9));
    return c.pass(end);
}

Verdict long_patience(const Chart& c) {
    const double patience = c.number("patience"), epochs = c.number("epochs");
    if (patience <= 0) return c.pass(0, "early stopping is off");
    if (patience <= c.limit("share") * epochs) return c.pass(patience);
    return c.fire(Severity::info, patience,
                  fmt::format("patience {:g} of {:g} epochs{}", patience, epochs,
                              patience > epochs ? ": it can never end the run" : ": trains far past the best epoch"),
                  fmt::format("patience={:g}", std::max(1.0, std::floor(c.limit("share") * epochs))));
}

}  // namespace

void add_setting_rules(std::vector<Rule>& t) {
    t.push_back(
        {.id = "D01",
         .phases = "C",
         .name = "number read as text",
         .signal = "a numeric key holds text that is a number: YAML 1.1 reads 1e-4 as text",
         .severity = "FAIL",
         .cause = "YAML 1.1 wants a dot and a sign in an exponent: 1e-4, 1e4, 1.0e4 and -.5 are texts there",
         .key = "the key named",
         .fix = "write 0.0001 or 1.0e-4",
         .report = "exits, smoke-test",
         .note = "only in files of other programs (--dialect yaml1.1): solobox reads every spelling as a number.",
         .example = {Kind::foreign, "lr: 1e-4\n", "lr: 1.0e-4\n"},
         .judge = [](const Chart& c) {
             const Texts& found = c.texts("text_numbers");
             if (found.empty()) return c.pass(0);
             return c.fire(Severity::fail, static_cast<double>(found.size()),
                           fmt::format("read as text by a YAML 1.1 reader: {}", fmt::join(found, ", ")));
         }});
    t.push_back(
        {.id = "D02",
         .phases = "C",
         .name = "learning rate against batch",
         .signal = "r = (rate / effective batch) / (reference rate / reference batch), effective batch = batch x "
                   "accumulation x replicas",
         .thresholds = {{"low", 0.5, "too small below"}, {"high", 2, "too large above"}},
         .severity = "FAIL",
         .cause = "the batch was changed and the rate was not, or was changed the other way",
         .key = "lr0, batch",
         .fix = "lr = reference rate * batch / reference batch, or * sqrt of it",
         .report = "collapse",
         .note = "The report's \"LR/batch 0.03125 against 0.00078\" are these numbers times 1000. Its upstream script "
                 "divides by the per-step batch of 16 and so prints 5.0x and 0.000500: the 40.0x of its report needs "
                 "the effective batch. Linear scaling holds for SGD; for Adam the square root is often better, so both "
                 "are given. The report's own cure (16 x 4, 1e-3) has r = 0.5 and passes: the limit is strict.",
         .example = {Kind::config, "reference=batch=8,lr0=0.00025 batch=128 accumulate=8 lr0=0.0001 warmup_steps=20",
                     "reference=batch=8,lr0=0.00025 batch=128 accumulate=8 lr0=0.004 warmup_steps=20"},
         .judge = rate_against_batch});
    t.push_back({.id = "D03",
                 .phases = "C",
                 .name = "another optimizer than configured",
                 .signal = "type, rate, momentum or decay of the built optimizer differ from the configuration",
                 .thresholds = {{"relative", 1e-6, "difference of a number"}},
                 .severity = "FAIL",
                 .cause = "the code builds its optimizer without looking at the configuration",
                 .key = "optimizer",
                 .fix = "build it from the configuration",
                 .report = "checklist",
                 .example = {Kind::config, "optimizer=AdamW optimizer_override=SGD", "optimizer=SGD"},
                 .judge = built_optimizer});
    t.push_back({.id = "D04",
                 .phases = "C",
                 .name = "automatic optimizer ignores lr0",
                 .signal = "optimizer=auto, and the built rate or momentum is not the one that was set",
                 .thresholds = {{"relative", 1e-6, "difference of the rate"},
                                {"logged", 0.1, "difference of the highest logged rate"}},
                 .severity = "WARN",
                 .cause = "with optimizer=auto the program chooses rate and momentum itself",
                 .key = "optimizer",
                 .fix = "name the optimizer",
                 .report = "detector",
                 .note = "The report set lr0=0.01 and reports AdamW with 0.002 and 0.9: that is what auto chose, its "
                         "lr0 never mattered.",
                 .example = {Kind::foreign, "optimizer: auto\nlr0: 0.01\noptimizer_built: AdamW\nlr_built: 0.002\n",
                             "optimizer: AdamW\nlr0: 0.002\noptimizer_built: AdamW\nlr_built: 0.002\n"},
                 .judge = automatic_optimizer});
    t.push_back({.id = "D08",
                 .phases = "C",
                 .name = "small batch",
                 .signal = "effective batch below 8 without GroupNorm or LayerNorm",
                 .thresholds = {{"batch", 8, "pictures per step"}},
                 .severity = "WARN",
                 .cause = "noisy gradients",
                 .key = "batch",
                 .fix = "8 to 16, or accumulate",
                 .report = "checklist",
                 .example = {Kind::config, "batch=4 norm=none", "batch=8 norm=none"},
                 .judge = small_batch});
    t.push_back({.id = "D09",
                 .phases = "CR",
                 .name = "BatchNorm on few pictures",
                 .signal = "BatchNorm in training mode with 8 pictures in a forward pass or fewer; FAIL below 4 when "
                           "the smallest map then has fewer than 32 values a channel",
                 .thresholds = {{"warn", 8, "pictures at a time"},
                                {"fail", 4, "pictures at a time"},
                                {"values", 32, "values a channel"}},
                 .severity = "WARN/FAIL",
                 .cause = "statistics of a handful of pictures are noise",
                 .key = "norm, batch",
                 .fix = "norm=group, a larger batch, or frozen statistics",
                 .report = "checklist",
                 .example = {Kind::config, "norm=batch batch=8", "norm=batch batch=16"},
                 .judge = batch_norm_small});
    t.push_back(
        {.id = "D29",
         .phases = "C",
         .name = "device or threads not there",
         .signal = "the device asked for is not visible, or more threads than cores",
         .severity = "FAIL/WARN",
         .cause = "CUDA_VISIBLE_DEVICES renumbers devices from 0; threads beyond the cores wait for each other",
         .key = "device, --threads",
         .fix = "use what is there",
         .report = "exits",
         .example = {Kind::foreign, "device: cuda:1\ndevices_visible: 1\n", "device: cuda:0\ndevices_visible: 1\n"},
         .judge = devices});
    t.push_back({.id = "D45",
                 .phases = "C",
                 .name = "smaller pictures than the reference",
                 .signal = "side below 0.9 of the reference's",
                 .thresholds = {{"share", 0.9, "of the reference's side"}},
                 .severity = "INFO",
                 .cause = "fine detail is lost",
                 .key = "image",
                 .fix = "the reference's size",
                 .report = "collapse",
                 .example = {Kind::config, "reference=batch=8,lr0=0.001,image=128 image=96",
                             "reference=batch=8,lr0=0.001,image=128 image=128"},
                 .judge = smaller_pictures});
    t.push_back({.id = "D54",
                 .phases = "CR",
                 .name = "memory will not be enough",
                 .signal = "forecast above 85 % of the memory there is; growth per epoch times the epochs left above "
                           "what is free; exit code 137",
                 .thresholds = {{"share", 0.85, "of the memory"}, {"epochs", 4, "of growth"}},
                 .severity = "FAIL",
                 .cause = "weights, gradients, optimizer state, averages and activations of a batch",
                 .key = "batch, accumulate, recompute",
                 .fix = "a smaller batch, accumulate=2, recompute=1, a smaller picture",
                 .report = "detector",
                 .note = "Exit code 137 is 128 + 9, SIGKILL.",
                 .example = {Kind::config, "image=256 batch=65536", "image=256 batch=8"},
                 .judge = out_of_memory});
    t.push_back({.id = "D66",
                 .phases = "C",
                 .name = "long patience",
                 .signal = "patience above a quarter of the epochs",
                 .thresholds = {{"share", 0.25, "of the epochs"}},
                 .severity = "INFO",
                 .cause = "training goes on far past the best epoch",
                 .key = "patience",
                 .fix = "a quarter of the epochs",
                 .report = "checklist",
                 .example = {Kind::config, "patience=25 epochs=60", "patience=15 epochs=60"},
                 .judge = long_patience});
}

}  // namespace solobox::doctor
