// Golden groups `optim` and `schedule`.
#include "optim/ema.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "tests/reference/golden_case.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

std::string at(const char* prefix, std::int64_t i) { return prefix + std::to_string(i); }

struct Clip {
    bool by_norm = false, by_value = false;
    double limit = 0, norm_type = 2;

    explicit Clip(const Case& c) {
        if (!c.args.has("clip")) return;
        const Json& j = c.args.at("clip");
        by_norm = j.at("type") == "norm";
        by_value = j.at("type") == "value";
        if (!by_norm && !by_value) throw Unsupported("clip type " + j.at("type").dump());
        limit = j.at(by_norm ? "max_norm" : "clip_value").get<double>();
        if (by_norm && j.contains("norm_type"))
            norm_type = j.at("norm_type").is_string() ? std::numeric_limits<double>::infinity()
                                                      : j.at("norm_type").get<double>();
    }
    double apply(const std::vector<NamedParameter>& params) const {
        if (by_value) clip_grad_value(params, limit);
        return by_norm ? clip_grad_norm(params, limit, norm_type) : 0;
    }
};

EmaConfig ema_config(const Case& c) {
    const Json& j = c.args.at("ema");
    EmaConfig ema{j.at("decay").get<double>(), 0};
    if (j.at("kind") == "ramp") ema.tau = j.at("tau").get<double>();
    return ema;
}

std::vector<Parameter> read_parameters(Case& c, std::vector<NamedParameter>& named) {
    std::vector<Parameter> params;
    for (std::int64_t i = 0; c.has(at("param.", i)); ++i) params.emplace_back(c.floats(at("param.", i)).clone());
    for (std::size_t i = 0; i < params.size(); ++i) named.push_back({std::to_string(i), &params[i]});
    return params;
}

// One optimizer per group: each may have its own hyper-parameters.
std::unique_ptr<Optimizer> make_group(const Json& g, const std::string& kind,
                                      const std::vector<NamedParameter>& named) {
    std::vector<Member> members;
    for (const auto& i : g.at("params"))
        members.push_back({named.at(i.get<std::size_t>()), {}, g.at("weight_decay").get<double>(), 1});
    for (const auto& [key, value] : g.items()) {
        static const std::set<std::string> known{"params",    "lr",       "weight_decay", "momentum",
                                                 "dampening", "nesterov", "betas",        "eps"};
        if (!known.contains(key)) throw Unsupported("group option " + key);
    }
    if (kind == "sgd")
        return std::make_unique<Sgd>(
            std::move(members),
            Sgd::Config{g.value("momentum", 0.0), g.value("dampening", 0.0), g.value("nesterov", false)});
    const auto betas = g.at("betas").get<std::vector<double>>();
    return std::make_unique<Adam>(std::move(members),
                                  Adam::Config{betas.at(0), betas.at(1), g.at("eps").get<double>(), kind == "adamw"});
}

void check_states(Case& c, const std::vector<std::unique_ptr<Optimizer>>& groups) {
    for (const auto& group : groups)
        for (Member& m : group->members()) {
            const auto expect = [&](const std::string& what, const Tensor& value) {
                const std::string name = "state_after." + what + "." + m.param.name;
                if (c.has(name)) c.expect(name, value);
            };
            const auto names = group->state_names();
            expect(names.at(0), m.state.first);
            if (names.size() > 1) expect(names.at(1), m.state.second);
            expect("step", Tensor::scalar(static_cast<Real>(m.state.steps)));
        }
}

void trajectory(Case& c) {
    std::vector<NamedParameter> named;
    std::vector<Parameter> params = read_parameters(c, named);
    const std::string kind = c.args.text("optimizer");
    const std::int64_t steps = c.args.integer("steps");
    c.args.ignore({"shapes", "lr", "no_grad"});  // seen in the tensors themselves
    std::vector<std::unique_ptr<Optimizer>> groups;
    std::vector<double> rates;
    for (const Json& g : c.args.at("groups")) {
        groups.push_back(make_group(g, kind, named));
        rates.push_back(g.at("lr").is_null() ? 0 : g.at("lr").get<double>());
    }
    const Clip clip(c);
    std::vector<Tensor> averages;
    if (c.args.has("ema"))
        for (const auto& p : params) averages.push_back(p.value.clone());
    const bool scheduled = c.has("input.lr");
    const Tensor lr = scheduled ? c.floats("input.lr") : Tensor{};
    Tensor norms(Shape{steps});
    for (std::int64_t k = 1; k <= steps; ++k) {
        for (auto& p : named) {
            const std::string name = fmt::format("grad.step.{}.{}", k, p.name);
            p.param->grad = c.has(name) ? c.floats(name).clone() : Tensor{};
        }
        norms.mutable_data()[k - 1] = static_cast<Real>(clip.apply(named));
        for (std::size_t g = 0; g < groups.size(); ++g)
            groups[g]->step(scheduled ? static_cast<double>(lr[(k - 1) * lr.dim(1) + static_cast<std::int64_t>(g)])
                                      : rates[g]);
        for (std::size_t i = 0; i < params.size(); ++i) {
            const std::string suffix = fmt::format(".step.{}.{}", k, i);
            if (c.has("param_after" + suffix)) c.expect("param_after" + suffix, params[i].value);
            if (averages.empty()) continue;
            ema_update(averages[i], params[i].value, ema_decay(ema_config(c), k));
            if (c.has("ema_after" + suffix)) c.expect("ema_after" + suffix, averages[i]);
        }
    }
    if (c.has("output.total_norm")) c.expect("output.total_norm", norms);
    check_states(c, groups);
}

