#include "train/config/file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>

#include "data/sets/yaml_guard.h"
#include "data/text.h"
#include "tensor/check.h"

namespace solobox {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t largest_file = std::size_t{1} << 20;  // bytes

template <class... Args>
[[noreturn]] void fail(const std::string& file, int line, fmt::format_string<Args...> format, Args&&... args) {
    throw ConfigError(fmt::format("{}: line {}: ", printable(file, 300), line) +
                      fmt::format(format, std::forward<Args>(args)...));
}

// What cannot be read as a configuration is the user's to mend, like a wrong key.
std::vector<YamlEntry> read_entries(const std::string& path) {
    try {
        return yaml_entries(read_whole(path, largest_file), printable(path, 300));
    } catch (const DataError& error) {
        throw ConfigError(error.what());
    }
}

// A list is written as one value: multi_scale: [96, 128] is "96,128".
std::string value_of(const YamlEntry& entry, const std::string& path) {
    switch (entry.kind) {
        case YamlEntry::Kind::text:
            return entry.text;
        case YamlEntry::Kind::list:
            if (config_key(entry.key).type != KeyType::text)
                fail(path, entry.line, "key '{}' has a list: expected one value", entry.key);
            if (entry.nested) fail(path, entry.line, "key '{}': expected a list of plain values", entry.key);
            return fmt::format("{}", fmt::join(entry.list, ","));
        case YamlEntry::Kind::nothing:
            fail(path, entry.line, "key '{}' has no value", entry.key);
        case YamlEntry::Kind::map:
            fail(path, entry.line, "key '{}' has a map: expected one value", entry.key);
    }
    return "";
}

void load(Config& config, const std::string& path, std::vector<fs::path>& chain) {
    std::error_code error;
    chain.push_back(fs::weakly_canonical(path, error));
    const std::vector<YamlEntry> entries = read_entries(path);
    for (const YamlEntry& entry : entries)
        if (entry.key == "arms" || entry.key == "factors" || entry.key == "question")
            fail(path, entry.line, "'{}' belongs to an experiment: `solobox experiment {}`", entry.key,
                 printable(path, 200));
    std::map<std::string, const YamlEntry*> seen;  // a key and its alias are one key
    for (const YamlEntry& entry : entries) {
        if (entry.key == "base") {
            if (entry.text.empty()) fail(path, entry.line, "base: expected the path of a file");
            const std::string next = current_name((fs::path(path).parent_path() / entry.text).string());
            if (std::find(chain.begin(), chain.end(), fs::weakly_canonical(next, error)) != chain.end())
                fail(path, entry.line, "base: {} leads back to itself (a cycle)", printable(next, 200));
            if (fs::is_directory(next, error))
                fail(path, entry.line, "base: {} is a directory, expected a file", printable(next, 200));
            if (!fs::is_regular_file(next, error))
                fail(path, entry.line, "base: {}: no such configuration file", printable(next, 200));
            load(config, next, chain);
            continue;
        }
        try {
            const auto [other, fresh] = seen.try_emplace(config_key(entry.key).name, &entry);
            if (!fresh)
                throw ConfigError(
                    other->second->key == entry.key
                        ? fmt::format("key '{}' is set twice, first in line {}", entry.key, other->second->line)
                        : fmt::format("'{}' is the same key as '{}' in line {}", entry.key, other->second->key,
                                      other->second->line));
        } catch (const ConfigError& e) {
            fail(path, entry.line, "{}", e.what());
        }
    }
    for (const auto& [key, entry] : seen) {
        const std::string value = value_of(*entry, path);
        try {
            config.set(entry->key, value, fmt::format("{}:{}", path, entry->line));
        } catch (const ConfigError& e) {
            fail(path, entry->line, "{}", e.what());
        }
    }
}

}  // namespace

std::int64_t load_config_file(Config& config, const std::string& path) {
    std::error_code error;
    if (!fs::exists(path, error))
        throw ConfigError(fmt::format("{}: no such configuration file", printable(path, 300)));
    std::vector<fs::path> chain;
    load(config, path, chain);
    return static_cast<std::int64_t>(chain.size());
}

std::string current_name(const std::string& path) {
    static constexpr std::pair<std::string_view, std::string_view> renamed[] = {
        {"seed002-", "checklist-"}, {"seed003-", "collapse-box-"}, {"seed004-smoke", "smoke-test"}};
    std::error_code error;
    if (fs::exists(path, error)) return path;
    const std::string name = fs::path(path).filename().string();
    for (const auto& [old, present] : renamed) {
        if (!name.starts_with(old)) continue;
        const fs::path now = fs::path(path).parent_path() / (std::string(present) + name.substr(old.size()));
        if (fs::exists(now, error)) return now.string();
    }
    return path;
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
