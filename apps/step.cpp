// solobox step: one training step of a network with nine weights, in numbers, for a lesson: what goes in, what each op
// makes of it, the loss, every gradient beside a difference quotient, and what the step changes.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "apps/apps.h"
#include "nn/layers.h"
#include "nn/losses.h"
#include "optim/optimizer.h"
#include "train/config/config.h"

namespace solobox {
namespace {

using Json = nlohmann::ordered_json;

struct StepArguments {
    double lr = 0.1;
    std::string rate = "0.1";  // as it was written: CLI11 reads numbers as the locale has them
    std::int64_t steps = 1;
    std::uint64_t seed = 0;
    bool json = false;
};

// hidden = W x + b, active = max(hidden, 0), y = V active + c
struct Lesson {
    Linear first, out;
    Tensor x = Tensor::from({1, 2}, {1, 2}), target = Tensor::from({1, 1}, {1});
    Var hidden, active, y, loss;

    explicit Lesson(std::uint64_t seed) {
        Initializer init(seed);
        first = Linear(2, 2, init), out = Linear(2, 1, init);
    }
    void forward() {
        hidden = first(Var(x));
        active = relu(hidden);
        y = out(active);
        loss = mse_loss(y, Var(target));
    }
    void visit(Visitor& v) { v.child("first", first), v.child("out", out); }
};

std::string numbers(const Tensor& t) {
    const auto values = t.to_vector();
    if (t.rank() < 2 || t.dim(0) == 1) return fmt::format("[{:.5f}]", fmt::join(values, ", "));
    std::string rows;
    const std::int64_t width = t.numel() / t.dim(0);
    for (std::int64_t r = 0; r < t.dim(0); ++r)
        rows += fmt::format("{}[{:.5f}]", r ? ", " : "",
                            fmt::join(values.begin() + r * width, values.begin() + (r + 1) * width, ", "));
    return "[" + rows + "]";
}

std::int64_t steepest(const Parameter& p) {
    std::int64_t at = 0;
    for (std::int64_t i = 1; i < p.grad.numel(); ++i)
        if (std::abs(p.grad[i]) > std::abs(p.grad[at])) at = i;
    return at;
}

// (loss(w + h) - loss(w - h)) / 2h, one element of the parameter moved by h.
double quotient(Lesson& net, Parameter& p, std::int64_t element) {
    const NoGrad quiet;
    const Real kept = p.value[element], h = Real(1e-2);
    const auto loss_at = [&](Real v) {
        p.value.mutable_data()[element] = v;
        net.forward();
        return static_cast<double>(net.loss.value().item());
    };
    const double up = loss_at(kept + h), down = loss_at(kept - h);
    (void)loss_at(kept);
    return (up - down) / (2 * static_cast<double>(h));
}

ExitCode step(const StepArguments& a) {
    Lesson net(a.seed);
    const auto params = parameters_of(net);
    Sgd optimizer(params, 0, {0, 0, false});
    Json steps = Json::array();
    for (std::int64_t s = 1; s <= a.steps; ++s) {
        optimizer.zero_grad();
        {
            Tape tape;
            net.forward();
            tape.backward(net.loss);
        }
        const double loss = static_cast<double>(net.loss.value().item());
        Json row{{"step", s}, {"x", net.x.to_vector()}, {"y", net.y.value()[0]}, {"loss", loss}};
        if (!a.json)
            fmt::print(
                "step {}: forward\n  x       = {}\n  hidden  = first.weight x + first.bias = {}\n  active  = "
                "max(hidden, "
                "0) = {}\n  y       = out.weight active + out.bias = {}\n  loss    = (y - {:g})^2 = {:.6f}\nbackward, "
                "and "
                "the update w - {:g} dloss/dw\n",
                s, numbers(net.x), numbers(net.hidden.value()), numbers(net.active.value()), numbers(net.y.value()),
                net.target.item(), loss, a.lr);
        std::vector<Tensor> before;
        std::vector<double> quotients;
        for (const NamedParameter& p : params)
            before.push_back(p.param->value.clone()), quotients.push_back(quotient(net, *p.param, steepest(*p.param)));
        optimizer.step(a.lr);
        for (std::size_t i = 0; i < params.size(); ++i) {
            const Parameter& p = *params[i].param;
            row["parameters"][params[i].name] = {{"before", before[i].to_vector()},
                                                 {"gradient", p.grad.to_vector()},
                                                 {"steepest", steepest(p)},
                                                 {"quotient", quotients[i]},
                                                 {"after", p.value.to_vector()}};
            if (!a.json)
                fmt::print(
                    "  {:<13} {}\n    gradient    {}   (the steepest by difference quotient: {:.4f})\n    then        "
                    "{}\n",
                    params[i].name, numbers(before[i]), numbers(p.grad), quotients[i], numbers(p.value));
        }
        net.forward();
        const double then = static_cast<double>(net.loss.value().item());
        row["loss_then"] = then;
        if (!a.json) fmt::print("the loss with these weights: {:.6f}, {:+.6f}\n\n", then, then - loss);
        steps.push_back(std::move(row));
    }
    if (a.json) print_json({{"lr", a.lr}, {"steps", steps}});
    return ExitCode::done;
}

}  // namespace

Verb add_step(Command app) {
    auto a = std::make_shared<StepArguments>();
    app.option("--lr", a->rate, "learning rate (default 0.1)").not_blank("a number");
    app.option("--steps", a->steps, "steps, one after the other (default 1)").within(1, 1000);
    app.option("--seed", a->seed, "of the weights (default 0)");
    app.flag("--json", a->json, "one JSON object on standard output");
    return [a] {
        a->lr = parse_number("--lr", a->rate);
        return step(*a);
    };
}

}  // namespace solobox
