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
    const bool classes = is_classifier(c);
    const auto need = [&](bool fine, const char* what) {
        if (!fine)
            throw ConfigError(
                fmt::format("fault={} ({}) would change nothing: it needs {}", fault, c.at("fault").origin, what));
    };
    if (fault == "none" || fault == "cut") return;
    if (fault == "unweighted") {
        const std::string& loss = c.text("loss");
        return classes ? need(c.integer("aux_heads") > 0, "aux_heads")
                       : need(loss == "box" || loss == "yolo_bbox" || loss == "log_wh", "a loss of several terms");
    }
    if (fault.starts_with("aux_")) return need(classes && c.integer("aux_heads") > 0, "a resnet with aux_heads");
    need(!overfit, "`train`: overfit has no such thing");
    const bool batch_norm = classes || c.text("norm") == "batch", plateau = c.text("schedule") == "plateau";
    if (fault == "second_writer") need(!plateau, "a schedule other than plateau, which would be the first writer");
    if (fault == "flat_groups") need(c.number("backbone_lr") != 1, "backbone_lr");
    if (fault == "frozen_trains") need(c.text("freeze") != "none", "freeze=backbone");
    if (fault == "forgotten" || fault == "stale_schedule") need(c.integer("unfreeze_epoch") > 0, "unfreeze_epoch");
    if (fault == "stale_schedule") need(!plateau, "a schedule that is a function of the step");
    if (fault.starts_with("ema_")) need(c.number("ema_decay") > 0, "ema_decay above 0");
    if (fault == "ema_parameters_only" || fault == "batch_metric") need(batch_norm, "norm=batch: running statistics");
    if (fault == "degenerate_boxes") need(!classes && c.integer("batch") >= 5, "a box task and batch=5 or more");
}

}  // namespace solobox
