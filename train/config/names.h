// The nearest valid name, for messages about a name that does not exist.
#pragma once

#include <string>
#include <vector>

namespace solobox {

// "", or ": did you mean 'conv2d'?" when one of the names is near enough to be a typo of it.
std::string did_you_mean(const std::string& name, const std::vector<std::string>& valid);

}  // namespace solobox
