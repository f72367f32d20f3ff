// The doctor's place in the training loop: hands the monitor what a step and an epoch show, looks after the optimizer,
// the averages and the frozen part, and writes what was found into events.jsonl.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "train/doctor/monitor.h"
#include "train/run/run.h"
#include "train/step/run_parts.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

class RunWatch {
public:
    // `talk` gets the findings in words.
    RunWatch(Learner& learner, RunParts& parts, const RunDirectory& run, std::function<void(const std::string&)> talk);

    void begin(bool resumed);  // the optimizer holds what it will hold in the first step
    void step(const StepReport& report, const std::vector<Batch>& batches);
    struct Epoch {
        double position = 0, seconds = 0, train_loss = 0;
        std::vector<std::pair<std::string, double>> terms;  // of the training loss, means of the epoch so far
        const Evaluation* validation = nullptr;
    };
    void epoch(const Epoch& e);
    void diverged(const std::string& what);

    double seconds() const { return seconds_ + (monitor_ ? monitor_->seconds() : 0); }
    void finish() {
        if (monitor_) monitor_->finish();
    }
    std::vector<doctor::Verdict> said() const { return monitor_ ? monitor_->said() : std::vector<doctor::Verdict>(); }

private:
    void look_at_parameters();

    Learner& learner_;
    RunParts& parts_;
    const RunDirectory& run_;
    std::function<void(const std::string&)> talk_;
    std::unique_ptr<doctor::Monitor> monitor_;
    std::function<double(std::int64_t)> planned_;
    bool own_stages() const;
    bool meant_to_rest(const NamedParameter& p) const;   // in the last step
    std::map<const Parameter*, std::uint32_t> resting_;  // the bits of those meant to stand still at first
    std::set<std::string> still_;                        // without gradient at the end of the last epoch
    double log_share_ = 0;                               // of the initial weights in the average
    bool validated_ = false, average_known_ = true;
    std::int64_t averaged_ = 0, steps_ = 0, bad_targets_ = 0;
    double seconds_ = 0;
};

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
