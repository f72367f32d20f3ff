#include "nn/models/vit.h"

#include <cmath>

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

std::string layer_name(std::size_t i) { return fmt::format("encoder.layers.encoder_layer_{}", i); }

void validate(const VitDetConfig& c) {
    const auto require = [](bool ok, const std::string& message) {
        if (!ok) throw ConfigError(message);
    };
    for (const auto& [what, value] : {std::pair{"patch", c.patch},
                                      {"dim", c.dim},
                                      {"heads", c.heads},
                                      {"mlp", c.mlp},
                                      {"layers", c.layers},
                                      {"det_tokens", c.det_tokens},
                                      {"classes", c.classes}})
        require(value >= 1 && value <= 1 << 20, fmt::format("{}={}: expected at least 1", what, value));
    require(c.dim % c.heads == 0, fmt::format("dim={} does not divide into heads={}", c.dim, c.heads));
    const auto cut = [&](std::int64_t side) { return side >= c.patch && side <= 4096 && side % c.patch == 0; };
    require(
        cut(c.image.h) && cut(c.image.w),
        fmt::format("image={}x{}: expected multiples of patch={}, at most 4096 pixels", c.image.h, c.image.w, c.patch));
}

Linear xavier_linear(std::int64_t in, std::int64_t out, Initializer& init) {
    const double bound = std::sqrt(6 / static_cast<double>(in + out));
    Linear layer;
    layer.weight = Parameter(uniform({out, in}, -bound, bound, init.next()));
    layer.bias = Parameter(normal({out}, 0, 1e-6, init.next()), ParamKind::bias);
    return layer;
}

}  // namespace

std::vector<LayerRow> describe(const VitDetConfig& c) {
    validate(c);
    std::vector<LayerRow> rows;
    const Shape sequence{c.tokens(), c.dim}, wide{c.tokens(), c.mlp};
    const auto linear = [&rows](const std::string& name, const Shape& in, std::int64_t out) {
        const std::int64_t weights = checked_mul(in[-1], out);
        rows.push_back({name, "linear", in, in.with(-1, out), weights + out, checked_mul(weights, in.outer(-1))});
    };
    const std::int64_t patch_weights = checked_mul(c.patch * c.patch * 3, c.dim);
    rows.push_back({"conv_proj", fmt::format("conv {}x{} s{}", c.patch, c.patch, c.patch),
                    Shape{c.image.h, c.image.w, 3}, Shape{c.image.h / c.patch, c.image.w / c.patch, c.dim},
                    patch_weights + c.dim, checked_mul(patch_weights, c.patches()), c.patch, c.patch});
    rows.push_back({"class_token", "token", Shape{c.patches(), c.dim}, Shape{c.patches() + 1, c.dim}, c.dim});
    rows.push_back({"det_tokens", "token", Shape{c.patches() + 1, c.dim}, sequence, c.det_tokens * c.dim});
    rows.push_back({"encoder.pos_embedding", "positions", sequence, sequence, sequence.numel()});
    for (std::int64_t i = 0; i < c.layers; ++i) {
        const std::string name = layer_name(static_cast<std::size_t>(i));
        rows.push_back({name + ".ln_1", "layernorm", sequence, sequence, 2 * c.dim});
        const std::int64_t weights = 4 * c.dim * c.dim;
        rows.push_back({name + ".self_attention", fmt::format("attention, {} heads", c.heads), sequence, sequence,
                        weights + 4 * c.dim, checked_mul(c.tokens(), weights + 2 * c.tokens() * c.dim)});
        rows.push_back({name + ".ln_2", "layernorm", sequence, sequence, 2 * c.dim});
        linear(name + ".mlp.0", sequence, c.mlp);
        rows.push_back({name + ".mlp.1", "gelu", wide, wide});
        linear(name + ".mlp.3", wide, c.dim);
    }
    rows.push_back({"encoder.ln", "layernorm", sequence, sequence, 2 * c.dim});
    const Shape one{c.dim}, boxes{c.det_tokens, c.dim};
    linear("head_cls.0", one, c.dim);
    rows.push_back({"head_cls.1", "gelu", one, one});
    linear("head_cls.2", one, c.classes);
    linear("head_box.0", boxes, c.dim);
    rows.push_back({"head_box.1", "relu", boxes, boxes});
    linear("head_box.2", boxes, c.dim);
    rows.push_back({"head_box.3", "relu", boxes, boxes});
    linear("head_box.4", boxes, 4);
    return rows;
}

