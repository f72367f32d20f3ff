#include "train/session/whole_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/image/image.h"
#include "data/text.h"
#include "tensor/kernels/winograd.h"
#include "train/config/file.h"
#include "train/config/setup.h"
#include "train/run/legacy_names.h"
#include "train/run/record.h"
#include "train/session/forecast.h"
#include "train/session/run_findings.h"
#include "train/session/run_report.h"
#include "train/step/weights.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

using Json = nlohmann::ordered_json;

namespace {

// Where data and lists lie, whatever directory the run is gone on with from.
Config with_full_paths(Config config) {
    for (const auto& [key, v] : config.all()) {
        const std::string& value = v.value;
        if (!names_place(key, value)) continue;
        std::error_code error;
        const std::string full = std::filesystem::absolute(value, error).lexically_normal().string();
        if (!error && full != value) config.set(key, full, config.at(key).origin);
    }
    return config;
}

// What a run was begun with is what it goes on with: places, names and threads aside.
void refuse_other_settings(const std::string& place, const Config& config) {
    refuse_overfit_run(place, "run");
    const Config before = read_config(place + "/args.yaml");
    const Config now = with_full_paths(config);
    for (const auto& [key, v] : config.all())
        // A run of an older version has its paths as they were written.
        if (config_key(key).decides != Decides::nothing && key != "classes" && v.value != before.at(key).value &&
            now.at(key).value != before.at(key).value)
            throw ConfigError(fmt::format("{} holds a run with {}={}, not {}: another directory begins a new run",
                                          place, key, before.at(key).value, v.value));
}

}  // namespace

Config training_config(const std::vector<std::string>& words) {
    Config config;
    std::vector<std::string> settings;
    std::string file;
    for (const std::string& word : words) {
        if (word.find('=') != std::string::npos) {
            settings.push_back(word);
            continue;
        }
        if (!file.empty())
            throw ConfigError(
                fmt::format("two configuration files, {} and {}: expected one, then key=value words", file, word));
        file = word;
    }
    if (!file.empty()) {
        if (is_run_settings(file))
            config = read_config(file);
        else
            load_config_file(config, file);
    }
    apply_environment(config);
    config.set_words(settings, "command line");
    apply_training_defaults(config);
    apply_model_defaults(config);
    return config;
}

void write_classes(const RunDirectory& run, const std::vector<std::string>& names) {
    std::string lines;
    for (const std::string& name : names) lines += printable(name, 200) + "\n";
    if (!lines.empty()) run.write_text("classes.txt", lines);
}

void refuse_changed_data(const Learner& learner, const RunDirectory& run, const std::string& advice) {
    const std::string began = read_record(run.path()).data_hash;
    if (!began.empty() && began != learner.data_fingerprint())
        throw DataError(
            fmt::format("{}: the data set is not the one that this run was trained on (its pictures or labels "
                        "have changed): {}",
                        learner.config().text("data"), advice));
}

std::vector<std::string> take_weights(Learner& learner) {
    const std::string& weights = learner.config().text("weights");
    return weights.empty() ? std::vector<std::string>() : start_from(learner, weights);
}

void take_classes(Config& config, const Learner& learner) {
    const auto names = learner.class_names();
    if (!names.empty()) config.set("classes", std::to_string(names.size()), "data set");
}

RunDirectory begin_run(Learner& learner, const RunDirectory::Place& place, const std::vector<std::string>& words,
                       const Json& parent) {
    RunDirectory run(place);
    run.lock();
    run.write_inputs(words, with_full_paths(learner.config()));
    run.write_text("events.jsonl", "");
    write_classes(run, learner.class_names());
    if (!parent.is_null()) run.write_text("parent.json", parent.dump(2) + "\n");
    run.event(
        {{"event", "start"}, {"data", learner.introduction().front()}, {"data_hash", learner.data_fingerprint()}});
    return run;
}

