// The one flat list of configuration keys: name, aliases, type, range, default and meaning. Everything that sets a key
// goes through it, so an unknown key, a value of the wrong type or one out of range is an error with the nearest name,
// and every value knows where it came from.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace solobox {

enum class KeyType { integer, number, flag, text, choice };

struct ConfigKey {
    std::string name;
    std::vector<std::string> aliases;
    KeyType type = KeyType::text;
    std::string default_value;
    double min = 0, max = 0;           // integer, number: the allowed range, ends included
    std::vector<std::string> choices;  // choice
    std::string meaning;
    bool training_only = false;  // `train` and its relatives use it, overfit would ignore it
    std::string task = {};       // "box" | "classes": only models of this kind use it; "": all
    std::string head = {};       // "regression" | "occupancy": only this head of a box model uses it; "": all
};

const std::vector<ConfigKey>& config_schema();
const ConfigKey& config_key(const std::string& name_or_alias);  // ConfigError with the nearest name

struct ConfigValue {
    std::string value;
    std::string origin;  // default | overfit | environment | command line, with "(as imgsz)" when an alias was used
};

class Config {
public:
    Config();  // all defaults

    // Checks key, type and range; ConfigError otherwise.
    void set(const std::string& key, const std::string& value, const std::string& origin);
    // "key=value" words of the command line.
    void set_words(const std::vector<std::string>& words, const std::string& origin);

    std::int64_t integer(const std::string& key) const;
    double number(const std::string& key) const;
    bool flag(const std::string& key) const;
    const std::string& text(const std::string& key) const;
    const ConfigValue& at(const std::string& key) const;
    bool is_default(const std::string& key) const { return at(key).origin == "default"; }

    // In the order of the schema.
    std::vector<std::pair<std::string, ConfigValue>> all() const;
    // YAML with each value's origin as a comment, as written to args.yaml.
    std::string to_yaml() const;

private:
    std::map<std::string, ConfigValue> values_;
};

// ConfigError for keys that were set (by other than a default) and that belong to the other kind of model, or to
// another head than the configuration's.
void refuse_keys_of_other_tasks(const Config& config);
bool is_classifier(const Config& config);  // by its model: classes of a picture, not boxes

// The whole of a text as one number; ConfigError naming the key otherwise. Independent of the locale.
double parse_number(const std::string& key, const std::string& text);
std::int64_t parse_integer_value(const std::string& key, const std::string& text);

// Table for `solobox config --schema`: aligned text, JSON, or the page of the docs.
std::string schema_text();
std::string schema_json();
std::string schema_markdown();  // docs/configuration.md

}  // namespace solobox
