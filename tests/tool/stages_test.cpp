// Runs in stages: a frozen trunk, the switch, its rates, the weights of validation.
#include <gtest/gtest.h>

#include "nn/safetensors.h"
#include "tests/support/small_runs.h"
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

TEST(Stages, GoOnAfterDyingOnEitherSideOfTheSwitch) {
    const TemporaryDirectory dir;
    write_shapes(dir, 18, 5);  // three steps an epoch
    for (const char* special : {"optimizer=AdamW", "schedule=plateau"}) {
        const Config config = small_config(
            dir, {special, "freeze=backbone", "unfreeze_epoch=2", "backbone_lr=0.1", "unfreeze_lr=0.5", "norm=batch"});
        const std::string name = std::string(special).substr(10);
        const RunDirectory whole = fresh(dir / ("whole-" + name));
        run(config, whole);
        for (const int death : {2, 3, 4, 5, 6, 9}) {
            const RunDirectory broken = fresh(dir / fmt::format("broken-{}-{}", name, death));
            int said = 0;
            SessionOptions options;
            options.talk = [&](const std::string&, bool) {
                if (++said == death) throw Interrupted();
            };
            EXPECT_THROW(run(config, broken, options), Interrupted);
            options = {};
            options.resume = true;
            run(config, broken, options);
            expect_same(whole, broken, fmt::format("{} {}", special, death));
        }
        // Stopped between two steps, which saves right there.
        for (const int steps : {2, 3, 4, 5}) {
            const RunDirectory stopped = fresh(dir / fmt::format("stopped-{}-{}", name, steps));
            std::atomic<int> signal{0};
            SessionOptions options;
            int seen = 0;
            options.stop_signal = &signal;
            options.talk = [&](const std::string&, bool live) {
                if (live && ++seen == steps) signal = 2;
            };
            EXPECT_EQ(run(config, stopped, options).steps, steps);
            options = {};
            options.resume = true;
            run(config, stopped, options);
            expect_same(whole, stopped, fmt::format("{} stopped {}", special, steps));
        }
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

}  // namespace
}  // namespace solobox
