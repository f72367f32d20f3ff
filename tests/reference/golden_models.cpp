// Golden group `model`: whole networks, one forward and backward, then five optimizer steps.
#include <cmath>
#include <cstring>

#include "nn/box_loss.h"
#include "nn/checkpoint.h"
#include "nn/losses.h"
#include "nn/models/resnet.h"
#include "nn/models/single_box.h"
#include "nn/models/vit.h"
#include "optim/optimizer.h"
#include "tests/reference/golden_case.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

// What the checks need from any model: its names and a forward that gives all outputs that the case may hold.
struct Network {
    std::function<std::vector<Var>(const Var& images)> forward;
    std::function<void(bool)> set_training;
    std::function<void(Visitor&)> visit;
};

template <class Model, class Forward>
Network network_of(std::shared_ptr<Model> model, Forward forward) {
    return {[=](const Var& images) { return forward(*model, images); }, [=](bool on) { set_training(*model, on); },
            [=](Visitor& v) { model->visit(v); }};
}

struct State {
    std::map<std::string, Parameter*> params;
    std::map<std::string, Tensor*> buffers;
    std::map<std::string, std::int64_t*> counters;
    std::vector<std::string> param_order, buffer_order;  // as the model is visited
};

State state_of(const Network& net) {
    State s;
    Visitor v;
    v.on_parameter = [&](const std::string& name, Parameter& p) { s.params[name] = &p, s.param_order.push_back(name); };
    v.on_buffer = [&](const std::string& name, Tensor& t) { s.buffers[name] = &t, s.buffer_order.push_back(name); };
    v.on_counter = [&](const std::string& name, std::int64_t& n) {
        s.counters[name] = &n, s.buffer_order.push_back(name);
    };
    net.visit(v);
    return s;
}

// An object inside the arguments: what nobody read of it makes the case unsupported, like an argument at the top.
void all_read(const Args& args, const std::string& where) {
    if (!args.unread().empty()) throw Unsupported("argument " + where + "." + args.unread());
}

void expect_order(Case& c, const std::string& key, const std::vector<std::string>& got) {
    const auto want = c.args.at(key).get<std::vector<std::string>>();
    const auto [g, w] = std::mismatch(got.begin(), got.end(), want.begin(), want.end());
    if (g == got.end() && w == want.end()) return;
    throw std::runtime_error(fmt::format("{}: {} at position {}, expected {}", key, g == got.end() ? "nothing" : *g,
                                         g - got.begin(), w == want.end() ? "nothing" : *w));
}

// Whole, or by its digest when it is too large to store; both where the file has both.
void expect_if(Case& c, const std::string& name, const Tensor& value) {
    if (c.has(name)) c.expect(name, value);
    if (c.has("digest." + name)) c.expect_digest(name, value);
}

// The generator behind args.recipe: a hash of the name, then SplitMix64 (Steele et al. 2014).
Tensor recipe_tensor(const std::string& name, const Shape& shape, std::uint64_t seed, double lo, double hi) {
    std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
    for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    Tensor t(shape);
    for (std::int64_t i = 0; i < t.numel(); ++i) {
        std::uint64_t z = (hash ^ seed) + (static_cast<std::uint64_t>(i) + 1) * 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        z ^= z >> 31;
        t.mutable_data()[i] =
            static_cast<Real>(static_cast<float>(lo + (hi - lo) * (static_cast<double>(z >> 40) * 0x1p-24)));
    }
    return t;
}

// A tensor that the case starts from: stored as prefix + name, or built by the recipe.
Tensor initial(Case& c, const std::string& prefix, const std::string& name) {
    if (!c.args.has("recipe") || c.has(prefix + name)) return c.floats(prefix + name);
    const Args recipe(c.args.at("recipe"));
    const auto seed = recipe.at("seed").get<std::uint64_t>();
    const Json &ranges = recipe.at("tensors"), &shapes = c.args.at("shapes");
    all_read(recipe, "recipe");
    const bool images = name == "input.0";
    if (!ranges.contains(name) || (!images && !shapes.contains(name))) throw Unsupported("no recipe for " + name);
    const Shape shape(images ? c.args.integers("input_shape") : shapes.at(name).get<std::vector<std::int64_t>>());
    const Tensor t = recipe_tensor(name, shape, seed, ranges.at(name).at(0), ranges.at(name).at(1));
    if (c.has("digest." + prefix + name)) c.expect_digest(prefix + name, t);
    return t;
}

