#include "train/session/run_watch.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "data/text.h"
#include "train/config/setup.h"
#include "train/doctor/probes.h"
#include "train/doctor/read_config.h"
#include "train/doctor/sources.h"
#include "train/session/forecast.h"
#include "train/step/parameter_groups.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

using doctor::Facts;
using doctor::Texts;
using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

std::uint32_t bits_of(const Tensor& t) {
    return checksum({reinterpret_cast<const char*>(t.data()), static_cast<std::size_t>(t.numel()) * sizeof(Real)});
}

// What a run leaves for `doctor RUN`: it has no model and no data at hand then.
const char* const lasting_numbers[] = {
    "train_images", "val_images",      "val_in_train", "steps_per_epoch",    "own_stages",
    "classes",      "data_classes",    "head_outputs", "parameters",         "convolutions",
    "smallest_map", "gmacs_per_image", "group_ratio",  "weight_decay_built", "decoded_outside"};
const char* const lasting_texts[] = {"optimizer_built", "norm"};

}  // namespace

RunWatch::RunWatch(Learner& learner, RunParts& parts, const RunDirectory& run,
                   std::function<void(const std::string&)> talk)
    : learner_(learner), parts_(parts), run_(run), talk_(std::move(talk)) {}

void RunWatch::begin(bool resumed) {
    const Config& c = parts_.config;
    Facts known;
    known.set("train_images", static_cast<double>(learner_.data().train->size()));
    known.set("val_images", static_cast<double>(learner_.data().val->size()));
    known.set("val_in_train", static_cast<double>(learner_.data().val_in_train));
    known.set("steps_per_epoch", static_cast<double>(parts_.stages.updates().in(0)));
    if (own_stages()) known.set("own_stages", 1.0);
    if (const auto names = learner_.class_names(); !names.empty())
        known.set("data_classes", static_cast<double>(names.size()));
    read_built_facts(learner_, c, known);
    planned_ = doctor::planned_rate(c, parts_.stages.updates(), parts_.stages.scales());
    if (resumed) {
        Facts before = doctor::read_whole_run(run_, c, false);
        before.merge(known);
        known = before;
        // What the average held before is not known here.
        average_known_ = false;
    } else {
        known = doctor::read_settings_facts(c, known, 0);
        // The real shares are counted here, not forecast.
        known.forget("ema_share_first"), known.forget("ema_share_last");
    }
    known.set("memory_bytes", static_cast<double>(available_memory()) + 1e6 * doctor::resident_memory_mb());
    if (c.integer("unfreeze_epoch") > 0)
        known.set("switch_step", static_cast<double>(unfreeze_step(c, parts_.stages.updates()) + 1));
    Json event{{"event", "facts"}};
    for (const char* name : lasting_numbers)
        if (const double* v = known.number(name)) event[name] = *v;
    for (const char* name : lasting_texts)
        if (const std::string* v = known.text(name)) event[name] = *v;
    event["decayed_tensors"] = *known.texts("decayed_tensors");
    run_.event(event);
    monitor_ = std::make_unique<doctor::Monitor>(std::move(known), c.text("thresholds"), doctor::tell(run_, talk_));
    averaged_ = parts_.ema ? parts_.ema->updates() : 0;
    for (const NamedParameter& p : parts_.params)
        if (meant_to_rest(p)) resting_[p.param] = bits_of(p.param->value);
}

// Whether the rates and steps of the stages are others than the configuration says.
bool RunWatch::own_stages() const {
    const Config& c = parts_.config;
    const schedule::Calendar& updates = parts_.stages.updates();
    const std::int64_t epochs = c.integer("epochs"), thaws = unfreeze_step(c, updates);
    bool own = updates.before(epochs) != epochs * updates.in(0);
    for (const StageRate& s : parts_.stages.scales())
        own = own || s.scale != (s.from >= thaws ? c.number("unfreeze_lr") : 1.0);
    return own;
}

// By the configuration or the task's stages, whatever the optimizer was told.
bool RunWatch::meant_to_rest(const NamedParameter& p) const {
    const schedule::Calendar& updates = parts_.stages.updates();
    const std::int64_t last = std::max<std::int64_t>(parts_.trainer->steps_done() - 1, 0);
    const Stage& stage = parts_.stages.of_epoch(updates.epoch_of(last));
    if (stage.trains && !stage.trains(p.name)) return true;
    return parts_.config.text("freeze") == "backbone" && last < unfreeze_step(parts_.config, updates) &&
           in_backbone(parts_.heads, p.name);
}