VitDet::VitDet(const VitDetConfig& config, std::uint64_t seed) : config_(config) {
    validate(config_);
    const VitDetConfig& c = config_;
    Initializer init(seed);
    class_token_ = Parameter(Tensor::zeros({1, 1, c.dim}), ParamKind::token);
    det_tokens_ = Parameter(normal({1, c.det_tokens, c.dim}, 0, 0.02, init.next()), ParamKind::token);
    pos_embedding_ = Parameter(normal({1, c.tokens(), c.dim}, 0, 0.02, init.next()), ParamKind::token);
    patches_.spec.stride = {c.patch, c.patch};
    patches_.weight = Parameter(
        normal({c.patch, c.patch, 3, c.dim}, 0, 1 / std::sqrt(static_cast<double>(3 * c.patch * c.patch)), init.next()),
        ParamKind::weight, Layout::hwio);
    patches_.bias = Parameter(Tensor::zeros({c.dim}), ParamKind::bias);
    for (std::int64_t i = 0; i < c.layers; ++i) {
        EncoderLayer layer{LayerNorm({c.dim}, c.eps), LayerNorm({c.dim}, c.eps), {}, {}, {}};
        layer.attention = MultiheadAttention(c.dim, c.heads, init);
        layer.up = xavier_linear(c.dim, c.mlp, init);
        layer.down = xavier_linear(c.mlp, c.dim, init);
        layers_.push_back(std::move(layer));
    }
    norm_ = LayerNorm({c.dim}, c.eps);
    class_head_[0] = Linear(c.dim, c.dim, init);
    class_head_[1] = Linear(c.dim, c.classes, init);
    for (int i = 0; i < 3; ++i) box_head_[i] = Linear(c.dim, i < 2 ? c.dim : 4, init);
}

Var VitDet::EncoderLayer::operator()(const Var& x) {
    const Var y = x + attention(ln_1(x));
    return y + down(gelu(up(ln_2(y))));
}

VitDetOutput VitDet::operator()(const Var& images) {
    const VitDetConfig& c = config_;
    check(images.rank() == 4 && images.dim(1) == c.image.h && images.dim(2) == c.image.w && images.dim(3) == 3,
          "[vit_det] images are {}, expected Nx{}x{}x3: the positions are learned for this size", images.shape().str(),
          c.image.h, c.image.w);
    const std::int64_t n = images.dim(0);
    const Var patches = reshape(patches_(images), {n, c.patches(), c.dim});
    Var x =
        cat({expand(use(class_token_), {n, 1, c.dim}), patches, expand(use(det_tokens_), {n, c.det_tokens, c.dim})}, 1);
    x = x + use(pos_embedding_);  // (N, tokens, dim)
    for (std::size_t i = 0; i < layers_.size(); ++i) {
        x = layers_[i](x);
        if (observed()) observe(layer_name(i), x.value());
    }
    x = norm_(x);
    const auto parts = split(x, {1, c.patches(), c.det_tokens}, 1);
    const Var token = reshape(parts[0], {n, c.dim});
    VitDetOutput out;
    out.classes = class_head_[1](gelu(class_head_[0](token)));
    out.boxes = box_head_[2](relu(box_head_[1](relu(box_head_[0](parts[2])))));
    if (observed()) observe("logits", out.classes.value());
    if (observed()) observe("raw", out.boxes.value());
    return out;
}

void VitDet::EncoderLayer::visit(Visitor& v) {
    v.child("ln_1", ln_1);
    v.child("self_attention", attention);
    v.child("ln_2", ln_2);
    v.child("mlp.0", up);
    v.child("mlp.3", down);
}

void VitDet::visit(Visitor& v) {
    v.parameter("class_token", class_token_);
    v.parameter("det_tokens", det_tokens_);
    v.child("conv_proj", patches_);
    v.parameter("encoder.pos_embedding", pos_embedding_);
    for (std::size_t i = 0; i < layers_.size(); ++i) v.child(layer_name(i), layers_[i]);
    v.child("encoder.ln", norm_);
    for (int i = 0; i < 2; ++i) v.child(fmt::format("head_cls.{}", 2 * i), class_head_[i]);
    for (int i = 0; i < 3; ++i) v.child(fmt::format("head_box.{}", 2 * i), box_head_[i]);
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
