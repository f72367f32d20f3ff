// The occupancy head in the jobs that use it: overfit, training and resuming, predicting from what was saved; and the
// keys that one head would ignore.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "data/baseline.h"
#include "nn/checkpoint.h"
#include "tests/support/small_runs.h"
#include "train/config/setup.h"
#include "train/session/overfit.h"
#include "train/tasks/single_box.h"

namespace solobox {
namespace {

using namespace fixtures;

TEST(OccupancyHead, OverfitsEightShapes) {
    const TemporaryDirectory dir;
    for (const char* norm : {"norm=group", "norm=batch"}) {
        Config config;
        config.set_words({"head=occupancy", "image=64", "hidden=64", norm}, "command line");
        apply_overfit_settings(config, 8);
        apply_model_defaults(config);
        EXPECT_EQ(config.text("iou_type"), "giou");
        OverfitOptions options;
        options.steps = 300;
        const OverfitResult r = learn_by_heart(config, 8, fresh(dir / norm), options);
        EXPECT_TRUE(r.pass) << norm << ": " << r.verdict_text;
        EXPECT_GE(r.learned.worst, 0.9) << norm;
    }
}

TEST(OccupancyHead, ABrokenOneFailsAndIsDiagnosed) {
    const TemporaryDirectory dir;
    Config config;
    config.set_words({"head=occupancy", "image=64", "hidden=16", "fault=cut"}, "command line");
    apply_overfit_settings(config, 4);
    apply_model_defaults(config);
    OverfitOptions options;
    options.steps = 10;
    const OverfitResult r = learn_by_heart(config, 4, fresh(dir / "run"), options);
    EXPECT_FALSE(r.pass);
    ASSERT_FALSE(r.findings.empty());
    EXPECT_EQ(r.findings.front().id, "detached");
}

TEST(OccupancyHead, TrainsResumesAndPredictsFromItsFile) {
    const TemporaryDirectory dir;
    write_shapes(dir, 20, 5);
    const Config config = small_config(dir, {"head=occupancy", "occupancy_cells=8", "accumulate=2"});
    const RunDirectory whole = fresh(dir / "whole");
    run(config, whole);
    for (const char* column : {"train/bce", "train/iou", "metrics/iou"})
        EXPECT_TRUE(Table(whole.file("results.csv")).has(column)) << column;
    expect_survives([&](const auto& place, const auto& options) { return run(config, place, options); }, 7, whole,
                    dir / "broken");

    const auto learner = make_learner(config);
    load_weights(*learner, whole.best_weights());
    const Measurement m = *learner->measure(*learner->data().val, {});
    double best = 0;
    for (const double v : Table(whole.file("results.csv")).numbers("metrics/iou")) best = std::max(best, v);
    EXPECT_NEAR(m.evaluation.score, best, 1e-5);
    set_training(*learner, false);
    learner->model().freeze();
    EXPECT_EQ(learner->predict({32, 32, std::vector<std::uint8_t>(3 * 32 * 32, 128)}).objects.size(), 1U);
}

std::string complaint(const std::vector<std::string>& words) {
    try {
        Config config;
        config.set_words(words, "command line");
        apply_model_defaults(config);
        check_config(config);
    } catch (const ConfigError& e) {
        return e.what();
    }
    return "";
}

TEST(OccupancyHead, KeysOfTheOtherHeadAreErrors) {
    for (const char* key : {"decode=identity", "loss=mse", "lambda_coord=1", "lambda_wh=1", "prior_w=0.5",
                            "prior_h=0.5", "head_bias=zero", "clamp_before_loss=true"}) {
        const std::string said = complaint({"data=synthetic", "head=occupancy", key});
        EXPECT_NE(said.find(key), std::string::npos) << key << ": " << said;
        EXPECT_NE(said.find("head=regression"), std::string::npos) << key << ": " << said;
    }
    for (const char* key : {"occupancy_cells=8", "lambda_bce=2"}) {
        const std::string said = complaint({"data=synthetic", key});
        EXPECT_NE(said.find(key), std::string::npos) << key << ": " << said;
        EXPECT_NE(said.find("head=occupancy"), std::string::npos) << key << ": " << said;
    }
    EXPECT_NE(complaint({"data=synthetic", "model=resnet18", "head=occupancy"}), "");
    EXPECT_EQ(complaint({"data=synthetic", "head=occupancy", "occupancy_cells=8", "lambda_bce=2", "lambda_iou=1",
                         "iou_type=ciou", "reduction=sum", "head_init=normal"}),
              "");
    EXPECT_EQ(complaint({"data=synthetic", "head=regression", "decode=sigmoid_exp"}), "");
}

// The auxiliary class loss, with either head.
TEST(ClassLoss, TrainsBesideTheBoxAndIsGoneInPrediction) {
    const TemporaryDirectory dir;
    write_shapes(dir, 24, 6);
    for (const char* head : {"head=regression", "head=occupancy"}) {
        const Config config = small_config(dir, {head, "class_weight=0.5", "epochs=2", "accumulate=2"});
        const RunDirectory place = fresh(dir / head);
        run(config, place);
        EXPECT_TRUE(Table(place.file("results.csv")).has("train/class")) << head;
        const SafetensorsFile file = read_safetensors(place.best_weights());
        EXPECT_EQ(file.tensors.at("model.aux_class.weight").shape, (std::vector<std::int64_t>{6, 16}));

        const auto with = make_learner(config);
        load_weights(*with, place.best_weights());
        // To predict needs no data set, and so no classes.
        const auto without = make_predictor(config, {});
        EXPECT_EQ(count_parameters(*with) - count_parameters(*without), 6 * 16 + 6);
        load_weights(*without, place.best_weights());
        set_training(*with, false), set_training(*without, false);
        const Image grey{32, 32, std::vector<std::uint8_t>(3 * 32 * 32, 102)};
        const UnitBox a = with->predict(grey).objects.at(0).box, b = without->predict(grey).objects.at(0).box;
        EXPECT_EQ(unit_iou(a, b), unit_iou(a, a)) << head;
        // Other weights may start from it, with the head or without.
        const Config bare = small_config(dir, {head});
        const auto plain = make_learner(bare);
        EXPECT_TRUE(start_from(*plain, place.best_weights()).empty());
    }
    // A run that has the head may start from one that had none.
    const RunDirectory bare = fresh(dir / "bare");
    run(small_config(dir, {"epochs=1"}), bare);
    const Config classes = small_config(dir, {"class_weight=1"});
    const auto again = make_learner(classes);
    const auto notes = start_from(*again, bare.best_weights());
    ASSERT_EQ(notes.size(), 2U);
    EXPECT_NE(notes[0].find("aux_class"), std::string::npos);
}

TEST(ClassLoss, ItsTermIsTheCrossEntropyTimesTheWeight) {
    const TemporaryDirectory dir;
    write_shapes(dir, 12, 4);
    for (const char* reduction : {"reduction=mean", "reduction=sum"}) {
        const Config config = small_config(dir, {"class_weight=0.25", "dropout=0", "fliplr=0", reduction});
        const auto task = make_learner(config);
        const auto batch = task->make_batch(0, 0);
        const NoGrad quiet;
        const LossValue loss = task->losses(batch, 1, {}).at(0).loss().loss;
        EXPECT_EQ(loss.terms.back().name, "class");
        EXPECT_EQ(loss.terms.back().weight, 0.25);
        double total = 0;
        for (const LossTerm& t : loss.terms) total += t.weight * static_cast<double>(t.value.value().item());
        EXPECT_NEAR(static_cast<double>(loss.total.value().item()), total, 1e-4 * total) << reduction;
        const double each = static_cast<double>(loss.terms.back().value.value().item()) /
                            (std::string(reduction) == "reduction=sum" ? 6 : 1);
        EXPECT_NEAR(each, std::log(6.0), 0.7) << reduction;  // six classes, nothing learned yet
    }
}

// The target of a mosaic is one of four pictures' objects, and its class comes with it.
TEST(ClassLoss, KnowsTheClassOfAMosaicsTarget) {
    const TemporaryDirectory dir;
    write_shapes(dir, 12, 2);
    // The class is told by the box: of picture i, class i % 6 and a width that no other class has.
    for (int i = 0; i < 12; ++i)
        dir.write(fmt::format("set/labels/train/{:03}.txt", i),
                  fmt::format("{} 0.5 0.5 {} 0.5\n", i % 6, 0.3 + 0.1 * (i % 6)));
    const Config config =
        small_config(dir, {"class_weight=1", "mosaic=1", "translate=0", "scale=0", "multi_scale=", "image=64"});
    const auto learner = make_learner(config);
    std::set<int> met;
    for (std::int64_t epoch = 0; epoch < 3; ++epoch)
        for (std::int64_t b = 0; b < 2; ++b) {
            const Batch batch = learner->make_batch(epoch, b);
            for (const Labels& labels : batch.labels) {
                ASSERT_EQ(labels.objects.size(), 1U);
                const Labelled& o = labels.objects[0];
                met.insert(o.class_id);
                // As wide as its class at most, or less where it was cut.
                EXPECT_LE(o.box.w, (0.3 + 0.1 * o.class_id) + 1e-3) << o.class_id;
            }
            EXPECT_TRUE(std::isfinite(
                static_cast<double>(learner->losses(batch, 1, {}).at(0).loss().loss.total.value().item())));
        }
    EXPECT_GT(met.size(), 2U);
}

TEST(ClassLoss, IsRefusedWhereItCouldTeachNothing) {
    const TemporaryDirectory dir;
    write_shapes(dir, 8, 2);
    dir.write("set/data.yaml", "train: images/train\nval: images/val\nnames: [only]\n");
    for (int i = 0; i < 10; ++i)
        dir.write(fmt::format("set/labels/{}/{:03}.txt", i < 8 ? "train" : "val", i), "0 0.5 0.5 0.4 0.3\n");
    try {
        (void)make_learner(small_config(dir, {"class_weight=1"}));
        ADD_FAILURE() << "one class was taken";
    } catch (const ConfigError& e) {
        EXPECT_NE(std::string(e.what()).find("class_weight=1"), std::string::npos) << e.what();
        EXPECT_NE(std::string(e.what()).find("one class"), std::string::npos) << e.what();
    }
    EXPECT_EQ(complaint({"data=synthetic", "class_weight=1", "mosaic=0.5"}), "");
    EXPECT_NE(complaint({"data=synthetic", "class_weight=1", "model=resnet18"}).find("class_weight"),
              std::string::npos);
    EXPECT_EQ(complaint({"data=synthetic", "class_weight=1", "head=occupancy"}), "");
}

}  // namespace
}  // namespace solobox
