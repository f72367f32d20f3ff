#include "train/config/setup.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "optim/schedule.h"
#include "tensor/check.h"

namespace solobox {

void apply_training_defaults(Config& config) {
    const std::pair<const char*, const char*> defaults[] = {{"warmup_steps", "200"}, {"dropout", "0.2"}};
    for (const auto& [key, value] : defaults)
        if (config.is_default(key) && !(is_classifier(config) && config_key(key).task == "box"))
            config.set(key, value, "train default");
}

void apply_model_defaults(Config& config) {
    if (is_classifier(config)) {
        const std::pair<const char*, const char*> usual[] = {
            {"image", "224"}, {"brightness", "0"}, {"contrast", "0"}, {"saturation", "0"}};
        for (const auto& [key, value] : usual)
            if (config.is_default(key)) config.set(key, value, "model default");
        return;
    }
    if (config.text("head") == "occupancy" && config.is_default("iou_type"))
        config.set("iou_type", "giou", "model default");
    if (config.text("model") != "toy") {
        if (!config.is_default("width_mult"))
            throw ConfigError("width_mult applies to model=toy only: tiny has fixed widths");
        return;
    }
    const std::pair<const char*, const char*> defaults[] = {{"image", "448"}, {"hidden", "4096"}, {"norm", "none"}};
    for (const auto& [key, value] : defaults)
        if (config.is_default(key)) config.set(key, value, "model default");
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

std::int64_t unfreeze_step(const Config& config, std::int64_t steps_per_epoch) {
    const std::int64_t epoch = config.integer("unfreeze_epoch");
    return epoch > 0 ? (epoch - 1) * steps_per_epoch : std::numeric_limits<std::int64_t>::max();
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
