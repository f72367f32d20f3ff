#include "train/trainer.h"

#include <algorithm>
#include <cmath>

namespace solobox::inline SOLOBOX_PRECISION {

Trainer::Trainer(std::vector<NamedParameter> params, Optimizer& optimizer, TrainerConfig config)
    : params_(std::move(params)), optimizer_(optimizer), config_(std::move(config)) {}

void Trainer::check_leaves(const Tape& tape) const {
    for (const auto& p : params_) {
        const auto& leaves = tape.leaves();
        if (!p.param->trainable || std::find(leaves.begin(), leaves.end(), p.param) != leaves.end()) continue;
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

void Trainer::name_the_culprit(const std::function<LossValue()>& loss, const std::string& what) const {
    // The same step once more, every op watched: results do not depend on being looked at.
    std::string where = "it could not be found again by running the step op by op";
    try {
        Tape tape(true);
        tape.backward(loss().total);
    } catch (const NonFiniteError& e) {
        where = e.what();
    }
    throw NonFiniteError(fmt::format("step {}: {} is not finite: {}", steps_ + 1, what, where));
}

StepReport Trainer::step(const std::function<LossValue()>& loss, FlowRecorder* flow) {
    StepReport report;
    report.lr = config_.lr(steps_);
    optimizer_.zero_grad();
    {
        Tape tape;
        const LossValue value = loss();
        report.loss = static_cast<double>(value.total.value().item());
        for (const auto& term : value.terms)
            report.terms.emplace_back(term.name, static_cast<double>(term.value.value().item()));
        if (steps_ == 0) check_leaves(tape);
        if (!std::isfinite(report.loss)) name_the_culprit(loss, "the loss");
        tape.backward(value.total);
    }
    const double no_limit = std::numeric_limits<double>::infinity();
    report.grad_norm = clip_grad_norm(params_, config_.clip > 0 ? config_.clip : no_limit);
    if (!std::isfinite(report.grad_norm)) name_the_culprit(loss, "a gradient");
    ++steps_;
    report.step = steps_;
    if (flow) flow->before_update(steps_);
    optimizer_.step(report.lr);
    if (flow) flow->after_update();
    return report;
}

}  // namespace solobox::inline SOLOBOX_PRECISION
