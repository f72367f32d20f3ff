// Weights from a file into a model: those of a run, or a start from somewhere else.
#pragma once

#include <string>
#include <vector>

#include "nn/safetensors.h"
#include "train/step/learner.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// Whether the run of this checkpoint validates its raw weights, though it holds their average too.
bool scored_raw(const SafetensorsFile& file);

// Fills the model from a run's file: the averages when it has them (and `averages`, and not val_weights=raw), else the
// weights.
void load_weights(Learner& learner, const std::string& path, bool averages = true);

// Fills a fresh model from a file: a run's (its averages, when it has them) or PyTorch's state_dict. Tensors of the
// head that have another shape there stay as they are, auxiliary heads that are not there too. Returns what did, in
// words. DataError naming the tensor otherwise.
std::vector<std::string> start_from(Learner& learner, const std::string& path);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
