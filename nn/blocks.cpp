#include "nn/blocks.h"

#include <cmath>
#include <numeric>

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

// Places of a window along one side; 0 where not even one fits.
std::int64_t places(std::int64_t side, std::int64_t kernel, std::int64_t stride, std::int64_t padding) {
    return side + 2 * padding < kernel ? 0 : (side + 2 * padding - kernel) / stride + 1;
}

const char* row_type(const Act& act) {
    if (act.kind == Act::Kind::leaky) return act.slope == 0 ? "relu" : "leakyrelu";
    return act.op();
}

}  // namespace

NormKind norm_of(const std::string& name) {
    if (name == "none") return NormKind::none;
    if (name == "batch") return NormKind::batch;
    if (name == "group") return NormKind::group;
    throw ConfigError(fmt::format("'{}' is no norm: expected none, batch or group", name));
}

const char* name_of(NormKind kind) {
    return kind == NormKind::none ? "none" : kind == NormKind::batch ? "batch" : "group";
}

ConvBlock::ConvBlock(Plan plan) : plan_(std::move(plan)) {
    check(plan_.kind != NormKind::none || !(plan_.fan_out || plan_.starts_at_0),
          "[blocks] {}: fan_out and starts_at_0 belong to a convolution with a norm", plan_.conv);
}

Shape ConvBlock::out(const Shape& in) const {
    const std::int64_t k = plan_.kernel, s = plan_.stride;
    return {places(in[0], k, s, k / 2), places(in[1], k, s, k / 2), plan_.out};
}

Shape ConvBlock::describe(const Shape& in, std::vector<LayerRow>& rows) const {
    const Plan& p = plan_;
    const Shape y = out(in);
    const bool biased = p.kind == NormKind::none;
    const std::int64_t weights = checked_mul(p.kernel * p.kernel * (in[2] / p.groups), p.out);
    const std::string grouped = p.groups > 1 ? fmt::format(" g{}", p.groups) : "";
    rows.push_back({p.conv, fmt::format("conv {}x{} s{}{}", p.kernel, p.kernel, p.stride, grouped), in, y,
                    weights + (biased ? p.out : 0), checked_mul(weights, y[0] * y[1]), p.kernel, p.stride, p.kernel / 2,
                    p.groups});
    const std::string beside = p.act.identity() || !p.act_row.empty() ? "" : fmt::format(", {}", row_type(p.act));
    if (p.kind == NormKind::batch) rows.push_back({p.norm, "batchnorm" + beside, y, y, 2 * p.out});
    if (p.kind == NormKind::group)
        rows.push_back(
            {p.norm, fmt::format("groupnorm({}){}", std::gcd(p.norm_groups, p.out), beside), y, y, 2 * p.out});
    if (!p.act_row.empty()) rows.push_back({p.act_row, row_type(p.act), y, y});
    return y;
}

Shape ConvBlock::build(const Shape& in, Initializer& init) {
    const Plan& p = plan_;
    const ConvSpec spec{{p.stride, p.stride}, {p.kernel / 2, p.kernel / 2}, {1, 1}, p.groups, p.recompute};
    if (p.fan_out) {
        // Fan-out counts all output channels, whatever the groups (torch.nn.init).
        const double deviation = std::sqrt(2.0 / static_cast<double>(p.kernel * p.kernel * p.out));
        conv_.spec = spec;
        conv_.weight = Parameter(normal({p.kernel, p.kernel, in[2] / p.groups, p.out}, 0, deviation, init.next()),
                                 ParamKind::weight, Layout::hwio);
    } else {
        conv_ = Conv2d(in[2], p.out, p.kernel, spec, p.kind == NormKind::none, init);
    }
    if (p.kind == NormKind::batch) batch_norm_.emplace(p.out);
    if (p.kind == NormKind::group) group_norm_.emplace(std::gcd(p.norm_groups, p.out), p.out);
    if (p.starts_at_0) (batch_norm_ ? batch_norm_->weight : group_norm_->weight).value = Tensor::zeros({p.out});
    return out(in);
}

Var ConvBlock::run(const Var& x) {
    const Var z = conv_(x);
    if (batch_norm_) return (*batch_norm_)(z, plan_.act);
    if (group_norm_) return (*group_norm_)(z, plan_.act);
    return activate(z, plan_.act);
}

void ConvBlock::visit(Visitor& v) {
    v.child(plan_.conv, conv_);
    if (batch_norm_) v.child(plan_.norm, *batch_norm_);
    if (group_norm_) v.child(plan_.norm, *group_norm_);
}

void ConvBlock::freeze() {
    if (batch_norm_) fold(conv_, *batch_norm_);
    batch_norm_.reset();
    conv_.freeze();
}

std::string ConvBlock::append_to(GraphBuilder& graph, const std::string& x) const {
    std::string y = graph.conv(x, plan_.conv, conv_);
    if (batch_norm_) y = graph.batch_norm(y, plan_.norm, *batch_norm_);
    if (group_norm_) y = graph.group_norm(y, plan_.norm, *group_norm_);
    return graph.activation(y, plan_.act);
}

