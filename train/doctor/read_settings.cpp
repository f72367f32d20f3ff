// What a configuration of this program says.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <thread>

#include "data/sets/dataset.h"
#include "data/sets/parts.h"
#include "data/sets/synthetic.h"
#include "nn/safetensors.h"
#include "optim/schedule.h"
#include "tensor/check.h"
#include "train/config/names.h"
#include "train/doctor/read_config.h"
#include "train/doctor/sources.h"
#include "train/step/data_setup.h"
#include "train/step/run_rate.h"

namespace solobox::doctor {
namespace {

// Runs that are known to have learned: effective batch, rate, picture side.
struct Reference {
    double batch, lr, image;
    const char* what;
};
const std::map<std::string, Reference>& references() {
    static const Reference good{8, 2.5e-4, 384, "the good run of the collapse report"};
    static const std::map<std::string, Reference> store{
        {"collapse-report", good}, {"seed003", good},  // as it was called once
    };
    return store;
}

Texts augmentations(const Config& c) {
    Texts on;
    for (const char* key : {"fliplr", "translate", "scale", "degrees", "brightness", "contrast", "saturation", "hsv_h",
                            "hsv_s", "hsv_v", "mosaic", "mixup"})
        if (c.number(key) > 0 && uses(task_of(c), config_key(key))) on.emplace_back(key);
    if (uses(task_of(c), config_key("multi_scale")) && !c.text("multi_scale").empty()) on.emplace_back("multi_scale");
    return on;
}

// The rate by step: when it first falls, whether it changes at the switch of stages.
void read_rate(const Config& c, std::int64_t per_epoch, Facts& facts) {
    const std::int64_t epochs = c.integer("epochs"), total = per_epoch * epochs;
    const RunRate rate(c, per_epoch);
    // Every step of a short run, a few thousand places of a long one.
    const std::int64_t stride = std::max<std::int64_t>(1, total / 4096);
    double peak = 0, first = INFINITY;
    for (std::int64_t t = 0; t < total; t += stride) {
        const double lr = rate(t);
        if (lr < 0.999 * peak) {
            first = static_cast<double>(t) / static_cast<double>(per_epoch);
            break;
        }
        peak = std::max(peak, lr);
    }
    facts.set("first_decay_epoch", std::floor(first));
    if (c.text("schedule") == "staircase") facts.set("lr", peak);  // deaf to lr0
    const std::int64_t at = (c.integer("unfreeze_epoch") - 1) * per_epoch;
    if (c.integer("unfreeze_epoch") > 1 && at < total && rate(at - 1) > 0)
        facts.set("stage_ratio", rate(at) / rate(at - 1));
    if (c.text("schedule") == "onecycle")
        facts.set("warmup_steps", std::floor(c.number("pct_start") * static_cast<double>(total)));
}

void read_average(const Config& c, std::int64_t per_epoch, Facts& facts) {
    const double decay = c.number("ema_decay"), tau = c.number("ema_tau");
    facts.set("ema_decay", decay);
    facts.set("ema_validates", decay > 0 && c.text("val_weights") == "ema" ? 1.0 : 0.0);
    facts.set("ema_ramped", tau > 0 ? 1.0 : 0.0);
    if (decay == 0 || per_epoch == 0) return;
    const double every = c.number("val_every");
    const auto first = static_cast<std::int64_t>(
        std::max(1.0, std::min(every, static_cast<double>(c.integer("epochs"))) * static_cast<double>(per_epoch)));
    const std::int64_t last = per_epoch * c.integer("epochs");
    double log_share = 0;
    facts.set("ema_share_first", 0.0);
    for (std::int64_t t = 1; t <= last && log_share > -700; ++t) {
        const double d = tau > 0 ? decay * (1 - std::exp(-static_cast<double>(t) / tau)) : decay;
        log_share += std::log(d);
        if (t == first) facts.set("ema_share_first", std::exp(log_share));
    }
    facts.set("ema_share_last", std::exp(log_share));
}

void read_loaded_head(const Config& c, Facts& facts) {
    const std::string& path = c.text("weights");
    if (path.empty()) return;
    facts.set("pretrained", 1.0);
    if (!task_of(c).picture_classes) return;
    const SafetensorsFile file = read_safetensors(path);
    for (const char* prefix : {"ema.", "model.", ""})
        if (const auto found = file.tensors.find(std::string(prefix) + "fc.bias");
            found != file.tensors.end() && found->second.shape.size() == 1) {
            facts.set("loaded_head", static_cast<double>(found->second.shape[0]));
            return;
        }
}

}  // namespace

std::vector<std::string> reference_names() {
    std::vector<std::string> names;
    for (const auto& [name, r] : references()) names.push_back(name);
    return names;
}

Facts read_reference(const std::string& text) {
    Facts facts;
    if (text.empty()) return facts;
    const auto set = [&](double batch, double lr, double image, const std::string& what) {
        facts.set("reference_batch", batch), facts.set("reference_lr", lr), facts.set("reference_name", what);
        if (image > 0) facts.set("reference_image", image);
    };
    if (const auto found = references().find(text); found != references().end()) {
        set(found->second.batch, found->second.lr, found->second.image, found->second.what);
        return facts;
    }
    if (text.find('=') != std::string::npos) {
        std::map<std::string, double> given;
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t end = std::min(text.find(',', at), text.size());
            const std::string word = text.substr(at, end - at);
            at = end + 1;
            const std::size_t equals = word.find('=');
            const std::string key = equals == std::string::npos ? word : config_key(word.substr(0, equals)).name;
            if (equals == std::string::npos || (key != "batch" && key != "lr0" && key != "image"))
                throw ConfigError(fmt::format(
                    "reference={}: '{}' is not understood: expected batch=N,lr0=RATE and maybe image=N", text, word));
            given[key] = parse_number("reference " + key, word.substr(equals + 1));
            if (!(given[key] > 0)) throw ConfigError(fmt::format("reference={}: {} must be above 0", text, key));
        }
        if (!given.contains("batch") || !given.contains("lr0"))
            throw ConfigError(fmt::format("reference={}: expected batch=N,lr0=RATE", text));
        set(given["batch"], given["lr0"], given.contains("image") ? given["image"] : 0, "the reference");
        return facts;
    }
    if (!std::filesystem::exists(text))
        throw ConfigError(
            fmt::format("reference={}: neither a known run ({}), nor batch=N,lr0=RATE, nor the directory of a run{}",
                        text, fmt::join(reference_names(), ", "), did_you_mean(text, reference_names())));
    const Config c = read_config(RunDirectory::existing(text).file("args.yaml"));
    set(static_cast<double>(c.integer("batch")), c.number("lr0"), static_cast<double>(c.integer("image")),
        "run " + text);
    return facts;
}

