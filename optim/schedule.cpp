#include "optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "tensor/check.h"

namespace solobox::schedule {
namespace {

constexpr double pi = std::numbers::pi;
double d(std::int64_t v) { return static_cast<double>(v); }

double half_cosine(double from, double to, double f) { return to + (from - to) / 2 * (1 + std::cos(pi * f)); }

// One-cycle values at the ends of its phases: from[0] -> from[1] -> .., and when each phase ends.
struct Phases {
    double end[3];
    double value[4];
    int count;
};

double along(const Phases& p, bool cosine, std::int64_t t) {
    double start = 0;
    for (int i = 0; i < p.count; ++i) {
        if (d(t) <= p.end[i] || i == p.count - 1) {
            const double f = (d(t) - start) / (p.end[i] - start);
            return cosine ? half_cosine(p.value[i], p.value[i + 1], f) : p.value[i] + (p.value[i + 1] - p.value[i]) * f;
        }
        start = p.end[i];
    }
    return p.value[p.count];
}

Phases one_cycle_phases(const OneCycle& s, double a, double b, double c, double last) {
    const double first_end = s.pct_start * d(s.total) - 1;
    if (s.three_phase) return {{first_end, 2 * s.pct_start * d(s.total) - 2, d(s.total) - 1}, {a, b, c, last}, 3};
    return {{first_end, d(s.total) - 1, 0}, {a, b, last, last}, 2};
}

}  // namespace

double warmup_cosine(const WarmupCosine& s, std::int64_t t) {
    if (t < s.warmup)
        return s.form == Warmup::ramp ? s.base * d(t + 1) / d(s.warmup)
                                      : s.base * (s.start_factor + (1 - s.start_factor) * d(t) / d(s.warmup));
    if (t >= s.total) return s.min;
    return half_cosine(s.base, s.min, d(t - s.warmup) / d(s.total - s.warmup));
}

double step_lr(double base, std::int64_t step_size, double gamma, std::int64_t t) {
    return base * std::pow(gamma, d(t / step_size));
}

double multistep_lr(double base, const std::vector<std::int64_t>& milestones, double gamma, std::int64_t t) {
    return base *
           std::pow(gamma, d(std::count_if(milestones.begin(), milestones.end(), [t](auto m) { return m <= t; })));
}

double exponential_lr(double base, double gamma, std::int64_t t) { return base * std::pow(gamma, d(t)); }

double cosine_annealing_lr(double base, double t_max, double eta_min, std::int64_t t) {
    return half_cosine(base, eta_min, d(t) / t_max);
}

double linear_lr(double base, double start_factor, double end_factor, std::int64_t total, std::int64_t t) {
    return base * (start_factor + (end_factor - start_factor) * d(std::min(t, total)) / d(total));
}

double staircase(std::int64_t warmup, std::int64_t t) {
    if (t < warmup) return 1e-3 + 9e-3 * d(t + 1) / d(std::max<std::int64_t>(1, warmup));
    if (t < warmup + 75) return 1e-2;
    return t < warmup + 105 ? 1e-3 : 1e-4;
}

double one_cycle_lr(const OneCycle& s, std::int64_t t) {
    const double start = s.max_lr / s.div_factor;
    return along(one_cycle_phases(s, start, s.max_lr, start, start / s.final_div_factor), s.cosine, t);
}

double one_cycle_momentum(const OneCycle& s, std::int64_t t) {
    return along(one_cycle_phases(s, s.max_momentum, s.base_momentum, s.max_momentum, s.max_momentum), s.cosine, t);
}

bool Plateau::better(double x) const {
    if (!state_.seen) return true;
    const double t = config_.threshold, best = state_.best;
    if (config_.maximize) return config_.relative ? x > best * (1 + t) : x > best + t;
    return config_.relative ? x < best * (1 - t) : x < best - t;
}

Plateau::Plateau(Config config, std::vector<double> lr) : config_(std::move(config)) {
    if (config_.min_lr.size() == 1) config_.min_lr.resize(lr.size(), config_.min_lr[0]);
    if (config_.min_lr.size() != lr.size())
        throw ConfigError(fmt::format("plateau: {} floors for {} rates", config_.min_lr.size(), lr.size()));
    state_.lr = std::move(lr);
}

void Plateau::see(double metric) {
    if (better(metric)) {
        state_.best = metric;
        state_.bad = 0;
        state_.seen = true;
    } else {
        ++state_.bad;
    }
    if (state_.cooldown_left > 0) {
        --state_.cooldown_left;
        state_.bad = 0;
    }
    if (state_.bad > config_.patience) {
        for (std::size_t i = 0; i < state_.lr.size(); ++i) {
            const double lowered = std::max(state_.lr[i] * config_.factor, config_.min_lr[i]);
            if (state_.lr[i] - lowered > config_.eps) state_.lr[i] = lowered;
        }
        state_.cooldown_left = config_.cooldown;
        state_.bad = 0;
    }
}

Calendar::Calendar(std::vector<std::int64_t> steps_by_epoch) : per_epoch_(std::move(steps_by_epoch)) {
    check(!per_epoch_.empty(), "[calendar] no epoch is known");
    for (const std::int64_t steps : per_epoch_) before_.push_back(before_.back() + steps);
}

std::int64_t Calendar::before(std::int64_t epoch) const {
    const auto known = static_cast<std::int64_t>(per_epoch_.size());
    if (epoch <= known) return before_[static_cast<std::size_t>(epoch)];
    return before_.back() + (epoch - known) * per_epoch_.back();
}

std::int64_t Calendar::epoch_of(std::int64_t step) const {
    check(per_epoch_.back() > 0, "[calendar] an epoch has no step");
    if (step >= before_.back())
        return static_cast<std::int64_t>(per_epoch_.size()) + (step - before_.back()) / per_epoch_.back();
    return std::upper_bound(before_.begin(), before_.end(), step) - before_.begin() - 1;
}

}  // namespace solobox::schedule