// The stored shape must be the one that the model gave itself: the arithmetic of its widths is part of the case.
Tensor fitting(const std::string& name, const Tensor& value, const Tensor& own) {
    if (value.shape() != own.shape())
        throw std::runtime_error(
            fmt::format("{}: the case has {}, the model {}", name, value.shape().str(), own.shape().str()));
    return value.clone();
}

void load(Case& c, State& s) {
    for (auto& [name, p] : s.params)
        p->value = fitting(name, from_torch_layout(initial(c, "param.", name), p->layout), p->value);
    for (auto& [name, b] : s.buffers) *b = fitting(name, initial(c, "buffer.", name), *b);
    for (auto& [name, n] : s.counters) *n = c.has("buffer." + name) ? c.index("buffer." + name).item() : 0;
}

void expect_buffers(Case& c, const State& s, const std::string& prefix) {
    for (const auto& [name, b] : s.buffers) expect_if(c, prefix + name, *b);
    for (const auto& [name, n] : s.counters)
        if (c.has(prefix + name)) c.expect_number(prefix + name, static_cast<double>(*n));
}

// "cross_entropy_mean" of the first output, "box_5_5_3" of the last, or several joined by " + ". The targets stand
// behind the images: classes are integers, boxes floating.
using Loss = std::function<LossValue(const std::vector<Var>& outputs)>;

Loss loss_of(Case& c) {
    std::string labels, boxes;
    for (int i = 1; c.has("input." + std::to_string(i)); ++i)
        (c.is_float("input." + std::to_string(i)) ? boxes : labels) = "input." + std::to_string(i);
    std::vector<std::function<std::vector<LossTerm>(const std::vector<Var>&)>> parts;
    std::string rest = c.args.text("loss");
    while (!rest.empty()) {
        const std::size_t end = rest.find(" + ");
        const std::string kind = rest.substr(0, end);
        rest = end == std::string::npos ? "" : rest.substr(end + 3);
        if (kind == "cross_entropy_mean" && !labels.empty()) {
            parts.push_back([target = c.index(labels)](const std::vector<Var>& out) {
                return std::vector<LossTerm>{{"cross_entropy", cross_entropy(out.front(), target), 1}};
            });
        } else if (kind == "box_5_5_3" && !boxes.empty()) {
            const Tensor t = c.floats(boxes);
            parts.push_back([target = t.reshaped({t.numel() / 4, 4})](const std::vector<Var>& out) {
                return box_loss(reshape(out.back(), target.shape().dims()), target, {}, {}).terms;
            });
        } else {
            throw Unsupported("loss " + kind);
        }
    }
    return [parts](const std::vector<Var>& outputs) {
        LossValue loss;
        for (const auto& part : parts)
            for (const LossTerm& term : part(outputs)) {
                const Var weighted = term.value * term.weight;
                loss.total = loss.total.defined() ? loss.total + weighted : weighted;
                loss.terms.push_back(term);
            }
        return loss;
    };
}

std::unique_ptr<Optimizer> optimizer_of(const std::string& kind, const Args& o, std::vector<Member> members) {
    if (kind == "sgd") return std::make_unique<Sgd>(std::move(members), Sgd::Config{o.number("momentum"), 0, false});
    if (kind != "adamw") throw Unsupported("optimizer " + kind);
    const Json& betas = o.at("betas");
    return std::make_unique<Adam>(
        std::move(members), Adam::Config{betas.at(0).get<double>(), betas.at(1).get<double>(), o.number("eps"), true});
}

