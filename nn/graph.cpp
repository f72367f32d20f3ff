#include "nn/graph.h"

#include <algorithm>
#include <numbers>

namespace solobox {
inline namespace SOLOBOX_PRECISION {

GraphBuilder::GraphBuilder(const std::string& input, std::vector<std::int64_t> dims) {
    graph_.input = {input, std::move(dims)};
}

std::string GraphBuilder::add(const std::string& op, std::vector<std::string> inputs,
                              std::vector<std::pair<std::string, GraphAttribute>> attributes) {
    graph_.nodes.push_back(
        {op, std::move(inputs), fmt::format("{}_{}", op, graph_.nodes.size()), std::move(attributes)});
    return graph_.nodes.back().output;
}

std::string GraphBuilder::constant(const std::string& name, const Tensor& value) {
    graph_.constants.push_back(
        {name, value.shape().dims(), std::vector<float>(value.data(), value.data() + value.numel())});
    return name;
}

std::string GraphBuilder::integers(const std::vector<std::int64_t>& values) {
    const std::string name = fmt::format("shape_{}", graph_.constants.size());
    graph_.constants.push_back({name, {static_cast<std::int64_t>(values.size())}, values});
    return name;
}

std::string GraphBuilder::conv(const std::string& x, const std::string& name, const Conv2d& layer) {
    const Shape& w = layer.weight.value.shape();  // (kh, kw, in / groups, out)
    const ConvSpec& s = layer.spec;
    std::vector<std::string> inputs{x, constant(name + ".weight", to_torch_layout(layer.weight.value, Layout::hwio))};
    if (layer.bias.value.defined()) inputs.push_back(constant(name + ".bias", layer.bias.value));
    return add("Conv", inputs,
               {{"kernel_shape", std::vector<std::int64_t>{w[0], w[1]}},
                {"strides", std::vector<std::int64_t>{s.stride.h, s.stride.w}},
                {"pads", std::vector<std::int64_t>{s.padding.h, s.padding.w, s.padding.h, s.padding.w}},
                {"dilations", std::vector<std::int64_t>{s.dilation.h, s.dilation.w}},
                {"group", s.groups}});
}

std::string GraphBuilder::batch_norm(const std::string& x, const std::string& name, const BatchNorm2d& layer) {
    return add("BatchNormalization",
               {x, constant(name + ".weight", layer.weight.value), constant(name + ".bias", layer.bias.value),
                constant(name + ".running_mean", layer.stats.mean), constant(name + ".running_var", layer.stats.var)},
               {{"epsilon", layer.eps}});
}

std::string GraphBuilder::group_norm(const std::string& x, const std::string& name, const GroupNorm& layer) {
    const std::int64_t channels = layer.weight.value.numel();
    const std::string groups = add("Reshape", {x, integers({0, layer.groups, -1})});
    const std::string normal = add("InstanceNormalization",
                                   {groups, constant(name + ".ones", Tensor::full({layer.groups}, Real(1))),
                                    constant(name + ".zeros", Tensor::zeros({layer.groups}))},
                                   {{"epsilon", layer.eps}});
    const std::string back = add("Reshape", {normal, add("Shape", {x})});
    const Shape column{channels, 1, 1};
    const std::string scaled = add("Mul", {back, constant(name + ".weight", layer.weight.value.reshaped(column))});
    return add("Add", {scaled, constant(name + ".bias", layer.bias.value.reshaped(column))});
}

std::string GraphBuilder::linear(const std::string& x, const std::string& name, const Linear& layer) {
    std::vector<std::string> inputs{x, constant(name + ".weight", layer.weight.value)};
    if (layer.bias.value.defined()) inputs.push_back(constant(name + ".bias", layer.bias.value));
    return add("Gemm", inputs, {{"transB", std::int64_t{1}}});
}

std::string GraphBuilder::activation(const std::string& x, const Act& act) {
    const auto number = [&](double v) {
        return constant(fmt::format("number_{}", graph_.constants.size()), Tensor::full({1}, static_cast<Real>(v)));
    };
    switch (act.kind) {
        case Act::Kind::silu:
            return add("Mul", {x, add("Sigmoid", {x})});
        case Act::Kind::gelu: {  // an operator of its own from opset 20 on
            const std::string scaled = add("Mul", {x, number(std::numbers::sqrt2 / 2)});
            const std::string twice = add("Add", {add("Erf", {scaled}), number(1)});
            return add("Mul", {add("Mul", {x, twice}), number(0.5)});
        }
        case Act::Kind::leaky:
            break;
    }
    if (act.identity()) return x;
    return act.slope == 0 ? add("Relu", {x}) : add("LeakyRelu", {x}, {{"alpha", act.slope}});
}

std::string GraphBuilder::max_pool(const std::string& x, const PoolSpec& s) {
    return add("MaxPool", {x},
               {{"kernel_shape", std::vector<std::int64_t>{s.kernel.h, s.kernel.w}},
                {"strides", std::vector<std::int64_t>{s.stride.h, s.stride.w}},
                {"pads", std::vector<std::int64_t>{s.padding.h, s.padding.w, s.padding.h, s.padding.w}},
                {"dilations", std::vector<std::int64_t>{s.dilation.h, s.dilation.w}},
                {"ceil_mode", std::int64_t{s.ceil_mode}}});
}

Graph GraphBuilder::finish(const std::string& x, const std::string& name, std::vector<std::int64_t> dims) {
    graph_.output = {name, std::move(dims)};
    graph_.nodes.push_back({"Identity", {x}, name, {}});
    return std::move(graph_);
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
