#include "train/single_box_setup.h"

#include "train/faults.h"

namespace solobox::inline SOLOBOX_PRECISION {

SingleBoxConfig model_config(const Config& config) {
    SingleBoxConfig c = config.text("model") == "toy" ? toy_config(config.number("width_mult")) : tiny_config();
    c.image = config.integer("image");
    c.hidden = config.integer("hidden");
    c.norm = norm_of(config.text("norm"));
    c.groups = config.integer("groups");
    c.dropout = config.number("dropout");
    c.recompute = config.integer("recompute") == 1;
    return c;
}

DecodeSpec decode_spec(const Config& config) {
    return {decode_of(config.text("decode")), config.number("prior_w"), config.number("prior_h"),
            config.flag("clamp_before_loss")};
}

BoxLossSpec loss_spec(const Config& config) {
    BoxLossSpec s;
    s.loss = box_loss_of(config.text("loss"));
    s.lambda_coord = config.number("lambda_coord");
    s.lambda_wh = config.number("lambda_wh");
    s.lambda_iou = config.number("lambda_iou");
    s.iou = iou_kind(config.text("iou_type"));
    s.detach_alpha = config.flag("detach_alpha");
    s.reduction = config.text("reduction") == "sum" ? Reduction::sum : Reduction::mean;
    s.unweighted = has_fault(config, "unweighted");
    if ((s.loss == BoxLoss::log_wh) != (config.text("decode") == "log_wh"))
        throw ConfigError(
            "decode=log_wh and loss=log_wh belong together: the loss compares raw outputs with logarithms of sides");
    return s;
}

std::unique_ptr<SingleBox> make_single_box(const Config& config, const UnitBox& mean_box) {
    const auto seed = static_cast<std::uint64_t>(config.integer("seed"));
    auto model = std::make_unique<SingleBox>(model_config(config), seed);
    if (config.text("head_init") == "normal") model->set_head_normal(1e-3, seed);
    const std::string& preset = config.text("head_bias");
    const HeadBias bias = preset == "zero"    ? HeadBias::zero
                          : preset == "log"   ? HeadBias::log
                          : preset == "prior" ? HeadBias::prior
                                              : HeadBias::logit;
    // fault=cut: a detach() left over from an experiment with the head.
    if (has_fault(config, "cut")) model->between_trunk_and_head = [](const Var& x) { return x.detached(); };
    model->set_head_bias(head_bias(bias, {mean_box.cx, mean_box.cy, mean_box.w, mean_box.h}, decode_spec(config)));
    return model;
}

}  // namespace solobox::inline SOLOBOX_PRECISION
