// The one flat list of configuration keys: name, aliases, type, range, default and meaning. Everything that sets a key
// goes through it, so an unknown key, a value of the wrong type or one out of range is an error with the nearest name,
// and every value knows where it came from.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace solobox {

enum class KeyType { integer, number, flag, text, choice };

// What a key's value decides, beside the numbers that a run learns from.
enum class Decides {
    learning,  // what is learned: a run goes on under the same value only
    outcome,   // what comes of a run, as its length: an experiment's run under another value is another run
    nothing,   // neither: places, names, threads
};

struct ConfigKey {
    std::string name;
    std::vector<std::string> aliases;
    KeyType type = KeyType::text;
    std::string default_value;
    double min = 0, max = 0;           // integer, number: the allowed range, ends included
    std::vector<std::string> choices;  // choice
    std::string meaning;
    bool training_only = false;  // `train` and its relatives use it, overfit would ignore it
    bool settled = false;        // overfit sets it itself
    Decides decides = Decides::learning;
    std::string task = {};   // the kind of task that it belongs to; "": common to all
    std::string group = {};  // common, but only for tasks that take this group: "geometry", "objects"
    std::string place = {};  // the key behind which it stands in lists; "": behind the one before it
    std::string head = {};   // "regression" | "occupancy": only this head of a box model uses it; "": all

    ConfigKey in_train() &&;
    ConfigKey settled_by_overfit() &&;
    ConfigKey decides_outcome() &&;
    ConfigKey decides_nothing() &&;
    ConfigKey of_group(std::string name) &&;
    ConfigKey of_head(std::string name) &&;
    ConfigKey after(std::string name) &&;
};

class Config;
namespace doctor {
class Facts;
}

// What one kind of task brings to the configuration: its models, its keys and what they settle. The one table of kinds
// is in train/tasks; a program of somebody's own adds its own (tool(argc, argv, kinds)).
struct TaskKeys {
    std::string kind;                 // "box", "classes"
    std::string puts_out;             // "a box": for messages
    std::string asked;                // by `overfit --task`: "box", "classify"
    std::vector<std::string> models;  // values of the key `model`
    std::function<std::vector<ConfigKey>()> keys;
    std::vector<std::string> groups = {};  // of the common keys
    std::vector<std::string> faults = {};  // that only this kind can have
    // Values that are usual for the model, for keys that the user left alone.
    std::function<void(Config&)> model_defaults = {};
    std::vector<std::pair<std::string, std::string>> training_defaults = {};  // usual in `train` alone
    std::vector<std::pair<std::string, std::string>> overfit_fixed = {};      // what overfit always uses
    std::function<void(Config&)> overfit_defaults = {};
    // ConfigError when the planted fault could change nothing.
    std::function<void(const Config&)> check_fault = {};
    // For the doctor: what the keys say that only this kind has, and its norm ("batch", "group").
    std::function<void(const Config&, doctor::Facts&)> tell = {};
    std::function<std::string(const Config&)> norm = {};
    bool picture_classes = false;          // learns the class of a whole picture
    std::array<int, 2> smoke = {{16, 8}};  // pictures of a smoke run: training, validation
};
const std::vector<TaskKeys>& task_keys();
void add_task_keys(TaskKeys keys);  // before the first Config; Error when a model or a key has its name twice

const std::vector<ConfigKey>& config_schema();
const ConfigKey& config_key(const std::string& name_or_alias);  // ConfigError with the nearest name
// Whether this value of the key is a path: of data, weights, a list.
bool names_place(const std::string& key, const std::string& value);

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

const TaskKeys& task_of(const Config& config);  // the kind that its model belongs to
bool uses(const TaskKeys& task, const ConfigKey& key);

// ConfigError for keys that were set (by other than a default) and that belong to another kind of task, or to another
// head than the configuration's.
void refuse_keys_of_other_tasks(const Config& config);

// Numbers between commas: "30,60" -> {30, 60}. ConfigError naming the key.
std::vector<std::int64_t> parse_list(const std::string& key, const std::string& text);  // whole ones
std::vector<double> parse_numbers(const std::string& key, const std::string& text);

// The whole of a text as one number; ConfigError naming the key otherwise. Independent of the locale.
double parse_number(const std::string& key, const std::string& text);
std::int64_t parse_integer_value(const std::string& key, const std::string& text);

// Table for `solobox config --schema`: aligned text, JSON, or the page of the docs.
std::string schema_text();
std::string schema_json();
std::string schema_markdown();  // docs/configuration.md

}  // namespace solobox
