#include "train/make_task.h"

#include <algorithm>
#include <cmath>

#include "nn/checkpoint.h"
#include "train/class_task.h"
#include "train/config_setup.h"
#include "train/doctor/rules.h"
#include "train/faults.h"
#include "train/session_state.h"
#include "train/single_box_setup.h"
#include "train/single_box_task.h"
#include "train/training_schedule.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

void check_config(const Config& c) {
    refuse_keys_of_other_tasks(c);
    if (const double every = c.number("val_every"); every > 1 && every != std::floor(every))
        throw ConfigError(fmt::format("val_every={}: expected a whole number of epochs, or a part of one", every));
    if (is_classifier(c)) {
        (void)describe(class_model_config(c, std::max<std::int64_t>(c.integer("classes"), 2)));
        (void)class_picture_spec(c);
    } else {
        (void)describe(model_config(c)), (void)loss_spec(c);
    }
    refuse_ignored_stages(c);
    refuse_harmless_fault(c, false);
    doctor::Overrides().add(c.text("thresholds"));
    (void)make_training_schedule(c, 1);
}

namespace {

template <class Data>
Data one_batch_of(Data data, const Config& c) {
    const auto n = static_cast<std::size_t>(c.integer("batch"));
    data.train = std::make_shared<PictureStore>(data.train->some(n));
    data.val = std::make_shared<PictureStore>(data.val->some(n));
    return data;
}

}  // namespace

std::unique_ptr<Task> make_task(const Config& c, bool one_batch) {
    check_config(c);
    if (is_classifier(c)) {
        const ClassData data = load_class_data(c);
        return std::make_unique<ClassTask>(c, one_batch ? one_batch_of(data, c) : data);
    }
    const SingleBoxData data = load_single_box_data(c);
    return std::make_unique<SingleBoxTask>(c, one_batch ? one_batch_of(data, c) : data);
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