void train(Case& c, const Network& net, const Loss& loss_fn, State& s, const Var& images, const std::string& kind) {
    load(c, s);
    std::set<std::string> decayed;
    for (const auto& name : c.args.at("decay")) decayed.insert(name.get<std::string>());
    std::vector<Member> members;
    const Args o(c.args.at("train").at(kind));
    const double lr = o.number("lr"), decay = o.number("weight_decay");
    for (auto& [name, p] : s.params) {
        check((p->kind == ParamKind::weight) == decayed.contains(name), "parameter {} would {}decay here", name,
              decayed.contains(name) ? "not " : "");
        members.push_back({{name, p}, {}, decayed.contains(name) ? decay : 0.0, 1});
    }
    const auto optimizer = optimizer_of(kind, o, std::move(members));
    all_read(o, "train." + kind);
    const std::int64_t steps = c.args.at("train").at("steps").get<std::int64_t>();
    Tensor curve(Shape{steps});
    for (std::int64_t step = 1; step <= steps; ++step) {
        optimizer->zero_grad();
        Tape tape;
        const LossValue loss = loss_fn(net.forward(images));
        curve.mutable_data()[step - 1] = loss.total.value().item();
        tape.backward(loss.total);
        optimizer->step(lr);
        for (const auto& [name, p] : s.params)
            expect_if(c, fmt::format("param_after.{}.{}.{}", kind, step, name), to_torch_layout(p->value, p->layout));
        expect_buffers(c, s, fmt::format("buffer_after.{}.{}.", kind, step));
    }
    expect_if(c, "output.loss_curve." + kind, curve);
}

void expect_evaluation(Case& c, const Network& net, const Loss& loss_fn, const Tensor& images) {
    const NoGrad quiet;
    const auto outputs = net.forward(nhwc_from_nchw(images));
    for (std::size_t i = 0; i < outputs.size(); ++i)
        expect_if(c, "output.eval." + std::to_string(i), outputs[i].value());
    if (c.has("output.eval.loss")) c.expect("output.eval.loss", loss_fn(outputs).total.value());
}

void expect_first_step(Case& c, const Network& net, const Loss& loss_fn, const State& s, Parameter& images) {
    for (auto& [name, p] : s.params) p->zero_grad();
    Tape tape;
    const auto outputs = net.forward(channels_last(tape.leaf(images)));
    const LossValue loss = loss_fn(outputs);
    for (std::size_t i = 0; i < outputs.size(); ++i) expect_if(c, "output." + std::to_string(i), outputs[i].value());
    expect_if(c, "output.loss", loss.total.value());
    if (c.has("output.decoded")) c.expect("output.decoded", sigmoid(Var(outputs.back().value())).value());
    if (c.has("output.terms")) {
        Tensor terms(Shape{static_cast<std::int64_t>(loss.terms.size())});
        for (std::size_t i = 0; i < loss.terms.size(); ++i)
            terms.mutable_data()[i] = loss.terms[i].value.value().item();
        c.expect("output.terms", terms);
    }
    tape.backward(loss.total);
    for (const auto& [name, p] : s.params) {
        const std::string key = "grad.param." + name;
        if (p->grad.defined())
            expect_if(c, key, to_torch_layout(p->grad, p->layout));
        else if (c.has(key) || c.has("digest." + key))
            throw std::runtime_error("no gradient reached " + name);
    }
    expect_if(c, "grad.input.0", images.grad);
    expect_buffers(c, s, "buffer_after.");
}

void run_network(Case& c, const Network& net) {
    const Loss loss_fn = loss_of(c);
    State s = state_of(net);
    expect_order(c, "params", s.param_order);
    expect_order(c, "buffers", s.buffer_order);
    load(c, s);
    Parameter images(initial(c, "", "input.0"));
    net.set_training(false);
    expect_evaluation(c, net, loss_fn, images.value);
    net.set_training(true);
    expect_first_step(c, net, loss_fn, s, images);
    const Var batch(nhwc_from_nchw(images.value));
    for (const auto& [kind, how] : c.args.at("train").items())
        if (kind != "steps") train(c, net, loss_fn, s, batch, kind);
}

// Height and width of the images; where the architecture states them too, they are the same.
Pair image_size(Case& c, const Args& arch) {
    const Shape images = initial(c, "", "input.0").shape();
    if (images.rank() != 4 || images[1] != 3) throw Unsupported("images of shape " + images.str());
    const Pair size{images[2], images[3]};
    if (arch.has("image") && (arch.pair("image").h != size.h || arch.pair("image").w != size.w))
        throw Unsupported("images of another size than arch.image");
    return size;
}

void run_single_box(Case& c, const Args& arch, const SingleBoxConfig& config) {
    arch.ignore({"family"});  // the op says it too
    all_read(arch, "arch");
    run_network(c, network_of(std::make_shared<SingleBox>(config, 0),
                              [](SingleBox& m, const Var& x) { return std::vector<Var>{m(x)}; }));
}

