// Auxiliary heads in whole runs: the tables, the losses in them, starts from files that have none, refusals.
#include "nn/safetensors.h"
#include "tests/support/small_runs.h"
#include "train/config/setup.h"
#include "train/session/overfit.h"

namespace solobox {
namespace {

using namespace fixtures;

TEST(AuxRun, ReportsWhatEachHeadCosts) {
    const TemporaryDirectory dir;
    write_two_classes(dir, 4, 2);
    const RunDirectory place = fresh(dir / "run");
    run(class_config(dir, {"epochs=1", "aux_heads=2", "aux_weight=0.3", "ema_decay=0"}), place);
    const Table t(place.file("results.csv"));
    for (const std::string part : {"train/", "val/"})
        EXPECT_NEAR(t.numbers(part + "loss").back(),
                    t.numbers(part + "ce").back() +
                        0.3 * (t.numbers(part + "aux_layer2").back() + t.numbers(part + "aux_layer3").back()),
                    1e-5)
            << part;

    // A start from weights without such heads, and one the other way round.
    const Config plain = class_config(dir, {"epochs=1", "ema_decay=0"});
    const RunDirectory without = fresh(dir / "plain");
    run(plain, without);
    EXPECT_EQ(Table(without.file("results.csv")).header.size() + 6, t.header.size());
    const Config one = class_config(dir, {"aux_heads=1"});
    const auto task = make_learner(one), bare = make_learner(plain);
    const auto notes = start_from(*task, without.last_weights());
    ASSERT_EQ(notes.size(), 2U);
    EXPECT_NE(notes[1].find("aux_layer3.weight: it starts fresh"), std::string::npos) << notes[1];
    EXPECT_THROW(start_from(*bare, place.last_weights()), DataError);
    EXPECT_TRUE(start_from(*make_learner(class_config(dir, {"aux_heads=2"})), place.last_weights()).empty());
}

TEST(AuxRun, OverfitLearnsThroughThem) {
    const TemporaryDirectory dir;
    Config config;
    config.set_words({"model=resnet18", "image=32", "aux_heads=1"}, "test");
    apply_overfit_settings(config, 4);
    OverfitOptions options;
    options.steps = 3;
    const RunDirectory place = fresh(dir / "overfit");
    (void)learn_by_heart(config, 4, place, options);
    const Table t(place.file("results.csv"));
    EXPECT_NEAR(t.numbers("train/loss").back(),
                t.numbers("train/ce").back() + 0.4 * t.numbers("train/aux_layer3").back(), 1e-5);
}

TEST(AuxRun, AWeightOfNothingIsRefused) {
    Config config;
    config.set_words({"model=resnet18", "aux_weight=0.5"}, "test");
    EXPECT_THROW(check_config(config), ConfigError);
    config.set("aux_heads", "1", "test");
    check_config(config);
}

}  // namespace
}  // namespace solobox
