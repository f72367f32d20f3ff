// The learning rate of a training run by step, from its configuration. One writer of the rate: the plateau gives a
// factor on it, nothing else does.
#pragma once

#include <cstdint>
#include <functional>

#include "optim/schedule.h"
#include "train/config/config.h"

namespace solobox {

struct Schedule {
    std::function<double(std::int64_t step)> rate;           // steps from 0
    schedule::Plateau::Config plateau;                       // of schedule=plateau: lowers a factor that starts at 1
    std::function<double(std::int64_t step)> momentum = {};  // of schedule=onecycle; empty: it stays
};

// ConfigError for keys that contradict each other (cos_lr and schedule, warm-up in steps and in epochs) or that the
// chosen schedule would ignore.
Schedule make_training_schedule(const Config& config, const schedule::Calendar& steps);

}  // namespace solobox
