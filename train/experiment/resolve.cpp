// From an experiment's file to the configurations of its runs (see plan.h).
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "tensor/check.h"
#include "train/config/file.h"
#include "train/config/setup.h"
#include "train/experiment/plan.h"

namespace solobox::experiment {
namespace {

void apply(Config& config, const std::vector<Setting>& settings) {
    for (const Setting& s : settings) config.set(s.key, s.value, s.origin);
}

void apply_arm(Config& config, const Plan& plan, const Arm& arm) {
    for (const Arm& other : plan.arms)
        if (!arm.from.empty() && other.name == arm.from) apply_arm(config, plan, other);
    apply(config, arm.settings);
}

// Keys in which arms differ: what the command line may not set for all of them.
std::set<std::string> varied_keys(const Plan& plan) {
    std::set<std::string> keys;
    for (const Arm& arm : plan.arms)
        for (const Setting& s : arm.settings) keys.insert(s.key);
    return keys;
}

// Small enough for a few hundred runs in a minute or two; what it learns means nothing.
void shrink(Config& config) {
    const auto at_most = [&](const char* key, std::int64_t most) {
        const std::int64_t now = config.integer(key);
        if (now == 0 || now > most) config.set(key, std::to_string(most), "--smoke");
    };
    config.set("epochs", "1", "--smoke");
    const auto [train, val] = task_of(config).smoke;
    config.set("train_images", std::to_string(train), "--smoke"),
        config.set("val_images", std::to_string(val), "--smoke");
    at_most("image", config.text("model") == "tiny" ? 32 : 64);
    if (!config.text("multi_scale").empty()) config.set("multi_scale", "", "--smoke");
    if (config.number("val_every") > 1) config.set("val_every", "1", "--smoke");
    if (config.integer("unfreeze_epoch") > 1) config.set("unfreeze_epoch", "1", "--smoke");
    if (config.integer("schedule_epochs") > 0) config.set("schedule_epochs", "1", "--smoke");
}

Config base_of(const Plan& plan) {
    Config config;
    if (!plan.base.empty()) load_config_file(config, plan.base);
    apply(config, plan.settings);
    return config;
}

void refuse_varied(const Plan& plan, const Config& changed, const std::string& what) {
    for (const std::string& key : varied_keys(plan))
        if (!changed.is_default(key))
            throw ConfigError(fmt::format("{}={} ({}): the arms of {} differ in {}, this would make them the same", key,
                                          changed.at(key).value, what, plan.name, key));
}

bool is_made_up(const std::string& origin) {
    return origin == "default" || origin == "train default" || origin == "model default";
}

PlannedRun planned(const Plan& plan, std::size_t set, std::size_t arm, std::int64_t seed, const Changes& changes) {
    PlannedRun run{set, arm, seed, base_of(plan), {}};
    apply(run.config, plan.sets[set].settings);
    Config asked;
    apply_environment(asked);
    asked.set_words(changes.words, "command line");
    if (asked.text("data") == "synthetic") apply(run.config, plan.sets[set].twin);
    apply_arm(run.config, plan, plan.arms[arm]);
    apply_environment(run.config);
    run.config.set_words(changes.words, "command line");
    run.config.set("seed", std::to_string(seed), "experiment");
    apply_training_defaults(run.config);
    try {
        apply_model_defaults(run.config);
    } catch (const ConfigError& e) {
        throw ConfigError(fmt::format("{}: {}: {}", plan.path, plan.arms[arm].name, e.what()));
    }
    if (changes.smoke) shrink(run.config);
    if (run.config.text("data").empty())
        throw ConfigError(fmt::format("{}: no data set: give `data` under sets or settings, or data=DIR", plan.path));
    for (const auto& [key, v] : run.config.all()) {
        if (is_made_up(v.origin)) continue;
        // A run can be made again from any place.
        const bool place = names_place(key, v.value);
        run.words.push_back(key + "=" +
                            (place ? std::filesystem::absolute(v.value).lexically_normal().string() : v.value));
    }
    return run;
}

}  // namespace

std::vector<PlannedRun> plan_runs(Plan& plan, const Changes& changes, std::vector<std::string>& notes) {
    Config from_words, from_environment;
    from_words.set_words(changes.words, "command line");
    apply_environment(from_environment);
    refuse_varied(plan, from_words, "command line");
    refuse_varied(plan, from_environment, "environment");
    for (const char* key : {"seed", "project", "name", "exist_ok"})
        for (const Config* given : {&from_words, &from_environment})
            if (!given->is_default(key))
                throw ConfigError(
                    fmt::format("{}={} ({}): the experiment gives each run its own: see --seeds and --out", key,
                                given->at(key).value, given->at(key).origin));
    for (const Config* given : {&from_environment, &from_words})
        for (const auto& [key, v] : given->all())
            if (!given->is_default(key)) plan.words.push_back(key + "=" + v.value);
    if (!changes.seeds.empty()) plan.seeds = changes.seeds;
    if (changes.smoke && plan.seeds.size() > 2) plan.seeds.resize(2);
    for (PictureSet& set : plan.sets)
        if (set.name.empty()) {
            Config c = base_of(plan);
            apply_environment(c);
            c.set_words(changes.words, "command line");
            const std::filesystem::path place = std::filesystem::path(c.text("data")).lexically_normal();
            set.name = (place.has_filename() ? place : place.parent_path()).filename().string();
        }

    // Words win over the sets: data=synthetic makes two sets one.
    std::map<std::string, std::string> seen;
    std::vector<PictureSet> different;
    std::vector<std::size_t> where;
    for (std::size_t s = 0; s < plan.sets.size(); ++s) {
        std::string text;
        for (const auto& [key, v] : planned(plan, s, plan.control, plan.seeds.front(), changes).config.all())
            text += key + "=" + v.value + "\n";
        const auto [first, fresh] = seen.try_emplace(text, plan.sets[s].name);
        if (fresh)
            where.push_back(s);
        else
            notes.push_back(
                fmt::format("the sets {} and {} are the same now: one of them runs", first->second, plan.sets[s].name));
    }
    for (const std::size_t s : where) different.push_back(plan.sets[s]);
    plan.sets = std::move(different);

    std::vector<PlannedRun> runs;
    for (std::size_t s = 0; s < plan.sets.size(); ++s)
        for (const std::int64_t seed : plan.seeds)
            for (std::size_t a = 0; a < plan.arms.size(); ++a) runs.push_back(planned(plan, s, a, seed, changes));
    return runs;
}

}  // namespace solobox::experiment
