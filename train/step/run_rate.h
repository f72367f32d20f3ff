// The learning rate of a run by step: what the schedule says, times the plateau's factor, times that of the stage.
#pragma once

#include <cstdint>

#include "train/config/config.h"
#include "train/step/stages.h"
#include "train/step/training_schedule.h"

namespace solobox {

class RunRate {
public:
    RunRate(const Config& config, const schedule::Calendar& steps);  // stages as configured
    RunRate(const Config& config, const schedule::Calendar& steps, std::vector<StageRate> stages);
    double operator()(std::int64_t step) const;
    // The momentum by step, where it moves with the rate; else empty.
    const std::function<double(std::int64_t)>& momentum() const { return schedule_.momentum; }

    void see(double loss);  // of a validation
    const schedule::Plateau::State& state() const { return plateau_.state(); }
    bool halved() const { return halved_; }
    bool ever_halved() const { return ever_halved_; }  // else the planted second writer had nothing to write
    void restore(const schedule::Plateau::State& state, bool halved) {
        plateau_.restore(state), halved_ = ever_halved_ = halved;
    }

private:
    double scheduled(std::int64_t step) const;
    schedule::Calendar steps_;
    std::vector<StageRate> stages_;
    std::int64_t unfreeze_;
    Schedule schedule_;
    schedule::Plateau plateau_;
    bool lowers_;  // schedule=plateau
    double min_lr_;
    bool second_writer_, stale_, burst_;  // planted faults
    bool halved_ = false;                 // by the second writer, in this epoch
    bool ever_halved_ = false;
};

}  // namespace solobox
