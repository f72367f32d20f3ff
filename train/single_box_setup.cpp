#include "train/single_box_setup.h"

#include "optim/schedule.h"

namespace solobox::inline SOLOBOX_PRECISION {

void apply_model_defaults(Config& config) {
    if (is_classifier(config)) {
        const std::pair<const char*, const char*> usual[] = {
            {"image", "224"}, {"brightness", "0"}, {"contrast", "0"}, {"saturation", "0"}};
        for (const auto& [key, value] : usual)
            if (config.is_default(key)) config.set(key, value, "model default");
        return;
    }
    if (config.text("model") != "toy") {
        if (!config.is_default("width_mult"))
            throw ConfigError("width_mult applies to model=toy only: tiny has fixed widths");
        return;
    }
    const std::pair<const char*, const char*> defaults[] = {{"image", "448"}, {"hidden", "4096"}, {"norm", "none"}};
    for (const auto& [key, value] : defaults)
        if (config.is_default(key)) config.set(key, value, "model default");
}

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
    model->set_head_bias(head_bias(bias, {mean_box.cx, mean_box.cy, mean_box.w, mean_box.h}, decode_spec(config)));
    return model;
}

std::unique_ptr<Optimizer> make_optimizer(const Config& config, const std::vector<NamedParameter>& params) {
    auto members = decay_weights_only(params, config.number("weight_decay"), {}, config.flag("decay_all"));
    const std::string& other = config.text("optimizer_override");
    const std::string& name = other == "none" ? config.text("optimizer") : other;
    if (name == "SGD")
        return std::make_unique<Sgd>(std::move(members),
                                     Sgd::Config{config.number("momentum"), 0, config.flag("nesterov")});
    if (config.flag("nesterov"))
        throw ConfigError(fmt::format("nesterov=true applies to optimizer=SGD only, not to {}", name));
    return std::make_unique<Adam>(
        std::move(members), Adam::Config{config.number("momentum"), config.number("beta2"), 1e-8, name == "AdamW"});
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

}  // namespace solobox::inline SOLOBOX_PRECISION
