// solobox bench: seconds per training step of the workloads that the PyTorch peers run, with the same keys, clipped and
// watched as `train` does by default.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/apps.h"
#include "apps/bench_kernels.h"
#include "apps/bench_workloads.h"
#include "apps/onnx_file.h"
#include "nn/checkpoint.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/parallel.h"
#include "tensor/pool.h"
#include "train/config/config.h"
#include "train/doctor/monitor.h"
#include "train/step/trainer.h"

namespace solobox {
namespace {

struct BenchArguments {
    std::string workload = "tiny-gn", layers_of = "tiny-gn";
    int steps = 20, threads = 0;
    std::int64_t batch = 0;
    double clip = Config().number("clip");
    bool json = false, direct = false, update_after = false, predict = false, recompute = false;
    std::string save;
};

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

std::int64_t peak_mb() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss / 1024;
}

using Clock = std::chrono::steady_clock;
const Clock::time_point process_start = Clock::now();  // before main

// One picture through the trained form of the model: running statistics, no dropout, no tape.
ExitCode predict(const BenchArguments& a) {
    Workload w = make_workload(a.workload);
    {
        const Tape tape;  // running statistics of something, not the 0 and 1 that they start as
        (void)w.forward(Var(random_numbers({w.batch, w.image, w.image, 3}, 0, -1.7, 1.7)));
    }
    w.evaluate();
    const Tensor x = random_numbers({1, w.image, w.image, 3}, 5, 0, 1);
    Graph graph;
    if (!a.save.empty()) graph = w.graph();
    w.freeze();
    Tensor y;
    std::vector<double> times;
    for (int i = 0; i < a.steps + 2; ++i) {
        const auto start = Clock::now();
        y = w.forward(Var(x)).value();
        if (i >= 2) times.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    }
    if (!a.save.empty()) {
        std::filesystem::create_directories(a.save);
        write_file_atomically(a.save + "/model.onnx", onnx_bytes(graph, a.workload, {}));
        SafetensorsFile file;
        file.tensors["input"] = to_raw(permute(Var(x), {0, 3, 1, 2}).value());
        file.tensors["output"] = to_raw(y);
        write_safetensors(a.save + "/case.safetensors", file);
    }
    const double latency = median(times), least = *std::min_element(times.begin(), times.end());
    const nlohmann::ordered_json j{{"workload", a.workload},
                                   {"batch", 1},
                                   {"image", w.image},
                                   {"predict_s", latency},
                                   {"min_s", least},
                                   {"rss_mb", peak_mb()},
                                   {"threads", thread_count()},
                                   {"kernels", name_of(active_kernels())}};
    if (a.json)
        fmt::print("{}\n", j.dump());
    else
        fmt::print("{}: {:.2f} ms for one picture (min {:.2f}), {} threads, {} kernels\n", a.workload, 1e3 * latency,
                   1e3 * least, thread_count(), name_of(active_kernels()));
    return ExitCode::done;
}

ExitCode run(const BenchArguments& a) {
    use_threads(a.threads);
    fast::set_winograd(!a.direct);
    if (a.predict) return predict(a);
    if (a.workload == "kernels") return bench_kernels({a.layers_of, a.steps, a.json});
    const Workload w = make_workload(a.workload, {a.recompute, a.batch});
    const Tensor x = random_numbers({w.batch, w.image, w.image, 3}, 0, -1.7, 1.7);
    Sgd sgd(decay_weights_only(w.params, 1e-4), {0.9, 0, false});
    TrainerConfig how{[](std::int64_t) { return 1e-3; }};
    if (!(a.clip >= 0)) throw ConfigError(fmt::format("--clip {}: expected at least 0", a.clip));
    how.clip = a.clip;
    how.update_in_backward = how.where_possible = !a.update_after;  // as `train`: where nothing clips
    Trainer trainer(w.params, sgd, how);
    doctor::Monitor watch({}, "", nullptr);  // as every run has one
    const double start_s = std::chrono::duration<double>(Clock::now() - process_start).count();
    std::vector<double> times, forward;
    std::int64_t faults = 0;
    bool in_backward = false;
    for (int i = 0; i < a.steps + 2; ++i) {  // two steps fill the pool
        if (i == 2) faults = page_faults();
        if (i == 1) pool::reset_peak();
        const auto start = Clock::now();
        double forward_s = 0;
        const StepReport step = trainer.step([&] {
            const Var y = w.forward(Var(x));
            forward_s = std::chrono::duration<double>(Clock::now() - start).count();
            return w.loss(y);
        });
        watch.step({static_cast<double>(step.step), step.loss, step.grad_norm, step.lr, step.lr});
        in_backward = step.in_backward;
        if (i < 2) continue;
        times.push_back(std::chrono::duration<double>(Clock::now() - start).count());
        forward.push_back(forward_s);
    }
    // What a step holds at most at one time, tensor by tensor: the memory that it needs. The rest of the peak is the
    // program, its buffers, and blocks of the pool that wait for their size.
    const std::int64_t planned_mb = pool::stats().peak_bytes >> 20;
    std::int64_t params = 0;
    for (const auto& p : w.params) params += p.param->value.numel();
    const double step = median(times), per_step = static_cast<double>(page_faults() - faults) / a.steps;
    const double gflops = 6e-9 * static_cast<double>(w.macs() * w.batch) / step;  // forward and twice that backward
    const nlohmann::ordered_json j{{"workload", a.workload},
                                   {"batch", w.batch},
                                   {"image", w.image},
                                   {"params", params},
                                   {"step_s", step},
                                   {"forward_s", median(forward)},
                                   {"img_s", static_cast<double>(w.batch) / step},
                                   {"min_s", *std::min_element(times.begin(), times.end())},
                                   {"rss_mb", peak_mb()},
                                   {"planned_mb", planned_mb},
                                   {"first_step_after_s", start_s},
                                   {"gflops", gflops},
                                   {"page_faults_per_step", per_step},
                                   {"threads", thread_count()},
                                   {"kernels", name_of(active_kernels())},
                                   {"conv", a.direct ? "direct" : "fast"},
                                   {"recompute", a.recompute ? 1 : 0},
                                   {"clip", a.clip},
                                   {"update", in_backward ? "in backward" : "after backward"}};
    if (a.json)
        fmt::print("{}\n", j.dump());
    else
        fmt::print(
            "{}: {:.2f} ms a step (min {:.2f}, forward {:.2f}), {:.0f} img/s, {:.1f} GFLOP/s, {:.1f} page faults a "
            "step, peak {} MB ({} of tensors at a time), {} threads, {} kernels, updates {} backward\n",
            a.workload, 1e3 * step, 1e3 * *std::min_element(times.begin(), times.end()), 1e3 * median(forward),
            static_cast<double>(w.batch) / step, gflops, per_step, peak_mb(), planned_mb, thread_count(),
            name_of(active_kernels()), in_backward ? "inside" : "after");
    return ExitCode::done;
}

}  // namespace

