#include "nn/models/resnet.h"

#include <cmath>

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

constexpr double relu_slope = 0;  // of a norm that a ReLU follows
constexpr PoolSpec stem_pool{{3, 3}, {2, 2}, {1, 1}, {1, 1}, false};

// A convolution without bias and the norm behind it, before they exist: describe() and the constructor both read this.
struct ConvPlan {
    std::string conv, norm;  // names inside the block
    std::int64_t in = 0, out = 0, kernel = 1, stride = 1, groups = 1;

    std::int64_t weights() const { return checked_mul(kernel * kernel * (in / groups), out); }
    ConvSpec spec() const { return {{stride, stride}, {kernel / 2, kernel / 2}, {1, 1}, groups}; }
};

struct BlockPlan {
    std::string name;
    std::vector<ConvPlan> path;
    std::optional<ConvPlan> shortcut;
    std::int64_t out() const { return path.back().out; }
};

ConvPlan stem_plan(const ResNetConfig& c) {
    return {"conv1", "bn1", 3, c.planes, c.small_stem ? 3 : 7, c.small_stem ? 1 : 2, 1};
}

BlockPlan block_plan(const ResNetConfig& c, std::string name, std::int64_t in, std::int64_t planes,
                     std::int64_t stride) {
    BlockPlan b{std::move(name), {}, {}};
    if (c.block == ResidualBlock::basic) {
        b.path = {{"conv1", "bn1", in, planes, 3, stride, 1}, {"conv2", "bn2", planes, planes, 3, 1, 1}};
    } else {
        const std::int64_t width = checked_mul(planes, c.width_per_group) / 64 * c.groups;
        b.path = {{"conv1", "bn1", in, width, 1, 1, 1},
                  {"conv2", "bn2", width, width, 3, stride, c.groups},
                  {"conv3", "bn3", width, 4 * planes, 1, 1, 1}};
    }
    if (stride != 1 || in != b.out()) b.shortcut = ConvPlan{"downsample.0", "downsample.1", in, b.out(), 1, stride, 1};
    return b;
}

std::vector<BlockPlan> block_plans(const ResNetConfig& c) {
    std::vector<BlockPlan> plans;
    std::int64_t channels = c.planes;
    for (std::size_t stage = 0; stage < c.layers.size(); ++stage)
        for (std::int64_t i = 0; i < c.layers[stage]; ++i) {
            const std::int64_t stride = stage > 0 && i == 0 ? 2 : 1;
            plans.push_back(
                block_plan(c, fmt::format("layer{}.{}", stage + 1, i), channels, c.planes << stage, stride));
            channels = plans.back().out();
        }
    return plans;
}

// An auxiliary head before it exists: the name of its stage, and the block that it reads.
struct AuxPlan {
    std::string name, behind;
    std::int64_t channels = 0;
};

std::vector<AuxPlan> aux_plans(const ResNetConfig& c) {
    std::vector<AuxPlan> plans;
    for (std::int64_t stage = 4 - c.aux_heads; stage <= 3; ++stage) {
        AuxPlan plan{fmt::format("aux_layer{}", stage), {}, 0};
        // fault=aux_shifted (the exits report): heads hang one stage too early, and nothing in their names says so.
        const std::string layer = fmt::format("layer{}.", c.shift_aux ? stage - 1 : stage);
        for (const BlockPlan& block : block_plans(c))
            if (block.name.starts_with(layer)) plan.behind = block.name, plan.channels = block.out();
        plans.push_back(std::move(plan));
    }
    return plans;
}

void validate(const ResNetConfig& c) {
    const auto require = [](bool ok, const std::string& message) {
        if (!ok) throw ConfigError(message);
    };
    for (const std::int64_t blocks : c.layers)
        require(blocks >= 1 && blocks <= 1000,
                fmt::format("layers has a stage of {} blocks: expected 1 to 1000", blocks));
    require(c.classes >= 1 && c.classes <= 1 << 20, fmt::format("classes={}: expected at least 1", c.classes));
    require(c.planes >= 1 && c.planes <= 1 << 16, fmt::format("planes={}: expected 1 to 65536", c.planes));
    require(c.image >= 1 && c.image <= 4096, fmt::format("image={}: expected 1 to 4096 pixels", c.image));
    require(c.aux_heads >= 0 && c.aux_heads <= 2, fmt::format("aux_heads={}: expected 0, 1 or 2", c.aux_heads));
    require(c.groups >= 1 && c.groups <= 1 << 16, fmt::format("groups={}: expected at least 1", c.groups));
    require(c.width_per_group >= 1 && c.width_per_group <= 1 << 16,
            fmt::format("width_per_group={}: expected at least 1", c.width_per_group));
    if (c.block == ResidualBlock::basic)
        require(c.groups == 1 && c.width_per_group == 64,
                fmt::format("groups={} width_per_group={}: basic blocks have only 1 and 64, use bottlenecks", c.groups,
                            c.width_per_group));
    else
        require(c.planes * c.width_per_group >= 64,
                fmt::format(
                    "planes={} width_per_group={}: no channel is left in a group, expected a product of at least 64",
                    c.planes, c.width_per_group));
}

