// Which parameters of a model train, from when on and how fast: the backbone, the optimizer's groups.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "optim/optimizer.h"
#include "train/config/config.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

using Prefixes = std::vector<std::string>;

// In front of the model's heads (Model::heads()), by the name of the parameter.
bool in_backbone(const Prefixes& heads, const std::string& parameter_name);
// The parameters with their decay and their factor on the learning rate: by the task's own groups (Task::groups()),
// then by the configuration's.
std::vector<Member> optimizer_members(const Config& config, const std::vector<NamedParameter>& params,
                                      const Prefixes& heads, std::vector<GroupRule> groups = {});
// With all of them as members.
std::unique_ptr<Optimizer> make_optimizer(const Config& config, const std::vector<NamedParameter>& params,
                                          const Prefixes& heads, std::vector<GroupRule> groups = {});

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
