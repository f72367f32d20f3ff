// solobox check of YAML files: data.yaml and the configuration of a run.
#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "apps/check_file.h"
#include "data/text.h"
#include "data/yaml_guard.h"
#include "data/yolo.h"
#include "train/config.h"

namespace solobox {
namespace {

constexpr std::size_t max_bytes = std::size_t{1} << 20;

template <class... Args>
[[noreturn]] void fail_config(const std::string& file, int line, fmt::format_string<Args...> format, Args&&... args) {
    throw ConfigError(fmt::format("{}: line {}: ", file, line) + fmt::format(format, std::forward<Args>(args)...));
}

// What cannot be read at all is the user's to mend, like a wrong key.
std::vector<YamlEntry> load(const std::string& path) {
    const std::string text = read_whole(path, max_bytes);
    try {
        return yaml_entries(text, printable(path, 300));
    } catch (const DataError& error) {
        throw ConfigError(error.what());
    }
}

const YamlEntry* find(const std::vector<YamlEntry>& entries, const char* key) {
    const auto at = std::find_if(entries.begin(), entries.end(), [&](const YamlEntry& e) { return e.key == key; });
    return at == entries.end() ? nullptr : &*at;
}

Checked check_description(const std::string& path) {
    const YoloDescription d = read_yolo_description(path);
    Checked out;
    out.json = {{"kind", "data.yaml"}, {"classes", d.classes}, {"train", d.train}, {"val", d.val}};
    out.lines.push_back(fmt::format("data.yaml of a YOLO set, {} classes", d.classes.size()));
    for (std::size_t i = 0; i < d.classes.size(); ++i)
        out.lines.push_back(fmt::format("  {}: {}", i, printable(d.classes[i])));
    for (const std::string& place : d.train) out.lines.push_back("  train: " + printable(place, 300));
    for (const std::string& place : d.val) out.lines.push_back("  val: " + printable(place, 300));
    return out;
}

// The keys of one file, and of the files it is based on; chain: the files that led here.
void read_run(const std::string& path, const std::vector<YamlEntry>& entries, Config& config,
              std::vector<std::string>& chain) {
    const std::string file = printable(path, 300);
    std::error_code error;
    chain.push_back(std::filesystem::weakly_canonical(path, error).string());
    if (const YamlEntry* base = find(entries, "base")) {
        if (base->text.empty()) fail_config(file, base->line, "base: expected the path of a file");
        const std::string next = base->text.starts_with('/') ? base->text : join_path(parent_path(path), base->text);
        const std::string real = std::filesystem::weakly_canonical(next, error).string(), shown = printable(next, 200);
        if (std::find(chain.begin(), chain.end(), real) != chain.end())
            fail_config(file, base->line, "base: {} leads back to itself (a cycle)", shown);
        if (is_directory(next)) fail_config(file, base->line, "base: {} is a directory, expected a file", shown);
        if (!is_file(next)) fail_config(file, base->line, "base: the file {} does not exist", shown);
        read_run(next, load(next), config, chain);
    }
    std::map<std::string, std::string> seen;  // a key and its alias are one key
    for (const YamlEntry& entry : entries) {
        if (entry.key == "base") continue;
        std::string flaw;
        try {
            const std::string& name = config_key(entry.key).name;
            if (!seen.emplace(name, entry.key).second)
                flaw = fmt::format("{} and {} are the same key (duplicate key)", seen[name], entry.key);
            else if (entry.kind != YamlEntry::Kind::text)
                flaw = fmt::format("{}: {}, expected one value", name,
                                   entry.kind == YamlEntry::Kind::nothing ? "no value"
                                   : entry.kind == YamlEntry::Kind::map   ? "a map"
                                                                          : "a list");
            else
                config.set(entry.key, entry.text, file);
        } catch (const ConfigError& bad) {
            flaw = bad.what();
        }
        if (!flaw.empty()) fail_config(file, entry.line, "{}", flaw);
    }
}

}  // namespace

Checked check_yaml(const std::string& path) {
    const std::vector<YamlEntry> entries = load(path);
    // A run has `train` nowhere, and `data` as one text: places and class names belong to a data set.
    const auto place = [&](const char* key) {
        const YamlEntry* e = find(entries, key);
        return e && (e->kind == YamlEntry::Kind::text || e->kind == YamlEntry::Kind::list);
    };
    if (find(entries, "names") || (place("train") && place("val"))) return check_description(path);
    Config config;
    std::vector<std::string> chain;
    read_run(path, entries, config, chain);
    Checked out;
    out.json = {{"kind", "run configuration"}, {"files", chain.size()}};
    out.lines.push_back(fmt::format("configuration of a run{}",
                                    chain.size() > 1 ? fmt::format(", with {} base files", chain.size() - 1) : ""));
    nlohmann::ordered_json settings = nlohmann::ordered_json::object();
    for (const auto& [key, value] : config.all()) {
        if (config.is_default(key)) continue;
        settings[key] = value.value;
        out.lines.push_back(fmt::format("  {}: {}", key, printable(value.value, 200)));
    }
    out.json["settings"] = settings;
    return out;
}

}  // namespace solobox
