// The stages of a run: what trains from which epoch on, how fast, how many pictures make a batch and how many batches
// an update. A run without stages is one of a single stage in which everything trains.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "optim/schedule.h"
#include "train/config/config.h"

namespace solobox {

// A factor on the rate, from a step on.
struct StageRate {
    std::int64_t from = 0;
    double scale = 1;
};

struct Stage {
    std::int64_t epoch = 0;                                            // its first, from 0
    std::function<bool(const std::string& parameter)> trains = {};     // by name; empty: all
    double lr_scale = 1;                                               // on the scheduled rate
    std::int64_t batch = 0;                                            // pictures per batch; 0: as configured
    std::function<std::int64_t(std::int64_t number)> per_update = {};  // batches that are due with this batch of the
                                                                       // run (from 0) for an update; empty: 1
    // Rates of the optimizer's groups at an update, where the scheduled one is `lr`: those of Task::groups() in their
    // order, then that of all other parameters. Empty: `lr` times each member's own factor.
    std::function<std::vector<double>(std::int64_t update, double lr)> rates = {};
};

// The stages laid out over the epochs of a run: where each batch and each update has its place.
class Stages {
public:
    // In the order of their epochs, the first at 0. batches_of: so many in an epoch of a stage.
    // A stage that begins with the same epoch as the next one is left out. ConfigError for stages out of order.
    Stages(std::vector<Stage> stages, std::int64_t epochs, const std::function<std::int64_t(const Stage&)>& batches_of);

    const Stage& of_epoch(std::int64_t epoch) const { return stages_[index(epoch)]; }
    std::size_t index(std::int64_t epoch) const;  // of the stage
    const std::vector<Stage>& all() const { return stages_; }
    const schedule::Calendar& batches() const { return batches_; }
    const schedule::Calendar& updates() const { return updates_; }
    // The update that begins with this batch of an epoch, both from 0, takes `batches` of them. `due`: as many as it
    // asked for; an epoch's last takes what is left.
    struct Take {
        std::int64_t batches, due;
    };
    Take take(std::int64_t epoch, std::int64_t batch) const;
    // The batch with which the update began that ends ahead of this one (not the epoch's first).
    std::int64_t begun(std::int64_t epoch, std::int64_t batch) const;
    // Factors on the rate from an update on, in order.
    std::vector<StageRate> scales() const;

private:
    std::vector<Stage> stages_;
    schedule::Calendar batches_, updates_;
};

// As the configuration says: with freeze=backbone a stage that trains the heads alone, and from unfreeze_epoch on one
// of everything. Names that begin with one of `heads` are no backbone's.
std::vector<Stage> configured_stages(const Config& config, const std::vector<std::string>& heads);

}  // namespace solobox
