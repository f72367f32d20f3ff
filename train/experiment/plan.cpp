#include "train/experiment/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "data/sets/yaml_guard.h"
#include "data/text.h"
#include "tensor/check.h"
#include "train/config/file.h"
#include "train/config/names.h"

namespace solobox::experiment {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_arms = 500, most_seeds = 1000;
using Settings = std::vector<Setting>;
const std::set<std::string> own_keys{"seed", "project", "name", "exist_ok"};  // the experiment gives them

// "1e-3" and "0.001" are one value.
bool same_value(const std::string& a, const std::string& b) {
    const auto x = parse_double(a), y = parse_double(b);
    return a == b || (x && y && *x == *y);
}

bool same_setting(const Setting& a, const Setting& b) { return a.key == b.key && same_value(a.value, b.value); }

class Reader {
public:
    explicit Reader(const std::string& path) : path_(path), shown_(printable(path, 300)) {}

    Plan read() {
        std::error_code error;
        if (!fs::exists(path_, error)) throw ConfigError(fmt::format("{}: no such experiment file", shown_));
        YAML::Node root;
        try {
            const std::string text = read_whole(path_, std::size_t{1} << 20);
            guard_yaml(text, shown_);
            root = YAML::Load(text);
        } catch (const DataError& e) {
            throw ConfigError(e.what());
        }
        static const std::vector<std::string> known{"name", "question", "base",    "settings", "sets",
                                                    "arms", "factors",  "control", "seeds",    "score"};
        for (const auto& pair : root) {
            const std::string key = pair.first.Scalar();
            if (std::find(known.begin(), known.end(), key) != known.end()) continue;
            std::string advice = did_you_mean(key, known);
            if (advice.empty()) advice = fmt::format(": expected one of {}", fmt::join(known, ", "));
            fail(pair.first, "unknown key '{}'{}", printable(key), advice);
        }
        Plan plan;
        plan.path = path_;
        plan.name = root["name"] ? name(root["name"]) : fs::path(path_).stem().string();
        if (root["question"]) plan.question = text(root["question"], "question");
        if (root["base"])
            plan.base =
                current_name((fs::path(path_).parent_path() / text(root["base"], "base")).lexically_normal().string());
        if (root["settings"]) plan.settings = settings(root["settings"], {});
        read_sets(root, plan);
        if (static_cast<bool>(root["arms"]) == static_cast<bool>(root["factors"]))
            throw ConfigError(fmt::format("{}: expected `arms` (named one by one) or `factors` (a grid){}", shown_,
                                          root["arms"] ? ", found both" : ""));
        root["arms"] ? read_arms(root["arms"], plan) : read_factors(root["factors"], plan);
        read_control(root["control"], plan);
        read_seeds(root["seeds"], plan);
        if (const YAML::Node score = root["score"]) {
            if (text(score, "score") != "last" && text(score) != "best")
                fail(score, "score: '{}': expected last or best", printable(text(score)));
            plan.best = text(score) == "best";
        }
        return plan;
    }

private:
    template <class... Args>
    [[noreturn]] void fail(const YAML::Node& at, fmt::format_string<Args...> format, Args&&... args) const {
        throw ConfigError(fmt::format("{}: line {}: ", shown_, at.Mark().line + 1) +
                          fmt::format(format, std::forward<Args>(args)...));
    }

    std::string text(const YAML::Node& node, const char* what = "a name or value") const {
        if (!node.IsScalar() || node.Scalar().empty())
            fail(node, "{}: expected a text, found {}", what,
                 node.IsSequence() ? "a list"
                 : node.IsMap()    ? "a map"
                                   : "nothing");
        return node.Scalar();
    }

    // Names stand in tables, files and messages.
    std::string name(const YAML::Node& node) const {
        const std::string n = text(node);
        if (n.size() > 60 || n.find_first_of(",|\"\n/\\") != std::string::npos || n[0] == '.' || n[0] == '-')
            fail(node, "'{}' is no name: expected at most 60 characters, none of , | \" / \\, no - or . in front",
                 printable(n));
        return n;
    }

