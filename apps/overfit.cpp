// solobox overfit: N pictures, learned by heart or not, and why not.
#include "train/session/overfit.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/run_setup.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/parallel.h"
#include "train/config/file.h"
#include "train/config/setup.h"
#include "train/tasks/kinds.h"

namespace solobox {
namespace {

struct OverfitArguments {
    std::int64_t n = 8, steps = 900;
    std::string data, format, model, task, seed, out;
    int threads = 0;
    bool skip_bad = false, json = false, exist_ok = false, quiet = false;
    std::vector<std::string> words;
};

// What --task asks for, by its kind; nullptr when it is not given.
const TaskKeys* asked_task(const OverfitArguments& a) {
    if (a.task.empty()) return nullptr;
    for (const TaskKeys& t : task_keys())
        if (t.asked == a.task) return &t;
    std::string known;
    for (const TaskKeys& t : task_keys()) known += (known.empty() ? "" : " | ") + t.asked;
    throw ConfigError(fmt::format("--task {}: expected {}", a.task, known));
}

Config make_config(const OverfitArguments& a) {
    Config config;
    auto words = a.words;
    const TaskKeys* asked = asked_task(a);
    const bool named = !a.model.empty() || std::any_of(words.begin(), words.end(),
                                                       [](const std::string& w) { return w.starts_with("model="); });
    if (!a.model.empty()) words.push_back("model=" + a.model);
    if (!named && asked) words.push_back("model=" + asked->models.front());
    if (!a.seed.empty()) words.push_back("seed=" + a.seed);
    apply_environment(config);
    config.set_words(words, "command line");
    if (asked && asked->kind != task_of(config).kind)
        throw ConfigError(fmt::format("--task {} and model={} contradict each other", a.task, config.text("model")));
    refuse_keys_of_other_tasks(config);
    apply_overfit_settings(config, a.n);
    apply_model_defaults(config);
    return config;
}

const char* verdict_of(const OverfitResult& r) { return r.stopped_by ? "interrupted" : r.pass ? "pass" : "fail"; }

void print_result(const OverfitResult& r, const OverfitArguments& a, const RunDirectory& run, const OverfitData& data,
                  std::size_t classes) {
    nlohmann::ordered_json j{{"verdict", verdict_of(r)},   {"images", a.n},
                             {"steps", r.steps},           {"seconds", r.seconds},
                             {"loss_first", r.loss_first}, {"loss_last", r.loss_last}};
    if (classes > 0) j["classes"] = classes;
    for (const auto& [name, v] : r.words.numbers) j[name] = v;
    j.update({{"parameters", r.parameters},
              {"threads", thread_count()},
              {"kernels", name_of(active_kernels())},
              {"run_dir", run.path()},
              {"data", data.split.source},
              {"verdict_text", r.verdict_text},
              {"findings", json_of(r.findings)}});
    print_json(j);
}

void print_text(const OverfitResult& r, const RunDirectory& run) {
    fmt::print("verdict: {}\n{}\n", verdict_of(r), r.verdict_text);
    print_findings(r.findings);
    fmt::print("{}; {} steps, {:.1f} s\n", r.words.line, r.steps, r.seconds);
    fmt::print("report: {}\n", run.file("report.html"));
}

RunDirectory make_run(const OverfitArguments& a, const CommandLine& line, const Config& config) {
    const std::string name =
        a.data.empty() ? "synthetic" : std::filesystem::path(a.data).lexically_normal().filename().string();
    RunDirectory run(RunDirectory::Place{"runs/overfit", name.empty() || name == "." || name == ".." ? "data" : name,
                                         a.out, a.exist_ok});
    run.write_inputs(line.words, config);
    return run;
}

void introduce_overfit(Talk& talk, const Config& config, const std::string& data,
                       const std::vector<std::string>& notes) {
    talk.line("overfit: " + data);
    for (const auto& note : notes) talk.line("  " + note);
    const TaskKeys& task = task_of(config);
    const std::string norm = task.norm ? fmt::format(" ({} norm)", task.norm(config)) : "";
    talk.line(fmt::format("model {}{}, {} px, {} {}, seed {}; {} threads, {} kernels", config.text("model"), norm,
                          config.integer("image"), config.text("optimizer"), config.at("lr0").value,
                          config.integer("seed"), thread_count(), name_of(active_kernels())));
    for (const auto& [key, v] : config.all())
        if (!config.is_default(key)) talk.line(fmt::format("  {}={}  # {}", key, v.value, v.origin));
    talk.line(
        fmt::format("the same pictures in training and evaluation, batch {}; off: augmentation, dropout, weight decay, "
                    "EMA, multi-scale, mixup",
                    config.integer("batch")));
}

OverfitOptions options_of(const OverfitArguments& a, Talk& talk) {
    OverfitOptions options;
    options.steps = a.steps;
    options.stop_signal = &watch_signals();
    options.talk = [&talk](const std::string& text, bool live) { live ? talk.live(text) : talk.line(text); };
    return options;
}

ExitCode run_overfit(const OverfitArguments& a, const CommandLine& line) {
    const Config config = make_config(a);
    set_up_compute(config, a.threads);
    (void)watch_signals();
    Talk talk(a.quiet);
    const auto task = make_task(config);
    (void)task->layers(0);  // say what is wrong before any file is touched
    const OverfitData data = open_overfit(config, *task, a.data, a.format, a.n, a.skip_bad);
    const auto classes = task->class_names(data.split);
    introduce_overfit(talk, config,
                      classes.empty() ? fmt::format("{} pictures from {}", data.pictures.size(), data.split.source)
                                      : fmt::format("{} pictures of {} classes from {}", data.pictures.size(),
                                                    classes.size(), data.split.source),
                      data.split.notes);
    const RunDirectory run = make_run(a, line, config);
    write_classes(run, classes);
    const OverfitResult r = overfit(data, config, run, options_of(a, talk));
    talk.end_live();
    if (a.json)
        print_result(r, a, run, data, classes.size());
    else
        print_text(r, run);
    if (r.stopped_by) return static_cast<ExitCode>(128 + r.stopped_by);
    return r.pass ? ExitCode::done : ExitCode::verdict;
}

}  // namespace

Verb add_overfit(Command app, const CommandLine& line) {
    auto a = std::make_shared<OverfitArguments>();
    app.option("-n", a->n, "pictures to learn (default 8)").within(1, 4096);
    app.option("--data", a->data, "data set directory (default: synthetic shapes made in memory)").not_empty();
    app.option("--format", a->format, "voc | yolo | coco | tiny-imagenet (default: found out)");
    app.option("--model", a->model, "tiny (default), toy, or a resnet with --task classify (default resnet18)");
    app.option("--task", a->task, "box (default) or classify: one box, or the class of a picture");
    app.option("--steps", a->steps, "at most so many steps (default 900, in cycles of 300)").within(1, 1'000'000);
    app.option("--seed", a->seed, "of the weights; the pictures stay the same (default 0)");
    add_threads_option(app, a->threads);
    app.option("--out", a->out, "run directory (default runs/overfit/NAME)").not_empty();
    app.flag("--exist-ok", a->exist_ok, "--out may exist and hold files");
    app.flag("--skip-bad", a->skip_bad, "leave out pictures and labels that cannot be used");
    app.flag("--json", a->json, "one JSON object on standard output");
    app.flag("-q,--quiet", a->quiet, "no progress");
    app.option("words", a->words, "key=value configuration words, see `solobox config --schema`");
    return [a, &line] { return run_overfit(*a, line); };
}

}  // namespace solobox
