// The always-on watch over a run: collects what the rules of phase R read, looks after every epoch (and every few
// hundred steps), and says each finding once. Costs a few additions a step.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tensor/check.h"
#include "train/doctor/rules.h"
#include "train/report/report.h"
#include "train/run/run.h"

namespace solobox::doctor {

class Monitor {
public:
    using Say = std::function<void(const Verdict&)>;  // severity pass: withdrawn
    // `known`: what is known before the first step; a resumed run's tables among it.
    Monitor(Facts known, const std::string& thresholds, Say say);

    struct Step {
        double step = 0, loss = 0, grad_norm = 0, lr = 0, planned_lr = 0;
    };
    void step(const Step& s);
    // Numbers of an epoch by fact: "metric", "train_loss", "train_term.box". Looks at the rules.
    void epoch(double epoch, const std::vector<std::pair<std::string, double>>& values);
    void set(const std::string& fact, double value) { facts_.set(fact, value); }
    void set(const std::string& fact, const Texts& value) { facts_.set(fact, value); }
    void look();
    // At the end: what was said and is no longer so, the loss came back say, is withdrawn, aloud and from said(). Not
    // in a run of which the first steps are no longer at hand.
    void finish();
    // Runs a step; one that is not finite is said (D35) before the error goes on.
    template <class Work>
    auto guarded(Work&& run) {
        try {
            return run();
        } catch (const Error& e) {
            if (e.code() == ExitCode::diverged) set("nonfinite", Texts{e.what()}), look();
            throw;
        }
    }

    const std::vector<Verdict>& said() const { return said_; }
    const Facts& facts() const { return facts_; }
    double seconds() const { return seconds_; }  // spent here

private:
    void append(const std::string& fact, std::size_t row, double value);
    Facts facts_;
    Overrides overrides_;
    Say say_;
    std::vector<Verdict> said_;
    std::map<std::string, Series> epochs_;
    Series step_, loss_, norm_, lr_, planned_;
    double seconds_ = 0;
    std::size_t since_look_ = 0;
    bool whole_ = true;  // every step is still kept
};

// A verdict as findings of reports and events have it.
ReportFinding finding_of(const Verdict& v);
// Tells people and writes the line into events.jsonl.
Monitor::Say tell(const RunDirectory& run, std::function<void(const std::string&)> talk);

double resident_memory_mb();  // of this process, now; NaN where the system does not tell

}  // namespace solobox::doctor
