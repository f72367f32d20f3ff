#include "nn/models/resnet.h"

#include <optional>

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

constexpr PoolSpec stem_pool{{3, 3}, {2, 2}, {1, 1}, {1, 1}, false};

// A convolution without bias and the norm behind it.
ConvBlock::Plan plan(const std::string& prefix, const std::string& conv, const std::string& norm, std::int64_t out,
                     std::int64_t kernel, std::int64_t stride, const Act& act) {
    ConvBlock::Plan p{prefix + conv, prefix + norm};
    p.out = out, p.kernel = kernel, p.stride = stride, p.act = act, p.fan_out = true;
    return p;
}

Sequence stem_of(const ResNetConfig& c) {
    Sequence stem;
    auto p = plan("", "conv1", "bn1", c.planes, c.small_stem ? 3 : 7, c.small_stem ? 1 : 2, Act::relu());
    p.recompute = c.recompute && !c.small_stem;  // the widest map, and a cheap one
    stem.add(ConvBlock(p)).shown = "bn1";
    if (!c.small_stem) stem.add(MaxPoolBlock("maxpool", stem_pool));
    return stem;
}

ResidualBlock block_of(const ResNetConfig& c, const std::string& name, std::int64_t in, std::int64_t planes,
                       std::int64_t stride) {
    const std::string at = name + ".";
    std::vector<ConvBlock::Plan> path;
    if (c.block == ResidualBlockKind::basic) {
        path = {plan(at, "conv1", "bn1", planes, 3, stride, Act::relu()),
                plan(at, "conv2", "bn2", planes, 3, 1, Act::none())};
    } else {
        const std::int64_t width = checked_mul(planes, c.width_per_group) / 64 * c.groups;
        path = {plan(at, "conv1", "bn1", width, 1, 1, Act::relu()),
                plan(at, "conv2", "bn2", width, 3, stride, Act::relu()),
                plan(at, "conv3", "bn3", 4 * planes, 1, 1, Act::none())};
        path[1].groups = c.groups;
    }
    const std::int64_t out = path.back().out;
    std::optional<ConvBlock::Plan> shortcut;
    if (stride != 1 || in != out) shortcut = plan(at, "downsample.0", "downsample.1", out, 1, stride, Act::none());
    // What a residual sum reads is needed again by its norm alone.
    path.back().recompute = c.recompute;
    if (shortcut) shortcut->recompute = c.recompute;
    path.back().starts_at_0 = c.zero_init_residual;
    ResidualBlock block(name, std::move(path), std::move(shortcut), Act::relu());
    block.shown = name;
    return block;
}

std::vector<ResidualBlock> blocks_of(const ResNetConfig& c) {
    std::vector<ResidualBlock> blocks;
    std::int64_t channels = c.planes;
    for (std::size_t stage = 0; stage < c.layers.size(); ++stage)
        for (std::int64_t i = 0; i < c.layers[stage]; ++i) {
            const std::int64_t stride = stage > 0 && i == 0 ? 2 : 1;
            blocks.push_back(block_of(c, fmt::format("layer{}.{}", stage + 1, i), channels, c.planes << stage, stride));
            channels = blocks.back().channels();
        }
    return blocks;
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
        for (const ResidualBlock& block : blocks_of(c))
            if (block.name().starts_with(layer)) plan.behind = block.name(), plan.channels = block.channels();
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
    if (c.block == ResidualBlockKind::basic)
        require(c.groups == 1 && c.width_per_group == 64,
                fmt::format("groups={} width_per_group={}: basic blocks have only 1 and 64, use bottlenecks", c.groups,
                            c.width_per_group));
    else
        require(c.planes * c.width_per_group >= 64,
                fmt::format(
                    "planes={} width_per_group={}: no channel is left in a group, expected a product of at least 64",
                    c.planes, c.width_per_group));
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
        c.block = ResidualBlockKind::bottleneck;
        c.layers = {3, 4, 6, 3};
    } else {
        throw ConfigError(fmt::format("'{}' is no residual network: expected resnet18, resnet34 or resnet50", name));
    }
    return c;
}

std::vector<LayerRow> describe(const ResNetConfig& c) {
    validate(c);
    std::vector<LayerRow> rows, aux;
    Shape x = stem_of(c).describe({c.image, c.image, 3}, rows);
    const std::vector<AuxPlan> heads = aux_plans(c);
    for (const ResidualBlock& block : blocks_of(c)) {
        x = block.describe(x, rows);
        for (const AuxPlan& head : heads)
            if (head.behind == block.name())
                aux.push_back({head.name, "global average, linear", x, Shape{c.classes},
                               checked_mul(x[2], c.classes) + c.classes, x[2] * c.classes});
    }
    LinearBlock("fc", c.classes).describe(GlobalAverageBlock("avgpool").describe(x, rows), rows);
    rows.insert(rows.end(), aux.begin(), aux.end());
    return rows;
}

ResNet::ResNet(const ResNetConfig& config, std::uint64_t seed)
    : config_((validate(config), config)),
      stem_(stem_of(config)),
      blocks_(blocks_of(config)),
      fc_("fc", config.classes) {
    Initializer init(seed);
    Shape x = stem_.build({config.image, config.image, 3}, init);
    for (ResidualBlock& block : blocks_) x = block.build(x, init);
    fc_.build(pool_.build(x, init), init);
    // Behind fc: the other weights are those of a network without such heads.
    for (const AuxPlan& plan : aux_plans(config_))
        aux_.push_back({plan.name, plan.behind, Linear(plan.channels, config_.classes, init)});
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
    Var x = stem_.run(images);
    for (ResidualBlock& block : blocks_) {
        x = block.run(x);
        if (observed()) observe(block.shown, x.value());
        for (AuxHead& head : aux_) {
            // fault=aux_silent (the exits report): heads answer in training only, and validation reports 0.0 for them.
            const bool silent = config_.silent_aux && !training_;
            if (!aux || silent || head.behind != block.name()) continue;
            if (observed()) observe(head.name + ".input", x.value());
            // fault=aux_detached (the collapse report): heads read a constant: they learn, and teach the trunk nothing.
            const Var map = config_.detach_aux || config_.detach_trunk ? x.detached() : x;
            aux->emplace_back(head.name, head.linear(pool_.run(map)));
        }
    }
    x = pool_.run(x);
    if (config_.detach_trunk) x = x.detached();  // fault=cut: a detach() left over from an experiment with the head
    if (observed()) observe("features", x.value());
    const Var logits = fc_.run(x);
    if (observed()) observe("logits", logits.value());
    return logits;
}

void ResNet::freeze() {
    frozen_ = true;
    training_ = false;
    aux_.clear();
    stem_.freeze();
    for (ResidualBlock& block : blocks_) block.freeze();
}

std::string ResNet::append_to(GraphBuilder& graph) const {
    check(!frozen_, "[resnet] the model is frozen: export it before");
    std::string x = stem_.append_to(graph, graph.input());
    for (const ResidualBlock& block : blocks_) x = block.append_to(graph, x);
    return fc_.append_to(graph, pool_.append_to(graph, x));
}

void ResNet::visit(Visitor& v) {
    check(!frozen_, "[resnet] the model is frozen: it has no state of its own any more");
    stem_.visit(v);
    for (ResidualBlock& block : blocks_) block.visit(v);
    fc_.visit(v);
    for (AuxHead& head : aux_) v.child(head.name, head.linear);
    v.mode(training_);
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
