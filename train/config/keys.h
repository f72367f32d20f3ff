// How a row of the configuration's keys is written down:
//
//     integer("epochs", 60, 1, 1'000'000, "passes over the training pictures", {"max_epochs"}).in_train()
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "train/config/config.h"

namespace solobox::keys {

ConfigKey integer(std::string name, std::int64_t value, double min, double max, std::string meaning,
                  std::vector<std::string> aliases = {});
ConfigKey number(std::string name, double value, double min, double max, std::string meaning,
                 std::vector<std::string> aliases = {});
ConfigKey flag(std::string name, bool value, std::string meaning);
ConfigKey text(std::string name, std::string value, std::string meaning, std::vector<std::string> aliases = {});
ConfigKey choice(std::string name, std::vector<std::string> choices, std::string meaning);  // the first is the default

}  // namespace solobox::keys
