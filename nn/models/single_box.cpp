#include "nn/models/single_box.h"

#include <cmath>
#include <numeric>

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

constexpr TrunkRow pool_row{0, 2, 2, true};

// Where one trunk row's modules stand in PyTorch's sequence.
struct RowNames {
    std::string conv, norm, act, pool;
};
std::vector<RowNames> row_names(const SingleBoxConfig& c) {
    std::vector<RowNames> names;
    int index = 0;
    const auto next = [&] { return fmt::format("feat.{}", index++); };
    const bool normed = c.norm != NormKind::none;
    for (const TrunkRow& row : c.trunk) {
        RowNames n;
        if (row.pool) {
            n.pool = next();
        } else if (c.nested_names) {
            const std::string base = next();
            n = {base + ".0", normed ? base + ".1" : "", base, ""};
        } else {
            n.conv = next();
            if (normed) n.norm = next();
            n.act = next();
        }
        names.push_back(n);
    }
    return names;
}

std::string head_name(const SingleBoxConfig& c) { return c.dropout > 0 ? "fc.4" : "fc.3"; }

void validate(const SingleBoxConfig& c) {
    const auto require = [](bool ok, const std::string& message) {
        if (!ok) throw ConfigError(message);
    };
    require(!c.trunk.empty(), "the trunk has no rows");
    require(c.image >= 1 && c.image <= 4096, fmt::format("image={}: expected 1 to 4096 pixels", c.image));
    require(c.hidden >= 1 && c.hidden <= 1 << 20, fmt::format("hidden={}: expected at least 1", c.hidden));
    require(c.groups >= 1, fmt::format("groups={}: expected at least 1", c.groups));
    require(c.dropout >= 0 && c.dropout < 1, fmt::format("dropout={}: expected 0 <= p < 1", c.dropout));
    require(describe(c).size() > 0, "");
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
    c.image = 448;
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
    const bool normed = c.norm != NormKind::none;
    const auto names = row_names(c);
    std::vector<LayerRow> rows;
    std::int64_t side = c.image, channels = 3;
    for (std::size_t i = 0; i < c.trunk.size(); ++i) {
        const TrunkRow& row = c.trunk[i];
        const Shape in{side, side, channels};
        if (row.pool) {
            side = side < 2 ? 0 : (side - 2) / 2 + 1;
        } else {
            side = (side + 2 * (row.kernel / 2) - row.kernel) / row.stride + 1;
            channels = row.out;
        }
        if (side < 1)
            throw ConfigError(fmt::format("image={} is too small: nothing is left after {} ({}): use a larger image",
                                          c.image, names[i].pool + names[i].conv, c.name));
        const Shape out{side, side, channels};
        if (row.pool) {
            rows.push_back({names[i].pool, "maxpool 2x2", in, out});
            continue;
        }
        const std::int64_t weights = checked_mul(row.kernel * row.kernel * in[2], channels);
        rows.push_back({names[i].conv, fmt::format("conv {}x{} s{}", row.kernel, row.kernel, row.stride), in, out,
                        weights + (normed ? 0 : channels), checked_mul(weights, side * side), row.kernel, row.stride,
                        row.kernel / 2});
        if (normed)
            rows.push_back(
                {names[i].norm,
                 c.norm == NormKind::batch ? "batchnorm" : fmt::format("groupnorm({})", std::gcd(c.groups, channels)),
                 out, out, 2 * channels});
        rows.push_back({c.nested_names ? fmt::format("{}.{}", names[i].act, normed ? 2 : 1) : names[i].act, "leakyrelu",
                        out, out});
    }
    const std::int64_t flat = checked_mul(side * side, channels);
    rows.push_back({"fc.0", "flatten C,H,W", Shape{side, side, channels}, Shape{flat}});
    rows.push_back(
        {"fc.1", "linear", Shape{flat}, Shape{c.hidden}, checked_mul(flat, c.hidden) + c.hidden, flat * c.hidden});
    rows.push_back({"fc.2", "leakyrelu", Shape{c.hidden}, Shape{c.hidden}});
    if (c.dropout > 0) rows.push_back({"fc.3", fmt::format("dropout {}", c.dropout), Shape{c.hidden}, Shape{c.hidden}});
    rows.push_back({head_name(c), "linear", Shape{c.hidden}, Shape{c.outputs}, c.outputs * c.hidden + c.outputs,
                    c.outputs * c.hidden});
    if (c.classes > 0)
        rows.push_back({"aux_class", "linear", Shape{c.hidden}, Shape{c.classes}, c.classes * c.hidden + c.classes,
                        c.classes * c.hidden});
    return rows;
}

