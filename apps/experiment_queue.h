// Carries out an experiment's runs: some at a time, each in a process of its own, those that are there already not
// again. Knows how long it will take and says how it goes.
#pragma once

#include <atomic>
#include <map>
#include <string>
#include <vector>

#include "apps/apps.h"
#include "train/experiment/plan.h"
#include "train/experiment/table.h"

namespace solobox {

struct QueueOptions {
    std::string out;
    int jobs = 1, threads = 1;  // threads of each run
    bool keep_weights = false;
};

class ExperimentQueue {
public:
    // Looks up what is there. DataError when a data set is missing, ConfigError when a configuration cannot be.
    ExperimentQueue(const experiment::Plan& plan, const std::vector<experiment::PlannedRun>& runs,
                    QueueOptions options);

    const std::vector<experiment::Result>& results() const { return results_; }
    std::size_t open() const;       // runs still to be made or finished, each content once
    std::size_t different() const;  // different contents among all runs

    // Times a few steps of every kind of run that is open, and says how long all will take, in seconds.
    double forecast(Talk& talk, const std::atomic<int>& stop);

    // Until nothing is open or `stop` says so. `changed` is called whenever a run has ended.
    void work(Talk& talk, const std::atomic<int>& stop, const std::function<void()>& changed);

private:
    struct Job {
        std::size_t run = 0;  // the first of the plan's runs with this content
        pid_t pid = -1;
        bool resumed = false;
        double began = 0;
    };
    std::string label(std::size_t run) const;
    double time_one(std::size_t run) const;  // seconds, from a few steps of it
    double expected(std::size_t run) const;
    std::string progress() const;
    double left() const;
    void start(std::size_t run, bool afresh);
    void ended(const Job& job, int status, Talk& talk);
    void settle(std::size_t run, experiment::State state, const std::string& message);

    const experiment::Plan& plan_;
    const std::vector<experiment::PlannedRun>& runs_;
    QueueOptions options_;
    experiment::Store store_;
    std::vector<experiment::Result> results_;  // as runs_
    std::vector<std::string> contents_;        // as runs_
    std::vector<std::size_t> waiting_;
    std::vector<Job> jobs_;
    std::map<std::string, double> seconds_;  // by kind of run: what one takes
    double spent_ = 0, foreseen_ = 0;        // of the runs that ended: measured, and as forecast
};

}  // namespace solobox
