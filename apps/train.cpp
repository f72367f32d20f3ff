// solobox train, resume, extend, branch: runs on disk that can be stopped, gone on with and grown from one another.
#include <fmt/format.h>
#include <stdlib.h>

#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/run_setup.h"
#include "data/text.h"
#include "tensor/kernels/parallel.h"
#include "train/run/record.h"
#include "train/session/forecast.h"
#include "train/step/training_schedule.h"

namespace solobox {
namespace {

using Json = nlohmann::ordered_json;

struct TrainArguments {
    std::vector<std::string> words;
    std::string run, out, data;
    std::int64_t epochs = 0;
    int threads = 0;
    bool json = false, exist_ok = false, skip_bad = false, quiet = false, fast_dev_run = false;
};

void print_result(const TrainArguments& a, const WholeRun& whole, const Learner& learner) {
    const TaskInfo info = learner.task().info();
    const SessionResult& r = whole.session;
    if (a.json) {
        Json j{{"run_dir", whole.directory},
               {"epochs", r.epochs},
               {"steps", r.steps},
               {"best_epoch", r.best_epoch},
               {"best_" + info.name, r.best_epoch ? Json(r.best_score) : Json(nullptr)}};
        for (const Blind& b : learner.blind()) j[b.name] = b.score;
        if (!learner.blind().empty() && r.best_epoch) j["lift"] = r.best_score - learner.blind().back().score;
        j.update({{"stopped_early", r.early},
                  {"interrupted_by", r.stopped_by},
                  {"seconds", r.seconds},
                  {"images_per_second", r.images_per_second},
                  {"data_wait_share", r.wait_share},
                  {"watch_share", r.watch_share},
                  {"verdict_text", whole.verdict.text()},
                  {"findings", json_of(whole.findings)}});
        if (whole.shown) {
            for (const auto& [name, value] : whole.shown->measured.figures) j[name] = value;
            j["loss"] = whole.shown->evaluation.loss;
        }
        print_json(j);
        return;
    }
    if (r.stopped_by)  // perhaps in somebody's own program, with a task that solobox does not know
        fmt::print("Interrupted in epoch {}: `{} resume {}` goes on.\n", r.epochs + 1, program_invocation_short_name,
                   whole.directory);
    else
        fmt::print("{}\n", whole.verdict.text());
    print_findings(whole.findings);  // beside the verdict, however quiet: a score can hide what is wrong
    if (r.best_epoch == 0) {
        fmt::print("no validation yet; {:.1f} s\nrun: {}\n", r.seconds, whole.directory);
        return;
    }
    std::string blind;
    for (const Blind& b : learner.blind())
        blind += fmt::format("{}{} {:.4f}", blind.empty() ? "" : ", ", b.name, b.score);
    fmt::print("best {} {:.4f} in epoch {} ({}); {} epochs, {:.1f} s, {:.0f} img/s, {:.1f} % of it waiting for data\n",
               info.title, r.best_score, r.best_epoch, blind, r.epochs, r.seconds, r.images_per_second,
               100 * r.wait_share);
    fmt::print("run: {}\n", whole.directory);
}

ExitCode work(const TrainArguments& a, Learner& learner, const RunDirectory& run, SessionOptions options, Talk& talk) {
    options.stop_signal = &watch_signals();
    options.talk = [&](const std::string& text, bool live) {
        if (!live)
            talk.line(text);
        else if (talk.terminal())  // a log gets one line an epoch
            talk.live(text);
    };
    const WholeRun whole = carry_out(learner, run, options);
    talk.end_live();
    print_result(a, whole, learner);
    return whole.session.stopped_by ? static_cast<ExitCode>(128 + whole.session.stopped_by) : ExitCode::done;
}

// What is wrong with a configuration is said before any file is touched.
void prepare(const TrainArguments& a, const Config& config) {
    set_up_compute(config, a.threads);
    check_config(config);
}

std::string run_name(const Config& config) {
    if (!config.text("name").empty()) return config.text("name");
    const std::string name = std::filesystem::path(config.text("data")).lexically_normal().filename().string();
    return name.empty() || name == "." || name == ".." ? "data" : name;
}

// What a run needs before its first step, whether it begins or is gone on with before its first checkpoint.
void begin(Learner& learner, Talk& talk) {
    for (const std::string& note : take_weights(learner)) talk.line("  " + note);
}

// What will not fit is refused before it takes the machine down.
MemoryForecast forecast(Learner& learner, bool quick) {
    const std::int64_t available = available_memory();
    MemoryForecast f = forecast_memory(learner, quick, available);
    refuse_what_does_not_fit(f, learner.config(), available);
    return f;
}

// One batch of training and one of validation through everything that a run does, into a directory that goes away.
ExitCode fast_dev_run(const TrainArguments& a, Config config) {
    config.set("epochs", "1", "--fast-dev-run");
    prepare(a, config);
    Talk talk(a.quiet);
    (void)watch_signals();
    const std::unique_ptr<Learner> learner = make_learner(config, true);
    introduce(talk, *learner);
    begin(*learner, talk);
    const MemoryForecast f = forecast(*learner, false);
    std::string place = (std::filesystem::temp_directory_path() / "solobox-fast-dev-run-XXXXXX").string();
    if (mkdtemp(place.data()) == nullptr) throw IoError(fmt::format("{}: cannot be created", place));
    SessionResult r;
    {
        struct Remove {
            std::string path;
            ~Remove() {
                std::error_code ignored;
                std::filesystem::remove_all(path, ignored);
            }
        } const remove{place};
        const RunDirectory run(RunDirectory::Place{"", "", place, true});
        run.write_inputs({"--fast-dev-run"}, config);
        SessionOptions options;
        options.stop_signal = &watch_signals();
        write_task_info(run, learner->task().info());
        r = train(*learner, run, options);
        if (r.stopped_by) return static_cast<ExitCode>(128 + r.stopped_by);
        (void)finish_run(*learner, run, "");
    }
    const double forecast_mb = static_cast<double>(f.total()) / 1e6, peak_mb = static_cast<double>(peak_memory()) / 1e6;
    if (a.json) {
        print_json({{"steps", r.steps},
                    {"val_loss", r.last.loss},
                    {"seconds", r.seconds},
                    {"forecast_mb", forecast_mb},
                    {"peak_mb", peak_mb},
                    {"forecast_ratio", forecast_mb / peak_mb}});
        return ExitCode::done;
    }
    fmt::print("one batch through everything: {} step, validation, checkpoint and report in {:.1f} s, nothing kept\n",
               r.steps, r.seconds);
    fmt::print("{}\n", r.last.text);
    fmt::print(
        "memory: {:.0f} MB forecast, {:.0f} MB measured ({:.0f} of it before the first step, {:.0f} for {} pictures)\n",
        forecast_mb, peak_mb, static_cast<double>(f.before) / 1e6, static_cast<double>(f.step) / 1e6,
        config.integer("batch"));
    return ExitCode::done;
}

ExitCode start(const TrainArguments& a, Config config, const CommandLine& line, const Json& parent) {
    prepare(a, config);
    Talk talk(a.quiet);
    (void)watch_signals();
    const std::unique_ptr<Learner> learner = make_learner(config);
    take_classes(config, *learner);
    introduce(talk, *learner);
    begin(*learner, talk);
    (void)forecast(*learner, true);
    const RunDirectory run =
        begin_run(*learner, {config.text("project"), run_name(config), a.out, a.exist_ok || config.flag("exist_ok")},
                  line.words, parent);
    talk.line("run: " + run.path());
    return work(a, *learner, run, {}, talk);
}

// The pictures and labels must be the same: the checkpoint knows. Where they lie is not a run's business.
Config moved(const TrainArguments& a, Config config) {
    std::error_code error;
    if (!a.data.empty())
        config.set("data", std::filesystem::absolute(a.data, error).lexically_normal().string(), "--data");
    const std::string& data = config.text("data");
    if (data != "synthetic" && !std::filesystem::exists(data, error))
        throw DataError(
            fmt::format("{}: the data set is not there any more{}: --data DIRECTORY says where it is now", data,
                        data.starts_with("/") ? ""
                                              : ", or its relative path was meant from the directory in which the "
                                                "run was started"));
    return config;
}

ExitCode go_on(const TrainArguments& a, const Config& before, RunDirectory& run, bool extend) {
    const Config config = moved(a, before);
    prepare(a, config);
    Talk talk(a.quiet);
    (void)watch_signals();
    run.lock();
    const std::unique_ptr<Learner> learner = make_learner(config);
    if (!a.data.empty()) {
        refuse_changed_data(*learner, run, "give the place where it was moved to, or begin a new run with `branch`");
        run.write_text("args.yaml", config.to_yaml());
    }
    introduce(talk, *learner);
    run.event({{"event", extend ? "extend" : "resume"}, {"epochs", config.integer("epochs")}});
    if (extend) {
        run.write_text("args.yaml", config.to_yaml());
        talk.line("the learning rate goes on as if the run had been meant for so many epochs from the start");
    }
    SessionOptions options;
    // Killed before the first checkpoint, a run has nothing but its settings: it starts.
    options.resume = std::filesystem::exists(run.last_weights());
    options.extend = extend;
    if (!options.resume) begin(*learner, talk);
    write_classes(run, learner->class_names());
    (void)forecast(*learner, true);
    return work(a, *learner, run, options, talk);
}

ExitCode extend(const TrainArguments& a) {
    RunDirectory run = RunDirectory::existing(a.run);
    refuse_overfit_run(a.run, "extend");
    Config config = read_config(run.file("args.yaml"));
    if (a.epochs <= config.integer("epochs"))
        throw ConfigError(
            fmt::format("--epochs {}: the run has {} already: expected more", a.epochs, config.integer("epochs")));
    config.set("epochs", std::to_string(a.epochs), "extend");
    return go_on(a, config, run, true);
}

ExitCode branch(const TrainArguments& a, const CommandLine& line) {
    const RunDirectory parent = RunDirectory::existing(a.run);
    refuse_overfit_run(a.run, "branch");
    const Config before = read_config(parent.file("args.yaml"));
    Config config = before;
    config.set_words(a.words, "branch");
    if (config.at("classes").origin == "data set") config.set("classes", "0", "default");  // another set has its own
    config.set("weights", parent.best_weights(), "branch");
    if (config.at("name").origin != "branch")
        config.set("name", std::filesystem::path(a.run).lexically_normal().filename().string() + "-branch", "branch");
    Json changes = Json::array();
    for (const auto& [key, v] : config.all())
        if (v.value != before.at(key).value && key != "weights" && key != "name")
            changes.push_back(fmt::format("{}: {} -> {}", key, before.at(key).value, v.value));
    return start(a, config, line, Json{{"run", a.run}, {"changes", changes}});
}

void add_common(Command app, TrainArguments& a) {
    add_threads_option(app, a.threads);
    app.flag("--json", a.json, "one JSON object on standard output");
    app.flag("-q,--quiet", a.quiet, "no progress");
}

void add_data_option(Command app, TrainArguments& a) {
    app.option("--data", a.data, "where its data set lies now: the same pictures and labels").not_empty();
}

}  // namespace

Verb add_train(Command app, const CommandLine& line) {
    auto a = std::make_shared<TrainArguments>();
    app.option("words", a->words, "CONFIG.yaml and key=value words, see `solobox config --schema`").required();
    app.option("--out", a->out, "run directory (default PROJECT/NAME)").not_empty();
    app.flag("--exist-ok", a->exist_ok, "--out may exist and hold files");
    add_common(app, *a);
    app.flag("--skip-bad", a->skip_bad, "leave out pictures and labels that cannot be used");
    app.flag("--fast-dev-run", a->fast_dev_run,
             "one batch of training and one of validation through everything, nothing kept; memory forecast and peak");
    return [a, &line] {
        Config config = training_config(a->words);
        if (a->skip_bad) config.set("skip_bad", "true", "--skip-bad");
        if (a->fast_dev_run && (!a->out.empty() || a->exist_ok))
            throw ConfigError("--fast-dev-run keeps nothing: --out and --exist-ok would be ignored");
        return a->fast_dev_run ? fast_dev_run(*a, config) : start(*a, config, line, nullptr);
    };
}

Verb add_resume(Command app) {
    auto a = std::make_shared<TrainArguments>();
    app.option("run", a->run, "directory of a run that was stopped").required().not_empty();
    add_data_option(app, *a);
    add_common(app, *a);
    return [a] {
        RunDirectory run = RunDirectory::existing(a->run);
        refuse_overfit_run(a->run, "resume");
        const Config config = read_config(run.file("args.yaml"));
        return go_on(*a, config, run, false);
    };
}

Verb add_extend(Command app) {
    auto a = std::make_shared<TrainArguments>();
    app.option("run", a->run, "directory of a run").required().not_empty();
    app.option("--epochs", a->epochs, "epochs in all, more than it had").required().within(1, 1'000'000);
    add_data_option(app, *a);
    add_common(app, *a);
    return [a] { return extend(*a); };
}

Verb add_branch(Command app, const CommandLine& line) {
    auto a = std::make_shared<TrainArguments>();
    app.option("run", a->run, "directory of the run whose best weights the new one starts from").required().not_empty();
    app.option("words", a->words, "key=value words: what the new run does differently");
    app.option("--out", a->out, "run directory (default PROJECT/NAME-branch)").not_empty();
    app.flag("--exist-ok", a->exist_ok, "--out may exist and hold files");
    add_common(app, *a);
    return [a, &line] { return branch(*a, line); };
}

}  // namespace solobox
