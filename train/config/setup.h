// What a configuration settles before anything is built from it: values that are usual for its model, when a frozen
// part begins to train, keys that would be ignored.
#pragma once

#include <cstdint>
#include <functional>

#include "optim/schedule.h"
#include "train/config/config.h"

namespace solobox {

// Fills the keys that the user left alone with what is usual for training on more than a handful of pictures.
void apply_training_defaults(Config& config);

// Fills the keys that the user left alone with what is usual for the model (toy: 448 px, 4096 features, no norm;
// resnets: 224 px, colours as they are).
void apply_model_defaults(Config& config);

// What overfitting n pictures fixes, whatever the configuration says: no decay, no dropout, batch = min(n, 16), and
// what is usual there for the task. ConfigError when the user asked for something else.
void apply_overfit_settings(Config& config, std::int64_t n);

// Learning rate by step of the overfit job. The cosine falls once over `cycle_steps` and then starts again (warm
// restarts).
std::function<double(std::int64_t)> make_schedule(const Config& config, std::int64_t cycle_steps);

// The step, from 0, with which unfreeze_epoch begins; one that never comes without it.
std::int64_t unfreeze_step(const Config& config, const schedule::Calendar& steps);

// ConfigError for keys of a frozen trunk, its stages and the weights of validation that nothing would look at.
void refuse_ignored_stages(const Config& config);

}  // namespace solobox
