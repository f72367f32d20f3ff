// Runs in stages: a frozen trunk, the switch, its rates, the weights of validation.
#include <gtest/gtest.h>

#include "nn/safetensors.h"
#include "tests/support/small_runs.h"
#include "train/session/forecast.h"
#include "train/tasks/single_box.h"

namespace solobox {
namespace {

using namespace fixtures;

std::map<std::string, std::vector<std::byte>> tensors_in(const std::string& path, const std::string& prefix) {
    std::map<std::string, std::vector<std::byte>> found;
    for (const auto& [name, raw] : read_safetensors(path).tensors)
        if (name.starts_with(prefix)) found[name.substr(prefix.size())] = raw.bytes;
    return found;
}

TEST(Stages, AFrozenTrunkStaysAsItWas) {
    const TemporaryDirectory dir;
    write_shapes(dir, 12, 4);
    const RunDirectory start = fresh(dir / "start"), frozen = fresh(dir / "frozen"), thawed = fresh(dir / "thawed");
    run(small_config(dir, {"lr0=0", "weight_decay=0", "epochs=1"}), start);
    run(small_config(dir, {"freeze=backbone", "epochs=2"}), frozen);
    run(small_config(dir, {"freeze=backbone", "epochs=2", "unfreeze_epoch=2"}), thawed);
    const auto before = tensors_in(start.last_weights(), "model."), after = tensors_in(frozen.last_weights(), "model."),
               later = tensors_in(thawed.last_weights(), "model.");
    for (const auto& [name, bytes] : before) {
        const bool trunk = name.starts_with("feat.");
        EXPECT_EQ(after.at(name) == bytes, trunk) << name;
        EXPECT_NE(later.at(name), bytes) << name;
    }
    EXPECT_TRUE(tensors_in(frozen.last_weights(), "optim.feat.").empty());
    EXPECT_FALSE(tensors_in(thawed.last_weights(), "optim.feat.").empty());
}

// A task with stages of its own.
class Staged : public SingleBoxTask {
public:
    Staged(const Config& config, std::vector<Stage> stages, std::vector<GroupRule> groups = {})
        : SingleBoxTask(config), stages_(std::move(stages)), groups_(std::move(groups)) {}
    std::vector<Stage> stages(const Config&, const std::vector<std::string>&) const override { return stages_; }
    std::vector<GroupRule> groups() const override { return groups_; }

private:
    std::vector<Stage> stages_;
    std::vector<GroupRule> groups_;
};

Learner staged(const Config& config, const std::vector<Stage>& stages, const std::vector<GroupRule>& groups = {}) {
    auto task = std::make_unique<Staged>(config, stages, groups);
    Split data = open_split(config, *task);
    return {config, std::move(task), std::move(data)};
}
SessionResult run_staged(const Config& config, const std::vector<Stage>& stages, const std::vector<GroupRule>& groups,
                         const RunDirectory& place, const SessionOptions& options = {}) {
    Learner learner = staged(config, stages, groups);
    return train(learner, place, options);
}

// The trunk thaws from behind, batches and updates change their sizes, biases have a rate of their own.
bool in_head(const std::string& name) { return name.starts_with("fc."); }
bool in_head_or_middle(const std::string& name) {
    return in_head(name) || name.starts_with("feat.8.") || name.starts_with("feat.9.");
}
std::vector<Stage> three_stages() {
    Stage first, second, third;
    first.trains = in_head;
    second.epoch = 1, second.trains = in_head_or_middle, second.lr_scale = 0.5, second.batch = 4;
    second.per_update = [](std::int64_t) { return 2; };
    third.epoch = 2, third.batch = 5;
    third.per_update = [](std::int64_t number) { return number < 9 ? 1 : 2; };
    third.rates = [](std::int64_t, double lr) { return std::vector<double>{0, lr}; };
    return {first, second, third};
}

TEST(Stages, OfATaskThawStepByStepWithRatesBatchesAndUpdatesOfTheirOwn) {
    const TemporaryDirectory dir;
    write_shapes(dir, 18, 5);
    const Config config = small_config(dir, {"schedule=constant", "warmup_steps=0", "lr0=0.001", "ema_decay=0"});
    const GroupRule biases{"", 1, {}, ParamKind::bias};
    const RunDirectory whole = fresh(dir / "whole");
    std::vector<std::map<std::string, std::vector<std::byte>>> at_epoch;
    SessionOptions options;
    options.talk = [&](const std::string& line, bool live) {
        if (!live && line.starts_with("epoch") && at_epoch.size() < 3)
            at_epoch.push_back(std::filesystem::exists(whole.last_weights())
                                   ? tensors_in(whole.last_weights(), "model.")
                                   : decltype(tensors_in("", "")){});
    };
    const SessionResult r = run_staged(config, three_stages(), {biases}, whole, options);
    // 18 pictures: 3 batches of 6; 5 of 4, two an update and one left; 4 of 5, the ninth batch alone, then two and one.
    EXPECT_EQ(r.steps, 3 + 3 + 3);
    EXPECT_EQ(Table(whole.file("steps.csv")).numbers("step").size(), 9U);
    // What a line of an epoch sees is the checkpoint of the epoch before.
    const auto last = tensors_in(whole.last_weights(), "model.");
    ASSERT_EQ(at_epoch.size(), 3U);
    for (const auto& [name, begun] : at_epoch[0]) {
        const auto &one = at_epoch[1].at(name), &two = at_epoch[2].at(name), &three = last.at(name);
        EXPECT_EQ(begun != one, in_head(name)) << name;
        EXPECT_EQ(one != two, in_head_or_middle(name)) << name;
        EXPECT_EQ(two != three, !(in_head(name) && name.ends_with(".bias"))) << name;
    }
    const auto once = [&](const RunDirectory& place, const SessionOptions& how) {
        return run_staged(config, three_stages(), {biases}, place, how);
    };
    for (const int death : {3, 5, 6, 8, 10, 11, 12})
        expect_survives(once, death, whole, dir / fmt::format("broken-{}", death));
}

// Stopped between two updates of several batches, with validations within the epoch: the same bits and rows.
TEST(Stages, OfATaskStopAndGoOnBetweenUpdatesOfSeveralBatches) {
    const TemporaryDirectory dir;
    write_shapes(dir, 18, 5);
    Stage small;
    small.batch = 2, small.per_update = [](std::int64_t number) { return number < 9 ? 2 : 4; };
    const Config config = small_config(dir, {"val_every=0.3", "epochs=2"});
    const RunDirectory whole = fresh(dir / "whole");
    // Nine batches: four updates of two and one left, then two of four and one left.
    EXPECT_EQ(run_staged(config, {small}, {}, whole).steps, 5 + 3);
    const auto epochs = Table(whole.file("results.csv")).numbers("epoch");
    EXPECT_GT(epochs.size(), 4U) << "no validation within an epoch";
    const auto once = [&](const RunDirectory& place, const SessionOptions& how) {
        return run_staged(config, {small}, {}, place, how);
    };
    for (const int steps : {1, 2, 4, 6, 7})
        expect_stops_and_goes_on(once, steps, whole, dir / fmt::format("stopped-{}", steps));
}

// With a rate of 0 the loss of an epoch is the same however its batches are shared out over updates.
TEST(Stages, TheLossOfAnEpochDoesNotDependOnItsUpdates) {
    const TemporaryDirectory dir;
    write_shapes(dir, 18, 5);
    for (const char* reduction : {"reduction=mean", "reduction=sum"}) {
        const Config config = small_config(
            dir, {"lr0=0", "weight_decay=0", "epochs=1", "batch=4", "dropout=0", "multi_scale=", reduction});
        const RunDirectory one = fresh(dir / (std::string("one-") + reduction)),
                           two = fresh(dir / (std::string("two-") + reduction));
        run(config, one);
        Stage pairs;
        pairs.per_update = [](std::int64_t) { return 2; };
        run_staged(config, {pairs}, {}, two);
        const auto loss = [](const RunDirectory& r) {
            return Table(r.file("results.csv")).numbers("train/loss").at(0);
        };
        EXPECT_NEAR(loss(one), loss(two), 0.02 * loss(one)) << reduction;
        const auto steps = Table(two.file("steps.csv")).numbers("loss");
        ASSERT_EQ(steps.size(), 3U);
        EXPECT_GT(steps[2], 0.3 * steps[0]) << "the update that was left with one batch";
    }
}

// Two batches of three make the update of a batch of six in two parts.
TEST(Stages, BatchesOfAnUpdateAddUpToTheBigBatch) {
    const TemporaryDirectory dir;
    write_shapes(dir, 18, 5);
    const std::vector<std::string> same{"multi_scale=", "dropout=0"};
    Config config = small_config(dir, same), big = config;
    big.set("accumulate", "2", "test");
    const RunDirectory a = fresh(dir / "a"), b = fresh(dir / "b");
    run(big, a);
    Stage small;
    small.batch = 3, small.per_update = [](std::int64_t) { return 2; };
    run_staged(config, {small}, {}, b);
    EXPECT_EQ(tensors_in(a.last_weights(), "model."), tensors_in(b.last_weights(), "model."));
    EXPECT_EQ(table(a), table(b));
}

TEST(Stages, GoOnAfterDyingOnEitherSideOfTheSwitch) {
    const TemporaryDirectory dir;
    write_shapes(dir, 18, 5);  // three steps an epoch
    for (const char* special : {"optimizer=AdamW", "schedule=plateau"}) {
        const Config config = small_config(
            dir, {special, "freeze=backbone", "unfreeze_epoch=2", "backbone_lr=0.1", "unfreeze_lr=0.5", "norm=batch"});
        const std::string name = std::string(special).substr(10);
        const RunDirectory whole = fresh(dir / ("whole-" + name));
        run(config, whole);
        const auto once = [&](const RunDirectory& place, const SessionOptions& how) { return run(config, place, how); };
        for (const int death : {2, 3, 4, 5, 6, 9})
            expect_survives(once, death, whole, dir / fmt::format("broken-{}-{}", name, death));
        for (const int steps : {2, 3, 4, 5})
            expect_stops_and_goes_on(once, steps, whole, dir / fmt::format("stopped-{}-{}", name, steps));
    }
}

TEST(Stages, ValidationMayLookAtTheRawWeights) {
    const TemporaryDirectory dir;
    write_shapes(dir, 12, 4);
    const RunDirectory none = fresh(dir / "none"), raw = fresh(dir / "raw"), ema = fresh(dir / "ema");
    run(small_config(dir, {"ema_decay=0"}), none);
    const Config config = small_config(dir, {"ema_decay=0.9", "val_weights=raw"});
    run(config, raw);
    run(small_config(dir, {"ema_decay=0.9"}), ema);
    const auto losses = [](const RunDirectory& r) { return Table(r.file("results.csv")).numbers("val/loss"); };
    EXPECT_EQ(losses(none), losses(raw));
    EXPECT_NE(losses(none), losses(ema));
    // The checkpoint knows: what is loaded from it has the loss of the table.
    const auto task = make_learner(config);
    load_weights(*task, raw.last_weights());
    EXPECT_EQ(task->validate({})->loss, losses(raw).back());
    const auto fresh_start = make_learner(config);
    start_from(*fresh_start, raw.last_weights());
    EXPECT_EQ(fresh_start->validate({})->loss, losses(raw).back());
    task->set_validation_batch(3);
    EXPECT_NEAR(task->validate({})->loss, losses(raw).back(), 1e-5);
}

TEST(Stages, KeysThatNothingLooksAtAreErrors) {
    const TemporaryDirectory dir;
    const std::vector<std::vector<std::string>> ignored{{"unfreeze_epoch=2"},
                                                        {"unfreeze_lr=0.1"},
                                                        {"freeze=backbone", "unfreeze_lr=0.1"},
                                                        {"freeze=backbone", "backbone_lr=0.1"},
                                                        {"ema_decay=0", "val_weights=raw"},
                                                        {"schedule=constant", "schedule_epochs=3"}};
    for (const auto& words : ignored) EXPECT_THROW(check_config(small_config(dir, words)), ConfigError) << words.back();
    check_config(small_config(dir, {"backbone_lr=0.1"}));
    check_config(small_config(dir, {"freeze=backbone", "unfreeze_epoch=2", "unfreeze_lr=0.1", "backbone_lr=0.1"}));
}

// Memory is needed for the largest batch of the run, whichever stage it comes in.
TEST(Stages, TheForecastIsOfTheLargestBatch) {
    const TemporaryDirectory dir;
    write_shapes(dir, 12, 4);
    const Config config = small_config(dir, {"epochs=2", "batch=3"});
    const auto bytes_of_step = [&](const std::vector<Stage>& stages) {
        Learner learner = staged(config, stages);
        return forecast_memory(learner, false, std::int64_t{1} << 40).step;
    };
    const std::int64_t small = bytes_of_step({{}}), large = bytes_of_step({{.batch = 12}});
    EXPECT_GT(large, small);
    EXPECT_EQ(bytes_of_step({{}, {.epoch = 1, .batch = 12}}), large);
    EXPECT_EQ(bytes_of_step({{.batch = 12}, {.epoch = 1}}), large);
}

}  // namespace
}  // namespace solobox
