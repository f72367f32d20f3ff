#include "train/config/keys.h"

#include <fmt/format.h>

namespace solobox::keys {
namespace {

ConfigKey row(std::string name, KeyType type, std::string value, std::string meaning,
              std::vector<std::string> aliases = {}) {
    ConfigKey k;
    k.name = std::move(name), k.type = type, k.default_value = std::move(value), k.meaning = std::move(meaning);
    k.aliases = std::move(aliases);
    return k;
}

}  // namespace

ConfigKey integer(std::string name, std::int64_t value, double min, double max, std::string meaning,
                  std::vector<std::string> aliases) {
    ConfigKey k = row(std::move(name), KeyType::integer, std::to_string(value), std::move(meaning), std::move(aliases));
    k.min = min, k.max = max;
    return k;
}

ConfigKey number(std::string name, double value, double min, double max, std::string meaning,
                 std::vector<std::string> aliases) {
    ConfigKey k =
        row(std::move(name), KeyType::number, fmt::format("{}", value), std::move(meaning), std::move(aliases));
    k.min = min, k.max = max;
    return k;
}

ConfigKey flag(std::string name, bool value, std::string meaning) {
    return row(std::move(name), KeyType::flag, value ? "true" : "false", std::move(meaning));
}

ConfigKey text(std::string name, std::string value, std::string meaning, std::vector<std::string> aliases) {
    return row(std::move(name), KeyType::text, std::move(value), std::move(meaning), std::move(aliases));
}

ConfigKey choice(std::string name, std::vector<std::string> choices, std::string meaning) {
    ConfigKey k = row(std::move(name), KeyType::choice, choices.front(), std::move(meaning));
    k.choices = std::move(choices);
    return k;
}

}  // namespace solobox::keys
