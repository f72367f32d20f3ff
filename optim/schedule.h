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

// Lowers the rate when a metric stops improving, as torch's ReduceLROnPlateau.
class Plateau {
public:
    struct Config {
        bool maximize = false;
        double factor = 0.1;
        std::int64_t patience = 10;
        double threshold = 1e-4;
        bool relative = true;
        std::int64_t cooldown = 0;
        double min_lr = 0, eps = 1e-8;
    };
    struct State {
        double best = 0, lr = 0;
        std::int64_t bad = 0, cooldown_left = 0;
        bool seen = false;
    };
    Plateau(const Config& config, double lr) : config_(config) { state_.lr = lr; }
    double lr() const { return state_.lr; }
    double see(double metric);  // the rate from now on
    const State& state() const { return state_; }
    void restore(const State& state) { state_ = state; }

private:
    bool better(double metric) const;
    Config config_;
    State state_;
};

}  // namespace solobox::schedule
