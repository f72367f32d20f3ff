// How long a training run will take, before it starts: a few of its own steps and one validation, timed.
#pragma once

#include <cstdint>

#include "train/config/config.h"
#include "train/step/learner.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

struct TimeForecast {
    double step = 0, validation = 0;  // seconds; the step with the preparation of its batch
    std::int64_t steps_per_epoch = 0;
    double run(const Config& config) const;  // all epochs and validations, without loading the data
};

// Trains for some tenths of a second: the learner is used up.
TimeForecast forecast_time(Learner& learner);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
