#include "train/session/time_forecast.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "train/step/run_parts.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

constexpr int warm_up = 2, most_steps = 20;
constexpr double enough = 0.4;  // seconds of timed steps

}  // namespace

double TimeForecast::run(const Config& config) const {
    const double epochs = static_cast<double>(config.integer("epochs"));
    return epochs * static_cast<double>(steps_per_epoch) * step + epochs / config.number("val_every") * validation;
}

TimeForecast forecast_time(Task& task, const Config& config) {
    TimeForecast f;
    f.steps_per_epoch = task.batches_per_epoch();
    RunParts parts(task, config, f.steps_per_epoch);
    parts.begin_stage(0);
    const bool ahead = config.integer("workers") > 0;  // batches are made while the step before computes
    std::vector<double> seconds;
    double sum = 0;
    for (int i = 0; i < warm_up + most_steps && (i < warm_up + 3 || sum < enough); ++i) {
        auto start = Clock::now();
        const auto batch = task.make_batch(0, i % f.steps_per_epoch);
        const double prepared = seconds_since(start);
        start = Clock::now();
        bool finite = true;
        try {
            (void)parts.trainer->step(task.losses(*batch, config.integer("accumulate"), {}), nullptr);
        } catch (const NonFiniteError&) {
            finite = false;  // that is for the run to say
        }
        const double took = seconds_since(start) + (ahead ? 0 : prepared);
        if (i < warm_up && finite) continue;
        seconds.push_back(took);
        sum += took;
        if (!finite) break;
    }
    std::nth_element(seconds.begin(), seconds.begin() + std::ssize(seconds) / 2, seconds.end());
    f.step = seconds[seconds.size() / 2];
    const auto start = Clock::now();
    const bool whole = task.validate([&] { return seconds_since(start) > 3; }).has_value();
    // A validation that is not worth waiting for: a forward pass costs about a third of a step.
    const auto pictures = static_cast<double>(task.pictures().second);
    f.validation = whole ? seconds_since(start) : pictures / static_cast<double>(config.integer("batch")) * f.step / 3;
    return f;
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
