// The keys themselves. What each means stands beside it; what is done with them is in config.cpp.
#include <fmt/format.h>

#include <set>

#include "train/config/config.h"

namespace solobox {
namespace {

using Keys = std::vector<ConfigKey>;

ConfigKey integer(std::string name, std::int64_t value, double min, double max, std::string meaning,
                  std::vector<std::string> aliases = {}) {
    return {std::move(name),   std::move(aliases), KeyType::integer, std::to_string(value), min, max, {},
            std::move(meaning)};
}
ConfigKey number(std::string name, double value, double min, double max, std::string meaning,
                 std::vector<std::string> aliases = {}) {
    return {std::move(name),   std::move(aliases), KeyType::number, fmt::format("{}", value), min, max, {},
            std::move(meaning)};
}
ConfigKey flag(std::string name, bool value, std::string meaning) {
    return {std::move(name), {}, KeyType::flag, value ? "true" : "false", 0, 0, {}, std::move(meaning)};
}
ConfigKey text(std::string name, std::string value, std::string meaning, std::vector<std::string> aliases = {}) {
    return {std::move(name), std::move(aliases), KeyType::text, std::move(value), 0, 0, {}, std::move(meaning)};
}
ConfigKey choice(std::string name, std::vector<std::string> choices, std::string meaning) {
    const std::string first = choices.front();
    return {std::move(name), {}, KeyType::choice, first, 0, 0, std::move(choices), std::move(meaning)};
}

Keys make_schema() {
    return {
        text("data", "", "data set: a directory or data.yaml, or `synthetic` for shapes made in memory", {"data_root"}),
        choice("format", {"detect", "voc", "yolo", "coco", "tiny-imagenet", "folder"}, "of the data set"),
        choice("model", {"tiny", "toy", "resnet18", "resnet34", "resnet50"},
               "network: tiny (five conv blocks) or toy (the 24 convolutions of YOLOv1) put out one box, a resnet "
               "classes"),
        integer("classes", 0, 0, 1 << 20, "of a classifier; 0: those of the data set, another number must be theirs",
                {"num_classes", "nc"}),
        choice("stem", {"imagenet", "cifar"}, "resnet: 7x7 stride 2 and a pool, or 3x3 stride 1 for small pictures"),
        flag("zero_init_residual", false, "resnet: every block starts as its shortcut"),
        integer("aux_heads", 0, 0, 2,
                "resnet: heads that classify earlier stages too: 1 behind layer3, 2 behind layer2 and layer3 (deep "
                "supervision)"),
        number("aux_weight", 0.4, 0, 10, "weight of each auxiliary head's loss"),
        number("label_smoothing", 0, 0, 0.999, "cross-entropy: share of the target spread over all classes"),
        integer("image", 128, 8, 2048, "side of the square picture in pixels", {"imgsz", "img_size"}),
        number("width_mult", 1, 0.001, 4, "toy: factor on every channel count"),
        integer("hidden", 256, 1, 65536, "features between the two linears"),
        choice("norm", {"group", "none", "batch"}, "normalisation after each convolution"),
        integer("groups", 8, 1, 4096, "groups of the group norm"),
        number("dropout", 0, 0, 0.99, "probability after the first linear"),
        choice("head", {"regression", "occupancy"},
               "what the last linear puts out: the box's four numbers, or a map of what the box covers, whose moments "
               "are the box"),
        integer("occupancy_cells", 16, 4, 64, "cells along each side of the map"),
        choice("decode", {"sigmoid", "identity", "sigmoid_softplus", "sigmoid_exp", "log_wh"},
               "how the raw output becomes a box"),
        choice("loss", {"box", "mse", "l1", "smooth_l1", "yolo_bbox", "log_wh", "iou", "giou", "diou", "ciou"},
               "box loss"),
        choice("iou_type", {"ciou", "diou", "giou", "iou"},
               "IoU in the terms 1 - IoU of box, yolo_bbox and the occupancy head (which takes giou unless told "
               "otherwise)"),
        number("lambda_bce", 1, 0, 1e6, "weight of the map's binary cross-entropy"),
        number("lambda_coord", 5, 0, 1e6, "weight of the centre term"),
        number("lambda_wh", 5, 0, 1e6, "weight of the size term"),
        number("lambda_iou", 3, 0, 1e6, "weight of the IoU term"),
        flag("detach_alpha", true, "CIoU: alpha is a constant in backward"),
        choice("reduction", {"mean", "sum"}, "of the loss over the batch"),
        flag("clamp_before_loss", false, "fault of seed 002: clamps boxes before the loss, which blocks gradients"),
        number("prior_w", 0.25, 1e-3, 0.999, "sigmoid_exp: width that a zero output decodes to"),
        number("prior_h", 0.35, 1e-3, 0.999, "sigmoid_exp: height that a zero output decodes to"),
        choice("head_bias", {"logit", "zero", "log", "prior"},
               "bias of the last linear: logit of 0.2, 0, ln 0.2, or the mean box"),
        number("class_weight", 0, 0, 1000,
               "weight of an auxiliary loss: a second linear names the object's class, in training only; 0: none"),
        choice("head_init", {"default", "normal"}, "weight of the last linear: uniform, or N(0, 1e-3)"),
        choice("optimizer", {"AdamW", "Adam", "SGD"}, "optimizer"),
        number("lr0", 1e-3, 0, 100, "learning rate after warmup", {"lr"}),
        number("lrf", 0.01, 0, 1, "final learning rate as a share of lr0"),
        number("momentum", 0.9, 0, 0.9999, "SGD momentum; beta1 of Adam"),
        number("beta2", 0.999, 0, 0.99999, "beta2 of Adam"),
        flag("nesterov", false, "SGD: Nesterov momentum"),
        number("weight_decay", 5e-4, 0, 10, "decay of weights; biases, norms and tokens never decay"),
        flag("decay_all", false, "fault of seed 002: weight decay on biases and norms too"),
        choice("optimizer_override", {"none", "SGD", "Adam", "AdamW"},
               "fault of seed 002: builds this optimizer, whatever `optimizer` says"),
        integer("warmup_steps", 20, 0, 1'000'000, "steps of linear warmup"),
        number("warmup_epochs", 0, 0, 10'000, "the same in epochs; instead of warmup_steps"),
        choice("freeze", {"none", "backbone"},
               "parameters that do not train: the backbone is everything in front of the head (fc and auxiliary heads; "
               "fc.* of tiny and toy)"),
        integer("unfreeze_epoch", 0, 0, 1'000'000,
                "epoch (from 1) at whose start the frozen part begins to train; 0: never"),
        number("backbone_lr", 1, 0, 100, "factor on the learning rate of the backbone"),
        number("unfreeze_lr", 1, 0, 1000, "factor on all learning rates from unfreeze_epoch on"),
        choice("schedule",
               {"cosine", "constant", "linear", "step", "multistep", "exponential", "onecycle", "plateau", "staircase"},
               "learning rate after warmup; staircase is the rigid one of seed 002, deaf to lr0 and epochs"),
        flag("cos_lr", true, "true: schedule=cosine, false: schedule=linear"),
        integer("step_size", 30, 1, 1'000'000, "step: epochs from one drop to the next"),
        text("milestones", "", "multistep: epochs of the drops, as 30,60,90"),
        number("gamma", 0.1, 1e-6, 1, "step, multistep, exponential: factor of a drop (exponential: of an epoch)"),
        number("plateau_factor", 0.5, 1e-6, 0.9999, "plateau: factor of a drop"),
        integer("plateau_patience", 4, 0, 1'000'000, "plateau: validations without a lower loss before a drop"),
        number("min_lr", 1e-6, 0, 100, "plateau: never below"),
        number("pct_start", 0.3, 0, 1, "onecycle: share of the run in which the rate rises to lr0"),
        number("div_factor", 25, 1, 1e9, "onecycle: starts at lr0 / div_factor"),
        number("final_div_factor", 1e4, 1, 1e12, "onecycle: ends at its start / final_div_factor"),
        flag("cycle_momentum", true, "onecycle: momentum falls while the rate rises, and the other way round"),
        number("base_momentum", 0.85, 0, 0.9999, "onecycle: momentum at the highest rate"),
        number("max_momentum", 0.95, 0, 0.9999, "onecycle: momentum at the lowest rate"),
        number("clip", 5, 0, 1e9, "largest gradient norm; 0 is off"),
        integer("epochs", 60, 1, 1'000'000, "passes over the training pictures", {"max_epochs"}),
        integer("schedule_epochs", 0, 0, 1'000'000,
                "length of the schedule where it differs from `epochs`; 0: the same"),
        integer("batch", 8, 1, 65536, "pictures per step", {"batch_size"}),
        integer("accumulate", 1, 1, 4096, "parts that a batch is computed in, one after the other: less memory"),
        number("ema_decay", 0.999, 0, 0.999999, "moving average of the weights, used for validation; 0 is off"),
        number("ema_tau", 100, 0, 1e9, "steps in which ema_decay is reached: decay (1 - exp(-step / tau)); 0: at once"),
        choice("val_weights", {"ema", "raw"},
               "weights that validation, best.safetensors' score and the final pictures use: the average or the raw "
               "ones"),
        integer("patience", 15, 0, 1'000'000, "validations without a better score before training stops; 0 is off"),
        number("min_delta", 0, 0, 1, "gain in the score (IoU, top-1) that counts as better"),
        number("val_every", 1, 0.0001, 1'000'000,
               "epochs from one validation to the next; below 1: within an epoch, after every so large a part of its "
               "batches"),
        flag("val_first", false, "validate once before the first step"),
        flag("legacy_names", false,
             "also write seed 004's own files: logs/csv_logs/version_N/metrics.csv, "
             "checkpoints/NAME-epoch=00-val/acc1=..ckpt"),
        flag("drop_last", false,
             "leave out an epoch's last batch when it is smaller than `batch`, unless it is the only one"),
        integer("train_images", 0, 0, 1 << 24,
                "so many training pictures, evenly spread over the set (synthetic: so many are made); 0: all, "
                "synthetic 2000"),
        integer("val_images", 0, 0, 1 << 20, "the same for validation; synthetic 400"),
        number("val_fraction", 0.2, 0, 0.9, "of a data set without a split: the last ones in byte order of path"),
        text("multi_scale", "", "sides of the picture, one drawn for every batch, as 96,112,128; empty: `image`"),
        number("fliplr", 0.5, 0, 1, "probability of a mirrored picture"),
        flag("random_crop", true, "crops of random area and aspect, resized; false: the centre, as in validation"),
        number("crop_min", 0.08, 0.0001, 1, "random_crop: smallest share of the picture's area"),
        text("mean", "0.485,0.456,0.406", "of red, green, blue in 0..1, subtracted from the pictures"),
        text("std", "0.229,0.224,0.225", "of red, green, blue, divided by"),
        number("translate", 0.05, 0, 0.9, "largest shift, as a share of the side"),
        number("scale", 0.1, 0, 0.9, "crops as small as 1 - scale of the side"),
        number("degrees", 0, 0, 180, "largest rotation"),
        number("min_visible", 0.5, 0, 1, "share of the box that a crop must keep, else it is rejected"),
        number("brightness", 0.2, 0, 1, "factors 1 - x to 1 + x"),
        number("contrast", 0.2, 0, 1, "factors 1 - x to 1 + x"),
        number("saturation", 0.2, 0, 1, "factors 1 - x to 1 + x"),
        number("hsv_h", 0, 0, 0.5, "largest turn of the hue, as a share of the circle"),
        number("hsv_s", 0, 0, 1, "gain of the saturation 1 - x to 1 + x, in HSV"),
        number("hsv_v", 0, 0, 1, "gain of the value 1 - x to 1 + x, in HSV"),
        number("mosaic", 0, 0, 1, "probability of four pictures in one; the largest box left is the target"),
        number("mixup", 0, 0, 1, "probability of a second picture shining through; the first one's box is the target"),
        integer("workers", 1, 0, 256, "threads that prepare pictures ahead of the step; 0: the step waits for them",
                {"num_workers"}),
        integer("cache_mb", 2048, 0, 1'000'000,
                "memory for decoded pictures; what does not fit is decoded every epoch"),
        text("weights", "", "safetensors to start from instead of fresh weights"),
        text("project", "runs/train", "directory of the runs"),
        text("name", "", "of the run; empty: that of the data set"),
        flag("exist_ok", false, "an existing run may be written over"),
        flag("skip_bad", false, "leave out pictures and labels that cannot be used, and count them"),
        integer("seed", 0, 0, 9.0e15, "of every random number"),
        choice("conv", {"fast", "direct"}, "3x3 convolutions: through Winograd where that is faster, or never"),
        integer("recompute", 0, 0, 1,
                "1: maps in front of a pool are computed anew in backward: less memory, more time"),
        flag("check_finite", false, "look for NaN and infinity in every op's output, not only in loss and gradients"),
        flag("trace", false, "record every tensor's fingerprint at every step, for `solobox diff`"),
        choice("fault",
               {"none", "cut", "unweighted", "aux_silent", "aux_detached", "aux_shifted", "second_writer",
                "flat_groups", "frozen_trains", "forgotten", "stale_schedule", "burst_schedule", "ema_parameters_only",
                "ema_tail", "batch_metric", "degenerate_boxes"},
               "a bug planted on purpose, for lessons and tests: the doctor finds it by measuring"),
        choice("box", {"largest", "first", "error"}, "which object counts when a picture has several"),
        flag("antialias", true, "resize with antialiasing (as PIL) instead of plain bilinear"),
        text("reference", "",
             "for the doctor: a run known to be good, by name (seed003), as batch=8,lr0=0.00025,image=384, or its "
             "directory"),
        text("thresholds", "", "of the doctor's rules, as D36.norm=5000,D52=off"),
        choice("exif_boxes", {"stored", "upright"}, "frame of the labels of pictures with an EXIF orientation"),
    };
}

}  // namespace

const std::vector<ConfigKey>& config_schema() {
    static const Keys schema = [] {
        Keys keys = make_schema();
        static const std::set<std::string> everywhere{"model",
                                                      "classes",
                                                      "stem",
                                                      "zero_init_residual",
                                                      "aux_heads",
                                                      "aux_weight",
                                                      "label_smoothing",
                                                      "mean",
                                                      "std",
                                                      "image",
                                                      "width_mult",
                                                      "hidden",
                                                      "norm",
                                                      "groups",
                                                      "dropout",
                                                      "head",
                                                      "occupancy_cells",
                                                      "lambda_bce",
                                                      "decode",
                                                      "loss",
                                                      "iou_type",
                                                      "lambda_coord",
                                                      "lambda_wh",
                                                      "lambda_iou",
                                                      "detach_alpha",
                                                      "reduction",
                                                      "clamp_before_loss",
                                                      "prior_w",
                                                      "prior_h",
                                                      "head_bias",
                                                      "head_init",
                                                      "optimizer",
                                                      "lr0",
                                                      "lrf",
                                                      "momentum",
                                                      "beta2",
                                                      "nesterov",
                                                      "weight_decay",
                                                      "decay_all",
                                                      "optimizer_override",
                                                      "warmup_steps",
                                                      "schedule",
                                                      "clip",
                                                      "batch",
                                                      "seed",
                                                      "conv",
                                                      "recompute",
                                                      "check_finite",
                                                      "trace",
                                                      "fault",
                                                      "box",
                                                      "antialias",
                                                      "exif_boxes",
                                                      "thresholds"};
        static const std::set<std::string> boxes{
            "head",         "class_weight", "occupancy_cells", "lambda_bce",   "width_mult", "hidden",
            "norm",         "groups",       "dropout",         "decode",       "loss",       "iou_type",
            "lambda_coord", "lambda_wh",    "lambda_iou",      "detach_alpha", "reduction",  "prior_w",
            "prior_h",      "head_bias",    "head_init",       "multi_scale",  "translate",  "scale",
            "degrees",      "min_visible",  "mosaic",          "mixup",        "box",        "clamp_before_loss",
            "exif_boxes"},
            classes{"classes",         "stem",        "zero_init_residual", "aux_heads", "aux_weight",
                    "label_smoothing", "random_crop", "crop_min",           "mean",      "std",
                    "legacy_names"};
        static const std::set<std::string> regression{"decode",  "loss",    "lambda_coord", "lambda_wh",
                                                      "prior_w", "prior_h", "head_bias",    "clamp_before_loss"},
            occupancy{"occupancy_cells", "lambda_bce"};
        for (ConfigKey& k : keys) {
            k.training_only = !everywhere.contains(k.name);
            k.task = boxes.contains(k.name) ? "box" : classes.contains(k.name) ? "classes" : "";
            k.head = regression.contains(k.name) ? "regression" : occupancy.contains(k.name) ? "occupancy" : "";
        }
        return keys;
    }();
    return schema;
}

}  // namespace solobox
