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
#include "train/session/overfit_classes.h"
#include "train/tasks/class_task.h"
#include "train/tasks/single_box_setup.h"

namespace solobox {
namespace {

struct Arguments {
    std::int64_t n = 8, steps = 900;
    std::string data, format, model, task, seed, out;
    int threads = 0;
    bool skip_bad = false, json = false, exist_ok = false, quiet = false;
    std::vector<std::string> words;
};

Config make_config(const Arguments& a) {
    Config config;
    auto words = a.words;
    const bool classify = a.task == "classify";
    if (!a.model.empty()) words.push_back("model=" + a.model);
    if (a.model.empty() && classify &&
        std::none_of(words.begin(), words.end(), [](const std::string& w) { return w.starts_with("model="); }))
        words.push_back("model=resnet18");
    if (!a.seed.empty()) words.push_back("seed=" + a.seed);
    apply_environment(config);
    config.set_words(words, "command line");
    if (!a.task.empty() && classify != is_classifier(config))
        throw ConfigError(fmt::format("--task {} and model={} contradict each other", a.task, config.text("model")));
    refuse_keys_of_other_tasks(config);
    apply_overfit_settings(config, a.n);
    apply_model_defaults(config);
    return config;
}

nlohmann::ordered_json json_of(const std::vector<ReportFinding>& findings) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const auto& f : findings)
        list.push_back({{"severity", f.severity}, {"id", f.id}, {"message", f.message}, {"cure", f.cure}});
    return list;
}

void print_findings(const std::vector<ReportFinding>& findings) {
    for (const auto& f : findings) fmt::print("  {} {}: {}\n       try: {}\n", f.severity, f.id, f.message, f.cure);
}

// What both kinds of overfitting print, `own` in the middle.
template <class Result>
void print_result(const Result& r, const Arguments& a, const RunDirectory& run, const std::string& source,
                  const nlohmann::ordered_json& own) {
    nlohmann::ordered_json j{
        {"verdict", r.pass ? "pass" : "fail"}, {"images", a.n},           {"steps", r.steps}, {"seconds", r.seconds},
        {"loss_first", r.loss_first},          {"loss_last", r.loss_last}};
    j.update(own);
    j.update({{"parameters", r.parameters},
              {"threads", thread_count()},
              {"kernels", name_of(active_kernels())},
              {"run_dir", run.path()},
              {"data", source},
              {"verdict_text", r.verdict_text},
              {"findings", json_of(r.findings)}});
    print_json(j);
}

void print_text(const OverfitResult& r, const RunDirectory& run) {
    fmt::print("verdict: {}\n{}\n", r.pass ? "pass" : "fail", r.verdict_text);
    print_findings(r.findings);
    fmt::print(
        "mean IoU {:.4f}, smallest {:.4f} (mean box {:.4f}, best constant box {:.4f}, lift {:+.4f}); {} steps, {:.1f} "
        "s\n",
        r.mean_iou, r.min_iou, r.mean_box_iou, r.constant_box_iou, r.mean_iou - r.constant_box_iou, r.steps, r.seconds);
    fmt::print("report: {}\n", run.file("report.html"));
}

RunDirectory make_run(const Arguments& a, const CommandLine& line, const Config& config) {
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
    talk.line(fmt::format("model {} ({} norm), {} px, {} {}, seed {}; {} threads, {} kernels", config.text("model"),
                          is_classifier(config) ? "batch" : config.text("norm"), config.integer("image"),
                          config.text("optimizer"), config.at("lr0").value, config.integer("seed"), thread_count(),
                          name_of(active_kernels())));
    for (const auto& [key, v] : config.all())
        if (!config.is_default(key)) talk.line(fmt::format("  {}={}  # {}", key, v.value, v.origin));
    talk.line(
        fmt::format("the same pictures in training and evaluation, batch {}; off: augmentation, dropout, weight decay, "
                    "EMA, multi-scale, mixup",
                    config.integer("batch")));
}