Shape MaxPoolBlock::out(const Shape& in) const {
    return {places(in[0], spec_.kernel.h, spec_.stride.h, spec_.padding.h),
            places(in[1], spec_.kernel.w, spec_.stride.w, spec_.padding.w), in[2]};
}

Shape MaxPoolBlock::describe(const Shape& in, std::vector<LayerRow>& rows) const {
    const std::string stride = spec_.stride.h == spec_.kernel.h ? "" : fmt::format(" s{}", spec_.stride.h);
    rows.push_back({name_, fmt::format("maxpool {}x{}{}", spec_.kernel.h, spec_.kernel.w, stride), in, out(in)});
    return out(in);
}

ResidualBlock::ResidualBlock(std::string name, std::vector<ConvBlock::Plan> path,
                             std::optional<ConvBlock::Plan> shortcut, const Act& act)
    : name_(std::move(name)), act_(act) {
    for (ConvBlock::Plan& plan : path) path_.emplace_back(std::move(plan));
    if (shortcut) shortcut_.emplace(std::move(*shortcut));
}

Shape ResidualBlock::describe(const Shape& in, std::vector<LayerRow>& rows) const {
    Shape y = in;
    for (const ConvBlock& unit : path_) y = unit.describe(y, rows);
    if (shortcut_) shortcut_->describe(in, rows);
    rows.push_back({name_, fmt::format("add, {}", row_type(act_)), y, y});
    return y;
}

Shape ResidualBlock::build(const Shape& in, Initializer& init) {
    Shape y = in;
    for (ConvBlock& unit : path_) y = unit.build(y, init);
    if (shortcut_) shortcut_->build(in, init);
    return y;
}

Var ResidualBlock::run(const Var& x) {
    Var y = x;
    for (ConvBlock& unit : path_) y = unit.run(y);
    return add_act(y, shortcut_ ? shortcut_->run(x) : x, act_);
}

void ResidualBlock::visit(Visitor& v) {
    for (ConvBlock& unit : path_) unit.visit(v);
    if (shortcut_) shortcut_->visit(v);
}

void ResidualBlock::freeze() {
    for (ConvBlock& unit : path_) unit.freeze();
    if (shortcut_) shortcut_->freeze();
}

std::string ResidualBlock::append_to(GraphBuilder& graph, const std::string& x) const {
    std::string y = x;
    for (const ConvBlock& unit : path_) y = unit.append_to(graph, y);
    const std::string skip = shortcut_ ? shortcut_->append_to(graph, x) : x;
    return graph.activation(graph.add("Add", {y, skip}), act_);
}

Shape FlattenBlock::describe(const Shape& in, std::vector<LayerRow>& rows) const {
    const Shape flat{checked_mul(in[0] * in[1], in[2])};
    rows.push_back({name_, "flatten C,H,W", in, flat});
    return flat;
}

Shape FlattenBlock::build(const Shape& in, Initializer&) {
    map_ = {in[0], in[1]};
    return {in.numel()};
}

Shape GlobalAverageBlock::describe(const Shape& in, std::vector<LayerRow>& rows) const {
    rows.push_back({name_, "global average", in, Shape{in[2]}});
    return {in[2]};
}

std::string GlobalAverageBlock::append_to(GraphBuilder& graph, const std::string& x) const {
    return graph.add("Flatten", {graph.add("GlobalAveragePool", {x})});
}

Shape LinearBlock::describe(const Shape& in, std::vector<LayerRow>& rows) const {
    const std::int64_t weights = checked_mul(in[0], out_);
    const Shape y{out_};
    rows.push_back({name_, "linear", in, y, weights + out_, weights});
    if (!act_row_.empty()) rows.push_back({act_row_, row_type(act_), y, y});
    return y;
}

Shape LinearBlock::build(const Shape& in, Initializer& init) {
    linear = Linear(in[0], out_, init);
    return {out_};
}

Shape Sequence::describe(const Shape& in, std::vector<LayerRow>& rows) const {
    Shape x = in;
    for (const auto& block : blocks_) {
        const std::size_t first = rows.size();
        x = block->describe(x, rows);
        if (x.numel() == 0)
            throw ConfigError(fmt::format(
                "image={} is too small: nothing is left after {}: use a larger image",
                in[0] == in[1] ? fmt::format("{}", in[0]) : fmt::format("{}x{}", in[0], in[1]), rows[first].name));
    }
    return x;
}

Shape Sequence::build(const Shape& in, Initializer& init) {
    Shape x = in;
    for (const auto& block : blocks_) x = block->build(x, init);
    return x;
}

Var Sequence::run(const Var& images) {
    Var x = images;
    for (const auto& block : blocks_) {
        x = block->run(x);
        if (observed() && !block->shown.empty()) observe(block->shown, x.value());
    }
    return x;
}

void Sequence::visit(Visitor& v) {
    for (const auto& block : blocks_) block->visit(v);
}

void Sequence::freeze() {
    for (const auto& block : blocks_) block->freeze();
}

std::string Sequence::append_to(GraphBuilder& graph, const std::string& images) const {
    std::string x = images;
    for (const auto& block : blocks_) x = block->append_to(graph, x);
    return x;
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