// The rows of one convolution and its norm; `side` goes from the input's to the output's.
void describe_conv(std::vector<LayerRow>& rows, const std::string& prefix, const ConvPlan& p, bool relu,
                   std::int64_t& side) {
    const Shape in{side, side, p.in};
    side = (side + 2 * (p.kernel / 2) - p.kernel) / p.stride + 1;
    const Shape out{side, side, p.out};
    const std::string grouped = p.groups > 1 ? fmt::format(" g{}", p.groups) : "";
    rows.push_back({prefix + p.conv, fmt::format("conv {}x{} s{}{}", p.kernel, p.kernel, p.stride, grouped), in, out,
                    p.weights(), checked_mul(p.weights(), side * side), p.kernel, p.stride, p.kernel / 2, p.groups});
    rows.push_back({prefix + p.norm, relu ? "batchnorm, relu" : "batchnorm", out, out, 2 * p.out});
}

}  // namespace

ResNetConfig resnet_config(const std::string& name, std::int64_t classes) {
    ResNetConfig c;
    c.name = name;
    c.classes = classes;
    if (name == "resnet18") {
        c.layers = {2, 2, 2, 2};
    } else if (name == "resnet34") {
        c.layers = {3, 4, 6, 3};
    } else if (name == "resnet50") {
        c.block = ResidualBlock::bottleneck;
        c.layers = {3, 4, 6, 3};
    } else {
        throw ConfigError(fmt::format("'{}' is no residual network: expected resnet18, resnet34 or resnet50", name));
    }
    return c;
}

std::vector<LayerRow> describe(const ResNetConfig& c) {
    validate(c);
    std::vector<LayerRow> rows;
    std::int64_t side = c.image;
    describe_conv(rows, "", stem_plan(c), true, side);
    if (!c.small_stem) {
        const Shape in{side, side, c.planes};
        side = (side - 1) / 2 + 1;
        rows.push_back({"maxpool", "maxpool 3x3 s2", in, Shape{side, side, c.planes}});
    }
    const std::vector<AuxPlan> heads = aux_plans(c);
    std::vector<LayerRow> aux;
    std::int64_t channels = c.planes;
    for (const BlockPlan& block : block_plans(c)) {
        const std::int64_t entry = side;
        for (const ConvPlan& p : block.path) describe_conv(rows, block.name + ".", p, &p != &block.path.back(), side);
        std::int64_t shortcut_side = entry;
        if (block.shortcut) describe_conv(rows, block.name + ".", *block.shortcut, false, shortcut_side);
        channels = block.out();
        const Shape out{side, side, channels};
        rows.push_back({block.name, "add, relu", out, out});
        for (const AuxPlan& head : heads)
            if (head.behind == block.name)
                aux.push_back({head.name, "global average, linear", out, Shape{c.classes},
                               checked_mul(channels, c.classes) + c.classes, channels * c.classes});
    }
    rows.push_back({"avgpool", "global average", Shape{side, side, channels}, Shape{channels}});
    rows.push_back({"fc", "linear", Shape{channels}, Shape{c.classes}, checked_mul(channels, c.classes) + c.classes,
                    channels * c.classes});
    rows.insert(rows.end(), aux.begin(), aux.end());
    return rows;
}

ResNet::ResNet(const ResNetConfig& config, std::uint64_t seed) : config_(config) {
    validate(config_);
    Initializer init(seed);
    const auto build = [&init](const ConvPlan& p) {
        // Fan-out counts all output channels, whatever the groups (torch.nn.init).
        const double deviation = std::sqrt(2.0 / static_cast<double>(p.kernel * p.kernel * p.out));
        ConvNorm unit;
        unit.conv.spec = p.spec();
        unit.conv.weight = Parameter(normal({p.kernel, p.kernel, p.in / p.groups, p.out}, 0, deviation, init.next()),
                                     ParamKind::weight, Layout::hwio);
        unit.norm = BatchNorm2d(p.out);
        return unit;
    };
    stem_ = build(stem_plan(config_));
    stem_.conv.spec.recompute = config_.recompute && !config_.small_stem;  // the widest map, and a cheap one
    std::int64_t channels = config_.planes;
    for (const BlockPlan& plan : block_plans(config_)) {
        Block block;
        block.name = plan.name;
        for (const ConvPlan& p : plan.path) block.path.push_back(build(p));
        if (plan.shortcut) block.shortcut = build(*plan.shortcut);
        // What a residual sum reads is needed again by its norm alone.
        block.path.back().conv.spec.recompute = config_.recompute;
        if (block.shortcut) block.shortcut->conv.spec.recompute = config_.recompute;
        if (config_.zero_init_residual) block.path.back().norm.weight.value = Tensor::zeros({plan.out()});
        blocks_.push_back(std::move(block));
        channels = plan.out();
    }
    fc_ = Linear(channels, config_.classes, init);
    // Behind fc: the other weights are those of a network without such heads.
    for (const AuxPlan& plan : aux_plans(config_))
        aux_.push_back({plan.name, plan.behind, Linear(plan.channels, config_.classes, init)});
}