    YAML::Node map(const YAML::Node& node, const char* what) const {
        if (!node.IsMap() || node.size() == 0) fail(node, "{}: expected a map with at least one entry", what);
        return node;
    }

    // Places in the file are relative to it, like the base.
    std::string place(const std::string& value) const {
        if (value.empty() || value == "synthetic" || fs::path(value).is_absolute()) return value;
        return (fs::path(path_).parent_path() / value).lexically_normal().string();
    }

    Setting setting(const YAML::Node& key, const std::string& value) const {
        Setting s;
        try {
            s.key = config_key(key.Scalar()).name;
            if (own_keys.contains(s.key))
                throw ConfigError(fmt::format("'{}' is the experiment's own: expected {}", key.Scalar(),
                                              s.key == "seed" ? "`seeds` at the top of the file" : "none"));
            s.value = names_place(s.key, value) ? place(value) : value;
            Config().set(s.key, s.value, "check");
        } catch (const ConfigError& e) {
            fail(key, "{}", e.what());
        }
        s.origin = fmt::format("{}:{}", path_, key.Mark().line + 1);
        return s;
    }

    std::string value(const YAML::Node& key, const YAML::Node& node) const {
        if (node.IsScalar()) return node.Scalar();
        if (!node.IsSequence()) fail(key, "key '{}': expected a value", printable(key.Scalar()));
        std::vector<std::string> items;
        for (const YAML::Node& item : node) items.push_back(text(item));
        return fmt::format("{}", fmt::join(items, ","));
    }

    // A map of configuration keys; words of ours in it are left to the caller.
    std::vector<Setting> settings(const YAML::Node& node, const std::set<std::string>& ours) const {
        if (!node || node.IsNull()) return {};
        if (!node.IsMap()) fail(node, "expected a map of configuration keys");
        std::vector<Setting> out;
        for (const auto& pair : node) {
            if (ours.contains(pair.first.Scalar())) continue;
            Setting s = setting(pair.first, value(pair.first, pair.second));
            for (const Setting& other : out)
                if (other.key == s.key) fail(pair.first, "'{}' is set twice, under two names", s.key);
            out.push_back(std::move(s));
        }
        return out;
    }

    void read_sets(const YAML::Node& root, Plan& plan) const {
        if (!root["sets"]) {
            plan.sets.push_back({"", {}, {}});
            return;
        }
        for (const auto& pair : map(root["sets"], "sets"))
            plan.sets.push_back({name(pair.first), settings(pair.second, {"synthetic"}),
                                 pair.second.IsMap() ? settings(pair.second["synthetic"], {}) : Settings{}});
    }

    void read_arms(const YAML::Node& node, Plan& plan) const {
        for (const auto& pair : map(node, "arms")) {
            Arm arm;
            arm.name = name(pair.first);
            if (pair.second.IsMap()) {
                if (const YAML::Node from = pair.second["from"]) {
                    arm.from = text(from);
                    if (std::none_of(plan.arms.begin(), plan.arms.end(),
                                     [&](const Arm& a) { return a.name == arm.from; }))
                        fail(from, "from: '{}' is no arm above this one", printable(arm.from));
                }
                if (pair.second["claim"]) arm.claim = claim(pair.second["claim"]);
            }
            arm.settings = settings(pair.second, {"from", "claim"});
            plan.arms.push_back(std::move(arm));
        }
        if (plan.arms.size() > most_arms) fail(node, "{} arms: expected at most {}", plan.arms.size(), most_arms);
    }

    // A factor's value: one of its key, or a map of keys that go together.
    std::vector<Setting> level(const YAML::Node& factor, const YAML::Node& node) const {
        if (!node.IsMap()) return {setting(factor, value(factor, node))};
        return settings(map(node, "a value of a factor"), {});
    }

