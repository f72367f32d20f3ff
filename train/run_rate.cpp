#include "train/run_rate.h"

#include <algorithm>

#include "train/config_setup.h"

namespace solobox {

RunRate::RunRate(const Config& config, std::int64_t steps_per_epoch)
    : unfreeze_(unfreeze_step(config, steps_per_epoch)),
      schedule_(make_training_schedule(config, steps_per_epoch)),
      plateau_(schedule_.plateau, 1.0),
      lowers_(config.text("schedule") == "plateau"),
      min_lr_(config.number("min_lr")),
      unfreeze_lr_(config.number("unfreeze_lr")) {}

// The plateau lowers a factor on whatever the schedule says.
double RunRate::operator()(std::int64_t t) const {
    const double scheduled = schedule_.rate(t);
    const double rate = lowers_ ? std::max(scheduled * plateau_.lr(), std::min(scheduled, min_lr_)) : scheduled;
    return t < unfreeze_ ? rate : rate * unfreeze_lr_;
}

}  // namespace solobox
