// From a configuration to the task it describes, with its data.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "train/config.h"
#include "train/task.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// ConfigError for what cannot be built or would be ignored. Looks at no file.
void check_config(const Config& config);

// Loads the data and builds the model. `config` must outlive the task. one_batch: all data are checked, but the task
// has no more than a batch of them on each side.
std::unique_ptr<Task> make_task(const Config& config, bool one_batch = false);

// Fills a fresh model from a file: a run's (its averages, when it has them) or PyTorch's state_dict. Tensors of the
// head that have another shape there stay as they are, auxiliary heads that are not there too. Returns what did, in
// words. DataError naming the tensor otherwise.
std::vector<std::string> start_from(Task& task, const std::string& path);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