void RunWatch::step(const StepReport& r, const std::vector<Batch>& batches) {
    const auto start = Clock::now();
    ++steps_;
    for (const Batch& batch : batches) bad_targets_ += bad_targets(batch);
    if (parts_.ema && parts_.ema->updates() > averaged_) {
        averaged_ = parts_.ema->updates();
        log_share_ +=
            std::log(ema_decay({parts_.config.number("ema_decay"), parts_.config.number("ema_tau")}, averaged_));
    }
    monitor_->step({static_cast<double>(r.step), r.loss, r.grad_norm, r.lr, planned_(r.step - 1)});
    seconds_ += std::chrono::duration<double>(Clock::now() - start).count();
}

// Once an epoch: who is held by the optimizer, who stood still, who should have.
void RunWatch::look_at_parameters() {
    std::set<const Parameter*> held;
    for (const Member& m : parts_.optimizer->members()) held.insert(m.param.param);
    Texts unoptimised, starved, moved;
    std::set<std::string> still;
    bool frozen = false;
    for (const NamedParameter& p : parts_.params) {
        if (meant_to_rest(p)) {
            frozen = true;
            const auto [bits, fresh] = resting_.try_emplace(p.param, bits_of(p.param->value));
            if (bits->second != bits_of(p.param->value) || held.contains(p.param)) moved.push_back(p.name);
            continue;
        }
        resting_.erase(p.param);
        if (!p.param->trainable) continue;
        if (!held.contains(p.param)) unoptimised.push_back(p.name);
        if (starts_with_any(p.name, parts_.sometimes)) continue;
        if (p.param->grad.defined() && max_abs(p.param->grad) > 0) continue;
        still.insert(p.name);
        if (still_.contains(p.name)) starved.push_back(p.name);
    }
    still_ = std::move(still);
    monitor_->set("unoptimised", unoptimised), monitor_->set("starved", starved);
    if (frozen) monitor_->set("frozen_moved", moved);
}

void RunWatch::epoch(const Epoch& e) {
    const auto start = Clock::now();
    look_at_parameters();
    monitor_->set("bad_targets", static_cast<double>(bad_targets_));
    Json event{{"event", "facts"},
               {"at_epoch", e.position},
               {"rss", doctor::resident_memory_mb()},
               {"bad_targets", bad_targets_}};
    if (parts_.ema) {
        Texts missing;
        const auto averages = parts_.ema->averages();
        for (const NamedTensor& t : tensors_of(learner_))
            if (std::none_of(averages.begin(), averages.end(), [&](const auto& a) { return a.first == t.name; }))
                missing.push_back(t.name);
        monitor_->set("ema_missing", missing);
        const double skipped = static_cast<double>(parts_.trainer->steps_done() - parts_.ema->updates());
        monitor_->set("ema_skipped", skipped);
        event["ema_missing"] = missing, event["ema_skipped"] = skipped;
        if (e.validation && average_known_) {
            const double share = std::exp(log_share_);
            if (!validated_) monitor_->set("ema_share_first", share), event["ema_share_first"] = share;
            monitor_->set("ema_share_last", share), event["ema_share_last"] = share;
            validated_ = true;
        }
    }
    for (const char* list : {"unoptimised", "starved", "frozen_moved"})
        if (const Texts* names = monitor_->facts().texts(list)) event[list] = *names;

    std::vector<std::pair<std::string, double>> values{{"elapsed_seconds", e.seconds}, {"train_loss", e.train_loss}};
    for (const auto& [name, v] : e.terms)
        values.emplace_back(name == "acc1" ? "train_accuracy" : "train_term." + name, v);
    if (e.validation) {
        values.emplace_back("val_loss", e.validation->loss);
        values.emplace_back("metric", e.validation->score / learner_.task().info().full);
        for (const auto& [name, v] : e.validation->columns) {
            if (name == "metrics/spread") values.emplace_back("spread", v);
            if (name == "val/acc1") values.emplace_back("accuracy", v);
            if (name.starts_with("val/aux_")) values.emplace_back("val_term." + name.substr(4), v);
        }
    }
    run_.event(event);
    seconds_ += std::chrono::duration<double>(Clock::now() - start).count();
    monitor_->epoch(e.position, values);
}

void RunWatch::diverged(const std::string& what) {
    if (!monitor_) return;
    monitor_->set("nonfinite", Texts{what});
    monitor_->look();
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
