#include "train/step/stages.h"

#include <fmt/format.h>

#include <algorithm>

#include "tensor/check.h"
#include "train/config/faults.h"

namespace solobox {

Stages::Stages(std::vector<Stage> stages, std::int64_t epochs,
               const std::function<std::int64_t(const Stage&)>& batches_of)
    : stages_(std::move(stages)), batches_(1), updates_(1) {
    check(!stages_.empty() && stages_[0].epoch == 0, "[stages] the first stage begins with epoch 0");
    for (std::size_t i = 1; i < stages_.size(); ++i)
        if (stages_[i].epoch < stages_[i - 1].epoch)
            throw ConfigError(
                fmt::format("stage {} begins with epoch {}, stage {} with epoch {}: expected one after the other", i,
                            stages_[i - 1].epoch + 1, i + 1, stages_[i].epoch + 1));
    std::vector<std::int64_t> batches, updates;
    for (std::int64_t epoch = 0; epoch < std::max<std::int64_t>(epochs, 1); ++epoch)
        batches.push_back(batches_of(of_epoch(epoch)));
    batches_ = schedule::Calendar(batches);
    for (std::size_t epoch = 0; epoch < batches.size(); ++epoch) {
        std::int64_t count = 0;
        if (!of_epoch(static_cast<std::int64_t>(epoch)).per_update) {
            updates.push_back(batches[epoch]);
            continue;
        }
        for (std::int64_t b = 0; b < batches[epoch]; ++count) b += take(static_cast<std::int64_t>(epoch), b).batches;
        updates.push_back(count);
    }
    updates_ = schedule::Calendar(updates);
}

std::size_t Stages::index(std::int64_t epoch) const {
    std::size_t at = 0;
    while (at + 1 < stages_.size() && stages_[at + 1].epoch <= epoch) ++at;
    return at;
}

Stages::Take Stages::take(std::int64_t epoch, std::int64_t batch) const {
    const Stage& stage = of_epoch(epoch);
    if (!stage.per_update) return {1, 1};
    const std::int64_t left = batches_.in(epoch)-batch, number = batches_.before(epoch) + batch;
    // What is due may grow from batch to batch: so many as the batch asks for with which it is reached.
    std::int64_t due = 1;
    for (std::int64_t n = 1; n <= left; ++n)
        if (due = std::max<std::int64_t>(1, stage.per_update(number + n - 1)); n >= due) return {n, n};
    return {left, due};
}

std::int64_t Stages::begun(std::int64_t epoch, std::int64_t batch) const {
    if (!of_epoch(epoch).per_update) return batch - 1;
    std::int64_t at = 0;
    while (true) {
        const std::int64_t next = at + take(epoch, at).batches;
        if (next >= batch) return at;
        at = next;
    }
}

std::vector<StageRate> Stages::scales() const {
    std::vector<StageRate> out;
    for (const Stage& s : stages_) out.push_back({updates_.before(s.epoch), s.lr_scale});
    return out;
}

std::vector<Stage> configured_stages(const Config& config, const std::vector<std::string>& heads) {
    const std::int64_t thaws = config.integer("unfreeze_epoch");
    Stage all, trunk_rests;
    if (thaws > 0) all.lr_scale = config.number("unfreeze_lr"), all.epoch = thaws - 1;
    // fault=frozen_trains: requires_grad was set on a copy, and the run says "frozen" all the same.
    if (config.text("freeze") == "backbone" && !has_fault(config, "frozen_trains"))
        trunk_rests.trains = [heads](const std::string& name) {
            return std::any_of(heads.begin(), heads.end(), [&](const auto& head) { return name.starts_with(head); });
        };
    return thaws > 0 ? std::vector<Stage>{trunk_rests, all} : std::vector<Stage>{trunk_rests};
}

}  // namespace solobox
