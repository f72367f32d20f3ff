#include "train/step/weights.h"

#include <algorithm>
#include <map>

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

namespace {

// Wrappers put a word in front of every name: module. (DataParallel), _orig_mod. (torch.compile), net. .. Takes it off
// when none of the model's own names begins so; returns it.
std::string unwrap(Learner& learner, SafetensorsFile& file) {
    SafetensorsFile own;
    save_state(learner, own, "");
    std::string wrapper;
    while (!file.tensors.empty()) {
        const std::string& one = file.tensors.begin()->first;
        const std::size_t dot = one.find('.');
        if (dot == std::string::npos) break;
        const std::string word = one.substr(0, dot + 1);
        const auto begins = [&](const auto& t) { return t.first.starts_with(word); };
        // What a run of this program writes keeps its meaning.
        if (word == "model." || word == "ema." || std::any_of(own.tensors.begin(), own.tensors.end(), begins) ||
            !std::all_of(file.tensors.begin(), file.tensors.end(), begins))
            break;
        std::map<std::string, RawTensor> bare;
        for (auto& [name, tensor] : file.tensors) bare.emplace(name.substr(word.size()), std::move(tensor));
        file.tensors = std::move(bare);
        wrapper += word;
    }
    return wrapper;
}

}  // namespace

std::vector<std::string> start_from(Learner& learner, const std::string& path) {
    SafetensorsFile file = read_safetensors(path);
    const auto any = [&](const std::string& prefix) {
        return std::any_of(file.tensors.begin(), file.tensors.end(),
                           [&](const auto& t) { return t.first.starts_with(prefix); });
    };
    std::vector<std::string> notes;
    if (const std::string wrapper = unwrap(learner, file); !wrapper.empty())
        notes.push_back(fmt::format("{}: all its names begin with {}, which was left out", path, wrapper));
    const std::string prefix = any("ema.") && !scored_raw(file) ? "ema." : any("model.") ? "model." : "";
    SafetensorsFile fresh;
    save_state(learner, fresh, prefix);
    const std::vector<std::string> fresh_heads = learner.model().fresh_heads();
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