    // The first of the levels' keys that tells them apart.
    static std::size_t naming_key(const std::vector<Settings>& levels) {
        for (std::size_t k = 0; k < levels.front().size(); ++k) {
            std::set<std::string> values;
            for (const Settings& level : levels)
                if (k < level.size()) values.insert(level[k].key + "=" + level[k].value);
            if (values.size() == levels.size()) return k;
        }
        return 0;
    }

    void refuse_shared_keys(const YAML::Node& factor, const std::vector<Arm>& arms,
                            const std::vector<Settings>& levels) const {
        for (const Arm& arm : arms)
            for (const Setting& s : arm.settings)
                for (const Settings& level : levels)
                    if (std::any_of(level.begin(), level.end(), [&](const Setting& o) { return o.key == s.key; }))
                        fail(factor, "factor '{}' is there twice, under two names", s.key);
    }

    void read_factors(const YAML::Node& node, Plan& plan) const {
        plan.arms.push_back({});
        for (const auto& pair : map(node, "factors")) {
            if (!pair.second.IsSequence() || pair.second.size() == 0)
                fail(pair.first, "factor '{}': expected a list of values", printable(pair.first.Scalar()));
            std::vector<Settings> levels;
            for (const YAML::Node& v : pair.second) levels.push_back(level(pair.first, v));
            refuse_shared_keys(pair.first, plan.arms, levels);
            if (plan.arms.size() * levels.size() > most_arms)
                fail(pair.first, "the grid has more than {} arms", most_arms);
            const std::size_t named_by = naming_key(levels);
            std::vector<Arm> grid;
            for (const Arm& before : plan.arms)
                for (std::size_t l = 0; l < levels.size(); ++l) {
                    Arm arm = before;
                    arm.settings.insert(arm.settings.end(), levels[l].begin(), levels[l].end());
                    arm.levels.push_back(l);
                    const Setting& s = levels[l].at(std::min(named_by, levels[l].size() - 1));
                    arm.name += fmt::format("{}{}={}", arm.name.empty() ? "" : " ", s.key, s.value);
                    if (std::any_of(grid.begin(), grid.end(), [&](const Arm& a) {
                            return a.name == arm.name ||
                                   std::equal(a.settings.begin(), a.settings.end(), arm.settings.begin(),
                                              arm.settings.end(), same_setting);
                        }))
                        fail(pair.second[l], "factor '{}' has the value {} twice", s.key, s.value);
                    grid.push_back(std::move(arm));
                }
            plan.arms = std::move(grid);
        }
    }

    // "+1-2 % IoU" is understood; other texts claim that the arm is better; a map says it in numbers.
    Claim claim(const YAML::Node& node) const {
        Claim c;
        if (!node.IsMap()) {
            c.says = text(node, "claim");
            // Of a range, its lower end.
            const std::size_t end = c.says.find_first_not_of("0123456789.", 1);
            if (c.says[0] == '+' && c.says.find('%') != std::string::npos)
                c.percent = parse_double(c.says.substr(1, end - 1)).value_or(0);
            return c;
        }
        for (const auto& pair : node)
            if (const std::string key = pair.first.Scalar(); key == "says")
                c.says = text(pair.second, "says");
            else if (const auto v = parse_double(text(pair.second)); v && key == "gain")
                c.gain = *v;
            else if (v && key == "reach")
                c.reach = *v;
            else
                fail(pair.first, "claim: '{}': expected says (a text), gain or reach (a number)", printable(key));
        if (c.says.empty()) fail(node, "claim: expected `says`: what was claimed, in words");
        return c;
    }

