// Every kind of task there is, in one table, and the way from a configuration to a task at work.
#pragma once

#include <memory>
#include <vector>

#include "train/step/learner.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

const std::vector<TaskKind>& task_kinds();
void add_task_kind(TaskKind kind);  // of a program of somebody's own: before the first Config

// The task alone, without data; the configuration must outlive it. ConfigError for what makes none.
std::unique_ptr<Task> make_task(const Config& config);

// ConfigError for what cannot be built or would be ignored. Looks at no file.
void check_task(const Config& config);

// Loads the data and builds the model. `config` must outlive it. one_batch: all data are checked, but there is no more
// than a batch of them on each side.
std::unique_ptr<Learner> make_learner(const Config& config, bool one_batch = false);
// Without pictures: to predict. classes: those of the run.
std::unique_ptr<Learner> make_predictor(const Config& config, const std::vector<std::string>& classes);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
