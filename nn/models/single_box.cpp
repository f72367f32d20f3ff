#include "nn/models/single_box.h"

#include <cmath>

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

constexpr TrunkRow pool_row{0, 2, 2, true};

std::string head_name(const SingleBoxConfig& c) { return c.dropout > 0 ? "fc.4" : "fc.3"; }

// The trunk under PyTorch's names: a sequence counts every module, or one entry a row.
Sequence trunk_of(const SingleBoxConfig& c) {
    Sequence trunk;
    int index = 0;
    const auto next = [&] { return fmt::format("feat.{}", index++); };
    for (std::size_t i = 0; i < c.trunk.size(); ++i) {
        const TrunkRow& row = c.trunk[i];
        if (row.pool) {
            trunk.add(MaxPoolBlock(next(), {}));
            continue;
        }
        ConvBlock::Plan plan;
        plan.out = row.out, plan.kernel = row.kernel, plan.stride = row.stride;
        plan.kind = c.norm, plan.norm_groups = c.groups, plan.act = Act::leaky_relu(c.slope);
        plan.recompute = c.recompute && i + 1 < c.trunk.size() && c.trunk[i + 1].pool;
        const bool normed = c.norm != NormKind::none;
        std::string shown;
        if (c.nested_names) {
            shown = next();
            plan.conv = shown + ".0", plan.norm = shown + ".1", plan.act_row = shown + (normed ? ".2" : ".1");
        } else {
            plan.conv = next();
            if (normed) plan.norm = next();
            shown = plan.act_row = next();
        }
        trunk.add(ConvBlock(plan)).shown = shown;
    }
    return trunk;
}

LinearBlock hidden_of(const SingleBoxConfig& c) { return {"fc.1", c.hidden, "fc.2", Act::leaky_relu(c.slope)}; }
LinearBlock head_of(const SingleBoxConfig& c) { return {head_name(c), c.outputs}; }
LinearBlock aux_of(const SingleBoxConfig& c) { return {"aux_class", c.classes}; }

const SingleBoxConfig& validated(const SingleBoxConfig& c) {
    const auto require = [](bool ok, const std::string& message) {
        if (!ok) throw ConfigError(message);
    };
    require(!c.trunk.empty(), "the trunk has no rows");
    for (const std::int64_t side : {c.image.h, c.image.w})
        require(side >= 1 && side <= 4096, fmt::format("image={}: expected 1 to 4096 pixels", side));
    require(c.hidden >= 1 && c.hidden <= 1 << 20, fmt::format("hidden={}: expected at least 1", c.hidden));
    require(c.groups >= 1, fmt::format("groups={}: expected at least 1", c.groups));
    require(c.dropout >= 0 && c.dropout < 1, fmt::format("dropout={}: expected 0 <= p < 1", c.dropout));
    (void)describe(c);
    return c;
}

}  // namespace

SingleBoxConfig tiny_config() {
    SingleBoxConfig c;
    c.name = "tiny";
    for (const std::int64_t width : {16, 32, 64, 128, 256}) {
        c.trunk.push_back({width});
        c.trunk.push_back(pool_row);
    }
    return c;
}

SingleBoxConfig toy_config(double width_mult) {
    if (!(width_mult > 0 && width_mult <= 4))
        throw ConfigError(fmt::format("width_mult={}: expected 0 < width_mult <= 4", width_mult));
    SingleBoxConfig c;
    c.name = "toy";
    c.nested_names = true;
    c.image = {448, 448};
    c.hidden = 4096;
    c.norm = NormKind::none;
    const auto conv = [&](std::int64_t out, std::int64_t kernel, std::int64_t stride = 1) {
        const auto width = static_cast<std::int64_t>(std::lround(static_cast<double>(out) * width_mult));
        c.trunk.push_back({std::max<std::int64_t>(1, width), kernel, stride});
    };
    conv(192, 7, 2);
    c.trunk.push_back(pool_row);
    conv(256, 3);
    c.trunk.push_back(pool_row);
    conv(128, 1), conv(256, 3), conv(256, 1), conv(512, 3);
    c.trunk.push_back(pool_row);
    for (int i = 0; i < 4; ++i) conv(256, 1), conv(512, 3);
    conv(512, 1), conv(1024, 3);
    c.trunk.push_back(pool_row);
    for (int i = 0; i < 2; ++i) conv(512, 1), conv(1024, 3);
    conv(1024, 3), conv(1024, 3, 2), conv(1024, 3), conv(1024, 3);
    return c;
}

