#include "train/session/time_forecast.h"

#include <algorithm>
#include <vector>

#include "train/session/clock.h"
#include "train/step/run_parts.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

constexpr int warm_up = 2, most_steps = 20;
constexpr double enough = 0.4;  // seconds of timed steps

}  // namespace

double TimeForecast::run(const Config& config) const {
    const double epochs = static_cast<double>(config.integer("epochs"));
    return epochs * static_cast<double>(steps_per_epoch) * step + epochs / config.number("val_every") * validation;
}

TimeForecast forecast_time(Learner& learner) {
    TimeForecast f;
    const Config& config = learner.config();
    f.steps_per_epoch = learner.stages().batches().in(0);
    RunParts parts(learner);
    parts.begin(0);
    const bool ahead = config.integer("workers") > 0;  // batches are made while the step before computes
    std::vector<double> seconds;
    double sum = 0;
    for (int i = 0; i < warm_up + most_steps && (i < warm_up + 3 || sum < enough); ++i) {
        const Stopwatch preparing;
        const Batch batch = learner.make_batch(0, i % f.steps_per_epoch);
        const double prepared = preparing.seconds();
        const Stopwatch stepping;
        bool finite = true;
        try {
            (void)parts.trainer->step(learner.losses(batch, config.integer("accumulate"), {}), nullptr);
        } catch (const NonFiniteError&) {
            finite = false;  // that is for the run to say
        }
        const double took = stepping.seconds() + (ahead ? 0 : prepared);
        if (i < warm_up && finite) continue;
        seconds.push_back(took);
        sum += took;
        if (!finite) break;
    }
    std::nth_element(seconds.begin(), seconds.begin() + std::ssize(seconds) / 2, seconds.end());
    f.step = seconds[seconds.size() / 2];
    const Stopwatch validating;
    bool whole = false;
    try {
        whole = learner.validate([&] { return validating.seconds() > 3; }).has_value();
    } catch (const NonFiniteError&) {
        // as above
    }
    // A validation that is not worth waiting for: a forward pass costs about a third of a step.
    const auto pictures = static_cast<double>(learner.data().val->size());
    f.validation = whole ? validating.seconds() : pictures / static_cast<double>(config.integer("batch")) * f.step / 3;
    return f;
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
