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
      optimizer(make_optimizer(config, params, heads)),
      rate(config, learner.batches_per_epoch()),
      unfreeze_at(unfreeze_step(config, learner.batches_per_epoch())) {
    const Config& c = config;
    const std::int64_t per_epoch = learner.batches_per_epoch();
    if (c.number("ema_decay") > 0)
        ema = std::make_unique<Ema>(EmaConfig{c.number("ema_decay"), c.number("ema_tau")}, averaged(learner));
    TrainerConfig how{[this](std::int64_t t) { return rate(t); }, c.number("clip")};
    how.check_finite = c.flag("check_finite");
    how.ema = ema.get();
    how.sometimes = sometimes;
    how.momentum = rate.momentum();
    // fault=ema_tail: the update stands behind a `continue` that the last batch of an epoch takes.
    if (has_fault(c, "ema_tail")) how.averages = [per_epoch](std::int64_t t) { return t % per_epoch != 0; };
    how.batch_names = [this] { return batch_names ? batch_names() : std::string(); };
    trainer = std::make_unique<Trainer>(params, *optimizer, how);
}

void RunParts::begin_stage(std::int64_t step) {
    if (!starts_frozen(config) || (step >= unfreeze_at && !has_fault(config, "forgotten"))) return;
    for (const NamedParameter& p : params) p.param->trainable = !in_backbone(heads, p.name);
    optimizer->drop_frozen();
    frozen = true;
}

void RunParts::unfreeze() {
    std::vector<Member> members = optimizer_members(config, params, heads);
    std::erase_if(members, [&](const Member& m) { return !in_backbone(heads, m.param.name); });
    for (const Member& m : members) m.param.param->trainable = true;
    // fault=forgotten: requires_grad was set, and the optimizer never heard of it.
    if (!has_fault(config, "forgotten")) optimizer->add(std::move(members));
    frozen = false;
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