Facts read_data_facts(const Config& c) {
    Facts facts;
    const std::string& place = c.text("data");
    if (place.empty()) return facts;
    const auto limited = [&](const char* key, double n) {
        return c.integer(key) > 0 ? std::min(n, static_cast<double>(c.integer(key))) : n;
    };
    if (place == "synthetic") {
        facts.set("train_images", c.integer("train_images") > 0 ? static_cast<double>(c.integer("train_images"))
                                                                : static_cast<double>(synthetic_training_part.count));
        facts.set("val_images", c.integer("val_images") > 0 ? static_cast<double>(c.integer("val_images"))
                                                            : static_cast<double>(synthetic_validation_part.count));
        if (task_of(c).picture_classes) facts.set("data_classes", static_cast<double>(shape_names().size()));
        return facts;
    }
    const DataSet set = open_dataset(place, open_options(c));
    facts.set("val_in_train", static_cast<double>(pictures_in_both(set.train, set.val).size()));
    if (!task_of(c).picture_classes) {
        std::size_t train = 0, val = 0;
        for (const Sample& s : set.train) train += !s.objects.empty();
        for (const Sample& s : set.val) val += !s.objects.empty();
        facts.set("train_images", limited("train_images", static_cast<double>(train)));
        facts.set("val_images", limited("val_images", static_cast<double>(val)));
        return facts;
    }
    facts.set("train_images", limited("train_images", static_cast<double>(set.train.size())));
    facts.set("val_images", limited("val_images", static_cast<double>(set.val.size())));
    facts.set("data_classes", static_cast<double>(set.classes.size()));
    std::vector<double> each(set.classes.size());
    double low = INFINITY, high = -INFINITY;
    for (const std::vector<Sample>* part : {&set.train, &set.val})
        for (const Sample& s : *part) {
            low = std::min(low, static_cast<double>(s.class_id)),
            high = std::max(high, static_cast<double>(s.class_id));
            if (part == &set.train && s.class_id >= 0 && s.class_id < std::ssize(each))
                ++each[static_cast<std::size_t>(s.class_id)];
        }
    if (std::isfinite(low)) facts.set("label_min", low), facts.set("label_max", high);
    if (!each.empty() && c.integer("train_images") == 0)
        facts.set("images_per_class", *std::min_element(each.begin(), each.end()));
    return facts;
}

