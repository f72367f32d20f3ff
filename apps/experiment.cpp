// solobox experiment: arms x seeds, runs that are never made twice, a table with intervals.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/experiment_queue.h"
#include "data/text.h"
#include "nn/safetensors.h"
#include "tensor/kernels/parallel.h"
#include "train/experiment/table.h"
#include "train/run/run.h"

namespace solobox {
namespace {

using Json = nlohmann::ordered_json;
using experiment::State;
namespace fs = std::filesystem;

struct ExperimentArguments {
    std::string file, out, seeds, scores;
    std::vector<std::string> words;
    int jobs = 1, threads = 0;
    bool smoke = false, dry_run = false, json = false, quiet = false, keep_weights = false;
};

// "5": 0 to 4; "3,7": those.
std::vector<std::int64_t> seeds_of(const std::string& text) {
    std::vector<std::int64_t> seeds;
    const auto fail = [&] {
        throw ConfigError(fmt::format("--seeds {}: expected how many, or a list of different numbers as 0,1,2", text));
    };
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t comma = std::min(text.find(',', at), text.size());
        const auto v = parse_integer(text.substr(at, comma - at));
        if (!v || *v < 0 || std::find(seeds.begin(), seeds.end(), *v) != seeds.end()) fail();
        seeds.push_back(*v);
        at = comma + 1;
    }
    if (text.find(',') != std::string::npos) return seeds;
    const std::int64_t n = seeds.front();
    if (n < 1 || n > 1000) fail();
    seeds.clear();
    for (std::int64_t s = 0; s < n; ++s) seeds.push_back(s);
    return seeds;
}

void write_text(const std::string& path, const std::string& text) {
    const auto* begin = reinterpret_cast<const std::byte*>(text.data());
    write_file_atomically(path, {begin, begin + text.size()});
}

std::string duration(double seconds) {
    if (seconds < 90) return fmt::format("{:.0f} s", seconds);
    if (seconds < 90 * 60) return fmt::format("{:.0f} min", seconds / 60);
    return fmt::format("{:.1f} h", seconds / 3600);
}

// What a directory belongs to: tables of another experiment, of a smoke run or under other words are not written over.
std::string identity(const experiment::Plan& plan, bool smoke) {
    std::string words;
    for (const std::string& word : plan.words)
        if (experiment::Contents::decides(word.substr(0, word.find('=')))) words += " " + word;
    return fmt::format("name: {}\nsmoke: {}\nwords:{}\n", plan.name, smoke, words);
}

// A directory of this experiment, or one that can be made. Going on with it is the normal case.
void check_directory(const std::string& out, const std::string& identity) {
    std::error_code error;
    if (!fs::exists(out, error)) return;
    if (!fs::is_directory(out, error)) throw ConfigError(fmt::format("--out {}: exists and is not a directory", out));
    if (fs::is_empty(out, error)) return;
    if (!fs::exists(out + "/identity.txt", error))
        throw ConfigError(
            fmt::format("--out {}: exists, is not empty and holds no experiment: choose another directory", out));
    const std::string there = read_whole(out + "/identity.txt", std::size_t{1} << 20);
    if (there != identity)
        throw ConfigError(
            fmt::format("--out {}: belongs to another experiment, or to other words of the command line:\n{}"
                        "Choose another directory for\n{}",
                        out, there, identity));
}

std::shared_ptr<void> open_directory(const std::string& out, const std::string& file, const std::string& identity) {
    std::error_code error;
    fs::create_directories(out, error);
    if (error) throw IoError(fmt::format("{}: cannot be created: {}", out, error.message()));
    std::shared_ptr<void> held = lock_directory(out);
    write_text(out + "/identity.txt", identity);
    write_text(out + "/experiment.yaml", read_whole(file, std::size_t{1} << 20));
    return held;
}

using Results = std::vector<experiment::Result>;

void write_tables(const std::string& out, const experiment::Plan& plan, const Results& results) {
    const auto rows = experiment::make_table(plan, results);
    write_text(out + "/table.csv", experiment::table_csv(plan, rows));
    write_text(out + "/runs.csv", experiment::runs_csv(plan, results));
}

void write_pages(const std::string& out, const experiment::Plan& plan, const Results& results, bool smoke) {
    const auto rows = experiment::make_table(plan, results);
    write_text(out + "/table.md", experiment::table_markdown(plan, rows, smoke));
    Report page = experiment::experiment_report(plan, rows, results, smoke);
    page.environment = environment_facts();
    write_text(out + "/report.html", render_report(page));
}

Json estimate_json(const experiment::Estimate& e) {
    const auto number = [](double v) { return std::isfinite(v) ? Json(v) : Json(nullptr); };
    return {{"n", e.n()},
            {"mean", number(e.mean)},
            {"sd", number(e.deviation)},
            {"low", e.interval ? number(e.interval->low) : Json(nullptr)},
            {"high", e.interval ? number(e.interval->high) : Json(nullptr)},
            {"p", e.p ? number(*e.p) : Json(nullptr)},
            {"holm", e.p ? number(e.holm) : Json(nullptr)},
            {"caution", e.caution}};
}

Json table_json(const experiment::Plan& plan, const std::vector<experiment::TableRow>& rows) {
    Json list = Json::array();
    for (const experiment::TableRow& r : rows) {
        const std::size_t control = plan.arms[r.arm].control;
        Json row{{"set", plan.sets[r.set].name},
                 {"arm", plan.arms[r.arm].name},
                 {"done", r.done},
                 {"diverged", r.diverged},
                 {"failed", r.failed},
                 {r.info.name, estimate_json(r.score)},
                 {"lift", estimate_json(r.lift)},
                 {"control", plan.arms[control].name},
                 {"difference", r.arm == control ? Json(nullptr) : estimate_json(r.control)},
                 {"words", r.arm == control ? "control" : experiment::difference_words(r.control)}};
        if (r.parent) row["from_difference"] = estimate_json(*r.parent);
        if (r.interaction) row["interaction"] = estimate_json(*r.interaction);
        if (r.claim) row["claim"] = experiment::claim_words(plan, r);
        list.push_back(std::move(row));
    }
    return list;
}

std::size_t count(const std::vector<experiment::Result>& results, State state) {
    return static_cast<std::size_t>(std::count_if(
        results.begin(), results.end(), [&](const experiment::Result& r) { return r.outcome.state == state; }));
}

void print_plan(const experiment::Plan& plan, const ExperimentQueue& queue, double seconds,
                const ExperimentArguments& a) {
    if (a.json) {
        Json runs = Json::array();
        for (const experiment::Result& r : queue.results())
            runs.push_back({{"set", plan.sets[r.set].name},
                            {"arm", plan.arms[r.arm].name},
                            {"seed", r.seed},
                            {"run", r.id},
                            {"state", experiment::name_of(r.outcome.state)}});
        print_json({{"name", plan.name},
                    {"sets", plan.sets.size()},
                    {"arms", plan.arms.size()},
                    {"seeds", plan.seeds},
                    {"open", queue.open()},
                    {"forecast_seconds", seconds},
                    {"runs", runs}});
        return;
    }
    for (std::size_t i = 0; i < plan.arms.size(); ++i) {
        const experiment::Arm& arm = plan.arms[i];
        fmt::print("  {}{}: {}{}\n", arm.name, i == arm.control ? " (control)" : "",
                   arm.from.empty() ? "" : arm.from + " + ", experiment::describe(arm));
    }
    fmt::print("{} of {} runs are open: about {}\n", queue.open(), queue.different(), duration(seconds));
}

void print_tables(const ExperimentArguments& a, const experiment::Plan& plan, const Results& results,
                  const std::string& out, int stop) {
    const auto rows = experiment::make_table(plan, results);
    if (a.json) {
        print_json({{"name", plan.name},
                    {"directory", out},
                    {"smoke", a.smoke},
                    {"interrupted_by", stop},
                    {"done", count(results, State::done)},
                    {"diverged", count(results, State::diverged)},
                    {"failed", count(results, State::failed)},
                    {"runs", results.size()},
                    {"rows", table_json(plan, rows)},
                    {"summary", experiment::summary(plan, rows).all()}});
        return;
    }
    fmt::print("{}", experiment::table_text(plan, rows));
    if (!out.empty()) fmt::print("{}/table.csv table.md report.html runs.csv\n", out);
}

// The tables of scores that are there, of this machine or another: nothing runs.
ExitCode tables_of_scores(const ExperimentArguments& a, const experiment::Plan& plan,
                          const std::vector<experiment::PlannedRun>& runs) {
    if (a.smoke || a.dry_run || a.keep_weights)
        throw ConfigError("--scores runs nothing: --smoke, --dry-run and --keep-weights would be ignored");
    const Results results = experiment::read_runs_csv(a.scores, plan, runs);
    std::shared_ptr<void> held;
    if (!a.out.empty()) {
        check_directory(a.out, identity(plan, false));
        held = open_directory(a.out, a.file, identity(plan, false));
        write_tables(a.out, plan, results);
        write_pages(a.out, plan, results, false);
    }
    print_tables(a, plan, results, a.out, 0);
    return ExitCode::done;
}

ExitCode run_experiment(const ExperimentArguments& a) {
    experiment::Plan plan = experiment::read_plan(a.file);
    std::vector<std::string> notes;
    experiment::Changes changes{a.words, {}, a.smoke};
    if (!a.seeds.empty()) changes.seeds = seeds_of(a.seeds);
    const auto runs = experiment::plan_runs(plan, changes, notes);
    if (!a.scores.empty()) return tables_of_scores(a, plan, runs);
    if (a.smoke) plan.name += "-smoke";
    const std::string out = a.out.empty() ? "runs/experiment/" + plan.name : a.out;
    check_directory(out, identity(plan, a.smoke));
    const int jobs = std::min<int>(a.jobs, static_cast<int>(runs.size()));
    const int threads = a.threads > 0 ? a.threads : std::max(1, thread_count() / jobs);
    use_threads(threads);
    Talk talk(a.quiet);
    const std::atomic<int>& stop = watch_signals();
    ExperimentQueue queue(plan, runs, {out, jobs, threads, a.keep_weights});
    talk.line(fmt::format("{}: {} sets x {} arms x {} seeds = {} runs; {} at a time, {} threads each", plan.name,
                          plan.sets.size(), plan.arms.size(), plan.seeds.size(), runs.size(), jobs, threads));
    for (const experiment::PictureSet& set : plan.sets)
        for (const experiment::PlannedRun& r : runs)
            if (&plan.sets[r.set] == &set) {
                talk.line(
                    fmt::format("  {}: data={} ({})", set.name, r.config.text("data"), r.config.at("data").origin));
                break;
            }
    for (const std::string& note : notes) talk.line("  " + note);
    if (a.smoke) talk.line("  a smoke run: one epoch of a few small pictures; its numbers mean nothing");
    if (const std::size_t there = queue.different() - queue.open(); there > 0)
        talk.line(fmt::format("  {} runs are there already", there));
    const double seconds = queue.forecast(talk, stop);
    if (stop) return static_cast<ExitCode>(128 + stop);
    if (a.dry_run) {
        print_plan(plan, queue, seconds, a);
        return ExitCode::done;
    }
    const auto held = open_directory(out, a.file, identity(plan, a.smoke));
    if (queue.open() > 0)
        talk.line(fmt::format("  {} runs to go: about {}; stop it at any time, the same command goes on", queue.open(),
                              duration(seconds)));
    queue.work(talk, stop, [&] { write_tables(out, plan, queue.results()); });
    write_tables(out, plan, queue.results());
    write_pages(out, plan, queue.results(), a.smoke);
    print_tables(a, plan, queue.results(), out, stop);
    if (stop) {
        talk.line(fmt::format("{} runs are open: the same command goes on", queue.open()));
        return static_cast<ExitCode>(128 + stop);
    }
    if (const std::size_t failed = count(queue.results(), State::failed); failed > 0) {
        for (const experiment::Result& r : queue.results())
            if (r.outcome.state == State::failed)
                throw Error(fmt::format("{} of {} runs failed and are tried again next time; the first: {}/runs/{}: {}",
                                        failed, queue.results().size(), out, r.id, r.outcome.message),
                            ExitCode::internal);
    }
    return ExitCode::done;
}

}  // namespace

