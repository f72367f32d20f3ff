// JSON as the program writes it, everywhere the same.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace solobox {

// One line without its end. Names from the file system may hold any bytes: broken UTF-8 is replaced, never an
// exception.
std::string json_text(const nlohmann::ordered_json& j);

}  // namespace solobox
