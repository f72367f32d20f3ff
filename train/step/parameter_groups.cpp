#include "train/step/parameter_groups.h"

#include <algorithm>

#include "nn/model.h"
#include "train/config/faults.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

bool in_backbone(const Prefixes& heads, const std::string& name) { return !starts_with_any(name, heads); }

std::vector<Member> optimizer_members(const Config& config, const std::vector<NamedParameter>& params,
                                      const Prefixes& heads, std::vector<GroupRule> rules) {
    // fault=flat_groups: the groups were built, and the optimizer was given model.parameters().
    if (const double scale = config.number("backbone_lr"); scale != 1 && !has_fault(config, "flat_groups")) {
        // Only groups that get something: the task's own may leave nothing of a head, or of all.
        const auto add = [&](const GroupRule& rule) {
            const auto fits = [](const NamedParameter& p, const GroupRule& r) {
                return p.name.starts_with(r.prefix) && r.kind.value_or(p.param->kind) == p.param->kind;
            };
            if (std::any_of(params.begin(), params.end(), [&](const NamedParameter& p) {
                    return fits(p, rule) &&
                           std::none_of(rules.begin(), rules.end(), [&](const auto& r) { return fits(p, r); });
                }))
                rules.push_back(rule);
        };
        for (const std::string& head : heads) add({head, 1});
        add({"", scale});
    }
    return decay_weights_only(params, config.number("weight_decay"), rules, config.flag("decay_all"));
}

std::unique_ptr<Optimizer> make_optimizer(const Config& config, const std::vector<NamedParameter>& params,
                                          const Prefixes& heads, std::vector<GroupRule> groups) {
    auto members = optimizer_members(config, params, heads, std::move(groups));
    const std::string& other = config.text("optimizer_override");
    const std::string& name = other == "none" ? config.text("optimizer") : other;
    if (name == "SGD")
        return std::make_unique<Sgd>(std::move(members),
                                     Sgd::Config{config.number("momentum"), 0, config.flag("nesterov")});
    if (config.flag("nesterov"))
        throw ConfigError(fmt::format("nesterov=true applies to optimizer=SGD only, not to {}", name));
    return std::make_unique<Adam>(
        std::move(members), Adam::Config{config.number("momentum"), config.number("beta2"), 1e-8, name == "AdamW"});
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