Var ResNet::Block::operator()(const Var& x) {
    Var y = x;
    for (ConvNorm& unit : path) y = unit(y, &unit == &path.back() ? 1 : relu_slope);
    return add_act(y, shortcut ? (*shortcut)(x, 1) : x, relu_slope);
}

std::vector<std::string> ResNet::aux_names() const {
    std::vector<std::string> names;
    for (const AuxHead& head : aux_) names.push_back(head.name);
    return names;
}

Answers ResNet::answers(const Var& images, const RandomKey&) {
    std::vector<std::pair<std::string, Var>> aux;
    Answers out{{{"logits", forward(images, &aux)}}};
    for (auto& head : aux) out.named.push_back(std::move(head));
    return out;
}

Var ResNet::forward(const Var& images, std::vector<std::pair<std::string, Var>>* aux) {
    check(images.rank() == 4 && images.dim(3) == 3, "[resnet] images are {}, expected (N, H, W, 3)",
          images.shape().str());
    Var x = stem_(images, relu_slope);
    if (observed()) observe("bn1", x.value());
    if (!config_.small_stem) x = max_pool2d(x, stem_pool);
    for (Block& block : blocks_) {
        x = block(x);
        if (observed()) observe(block.name, x.value());
        for (AuxHead& head : aux_) {
            // fault=aux_silent (the exits report): heads answer in training only, and validation reports 0.0 for them.
            const bool silent = config_.silent_aux && !stem_.norm.training;
            if (!aux || silent || head.behind != block.name) continue;
            if (observed()) observe(head.name + ".input", x.value());
            // fault=aux_detached (the collapse report): heads read a constant: they learn, and teach the trunk nothing.
            const Var map = config_.detach_aux || config_.detach_trunk ? x.detached() : x;
            aux->emplace_back(head.name, head.linear(flatten_chw(adaptive_avg_pool2d(map, {1, 1}))));
        }
    }
    x = flatten_chw(adaptive_avg_pool2d(x, {1, 1}));
    if (config_.detach_trunk) x = x.detached();  // fault=cut: a detach() left over from an experiment with the head
    if (observed()) observe("features", x.value());
    const Var logits = fc_(x);
    if (observed()) observe("logits", logits.value());
    return logits;
}

void ResNet::ConvNorm::freeze() {
    fold(conv, norm);
    conv.freeze();
    folded = true;
}

void ResNet::freeze() {
    frozen_ = true;
    aux_.clear();
    stem_.freeze();
    for (Block& block : blocks_) {
        for (ConvNorm& unit : block.path) unit.freeze();
        if (block.shortcut) block.shortcut->freeze();
    }
}

std::string ResNet::append_to(GraphBuilder& graph) const {
    check(!frozen_, "[resnet] the model is frozen: export it before");
    const auto unit = [&graph](const std::string& x, const ConvNorm& u, const std::string& conv,
                               const std::string& norm) {
        return graph.batch_norm(graph.conv(x, conv, u.conv), norm, u.norm);
    };
    std::string x = graph.activation(unit(graph.input(), stem_, "conv1", "bn1"), relu_slope);
    if (!config_.small_stem) x = graph.max_pool(x, stem_pool);
    for (const Block& block : blocks_) {
        std::string y = x, skip = x;
        for (std::size_t i = 0; i < block.path.size(); ++i) {
            y = unit(y, block.path[i], fmt::format("{}.conv{}", block.name, i + 1),
                     fmt::format("{}.bn{}", block.name, i + 1));
            if (i + 1 < block.path.size()) y = graph.activation(y, relu_slope);
        }
        if (block.shortcut) skip = unit(x, *block.shortcut, block.name + ".downsample.0", block.name + ".downsample.1");
        x = graph.activation(graph.add("Add", {y, skip}), relu_slope);
    }
    return graph.linear(graph.add("Flatten", {graph.add("GlobalAveragePool", {x})}), "fc", fc_);
}

void ResNet::Block::visit(Visitor& v) {
    for (std::size_t i = 0; i < path.size(); ++i) {
        v.child(fmt::format("conv{}", i + 1), path[i].conv);
        v.child(fmt::format("bn{}", i + 1), path[i].norm);
    }
    if (!shortcut) return;
    v.child("downsample.0", shortcut->conv);
    v.child("downsample.1", shortcut->norm);
}

void ResNet::visit(Visitor& v) {
    check(!frozen_, "[resnet] the model is frozen: it has no state of its own any more");
    v.child("conv1", stem_.conv);
    v.child("bn1", stem_.norm);
    for (Block& block : blocks_) v.child(block.name, block);
    v.child("fc", fc_);
    for (AuxHead& head : aux_) v.child(head.name, head.linear);
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
