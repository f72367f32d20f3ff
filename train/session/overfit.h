// The overfit job: train on N pictures until they are learned, and say whether the network could.
//
// A network that cannot learn eight pictures by heart is broken, whatever its learning curve on thousands looks like.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "train/report/report.h"
#include "train/run/run.h"
#include "train/step/learner.h"
#include "train/step/open_split.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

struct OverfitOptions {
    std::int64_t steps = 900;
    std::function<void(const std::string& line, bool live)> talk;  // progress; `live` lines replace each other
    const std::atomic<int>* stop_signal = nullptr;                 // non-zero: save and leave
    std::function<void(Model&)> patch;                             // tests: damages the model before the first step
};

struct OverfitResult {
    bool pass = false;
    int stopped_by = 0;  // the signal's number
    std::int64_t steps = 0, parameters = 0;
    double seconds = 0, loss_first = 0, loss_last = 0;  // of training steps
    Learned learned;                                    // evaluation mode, from the reloaded checkpoint
    std::vector<Blind> blind;                           // answers that never look, on the same pictures
    bool all_moved = false;  // every tensor had a gradient and changed within the first 3 steps
    std::string verdict_text;
    OverfitWords words;
    std::vector<ReportFinding> findings;
    Report report;
    double blind_score(const std::string& name) const;
};

// Trains, writes CSVs, checkpoint, pictures and report into `run`, judges the reloaded checkpoint. The configuration
// must be one of overfit (apply_overfit_settings).
OverfitResult overfit(const OverfitData& data, const Config& config, const RunDirectory& run,
                      const OverfitOptions& options);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
