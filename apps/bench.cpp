// solobox bench: seconds per training step of the workloads that the PyTorch peers run, with the same keys.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/apps.h"
#include "nn/models/resnet.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/parallel.h"
#include "train/names.h"
#include "train/single_box_setup.h"
#include "train/trainer.h"

namespace solobox {
namespace {

struct Arguments {
    std::string workload = "tiny-gn";
    int steps = 20, threads = 0;
    bool json = false, direct = false;
};

// What one step computes: the peers' models, batches, losses and SGD (1e-3, momentum 0.9, decay 1e-4).
struct Workload {
    std::int64_t batch = 8, image = 128, macs = 0;
    std::vector<NamedParameter> params;
    std::function<Var(const Var& images)> forward;
    std::function<LossValue(const Var& output)> loss;
};

Tensor random_numbers(const Shape& shape, std::uint32_t op, double low, double high) {
    Random random({0, Stream::test, 0, 0, op});
    Tensor t(shape);
    for (std::int64_t i = 0; i < t.numel(); ++i) t.mutable_data()[i] = static_cast<Real>(random.uniform(low, high));
    return t;
}

Workload single_box_workload(const std::vector<std::string>& words) {
    Config config;
    config.set_words(words, "workload");
    const std::shared_ptr<SingleBox> model = make_single_box(config, {});
    Workload w;
    w.image = config.integer("image");
    for (const LayerRow& row : describe(model_config(config))) w.macs += row.macs;
    w.params = parameters_of(*model);
    w.forward = [model](const Var& x) { return (*model)(x); };
    w.loss = [t = random_numbers({w.batch, 4}, 1, 0.25, 0.75), decode = decode_spec(config),
              spec = loss_spec(config)](const Var& y) { return box_loss(y, t, decode, spec); };
    return w;
}

Workload resnet_workload(const std::string& name, std::int64_t image) {
    ResNetConfig config = resnet_config(name, 5);
    config.image = image;
    const auto model = std::make_shared<ResNet>(config, 0);
    Workload w;
    w.batch = 32;
    w.image = image;
    for (const LayerRow& row : describe(config)) w.macs += row.macs;
    w.params = parameters_of(*model);
    w.forward = [model](const Var& x) { return (*model)(x); };
    IndexTensor labels(Shape{w.batch});
    for (std::int64_t i = 0; i < w.batch; ++i) labels.mutable_data()[i] = i % 5;
    w.loss = [labels](const Var& y) { return LossValue{cross_entropy(y, labels), {}}; };
    return w;
}

Workload make_workload(const std::string& name) {
    if (name == "tiny-gn") return single_box_workload({"norm=group"});
    if (name == "tiny-bn") return single_box_workload({"norm=batch"});
    if (name == "toy-quarter")
        return single_box_workload({"model=toy", "width_mult=0.25", "image=224", "hidden=512", "norm=group"});
    if (name == "toy448") return single_box_workload({"model=toy", "image=448", "hidden=4096", "norm=none"});
    if (name == "resnet18") return resnet_workload(name, 64);
    if (name == "resnet50") return resnet_workload(name, 224);
    const std::vector<std::string> names{"tiny-gn", "tiny-bn", "toy-quarter", "toy448", "resnet18", "resnet50"};
    throw ConfigError(
        fmt::format("unknown workload '{}'{}: expected {}", name, did_you_mean(name, names), fmt::join(names, ", ")));
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
    fast::set_winograd(!a.direct);
    const Workload w = make_workload(a.workload);
    const Tensor x = random_numbers({w.batch, w.image, w.image, 3}, 0, -1.7, 1.7);
    Sgd sgd(decay_weights_only(w.params, 1e-4), {0.9, 0, false});
    Trainer trainer(w.params, sgd, {[](std::int64_t) { return 1e-3; }});
    using Clock = std::chrono::steady_clock;
    std::vector<double> times, forward;
    std::int64_t faults = 0;
    for (int i = 0; i < a.steps + 2; ++i) {  // two steps fill the pool
        if (i == 2) faults = page_faults();
        const auto start = Clock::now();
        double forward_s = 0;
        trainer.step([&] {
            const Var y = w.forward(Var(x));
            forward_s = std::chrono::duration<double>(Clock::now() - start).count();
            return w.loss(y);
        });
        if (i < 2) continue;
        times.push_back(std::chrono::duration<double>(Clock::now() - start).count());
        forward.push_back(forward_s);
    }
    std::int64_t params = 0;
    for (const auto& p : w.params) params += p.param->value.numel();
    const double step = median(times), per_step = static_cast<double>(page_faults() - faults) / a.steps;
    const double gflops = 6e-9 * static_cast<double>(w.macs * w.batch) / step;  // forward and twice that backward
    const nlohmann::ordered_json j{{"workload", a.workload},
                                   {"batch", w.batch},
                                   {"image", w.image},
                                   {"params", params},
                                   {"step_s", step},
                                   {"forward_s", median(forward)},
                                   {"img_s", static_cast<double>(w.batch) / step},
                                   {"min_s", *std::min_element(times.begin(), times.end())},
                                   {"rss_mb", peak_mb()},
                                   {"gflops", gflops},
                                   {"page_faults_per_step", per_step},
                                   {"threads", thread_count()},
                                   {"kernels", name_of(active_kernels())},
                                   {"conv", a.direct ? "direct" : "fast"}};
    if (a.json)
        fmt::print("{}\n", j.dump());
    else
        fmt::print(
            "{}: {:.2f} ms a step (min {:.2f}, forward {:.2f}), {:.0f} img/s, {:.1f} GFLOP/s, {:.1f} page faults a "
            "step, peak {} MB, {} threads, {} kernels\n",
            a.workload, 1e3 * step, 1e3 * *std::min_element(times.begin(), times.end()), 1e3 * median(forward),
            static_cast<double>(w.batch) / step, gflops, per_step, peak_mb(), thread_count(),
            name_of(active_kernels()));
    return ExitCode::done;
}

}  // namespace

Verb add_bench(CLI::App& app) {
    auto a = std::make_shared<Arguments>();
    app.add_option("workload", a->workload, "tiny-gn (default) | tiny-bn | toy-quarter | toy448 | resnet18 | resnet50");
    app.add_option("--steps", a->steps, "steps to measure (default 20)")->check(CLI::Range(1, 100000));
    add_threads_option(app, a->threads);
    app.add_flag("--direct", a->direct, "convolutions without Winograd");
    app.add_flag("--json", a->json, "one JSON object on standard output");
    return [a] { return run(*a); };
}

}  // namespace solobox
