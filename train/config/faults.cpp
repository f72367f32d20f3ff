#include "train/config/faults.h"

#include <fmt/format.h>

#include <algorithm>

#include "tensor/check.h"

namespace solobox {

bool has_fault(const Config& config, const std::string& name) {
    const auto& known = config_key("fault").choices;
    check(std::find(known.begin(), known.end(), name) != known.end(), "[faults] there is no fault '{}'", name);
    return config.text("fault") == name;
}

void refuse_harmless_fault(const Config& c, bool overfit) {
    const std::string& fault = c.text("fault");
    const auto need = [&](bool fine, const std::string& what) {
        if (!fine)
            throw ConfigError(
                fmt::format("fault={} ({}) would change nothing: it needs {}", fault, c.at("fault").origin, what));
    };
    if (fault == "none" || fault == "cut") return;
    const TaskKeys& task = task_of(c);
    for (const TaskKeys& t : task_keys())
        need(t.kind == task.kind || std::find(t.faults.begin(), t.faults.end(), fault) == t.faults.end(),
             fmt::format("a task that puts out {}, as model={}", t.puts_out, t.models.front()));
    if (task.check_fault) task.check_fault(c);
    if (fault == "unweighted" || fault.starts_with("aux_")) return;
    need(!overfit, "`train`: overfit has no such thing");
    const bool batch_norm = task.norm && task.norm(c) == "batch", plateau = c.text("schedule") == "plateau";
    if (fault == "second_writer") need(!plateau, "a schedule other than plateau, which would be the first writer");
    if (fault == "flat_groups") need(c.number("backbone_lr") != 1, "backbone_lr");
    if (fault == "frozen_trains") need(c.text("freeze") != "none", "freeze=backbone");
    if (fault == "forgotten" || fault == "stale_schedule") need(c.integer("unfreeze_epoch") > 0, "unfreeze_epoch");
    if (fault == "stale_schedule") need(!plateau, "a schedule that is a function of the step");
    if (fault.starts_with("ema_")) need(c.number("ema_decay") > 0, "ema_decay above 0");
    if (fault == "ema_parameters_only" || fault == "batch_metric") need(batch_norm, "norm=batch: running statistics");
}

}  // namespace solobox
