// Golden group `ops`: what each op is called here, and how its arguments are spelled there.
#include "tests/reference/golden_case.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

using Binary = Var (*)(const Var&, const Var&);
using Unary = Var (*)(const Var&);

void binary(Case& c, const char* scalar_name, Binary f) {
    const Var right = c.args.has(scalar_name) ? scalar(c.args.number(scalar_name)) : c.input(1);
    c.output(0, f(c.input(0), right));
}

Axes axes_of(const Case& c, const char* key = "dim") {
    if (!c.args.has(key)) return {};
    const Json& dim = c.args.at(key);
    if (dim.is_number()) return {dim.get<int>()};
    return dim.get<Axes>();
}
bool keepdim(const Case& c) { return c.args.has("keepdim") && c.args.flag("keepdim"); }

// Everything reduced: PyTorch's keepdim does not apply to max() and min() without a dim.
void extremum(Case& c, bool largest) {
    if (!c.args.has("dim")) {
        c.args.ignore({"keepdim"});
        c.output(0, largest ? amax(c.input(0)) : amin(c.input(0)));
        return;
    }
    const int dim = c.args.at("dim").get<int>();
    const auto reduce = largest ? static_cast<std::pair<Var, IndexTensor> (*)(const Var&, int, bool)>(max) : min;
    const auto [values, indices] = reduce(c.input(0), dim, keepdim(c));
    c.output(0, values);
    c.output(1, indices);
}

void argmax_case(Case& c) {
    if (c.args.has("dim")) {
        c.output(0, argmax(c.input(0).value(), c.args.at("dim").get<int>(), keepdim(c)));
        return;
    }
    const Tensor x = c.input(0).value();
    const IndexTensor flat = argmax(x.reshaped(Shape{x.numel()}), 0);
    c.output(0, flat.reshaped(keepdim(c) ? Shape(std::vector<std::int64_t>(static_cast<std::size_t>(x.rank()), 1))
                                         : Shape{}));
}

std::vector<Var> operands(Case& c) {
    std::vector<Var> all;
    for (int i = 0; i < c.inputs(); ++i) all.push_back(c.input(i));
    return all;
}

void slice_case(Case& c) {
    Var y = c.input(0);
    for (const Json& s : c.args.at("slices")) {
        const auto bound = [&](const char* key) -> std::optional<std::int64_t> {
            if (!s.contains(key) || s.at(key).is_null()) return {};
            return s.at(key).get<std::int64_t>();
        };
        y = slice(y, {s.at("dim").get<int>(), bound("start"), bound("end"), bound("step").value_or(1)});
    }
    c.output(0, y);
}

void split_case(Case& c) {
    const Json& how = c.args.at("split_size_or_sections");
    const int dim = static_cast<int>(c.args.integer("dim"));
    const auto parts = how.is_number() ? split(c.input(0), how.get<std::int64_t>(), dim)
                                       : split(c.input(0), how.get<std::vector<std::int64_t>>(), dim);
    for (std::size_t i = 0; i < parts.size(); ++i) c.output(static_cast<int>(i), parts[i]);
}

void interpolate_case(Case& c) {
    InterpolateSpec spec;
    if (c.args.has("size")) spec.size = c.args.pair("size");
    if (c.args.has("scale_factor")) {
        const Json& factor = c.args.at("scale_factor");
        spec.scale_h = (factor.is_array() ? factor.at(0) : factor).get<double>();
        spec.scale_w = (factor.is_array() ? factor.at(1) : factor).get<double>();
    }
    const std::string mode = c.args.text("mode");
    if (mode != "nearest" && mode != "bilinear") throw Unsupported("mode " + mode);
    spec.mode = mode == "nearest" ? Resample::nearest : Resample::bilinear;
    spec.align_corners = c.args.has("align_corners") && c.args.flag("align_corners");
    c.output(0, channels_first(interpolate(channels_last(c.input(0)), spec)));
}

void attention_case(Case& c) {
    const Var q = c.input(0), k = c.input(1), v = c.input(2);
    const double scale = c.args.has("scale") ? c.args.number("scale") : 1 / std::sqrt(static_cast<double>(q.dim(-1)));
    Var scores = matmul(q, transpose(k, -2, -1)) * scale;
    if (c.inputs() > 3) scores = scores + c.input(3);
    if (c.args.has("is_causal") && c.args.flag("is_causal")) {
        Tensor mask(Shape{q.dim(-2), k.dim(-2)});
        for (std::int64_t i = 0; i < mask.numel(); ++i)
            mask.mutable_data()[i] = i % k.dim(-2) > i / k.dim(-2) ? -std::numeric_limits<Real>::infinity() : Real(0);
        scores = scores + Var(mask);
    }
    c.output(0, matmul(softmax(scores, -1), v));
}

void chain_case(Case& c) {
    Var x = c.input(0);
    for (const Json& step : c.args.at("ops")) {
        const auto adapter = adapters().find(step.at("op").get<std::string>());
        if (adapter == adapters().end()) throw Unsupported("op " + step.at("op").get<std::string>());
        Case one(c, step.value("args", Json::object()), {x});
        adapter->second(one);
        if (!one.args.unread().empty()) throw Unsupported("argument " + one.args.unread());
        x = one.result();
    }
    c.output(0, x);
}

void clamp_case(Case& c) {
    const double inf = std::numeric_limits<double>::infinity();
    const double lo = c.args.has("min") ? c.args.number("min") : -inf,
                 hi = c.args.has("max") ? c.args.number("max") : inf;
    c.output(0, clamp(c.input(0), lo, hi));
}