Verb add_experiment(Command app) {
    auto a = std::make_shared<ExperimentArguments>();
    app.option("file", a->file, "the experiment: base, arms or factors, sets, seeds (docs/experiments.md)")
        .required()
        .not_empty();
    app.option("words", a->words, "key=value words for every run, as data=DIR or epochs=5");
    app.option("--out", a->out, "directory (default runs/experiment/NAME); one that is there is gone on with")
        .not_empty();
    app.option("--jobs", a->jobs, "runs at a time (default 1)").within(1, 256);
    app.option("--seeds", a->seeds, "instead of the file's: how many, or a list as 0,1,2").not_empty();
    app.option("--scores", a->scores, "run nothing: the table of the scores in this runs.csv").not_empty();
    app.option("--threads", a->threads, "threads of each run (default: physical cores / jobs)").within(1, 1024);
    app.flag("--smoke", a->smoke, "one epoch of a few small pictures, two seeds: does all of it run?");
    app.flag("--dry-run", a->dry_run, "say what would run and how long it takes; train nothing");
    app.flag("--keep-weights", a->keep_weights, "keep the weights of finished runs");
    app.flag("--json", a->json, "one JSON object on standard output");
    app.flag("-q,--quiet", a->quiet, "no progress");
    return [a] { return run_experiment(*a); };
}

}  // namespace solobox