SingleBox::SingleBox(const SingleBoxConfig& config, std::uint64_t seed)
    : config_(config), head_name_(head_name(config)) {
    validate(config_);
    Initializer init(seed);
    const auto names = row_names(config_);
    std::int64_t channels = 3, side = config_.image;
    for (std::size_t i = 0; i < config_.trunk.size(); ++i) {
        const TrunkRow& row = config_.trunk[i];
        Block block;
        block.pool = row.pool;
        if (!row.pool) {
            ConvSpec spec{{row.stride, row.stride}, {row.kernel / 2, row.kernel / 2}, {1, 1}, 1};
            spec.recompute = config_.recompute && i + 1 < config_.trunk.size() && config_.trunk[i + 1].pool;
            block.conv = Conv2d(channels, row.out, row.kernel, spec, config_.norm == NormKind::none, init);
            channels = row.out;
            if (config_.norm == NormKind::batch) block.batch_norm.emplace(channels);
            if (config_.norm == NormKind::group) block.group_norm.emplace(std::gcd(config_.groups, channels), channels);
            side = (side + 2 * (row.kernel / 2) - row.kernel) / row.stride + 1;
        } else {
            side = (side - 2) / 2 + 1;
        }
        block.conv_name = names[i].conv;
        block.norm_name = names[i].norm;
        block.act_name = row.pool ? names[i].pool : names[i].act;
        blocks_.push_back(std::move(block));
    }
    map_ = side;
    hidden_ = Linear(side * side * channels, config_.hidden, init);
    head_ = Linear(config_.hidden, config_.outputs, init);
    if (config_.classes > 0) aux_class_ = Linear(config_.hidden, config_.classes, init);
}

Var SingleBox::operator()(const Var& images, const RandomKey& key) {
    const Var raw = head_(features(images, key));
    if (observed()) observe("raw", raw.value());
    return raw;
}

Answers SingleBox::answers(const Var& images, const RandomKey& key) {
    const Var x = features(images, key);
    Answers out{{{"raw", head_(x)}}};
    if (observed()) observe("raw", out.main().value());
    if (config_.classes > 0) out.named.emplace_back("aux_class", aux_class_(x));
    return out;
}

Var SingleBox::features(const Var& images, const RandomKey& key) {
    check(images.rank() == 4 && images.dim(3) == 3, "[single_box] images are {}, expected (N, H, W, 3)",
          images.shape().str());
    Var x = images;
    for (Block& block : blocks_) {
        if (block.pool) {
            x = max_pool2d(x);
            continue;
        }
        x = block.conv(x);
        if (block.batch_norm)
            x = (*block.batch_norm)(x, config_.slope);
        else if (block.group_norm)
            x = (*block.group_norm)(x, config_.slope);
        else
            x = leaky_relu(x, config_.slope);
        if (observed()) observe(block.act_name, x.value());
    }
    x = flatten_chw(adaptive_avg_pool2d(x, {map_, map_}));
    if (between_trunk_and_head) x = between_trunk_and_head(x);
    if (observed()) observe("features", x.value());
    x = leaky_relu(hidden_(x), config_.slope);
    if (observed()) observe("fc.2", x.value());
    return dropout(x, config_.dropout, training_, key);
}

void SingleBox::visit(Visitor& v) {
    check(!frozen_, "[single_box] the model is frozen: it has no state of its own any more");
    for (Block& block : blocks_) {
        if (block.pool) continue;
        v.child(block.conv_name, block.conv);
        if (block.batch_norm) v.child(block.norm_name, *block.batch_norm);
        if (block.group_norm) v.child(block.norm_name, *block.group_norm);
    }
    v.child("fc.1", hidden_);
    v.child(head_name_, head_);
    v.child("aux_class", aux_class_);
    v.mode(training_);
}

void SingleBox::freeze() {
    training_ = false;
    frozen_ = true;
    for (Block& block : blocks_) {
        if (block.batch_norm) fold(block.conv, *block.batch_norm);
        block.batch_norm.reset();
        if (!block.pool) block.conv.freeze();
    }
}

std::string SingleBox::append_to(GraphBuilder& graph) const {
    check(!frozen_, "[single_box] the model is frozen: export it before");
    std::string x = graph.input();
    for (const Block& block : blocks_) {
        if (block.pool) {
            x = graph.max_pool(x, {});
            continue;
        }
        x = graph.conv(x, block.conv_name, block.conv);
        if (block.batch_norm) x = graph.batch_norm(x, block.norm_name, *block.batch_norm);
        if (block.group_norm) x = graph.group_norm(x, block.norm_name, *block.group_norm);
        x = graph.activation(x, config_.slope);
    }
    x = graph.add("Flatten", {x});
    x = graph.activation(graph.linear(x, "fc.1", hidden_), config_.slope);
    return graph.linear(x, head_name_, head_);
}

void SingleBox::set_head_bias(const std::vector<double>& bias) {
    check(std::ssize(bias) == config_.outputs, "[single_box] {} biases for a head of {} outputs", bias.size(),
          config_.outputs);
    for (std::size_t i = 0; i < bias.size(); ++i) head_.bias.value.mutable_data()[i] = static_cast<Real>(bias[i]);
}

void SingleBox::set_head_normal(double deviation, std::uint64_t seed) {
    head_.weight.value = normal(head_.weight.value.shape(), 0, deviation, Random({seed, Stream::init, 0, 0, 0xFFFF}));
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