void tiny_case(Case& c) {
    const Args arch(c.args.at("arch"));
    SingleBoxConfig config;
    config.name = "tiny";
    for (const std::int64_t width : arch.integers("widths")) {
        config.trunk.push_back({width});
        config.trunk.push_back({0, 2, 2, true});
    }
    const std::string norm = arch.text("norm");
    if (norm != "gn" && norm != "bn") throw Unsupported("arch.norm " + norm);
    config.norm = norm == "gn" ? NormKind::group : NormKind::batch;
    if (arch.has("groups")) config.groups = arch.integer("groups");
    config.hidden = arch.integer("hidden");
    config.slope = arch.number("leaky");
    config.image = image_size(c, arch);
    run_single_box(c, arch, config);
}

TrunkRow toy_row(const Json& json) {
    const Args row(json);
    const std::string type = row.text("type");
    const std::int64_t kernel = row.integer("k"), stride = row.integer("s");
    row.ignore({"index", "cin"});  // follow from the rows before; the names and shapes of the parameters check them
    TrunkRow out{0, 2, 2, true};
    if (type == "conv") {
        out = {row.integer("cout"), kernel, stride};
        if (row.integer("pad") != kernel / 2) throw Unsupported("arch.layers with a padding other than k / 2");
    } else if (type != "maxpool" || kernel != 2 || stride != 2) {
        throw Unsupported(fmt::format("arch.layers of type {} with k {} and s {}", type, kernel, stride));
    }
    all_read(row, "arch.layers");
    return out;
}

void toy_case(Case& c) {
    const Args arch(c.args.at("arch"));
    SingleBoxConfig config;
    config.name = "toy";
    const std::string naming = arch.text("naming");
    if (naming != "flat" && naming != "nested") throw Unsupported("arch.naming " + naming);
    config.nested_names = naming == "nested";
    config.norm = NormKind::none;
    config.hidden = arch.integer("hidden");
    config.slope = arch.number("leaky");
    config.image = image_size(c, arch);
    for (const Json& layer : arch.at("layers")) config.trunk.push_back(toy_row(layer));
    arch.ignore({"divisor"});  // the rows have their widths
    run_single_box(c, arch, config);
}

void resnet_case(Case& c) {
    const Args arch(c.args.at("arch"));
    ResNetConfig config;
    const std::string block = arch.text("block");
    if (block != "BasicBlock" && block != "Bottleneck") throw Unsupported("arch.block " + block);
    config.block = block == "Bottleneck" ? ResidualBlockKind::bottleneck : ResidualBlockKind::basic;
    const auto layers = arch.integers("layers");
    if (layers.size() != config.layers.size())
        throw Unsupported(fmt::format("a residual network of {} stages", layers.size()));
    std::copy(layers.begin(), layers.end(), config.layers.begin());
    config.classes = arch.integer("num_classes");
    config.planes = arch.integer("base_planes");
    config.groups = arch.integer("groups");
    config.width_per_group = arch.integer("width_per_group");
    image_size(c, arch);
    arch.ignore({"family"});
    all_read(arch, "arch");
    run_network(c, network_of(std::make_shared<ResNet>(config, 0),
                              [](ResNet& m, const Var& x) { return std::vector<Var>{m(x)}; }));
}

void vit_case(Case& c) {
    const Args arch(c.args.at("arch"));
    VitDetConfig config;
    config.image = image_size(c, arch);
    config.patch = arch.integer("patch");
    config.dim = arch.integer("dim");
    config.heads = arch.integer("heads");
    config.mlp = arch.integer("mlp");
    config.layers = arch.integer("layers");
    config.det_tokens = arch.integer("det_tokens");
    config.classes = arch.integer("num_classes");
    config.eps = arch.number("ln_eps_block");
    const std::string form = arch.text("gelu");
    if (form != "erf") throw Unsupported("arch.gelu " + form);
    arch.ignore({"family"});
    all_read(arch, "arch");
    run_network(c, network_of(std::make_shared<VitDet>(config, 0), [](VitDet& m, const Var& x) {
                    const VitDetOutput out = m(x);
                    return std::vector<Var>{out.classes, out.boxes};
                }));
}

const bool models_registered = [] {
    adapters()["model.tiny_box"] = tiny_case;
    adapters()["model.toy_yolo"] = toy_case;
    adapters()["model.resnet"] = resnet_case;
    adapters()["model.vit_det"] = vit_case;
    return true;
}();

}  // namespace
}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
