// The keys that every task has; those of one kind of task stand with it (train/tasks). What each means stands beside
// it; what is done with them is in config.cpp.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "tensor/check.h"
#include "train/config/keys.h"

namespace solobox {
namespace {

using namespace keys;

std::vector<std::string> models() {
    std::vector<std::string> names;
    for (const TaskKeys& t : task_keys()) names.insert(names.end(), t.models.begin(), t.models.end());
    return names;
}

std::vector<std::string> faults() {
    std::vector<std::string> names{"none", "cut", "unweighted"};
    for (const TaskKeys& t : task_keys()) names.insert(names.end(), t.faults.begin(), t.faults.end());
    for (const char* name : {"second_writer", "flat_groups", "frozen_trains", "forgotten", "stale_schedule",
                             "burst_schedule", "ema_parameters_only", "ema_tail", "batch_metric"})
        names.emplace_back(name);
    return names;
}

std::vector<ConfigKey> common_keys() {
    return {
        text("data", "", "data set: a directory or data.yaml, or `synthetic` for shapes made in memory", {"data_root"})
            .in_train()
            .decides_outcome(),
        choice("format", {"detect", "voc", "yolo", "coco", "mot", "labelme", "masks", "tiny-imagenet", "folder"},
               "of the data set")
            .in_train(),
        choice("model", models(),
               "network: tiny (five conv blocks) or toy (the 24 convolutions of YOLOv1) put out one box, a resnet "
               "classes"),
        integer("image", 128, 8, 2048, "side of the square picture in pixels", {"imgsz", "img_size"}),
        choice("optimizer", {"AdamW", "Adam", "SGD"}, "optimizer"),
        number("lr0", 1e-3, 0, 100, "learning rate after warmup", {"lr"}),
        number("lrf", 0.01, 0, 1, "final learning rate as a share of lr0"),
        number("momentum", 0.9, 0, 0.9999, "SGD momentum; beta1 of Adam"),
        number("beta2", 0.999, 0, 0.99999, "beta2 of Adam"),
        flag("nesterov", false, "SGD: Nesterov momentum"),
        number("weight_decay", 5e-4, 0, 10, "decay of weights; biases, norms and tokens never decay")
            .settled_by_overfit(),
        flag("decay_all", false, "fault of the checklist report: weight decay on biases and norms too"),
        choice("optimizer_override", {"none", "SGD", "Adam", "AdamW"},
               "fault of the checklist report: builds this optimizer, whatever `optimizer` says"),
        integer("warmup_steps", 20, 0, 1'000'000, "steps of linear warmup").settled_by_overfit(),
        number("warmup_epochs", 0, 0, 10'000, "the same in epochs; instead of warmup_steps").in_train(),
        choice("freeze", {"none", "backbone"},
               "parameters that do not train: the backbone is everything in front of the head (fc and auxiliary heads; "
               "fc.* of tiny and toy)")
            .in_train(),
        integer("unfreeze_epoch", 0, 0, 1'000'000,
                "epoch (from 1) at whose start the frozen part begins to train; 0: never")
            .in_train(),
        number("backbone_lr", 1, 0, 100, "factor on the learning rate of the backbone").in_train(),
        number("unfreeze_lr", 1, 0, 1000, "factor on all learning rates from unfreeze_epoch on").in_train(),
        choice("schedule",
               {"cosine", "constant", "linear", "step", "multistep", "exponential", "onecycle", "plateau", "staircase"},
               "learning rate after warmup; staircase is the rigid one of the checklist report, deaf to lr0 and epochs")
            .settled_by_overfit(),
        flag("cos_lr", true, "true: schedule=cosine, false: schedule=linear").in_train(),
        integer("step_size", 30, 1, 1'000'000, "step: epochs from one drop to the next").in_train(),
        text("milestones", "", "multistep: epochs of the drops, as 30,60,90").in_train(),
        number("gamma", 0.1, 1e-6, 1, "step, multistep, exponential: factor of a drop (exponential: of an epoch)")
            .in_train(),
        number("plateau_factor", 0.5, 1e-6, 0.9999, "plateau: factor of a drop").in_train(),
        integer("plateau_patience", 4, 0, 1'000'000, "plateau: validations without a lower loss before a drop")
            .in_train(),
        number("min_lr", 1e-6, 0, 100, "plateau: never below").in_train(),
        number("pct_start", 0.3, 0, 1, "onecycle: share of the run in which the rate rises to lr0").in_train(),
        number("div_factor", 25, 1, 1e9, "onecycle: starts at lr0 / div_factor").in_train(),
        number("final_div_factor", 1e4, 1, 1e12, "onecycle: ends at its start / final_div_factor").in_train(),
        flag("cycle_momentum", true, "onecycle: momentum falls while the rate rises, and the other way round")
            .in_train(),
        number("base_momentum", 0.85, 0, 0.9999, "onecycle: momentum at the highest rate").in_train(),
        number("max_momentum", 0.95, 0, 0.9999, "onecycle: momentum at the lowest rate").in_train(),
        number("clip", 5, 0, 1e9, "largest gradient norm; 0 is off"),
        integer("epochs", 60, 1, 1'000'000, "passes over the training pictures", {"max_epochs"})
            .in_train()
            .decides_outcome(),
        integer("schedule_epochs", 0, 0, 1'000'000,
                "length of the schedule where it differs from `epochs`; 0: the same")
            .in_train(),
        integer("batch", 8, 1, 65536, "pictures per step", {"batch_size"}).settled_by_overfit(),
        integer("accumulate", 1, 1, 4096, "parts that a batch is computed in, one after the other: less memory")
            .in_train()
            .settled_by_overfit(),
        number("ema_decay", 0.999, 0, 0.999999, "moving average of the weights, used for validation; 0 is off")
            .in_train(),
        number("ema_tau", 100, 0, 1e9, "steps in which ema_decay is reached: decay (1 - exp(-step / tau)); 0: at once")
            .in_train(),
        choice(
            "val_weights", {"ema", "raw"},
            "weights that validation, best.safetensors' score and the final pictures use: the average or the raw ones")
            .in_train(),
        integer("patience", 15, 0, 1'000'000, "validations without a better score before training stops; 0 is off")
            .in_train()
            .decides_outcome(),
        number("min_delta", 0, 0, 1, "gain in the score (IoU, top-1) that counts as better").in_train(),
        number("val_every", 1, 0.0001, 1'000'000,
               "epochs from one validation to the next; below 1: within an epoch, after every so large a part of its "
               "batches")
            .in_train(),
        flag("val_first", false, "validate once before the first step").in_train(),
        flag("drop_last", false,
             "leave out an epoch's last batch when it is smaller than `batch`, unless it is the only one")
            .in_train(),
        integer("train_images", 0, 0, 1 << 24,
                "so many training pictures, evenly spread over the set (synthetic: so many are made); 0: all, "
                "synthetic 2000")
            .in_train(),
        integer("val_images", 0, 0, 1 << 20, "the same for validation; synthetic 400").in_train(),
        number("val_fraction", 0.2, 0, 0.9, "of a data set without a split: the last ones in byte order of path")
            .in_train(),
        text("train_list", "", "text file of the names of the pictures to train on, instead of the set's own split")
            .in_train()
            .decides_outcome(),
        text("val_list", "", "the same for validation; with one list the rest is the other part")
            .in_train()
            .decides_outcome(),
        text("val_match", "",
             "regular expression (ECMAScript): pictures in whose path below the set it is found are for validation")
            .in_train()
            .decides_outcome(),
        text("multi_scale", "", "sides of the picture, one drawn for every batch, as 96,112,128; empty: `image`")
            .in_train()
            .of_group("geometry"),
        number("fliplr", 0.5, 0, 1, "probability of a mirrored picture").in_train(),
        number("translate", 0.05, 0, 0.9, "largest shift, as a share of the side").in_train().of_group("geometry"),
        number("scale", 0.1, 0, 0.9, "crops as small as 1 - scale of the side").in_train().of_group("geometry"),
        number("degrees", 0, 0, 180, "largest rotation").in_train().of_group("geometry"),
        number("min_visible", 0.5, 0, 1, "share of the box that a crop must keep, else it is rejected")
            .in_train()
            .of_group("geometry"),
        number("brightness", 0.2, 0, 1, "factors 1 - x to 1 + x").in_train(),
        number("contrast", 0.2, 0, 1, "factors 1 - x to 1 + x").in_train(),
        number("saturation", 0.2, 0, 1, "factors 1 - x to 1 + x").in_train(),
        number("hsv_h", 0, 0, 0.5, "largest turn of the hue, as a share of the circle").in_train(),
        number("hsv_s", 0, 0, 1, "gain of the saturation 1 - x to 1 + x, in HSV").in_train(),
        number("hsv_v", 0, 0, 1, "gain of the value 1 - x to 1 + x, in HSV").in_train(),
        number("mosaic", 0, 0, 1, "probability of four pictures in one; the largest box left is the target")
            .in_train()
            .of_group("geometry"),
        number("mixup", 0, 0, 1, "probability of a second picture shining through; the first one's box is the target")
            .in_train()
            .of_group("geometry"),
        integer("workers", 1, 0, 256, "threads that prepare pictures ahead of the step; 0: the step waits for them",
                {"num_workers"})
            .in_train()
            .decides_nothing(),
        integer("cache_mb", 2048, 0, 1'000'000, "memory for decoded pictures; what does not fit is decoded every epoch")
            .in_train()
            .decides_nothing(),
        text("weights", "", "safetensors to start from instead of fresh weights").in_train().decides_outcome(),
        text("project", "runs/train", "directory of the runs").in_train().decides_nothing(),
        text("name", "", "of the run; empty: that of the data set").in_train().decides_nothing(),
        flag("exist_ok", false, "an existing run may be written over").in_train().decides_nothing(),
        flag("skip_bad", false, "leave out pictures and labels that cannot be used, and count them")
            .in_train()
            .decides_outcome(),
        integer("seed", 0, 0, 9.0e15, "of every random number"),
        choice("conv", {"fast", "direct"}, "3x3 convolutions: through Winograd where that is faster, or never"),
        integer("recompute", 0, 0, 1,
                "1: maps in front of a pool are computed anew in backward: less memory, more time")
            .decides_outcome(),
        flag("check_finite", false, "look for NaN and infinity in every op's output, not only in loss and gradients")
            .decides_nothing(),
        flag("trace", false, "record every tensor's fingerprint at every step, for `solobox diff`").decides_nothing(),
        choice("fault", faults(), "a bug planted on purpose, for lessons and tests: the doctor finds it by measuring"),
        choice("box", {"largest", "first", "error"}, "which object counts when a picture has several")
            .of_group("objects"),
        flag("antialias", true, "resize with antialiasing (as PIL) instead of plain bilinear"),
        text("reference", "",
             "for the doctor: a run known to be good, by name (collapse-report), as batch=8,lr0=0.00025,image=384, or "
             "its directory")
            .in_train()
            .decides_nothing(),
        text("thresholds", "", "of the doctor's rules, as D36.norm=5000,D52=off").decides_nothing(),
        choice("exif_boxes", {"detect", "stored", "upright"},
               "frame of the labels of pictures with an EXIF orientation; detect: an error where nothing tells")
            .of_group("objects"),
        choice("yolo_rows", {"detect", "polygons", "keypoints"},
               "what YOLO rows of more than five numbers are; detect: an error where nothing tells")
            .of_group("objects"),
        integer("class_base", 0, 0, 1, "number of the first class in YOLO labels").of_group("objects"),
    };
}

std::vector<ConfigKey>& schema() {
    static std::vector<ConfigKey> all;
    return all;
}

}  // namespace

const std::vector<ConfigKey>& config_schema() {
    static std::size_t kinds = 0;
    std::vector<ConfigKey>& all = schema();
    if (kinds == task_keys().size()) return all;
    all = common_keys();
    for (const TaskKeys& t : task_keys())
        for (auto place = all.end(); ConfigKey k : t.keys()) {
            k.task = t.kind;
            if (!k.place.empty())
                place = std::find_if(all.begin(), all.end(), [&](const auto& other) { return other.name == k.place; });
            place = all.insert(place == all.end() ? place : place + 1, std::move(k));
        }
    std::set<std::string> names;
    for (const ConfigKey& k : all)
        if (!names.insert(k.name).second)
            throw Error(fmt::format("configuration key '{}' is defined twice: give the one of {} another name", k.name,
                                    k.task.empty() ? "the tool" : k.task));
    kinds = task_keys().size();
    return all;
}

}  // namespace solobox
