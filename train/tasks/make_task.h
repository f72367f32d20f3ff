// From a configuration to the task it describes, with its data.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "train/config/config.h"
#include "train/step/task.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// ConfigError for what cannot be built or would be ignored. Looks at no file.
void check_task(const Config& config);

// Loads the data and builds the model. `config` must outlive the task. one_batch: all data are checked, but the task
// has no more than a batch of them on each side.
std::unique_ptr<Task> make_task(const Config& config, bool one_batch = false);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
