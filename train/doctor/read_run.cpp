// The tables of a run of this program.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "train/doctor/sources.h"
#include "train/run/causes.h"
#include "train/run/table.h"
#include "train/run/task_info.h"

namespace solobox::doctor {
namespace {

using Json = nlohmann::ordered_json;

// "nan" is written as such and empty cells are empty: what is not finite must not pass for a gap.
Series column(const Table& t, const std::string& name) {
    const std::size_t at = t.column(name);
    Series out = t.numbers(name);
    for (std::size_t i = 0; i < out.size(); ++i)
        if (!t.rows[i][at].empty() && !std::isfinite(out[i])) out[i] = INFINITY;
    return out;
}

// The overfit job counts in steps: its rows are no epochs, and one question decides.
void read_overfit(const RunDirectory& run, const Table& t, Facts& facts) {
    facts.set("job", std::string("overfit"));
    const TaskInfo info = read_task_info(run.path());
    facts.set("kind", info.kind);
    if (info.classes > 0) facts.set("classes", static_cast<double>(info.classes));
    if (t.has("metrics/iou"))
        for (const double v : t.numbers("metrics/iou")) facts.set("overfit_iou", v);
    if (!t.has("val/loss") || info.classes < 2 || t.rows.empty()) return;
    const double start = std::log(static_cast<double>(info.classes));
    for (const double v : t.numbers("val/loss")) facts.set("overfit_loss_share", v / start);
}

void read_results(const RunDirectory& run, Facts& facts) {
    const Table t(run.file("results.csv"));
    if (!t.has("epoch")) {
        if (t.has("step")) read_overfit(run, t, facts);
        return;
    }
    const TaskInfo info = read_task_info(run.path());
    const std::pair<const char*, const char*> columns[] = {
        {"epoch", "epoch"},       {"time", "elapsed_seconds"},      {"train/loss", "train_loss"},
        {"val/loss", "val_loss"}, {"train/acc1", "train_accuracy"}, {"metrics/spread", "spread"},
        {"lr", "epoch_lr"}};
    for (const auto& [name, fact] : columns)
        if (t.has(name)) facts.set(fact, column(t, name));
    if (t.has(info.column)) {
        Series share = column(t, info.column);
        if (info.percent()) facts.set("accuracy", share);
        for (double& v : share) v /= info.full;
        facts.set("metric", std::move(share));
    }
    for (const std::string& name : t.header)
        for (const auto& [start, family] :
             {std::pair<const char*, const char*>{"train/", "train_term."}, {"val/", "val_term."}}) {
            const std::string rest = name.starts_with(start) ? name.substr(std::string(start).size()) : "";
            if (rest.empty() || rest == "loss" || rest.starts_with("acc")) continue;
            facts.set(family + rest, column(t, name));
            if (std::string(family) == "val_term." && (rest == "ce" || rest.starts_with("aux_")))
                facts.set("exit_loss." + (rest == "ce" ? std::string("main") : rest), column(t, name));
        }
    const auto last = [&](const std::string& name, const char* fact) {
        if (!t.has(name)) return;
        for (const double v : t.numbers(name))
            if (!std::isnan(v)) facts.set(fact, v);
    };
    last(info.blind_column, info.percent() ? "blind_accuracy" : "blind_metric");
    last("metrics/val_images", "val_images");
    facts.set("kind", info.kind);
    if (info.classes == 0) return;
    facts.set("classes", static_cast<double>(info.classes));
    if (t.has("val/acc5")) facts.set("top_k", 5.0);
}

void read_steps(const RunDirectory& run, Facts& facts) {
    const Table t(run.file("steps.csv"));
    for (const auto& [name, fact] : {std::pair<const char*, const char*>{"step", "step"},
                                     {"loss", "step_loss"},
                                     {"grad_norm", "grad_norm"},
                                     {"lr", "step_lr"}})
        facts.set(fact, column(t, name));
}

void read_layers(const RunDirectory& run, Facts& facts) {
    const Table t(run.file("layers.csv"));
    const Series step = t.numbers("step"), norm = t.numbers("grad_norm");
    std::map<double, std::pair<double, double>> sums;
    for (std::size_t i = 0; i < step.size(); ++i)
        if (!std::isnan(norm[i])) sums[step[i]].first += norm[i], sums[step[i]].second += 1;
    Series means;
    for (const auto& [at, sum] : sums) means.push_back(sum.first / sum.second);
    if (!means.empty()) facts.set("mean_grad", std::move(means));
    if (!t.has("update_ratio") || !t.has("weight_norm")) return;
    const Series ratio = t.numbers("update_ratio"), weight = t.numbers("weight_norm");
    const std::size_t named = t.column("name");
    std::map<std::string, UpdateRatios> tensors;
    std::set<std::string> zero;  // at the start: whatever moves is all of it
    for (std::size_t i = 0; i < step.size(); ++i) {
        const std::string& name = t.rows[i][named];
        if (!name.ends_with(".weight")) continue;
        if (!tensors.contains(name) && !(weight[i] > 0)) zero.insert(name);
        UpdateRatios& r = tensors[name];
        r.name = name, r.step.push_back(step[i]), r.ratio.push_back(ratio[i]), r.norm.push_back(weight[i]);
    }
    std::vector<UpdateRatios> some;
    for (auto& [name, r] : tensors)
        if (!zero.contains(name)) some.push_back(std::move(r));
    if (const StepSizes sizes = step_sizes(some); sizes.known) {
        facts.set("largest_update", sizes.largest), facts.set("largest_update_when", sizes.when());
        facts.set("largest_update_tensor", sizes.where), facts.set("weights_moved", sizes.moved);
    }
}

// What the run itself measured and said: {"event": "facts", ...}, one number, text or list each; the last counts.
void read_events(const RunDirectory& run, Facts& facts) {
    std::ifstream in(run.file("events.jsonl"), std::ios::binary);
    Series epochs, rss;
    for (std::string line; std::getline(in, line) && !in.eof();) {
        const Json j = Json::parse(line, nullptr, false);
        if (!j.is_object() || !j.contains("event") || !j["event"].is_string()) continue;
        if (j["event"] == "diverged" && j.contains("message") && j["message"].is_string())
            facts.set("nonfinite", Texts{j["message"].get<std::string>()});
        if (j["event"] == "resume" || j["event"] == "extend") facts.forget("nonfinite");  // it went on
        if (j["event"] != "facts") continue;
        for (const auto& [key, value] : j.items()) {
            const FactInfo* info = find_fact(key);
            if (!info || key == "event") continue;
            if (value.is_number() && info->kind == FactKind::number) facts.set(key, value.get<double>());
            if (value.is_string() && info->kind == FactKind::text) facts.set(key, value.get<std::string>());
            if (value.is_array() && info->kind == FactKind::texts) {
                Texts items;
                for (const Json& item : value)
                    if (item.is_string()) items.push_back(item.get<std::string>());
                facts.set(key, std::move(items));
            }
        }
        if (j.contains("at_epoch") && j.contains("rss") && j["at_epoch"].is_number() && j["rss"].is_number())
            epochs.push_back(j["at_epoch"].get<double>()), rss.push_back(j["rss"].get<double>());
    }
    // Rows of results.csv and of these events are not the same; a run's rows name their epoch.
    if (const Series* rows = facts.series("epoch"); rows && !rss.empty()) {
        Series by_row(rows->size(), NAN);
        for (std::size_t i = 0; i < rows->size(); ++i)
            for (std::size_t k = 0; k < epochs.size(); ++k)
                if (epochs[k] == (*rows)[i]) by_row[i] = rss[k];
        facts.set("rss_mb", std::move(by_row));
    }
}

}  // namespace

Facts read_run_tables(const RunDirectory& run) {
    Facts facts;
    const auto there = [&](const char* name) { return std::filesystem::exists(run.file(name)); };
    if (there("results.csv")) read_results(run, facts);
    if (there("steps.csv")) read_steps(run, facts);
    if (there("layers.csv")) read_layers(run, facts);
    if (there("events.jsonl")) read_events(run, facts);
    return facts;
}

}  // namespace solobox::doctor
