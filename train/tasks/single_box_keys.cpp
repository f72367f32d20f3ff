// The keys of single boxes: tiny and toy.
#include <fmt/format.h>

#include "tensor/check.h"
#include "train/run/facts.h"
#include "train/tasks/keys.h"

namespace solobox {
namespace {

using namespace keys;

std::vector<ConfigKey> single_box_rows() {
    return {
        number("width_mult", 1, 0.001, 4, "toy: factor on every channel count").after("image"),
        integer("hidden", 256, 1, 65536, "features between the two linears"),
        choice("norm", {"group", "none", "batch"}, "normalisation after each convolution"),
        integer("groups", 8, 1, 4096, "groups of the group norm"),
        number("dropout", 0, 0, 0.99, "probability after the first linear").settled_by_overfit(),
        choice("head", {"regression", "occupancy"},
               "what the last linear puts out: the box's four numbers, or a map of what the box covers, whose moments "
               "are the box"),
        integer("occupancy_cells", 16, 4, 64, "cells along each side of the map").of_head("occupancy"),
        choice("decode", {"sigmoid", "identity", "sigmoid_softplus", "sigmoid_exp", "log_wh"},
               "how the raw output becomes a box")
            .of_head("regression"),
        choice("loss", {"box", "mse", "l1", "smooth_l1", "yolo_bbox", "log_wh", "iou", "giou", "diou", "ciou"},
               "box loss")
            .of_head("regression"),
        choice("iou_type", {"ciou", "diou", "giou", "iou"},
               "IoU in the terms 1 - IoU of box, yolo_bbox and the occupancy head (which takes giou unless told "
               "otherwise)"),
        number("lambda_bce", 1, 0, 1e6, "weight of the map's binary cross-entropy").of_head("occupancy"),
        number("lambda_coord", 5, 0, 1e6, "weight of the centre term").of_head("regression"),
        number("lambda_wh", 5, 0, 1e6, "weight of the size term").of_head("regression"),
        number("lambda_iou", 3, 0, 1e6, "weight of the IoU term"),
        flag("detach_alpha", true, "CIoU: alpha is a constant in backward"),
        choice("reduction", {"mean", "sum"}, "of the loss over the batch"),
        flag("clamp_before_loss", false,
             "fault of the checklist report: clamps boxes before the loss, which blocks gradients")
            .of_head("regression"),
        number("prior_w", 0.25, 1e-3, 0.999, "sigmoid_exp: width that a zero output decodes to").of_head("regression"),
        number("prior_h", 0.35, 1e-3, 0.999, "sigmoid_exp: height that a zero output decodes to").of_head("regression"),
        choice("head_bias", {"logit", "zero", "log", "prior"},
               "bias of the last linear: logit of 0.2, 0, ln 0.2, or the mean box")
            .of_head("regression"),
        number("class_weight", 0, 0, 1000,
               "weight of an auxiliary loss: a second linear names the object's class, in training only; 0: none")
            .in_train(),
        choice("head_init", {"default", "normal"}, "weight of the last linear: uniform, or N(0, 1e-3)"),
    };
}

void single_box_defaults(Config& config) {
    if (config.flag("clamp_before_loss") && config.at("clamp_before_loss").origin == "command line" &&
        config.text("head") == "regression" && config.text("decode") == "sigmoid")
        throw ConfigError(
            "clamp_before_loss=true would change nothing: decode=sigmoid puts out numbers between 0 and 1 only; the "
            "fault needs decode=identity");
    if (config.text("head") == "occupancy" && config.is_default("iou_type"))
        config.set("iou_type", "giou", "model default");
    if (config.text("model") != "toy") {
        if (!config.is_default("width_mult"))
            throw ConfigError("width_mult applies to model=toy only: tiny has fixed widths");
        return;
    }
    for (const auto& [key, value] : {std::pair{"image", "448"}, {"hidden", "4096"}, {"norm", "none"}})
        if (config.is_default(key)) config.set(key, value, "model default");
}

// Under BatchNorm a head that starts far from the boxes can lose a picture for good (one in five runs did).
void single_box_overfit_defaults(Config& config) {
    if (config.text("head") == "regression" && config.is_default("head_bias") && config.text("decode") != "identity")
        config.set("head_bias", "prior", "overfit");
}

void check_single_box_fault(const Config& c) {
    const std::string &fault = c.text("fault"), &loss = c.text("loss");
    const auto need = [&](bool fine, const char* what) {
        if (!fine)
            throw ConfigError(
                fmt::format("fault={} ({}) would change nothing: it needs {}", fault, c.at("fault").origin, what));
    };
    if (fault == "unweighted")
        need(loss == "box" || loss == "yolo_bbox" || loss == "log_wh", "a loss of several terms");
    if (fault == "degenerate_boxes") need(c.integer("batch") >= 5, "a box task and batch=5 or more");
}

void tell_single_box_settings(const Config& c, doctor::Facts& facts) {
    facts.set("dropout", c.number("dropout"));
    facts.set("aux_heads", 0.0);
    facts.set("multi_scale", c.text("multi_scale").empty() && c.number("mosaic") == 0 ? 0.0 : 1.0);
    facts.set("fixed_input", 0.0);                         // the linears are fed by adaptive pooling
    const bool occupancy = c.text("head") == "occupancy";  // it starts at the mean map, whatever head_bias says
    facts.set("head_bias", occupancy ? "prior" : c.text("head_bias"));
    facts.set("decode", occupancy ? "occupancy" : c.text("decode"));
    for (const char* key : {"lambda_bce", "lambda_coord", "lambda_wh", "lambda_iou"})
        if (config_key(key).head.empty() || config_key(key).head == c.text("head"))
            facts.set(std::string("gain.") + key, doctor::Series{c.number(key)});
}

}  // namespace

TaskKeys single_box_task_keys() {
    TaskKeys t;
    t.kind = "box", t.puts_out = "a box", t.asked = "box";
    t.models = {"tiny", "toy"};
    t.keys = single_box_rows;
    t.groups = {"geometry", "objects"};
    t.faults = {"degenerate_boxes"};
    t.model_defaults = single_box_defaults;
    t.training_defaults = {{"dropout", "0.2"}};
    t.overfit_fixed = {{"dropout", "0"}};
    t.overfit_defaults = single_box_overfit_defaults;
    t.check_fault = check_single_box_fault;
    t.tell = tell_single_box_settings;
    t.norm = [](const Config& c) { return c.text("norm"); };
    return t;
}

}  // namespace solobox
