#include "train/step/weights.h"

#include <algorithm>

#include "nn/checkpoint.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

bool scored_raw(const SafetensorsFile& file) {
    const auto found = file.metadata.find("val_weights");
    return found != file.metadata.end() && found->second == "raw";
}

void load_weights(Learner& learner, const std::string& path, bool averages) {
    const SafetensorsFile file = read_safetensors(path);
    const bool has = std::any_of(file.tensors.begin(), file.tensors.end(),
                                 [](const auto& t) { return t.first.starts_with("ema."); });
    load_state(learner, file, path, averages && has && !scored_raw(file) ? "ema." : "model.");
}

std::vector<std::string> start_from(Learner& learner, const std::string& path) {
    SafetensorsFile file = read_safetensors(path);
    const auto any = [&](const std::string& prefix) {
        return std::any_of(file.tensors.begin(), file.tensors.end(),
                           [&](const auto& t) { return t.first.starts_with(prefix); });
    };
    const std::string prefix = any("ema.") && !scored_raw(file) ? "ema." : any("model.") ? "model." : "";
    SafetensorsFile fresh;
    save_state(learner, fresh, prefix);
    const std::vector<std::string> fresh_heads = learner.model().fresh_heads();
    std::vector<std::string> notes;
    for (auto& [name, own] : fresh.tensors) {
        const auto there = file.tensors.find(name);
        // Files from before PyTorch 0.4.1 do not count the batches of a norm.
        if (there == file.tensors.end() && name.ends_with("num_batches_tracked")) {
            file.tensors[name] = own;
            continue;
        }
        // Auxiliary heads help a training on its way: another start may well have none, or of other classes.
        const bool aux = name.starts_with(prefix + "aux_");
        if (aux && there == file.tensors.end()) {
            notes.push_back(fmt::format("{}: has no {}: it starts fresh", path, name));
            file.tensors[name] = own;
            continue;
        }
        const bool head = aux || (name.starts_with(prefix) && starts_with_any(name.substr(prefix.size()), fresh_heads));
        if (!head || there == file.tensors.end() || there->second.shape == own.shape) continue;
        notes.push_back(fmt::format("{}: {} is [{}] there and [{}] here: it starts fresh", path, name,
                                    fmt::join(there->second.shape, ", "), fmt::join(own.shape, ", ")));
        there->second = own;
    }
    load_state(learner, file, path, prefix);
    return notes;
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
