#include "train/step/trainer.h"

#include <algorithm>
#include <cmath>

namespace solobox {
inline namespace SOLOBOX_PRECISION {

Trainer::Trainer(std::vector<NamedParameter> params, Optimizer& optimizer, TrainerConfig config)
    : params_(std::move(params)), optimizer_(optimizer), config_(std::move(config)) {}

void Trainer::check_leaves(const Tape& tape) const {
    for (const auto& p : params_) {
        const auto& leaves = tape.leaves();
        const bool may_rest = std::any_of(config_.sometimes.begin(), config_.sometimes.end(),
                                          [&](const std::string& prefix) { return p.name.starts_with(prefix); });
        if (may_rest || !p.param->trainable || std::find(leaves.begin(), leaves.end(), p.param) != leaves.end())
            continue;
        throw Error(fmt::format(
            "parameter '{}' is never used in the forward pass: the model forgot it, or visit() names too much",
            p.name));
    }
    for (const Parameter* leaf : tape.leaves())
        if (std::none_of(params_.begin(), params_.end(), [leaf](const auto& p) { return p.param == leaf; }))
            throw Error(
                fmt::format("a parameter of shape {} is trained but visit() does not name it: it would be neither "
                            "updated nor saved",
                            leaf->value.shape().str()));
}

std::string Trainer::describe(const NonFiniteError& e) const {
    std::string text = e.what();
    for (const Parameter* involved : e.parameters)
        for (const auto& p : params_)
            if (p.param == involved) text += fmt::format(", parameter '{}'", p.name);
    if (config_.batch_names) text += fmt::format("; batch: {}", config_.batch_names());
    return text;
}

void Trainer::name_the_culprit(const std::vector<BatchPart>& parts, const std::string& what) const {
    // The same step once more, every op watched: results do not depend on being looked at.
    std::string where = "it could not be found again by running the step op by op";
    try {
        for (const auto& part : parts) {
            Tape tape(true);
            tape.backward(part.loss().loss.total);
        }
    } catch (const NonFiniteError& e) {
        where = describe(e);
    }
    throw NonFiniteError(fmt::format("step {}: {} is not finite: {}", steps_ + 1, what, where));
}

void Trainer::run_part(const BatchPart& part, StepReport& report) {
    Tape tape(config_.check_finite);
    const Objective objective = part.loss();
    const LossValue& value = objective.loss;
    report.loss += part.share * static_cast<double>(value.total.value().item());
    std::size_t place = 0;
    const auto add = [&](const std::string& name, double number) {
        if (place == report.terms.size()) report.terms.emplace_back(name, 0.0);
        report.terms[place++].second += part.share * number;
    };
    for (const LossTerm& term : value.terms) add(term.name, static_cast<double>(term.value.value().item()));
    for (const auto& [name, number] : objective.watched) add(name, static_cast<double>(static_cast<Real>(number)));
    if (steps_ == 0) check_leaves(tape);
    if (!std::isfinite(report.loss)) return;
    tape.backward({{value.total, Tensor::full(value.total.shape(), static_cast<Real>(part.share))}});
}

void Trainer::average() {
    if (config_.ema && (!config_.averages || config_.averages(steps_))) config_.ema->update();
}

void Trainer::update_in_backward(const BatchPart& part, StepReport& report, const std::vector<double>& group_rates) {
    double squares = 0;
    const auto watch = [&squares](const Parameter& of, const GradPart& grad) {
        const double n = norm(grad.data, grad.size);
        if (!std::isfinite(n))
            throw NonFiniteError("a gradient is not finite, and parameters before it have moved", {&of});
        squares += n * n;
    };
    optimizer_.begin_step_in_backward(report.lr, watch, group_rates);
    try {
        run_part(part, report);
    } catch (...) {
        optimizer_.end_step_in_backward();
        throw;
    }
    optimizer_.end_step_in_backward();
    report.grad_norm = std::sqrt(squares);
}

StepReport Trainer::step(const std::vector<BatchPart>& parts, FlowRecorder* flow) {
    StepReport report;
    report.lr = config_.lr(steps_);
    const std::vector<double> group_rates =
        config_.group_rates ? config_.group_rates(steps_, report.lr) : std::vector<double>{};
    if (config_.momentum) optimizer_.set_momentum(config_.momentum(steps_));
    // Of all parameters: one that trains but has no place in the optimizer would add up its gradients for ever.
    for (const auto& p : params_) p.param->zero_grad();
    const bool possible = parts.size() == 1 && !flow && config_.clip == 0 && config_.clip_value == 0;
    if (config_.update_in_backward && (possible || !config_.where_possible)) {
        check(possible, "[trainer] an update inside backward excludes parts, clipping and flow records");
        try {
            update_in_backward(parts[0], report, group_rates);
        } catch (const NonFiniteError& e) {
            throw NonFiniteError(fmt::format("step {}: {}", steps_ + 1, describe(e)));
        }
        if (!std::isfinite(report.loss)) name_the_culprit(parts, "the loss");
        report.step = ++steps_;
        report.in_backward = true;
        average();
        return report;
    }
    try {
        for (const auto& part : parts) {
            run_part(part, report);
            if (!std::isfinite(report.loss)) break;
        }
    } catch (const NonFiniteError& e) {
        throw NonFiniteError(fmt::format("step {}: {}", steps_ + 1, describe(e)));
    }
    if (!std::isfinite(report.loss)) name_the_culprit(parts, "the loss");
    if (flow) flow->before_update(steps_ + 1);
    const double no_limit = std::numeric_limits<double>::infinity();
    report.grad_norm = clip_grad_norm(params_, config_.clip_value > 0 || config_.clip == 0 ? no_limit : config_.clip);
    if (!std::isfinite(report.grad_norm)) name_the_culprit(parts, "a gradient");
    if (config_.clip_value > 0) {
        clip_grad_value(params_, config_.clip_value);
        if (config_.clip > 0) clip_grad_norm(params_, config_.clip);
    }
    report.step = ++steps_;
    optimizer_.step(report.lr, group_rates);
    average();
    if (flow) flow->after_update();
    return report;
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
