#include "train/config/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "tensor/check.h"
#include "train/config/names.h"

namespace solobox {
namespace {

std::string type_name(const ConfigKey& k) {
    switch (k.type) {
        case KeyType::integer:
            return fmt::format("integer {:g}..{:g}", k.min, k.max);
        case KeyType::number:
            return fmt::format("number {:g}..{:g}", k.min, k.max);
        case KeyType::flag:
            return "true|false";
        case KeyType::text:
            return "text";
        case KeyType::choice:
            return fmt::format("{}", fmt::join(k.choices, "|"));
    }
    return "";
}

// Capitals do not count: `sgd` is SGD.
bool same_letters(const std::string& a, const std::string& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

std::string shown(const std::string& text) {
    std::string safe;
    for (const char c : text.substr(0, 60)) safe += static_cast<unsigned char>(c) < 32 || c == 127 ? '?' : c;
    return text.size() > 60 ? safe + "..." : safe;
}

void check_range(const ConfigKey& k, double value, const std::string& text) {
    if (!(value >= k.min && value <= k.max))
        throw ConfigError(
            fmt::format("{}={}: expected {:g} to {:g} ({})", k.name, shown(text), k.min, k.max, k.meaning));
}

// The value in the form in which it is kept and hashed: "1e-3" and "0.001" are the same setting.
std::string checked_value(const ConfigKey& k, const std::string& value) {
    switch (k.type) {
        case KeyType::integer: {
            const std::int64_t v = parse_integer_value(k.name, value);
            check_range(k, static_cast<double>(v), value);
            return std::to_string(v);
        }
        case KeyType::number: {
            const double v = parse_number(k.name, value);
            check_range(k, v, value);
            return fmt::format("{}", v == 0 ? 0.0 : v);  // -0 is 0
        }
        case KeyType::flag:
            if (value == "true" || value == "false") return value;
            throw ConfigError(fmt::format("{}={}: expected true or false", k.name, shown(value)));
        case KeyType::choice:
            for (const auto& c : k.choices)
                if (same_letters(c, value)) return c;
            throw ConfigError(fmt::format("{}={}: expected one of {}{}", k.name, shown(value),
                                          fmt::join(k.choices, ", "), did_you_mean(value, k.choices)));
        case KeyType::text:
            return value;
    }
    return value;
}

// A text as YAML's double-quoted scalar: JSON's is one. Bytes that are no UTF-8 are replaced.
std::string quoted(const std::string& text) {
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string one_line(std::string text) {
    for (char& c : text)
        if (static_cast<unsigned char>(c) < 32 || c == 127) c = '?';
    return text;
}

// Past one leading '+', which from_chars does not take; "+-5" stays an error.
const char* number_begin(const std::string& text) {
    return text.data() + (text.starts_with('+') && !text.starts_with("+-") ? 1 : 0);
}

std::vector<std::string> items(const std::string& text) {
    std::vector<std::string> found;
    for (std::size_t at = 0; !text.empty() && at <= text.size();) {
        const std::size_t end = std::min(text.find(',', at), text.size());
        std::string item = text.substr(at, end - at);
        item.erase(std::remove(item.begin(), item.end(), ' '), item.end());
        found.push_back(std::move(item));
        at = end + 1;
    }
    return found;
}

}  // namespace

double parse_number(const std::string& key, const std::string& text) {
    double value = 0;
    const auto [end, error] = std::from_chars(number_begin(text), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value))
        throw ConfigError(fmt::format("{}={}: expected a number", key, shown(text)));
    return value;
}

std::int64_t parse_integer_value(const std::string& key, const std::string& text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(number_begin(text), text.data() + text.size(), value);
    if (error == std::errc::result_out_of_range)
        throw ConfigError(fmt::format("{}={}: expected a whole number of at most 63 bits", key, shown(text)));
    if (error != std::errc() || end != text.data() + text.size())
        throw ConfigError(fmt::format("{}={}: expected a whole number", key, shown(text)));
    return value;
}

bool names_place(const std::string& key, const std::string& value) {
    if (value.empty() || (key == "data" && value == "synthetic")) return false;
    return key == "data" || key == "weights" || key == "train_list" || key == "val_list";
}

const ConfigKey& config_key(const std::string& name) {
    std::vector<std::string> names;
    for (const ConfigKey& k : config_schema()) {
        if (k.name == name) return k;
        names.push_back(k.name);
        for (const auto& alias : k.aliases) {
            if (alias == name) return k;
            names.push_back(alias);
        }
    }
    throw ConfigError(fmt::format("unknown key '{}'{} (`solobox config --schema` lists all keys)", shown(name),
                                  did_you_mean(name, names)));
}

Config::Config() {
    for (const ConfigKey& k : config_schema()) values_[k.name] = {k.default_value, "default"};
}

void Config::set(const std::string& key, const std::string& value, const std::string& origin) {
    const ConfigKey& k = config_key(key);
    const std::string as = key == k.name ? "" : fmt::format(" (as {})", key);
    values_[k.name] = {checked_value(k, value), origin + as};
}

void Config::set_words(const std::vector<std::string>& words, const std::string& origin) {
    std::map<std::string, std::string> seen;
    for (const auto& word : words) {
        const std::size_t equals = word.find('=');
        if (equals == std::string::npos || equals == 0)
            throw ConfigError(fmt::format("'{}' is not understood: expected key=value", shown(word)));
        const std::string written = word.substr(0, equals), key = config_key(written).name;
        if (seen.contains(key))
            throw ConfigError(fmt::format("key '{}' is set twice: {} and {}", key, shown(seen[key]), shown(word)));
        seen[key] = word;
        set(written, word.substr(equals + 1), origin);
    }
}

const ConfigValue& Config::at(const std::string& key) const {
    const auto found = values_.find(key);
    if (found == values_.end()) throw Error(fmt::format("no configuration key '{}'", key));
    return found->second;
}
std::int64_t Config::integer(const std::string& key) const { return parse_integer_value(key, at(key).value); }
double Config::number(const std::string& key) const { return parse_number(key, at(key).value); }
bool Config::flag(const std::string& key) const { return at(key).value == "true"; }
const std::string& Config::text(const std::string& key) const { return at(key).value; }

std::vector<std::pair<std::string, ConfigValue>> Config::all() const {
    std::vector<std::pair<std::string, ConfigValue>> rows;
    for (const ConfigKey& k : config_schema()) rows.emplace_back(k.name, at(k.name));
    return rows;
}

std::string Config::to_yaml() const {
    std::string text;
    for (const auto& [key, v] : all())
        text += fmt::format("{}: {}  # {}\n", key, config_key(key).type == KeyType::text ? quoted(v.value) : v.value,
                            one_line(v.origin));
    return text;
}

ConfigKey ConfigKey::in_train() && { return training_only = true, std::move(*this); }
ConfigKey ConfigKey::settled_by_overfit() && { return settled = true, std::move(*this); }
ConfigKey ConfigKey::decides_outcome() && { return decides = Decides::outcome, std::move(*this); }
ConfigKey ConfigKey::decides_nothing() && { return decides = Decides::nothing, std::move(*this); }
ConfigKey ConfigKey::of_group(std::string name_) && { return group = std::move(name_), std::move(*this); }
ConfigKey ConfigKey::of_head(std::string name_) && { return head = std::move(name_), std::move(*this); }

ConfigKey ConfigKey::after(std::string name_) && { return place = std::move(name_), std::move(*this); }

std::vector<std::int64_t> parse_list(const std::string& key, const std::string& text) {
    std::vector<std::int64_t> values;
    for (const std::string& item : items(text)) values.push_back(parse_integer_value(key, item));
    return values;
}

std::vector<double> parse_numbers(const std::string& key, const std::string& text) {
    std::vector<double> values;
    for (const std::string& item : items(text)) values.push_back(parse_number(key, item));
    return values;
}

const TaskKeys& task_of(const Config& config) {
    const std::string& model = config.text("model");
    for (const TaskKeys& t : task_keys())
        if (std::find(t.models.begin(), t.models.end(), model) != t.models.end()) return t;
    throw Error(fmt::format("model '{}' belongs to no kind of task", model));
}

bool uses(const TaskKeys& t, const ConfigKey& k) {
    if (!k.task.empty()) return k.task == t.kind;
    return k.group.empty() || std::find(t.groups.begin(), t.groups.end(), k.group) != t.groups.end();
}

void refuse_keys_of_other_tasks(const Config& config) {
    const TaskKeys& task = task_of(config);
    for (const auto& [key, v] : config.all()) {
        const ConfigKey& k = config_key(key);
        if (v.value == k.default_value || v.origin.ends_with("default")) continue;
        if (!uses(task, k))
            throw ConfigError(fmt::format("{}={} ({}) would be ignored: model={} puts out {}", key, shown(v.value),
                                          v.origin, config.text("model"), task.puts_out));
        if (!k.head.empty() && k.head != config.text("head"))
            throw ConfigError(fmt::format("{}={} ({}) would be ignored: it belongs to head={}, and head={} is in force",
                                          key, shown(v.value), v.origin, k.head, config.text("head")));
    }
}

namespace {

// The kinds of task that use a key which not all of them use: " [box]".
std::string users(const ConfigKey& k) {
    if (!k.head.empty()) return fmt::format(" [{}]", k.head);
    if (k.task.empty() && k.group.empty()) return "";
    std::string names;
    for (const TaskKeys& t : task_keys())
        if (uses(t, k)) names += (names.empty() ? "" : ", ") + t.kind;
    return fmt::format(" [{}]", names);
}

}  // namespace

std::string schema_text() {
    std::string text = fmt::format("{:<18} {:<34} {:<10} meaning\n", "key", "type", "default");
    for (const ConfigKey& k : config_schema()) {
        std::string meaning = k.meaning;
        if (k.training_only) meaning += " [train]";
        meaning += users(k);
        if (!k.aliases.empty()) meaning += fmt::format(" (also {})", fmt::join(k.aliases, ", "));
        text += fmt::format("{:<18} {:<34} {:<10} {}\n", k.name, type_name(k), k.default_value, meaning);
    }
    return text;
}

std::string schema_markdown() {
    std::string text =
        "# Configuration keys\n\nWritten by `solobox config --schema --markdown`. Keys marked [train] belong to "
        "`train` and its relatives; the others also to `overfit`. Keys marked [box] belong to tiny and toy, those "
        "marked [classes] to the resnets, [regression] and [occupancy] to tiny and toy with that head: where they "
        "would be ignored they are errors.\n\n| key | type | default | meaning |\n|---|---|---|---|\n";
    for (const ConfigKey& k : config_schema()) {
        std::string type = type_name(k);
        for (std::size_t at = 0; (at = type.find('|', at)) != std::string::npos; at += 2) type.replace(at, 1, "\\|");
        text += fmt::format("| {}{} | {} | {} | {}{} |\n", k.name,
                            k.aliases.empty() ? "" : fmt::format(" ({})", fmt::join(k.aliases, ", ")), type,
                            k.default_value, k.meaning, std::string(k.training_only ? " [train]" : "") + users(k));
    }
    return text;
}

std::string schema_json() {
    nlohmann::ordered_json keys = nlohmann::ordered_json::array();
    for (const ConfigKey& k : config_schema())
        keys.push_back({{"name", k.name},
                        {"aliases", k.aliases},
                        {"type", type_name(k)},
                        {"default", k.default_value},
                        {"task", k.task},
                        {"head", k.head},
                        {"meaning", k.meaning}});
    return nlohmann::ordered_json{{"keys", keys}}.dump();
}

}  // namespace solobox
