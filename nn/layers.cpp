#include "nn/layers.h"

#include <cmath>

namespace solobox {
inline namespace SOLOBOX_PRECISION {

Conv2d::Conv2d(std::int64_t in, std::int64_t out, std::int64_t kernel, const ConvSpec& s, bool with_bias,
               Initializer& init)
    : spec(s) {
    const std::int64_t fan_in = kernel * kernel * in / s.groups;
    weight = Parameter(fan_in_uniform({kernel, kernel, in / s.groups, out}, fan_in, init.next()), ParamKind::weight,
                       Layout::hwio);
    if (with_bias) bias = Parameter(fan_in_uniform({out}, fan_in, init.next()), ParamKind::bias);
}

void Conv2d::visit(Visitor& v) {
    v.parameter("weight", weight);
    v.parameter("bias", bias);
}

Linear::Linear(std::int64_t in, std::int64_t out, Initializer& init, bool with_bias)
    : weight(fan_in_uniform({out, in}, in, init.next())) {
    if (with_bias) bias = Parameter(fan_in_uniform({out}, in, init.next()), ParamKind::bias);
}

void Linear::visit(Visitor& v) {
    v.parameter("weight", weight);
    v.parameter("bias", bias);
}

BatchNorm2d::BatchNorm2d(std::int64_t channels)
    : weight(Tensor::full({channels}, 1), ParamKind::norm),
      bias(Tensor::zeros({channels}), ParamKind::norm),
      stats{Tensor::zeros({channels}), Tensor::full({channels}, 1), 0} {}

void BatchNorm2d::visit(Visitor& v) {
    v.parameter("weight", weight);
    v.parameter("bias", bias);
    v.buffer("running_mean", stats.mean);
    v.buffer("running_var", stats.var);
    if (stats.mean.defined()) v.counter("num_batches_tracked", stats.batches);
    v.mode(training);
}

void fold(Conv2d& conv, const BatchNorm2d& norm) {
    check(norm.stats.mean.defined(), "[fold] the norm has no running statistics to fold");
    const std::int64_t channels = conv.weight.value.dim(3);
    Tensor weight = conv.weight.value.clone(), bias(Shape{channels});
    for (std::int64_t o = 0; o < channels; ++o) {
        const double scale =
            static_cast<double>(norm.weight.value[o]) / std::sqrt(static_cast<double>(norm.stats.var[o]) + norm.eps);
        for (std::int64_t i = o; i < weight.numel(); i += channels)
            weight.mutable_data()[i] = static_cast<Real>(static_cast<double>(weight[i]) * scale);
        const double before = conv.bias.value.defined() ? static_cast<double>(conv.bias.value[o]) : 0.0;
        bias.mutable_data()[o] = static_cast<Real>(static_cast<double>(norm.bias.value[o]) +
                                                   (before - static_cast<double>(norm.stats.mean[o])) * scale);
    }
    conv.weight.value = weight;
    conv.bias = Parameter(bias, ParamKind::bias);
}

GroupNorm::GroupNorm(std::int64_t g, std::int64_t channels)
    : weight(Tensor::full({channels}, 1), ParamKind::norm),
      bias(Tensor::zeros({channels}), ParamKind::norm),
      groups(g) {}

void GroupNorm::visit(Visitor& v) {
    v.parameter("weight", weight);
    v.parameter("bias", bias);
}

LayerNorm::LayerNorm(const Shape& normalized_shape, double e)
    : weight(Tensor::full(normalized_shape, 1), ParamKind::norm),
      bias(Tensor::zeros(normalized_shape), ParamKind::norm),
      shape(normalized_shape),
      eps(e) {}

void LayerNorm::visit(Visitor& v) {
    v.parameter("weight", weight);
    v.parameter("bias", bias);
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
