#include "train/config/setup.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "tensor/check.h"
#include "train/config/faults.h"

namespace solobox {

void apply_training_defaults(Config& config) {
    const auto usual = [&](const std::string& key, const std::string& value) {
        if (config.is_default(key)) config.set(key, value, "train default");
    };
    usual("warmup_steps", "200");
    for (const auto& [key, value] : task_of(config).training_defaults) usual(key, value);
}

void apply_model_defaults(Config& config) {
    if (const TaskKeys& task = task_of(config); task.model_defaults) task.model_defaults(config);
}

void apply_overfit_settings(Config& config, std::int64_t n) {
    for (const ConfigKey& k : config_schema())
        if (k.training_only && !config.is_default(k.name))
            throw ConfigError(fmt::format("{}={} ({}) would be ignored: overfit has no such thing, `train` has", k.name,
                                          config.at(k.name).value, config.at(k.name).origin));
    refuse_harmless_fault(config, true);
    if (const std::string& s = config.text("schedule"); s != "cosine" && s != "constant")
        throw ConfigError(fmt::format("schedule={}: overfit knows cosine and constant only", s));
    const TaskKeys& task = task_of(config);
    std::vector<std::pair<std::string, std::string>> fixed{{"weight_decay", "0"}};
    fixed.insert(fixed.end(), task.overfit_fixed.begin(), task.overfit_fixed.end());
    fixed.emplace_back("batch", std::to_string(std::min<std::int64_t>(n, 16)));
    for (const auto& [key, value] : fixed) {
        const ConfigValue& asked = config.at(key);
        if (!config.is_default(key) && parse_number(key, asked.value) != parse_number(key, value))
            throw ConfigError(fmt::format("{}={} ({}) would be ignored: overfit always uses {}={}", key, asked.value,
                                          asked.origin, key, value));
        config.set(key, value, "overfit");
    }
    if (task.overfit_defaults) task.overfit_defaults(config);
}

std::function<double(std::int64_t)> make_schedule(const Config& config, std::int64_t cycle_steps) {
    schedule::WarmupCosine s;
    s.base = config.number("lr0");
    s.min = s.base * config.number("lrf");
    s.warmup = std::min(config.integer("warmup_steps"), cycle_steps);
    s.total = cycle_steps;
    if (config.text("schedule") == "cosine")
        return [s](std::int64_t t) { return schedule::warmup_cosine(s, t % s.total); };
    return [s](std::int64_t t) { return t < s.warmup ? schedule::warmup_cosine(s, t) : s.base; };
}

std::int64_t unfreeze_step(const Config& config, const schedule::Calendar& steps) {
    const std::int64_t epoch = config.integer("unfreeze_epoch");
    return epoch > 0 ? steps.before(epoch - 1) : std::numeric_limits<std::int64_t>::max();
}

void refuse_ignored_stages(const Config& config) {
    const auto refuse = [&](const char* key, bool ignored, const char* why) {
        if (!ignored || config.at(key).value == config_key(key).default_value) return;
        throw ConfigError(
            fmt::format("{}={} ({}) would be ignored: {}", key, config.at(key).value, config.at(key).origin, why));
    };
    const bool frozen = config.text("freeze") != "none", thaws = config.integer("unfreeze_epoch") > 0;
    refuse("unfreeze_epoch", !frozen, "freeze=none has nothing that could begin to train");
    refuse("unfreeze_lr", !frozen || !thaws, "it counts from unfreeze_epoch on, with freeze=backbone");
    refuse("backbone_lr", frozen && !thaws, "the backbone never trains: set unfreeze_epoch, or freeze=none");
    refuse("val_weights", config.number("ema_decay") == 0, "ema_decay=0 keeps no average");
}

}  // namespace solobox
