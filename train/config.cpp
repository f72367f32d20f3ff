#include "train/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "tensor/check.h"
#include "train/names.h"

namespace solobox {
namespace {

using Keys = std::vector<ConfigKey>;

ConfigKey integer(std::string name, std::int64_t value, double min, double max, std::string meaning,
                  std::vector<std::string> aliases = {}) {
    return {std::move(name),   std::move(aliases), KeyType::integer, std::to_string(value), min, max, {},
            std::move(meaning)};
}
ConfigKey number(std::string name, double value, double min, double max, std::string meaning,
                 std::vector<std::string> aliases = {}) {
    return {std::move(name),   std::move(aliases), KeyType::number, fmt::format("{}", value), min, max, {},
            std::move(meaning)};
}
ConfigKey flag(std::string name, bool value, std::string meaning) {
    return {std::move(name), {}, KeyType::flag, value ? "true" : "false", 0, 0, {}, std::move(meaning)};
}
ConfigKey text(std::string name, std::string value, std::string meaning, std::vector<std::string> aliases = {}) {
    return {std::move(name), std::move(aliases), KeyType::text, std::move(value), 0, 0, {}, std::move(meaning)};
}
ConfigKey choice(std::string name, std::vector<std::string> choices, std::string meaning) {
    const std::string first = choices.front();
    return {std::move(name), {}, KeyType::choice, first, 0, 0, std::move(choices), std::move(meaning)};
}

Keys make_schema() {
    return {
        text("data", "", "data set: a directory or data.yaml, or `synthetic` for shapes made in memory", {"data_root"}),
        choice("format", {"detect", "voc", "yolo", "coco", "tiny-imagenet", "folder"}, "of the data set"),
        choice("model", {"tiny", "toy"}, "network: tiny (five conv blocks) or toy (the 24 convolutions of YOLOv1)"),
        integer("image", 128, 8, 2048, "side of the square picture in pixels", {"imgsz", "img_size"}),
        number("width_mult", 1, 0.001, 4, "toy: factor on every channel count"),
        integer("hidden", 256, 1, 65536, "features between the two linears"),
        choice("norm", {"group", "none", "batch"}, "normalisation after each convolution"),
        integer("groups", 8, 1, 4096, "groups of the group norm"),
        number("dropout", 0, 0, 0.99, "probability after the first linear"),
        choice("decode", {"sigmoid", "identity", "sigmoid_softplus", "sigmoid_exp", "log_wh"},
               "how the raw output becomes a box"),
        choice("loss", {"box", "mse", "smooth_l1", "yolo_bbox", "log_wh", "iou", "giou", "diou", "ciou"}, "box loss"),
        choice("iou_type", {"ciou", "diou", "giou", "iou"}, "IoU in the terms 1 - IoU of box and yolo_bbox"),
        number("lambda_coord", 5, 0, 1e6, "weight of the centre term"),
        number("lambda_wh", 5, 0, 1e6, "weight of the size term"),
        number("lambda_iou", 3, 0, 1e6, "weight of the IoU term"),
        flag("detach_alpha", true, "CIoU: alpha is a constant in backward"),
        choice("reduction", {"mean", "sum"}, "of the loss over the batch"),
        flag("clamp_before_loss", false, "fault of seed 002: clamps boxes before the loss, which blocks gradients"),
        number("prior_w", 0.25, 1e-3, 0.999, "sigmoid_exp: width that a zero output decodes to"),
        number("prior_h", 0.35, 1e-3, 0.999, "sigmoid_exp: height that a zero output decodes to"),
        choice("head_bias", {"logit", "zero", "log", "prior"},
               "bias of the last linear: logit of 0.2, 0, ln 0.2, or the mean box"),
        choice("head_init", {"default", "normal"}, "weight of the last linear: uniform, or N(0, 1e-3)"),
        choice("optimizer", {"AdamW", "Adam", "SGD"}, "optimizer"),
        number("lr0", 1e-3, 0, 100, "learning rate after warmup", {"lr"}),
        number("lrf", 0.01, 0, 1, "final learning rate as a share of lr0"),
        number("momentum", 0.9, 0, 0.9999, "SGD momentum; beta1 of Adam"),
        number("beta2", 0.999, 0, 0.99999, "beta2 of Adam"),
        flag("nesterov", false, "SGD: Nesterov momentum"),
        number("weight_decay", 5e-4, 0, 10, "decay of weights; biases, norms and tokens never decay"),
        flag("decay_all", false, "fault of seed 002: weight decay on biases and norms too"),
        choice("optimizer_override", {"none", "SGD", "Adam", "AdamW"},
               "fault of seed 002: builds this optimizer, whatever `optimizer` says"),
        integer("warmup_steps", 20, 0, 1'000'000, "steps of linear warmup"),
        number("warmup_epochs", 0, 0, 10'000, "the same in epochs; instead of warmup_steps"),
        choice("schedule",
               {"cosine", "constant", "linear", "step", "multistep", "exponential", "onecycle", "plateau", "staircase"},
               "learning rate after warmup; staircase is the rigid one of seed 002, deaf to lr0 and epochs"),
        flag("cos_lr", true, "true: schedule=cosine, false: schedule=linear"),
        integer("step_size", 30, 1, 1'000'000, "step: epochs from one drop to the next"),
        text("milestones", "", "multistep: epochs of the drops, as 30,60,90"),
        number("gamma", 0.1, 1e-6, 1, "step, multistep, exponential: factor of a drop (exponential: of an epoch)"),
        number("plateau_factor", 0.5, 1e-6, 0.9999, "plateau: factor of a drop"),
        integer("plateau_patience", 4, 0, 1'000'000, "plateau: validations without a lower loss before a drop"),
        number("min_lr", 1e-6, 0, 100, "plateau: never below"),
        number("pct_start", 0.3, 0, 1, "onecycle: share of the run in which the rate rises to lr0"),
        number("div_factor", 25, 1, 1e9, "onecycle: starts at lr0 / div_factor"),
        number("final_div_factor", 1e4, 1, 1e12, "onecycle: ends at its start / final_div_factor"),
        flag("cycle_momentum", true, "onecycle: momentum falls while the rate rises, and the other way round"),
        number("base_momentum", 0.85, 0, 0.9999, "onecycle: momentum at the highest rate"),
        number("max_momentum", 0.95, 0, 0.9999, "onecycle: momentum at the lowest rate"),
        number("clip", 5, 0, 1e9, "largest gradient norm; 0 is off"),
        integer("epochs", 60, 1, 1'000'000, "passes over the training pictures", {"max_epochs"}),
        integer("batch", 8, 1, 65536, "pictures per step", {"batch_size"}),
        integer("accumulate", 1, 1, 4096, "parts that a batch is computed in, one after the other: less memory"),
        number("ema_decay", 0.999, 0, 0.999999, "moving average of the weights, used for validation; 0 is off"),
        number("ema_tau", 100, 0, 1e9, "steps in which ema_decay is reached: decay (1 - exp(-step / tau)); 0: at once"),
        integer("patience", 15, 0, 1'000'000, "validations without a better IoU before training stops; 0 is off"),
        number("min_delta", 0, 0, 1, "gain in IoU that counts as better"),
        integer("val_every", 1, 1, 1'000'000, "epochs from one validation to the next"),
        number("val_fraction", 0.2, 0, 0.9, "of a data set without a split: the last ones in byte order of path"),
        text("multi_scale", "", "sides of the picture, one drawn for every batch, as 96,112,128; empty: `image`"),
        number("fliplr", 0.5, 0, 1, "probability of a mirrored picture"),
        number("translate", 0.05, 0, 0.9, "largest shift, as a share of the side"),
        number("scale", 0.1, 0, 0.9, "crops as small as 1 - scale of the side"),
        number("degrees", 0, 0, 180, "largest rotation"),
        number("min_visible", 0.5, 0, 1, "share of the box that a crop must keep, else it is rejected"),
        number("brightness", 0.2, 0, 1, "factors 1 - x to 1 + x"),
        number("contrast", 0.2, 0, 1, "factors 1 - x to 1 + x"),
        number("saturation", 0.2, 0, 1, "factors 1 - x to 1 + x"),
        number("hsv_h", 0, 0, 0.5, "largest turn of the hue, as a share of the circle"),
        number("hsv_s", 0, 0, 1, "gain of the saturation 1 - x to 1 + x, in HSV"),
        number("hsv_v", 0, 0, 1, "gain of the value 1 - x to 1 + x, in HSV"),
        number("mosaic", 0, 0, 1, "probability of four pictures in one; the largest box left is the target"),
        number("mixup", 0, 0, 1, "probability of a second picture shining through; the first one's box is the target"),
        integer("workers", 1, 0, 256, "threads that prepare pictures ahead of the step; 0: the step waits for them",
                {"num_workers"}),
        integer("cache_mb", 2048, 0, 1'000'000,
                "memory for decoded pictures; what does not fit is decoded every epoch"),
        text("weights", "", "safetensors to start from instead of fresh weights"),
        text("project", "runs/train", "directory of the runs"),
        text("name", "", "of the run; empty: that of the data set"),
        flag("exist_ok", false, "an existing run may be written over"),
        flag("skip_bad", false, "leave out pictures and labels that cannot be used, and count them"),
        integer("seed", 0, 0, 9.0e15, "of every random number"),
        choice("conv", {"fast", "direct"}, "3x3 convolutions: through Winograd where that is faster, or never"),
        integer("recompute", 0, 0, 1,
                "1: maps in front of a pool are computed anew in backward: less memory, more time"),
        flag("check_finite", false, "look for NaN and infinity in every op's output, not only in loss and gradients"),
        flag("trace", false, "record every tensor's fingerprint at every step, for `solobox diff`"),
        choice("box", {"largest", "first", "error"}, "which object counts when a picture has several"),
        flag("antialias", true, "resize with antialiasing (as PIL) instead of plain bilinear"),
        choice("exif_boxes", {"stored", "upright"}, "frame of the labels of pictures with an EXIF orientation"),
    };
}

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

const std::vector<ConfigKey>& config_schema() {
    static const Keys schema = [] {
        Keys keys = make_schema();
        static const std::set<std::string> everywhere{"model",
                                                      "image",
                                                      "width_mult",
                                                      "hidden",
                                                      "norm",
                                                      "groups",
                                                      "dropout",
                                                      "decode",
                                                      "loss",
                                                      "iou_type",
                                                      "lambda_coord",
                                                      "lambda_wh",
                                                      "lambda_iou",
                                                      "detach_alpha",
                                                      "reduction",
                                                      "clamp_before_loss",
                                                      "prior_w",
                                                      "prior_h",
                                                      "head_bias",
                                                      "head_init",
                                                      "optimizer",
                                                      "lr0",
                                                      "lrf",
                                                      "momentum",
                                                      "beta2",
                                                      "nesterov",
                                                      "weight_decay",
                                                      "decay_all",
                                                      "optimizer_override",
                                                      "warmup_steps",
                                                      "schedule",
                                                      "clip",
                                                      "batch",
                                                      "seed",
                                                      "conv",
                                                      "recompute",
                                                      "check_finite",
                                                      "trace",
                                                      "box",
                                                      "antialias",
                                                      "exif_boxes"};
        for (ConfigKey& k : keys) k.training_only = !everywhere.contains(k.name);
        return keys;
    }();
    return schema;
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

std::string schema_text() {
    std::string text = fmt::format("{:<18} {:<34} {:<10} meaning\n", "key", "type", "default");
    for (const ConfigKey& k : config_schema()) {
        std::string meaning = k.meaning;
        if (k.training_only) meaning += " [train]";
        if (!k.aliases.empty()) meaning += fmt::format(" (also {})", fmt::join(k.aliases, ", "));
        text += fmt::format("{:<18} {:<34} {:<10} {}\n", k.name, type_name(k), k.default_value, meaning);
    }
    return text;
}

std::string schema_markdown() {
    std::string text =
        "# Configuration keys\n\nWritten by `solobox config --schema --markdown`. Keys marked [train] belong to "
        "`train` and "
        "its relatives; the others also to `overfit`.\n\n| key | type | default | meaning |\n|---|---|---|---|\n";
    for (const ConfigKey& k : config_schema()) {
        std::string type = type_name(k);
        for (std::size_t at = 0; (at = type.find('|', at)) != std::string::npos; at += 2) type.replace(at, 1, "\\|");
        text += fmt::format("| {}{} | {} | {} | {}{} |\n", k.name,
                            k.aliases.empty() ? "" : fmt::format(" ({})", fmt::join(k.aliases, ", ")), type,
                            k.default_value, k.meaning, k.training_only ? " [train]" : "");
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
                        {"meaning", k.meaning}});
    return nlohmann::ordered_json{{"keys", keys}}.dump();
}

}  // namespace solobox