OverfitOptions options_of(const Arguments& a, Talk& talk) {
    OverfitOptions options;
    options.steps = a.steps;
    options.stop_signal = &watch_signals();
    options.talk = [&talk](const std::string& text, bool live) { live ? talk.live(text) : talk.line(text); };
    return options;
}

template <class Result>
ExitCode exit_code(const Result& r) {
    if (r.stopped_by) return static_cast<ExitCode>(128 + r.stopped_by);
    return r.pass ? ExitCode::done : ExitCode::verdict;
}

ExitCode overfit_boxes(const Arguments& a, const CommandLine& line, const Config& config, Talk& talk) {
    (void)describe(model_config(config)), (void)loss_spec(config);  // say what is wrong before any file is touched
    const OverfitPictures data = load_overfit_pictures(a.data, a.format, a.n, a.skip_bad, config);
    introduce_overfit(talk, config, fmt::format("{} pictures from {}", data.pictures.size(), data.source), data.notes);
    const RunDirectory run = make_run(a, line, config);
    const OverfitResult result = overfit(data, config, run, options_of(a, talk));
    talk.end_live();
    if (a.json)
        print_result(result, a, run, data.source,
                     {{"mean_iou", result.mean_iou},
                      {"min_iou", result.min_iou},
                      {"mean_box_iou", result.mean_box_iou},
                      {"constant_box_iou", result.constant_box_iou}});
    else
        print_text(result, run);
    return exit_code(result);
}

ExitCode overfit_classifier(const Arguments& a, const CommandLine& line, const Config& config, Talk& talk) {
    (void)describe(class_model_config(config, 2)), (void)class_picture_spec(config);
    const ClassPictures data = load_class_pictures(a.data, a.format, a.n, a.skip_bad, config);
    introduce_overfit(
        talk, config,
        fmt::format("{} pictures of {} classes from {}", data.pictures.size(), data.names.size(), data.source),
        data.notes);
    const RunDirectory run = make_run(a, line, config);
    const ClassOverfitResult r = overfit_classes(data, config, run, options_of(a, talk));
    talk.end_live();
    if (a.json) {
        print_result(r, a, run, data.source,
                     {{"classes", data.names.size()},
                      {"loss", r.loss},
                      {"acc1", r.accuracy},
                      {"smallest_probability", r.smallest},
                      {"common_class_acc1", r.common_share}});
        return exit_code(r);
    }
    fmt::print("verdict: {}\n{}\n", r.pass ? "pass" : "fail", r.verdict_text);
    print_findings(r.findings);
    fmt::print("{:.0f} % right (commonest class {:.0f} %), loss {:.4f}; {} steps, {:.1f} s\n", r.accuracy,
               r.common_share, r.loss, r.steps, r.seconds);
    fmt::print("report: {}\n", run.file("report.html"));
    return exit_code(r);
}

ExitCode run_overfit(const Arguments& a, const CommandLine& line) {
    const Config config = make_config(a);
    set_up_compute(config, a.threads);
    (void)watch_signals();
    Talk talk(a.quiet);
    return is_classifier(config) ? overfit_classifier(a, line, config, talk) : overfit_boxes(a, line, config, talk);
}

}  // namespace

Verb add_overfit(Command app, const CommandLine& line) {
    auto a = std::make_shared<Arguments>();
    app.option("-n", a->n, "pictures to learn (default 8)").within(1, 4096);
    app.option("--data", a->data, "data set directory (default: synthetic shapes made in memory)").not_empty();
    app.option("--format", a->format, "voc | yolo | coco | tiny-imagenet (default: found out)");
    app.option("--model", a->model, "tiny (default), toy, or a resnet with --task classify (default resnet18)");
    app.option("--task", a->task, "box (default) or classify: one box, or the class of a picture")
        .one_of({"box", "classify"});
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
