// Golden groups `layers`, `losses` and `boxes`.
#include "nn/boxes.h"
#include "nn/losses.h"
#include "tests/reference/golden_case.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

// [C, H, W] as a batch of one.
Var batched(const Var& x) { return x.rank() == 3 ? reshape(x, x.shape().inserted(0, 1).dims()) : x; }
Var unbatched(const Var& y, const Var& like) { return like.rank() == 3 ? reshape(y, y.shape().without(0).dims()) : y; }

template <class F>
void on_maps(Case& c, F f) {
    const Var x = c.input(0);
    c.output(0, unbatched(channels_first(f(channels_last(batched(x)))), x));
}

ConvSpec conv_spec(const Case& c) {
    return {c.args.pair("stride"), c.args.pair("padding"), c.args.pair("dilation"), c.args.integer("groups")};
}

void batch_norm_case(Case& c) {
    BatchNormSpec spec;
    spec.training = c.args.flag("training");
    spec.eps = c.args.number("eps");
    spec.momentum = c.args.has("momentum") ? c.args.number("momentum") : -1;
    c.args.ignore({"affine"});  // says that weight and bias are there
    RunningStats stats;
    const bool tracked = c.args.flag("track_running_stats");
    if (tracked) {
        stats.mean = c.floats("buffer.running_mean").clone();
        stats.var = c.floats("buffer.running_var").clone();
        if (c.has("buffer.num_batches_tracked")) stats.batches = c.index("buffer.num_batches_tracked").item();
    }
    for (int i = 0; i < c.inputs(); ++i)
        c.output(
            i, channels_first(batch_norm(channels_last(c.input(i)), stats, c.param("weight"), c.param("bias"), spec)));
    if (!c.has("buffer_after.running_mean")) return;
    c.expect("buffer_after.running_mean", stats.mean);
    c.expect("buffer_after.running_var", stats.var);
    if (c.has("buffer_after.num_batches_tracked"))
        c.expect_number("buffer_after.num_batches_tracked", static_cast<double>(stats.batches));
}

void max_pool_case(Case& c) {
    const PoolSpec spec{c.args.pair("kernel_size"), c.args.pair("stride"), c.args.pair("padding"),
                        c.args.pair("dilation"), c.args.flag("ceil_mode")};
    on_maps(c, [&](const Var& x) { return max_pool2d(x, spec); });
}

void avg_pool_case(Case& c) {
    AvgPoolSpec spec{c.args.pair("kernel_size"),       c.args.pair("stride"),
                     c.args.pair("padding"),           c.args.flag("ceil_mode"),
                     c.args.flag("count_include_pad"), 0};
    if (c.args.has("divisor_override")) spec.divisor_override = c.args.integer("divisor_override");
    on_maps(c, [&](const Var& x) { return avg_pool2d(x, spec); });
}

Reduction reduction(const Case& c) {
    const std::string name = c.args.text("reduction");
    if (name == "mean") return Reduction::mean;
    if (name == "sum") return Reduction::sum;
    if (name == "none") return Reduction::none;
    throw Unsupported("reduction " + name);
}

CrossEntropySpec cross_entropy_spec(Case& c) {
    CrossEntropySpec spec;
    if (c.has("buffer.weight")) spec.weight = c.floats("buffer.weight");
    if (c.args.has("ignore_index")) spec.ignore_index = c.args.integer("ignore_index");
    if (c.args.has("label_smoothing")) spec.label_smoothing = c.args.number("label_smoothing");
    spec.reduction = reduction(c);
    return spec;
}

void iou_loss(Case& c, IouKind kind) {
    IouSpec spec;
    const double eps = c.args.number("eps");
    if (kind == IouKind::ciou)
        spec.alpha_eps = eps;  // torchvision: the iou and the diagonal inside keep 1e-7
    else
        spec.eps = eps;
    c.output(0, reduced(1.0 - iou_of_kind(kind, c.input(0), c.input(1), spec), reduction(c)));
}

BoxFormat box_format(const std::string& name) {
    if (name == "xyxy") return BoxFormat::xyxy;
    if (name == "xywh") return BoxFormat::xywh;
    if (name == "cxcywh") return BoxFormat::cxcywh;
    throw Unsupported("box format " + name);
}

void assignment_case(Case& c) {
    const Assignment found = linear_sum_assignment(c.input(0).value());
    c.output(0, Var(Tensor::scalar(static_cast<Real>(found.cost))));
    if (!c.args.flag("unique")) return;
    const Shape shape{static_cast<std::int64_t>(found.rows.size())};
    c.output(1, IndexTensor::from(shape, found.rows));
    c.output(2, IndexTensor::from(shape, found.columns));
}

