#include "train/step/run_parts.h"

#include <algorithm>

#include "train/config/faults.h"
#include "train/config/setup.h"
#include "train/step/parameter_groups.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

std::vector<NamedTensor> averaged(Learner& learner) {
    std::vector<NamedTensor> tensors = tensors_of(learner);
    if (!has_fault(learner.config(), "ema_parameters_only")) return tensors;
    // An average over model.parameters(): running statistics are none of them.
    tensors.clear();
    for (const NamedParameter& p : parameters_of(learner)) tensors.push_back({p.name, &p.param->value});
    return tensors;
}

}  // namespace

RunParts::RunParts(Learner& learner)
    : config(learner.config()),
      params(parameters_of(learner)),
      heads(learner.model().heads()),
      sometimes(learner.model().sometimes()),
      optimizer(make_optimizer(config, params, heads, learner.task().groups())),
      stages(learner.stages()),
      rate(config, stages.updates(), stages.scales()),
      groups_(learner.task().groups()) {
    const Config& c = config;
    for (const NamedParameter& p : params) may_train_.push_back(p.param->trainable);
    for (const Stage& stage : stages.all())
        if (stage.rates && c.number("backbone_lr") != 1)
            throw ConfigError(fmt::format("backbone_lr={} would be ignored: the task's groups have rates of their own",
                                          c.at("backbone_lr").value));
    if (c.number("ema_decay") > 0)
        ema = std::make_unique<Ema>(EmaConfig{c.number("ema_decay"), c.number("ema_tau")}, averaged(learner));
    TrainerConfig how{[this](std::int64_t t) { return rate(t); }, c.number("clip")};
    how.check_finite = c.flag("check_finite");
    how.ema = ema.get();
    how.sometimes = sometimes;
    how.momentum = rate.momentum();
    // Whoever looks within an epoch wants to see the gradients of the step before.
    how.update_in_backward = how.where_possible = c.number("val_every") >= 1;
    // fault=ema_tail: the update stands behind a `continue` that the last batch of an epoch takes.
    if (has_fault(c, "ema_tail"))
        how.averages = [this](std::int64_t t) { return t != stages.updates().before(stages.updates().epoch_of(t)); };
    how.group_rates = [this](std::int64_t t, double lr) {
        const auto& rates = stages.all()[stage_].rates;
        return rates ? rates(t, lr) : std::vector<double>{};
    };
    how.batch_names = [this] { return batch_names ? batch_names() : std::string(); };
    trainer = std::make_unique<Trainer>(params, *optimizer, how);
}

RunParts::~RunParts() {
    for (std::size_t i = 0; i < params.size(); ++i) params[i].param->trainable = may_train_[i];
}

void RunParts::freeze(const Stage& stage) {
    for (std::size_t i = 0; i < params.size(); ++i)
        params[i].param->trainable = may_train_[i] && (!stage.trains || stage.trains(params[i].name));
    optimizer->drop_frozen();
}

void RunParts::begin(std::int64_t epoch) {
    // fault=forgotten: a later stage has forgotten its optimizer, however often the run was resumed.
    stage_ = has_fault(config, "forgotten") ? 0 : stages.index(epoch);
    freeze(stages.all()[stage_]);
}

void RunParts::enter(std::int64_t epoch) {
    if (stage_ == stages.index(epoch)) return;
    stage_ = stages.index(epoch);
    std::vector<Member> joining = optimizer_members(config, params, heads, groups_);
    std::erase_if(joining, [](const Member& m) { return m.param.param->trainable; });
    freeze(stages.all()[stage_]);
    std::erase_if(joining, [](const Member& m) { return !m.param.param->trainable; });
    // fault=forgotten: requires_grad was set, and the optimizer never heard of it.
    if (!has_fault(config, "forgotten")) optimizer->add(std::move(joining));
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
