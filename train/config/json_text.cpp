#include "train/config/json_text.h"

#include <nlohmann/json.hpp>

namespace solobox {

std::string json_text(const nlohmann::ordered_json& j) {
    return j.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace solobox