void clip_case(Case& c) {
    std::vector<Parameter> params;
    std::vector<NamedParameter> named;
    std::vector<std::int64_t> numbers;
    c.args.ignore({"shapes", "missing"});
    for (std::int64_t i = 0; i < 64; ++i)
        if (c.has(at("grad.", i))) {
            params.emplace_back();
            params.back().grad = c.floats(at("grad.", i)).clone();
            numbers.push_back(i);
        }
    for (std::size_t i = 0; i < params.size(); ++i) named.push_back({std::to_string(numbers[i]), &params[i]});
    const double total = Clip(c).apply(named);
    if (c.has("output.total_norm")) c.expect_number("output.total_norm", static_cast<double>(static_cast<Real>(total)));
    for (const auto& p : named) c.expect("grad_after." + p.name, p.param->grad);
}

void ema_case(Case& c) {
    const EmaConfig ema = ema_config(c);
    const std::int64_t steps = c.args.integer("steps");
    c.args.ignore({"shapes", "decays", "int_buffers"});  // whole numbers are always copied
    const bool average_buffers = !c.args.has("float_buffers") || c.args.text("float_buffers") == "ema";
    std::map<std::string, Tensor> averages;  // "ema.0" and "ema_buffer.running_mean"
    for (const char* prefix : {"ema.", "ema_buffer."})
        for (const auto& name : c.names(prefix))
            if (c.is_float(name))
                averages[name] = c.floats(name).clone();
            else
                c.index(name);
    for (std::int64_t k = 1; k <= steps; ++k)
        for (auto& [name, average] : averages) {
            const bool buffer = name.starts_with("ema_buffer.");
            const std::string key = name.substr(buffer ? 11 : 4);
            const Tensor now = c.floats(fmt::format("{}.step.{}.{}", buffer ? "buffer" : "param", k, key));
            ema_update(average, now, buffer && !average_buffers ? 0 : ema_decay(ema, k));
            const std::string after = fmt::format("{}_after.step.{}.{}", buffer ? "ema_buffer" : "ema", k, key);
            if (c.has(after)) c.expect(after, average);
        }
    for (const auto& name : c.names("ema_buffer_after."))
        if (!c.is_float(name)) {
            const std::string source = "buffer" + name.substr(std::string("ema_buffer_after").size());
            c.output(name, c.index(source));
        }
}

// Rates at t = 0 .. n-1 for one base rate or a list of them.
void rates(Case& c, const char* base_key, const std::function<double(double base, std::int64_t t)>& f) {
    const Json& base = c.args.at(base_key);
    const std::int64_t n = c.args.integer("n");
    const std::vector<double> bases =
        base.is_array() ? base.get<std::vector<double>>() : std::vector<double>{base.get<double>()};
    const std::int64_t groups = static_cast<std::int64_t>(bases.size());
    Tensor out(base.is_array() ? Shape{n, groups} : Shape{n});
    for (std::int64_t i = 0; i < n * groups; ++i)
        out.mutable_data()[i] = static_cast<Real>(f(bases[static_cast<std::size_t>(i % groups)], i / groups));
    c.expect("output.0", out);
}

void one_cycle_case(Case& c) {
    schedule::OneCycle s;
    s.total = c.args.integer("total_steps");
    s.pct_start = c.args.number("pct_start");
    s.cosine = c.args.text("anneal_strategy") == "cos";
    s.div_factor = c.args.number("div_factor");
    s.final_div_factor = c.args.number("final_div_factor");
    s.three_phase = c.args.has("three_phase") && c.args.flag("three_phase");
    rates(c, "max_lr", [&](double base, std::int64_t t) {
        s.max_lr = base;
        return schedule::one_cycle_lr(s, t);
    });
    c.args.ignore({"cycle_momentum"});
    if (c.args.has("base_momentum")) s.base_momentum = c.args.number("base_momentum");
    if (c.args.has("max_momentum")) s.max_momentum = c.args.number("max_momentum");
    if (!c.has("output.1")) return;
    Tensor momentum(Shape(c.floats("output.1").shape()));
    const std::int64_t groups = momentum.rank() > 1 ? momentum.dim(1) : 1;
    for (std::int64_t i = 0; i < momentum.numel(); ++i)
        momentum.mutable_data()[i] = static_cast<Real>(schedule::one_cycle_momentum(s, i / groups));
    c.expect("output.1", momentum);
}

