// A run's settings, tables and checkpoint together.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "nn/safetensors.h"
#include "train/config/setup.h"
#include "train/doctor/read_config.h"
#include "train/doctor/sources.h"
#include "train/step/training_schedule.h"

namespace solobox::doctor {
namespace {

std::vector<double> values_of(const RawTensor& t) {
    std::vector<double> out;
    const auto take = [&]<class T>(T) {
        out.resize(t.bytes.size() / sizeof(T));
        for (std::size_t i = 0; i < out.size(); ++i) {
            T v;
            std::memcpy(&v, t.bytes.data() + i * sizeof(T), sizeof v);
            out[i] = static_cast<double>(v);
        }
    };
    if (t.dtype == "F32") take(0.0F);
    if (t.dtype == "F64") take(0.0);
    return out;
}

// The run that this one branched from, while it is still there.
void read_parent(const RunDirectory& run, Facts& facts) {
    std::ifstream in(run.file("parent.json"), std::ios::binary);
    const auto parent = nlohmann::json::parse(in, nullptr, false);
    if (!in || !parent.is_object() || !parent.contains("run") || !parent["run"].is_string()) return;
    const std::string settings = parent["run"].get<std::string>() + "/args.yaml";
    if (!std::filesystem::exists(settings)) return;
    const Config before = read_config(settings);
    facts.set("previous_batch", before.number("batch")), facts.set("previous_lr", before.number("lr0"));
}

}  // namespace

Facts read_checkpoint_facts(const RunDirectory& run) {
    Facts facts;
    if (!std::filesystem::exists(run.last_weights())) return facts;
    const SafetensorsFile file = read_safetensors(run.last_weights());
    Texts bad;
    double apart = 0, norm = 0;
    bool averaged = false;
    for (const auto& [name, tensor] : file.tensors) {
        const std::vector<double> v = values_of(tensor);
        if (std::any_of(v.begin(), v.end(), [](double x) { return !std::isfinite(x); }))
            bad.push_back(fmt::format("{} in weights/last.safetensors", name));
        if (!name.starts_with("model.") || name.find("running_") != std::string::npos) continue;
        const auto average = file.tensors.find("ema." + name.substr(6));
        if (average == file.tensors.end()) continue;
        const std::vector<double> e = values_of(average->second);
        if (e.size() != v.size() || v.empty()) continue;
        averaged = true;
        for (std::size_t i = 0; i < v.size(); ++i) apart += (e[i] - v[i]) * (e[i] - v[i]), norm += v[i] * v[i];
    }
    if (!bad.empty()) facts.set("nonfinite", bad);
    if (averaged && norm > 0) facts.set("ema_distance", std::sqrt(apart / norm));
    return facts;
}

std::function<double(std::int64_t)> planned_rate(const Config& c, const schedule::Calendar& steps,
                                                 const std::vector<StageRate>& stages) {
    if (c.text("schedule") == "plateau") return [](std::int64_t) { return NAN; };
    return [stages, schedule = make_training_schedule(c, steps)](std::int64_t t) {
        double scale = 1;
        for (const StageRate& s : stages)
            if (t >= s.from) scale = s.scale;
        return schedule.rate(t) * scale;
    };
}

Facts read_whole_run(const RunDirectory& run, const Config& config, bool checkpoint) {
    Facts tables = read_run_tables(run);
    if (!tables.has("steps_per_epoch")) {
        // A run of an older version, or somebody's tables: steps over epochs.
        const Series *step = tables.series("step"), *epoch = tables.series("epoch");
        if (step && epoch && !step->empty() && !epoch->empty() && epoch->back() >= 1)
            tables.set("steps_per_epoch", std::floor(step->back() / epoch->back()));
    }
    if (tables.has("job")) {
        tables.set("clip", config.number("clip"));
        if (checkpoint) tables.merge(read_checkpoint_facts(run));
        return tables;
    }
    read_parent(run, tables);
    Facts facts = read_settings_facts(config, tables, 0);
    if (const double* per_epoch = facts.number("steps_per_epoch");
        per_epoch && *per_epoch >= 1 && tables.series("step") && !tables.has("own_stages")) {
        const std::int64_t from = unfreeze_step(config, static_cast<std::int64_t>(*per_epoch));
        const auto planned =
            planned_rate(config, static_cast<std::int64_t>(*per_epoch), {{from, config.number("unfreeze_lr")}});
        Series by_step;
        const double* const before = tables.number("replanned_after");  // what the plan was then is not known
        for (const double step : *tables.series("step"))
            by_step.push_back(before && step <= *before ? NAN : planned(static_cast<std::int64_t>(step) - 1));
        facts.set("step_lr_planned", std::move(by_step));
        if (config.integer("unfreeze_epoch") > 0) facts.set("switch_step", static_cast<double>(from + 1));
    }
    // Throughput over the whole run, validation included.
    if (const Series* elapsed = tables.series("elapsed_seconds");
        elapsed && facts.has("train_images") && tables.series("epoch") && !elapsed->empty() && elapsed->back() > 0)
        facts.set("images_per_second",
                  *facts.number("train_images") * tables.series("epoch")->back() / elapsed->back());
    if (checkpoint) {
        Facts state = read_checkpoint_facts(run);
        // A run that ended by NaN names the place better than its checkpoint.
        if (facts.has("nonfinite")) state.forget("nonfinite");
        facts.merge(state);
    }
    return facts;
}

}  // namespace solobox::doctor