std::vector<LayerRow> describe(const SingleBoxConfig& c) {
    std::vector<LayerRow> rows;
    const Shape map = trunk_of(c).describe({c.image.h, c.image.w, 3}, rows);
    const Shape x = hidden_of(c).describe(FlattenBlock("fc.0").describe(map, rows), rows);
    if (c.dropout > 0) rows.push_back({"fc.3", fmt::format("dropout {}", c.dropout), x, x});
    head_of(c).describe(x, rows);
    if (c.classes > 0) aux_of(c).describe(x, rows);
    return rows;
}

SingleBox::SingleBox(const SingleBoxConfig& config, std::uint64_t seed)
    : config_(validated(config)),
      trunk_(trunk_of(config)),
      flatten_("fc.0"),
      hidden_(hidden_of(config)),
      head_(head_of(config)),
      aux_class_(aux_of(config)) {
    Initializer init(seed);
    const Shape map = trunk_.build({config_.image.h, config_.image.w, 3}, init);
    const Shape x = hidden_.build(flatten_.build(map, init), init);
    head_.build(x, init);
    if (config_.classes > 0) aux_class_.build(x, init);
}

Var SingleBox::operator()(const Var& images, const RandomKey& key) {
    const Var raw = head_.run(features(images, key));
    if (observed()) observe("raw", raw.value());
    return raw;
}

Answers SingleBox::answers(const Var& images, const RandomKey& key) {
    const Var x = features(images, key);
    Answers out{{{"raw", head_.run(x)}}};
    if (observed()) observe("raw", out.main().value());
    if (config_.classes > 0) out.named.emplace_back("aux_class", aux_class_.run(x));
    return out;
}

Var SingleBox::features(const Var& images, const RandomKey& key) {
    check(images.rank() == 4 && images.dim(3) == 3, "[single_box] images are {}, expected (N, H, W, 3)",
          images.shape().str());
    Var x = flatten_.run(trunk_.run(images));
    if (between_trunk_and_head) x = between_trunk_and_head(x);
    if (observed()) observe("features", x.value());
    x = hidden_.run(x);
    if (observed()) observe("fc.2", x.value());
    return dropout(x, config_.dropout, training_, key);
}

void SingleBox::visit(Visitor& v) {
    check(!frozen_, "[single_box] the model is frozen: it has no state of its own any more");
    trunk_.visit(v);
    for (Module* block : std::initializer_list<Module*>{&hidden_, &head_, &aux_class_}) block->visit(v);
    v.mode(training_);
}

void SingleBox::freeze() {
    training_ = false;
    frozen_ = true;
    trunk_.freeze();
}

std::string SingleBox::append_to(GraphBuilder& graph) const {
    check(!frozen_, "[single_box] the model is frozen: export it before");
    const std::string x = flatten_.append_to(graph, trunk_.append_to(graph, graph.input()));
    return head_.append_to(graph, hidden_.append_to(graph, x));
}

void SingleBox::set_head_bias(const std::vector<double>& bias) {
    check(std::ssize(bias) == config_.outputs, "[single_box] {} biases for a head of {} outputs", bias.size(),
          config_.outputs);
    for (std::size_t i = 0; i < bias.size(); ++i)
        head_.linear.bias.value.mutable_data()[i] = static_cast<Real>(bias[i]);
}

void SingleBox::set_head_normal(double deviation, std::uint64_t seed) {
    head_.linear.weight.value =
        normal(head_.linear.weight.value.shape(), 0, deviation, Random({seed, Stream::init, 0, 0, 0xFFFF}));
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
