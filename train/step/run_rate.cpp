#include "train/step/run_rate.h"

#include <algorithm>

#include "train/config/faults.h"
#include "train/config/setup.h"

namespace solobox {

RunRate::RunRate(const Config& config, const schedule::Calendar& steps)
    : RunRate(config, steps, {{unfreeze_step(config, steps), config.number("unfreeze_lr")}}) {}

RunRate::RunRate(const Config& config, const schedule::Calendar& steps, std::vector<StageRate> stages)
    : steps_(steps),
      stages_(std::move(stages)),
      unfreeze_(unfreeze_step(config, steps)),
      schedule_(make_training_schedule(config, steps)),
      plateau_(schedule_.plateau, {1.0}),
      lowers_(config.text("schedule") == "plateau"),
      min_lr_(config.number("min_lr")),
      second_writer_(has_fault(config, "second_writer")),
      stale_(has_fault(config, "stale_schedule")),
      burst_(has_fault(config, "burst_schedule")) {}

double RunRate::scheduled(std::int64_t t) const {
    if (stale_) t = std::min(t, unfreeze_);  // the new optimizer of the second stage was never given to the scheduler
    if (burst_)
        t = steps_.before(steps_.epoch_of(t));  // scheduler.step() stands in the loop over epochs, made for steps
    return schedule_.rate(t);
}

void RunRate::see(double loss) {
    const schedule::Plateau::State before = plateau_.state();
    plateau_.see(loss);
    halved_ = second_writer_ && before.seen && plateau_.state().best == before.best;
    ever_halved_ = ever_halved_ || halved_;
}

// The plateau lowers a factor on whatever the schedule says.
double RunRate::operator()(std::int64_t t) const {
    const double base = scheduled(t);
    double rate = lowers_ ? std::max(base * plateau_.lr(), std::min(base, min_lr_)) : base;
    // fault=second_writer: a plateau writes the rate too, until the schedule writes over it.
    if (halved_) {
        const std::int64_t epoch = steps_.epoch_of(t);
        if (2 * (t - steps_.before(epoch) + 1) <= steps_.in(epoch)) rate *= 0.5;
    }
    double scale = 1;
    for (const StageRate& s : stages_)
        if (t >= s.from) scale = s.scale;
    return rate * scale;
}

}  // namespace solobox
