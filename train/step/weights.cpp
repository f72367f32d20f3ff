#include "train/step/weights.h"

#include <algorithm>

#include "nn/checkpoint.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

bool scored_raw(const SafetensorsFile& file) {
    const auto found = file.metadata.find("val_weights");
    return found != file.metadata.end() && found->second == "raw";
}

void load_weights(Task& task, const std::string& path, bool averages) {
    const SafetensorsFile file = read_safetensors(path);
    const bool has = std::any_of(file.tensors.begin(), file.tensors.end(),
                                 [](const auto& t) { return t.first.starts_with("ema."); });
    load_state(task, file, path, averages && has && !scored_raw(file) ? "ema." : "model.");
}

std::vector<std::string> start_from(Task& task, const std::string& path) {
    SafetensorsFile file = read_safetensors(path);
    const auto any = [&](const std::string& prefix) {
        return std::any_of(file.tensors.begin(), file.tensors.end(),
                           [&](const auto& t) { return t.first.starts_with(prefix); });
    };
    const std::string prefix = any("ema.") && !scored_raw(file) ? "ema." : any("model.") ? "model." : "";
    SafetensorsFile fresh;
    save_state(task, fresh, prefix);
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
        const bool head = aux || (!task.head().empty() && name.starts_with(prefix + task.head()));
        if (!head || there == file.tensors.end() || there->second.shape == own.shape) continue;
        notes.push_back(fmt::format("{}: {} is [{}] there and [{}] here: it starts fresh", path, name,
                                    fmt::join(there->second.shape, ", "), fmt::join(own.shape, ", ")));
        there->second = own;
    }
    load_state(task, file, path, prefix);
    return notes;
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
