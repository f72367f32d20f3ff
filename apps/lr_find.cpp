// solobox lr-find: the learning-rate range test (Smith 2017, arXiv 1506.01186). Steps of real training while the rate
// grows from tiny to too large; the loss against the rate says where training works.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "apps/run_setup.h"
#include "nn/safetensors.h"
#include "train/report/report.h"
#include "train/step/parameter_groups.h"

namespace solobox {
namespace {

struct LrFindArguments {
    std::vector<std::string> words;
    std::string out;
    double low = 1e-6, high = 1;
    std::int64_t steps = 100;
    int threads = 0;
    bool json = false, quiet = false;
};

struct Curve {
    std::vector<double> rates, losses, smooth;  // smooth: moving average, without its bias
    bool diverged = false;
};

constexpr double memory = 0.9;  // of the moving average
constexpr double too_much = 4;  // times the best: the test has seen enough

Curve sweep(Learner& learner, const LrFindArguments& a, Talk& talk) {
    const Config& config = learner.config();
    const auto params = parameters_of(learner);
    const auto optimizer = make_optimizer(config, params, learner.model().heads(), learner.task().groups());
    const auto rate = [&](std::int64_t t) {
        return a.low * std::pow(a.high / a.low,
                                static_cast<double>(t) / static_cast<double>(std::max<std::int64_t>(a.steps - 1, 1)));
    };
    Trainer trainer(params, *optimizer, [&] {
        TrainerConfig how{rate, config.number("clip")};
        how.sometimes = learner.model().sometimes();
        return how;
    }());
    const schedule::Calendar& batches = learner.stages().batches();
    Curve c;
    double average = 0, best = 1e300;
    const auto& stop = watch_signals();
    for (std::int64_t t = 0; t < a.steps && stop.load() == 0; ++t) {
        const std::int64_t epoch = batches.epoch_of(t);
        const Batch batch = learner.make_batch(epoch, t - batches.before(epoch));
        StepReport s;
        try {
            s = trainer.step(learner.losses(
                batch, config.integer("accumulate"),
                {static_cast<std::uint64_t>(config.integer("seed")), Stream::dropout, static_cast<std::uint32_t>(t)}));
        } catch (const NonFiniteError&) {
            c.diverged = true;
            break;
        }
        average = memory * average + (1 - memory) * s.loss;
        c.rates.push_back(s.lr);
        c.losses.push_back(s.loss);
        c.smooth.push_back(average / (1 - std::pow(memory, static_cast<double>(t + 1))));
        best = std::min(best, c.smooth.back());
        talk.live(fmt::format("step {}/{}  lr {:.2e}  loss {:.4f}", t + 1, a.steps, s.lr, s.loss));
        if (c.smooth.back() > too_much * best && t > a.steps / 10) {
            c.diverged = true;
            break;
        }
    }
    talk.end_live();
    return c;
}

// Where the smoothed loss falls fastest per decade, and where it is lowest.
struct Advice {
    double steepest = 0, lowest = 0, suggested = 0;
};

Advice advise(const Curve& c) {
    Advice a;
    if (c.rates.size() < 5) return a;
    std::size_t low = 0, steep = 1;
    double slope = 0;
    for (std::size_t i = 1; i < c.rates.size(); ++i)
        if (c.smooth[i] < c.smooth[low]) low = i;
    for (std::size_t i = 2; i <= low; ++i) {
        const double s = (c.smooth[i] - c.smooth[i - 2]) / std::log10(c.rates[i] / c.rates[i - 2]);
        if (s < slope) slope = s, steep = i - 1;
    }
    a.steepest = c.rates[steep], a.lowest = c.rates[low];
    // Between the two: fast, and away from the edge that a longer run would fall off.
    a.suggested = std::sqrt(a.steepest * a.lowest / 10);
    a.suggested = std::min(std::max(a.suggested, a.steepest / 10), a.lowest / 3);
    return a;
}

ExitCode lr_find(const LrFindArguments& a) {
    if (!(a.low < a.high)) throw ConfigError(fmt::format("--low {} and --high {}: expected low < high", a.low, a.high));
    const Config config = training_config(a.words);
    set_up_compute(config, a.threads);
    check_config(config);
    Talk talk(a.quiet);
    const std::unique_ptr<Learner> learner = make_learner(config);
    introduce(talk, *learner);
    const Curve c = sweep(*learner, a, talk);
    if (const int stopped = watch_signals().load()) return static_cast<ExitCode>(128 + stopped);
    const Advice advice = advise(c);
    if (!a.out.empty()) {
        Report report;
        report.title = "learning-rate range test";
        report.verdict_text = fmt::format("Steepest at {:.2e}, lowest at {:.2e}: try lr0={:.1e}.", advice.steepest,
                                          advice.lowest, advice.suggested);
        std::vector<double> decades;
        for (const double r : c.rates) decades.push_back(std::log10(r));
        report.plots.push_back({"Loss against learning rate",
                                "log10 of the rate",
                                {{"loss", decades, c.losses, true}, {"smoothed", decades, c.smooth, true}},
                                "Good rates lie where it falls steadily, well left of where it turns."});
        for (const auto& [key, v] : config.all()) report.config.push_back({key, v.value, v.origin});
        const std::string page = render_report(report);
        const auto* begin = reinterpret_cast<const std::byte*>(page.data());
        write_file_atomically(a.out, {begin, begin + page.size()});
    }
    if (a.json) {
        fmt::print("{}\n", nlohmann::ordered_json{{"steps", c.rates.size()},
                                                  {"diverged", c.diverged},
                                                  {"steepest", advice.steepest},
                                                  {"lowest", advice.lowest},
                                                  {"suggested", advice.suggested},
                                                  {"lr", c.rates},
                                                  {"loss", c.losses},
                                                  {"smoothed", c.smooth}}
                               .dump());
        return ExitCode::done;
    }
    fmt::print("{:>10} {:>10} {:>10}\n", "lr", "loss", "smoothed");
    const std::size_t stride = std::max<std::size_t>(1, c.rates.size() / 20);
    for (std::size_t i = 0; i < c.rates.size(); i += stride)
        fmt::print("{:>10.2e} {:>10.4f} {:>10.4f}\n", c.rates[i], c.losses[i], c.smooth[i]);
    fmt::print("falls fastest at {:.2e}, lowest at {:.2e}{}; try lr0={:.1e}\n", advice.steepest, advice.lowest,
               c.diverged ? fmt::format(", diverges by {:.2e}", c.rates.empty() ? a.low : c.rates.back()) : "",
               advice.suggested);
    return ExitCode::done;
}

}  // namespace

Verb add_lr_find(Command app) {
    auto a = std::make_shared<LrFindArguments>();
    app.option("words", a->words, "CONFIG.yaml and key=value words, as for train").required();
    app.option("--low", a->low, "first rate (default 1e-6)").between(1e-12, 100.0);
    app.option("--high", a->high, "last rate (default 1)").between(1e-12, 1000.0);
    app.option("--steps", a->steps, "steps of the sweep (default 100)").within(10, 100'000);
    app.option("--out", a->out, "an HTML page with the curve").not_empty();
    add_threads_option(app, a->threads);
    app.flag("--json", a->json, "one JSON object on standard output");
    app.flag("-q,--quiet", a->quiet, "no progress");
    return [a] { return lr_find(*a); };
}

}  // namespace solobox
