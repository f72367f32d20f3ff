// Optimizers: each a readable formula over named parameters. They read gradients and never write them, and they hold
// no learning rate: step(lr) is told, so that a schedule is its only writer.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tensor/parameter.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// What one parameter has accumulated. Undefined tensors until the first step that saw a gradient.
struct OptimizerState {
    Tensor first, second;    // momentum buffer; or first and second moments
    std::int64_t steps = 0;  // updates of this parameter
};

struct Member {
    NamedParameter param;
    OptimizerState state;
    double weight_decay = 0;
    double lr_scale = 1;
    std::size_t group = 0;  // the number of the rule that fitted it; behind the last one where none did
    bool fresh = false;     // the state was made in this step: it holds nothing yet
};

using GradWatch = std::function<void(const Parameter& of, const GradPart& part)>;

class Optimizer {
public:
    virtual ~Optimizer() = default;
    virtual const char* name() const = 0;
    // One update of every trainable parameter that has a gradient; the others are skipped entirely. A member's rate is
    // lr * lr_scale, or that of its group where there are such.
    void step(double lr, const std::vector<double>& group_rates = {});
    void zero_grad();
    // From now on: SGD's momentum, Adam's beta1. Like the learning rate it may follow a schedule.
    virtual void set_momentum(double momentum) = 0;

    // The same update made inside backward: from begin to end each parameter takes its gradient part by part and moves
    // at once (Parameter::sink). `watch` sees every part before it is used and may throw. One backward pass a step.
    void begin_step_in_backward(double lr, const GradWatch& watch, const std::vector<double>& group_rates = {});
    void end_step_in_backward();

    std::vector<Member>& members() { return members_; }
    // Between two steps: further parameters with fresh state, ConfigError when one is already a member; and those out
    // that are not trainable, with what they have accumulated.
    void add(std::vector<Member> members);
    void drop_frozen();
    // Names of the state tensors as PyTorch has them ("exp_avg"), for checkpoints.
    virtual std::vector<std::string> state_names() const = 0;

protected:
    explicit Optimizer(std::vector<Member> members);  // ConfigError when a parameter appears twice
    virtual void make_state(Member& m) const = 0;
    virtual void update(Member& m, const GradPart& part, double lr) const = 0;

private:
    void begin(Member& m);
    double rate(const Member& m, double lr, const std::vector<double>& group_rates) const;
    std::vector<Member> members_;
};

// A group: the parameters whose name starts with `prefix` (of one kind, if it says so), their factor on the learning
// rate, and their own weight decay where it is not the common one.
struct GroupRule {
    std::string prefix;
    double lr_scale = 1;
    std::optional<double> weight_decay = {};
    std::optional<ParamKind> kind = {};
};
// weight_decay for parameters of kind `weight`, 0 for biases, norms and tokens; `decay_all` is a fault of the checklist
// report. The first rule that fits a name counts; ConfigError for a rule that fits none.
std::vector<Member> decay_weights_only(const std::vector<NamedParameter>& params, double weight_decay,
                                       const std::vector<GroupRule>& rules = {}, bool decay_all = false);

// d = g + wd p;  b = momentum b + (1 - dampening) d (b = d at first);  p -= lr (nesterov ? d + momentum b : b)
class Sgd : public Optimizer {
public:
    struct Config {
        double momentum = 0.9, dampening = 0;
        bool nesterov = false;
    };
    Sgd(std::vector<Member> members, const Config& config);
    // Of a whole model, in one call: Sgd(parameters_of(net)). Weights decay, biases and norms do not.
    explicit Sgd(const std::vector<NamedParameter>& params, double weight_decay = 0)
        : Sgd(params, weight_decay, Config()) {}
    Sgd(const std::vector<NamedParameter>& params, double weight_decay, const Config& config)
        : Sgd(decay_weights_only(params, weight_decay), config) {}
    const char* name() const override { return "SGD"; }
    std::vector<std::string> state_names() const override { return {"momentum_buffer"}; }
    void set_momentum(double momentum) override { config_.momentum = momentum; }

protected:
    void make_state(Member& m) const override;
    void update(Member& m, const GradPart& part, double lr) const override;

private:
    Config config_;
};

// m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  p -= lr m^ / (sqrt(v^) + eps)          (Kingma & Ba 2015)
// Adam adds wd p to g; AdamW shrinks p by 1 - lr wd instead                     (Loshchilov & Hutter 2019)
class Adam : public Optimizer {
public:
    struct Config {
        double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
        bool decoupled_decay = true;  // AdamW
    };
    Adam(std::vector<Member> members, const Config& config);
    // AdamW of a whole model, in one call: Adam(parameters_of(net)). Weights decay, biases and norms do not.
    explicit Adam(const std::vector<NamedParameter>& params, double weight_decay = 0.01)
        : Adam(params, weight_decay, Config()) {}
    Adam(const std::vector<NamedParameter>& params, double weight_decay, const Config& config)
        : Adam(decay_weights_only(params, weight_decay), config) {}
    const char* name() const override { return config_.decoupled_decay ? "AdamW" : "Adam"; }
    std::vector<std::string> state_names() const override { return {"exp_avg", "exp_avg_sq"}; }
    void set_momentum(double momentum) override { config_.beta1 = momentum; }

protected:
    void make_state(Member& m) const override;
    void update(Member& m, const GradPart& part, double lr) const override;

private:
    Config config_;
};

// Clipping works on the gradients of all members, before the step. They are the only ones to write a gradient.
// p-norm over all elements (infinity: the largest); scales by min(1, max_norm / (norm + 1e-6)); returns the norm
// before.
double clip_grad_norm(const std::vector<NamedParameter>& params, double max_norm, double norm_type = 2);
void clip_grad_value(const std::vector<NamedParameter>& params, double limit);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
