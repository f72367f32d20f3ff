// From a configuration to the pictures that a task learns from: found, checked, counted, decoded.
#pragma once

#include "train/step/task.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// DataError when a part has no usable picture or the task cannot learn from them; ConfigError without `data`.
Split open_split(const Config& config, const Task& task);

// The same with no more than `batch` pictures on each side; all data are checked.
Split one_batch_of(Split data, const Config& config);

// What overfit learns from: n pictures of a data set as its kind chooses them, or n synthetic ones when `place` is
// empty; they are training and validation pictures at once. A picture that does not decode is a DataError, or left out
// with `skip_bad`. The whole pictures stay in memory.
struct OverfitData {
    Split split;
    std::vector<Image> pictures;  // as a person sees them
};
OverfitData open_overfit(const Config& config, const Task& task, const std::string& place, const std::string& format,
                         std::int64_t n, bool skip_bad);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
