// Learning rates as functions of time t, counted from 0 in steps or epochs; always double. The plateau alone has state.
#pragma once

#include <cstdint>
#include <vector>

namespace solobox::schedule {

enum class Warmup { linear, ramp };  // B (s + (1 - s) t / W), or B (t + 1) / W
struct WarmupCosine {
    double base = 1e-3, min = 0;
    std::int64_t warmup = 0, total = 1;
    Warmup form = Warmup::ramp;
    double start_factor = 0;
};
double warmup_cosine(const WarmupCosine& s, std::int64_t t);

double step_lr(double base, std::int64_t step_size, double gamma, std::int64_t t);
double multistep_lr(double base, const std::vector<std::int64_t>& milestones, double gamma, std::int64_t t);
double exponential_lr(double base, double gamma, std::int64_t t);
double cosine_annealing_lr(double base, double t_max, double eta_min, std::int64_t t);
double linear_lr(double base, double start_factor, double end_factor, std::int64_t total, std::int64_t t);
// The checklist report's rigid staircase: ramps 1e-3 .. 1e-2 over `warmup` epochs, 75 epochs at 1e-2, 30 at 1e-3, then
// 1e-4. Deaf to the configured rate and to the number of epochs: kept to reproduce the fault.
double staircase(std::int64_t warmup, std::int64_t t);

struct OneCycle {  // Smith & Topin 2018, as torch.optim.lr_scheduler.OneCycleLR
    double max_lr = 1e-2;
    std::int64_t total = 1;
    double pct_start = 0.3, div_factor = 25, final_div_factor = 1e4;
    bool cosine = true, three_phase = false;
    double base_momentum = 0.85, max_momentum = 0.95;
};
double one_cycle_lr(const OneCycle& s, std::int64_t t);
double one_cycle_momentum(const OneCycle& s, std::int64_t t);

// Lowers the rates when a metric stops improving, as torch's ReduceLROnPlateau: those of all groups at a time, each as
// far as its own floor.
class Plateau {
public:
    struct Config {
        bool maximize = false;
        double factor = 0.1;
        std::int64_t patience = 10;
        double threshold = 1e-4;
        bool relative = true;
        std::int64_t cooldown = 0;
        std::vector<double> min_lr{0};  // one for all groups, or one for each
        double eps = 1e-8;
    };
    struct State {
        double best = 0;
        std::vector<double> lr;  // of each group
        std::int64_t bad = 0, cooldown_left = 0;
        bool seen = false;
    };
    Plateau(Config config, std::vector<double> lr);  // ConfigError for floors that are neither one nor one for each
    double lr(std::size_t group = 0) const { return state_.lr[group]; }
    void see(double metric);
    const State& state() const { return state_; }
    void restore(const State& state) { state_ = state; }

private:
    bool better(double metric) const;
    Config config_;
    State state_;
};

// How steps fall into epochs, both from 0: so many in each of the first epochs, and as many as in the last of them in
// all that follow.
class Calendar {
public:
    Calendar(std::int64_t steps_per_epoch) : Calendar(std::vector<std::int64_t>{steps_per_epoch}) {}
    explicit Calendar(std::vector<std::int64_t> steps_by_epoch);
    std::int64_t before(std::int64_t epoch) const;  // steps of all epochs before this one
    std::int64_t epoch_of(std::int64_t step) const;
    std::int64_t in(std::int64_t epoch) const { return before(epoch + 1) - before(epoch); }

private:
    std::vector<std::int64_t> per_epoch_, before_{0};
};

}  // namespace solobox::schedule