const bool layers_registered = [] {
    auto& a = adapters();
    a["linear"] = [](Case& c) { c.output(0, linear(c.input(0), c.param("weight"), c.param("bias"))); };
    a["conv2d"] = [](Case& c) {
        on_maps(c, [&](const Var& x) {
            return conv2d(x, permute(c.param("weight"), {2, 3, 1, 0}), c.param("bias"), conv_spec(c));
        });
    };
    a["conv_transpose2d"] = [](Case& c) {
        const Pair extra = c.args.pair("output_padding");
        on_maps(c, [&](const Var& x) {
            return conv_transpose2d(x, permute(c.param("weight"), {2, 3, 1, 0}), c.param("bias"), conv_spec(c), extra);
        });
    };
    a["batch_norm"] = batch_norm_case;
    a["group_norm"] = [](Case& c) {
        c.output(0, channels_first(group_norm(channels_last(c.input(0)), c.args.integer("num_groups"),
                                              c.param("weight"), c.param("bias"), c.args.number("eps"))));
    };
    a["layer_norm"] = [](Case& c) {
        c.output(0, layer_norm(c.input(0), Shape(c.args.integers("normalized_shape")), c.param("weight"),
                               c.param("bias"), c.args.number("eps")));
    };
    a["max_pool2d"] = max_pool_case;
    a["avg_pool2d"] = avg_pool_case;
    a["adaptive_avg_pool2d"] = [](Case& c) {
        on_maps(c, [&](const Var& x) { return adaptive_avg_pool2d(x, c.args.pair("output_size")); });
    };
    a["embedding"] = [](Case& c) {
        std::optional<std::int64_t> padding;
        if (c.args.has("padding_idx")) padding = c.args.integer("padding_idx");
        c.output(0, embedding(c.param("weight"), c.index(c.operand(0)), padding));
    };
    a["prelu"] = [](Case& c) { c.output(0, prelu(c.input(0), c.param("weight"), c.input(0).rank() > 1 ? 1 : 0)); };

    a["mse_loss"] = [](Case& c) { c.output(0, mse_loss(c.input(0), c.input(1), reduction(c))); };
    a["l1_loss"] = [](Case& c) { c.output(0, l1_loss(c.input(0), c.input(1), reduction(c))); };
    a["smooth_l1_loss"] = [](Case& c) {
        c.output(0, smooth_l1_loss(c.input(0), c.input(1), c.args.number("beta"), reduction(c)));
    };
    a["huber_loss"] = [](Case& c) {
        c.output(0, huber_loss(c.input(0), c.input(1), c.args.number("delta"), reduction(c)));
    };
    a["cross_entropy"] = [](Case& c) {
        const CrossEntropySpec spec = cross_entropy_spec(c);
        c.output(0, c.is_float(c.operand(1)) ? cross_entropy(c.input(0), c.floats(c.operand(1)), spec)
                                             : cross_entropy(c.input(0), c.index(c.operand(1)), spec));
    };
    a["nll_loss"] = [](Case& c) { c.output(0, nll_loss(c.input(0), c.index(c.operand(1)), cross_entropy_spec(c))); };
    a["binary_cross_entropy_with_logits"] = [](Case& c) {
        c.output(0,
                 binary_cross_entropy_with_logits(
                     c.input(0), c.floats(c.operand(1)), c.has("buffer.weight") ? c.floats("buffer.weight") : Tensor{},
                     c.has("buffer.pos_weight") ? c.floats("buffer.pos_weight") : Tensor{}, reduction(c)));
    };
    a["sigmoid_focal_loss"] = [](Case& c) {
        c.output(0, sigmoid_focal_loss(c.input(0), c.floats(c.operand(1)), c.args.number("alpha"),
                                       c.args.number("gamma"), reduction(c)));
    };
    a["dice_loss"] = [](Case& c) {
        c.output(0, dice_loss(c.input(0), c.floats(c.operand(1)), c.args.number("smooth"), c.args.flag("sigmoid"),
                              reduction(c)));
    };

    a["box_iou"] = [](Case& c) { c.output(0, box_iou(c.input(0), c.input(1))); };
    a["generalized_box_iou_loss"] = [](Case& c) { iou_loss(c, IouKind::giou); };
    a["distance_box_iou_loss"] = [](Case& c) { iou_loss(c, IouKind::diou); };
    a["complete_box_iou_loss"] = [](Case& c) { iou_loss(c, IouKind::ciou); };
    a["box_convert"] = [](Case& c) {
        c.output(0, box_convert(c.input(0), box_format(c.args.text("in_fmt")), box_format(c.args.text("out_fmt"))));
    };
    a["box_area"] = [](Case& c) { c.output(0, box_area(c.input(0))); };
    a["clip_boxes_to_image"] = [](Case& c) {
        const auto size = c.args.integers("size");
        c.output(0, clip_boxes(c.input(0), static_cast<double>(size.at(0)), static_cast<double>(size.at(1))));
    };
    a["nms"] = [](Case& c) {
        c.output(0, nms(c.input(0).value(), c.input(1).value(), c.args.number("iou_threshold")));
    };
    a["batched_nms"] = [](Case& c) {
        c.output(0, batched_nms(c.input(0).value(), c.input(1).value(), c.index(c.operand(2)),
                                c.args.number("iou_threshold")));
    };
    a["distribution_focal_loss"] = [](Case& c) {
        c.output(0, distribution_focal_loss(c.input(0), c.floats(c.operand(1)), reduction(c)));
    };
    a["distribution_focal_decode"] = [](Case& c) {
        c.output(0, distribution_focal_decode(c.input(0), c.args.integer("bins")));
    };
    a["linear_sum_assignment"] = assignment_case;
    return true;
}();

}  // namespace
}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