void unary(const char* op, Unary f) {
    adapters()[op] = [f](Case& c) { c.output(0, f(c.input(0))); };
}

const bool ops_registered = [] {
    auto& a = adapters();
    a["add"] = [](Case& c) { binary(c, "other", add); };
    a["sub"] = [](Case& c) { binary(c, "other", sub); };
    a["mul"] = [](Case& c) { binary(c, "other", mul); };
    a["div"] = [](Case& c) { binary(c, "other", div); };
    a["pow"] = [](Case& c) { binary(c, "exponent", pow); };
    a["rsub"] = [](Case& c) { c.output(0, c.args.number("other") - c.input(0)); };
    a["minimum"] = [](Case& c) { c.output(0, minimum(c.input(0), c.input(1))); };
    a["maximum"] = [](Case& c) { c.output(0, maximum(c.input(0), c.input(1))); };
    unary("neg", neg), unary("reciprocal", reciprocal), unary("exp", exp), unary("log", log), unary("sqrt", sqrt);
    unary("abs", abs), unary("relu", relu), unary("sigmoid", sigmoid), unary("tanh", tanh), unary("silu", silu);
    unary("hardswish", hardswish), unary("square", square), unary("atan", atan);
    a["leaky_relu"] = [](Case& c) { c.output(0, leaky_relu(c.input(0), c.args.number("negative_slope"))); };
    a["gelu"] = [](Case& c) {
        const std::string form = c.args.has("approximate") ? c.args.text("approximate") : "none";
        c.output(0, gelu(c.input(0), form == "tanh" ? GeluForm::tanh : GeluForm::exact));
    };
    a["softplus"] = [](Case& c) {
        c.output(0, softplus(c.input(0), c.args.number("beta"), c.args.number("threshold")));
    };
    a["dropout"] = [](Case& c) {
        if (c.args.flag("training")) throw Unsupported("dropout with training = true: PyTorch's random numbers");
        c.output(0, dropout(c.input(0), c.args.number("p"), false, {}));
    };
    a["clamp"] = clamp_case;
    a["matmul"] = [](Case& c) { c.output(0, matmul(c.input(0), c.input(1))); };
    a["bmm"] = [](Case& c) { c.output(0, bmm(c.input(0), c.input(1))); };
    a["sum"] = [](Case& c) { c.output(0, sum(c.input(0), axes_of(c), keepdim(c))); };
    a["mean"] = [](Case& c) { c.output(0, mean(c.input(0), axes_of(c), keepdim(c))); };
    a["var"] = [](Case& c) { c.output(0, var(c.input(0), axes_of(c), c.args.flag("unbiased"), keepdim(c))); };
    a["std"] = [](Case& c) { c.output(0, std_dev(c.input(0), axes_of(c), c.args.flag("unbiased"), keepdim(c))); };
    a["max"] = [](Case& c) { extremum(c, true); };
    a["min"] = [](Case& c) { extremum(c, false); };
    a["amax"] = [](Case& c) { c.output(0, amax(c.input(0), axes_of(c), keepdim(c))); };
    a["amin"] = [](Case& c) { c.output(0, amin(c.input(0), axes_of(c), keepdim(c))); };
    a["argmax"] = argmax_case;
    a["cat"] = [](Case& c) { c.output(0, cat(operands(c), static_cast<int>(c.args.integer("dim")))); };
    a["stack"] = [](Case& c) { c.output(0, stack(operands(c), static_cast<int>(c.args.integer("dim")))); };
    a["split"] = split_case;
    a["reshape"] = [](Case& c) { c.output(0, reshape(c.input(0), c.args.integers("shape"))); };
    a["transpose"] = [](Case& c) {
        c.output(0, transpose(c.input(0), static_cast<int>(c.args.integer("dim0")),
                              static_cast<int>(c.args.integer("dim1"))));
    };
    a["permute"] = [](Case& c) { c.output(0, permute(c.input(0), c.args.at("dims").get<std::vector<int>>())); };
    a["slice"] = slice_case;
    a["gather"] = [](Case& c) {
        c.output(0, gather(c.input(0), static_cast<int>(c.args.integer("dim")), c.index(c.operand(1))));
    };
    a["index_select"] = [](Case& c) {
        c.output(0, index_select(c.input(0), static_cast<int>(c.args.integer("dim")), c.index(c.operand(1))));
    };
    a["pad"] = [](Case& c) {
        if (c.args.text("mode") != "constant") throw Unsupported("pad mode " + c.args.text("mode"));
        c.output(0, pad(c.input(0), c.args.integers("pad"), c.args.has("value") ? c.args.number("value") : 0));
    };
    a["expand"] = [](Case& c) { c.output(0, expand(c.input(0), c.args.integers("size"))); };
    a["where"] = [](Case& c) { c.output(0, where(c.mask(c.operand(0)), c.input(1), c.input(2))); };
    a["softmax"] = [](Case& c) { c.output(0, softmax(c.input(0), static_cast<int>(c.args.integer("dim")))); };
    a["log_softmax"] = [](Case& c) { c.output(0, log_softmax(c.input(0), static_cast<int>(c.args.integer("dim")))); };
    a["interpolate"] = interpolate_case;
    a["scaled_dot_product_attention"] = attention_case;
    a["chain"] = chain_case;
    return true;
}();

}  // namespace
}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
