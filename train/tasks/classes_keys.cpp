// The keys of classifiers: the residual networks.
#include <fmt/format.h>

#include "tensor/check.h"
#include "train/run/facts.h"
#include "train/tasks/keys.h"

namespace solobox {
namespace {

using namespace keys;

std::vector<ConfigKey> class_rows() {
    return {
        integer("classes", 0, 0, 1 << 20, "of a classifier; 0: those of the data set, another number must be theirs",
                {"num_classes", "nc"})
            .after("model"),
        choice("stem", {"imagenet", "cifar"}, "resnet: 7x7 stride 2 and a pool, or 3x3 stride 1 for small pictures"),
        flag("zero_init_residual", false, "resnet: every block starts as its shortcut"),
        integer("aux_heads", 0, 0, 2,
                "resnet: heads that classify earlier stages too: 1 behind layer3, 2 behind layer2 and layer3 (deep "
                "supervision)"),
        number("aux_weight", 0.4, 0, 10, "weight of each auxiliary head's loss"),
        number("label_smoothing", 0, 0, 0.999, "cross-entropy: share of the target spread over all classes")
            .settled_by_overfit(),
        flag("legacy_names", false,
             "also write the smoke-test report's own files: logs/csv_logs/version_N/metrics.csv, "
             "checkpoints/NAME-epoch=00-val/acc1=..ckpt")
            .in_train()
            .decides_nothing()
            .after("val_first"),
        flag("random_crop", true, "crops of random area and aspect, resized; false: the centre, as in validation")
            .in_train()
            .after("fliplr"),
        number("crop_min", 0.08, 0.0001, 1, "random_crop: smallest share of the picture's area").in_train(),
        text("mean", "0.485,0.456,0.406", "of red, green, blue in 0..1, subtracted from the pictures"),
        text("std", "0.229,0.224,0.225", "of red, green, blue, divided by"),
    };
}

void check_class_fault(const Config& c) {
    const std::string& fault = c.text("fault");
    if (c.integer("aux_heads") > 0) return;
    const char* what = fault == "unweighted"       ? "aux_heads"
                       : fault.starts_with("aux_") ? "a resnet with aux_heads"
                                                   : nullptr;
    if (what)
        throw ConfigError(
            fmt::format("fault={} ({}) would change nothing: it needs {}", fault, c.at("fault").origin, what));
}

void tell_class_settings(const Config& c, doctor::Facts& facts) {
    facts.set("dropout", 0.0);
    for (const char* key : {"aux_heads", "aux_weight"}) facts.set(key, c.number(key));
    facts.set("multi_scale", 1.0);  // crops of random scale
    if (c.integer("classes") > 0) facts.set("classes", c.number("classes"));
    if (!facts.has("classes") && facts.has("data_classes")) facts.set("classes", *facts.number("data_classes"));
    if (c.flag("random_crop")) {
        doctor::Texts on = facts.texts("augmentations") ? *facts.texts("augmentations") : doctor::Texts();
        on.emplace_back("random_crop");
        facts.set("augmentations", on);
    }
}

}  // namespace

TaskKeys class_task_keys() {
    TaskKeys t;
    t.kind = "classes", t.puts_out = "classes", t.asked = "classify";
    t.models = {"resnet18", "resnet34", "resnet50"};
    t.keys = class_rows;
    t.faults = {"aux_silent", "aux_detached", "aux_shifted"};
    t.model_defaults = [](Config& config) {
        for (const auto& [key, value] :
             {std::pair{"image", "224"}, {"brightness", "0"}, {"contrast", "0"}, {"saturation", "0"}})
            if (config.is_default(key)) config.set(key, value, "model default");
    };
    t.overfit_fixed = {{"label_smoothing", "0"}};
    t.overfit_defaults = [](Config& config) {
        if (config.is_default("image")) config.set("image", "64", "overfit");
    };
    t.check_fault = check_class_fault;
    t.tell = tell_class_settings;
    t.norm = [](const Config&) { return std::string("batch"); };
    t.picture_classes = true;
    t.smoke = {{400, 200}};  // pictures of every class
    return t;
}

}  // namespace solobox