    // The name of an arm, or values of a grid's factors: of all, or of some (a control in each level of the others).
    void read_control(const YAML::Node& node, Plan& plan) const {
        std::vector<std::size_t> controls{0};
        if (node) controls = node.IsMap() ? matching(node, plan) : std::vector{named(node, plan)};
        plan.control = controls.front();
        const std::vector<std::size_t>& levels = plan.arms[plan.control].levels;
        for (std::size_t f = 0; f < levels.size(); ++f)
            if (std::any_of(controls.begin(), controls.end(),
                            [&](std::size_t i) { return plan.arms[i].levels[f] != levels[f]; }))
                plan.within.push_back(f);
        for (Arm& arm : plan.arms) {
            const auto found = std::find_if(controls.begin(), controls.end(), [&](std::size_t i) {
                return std::all_of(plan.within.begin(), plan.within.end(),
                                   [&](std::size_t f) { return plan.arms[i].levels[f] == arm.levels[f]; });
            });
            if (found == controls.end()) fail(node, "control: no arm with it stands beside '{}'", arm.name);
            arm.control = *found;
        }
    }

    std::vector<std::size_t> matching(const YAML::Node& node, const Plan& plan) const {
        const Settings asked = settings(node, {});
        std::vector<std::size_t> found;
        for (std::size_t i = 0; i < plan.arms.size(); ++i) {
            const Settings& own = plan.arms[i].settings;
            const auto has = [&](const Setting& s) {
                return std::any_of(own.begin(), own.end(), [&](const Setting& o) { return same_setting(o, s); });
            };
            const bool whole = !plan.arms[i].levels.empty() || asked.size() == own.size();
            if (whole && std::all_of(asked.begin(), asked.end(), has)) found.push_back(i);
        }
        std::string wanted;
        for (const auto& s : asked) wanted += fmt::format("{}{}={}", wanted.empty() ? "" : " ", s.key, s.value);
        if (found.empty()) no_arm(node, wanted, plan);
        if (found.size() == plan.arms.size() && found.size() > 1)
            fail(node, "control: every arm has {}: nothing would be compared", wanted);
        return found;
    }

    std::size_t named(const YAML::Node& node, const Plan& plan) const {
        const std::string wanted = text(node, "control");
        for (std::size_t i = 0; i < plan.arms.size(); ++i)
            if (plan.arms[i].name == wanted) return i;
        no_arm(node, wanted, plan);
    }

    [[noreturn]] void no_arm(const YAML::Node& node, const std::string& wanted, const Plan& plan) const {
        std::vector<std::string> names;
        for (const Arm& a : plan.arms) names.push_back(a.name);
        const std::string advice = did_you_mean(wanted, names);
        fail(node, "control: '{}' is no arm{}", printable(wanted, 100),
             advice.empty() ? fmt::format(": expected one of {}", fmt::join(names, ", ")) : advice);
    }

    void read_seeds(const YAML::Node& node, Plan& plan) const {
        const auto number = [&](const YAML::Node& n) {
            const auto v = parse_integer(text(n, "seeds"));
            if (!v || *v < 0) fail(n, "seeds: '{}': expected a whole number from 0", printable(text(n)));
            return *v;
        };
        if (!node) {
            plan.seeds = {0, 1, 2, 3, 4};
        } else if (node.IsSequence()) {
            for (const YAML::Node& n : node) plan.seeds.push_back(number(n));
        } else {
            const std::int64_t count = number(node);
            if (count > static_cast<std::int64_t>(most_seeds))
                fail(node, "seeds: {}: expected at most {}", count, most_seeds);
            for (std::int64_t s = 0; s < count; ++s) plan.seeds.push_back(s);
        }
        if (plan.seeds.empty()) fail(node, "seeds: expected at least one");
        if (std::set<std::int64_t>(plan.seeds.begin(), plan.seeds.end()).size() != plan.seeds.size())
            fail(node, "seeds: one stands twice");
    }

    std::string path_, shown_;
};

}  // namespace

Plan read_plan(const std::string& path) { return Reader(path).read(); }

std::string describe(const Arm& arm) {
    std::string out;
    for (const Setting& s : arm.settings) out += fmt::format("{}{}={}", out.empty() ? "" : ", ", s.key, s.value);
    return out.empty() ? "the base" : out;
}

}  // namespace solobox::experiment
