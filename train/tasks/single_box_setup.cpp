// From configuration keys to a single-box model and its loss.
#include "data/baseline.h"
#include "nn/occupancy.h"
#include "train/config/faults.h"
#include "train/tasks/single_box.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

SingleBoxConfig model_config(const Config& config) {
    SingleBoxConfig c = config.text("model") == "toy" ? toy_config(config.number("width_mult")) : tiny_config();
    c.image = {config.integer("image"), config.integer("image")};
    c.hidden = config.integer("hidden");
    c.norm = norm_of(config.text("norm"));
    c.groups = config.integer("groups");
    c.dropout = config.number("dropout");
    c.recompute = config.integer("recompute") == 1;
    c.outputs = decode_spec(config).outputs();
    return c;
}

DecodeSpec decode_spec(const Config& config) {
    if (config.text("head") == "occupancy") {
        DecodeSpec map;
        map.decode = Decode::occupancy;
        map.cells = config.integer("occupancy_cells");
        return map;
    }
    return {decode_of(config.text("decode")), config.number("prior_w"), config.number("prior_h"),
            config.flag("clamp_before_loss")};
}

BoxLossSpec loss_spec(const Config& config) {
    BoxLossSpec s;
    const bool occupancy = config.text("head") == "occupancy";
    s.loss = occupancy ? BoxLoss::occupancy : box_loss_of(config.text("loss"));
    s.lambda_bce = config.number("lambda_bce");
    s.lambda_coord = config.number("lambda_coord");
    s.lambda_wh = config.number("lambda_wh");
    s.lambda_iou = config.number("lambda_iou");
    s.iou = iou_kind(config.text("iou_type"));
    s.detach_alpha = config.flag("detach_alpha");
    s.reduction = config.text("reduction") == "sum" ? Reduction::sum : Reduction::mean;
    s.unweighted = has_fault(config, "unweighted");
    if (!occupancy && (s.loss == BoxLoss::log_wh) != (config.text("decode") == "log_wh"))
        throw ConfigError(
            "decode=log_wh and loss=log_wh belong together: the loss compares raw outputs with logarithms of sides");
    return s;
}

std::unique_ptr<SingleBox> make_single_box(const Config& config, const std::vector<UnitBox>& boxes,
                                           std::int64_t classes) {
    const auto seed = static_cast<std::uint64_t>(config.integer("seed"));
    SingleBoxConfig shape = model_config(config);
    shape.classes = classes;
    auto model = std::make_unique<SingleBox>(shape, seed);
    if (config.text("head_init") == "normal") model->set_head_normal(1e-3, seed);
    // fault=cut: a detach() left over from an experiment with the head.
    if (has_fault(config, "cut")) model->between_trunk_and_head = [](const Var& x) { return x.detached(); };
    const DecodeSpec decode = decode_spec(config);
    if (decode.decode == Decode::occupancy) {
        model->set_head_bias(occupancy_prior(box_tensor(boxes, 0, boxes.size()), decode.cells));
        return model;
    }
    const std::string& preset = config.text("head_bias");
    const HeadBias bias = preset == "zero"    ? HeadBias::zero
                          : preset == "log"   ? HeadBias::log
                          : preset == "prior" ? HeadBias::prior
                                              : HeadBias::logit;
    const UnitBox mean = mean_box(boxes);
    const auto start = head_bias(bias, {mean.cx, mean.cy, mean.w, mean.h}, decode);
    model->set_head_bias({start.begin(), start.end()});
    return model;
}

Tensor box_tensor(const std::vector<UnitBox>& boxes, std::size_t first, std::size_t count) {
    Tensor t(Shape{static_cast<std::int64_t>(count), 4});
    for (std::size_t i = 0; i < count; ++i) {
        const UnitBox& b = boxes[first + i];
        const double box[4] = {b.cx, b.cy, b.w, b.h};
        for (std::size_t k = 0; k < 4; ++k) t.mutable_data()[4 * i + k] = static_cast<Real>(box[k]);
    }
    return t;
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
