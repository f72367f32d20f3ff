#include "train/metrics/meter.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace solobox {

void Meter::add_json(nlohmann::ordered_json& j, double loss) const {
    for (const auto& [name, v] : result().columns) j[name.substr(name.rfind('/') + 1)] = v;
    j["loss"] = loss;
}

std::string Meter::words(double loss) const { return fmt::format("{}, loss {:.4f}\n", result().text, loss); }

}  // namespace solobox