void plateau_case(Case& c) {
    schedule::Plateau::Config config;
    config.maximize = c.args.text("mode") == "max";
    config.factor = c.args.number("factor");
    config.patience = c.args.integer("patience");
    config.threshold = c.args.number("threshold");
    config.relative = c.args.text("threshold_mode") == "rel";
    config.cooldown = c.args.integer("cooldown");
    const auto numbers = [&](const char* key) {
        const Json& value = c.args.at(key);
        return value.is_array() ? value.get<std::vector<double>>() : std::vector<double>{value.get<double>()};
    };
    const std::vector<double> base = numbers("base_lr");
    config.min_lr = numbers("min_lr");
    config.eps = c.args.number("eps");
    c.args.ignore({"n"});
    schedule::Plateau plateau(config, base);
    const Tensor metric = c.floats("input.0");
    const auto groups = static_cast<std::int64_t>(base.size()), n = metric.numel();
    const Shape shape = c.args.at("base_lr").is_array() ? Shape{n, groups} : Shape{n};
    Tensor before(shape), after(shape);
    const auto write = [&](Tensor& to, std::int64_t i) {
        for (std::int64_t g = 0; g < groups; ++g)
            to.mutable_data()[i * groups + g] = static_cast<Real>(plateau.lr(static_cast<std::size_t>(g)));
    };
    for (std::int64_t i = 0; i < n; ++i) {
        write(before, i);
        plateau.see(static_cast<double>(metric[i]));
        write(after, i);
    }
    c.expect("output.0", before);
    c.expect("output.1", after);
}

const bool training_registered = [] {
    auto& a = adapters();
    for (const char* op : {"optim.sgd", "optim.adam", "optim.adamw"}) a[op] = trajectory;
    a["optim.clip_grad_norm"] = a["optim.clip_grad_value"] = clip_case;
    a["optim.ema"] = ema_case;
    a["schedule.warmup_cosine"] = [](Case& c) {
        schedule::WarmupCosine s;
        s.warmup = c.args.integer("warmup");
        s.total = c.args.integer("total");
        s.min = c.args.number("min_lr");
        s.form = c.args.text("form") == "ramp" ? schedule::Warmup::ramp : schedule::Warmup::linear;
        if (c.args.has("start_factor")) s.start_factor = c.args.number("start_factor");
        rates(c, "base_lr", [&](double base, std::int64_t t) {
            s.base = base;
            return schedule::warmup_cosine(s, t);
        });
    };
    a["schedule.step_lr"] = [](Case& c) {
        rates(c, "base_lr", [&](double b, std::int64_t t) {
            return schedule::step_lr(b, c.args.integer("step_size"), c.args.number("gamma"), t);
        });
    };
    a["schedule.multistep_lr"] = [](Case& c) {
        rates(c, "base_lr", [&](double b, std::int64_t t) {
            return schedule::multistep_lr(b, c.args.integers("milestones"), c.args.number("gamma"), t);
        });
    };
    a["schedule.exponential_lr"] = [](Case& c) {
        rates(c, "base_lr",
              [&](double b, std::int64_t t) { return schedule::exponential_lr(b, c.args.number("gamma"), t); });
    };
    a["schedule.cosine_annealing_lr"] = [](Case& c) {
        rates(c, "base_lr", [&](double b, std::int64_t t) {
            return schedule::cosine_annealing_lr(b, c.args.number("T_max"), c.args.number("eta_min"), t);
        });
    };
    a["schedule.linear_lr"] = [](Case& c) {
        rates(c, "base_lr", [&](double b, std::int64_t t) {
            return schedule::linear_lr(b, c.args.number("start_factor"), c.args.number("end_factor"),
                                       c.args.integer("total_iters"), t);
        });
    };
    a["schedule.staircase"] = [](Case& c) {
        if (c.args.number("start") != 1e-3 || c.args.at("levels") != Json({1e-2, 1e-3, 1e-4}) ||
            c.args.at("lengths") != Json({75, 30}))
            throw Unsupported("a staircase other than the report's");
        const std::int64_t n = c.args.integer("n");
        Tensor out(Shape{n});
        for (std::int64_t t = 0; t < n; ++t)
            out.mutable_data()[t] = static_cast<Real>(schedule::staircase(c.args.integer("warmup"), t));
        c.expect("output.0", out);
    };
    a["schedule.one_cycle_lr"] = one_cycle_case;
    a["schedule.reduce_on_plateau"] = plateau_case;
    return true;
}();

}  // namespace
}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