Facts read_settings_facts(const Config& c, const Facts& known, int threads) {
    Facts facts = known;
    const auto set = [&](const char* fact, const char* key) { facts.set(fact, c.number(key)); };
    const std::int64_t batch = c.integer("batch"), parts = std::min(c.integer("accumulate"), batch);
    // Here `batch` is a step's pictures, computed in `accumulate` parts; elsewhere it is one part's.
    facts.set("batch_per_step", static_cast<double>(batch) / static_cast<double>(parts));
    facts.set("accumulation", static_cast<double>(parts));
    set("lr", "lr0"), set("epochs", "epochs"), set("image", "image"), set("momentum", "momentum");
    set("weight_decay", "weight_decay"), set("clip", "clip"), set("patience", "patience");
    facts.set("optimizer", c.text("optimizer"));
    facts.set("schedule", c.text("schedule"));
    facts.set("model", c.text("model"));
    facts.set("kind", task_of(c).kind);
    facts.set("augmentations", augmentations(c));
    facts.set("group_ratio_asked", c.number("backbone_lr"));
    if (!facts.has("pretrained")) facts.set("pretrained", 0.0);
    if (c.integer("unfreeze_epoch") > 0) set("unfreeze_epoch", "unfreeze_epoch");
    if (const TaskKeys& task = task_of(c); task.tell) task.tell(c, facts);
    std::int64_t per_epoch = 0;
    if (const double* steps = facts.number("steps_per_epoch"))
        per_epoch = static_cast<std::int64_t>(*steps);
    else if (const double* n = facts.number("train_images")) {
        const auto pictures = static_cast<std::int64_t>(*n);
        per_epoch = std::max<std::int64_t>(1, c.flag("drop_last") ? pictures / batch : (pictures + batch - 1) / batch);
    }
    if (per_epoch > 0) {
        facts.set("steps_per_epoch", static_cast<double>(per_epoch));
        facts.set("total_steps", static_cast<double>(per_epoch * c.integer("epochs")));
    }
    if (c.number("warmup_epochs") > 0)
        set("warmup_epochs", "warmup_epochs");
    else
        set("warmup_steps", "warmup_steps");
    if (c.text("schedule") == "staircase") {  // counts in epochs
        facts.forget("warmup_steps");
        set("warmup_epochs", "warmup_epochs");
    }
    const std::int64_t length = c.integer("schedule_epochs");
    facts.set("schedule_steps", static_cast<double>(length > 0 ? length : c.integer("epochs")));
    facts.set("planned_steps", c.number("epochs"));
    // Without the length of an epoch only a schedule that counts in epochs can be followed.
    if (per_epoch > 0 || c.text("schedule") == "staircase")
        read_rate(c, std::max<std::int64_t>(per_epoch, 1), facts);
    else if (c.text("schedule") == "constant")
        facts.set("first_decay_epoch", INFINITY);
    read_average(c, per_epoch, facts);
    read_loaded_head(c, facts);
    facts.set("cores", static_cast<double>(std::max(1U, std::thread::hardware_concurrency())));
    facts.set("threads", threads > 0 ? static_cast<double>(threads) : *facts.number("cores"));
    facts.merge(read_reference(c.text("reference")));
    return facts;
}

}  // namespace solobox::doctor
