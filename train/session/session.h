// A training run on disk: epochs of steps, validation, tables, checkpoints, and going on after whatever stopped it.
//
// weights/last.safetensors is the whole state: weights, averages, optimizer, schedule and the place in the data. Tables
// are written before it, so what they hold beyond it is cut off on resume: killed at any moment and resumed, a run ends
// with the same bits and the same rows as one that nobody disturbed.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "train/config/config.h"
#include "train/run/run.h"
#include "train/step/learner.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

struct SessionOptions {
    std::function<void(const std::string& line, bool live)> talk;  // `live` lines replace each other
    const std::atomic<int>* stop_signal = nullptr;                 // non-zero: save and leave
    bool resume = false;                                           // go on from weights/last.safetensors
    bool extend = false;                                           // and do not stay finished: epochs may have grown
};

struct SessionResult {
    int stopped_by = 0;  // the signal's number
    bool early = false;  // patience ran out
    std::int64_t epochs = 0, steps = 0, best_epoch = 0;
    double best_score = 0;
    Evaluation last;
    double seconds = 0, wait_share = 0, images_per_second = 0;  // of this call's steps
    double watch_share = 0;                                     // the doctor's time over the steps'
    std::set<std::string> said;                                 // rules that spoke while it ran
};

// NonFiniteError when the run diverged (the last good checkpoint stays); IoError, DataError as usual.
SessionResult train(Learner& learner, const RunDirectory& run, const SessionOptions& options);

// ConfigError for what cannot be built, would be ignored, or is no threshold of a rule. Looks at no file.
void check_config(const Config& config);

// Hash of the configuration that decides what is learned: without threads, places and names.
std::string config_hash(const Config& config);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
