// solobox check of YAML files: data.yaml and the configuration of a run.
#include <fmt/core.h>

#include <algorithm>

#include "apps/check_file.h"
#include "data/sets/yaml_guard.h"
#include "data/sets/yolo.h"
#include "data/text.h"
#include "train/config/file.h"

namespace solobox {
namespace {

constexpr std::size_t max_yaml_bytes = std::size_t{1} << 20;

// What cannot be read at all is the user's to mend, like a wrong key.
std::vector<YamlEntry> load(const std::string& path) {
    const std::string text = read_whole(path, max_yaml_bytes);
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
    const std::int64_t files = load_config_file(config, path);
    Checked out;
    out.json = {{"kind", "run configuration"}, {"files", files}};
    out.lines.push_back(
        fmt::format("configuration of a run{}", files > 1 ? fmt::format(", with {} base files", files - 1) : ""));
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
