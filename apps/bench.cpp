// solobox bench: seconds per training step of the workloads that the PyTorch peers run, with the same keys.
#include <fmt/core.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/apps.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/parallel.h"
#include "train/single_box_setup.h"
#include "train/trainer.h"

namespace solobox {
namespace {

struct Arguments {
    std::string workload = "tiny-gn";
    int steps = 20, threads = 0;
    bool json = false;
};

// Batch 8 of one configuration; SGD 1e-3, momentum 0.9, decay 1e-4 on weights, loss 5/5/3.
Config workload_config(const std::string& name) {
    Config c;
    const auto set = [&](std::initializer_list<std::pair<const char*, const char*>> keys) {
        for (const auto& [key, value] : keys) c.set(key, value, "workload");
    };
    if (name == "tiny-gn")
        set({{"norm", "group"}});
    else if (name == "tiny-bn")
        set({{"norm", "batch"}});
    else if (name == "toy-quarter")
        set({{"model", "toy"}, {"width_mult", "0.25"}, {"image", "224"}, {"hidden", "512"}, {"norm", "group"}});
    else if (name == "toy448")
        set({{"model", "toy"}, {"image", "448"}, {"hidden", "4096"}, {"norm", "none"}});
    else
        throw ConfigError(fmt::format("unknown workload '{}': expected tiny-gn, tiny-bn, toy-quarter or toy448", name));
    set({{"optimizer", "SGD"},
         {"lr0", "1e-3"},
         {"momentum", "0.9"},
         {"weight_decay", "1e-4"},
         {"clip", "0"},
         {"warmup_steps", "0"},
         {"schedule", "constant"}});
    return c;
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

std::int64_t page_faults() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt + usage.ru_majflt;
}

std::int64_t peak_mb() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss / 1024;
}

ExitCode run(const Arguments& a) {
    use_threads(a.threads);
    const Config config = workload_config(a.workload);
    const std::int64_t size = config.integer("image"), batch = 8;
    const auto model = make_single_box(config, {});
    const auto params = parameters_of(*model);
    std::int64_t macs = 0;
    for (const LayerRow& row : describe(model_config(config))) macs += row.macs;
    Tensor x(Shape{batch, size, size, 3}), t(Shape{batch, 4});
    Random random({0, Stream::test});
    for (std::int64_t i = 0; i < x.numel(); ++i) x.mutable_data()[i] = static_cast<Real>(random.normal());
    for (std::int64_t i = 0; i < t.numel(); ++i) t.mutable_data()[i] = static_cast<Real>(random.uniform(0.25, 0.75));
    const auto optimizer = make_optimizer(config, params);
    Trainer trainer(params, *optimizer, {make_schedule(config, a.steps + 2), 0});
    const DecodeSpec decode = decode_spec(config);
    const BoxLossSpec loss = loss_spec(config);
    using Clock = std::chrono::steady_clock;
    std::vector<double> times, forward;
    std::int64_t faults = 0;
    for (int i = 0; i < a.steps + 2; ++i) {  // two steps fill the pool
        if (i == 2) faults = page_faults();
        const auto start = Clock::now();
        double forward_s = 0;
        trainer.step([&] {
            const Var raw = (*model)(Var(x));
            forward_s = std::chrono::duration<double>(Clock::now() - start).count();
            return box_loss(raw, t, decode, loss);
        });
        if (i < 2) continue;
        times.push_back(std::chrono::duration<double>(Clock::now() - start).count());
        forward.push_back(forward_s);
    }
    const double step = median(times), per_step = static_cast<double>(page_faults() - faults) / a.steps;
    const double gflops = 6e-9 * static_cast<double>(macs * batch) / step;  // forward and twice that backward
    const nlohmann::ordered_json j{{"workload", a.workload},
                                   {"batch", batch},
                                   {"image", size},
                                   {"params", count_parameters(*model)},
                                   {"step_s", step},
                                   {"forward_s", median(forward)},
                                   {"img_s", static_cast<double>(batch) / step},
                                   {"min_s", *std::min_element(times.begin(), times.end())},
                                   {"rss_mb", peak_mb()},
                                   {"gflops", gflops},
                                   {"page_faults_per_step", per_step},
                                   {"threads", thread_count()},
                                   {"kernels", name_of(active_kernels())}};
    if (a.json)
        fmt::print("{}\n", j.dump());
    else
        fmt::print(
            "{}: {:.2f} ms a step (min {:.2f}, forward {:.2f}), {:.0f} img/s, {:.1f} GFLOP/s, {:.1f} page faults a "
            "step, peak {} MB, {} threads, {} kernels\n",
            a.workload, 1e3 * step, 1e3 * *std::min_element(times.begin(), times.end()), 1e3 * median(forward),
            static_cast<double>(batch) / step, gflops, per_step, peak_mb(), thread_count(), name_of(active_kernels()));
    return ExitCode::done;
}

}  // namespace

Verb add_bench(CLI::App& app) {
    auto a = std::make_shared<Arguments>();
    app.add_option("workload", a->workload, "tiny-gn (default) | tiny-bn | toy-quarter | toy448");
    app.add_option("--steps", a->steps, "steps to measure (default 20)")->check(CLI::Range(1, 100000));
    add_threads_option(app, a->threads);
    app.add_flag("--json", a->json, "one JSON object on standard output");
    return [a] { return run(*a); };
}

}  // namespace solobox
