#include "train/config_file.h"

#include <fmt/format.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "tensor/check.h"

namespace solobox {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t largest_file = 1 << 20;  // bytes

std::string read_file(const std::string& path) {
    std::error_code error;
    if (!fs::exists(path, error)) throw ConfigError(fmt::format("{}: no such configuration file", path));
    if (!fs::is_regular_file(path, error))
        throw ConfigError(fmt::format("{}: not a file: expected a configuration in YAML", path));
    if (fs::file_size(path, error) > largest_file)
        throw ConfigError(fmt::format("{}: larger than {} bytes: is this a configuration?", path, largest_file));
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    if (in) text << in.rdbuf();
    if (!in) throw IoError(fmt::format("{}: cannot be read: {}", path, std::strerror(errno)));
    return text.str();
}

// A list of scalars is written as one value: multi_scale: [96, 128] is "96,128".
std::string value_of(const YAML::Node& node, const std::string& where, const std::string& key) {
    if (node.IsScalar()) return node.Scalar();
    if (!node.IsSequence())
        throw ConfigError(
            fmt::format("{}: key '{}' has {}: expected one value", where, key, node.IsNull() ? "no value" : "a map"));
    std::string text;
    for (const auto& item : node) {
        if (!item.IsScalar())
            throw ConfigError(fmt::format("{}: key '{}': expected a list of plain values", where, key));
        text += (text.empty() ? "" : ",") + item.Scalar();
    }
    return text;
}

void load(Config& config, const std::string& path, std::vector<fs::path>& chain) {
    std::error_code error;
    const fs::path canonical = fs::weakly_canonical(path, error);
    if (std::find(chain.begin(), chain.end(), canonical) != chain.end())
        throw ConfigError(fmt::format("{}: its `base` leads back to itself", path));
    chain.push_back(canonical);
    YAML::Node root;
    try {
        root = YAML::Load(read_file(path));
    } catch (const YAML::Exception& e) {
        throw ConfigError(fmt::format("{}:{}: {}", path, e.mark.line + 1, e.msg));
    }
    if (root.IsNull()) throw ConfigError(fmt::format("{}: empty: expected keys and values", path));
    if (!root.IsMap()) throw ConfigError(fmt::format("{}:{}: expected `key: value` lines", path, root.Mark().line + 1));

    std::map<std::string, int> seen;  // canonical name -> line; yaml-cpp itself takes a key twice
    for (const auto& entry : root) {
        const int line = entry.first.Mark().line + 1;
        const std::string where = fmt::format("{}:{}", path, line);
        if (!entry.first.IsScalar()) throw ConfigError(fmt::format("{}: expected a key", where));
        std::string name = entry.first.Scalar();
        try {
            if (name != "base") name = config_key(name).name;
        } catch (const ConfigError& e) {
            throw ConfigError(fmt::format("{}: {}", where, e.what()));
        }
        if (const auto [first, fresh] = seen.try_emplace(name, line); !fresh)
            throw ConfigError(fmt::format("{}: key '{}' is set twice, first in line {}", where, name, first->second));
    }
    if (const YAML::Node base = root["base"]) {
        if (!base.IsScalar() || base.Scalar().empty())
            throw ConfigError(fmt::format("{}:{}: base: expected the name of a file", path, base.Mark().line + 1));
        load(config, (fs::path(path).parent_path() / base.Scalar()).string(), chain);
    }
    for (const auto& entry : root) {
        const std::string& key = entry.first.Scalar();
        if (key == "base") continue;
        const std::string where = fmt::format("{}:{}", path, entry.first.Mark().line + 1);
        const std::string value = value_of(entry.second, where, key);
        try {
            config.set(key, value, where);
        } catch (const ConfigError& e) {
            throw ConfigError(fmt::format("{}: {}", where, e.what()));
        }
    }
}

}  // namespace

void load_config_file(Config& config, const std::string& path) {
    std::vector<fs::path> chain;
    load(config, path, chain);
}

void apply_environment(Config& config) {
    static const std::string prefix = "SOLOBOX_CFG_";
    std::map<std::string, std::string> seen;
    for (char** entry = environ; entry && *entry; ++entry) {
        const std::string text = *entry;
        if (!text.starts_with(prefix)) continue;
        const std::size_t equals = text.find('=');
        const std::string variable = text.substr(0, equals), value = text.substr(equals + 1);
        std::string key = variable.substr(prefix.size());
        for (char& c : key) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        try {
            if (const auto [other, fresh] = seen.try_emplace(config_key(key).name, variable); !fresh)
                throw ConfigError(fmt::format("sets the same key as {}", other->second));
            config.set(key, value, "environment");
        } catch (const ConfigError& e) {
            throw ConfigError(fmt::format("{}: {}", variable, e.what()));
        }
    }
}

}  // namespace solobox
