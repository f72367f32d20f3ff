// solobox train, resume, extend, branch: runs on disk that can be stopped, gone on with and grown from one another.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/run_setup.h"
#include "tensor/kernels/parallel.h"
#include "train/run_report.h"
#include "train/training_schedule.h"

namespace solobox {
namespace {

using Json = nlohmann::ordered_json;

struct Arguments {
    std::vector<std::string> words;
    std::string run, out;
    std::int64_t epochs = 0;
    int threads = 0;
    bool json = false, exist_ok = false, skip_bad = false, quiet = false;
};

std::string dump(const Json& j) { return j.dump(-1, ' ', false, Json::error_handler_t::replace); }

void print_result(const Arguments& a, const RunDirectory& run, const SessionResult& r, const BoxScores* scores,
                  const SingleBoxData& data, const std::string& verdict) {
    if (a.json) {
        Json j{{"run_dir", run.path()},
               {"epochs", r.epochs},
               {"steps", r.steps},
               {"best_epoch", r.best_epoch},
               {"best_iou", r.best_score},
               {"mean_box_iou", data.mean_iou},
               {"constant_box_iou", data.constant_iou},
               {"lift", r.best_score - data.constant_iou},
               {"stopped_early", r.early},
               {"interrupted_by", r.stopped_by},
               {"seconds", r.seconds},
               {"images_per_second", r.images_per_second},
               {"data_wait_share", r.wait_share},
               {"verdict_text", verdict}};
        if (scores) j["iou50"] = scores->share50, j["median_iou"] = scores->median;
        fmt::print("{}\n", dump(j));
        return;
    }
    if (!verdict.empty()) fmt::print("{}\n", verdict);
    fmt::print(
        "best IoU {:.4f} in epoch {} (mean box {:.4f}, best constant box {:.4f}, lift {:+.4f}); {} epochs, {:.1f} s, "
        "{:.0f} img/s, {:.1f} % of it waiting for data\n",
        r.best_score, r.best_epoch, data.mean_iou, data.constant_iou, r.best_score - data.constant_iou, r.epochs,
        r.seconds, r.images_per_second, 100 * r.wait_share);
    fmt::print("run: {}\n", run.path());
}

ExitCode work(const Arguments& a, const Config& config, const RunDirectory& run, SessionOptions options, Talk& talk,
              SingleBoxTask& task, const SingleBoxData& data) {
    options.stop_signal = &watch_signals();
    options.talk = [&](const std::string& text, bool live) {
        if (!live)
            talk.line(text);
        else if (talk.terminal())  // a log gets one line an epoch
            talk.live(text);
    };
    SessionResult r;
    try {
        r = train(task, config, run, options);
    } catch (const NonFiniteError& e) {
        talk.end_live();
        run.event(dump({{"event", "diverged"}, {"message", e.what()}}));
        throw;
    }
    talk.end_live();
    if (r.stopped_by) {
        run.event(dump({{"event", "interrupted"}, {"signal", r.stopped_by}, {"step", r.steps}}));
        print_result(a, run, r, nullptr, data,
                     fmt::format("Interrupted in epoch {}: `solobox resume {}` goes on.", r.epochs + 1, run.path()));
        return static_cast<ExitCode>(128 + r.stopped_by);
    }
    const std::string verdict = judge_lift(r.best_score, data.constant_iou).text();
    run.event(dump({{"event", "finished"}, {"step", r.steps}, {"epochs", r.epochs}, {"early", r.early}}));
    const BoxScores scores = finish_run(task, run, verdict);
    for (const ReportFinding& f : run_findings(run))
        run.event(dump(
            {{"event", "finding"}, {"id", f.id}, {"severity", f.severity}, {"message", f.message}, {"cure", f.cure}}));
    print_result(a, run, r, &scores, data, verdict);
    return ExitCode::done;
}

// What is wrong with a configuration is said before any file is touched.
void prepare(const Arguments& a, const Config& config) {
    set_up_compute(config, a.threads);
    (void)describe(model_config(config)), (void)loss_spec(config);
    (void)make_training_schedule(config, 1);
}

std::string run_name(const Config& config) {
    if (!config.text("name").empty()) return config.text("name");
    const std::string name = std::filesystem::path(config.text("data")).lexically_normal().filename().string();
    return name.empty() || name == "." || name == ".." ? "data" : name;
}

ExitCode start(const Arguments& a, const Config& config, const CommandLine& line, const Json& parent) {
    prepare(a, config);
    Talk talk(a.quiet);
    (void)watch_signals();
    const SingleBoxData data = load_single_box_data(config);
    SingleBoxTask task(config, data);
    if (!config.text("weights").empty()) load_weights(task, config.text("weights"));
    introduce(talk, config, data, count_parameters(task));
    RunDirectory run(
        RunDirectory::Place{config.text("project"), run_name(config), a.out, a.exist_ok || config.flag("exist_ok")});
    run.lock();
    run.write_inputs(line.words, config);
    run.write_text("events.jsonl", "");
    if (!parent.is_null()) run.write_text("parent.json", parent.dump(2) + "\n");
    run.event(dump({{"event", "start"}, {"data", data.source}, {"data_hash", task.data_fingerprint()}}));
    talk.line("run: " + run.path());
    return work(a, config, run, {}, talk, task, data);
}

ExitCode go_on(const Arguments& a, const Config& config, RunDirectory& run, bool extend) {
    prepare(a, config);
    Talk talk(a.quiet);
    (void)watch_signals();
    run.lock();
    const SingleBoxData data = load_single_box_data(config);
    SingleBoxTask task(config, data);
    introduce(talk, config, data, count_parameters(task));
    run.event(dump({{"event", extend ? "extend" : "resume"}, {"epochs", config.integer("epochs")}}));
    if (extend) {
        run.write_text("args.yaml", config.to_yaml());
        talk.line("the learning rate goes on as if the run had been meant for so many epochs from the start");
    }
    SessionOptions options;
    // Killed before the first checkpoint, a run has nothing but its settings: it starts.
    options.resume = std::filesystem::exists(run.last_weights());
    options.extend = extend;
    return work(a, config, run, options, talk, task, data);
}

ExitCode extend(const Arguments& a) {
    RunDirectory run = RunDirectory::existing(a.run);
    Config config = read_config(run.file("args.yaml"));
    if (a.epochs <= config.integer("epochs"))
        throw ConfigError(
            fmt::format("--epochs {}: the run has {} already: expected more", a.epochs, config.integer("epochs")));
    config.set("epochs", std::to_string(a.epochs), "extend");
    return go_on(a, config, run, true);
}

ExitCode branch(const Arguments& a, const CommandLine& line) {
    const RunDirectory parent = RunDirectory::existing(a.run);
    const Config before = read_config(parent.file("args.yaml"));
    Config config = before;
    config.set_words(a.words, "branch");
    config.set("weights", parent.best_weights(), "branch");
    if (config.at("name").origin != "branch")
        config.set("name", std::filesystem::path(a.run).lexically_normal().filename().string() + "-branch", "branch");
    Json changes = Json::array();
    for (const auto& [key, v] : config.all())
        if (v.value != before.at(key).value && key != "weights" && key != "name")
            changes.push_back(fmt::format("{}: {} -> {}", key, before.at(key).value, v.value));
    return start(a, config, line, Json{{"run", a.run}, {"changes", changes}});
}

void add_common(CLI::App& app, Arguments& a) {
    add_threads_option(app, a.threads);
    app.add_flag("--json", a.json, "one JSON object on standard output");
    app.add_flag("-q,--quiet", a.quiet, "no progress");
}

}  // namespace

Verb add_train(CLI::App& app, const CommandLine& line) {
    auto a = std::make_shared<Arguments>();
    app.add_option("words", a->words, "CONFIG.yaml and key=value words, see `solobox config --schema`")->required();
    app.add_option("--out", a->out, "run directory (default PROJECT/NAME)")->check(not_empty());
    app.add_flag("--exist-ok", a->exist_ok, "--out may exist and hold files");
    add_common(app, *a);
    app.add_flag("--skip-bad", a->skip_bad, "leave out pictures and labels that cannot be used");
    return [a, &line] {
        Config config = training_config(a->words);
        if (a->skip_bad) config.set("skip_bad", "true", "--skip-bad");
        return start(*a, config, line, nullptr);
    };
}

Verb add_resume(CLI::App& app) {
    auto a = std::make_shared<Arguments>();
    app.add_option("run", a->run, "directory of a run that was stopped")->required()->check(not_empty());
    add_common(app, *a);
    return [a] {
        RunDirectory run = RunDirectory::existing(a->run);
        const Config config = read_config(run.file("args.yaml"));
        return go_on(*a, config, run, false);
    };
}

Verb add_extend(CLI::App& app) {
    auto a = std::make_shared<Arguments>();
    app.add_option("run", a->run, "directory of a run")->required()->check(not_empty());
    app.add_option("--epochs", a->epochs, "epochs in all, more than it had")
        ->required()
        ->check(CLI::Range(1, 1'000'000));
    add_common(app, *a);
    return [a] { return extend(*a); };
}

Verb add_branch(CLI::App& app, const CommandLine& line) {
    auto a = std::make_shared<Arguments>();
    app.add_option("run", a->run, "directory of the run whose best weights the new one starts from")
        ->required()
        ->check(not_empty());
    app.add_option("words", a->words, "key=value words: what the new run does differently");
    app.add_option("--out", a->out, "run directory (default PROJECT/NAME-branch)")->check(not_empty());
    app.add_flag("--exist-ok", a->exist_ok, "--out may exist and hold files");
    add_common(app, *a);
    return [a, &line] { return branch(*a, line); };
}

}  // namespace solobox
