#include "train/step/run_rate.h"

#include <algorithm>

#include "train/config/faults.h"
#include "train/config/setup.h"

namespace solobox {

RunRate::RunRate(const Config& config, std::int64_t steps_per_epoch)
    : per_epoch_(steps_per_epoch),
      unfreeze_(unfreeze_step(config, steps_per_epoch)),
      schedule_(make_training_schedule(config, steps_per_epoch)),
      plateau_(schedule_.plateau, 1.0),
      lowers_(config.text("schedule") == "plateau"),
      min_lr_(config.number("min_lr")),
      unfreeze_lr_(config.number("unfreeze_lr")),
      second_writer_(has_fault(config, "second_writer")),
      stale_(has_fault(config, "stale_schedule")),
      burst_(has_fault(config, "burst_schedule")) {}

double RunRate::scheduled(std::int64_t t) const {
    if (stale_) t = std::min(t, unfreeze_);  // the new optimizer of the second stage was never given to the scheduler
    if (burst_) t -= t % per_epoch_;         // scheduler.step() stands in the loop over epochs, made for steps
    return schedule_.rate(t);
}

void RunRate::see(double loss) {
    const schedule::Plateau::State before = plateau_.state();
    plateau_.see(loss);
    halved_ = second_writer_ && before.seen && plateau_.state().best == before.best;
}

// The plateau lowers a factor on whatever the schedule says.
double RunRate::operator()(std::int64_t t) const {
    const double base = scheduled(t);
    double rate = lowers_ ? std::max(base * plateau_.lr(), std::min(base, min_lr_)) : base;
    // fault=second_writer: a plateau writes the rate too, until the schedule writes over it.
    if (halved_ && 2 * (t % per_epoch_ + 1) <= per_epoch_) rate *= 0.5;
    return t < unfreeze_ ? rate : rate * unfreeze_lr_;
}

}  // namespace solobox