std::int64_t page_faults() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt + usage.ru_majflt;
}

Verb add_bench(Command app) {
    auto a = std::make_shared<BenchArguments>();
    app.option("workload", a->workload,
               "tiny-gn (default) | tiny-bn | toy-quarter | toy448 | resnet18 | resnet50, or kernels: each kernel "
               "against this machine's peaks");
    app.option("--of", a->layers_of, "kernels: the workload whose layers are measured (default tiny-gn)");
    app.option("--steps", a->steps, "steps, or calls of a kernel, to measure (default 20)").within(1, 100000);
    app.option("--batch", a->batch, "pictures of a step (default: the workload's own)").within(1, 4096);
    add_threads_option(app, a->threads);
    app.flag("--direct", a->direct, "convolutions without Winograd");
    app.flag("--predict", a->predict, "the forward pass of one picture instead of training steps");
    app.option("--save", a->save, "with --predict: a directory for the graph as ONNX, its input and our output")
        .not_empty();
    app.flag("--recompute", a->recompute, "compute the largest maps anew in backward instead of keeping them");
    app.option("--clip", a->clip,
               "largest gradient norm, by default train's; 0: off, and parameters move inside backward, as in train");
    app.flag("--update-after", a->update_after, "with --clip 0: parameters move after backward all the same");
    app.flag("--json", a->json, "one JSON object on standard output");
    return [a] { return run(*a); };
}

}  // namespace solobox
