// solobox compare and report: what runs left on disk, as a table and as a page.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "apps/run_setup.h"
#include "nn/safetensors.h"
#include "train/run/record.h"
#include "train/run/scores.h"
#include "train/session/run_report.h"

namespace solobox {
namespace {

using Json = nlohmann::ordered_json;

struct ComparedRun {
    std::string run;
    RunScores scores;
    RunRecord record;
    std::string epochs() const { return scores.rows ? number_text(scores.epochs) : ""; }
    std::string length() const { return epochs() + (scores.steps ? " st" : ""); }
    std::string best_epoch() const { return scores.best_epoch > 0 ? number_text(scores.best_epoch) : ""; }
    double lift() const { return scores.best - scores.blind; }
};

ComparedRun read_row(const std::string& path) {
    (void)RunDirectory::existing(path);
    return {std::filesystem::path(path).lexically_normal().string(), read_run_scores(path), read_record(path)};
}

// Keys in which the runs differ, with each run's value.
std::vector<std::pair<std::string, std::vector<std::string>>> differences(const std::vector<std::string>& runs) {
    std::vector<std::map<std::string, std::string>> settings;
    for (const auto& r : runs) settings.push_back(read_settings(r + "/args.yaml"));
    std::vector<std::pair<std::string, std::vector<std::string>>> out;
    for (const auto& [key, first] : settings.front()) {
        std::vector<std::string> values;
        bool differ = false;
        for (auto& s : settings) values.push_back(s[key]), differ = differ || s[key] != first;
        if (differ && key != "name" && key != "exist_ok") out.emplace_back(key, values);
    }
    return out;
}

// What a reader must know before he compares their figures.
std::vector<std::string> cautions(const std::vector<ComparedRun>& rows) {
    std::vector<std::string> out;
    for (const ComparedRun& r : rows) {
        if (r.scores.steps)
            out.push_back(r.run + ": an overfit run: steps instead of epochs, and the score of the pictures it learns");
        else if (r.record.state != "finished" && !r.record.state.empty())
            out.push_back(fmt::format("{}: {}", r.run, r.record.state == "open" ? "not finished" : r.record.state));
        const std::string& first = rows.front().record.data_hash;
        if (!first.empty() && !r.record.data_hash.empty() && r.record.data_hash != first)
            out.push_back(fmt::format("{}: other pictures or labels than {}", r.run, rows.front().run));
    }
    return out;
}

struct CompareArguments {
    std::vector<std::string> runs;
    std::string run, out;
    bool json = false;
    int threads = 0;
};

ExitCode compare(const CompareArguments& a) {
    std::vector<ComparedRun> rows;
    for (const auto& r : a.runs) rows.push_back(read_row(r));
    const auto keys = differences(a.runs);
    if (!a.out.empty()) {
        Report report = compare_report(a.runs);
        for (const auto& [key, values] : keys)
            report.summary.emplace_back(key, fmt::format("{}", fmt::join(values, " | ")));
        for (const ComparedRun& r : rows)
            report.summary.emplace_back(
                r.run, fmt::format("best {} {:.4f}, lift {:+.4f}", r.scores.info.title, r.scores.best, r.lift()));
        const std::string page = render_report(report);
        const auto* begin = reinterpret_cast<const std::byte*>(page.data());
        write_file_atomically(a.out, {begin, begin + page.size()});
    }
    if (a.json) {
        Json list = Json::array(), differ;
        const auto number = [](double v) { return std::isfinite(v) ? Json(v) : Json(nullptr); };
        for (const ComparedRun& r : rows)
            list.push_back({{"run", r.run},
                            {"epochs", r.epochs()},
                            {"counts_in", r.scores.steps ? "steps" : "epochs"},
                            {"state", r.record.state},
                            {"best_" + r.scores.info.name, number(r.scores.best)},
                            {"best_epoch", r.best_epoch()},
                            {"last_" + r.scores.info.name, number(r.scores.last)},
                            {r.scores.info.blind_name(), number(r.scores.blind)},
                            {"lift", number(r.lift())},
                            {"val_loss", number(r.scores.loss)},
                            {"seconds", r.scores.seconds}});
        for (const auto& [key, values] : keys) differ[key] = values;
        print_json({{"runs", list}, {"differences", differ}, {"cautions", cautions(rows)}});
        return ExitCode::done;
    }
    // Of one kind, the columns can say what they are.
    const TaskInfo& info = rows.front().scores.info;
    const bool one_kind =
        std::all_of(rows.begin(), rows.end(), [&](const ComparedRun& r) { return r.scores.info.kind == info.kind; });
    const std::string blind = info.blind_title.substr(info.blind_title.starts_with("best ") ? 5 : 0);
    std::size_t width = 4;
    for (const ComparedRun& r : rows) width = std::max(width, r.run.size());
    fmt::print("{:<{}} {:>7} {:>9} {:>6} {:>9} {:>13} {:>8} {:>9} {:>9}\n", "run", width, "epochs",
               one_kind && !info.percent() ? "best " + info.title : "best", "epoch",
               one_kind && !info.percent() ? "last " + info.title : "last",
               one_kind && !info.percent() ? blind : "never looks", "lift", "val loss", "seconds");
    for (const ComparedRun& r : rows)
        fmt::print("{:<{}} {:>7} {:>9.4f} {:>6} {:>9.4f} {:>13.4f} {:>+8.4f} {:>9.4f} {:>9.1f}\n", r.run, width,
                   r.length(), r.scores.best, r.best_epoch(), r.scores.last, r.scores.blind, r.lift(), r.scores.loss,
                   r.scores.seconds);
    for (const auto& [key, values] : keys) fmt::print("  {}: {}\n", key, fmt::join(values, " | "));
    for (const std::string& caution : cautions(rows)) fmt::print("  {}\n", caution);
    return ExitCode::done;
}

ExitCode report(const CompareArguments& a) {
    const RunDirectory run = RunDirectory::existing(a.run);
    refuse_overfit_run(a.run, "report");
    const Config config = read_config(run.file("args.yaml"));
    set_up_compute(config, a.threads);
    const std::unique_ptr<Learner> learner = make_learner(config);
    refuse_changed_data(*learner, run,
                        fmt::format("`val {} --data {}` measures on it as it is now", a.run, config.text("data")));
    (void)finish_run(*learner, run, learner->judge(read_row(a.run).scores.best).text());
    fmt::print("{}\n", run.file("report.html"));
    return ExitCode::done;
}

}  // namespace

Verb add_compare(Command app) {
    auto a = std::make_shared<CompareArguments>();
    app.option("runs", a->runs, "directories of runs").required().not_empty();
    app.option("--out", a->out, "an HTML page with their curves over each other").not_empty();
    app.flag("--json", a->json, "one JSON object on standard output");
    return [a] { return compare(*a); };
}

Verb add_report(Command app) {
    auto a = std::make_shared<CompareArguments>();
    app.option("run", a->run, "directory of a run; its data set must be where it was").required().not_empty();
    add_threads_option(app, a->threads);
    return [a] { return report(*a); };
}

}  // namespace solobox
