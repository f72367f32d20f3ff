// Rules about the data and what goes with its size: steps, dropout, decay, augmentation, classes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "train/doctor/rules.h"

namespace solobox::doctor {
namespace {

using Kind = Example::Kind;

Verdict few_steps(const Chart& c) {
    const double n = c.number("train_images"),
                 steps = c.has("steps_per_epoch") ? c.number("steps_per_epoch") : std::floor(n / c.effective_batch());
    if (steps >= c.limit("steps") || n < c.limit("images")) return c.pass(steps);
    return c.fire(Severity::warn, steps,
                  fmt::format("{:g} steps per epoch from {:g} pictures at {:g} a step: few updates for the data", steps,
                              n, c.effective_batch()));
}

Verdict much_dropout(const Chart& c) {
    const double p = c.number("dropout"), n = c.number("train_images");
    const bool high =
        p >= c.limit("high") && n<c.limit("high_images"), middle = p> c.limit("middle") && n < c.limit("middle_images");
    if (!high && !middle) return c.pass(p);
    return c.fire(Severity::warn, p,
                  fmt::format("dropout {:g} on {:g} training pictures: pushes towards the mean", p, n));
}

Verdict much_decay(const Chart& c) {
    const double wd = c.number("weight_decay");
    const bool few = c.has("train_images") && c.number("train_images") < c.limit("images");
    if (wd > 0 && c.number_or("dropout", 0) > 0 && few)
        return c.fire(Severity::warn, wd,
                      fmt::format("weight decay {:g} and dropout {:g} together on {:g} training pictures", wd,
                                  c.number("dropout"), c.number("train_images")));
    const double shrink = wd * c.number("lr") * (wd > 0 ? c.number("total_steps") : 0);
    if (!(shrink > c.limit("shrink"))) return c.pass(shrink);
    return c.fire(Severity::warn, shrink,
                  fmt::format("weight decay * rate * steps = {:.3g}: the decay alone shrinks a weight to {:.0f} %",
                              shrink, 100 * std::exp(-shrink)));
}

Verdict no_augmentation(const Chart& c) {
    const double n = c.number("train_images");
    const Texts& on = c.texts("augmentations");
    if (!on.empty()) return c.pass(static_cast<double>(on.size()), fmt::format("{}", fmt::join(on, ", ")));
    if (n >= c.limit("images")) return c.pass(0);
    return c.fire(Severity::warn, 0, fmt::format("no augmentation on {:g} training pictures", n));
}

Verdict class_counts(const Chart& c) {
    if (c.has("loaded_head") && (c.has("classes") || c.has("data_classes"))) {
        const double wanted = c.has("classes") ? c.number("classes") : c.number("data_classes"),
                     loaded = c.number("loaded_head");
        if (loaded != wanted && loaded != wanted + c.number_or("no_object", 0))
            return c.fire(Severity::fail, loaded,
                          fmt::format("the loaded head has {:g} outputs, the task {:g}{}", loaded, wanted,
                                      c.number_or("no_object", 0) > 0 ? " and one for no object" : ""));
    }
    if (c.has("label_max") && c.has("classes") &&
        (c.number("label_max") >= c.number("classes") || c.number_or("label_min", 0) < 0))
        return c.fire(Severity::fail, c.number("label_max"),
                      fmt::format("labels run from {:g} to {:g}, classes from 0 to {:g}", c.number_or("label_min", 0),
                                  c.number("label_max"), c.number("classes") - 1));
    const double outputs = c.has("head_outputs") ? c.number("head_outputs") : c.number("classes"),
                 classes = c.has("data_classes") ? c.number("data_classes") : c.number("classes");
    if (!c.has("head_outputs") && !c.has("data_classes")) throw Chart::Missing{"data_classes"};
    if (outputs == classes || outputs == classes + c.number_or("no_object", 0)) return c.pass(outputs);
    return c.fire(Severity::fail, outputs, fmt::format("{:g} outputs for {:g} classes", outputs, classes));
}

Verdict little_data(const Chart& c) {
    const double n = c.number("train_images"), parameters = c.number("parameters");
    const bool few_each = c.has("images_per_class") ? c.number("images_per_class") < c.limit("each")
                          : c.has("classes")        ? n / c.number("classes") < c.limit("each")
                                                    : false;
    if (n * c.limit("factor") >= std::sqrt(parameters) && !few_each) return c.pass(n);
    return c.fire(
        Severity::info, n,
        few_each
            ? fmt::format(
                  "{:g} training pictures, fewer than {:g} a class: enough to see that everything runs, not to learn",
                  n, c.limit("each"))
            : fmt::format("{:g} training pictures for {:.3g} parameters", n, parameters));
}

Verdict validates_training(const Chart& c) {
    // A log does not know the pictures, but equal curves know enough.
    if (const Series* train = c.facts().series("train_loss"), *val = c.facts().series("val_loss");
        !c.has("val_in_train") && train && val) {
        std::size_t same = 0, all = 0;
        for (std::size_t i = 0; i < std::min(train->size(), val->size()); ++i)
            if (std::isfinite((*train)[i]) && std::isfinite((*val)[i])) ++all, same += (*train)[i] == (*val)[i];
        if (all < 5) throw Chart::Missing{"5 epochs"};
        if (same < all) return c.pass(0);
        return c.fire(Severity::fail, 1,
                      fmt::format("validation and training loss are the same number in all {} epochs", all));
    }
    const double both = c.number("val_in_train"), share = both / std::max(1.0, c.number("val_images"));
    if (both == 0) return c.pass(0);
    return c.fire(share > c.limit("share") ? Severity::fail : Severity::warn, share,
                  fmt::format("{:g} of {:g} validation pictures are training pictures", both, c.number("val_images")));
}

}  // namespace

void add_data_rules(std::vector<Rule>& t) {
    t.push_back(
        {.id = "D07",
         .phases = "C",
         .name = "few steps per epoch",
         .signal = "steps per epoch below 32 although there are 256 pictures or more",
         .thresholds = {{"steps", 32, "steps per epoch"}, {"images", 256, "training pictures from which it counts"}},
         .severity = "WARN",
         .cause = "the batch is large for the data: few updates",
         .key = "batch",
         .fix = "a smaller batch (16 or 8), or more data",
         .report = "checklist",
         .example = {Kind::config, "data=synthetic train_images=512 batch=64 warmup_steps=200 dropout=0",
                     "data=synthetic train_images=512 batch=8 warmup_steps=200 dropout=0"},
         .judge = few_steps});
    t.push_back({.id = "D10",
                 .phases = "C",
                 .name = "much dropout for little data",
                 .signal = "p >= 0.5 with fewer than 5000 pictures, or p > 0.3 with fewer than 2000",
                 .thresholds = {{"high", 0.5, "p"},
                                {"high_images", 5000, "training pictures"},
                                {"middle", 0.3, "p"},
                                {"middle_images", 2000, "training pictures"}},
                 .severity = "WARN",
                 .cause = "the network falls back to the mean answer",
                 .key = "dropout",
                 .fix = "0.2 to 0.3, or none",
                 .report = "checklist",
                 .example = {Kind::config, "data=synthetic dropout=0.5 weight_decay=0",
                             "data=synthetic dropout=0.2 weight_decay=0"},
                 .judge = much_dropout});
    t.push_back(
        {.id = "D12",
         .phases = "C",
         .name = "much decay",
         .signal = "decay * rate * steps above 0.5, or dropout and decay together with fewer than 2000 pictures",
         .thresholds = {{"shrink", 0.5, "decay * rate * steps"}, {"images", 2000, "training pictures"}},
         .severity = "WARN",
         .cause = "regularisation outweighs the data",
         .key = "weight_decay, dropout",
         .fix = "a smaller weight_decay (1e-4), or one of the two",
         .report = "checklist",
         .example = {Kind::config, "data=synthetic train_images=1000 dropout=0.2 weight_decay=0.0005",
                     "data=synthetic train_images=1000 dropout=0.2 weight_decay=0"},
         .judge = much_decay});
    t.push_back(
        {.id = "D13",
         .phases = "C",
         .name = "no augmentation",
         .signal = "none is on and there are fewer than 10000 training pictures",
         .thresholds = {{"images", 10000, "training pictures"}},
         .severity = "WARN",
         .cause = "the network sees the same pictures again and again",
         .key = "fliplr, translate, scale, ..",
         .fix = "flips at least (fliplr=0.5)",
         .report = "checklist, detector",
         .example = {Kind::config, "data=synthetic fliplr=0 translate=0 scale=0 brightness=0 contrast=0 saturation=0",
                     "data=synthetic fliplr=0.5 translate=0 scale=0 brightness=0 contrast=0 saturation=0"},
         .judge = no_augmentation});
    t.push_back({.id = "D28",
                 .phases = "C",
                 .name = "class counts disagree",
                 .signal = "outputs of the head, classes of the data, labels and loaded weights do not fit each other",
                 .severity = "FAIL",
                 .cause = "a pretrained head was kept, or the configuration names another number",
                 .key = "classes, weights",
                 .fix = "a new head for these classes, the rest of the weights kept",
                 .report = "exits, smoke-test",
                 .example = {Kind::config, "model=resnet18 image=32 data=synthetic batch=16 classes=92",
                             "model=resnet18 image=32 data=synthetic batch=16 classes=0"},
                 .judge = class_counts});
    t.push_back({.id = "D73",
                 .phases = "CRL",
                 .name = "validated on training pictures",
                 .signal = "pictures that stand in both parts, by file or by content; FAIL above a tenth of validation",
                 .thresholds = {{"share", 0.1, "of the validation pictures"}},
                 .severity = "WARN/FAIL",
                 .cause = "val names the same folder as train, or a copy of it",
                 .key = "data, val_list, val_match",
                 .fix = "another split (val_list=, val_match=); `solobox data check` names the pictures",
                 .report = "field",
                 .example = {Kind::log, "epoch,metric\n1,0.1\n", "epoch,metric\n1,0.1\n",
                             "val_images=12 val_in_train=12|val_images=12 val_in_train=0"},
                 .judge = validates_training});
    t.push_back({.id = "D62",
                 .phases = "C",
                 .name = "little data for the model",
                 .signal = "training pictures * 10 below the square root of the parameters, or fewer than 100 a class",
                 .thresholds = {{"factor", 10, "times the pictures"}, {"each", 100, "pictures a class"}},
                 .severity = "INFO",
                 .cause = "a smoke test, not a training",
                 .key = "data",
                 .fix = "expect a smoke test only; more pictures, or pretrained weights",
                 .report = "smoke-test",
                 .example = {Kind::config, "data=synthetic train_images=50 dropout=0",
                             "data=synthetic train_images=1000 dropout=0"},
                 .judge = little_data});
}

}  // namespace solobox::doctor
