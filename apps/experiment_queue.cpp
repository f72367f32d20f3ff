#include "apps/experiment_queue.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "apps/child_run.h"
#include "train/session/forecast.h"
#include "train/session/session.h"
#include "train/session/time_forecast.h"
#include "train/tasks/kinds.h"

namespace solobox {
namespace {

using experiment::State;
namespace fs = std::filesystem;

constexpr double start_and_page = 0.6;  // seconds of a run beside its training: start, data, report

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Runs that differ in these keys alone take different times; what a step costs is measured once for each kind.
std::string kind_of(const Config& config) {
    std::string kind;
    for (const char* key :
         {"model",         "width_mult", "image",        "hidden",     "norm",         "batch",
          "data",          "accumulate", "recompute",    "conv",       "head",         "occupancy_cells",
          "class_weight",  "freeze",     "train_images", "val_images", "epochs",       "val_every",
          "multi_scale",   "mosaic",     "workers",      "optimizer",  "ema_decay",    "aux_heads",
          "stem",          "classes",    "clip",         "box",        "val_fraction", "degrees",
          "unfreeze_epoch"})
        kind += config.at(key).value + "\n";
    return kind;
}

std::string last_line(const std::string& log) {
    std::ifstream in(log, std::ios::binary);
    std::string last;
    for (std::string line; std::getline(in, line);)
        if (!line.empty()) last = line;
    return last.size() > 300 ? last.substr(0, 300) + ".." : last;
}

std::size_t rows_of(const std::string& table) {
    std::ifstream in(table, std::ios::binary);
    std::size_t rows = 0;
    for (std::string line; std::getline(in, line);) ++rows;
    return rows ? rows - 1 : 0;
}

}  // namespace

ExperimentQueue::ExperimentQueue(const experiment::Plan& plan, const std::vector<experiment::PlannedRun>& runs,
                                 QueueOptions options)
    : plan_(plan), runs_(runs), options_(std::move(options)), store_(options_.out) {
    experiment::Contents contents;
    std::set<std::string> checked, queued;
    for (std::size_t i = 0; i < runs.size(); ++i) {
        const experiment::PlannedRun& run = runs[i];
        if (checked.insert(fmt::format("{} {}", run.set, run.arm)).second) try {
                check_config(run.config);
            } catch (const ConfigError& e) {
                throw ConfigError(fmt::format("{}: {}: {}", plan.path, label(i), e.what()));
            }
        contents_.push_back(contents.of(run.config));
        const std::string id = experiment::Contents::id(contents_.back());
        results_.push_back({run.set, run.arm, run.seed, id, store_.look(id, contents_.back())});
        const State state = results_.back().outcome.state;
        if (state != State::done && state != State::diverged && queued.insert(id).second) waiting_.push_back(i);
    }
}

std::string ExperimentQueue::label(std::size_t i) const {
    const experiment::PlannedRun& run = runs_[i];
    return fmt::format("{}{}{}, seed {}", plan_.sets[run.set].name, plan_.sets[run.set].name.empty() ? "" : ", ",
                       plan_.arms[run.arm].name, run.seed);
}

std::size_t ExperimentQueue::open() const { return waiting_.size() + jobs_.size(); }

std::size_t ExperimentQueue::different() const {
    std::set<std::string> ids;
    for (const experiment::Result& r : results_) ids.insert(r.id);
    return ids.size();
}

double ExperimentQueue::expected(std::size_t run) const {
    const auto found = seconds_.find(kind_of(runs_[run].config));
    return found == seconds_.end() ? 0 : found->second;
}

double ExperimentQueue::time_one(std::size_t i) const {
    const Config& config = runs_[i].config;
    const double start = now();
    const std::string where = fmt::format("{}: {}: ", plan_.path, label(i));
    try {
        const std::unique_ptr<Learner> learner = make_learner(config);
        const double loaded = now() - start;
        const std::int64_t available = available_memory();
        refuse_what_does_not_fit(forecast_memory(*learner, true, available), config, available);
        return loaded + forecast_time(*learner).run(config) + start_and_page;
    } catch (const ConfigError& e) {
        throw ConfigError(where + e.what());
    } catch (const DataError& e) {
        throw DataError(where + e.what());
    }
}

double ExperimentQueue::forecast(Talk& talk, const std::atomic<int>& stop) {
    // What earlier runs of the kind took is the best forecast of all.
    std::map<std::string, std::vector<double>> earlier;
    for (std::size_t i = 0; i < runs_.size(); ++i)
        if (results_[i].outcome.state == State::done)
            earlier[kind_of(runs_[i].config)].push_back(results_[i].outcome.scores.seconds);
    for (auto& [kind, took] : earlier) {
        std::sort(took.begin(), took.end());
        seconds_[kind] = took[took.size() / 2] + start_and_page;
    }
    std::set<std::string> kinds;
    for (const std::size_t i : waiting_)
        if (const std::string kind = kind_of(runs_[i].config); !seconds_.contains(kind)) kinds.insert(kind);
    std::size_t tried = 0;
    double total = 0;
    for (const std::size_t i : waiting_) {
        const Config& config = runs_[i].config;
        const std::string kind = kind_of(config);
        if (kinds.contains(kind) && !seconds_.contains(kind)) {
            if (stop) return total;
            talk.live(fmt::format("timing a few steps of each kind of run: {} of {}", ++tried, kinds.size()));
            seconds_[kind] = time_one(i);
        }
        total += seconds_[kind];
    }
    talk.end_live();
    return total / options_.jobs;
}

double ExperimentQueue::left() const {
    double sum = 0;
    for (const std::size_t i : waiting_) sum += expected(i);
    // Forecasts are off in the same direction: the machine is busy, or was when they were made.
    double left = sum * (foreseen_ > 0 ? spent_ / foreseen_ : 1);
    for (const Job& job : jobs_) {
        // What a run has done says more about it than any forecast.
        const double epochs = static_cast<double>(runs_[job.run].config.integer("epochs")),
                     done = static_cast<double>(rows_of(store_.run(results_[job.run].id) + "/results.csv"));
        left += done > 0 ? (now() - job.began) / done * std::max(0.0, epochs - done) : expected(job.run);
    }
    return left / options_.jobs;
}

std::string ExperimentQueue::progress() const {
    std::string running;
    for (const Job& job : jobs_) {
        const std::string table = store_.run(results_[job.run].id) + "/results.csv";
        running += fmt::format("{}{} ({}/{})", running.empty() ? "" : " | ", label(job.run), rows_of(table),
                               runs_[job.run].config.integer("epochs"));
    }
    const double minutes = left() / 60;
    return fmt::format("{} of {} runs; {}; {} left", different() - open(), different(), running,
                       minutes < 1.5 ? fmt::format("{:.0f} s", minutes * 60) : fmt::format("{:.0f} min", minutes));
}

void ExperimentQueue::start(std::size_t i, bool afresh) {
    const std::string& id = results_[i].id;
    const std::string place = store_.run(id);
    const bool goes_on = !afresh && results_[i].outcome.state == State::unfinished;
    std::vector<std::string> words;
    if (goes_on) {
        // A run whose parent was killed is still saving.
        if (!wait_until_free(place, 30))
            throw ConfigError(fmt::format("{}: another process is writing there: wait for it or stop it", place));
        words = {"resume", place};
    } else {
        std::error_code error;
        fs::remove_all(place, error);
        store_.prepare(id, contents_[i]);
        words = {"train"};
        words.insert(words.end(), runs_[i].words.begin(), runs_[i].words.end());
        words.insert(words.end(), {"--out", place, "--exist-ok"});
    }
    words.insert(words.end(), {"-q", "--threads", std::to_string(options_.threads)});
    jobs_.push_back({i, start_child(words, place + "/log.txt"), goes_on, now()});
}

void ExperimentQueue::settle(std::size_t i, State state, const std::string& message) {
    const std::string id = results_[i].id;
    if (state == State::done || state == State::diverged) store_.record(id, state, message);
    for (std::size_t k = 0; k < results_.size(); ++k) {
        if (results_[k].id != id) continue;
        results_[k].outcome = store_.look(id, contents_[k]);
        if (state == State::failed) results_[k].outcome.state = state, results_[k].outcome.message = message;
    }
}

void ExperimentQueue::ended(const Job& job, int status, Talk& talk) {
    const std::string place = store_.run(results_[job.run].id);
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    const bool signalled = code == 128 + SIGINT || code == 128 + SIGTERM;
    if (signalled) {
        settle(job.run, State::unfinished, "");
        waiting_.insert(waiting_.begin(), job.run);
        return;
    }
    const std::string message = code == 0 ? ""
                                : WIFSIGNALED(status)
                                    ? fmt::format("killed by signal {}{}", WTERMSIG(status),
                                                  WTERMSIG(status) == SIGKILL ? " (out of memory?)" : "")
                                    : last_line(place + "/log.txt");
    const State state = code == 0                                      ? State::done
                        : code == static_cast<int>(ExitCode::diverged) ? State::diverged
                                                                       : State::failed;
    if (state == State::failed && job.resumed) {
        talk.line(fmt::format("{}: cannot go on ({}): starts anew", label(job.run), message));
        start(job.run, true);
        return;
    }
    settle(job.run, state, message);
    spent_ += now() - job.began;
    foreseen_ += expected(job.run);
    std::error_code error;
    if (!options_.keep_weights && state != State::failed) fs::remove_all(place + "/weights", error);
    const experiment::Outcome& o = results_[job.run].outcome;
    const double score = plan_.best ? o.scores.best : o.scores.last;
    const std::string said = state == State::done       ? fmt::format("{} {:.4f} ({:.4f} without looking)",
                                                                      o.scores.info.title, score, o.scores.blind)
                             : state == State::diverged ? "diverged: " + message
                                                        : fmt::format("failed with exit code {}: {}", code, message);
    talk.line(fmt::format("[{}/{}] {}: {}, {:.1f} s", different() - open(), different(), label(job.run), said,
                          now() - job.began));
}

void ExperimentQueue::work(Talk& talk, const std::atomic<int>& stop, const std::function<void()>& changed) {
    int passed_on = 0;
    while (!jobs_.empty() || (!waiting_.empty() && !stop)) {
        while (!stop && !waiting_.empty() && jobs_.size() < static_cast<std::size_t>(options_.jobs)) {
            const std::size_t next = waiting_.front();
            waiting_.erase(waiting_.begin());
            start(next, false);
        }
        if (const int signal = stop; signal != 0 && passed_on == 0) {
            passed_on = signal;
            for (const Job& job : jobs_) ::kill(job.pid, SIGTERM);
            if (!jobs_.empty()) talk.line(fmt::format("interrupted: {} running runs save themselves", jobs_.size()));
        }
        for (std::size_t k = 0; k < jobs_.size();) {
            int status = 0;
            const pid_t done = ::waitpid(jobs_[k].pid, &status, WNOHANG);
            if (done == 0) {
                ++k;
                continue;
            }
            const Job job = jobs_[k];
            jobs_.erase(jobs_.begin() + static_cast<std::ptrdiff_t>(k));
            ended(job, done < 0 ? 256 : status, talk);
            changed();
        }
        if (talk.terminal() && !jobs_.empty() && !stop) talk.live(progress());
        std::this_thread::sleep_for(std::chrono::milliseconds(talk.terminal() ? 200 : 50));
    }
    talk.end_live();
}

}  // namespace solobox
