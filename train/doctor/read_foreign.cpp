// Configurations of other programs, and what follows from them.
#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <regex>
#include <set>

#include "data/sets/yaml_guard.h"
#include "data/text.h"
#include "train/doctor/sources.h"

namespace solobox::doctor {
namespace {

constexpr std::size_t largest_config = std::size_t{1} << 20;  // bytes

struct Scalar {
    std::string path, key, parent, text;  // "train.lr", "lr", "train"
    bool quoted = false;
};

void walk(const YAML::Node& node, const std::string& path, const std::string& key, const std::string& parent,
          std::vector<Scalar>& scalars, std::map<std::string, Texts>& lists) {
    switch (node.Type()) {
        case YAML::NodeType::Scalar:
            scalars.push_back({path, key, parent, node.Scalar(), node.Tag() == "!"});
            return;
        case YAML::NodeType::Sequence: {
            Texts items;
            bool plain = true;
            for (const YAML::Node& item : node) {
                plain = plain && item.IsScalar();
                if (item.IsScalar()) items.push_back(item.Scalar());
            }
            if (plain) lists[lower(key)] = items;
            std::size_t i = 0;
            for (const YAML::Node& item : node) {
                // Lists of maps (trainer plugins, parameter groups) hold keys too; plain items only their numbers.
                walk(item, fmt::format("{}[{}]", path, i++), item.IsScalar() ? "" : key, parent, scalars, lists);
            }
            return;
        }
        case YAML::NodeType::Map:
            for (const auto& pair : node) {
                const std::string name = pair.first.IsScalar() ? pair.first.Scalar() : "";
                walk(pair.second, path.empty() ? name : path + "." + name, name, key, scalars, lists);
            }
            return;
        default:
            return;
    }
}

void read(const std::string& path, std::vector<Scalar>& scalars, std::map<std::string, Texts>& lists) {
    const std::string text = read_whole(path, largest_config);
    guard_yaml(text, printable(path, 300));
    try {
        walk(YAML::Load(std::string(strip_bom(text))), "", "", "", scalars, lists);
    } catch (const YAML::Exception& e) {
        fail_data(printable(path, 300), "{}", e.what());
    }
}

// Whether a key path leads through a section of that kind: val_dataloader.batch_size is not training's.
bool within(const std::string& path, std::initializer_list<const char*> words) {
    std::string sections = lower(path.substr(0, path.rfind('.') == std::string::npos ? 0 : path.rfind('.')));
    for (char& c : sections)
        if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = ' ';
    for (const std::string_view part : split_blanks(sections))
        for (const char* word : words)
            if (part == word) return true;
    return false;
}

// Names, not numbers: "12e4567" is a hash.
bool is_a_name(const std::string& key) {
    const std::string k = lower(key);
    for (const char* word : {"name", "hash", "version", "experiment", "commit", "path", "dir", "tag", "date", "uuid"})
        if (k.find(word) != std::string::npos) return true;
    return k == "id" || k.ends_with("_id");
}

// What YAML 1.2 reads as a number and YAML 1.1 (PyYAML) as text.
bool text_in_yaml11(const Scalar& s) {
    static const std::regex number(R"([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?)");
    static const std::regex old_float(R"([-+]?[0-9][0-9_]*\.[0-9_]*([eE][-+][0-9]+)?|\.[0-9][0-9_]*([eE][-+][0-9]+)?)"),
        old_integer(R"([-+]?(0|[1-9][0-9_]*|0[0-7_]+))");
    if (s.text.size() > 40 || !std::regex_match(s.text, number)) return false;
    if (!s.quoted) return !std::regex_match(s.text, old_float) && !std::regex_match(s.text, old_integer);
    // In quotes it is text for everybody: a fault where a number is expected, not in a name.
    const FactInfo* info = find_fact(s.key);
    return info && info->kind == FactKind::number;
}

bool is_on(const std::string& text) {
    const std::string word = lower(text);
    if (word == "true" || word == "yes" || word == "on") return true;
    const auto value = parse_double(text);
    return value && *value != 0;
}

const std::set<std::string>& augmentation_keys() {
    static const std::set<std::string> keys{"fliplr",   "flipud",     "hflip",       "vflip",        "hsv_h",
                                            "hsv_s",    "hsv_v",      "degrees",     "rotate",       "translate",
                                            "scale",    "shear",      "perspective", "mosaic",       "mixup",
                                            "cutmix",   "copy_paste", "random_crop", "color_jitter", "brightness",
                                            "contrast", "saturation", "erasing",     "auto_augment", "random_flip"};
    return keys;
}

void set_quietly(Facts& facts, const FactInfo& info, const std::string& name, const std::string& value) {
    try {
        facts.set_text(info.name.ends_with('.') ? name : info.name, value);
    } catch (const ConfigError&) {
        // A key of that name that means something else there: not a fact.
    }
}

}  // namespace

std::map<std::string, std::string> foreign_settings(const std::string& path) {
    std::vector<Scalar> scalars;
    std::map<std::string, Texts> lists;
    read(path, scalars, lists);
    std::map<std::string, std::string> settings;
    for (const Scalar& s : scalars) settings[s.path] = s.text;
    return settings;
}

Facts read_foreign_config(const std::string& path) {
    std::vector<Scalar> scalars;
    std::map<std::string, Texts> lists;
    read(path, scalars, lists);
    Facts facts;
    Texts text_numbers, augmentations;
    bool augments = false;
    for (const Scalar& s : scalars) {
        const std::string key = lower(s.key);
        if (text_in_yaml11(s) && !is_a_name(s.key))
            text_numbers.push_back(fmt::format("{}: {}", printable(s.path, 60), s.text));
        if (augmentation_keys().contains(key)) {
            augments = true;
            if (is_on(s.text)) augmentations.push_back(key);
        }
        if (key == "augment" || key == "augmentation" || key == "augmentations") augments = true;
        if ((key == "augment" || key == "augmentation") && is_on(s.text)) augmentations.push_back(key);
        if ((key == "type" || key == "name") && lower(s.parent) == "optimizer") facts.set("optimizer", s.text);
        if ((key == "type" || key == "name") && (lower(s.parent) == "scheduler" || lower(s.parent) == "lr_scheduler"))
            facts.set("schedule", lower(s.text));
        if (key == "deep_supervision") facts.set("aux_heads", is_on(s.text) ? 1.0 : 0.0);
        if (key == "use_ema" || key == "ema") facts.set("ema_validates", is_on(s.text) ? 1.0 : 0.0);
        if ((key == "use_ema" || key == "ema") && !is_on(s.text)) facts.set("ema_decay", 0.0);
        if (key == "box" || key == "cls" || key == "dfl" || key.starts_with("lambda_"))
            if (const auto value = parse_double(s.text)) facts.set("gain." + key, Series{*value});
        if (within(s.path, {"val", "valid", "validation", "test", "eval", "evaluation", "predict", "inference"}))
            continue;
        const bool rate = key == "lr" || key == "learning_rate" || key == "base_lr" || key == "max_lr" || key == "lr0";
        if (rate && within(s.path, {"scheduler", "schedule", "sched", "warmup"})) continue;
        // The first of several sections counts.
        if (const FactInfo* info = find_fact(s.key);
            info && info->kind != FactKind::texts && !facts.has(info->name.ends_with('.') ? key : info->name))
            set_quietly(facts, *info, key, s.text);
    }
    for (const auto& [key, items] : lists)
        if (const FactInfo* info = find_fact(key); info && info->kind == FactKind::texts) {
            facts.set(info->name, items);
            augments = augments && info->name != "augmentations";
        }
    facts.set("text_numbers", text_numbers);
    if (augments) facts.set("augmentations", augmentations);
    if (!facts.has("epochs") && facts.has("max_epochs")) {
        facts.set("epochs", *facts.number("max_epochs"));
        facts.forget("max_epochs");
    }
    if (facts.has("schedule")) facts.set("schedule", lower(*facts.text("schedule")));
    derive(facts);
    return facts;
}

void derive(Facts& facts) {
    const auto number = [&](const char* name, double otherwise) {
        const double* v = facts.number(name);
        return v ? *v : otherwise;
    };
    const double batch = number("batch_per_step", NAN) * number("accumulation", 1) * number("replicas", 1);
    if (!facts.has("steps_per_epoch") && facts.has("train_images") && batch > 0)
        facts.set("steps_per_epoch", std::max(1.0, std::floor(number("train_images", 0) / batch)));
    const double per_epoch = number("steps_per_epoch", NAN), epochs = number("epochs", NAN);
    if (!facts.has("total_steps") && per_epoch > 0 && epochs > 0) facts.set("total_steps", per_epoch * epochs);
    if (!facts.has("planned_steps") && facts.has("schedule_steps") && epochs > 0) facts.set("planned_steps", epochs);
    if (!facts.has("first_decay_epoch") && facts.has("schedule")) {
        const std::string& name = *facts.text("schedule");
        if (name == "staircase" || name == "rigid")
            facts.set("first_decay_epoch", number("warmup_epochs", 0) + 75);
        else if (name == "constant" || name == "none")
            facts.set("first_decay_epoch", INFINITY);
    }
    // share of the initial weights = product of the decays
    const double decay = number("ema_decay", 0);
    if (!facts.has("ema_share_first") && decay > 0 && per_epoch > 0) {
        const bool ramped = number("ema_ramped", 0) > 0;
        double log_share = 0;
        const auto steps = static_cast<std::int64_t>(per_epoch),
                   all = static_cast<std::int64_t>(per_epoch * std::max(1.0, std::isnan(epochs) ? 1.0 : epochs));
        for (std::int64_t t = 1; t <= all && log_share > -700; ++t) {
            log_share += std::log(ramped ? decay * (1 - std::exp(-static_cast<double>(t) / 2000)) : decay);
            if (t == steps) facts.set("ema_share_first", std::exp(log_share));
        }
        if (!facts.has("ema_share_first")) facts.set("ema_share_first", 0.0);
        if (!std::isnan(epochs)) facts.set("ema_share_last", std::exp(log_share));
        if (!facts.has("ema_validates")) facts.set("ema_validates", 1.0);
    }
    if (!facts.has("kind") && (facts.has("accuracy") || facts.has("train_accuracy")))
        facts.set("kind", std::string("classes"));
}

}  // namespace solobox::doctor