Measurement finish_run(Learner& learner, const RunDirectory& run, const std::string& verdict_text) {
    load_weights(learner, run.best_weights());
    const PictureStore& store = *learner.data().val;
    Measurement m = *learner.measure(store, {});
    Report report = read_run_report(run);
    report.verdict_text = verdict_text;
    report.environment.emplace(report.environment.begin(), "data", learner.introduction().front());
    report.pictures = shown_pictures(learner, store, m, 24, true);
    report.tables = m.measured.tables;
    run.write_text("report.html", render_report(report));
    const auto& worst = report.pictures;
    const std::vector<ReportPicture> some(worst.begin(),
                                          worst.begin() + std::min<std::ptrdiff_t>(16, std::ssize(worst)));
    write_png(run.file("worst.png"), draw_pictures(some, 4, 224));
    write_png(run.file("val_pred.png"), draw_pictures(shown_pictures(learner, store, m, 16, false), 4, 224));
    return m;
}

WholeRun carry_out(Learner& learner, const RunDirectory& run, const SessionOptions& options) {
    write_task_info(run, learner.task().info());
    WholeRun whole;
    whole.directory = run.path();
    SessionResult& r = whole.session;
    try {
        r = train(learner, run, options);
    } catch (const NonFiniteError& e) {
        run.event({{"event", "diverged"}, {"message", e.what()}});
        throw;
    }
    if (r.stopped_by) {
        run.event({{"event", "interrupted"}, {"signal", r.stopped_by}, {"step", r.steps}});
        return whole;
    }
    whole.verdict = learner.judge(r.best_score);
    run.event({{"event", "finished"}, {"step", r.steps}, {"epochs", r.epochs}, {"early", r.early}});
    whole.shown = finish_run(learner, run, whole.verdict.text());
    const Config& config = learner.config();
    if (config.flag("legacy_names"))
        write_legacy_names(run, config, {learner.stages().updates().in(0), r.best_epoch - 1, r.best_score});
    for (const ReportFinding& f : run_findings(run)) {
        if (!r.said.contains(f.id))  // written down while it ran
            run.event({{"event", "finding"},
                       {"id", f.id},
                       {"severity", f.severity},
                       {"message", f.message},
                       {"cure", f.cure}});
        if (f.severity == "FAIL" || f.severity == "WARN") whole.findings.push_back(f);
    }
    return whole;
}

WholeRun run(const TaskKind& kind, const std::vector<std::string>& words, const std::string& place,
             SessionOptions options) {
    if (std::none_of(task_keys().begin(), task_keys().end(),
                     [&](const TaskKeys& known) { return known.kind == kind.keys.kind; }))
        add_task_kind(kind);
    std::vector<std::string> all = words;
    const auto names_model = [](const std::string& w) {
        return w.find('=') == std::string::npos || w.starts_with("model=");
    };
    if (std::none_of(words.begin(), words.end(), names_model)) all.push_back("model=" + kind.keys.models.at(0));
    std::error_code error;
    const bool there = std::filesystem::is_regular_file(place + "/args.yaml", error);
    Config config = training_config(all);
    check_config(config);
    if (there) refuse_other_settings(place, config);
    fast::set_winograd(config.text("conv") != "direct");
    const std::unique_ptr<Learner> learner = make_learner(config);
    const auto say = [&](const std::vector<std::string>& lines) {
        for (const std::string& line : lines)
            if (options.talk) options.talk(line, false);
    };
    take_classes(config, *learner);
    say(learner->introduction());
    const std::int64_t available = available_memory();
    refuse_what_does_not_fit(forecast_memory(*learner, true, available), config, available);
    if (!there) {
        say(take_weights(*learner));
        const RunDirectory fresh = begin_run(*learner, {"", "", place, false}, all, nullptr);
        return carry_out(*learner, fresh, options);
    }
    RunDirectory before = RunDirectory::existing(place);
    before.lock();
    refuse_changed_data(*learner, before, "another directory begins a new run");
    before.event({{"event", "resume"}, {"epochs", config.integer("epochs")}});
    // Killed before the first checkpoint, a run has nothing but its settings: it starts.
    options.resume = std::filesystem::exists(before.last_weights(), error);
    if (!options.resume) say(take_weights(*learner)), write_classes(before, learner->class_names());
    return carry_out(*learner, before, options);
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
