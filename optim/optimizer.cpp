#include "optim/optimizer.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>

#include "tensor/kernels/parallel.h"
#include "tensor/kernels/update.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

Optimizer::Optimizer(std::vector<Member> members) { add(std::move(members)); }

void Optimizer::add(std::vector<Member> members) {
    std::set<const Parameter*> seen;
    for (const Member& m : members_) seen.insert(m.param.param);
    for (const Member& m : members)
        if (!seen.insert(m.param.param).second)
            throw ConfigError(fmt::format("parameter '{}' is in two groups of the optimizer", m.param.name));
    members_.insert(members_.end(), std::make_move_iterator(members.begin()), std::make_move_iterator(members.end()));
}

void Optimizer::drop_frozen() {
    std::erase_if(members_, [](const Member& m) { return !m.param.param->trainable; });
}

void Optimizer::begin(Member& m) {
    m.fresh = !m.state.first.defined();
    if (m.fresh) make_state(m);
    ++m.state.steps;
}

double Optimizer::rate(const Member& m, double lr, const std::vector<double>& group_rates) const {
    if (group_rates.empty()) return lr * m.lr_scale;
    check(m.group < group_rates.size(), "[optimizer] parameter '{}' is of group {}, there are {} rates", m.param.name,
          m.group, group_rates.size());
    return group_rates[m.group];
}

void Optimizer::step(double lr, const std::vector<double>& group_rates) {
    for (Member& m : members_) {
        const Tensor& g = m.param.param->grad;
        if (!m.param.param->trainable || !g.defined()) continue;
        begin(m);
        update(m, {0, g.numel(), g.data()}, rate(m, lr, group_rates));
    }
}

void Optimizer::begin_step_in_backward(double lr, const GradWatch& watch, const std::vector<double>& group_rates) {
    std::vector<double> rates;  // all of them before the first sink: a group may lack one
    for (const Member& m : members_) rates.push_back(rate(m, lr, group_rates));
    for (std::size_t i = 0; i < members_.size(); ++i)
        if (Member& m = members_[i]; m.param.param->trainable)
            m.param.param->sink = [this, &m, lr = rates[i], watch, begun = false](const GradPart& part) mutable {
                watch(*m.param.param, part);
                if (!begun) begin(m);
                begun = true;
                update(m, part, lr);
            };
}

void Optimizer::end_step_in_backward() {
    for (Member& m : members_) m.param.param->sink = nullptr;
}

void Optimizer::zero_grad() {
    for (Member& m : members_) m.param.param->zero_grad();
}

std::vector<Member> decay_weights_only(const std::vector<NamedParameter>& params, double weight_decay,
                                       const std::vector<GroupRule>& rules, bool decay_all) {
    std::vector<Member> members;
    std::vector<bool> fits(rules.size(), false);
    for (const auto& p : params) {
        std::size_t i = 0;
        while (i < rules.size() &&
               !(p.name.starts_with(rules[i].prefix) && rules[i].kind.value_or(p.param->kind) == p.param->kind))
            ++i;
        const GroupRule group = i < rules.size() ? rules[i] : GroupRule{};
        if (i < rules.size()) fits[i] = true;
        const bool decays = decay_all || p.param->kind == ParamKind::weight;
        members.push_back({p, {}, decays ? group.weight_decay.value_or(weight_decay) : 0.0, group.lr_scale, i});
    }
    for (std::size_t i = 0; i < rules.size(); ++i)
        if (!fits[i])
            throw ConfigError(fmt::format("parameter group '{}': no parameter{} starts with it{}", rules[i].prefix,
                                          rules[i].kind ? " of its kind" : "",
                                          i ? " that an earlier group leaves over" : ""));
    return members;
}

Sgd::Sgd(std::vector<Member> members, const Config& config) : Optimizer(std::move(members)), config_(config) {
    if (config.nesterov && (config.momentum <= 0 || config.dampening != 0))
        throw ConfigError("Nesterov needs a momentum above 0 and no dampening");
}

void Sgd::make_state(Member& m) const {
    if (config_.momentum != 0) m.state.first = Tensor(m.param.param->value.shape());
}

void Sgd::update(Member& m, const GradPart& part, double lr) const {
    Real* momentum = config_.momentum != 0 ? m.state.first.mutable_data() + part.begin : nullptr;
    sgd_update(part.size, {lr, m.weight_decay, config_.momentum, config_.dampening, config_.nesterov, m.fresh},
               part.data, momentum, m.param.param->value.mutable_data() + part.begin);
}

Adam::Adam(std::vector<Member> members, const Config& config) : Optimizer(std::move(members)), config_(config) {}

void Adam::make_state(Member& m) const {
    m.state.first = Tensor::zeros(m.param.param->value.shape());
    m.state.second = Tensor::zeros(m.param.param->value.shape());
}

void Adam::update(Member& m, const GradPart& part, double lr) const {
    adam_update(part.size,
                {lr, m.weight_decay, config_.beta1, config_.beta2, config_.eps, config_.decoupled_decay, m.state.steps},
                part.data, m.state.first.mutable_data() + part.begin, m.state.second.mutable_data() + part.begin,
                m.param.param->value.mutable_data() + part.begin);
}

double clip_grad_norm(const std::vector<NamedParameter>& params, double max_norm, double norm_type) {
    double total = 0;
    for (const auto& p : params) {
        const Tensor& g = p.param->grad;
        if (!g.defined()) continue;
        if (std::isinf(norm_type)) {
            const double largest = max_abs(g);
            if (!(largest <= total)) total = largest;
        } else if (norm_type == 2) {
            const double n = norm(g);
            total += n * n;
        } else {
            for (std::int64_t i = 0; i < g.numel(); ++i)
                total += std::pow(std::abs(static_cast<double>(g[i])), norm_type);
        }
    }
    if (!std::isinf(norm_type)) total = std::pow(total, 1 / norm_type);
    const double factor = max_norm / (total + 1e-6);
    if (!(factor < 1)) return total;
    for (const auto& p : params) {
        Tensor& g = p.param->grad;
        if (!g.defined()) continue;
        Real* data = g.mutable_data();
        parallel_ranges(g.numel(), [=](std::int64_t begin, std::int64_t end) {
            for (std::int64_t i = begin; i < end; ++i) data[i] *= static_cast<Real>(factor);
        });
    }
    return total;
}

void clip_grad_value(const std::vector<NamedParameter>& params, double limit) {
    const Real l = static_cast<Real>(limit);
    for (const auto& p : params) {
        Tensor& g = p.param->grad;
        if (!g.defined()) continue;
        Real* data = g.mutable_data();
        for (std::int64_t i = 0; i < g.numel(); ++i) data[i] = std::clamp(data[i], -l, l);
    }
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
