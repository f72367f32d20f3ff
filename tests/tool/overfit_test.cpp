// The overfit job: passes on a sound network, fails on a broken one and names the cause. Faults are planted twice, by
// a configuration key and by damaging the model by hand: the words must be the same.
#include "train/session/overfit.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "nn/checkpoint.h"
#include "nn/models/single_box.h"
#include "tensor/kernels/parallel.h"
#include "tests/support/small_runs.h"
#include "train/config/setup.h"

namespace solobox {
namespace {

namespace fs = std::filesystem;

class Overfit : public ::testing::Test {
protected:
    void SetUp() override {
        dir_ = fs::temp_directory_path() / fmt::format("solobox-overfit-{}-{}", ::getpid(),
                                                       ::testing::UnitTest::GetInstance()->current_test_info()->name());
        fs::remove_all(dir_);
    }
    void TearDown() override { fs::remove_all(dir_); }

    // A network of a few thousand weights on pictures of 64 px: a run takes about a second.
    OverfitResult run(std::vector<std::string> words, std::int64_t steps,
                      const std::function<void(SingleBox&)>& patch = {}, std::int64_t n = 4,
                      const std::string& name = "run") {
        Config config;
        words.push_back("image=64");
        words.push_back("hidden=32");
        config.set_words(words, "command line");
        apply_overfit_settings(config, n);
        apply_model_defaults(config);
        const RunDirectory directory(RunDirectory::Place{"", "", (dir_ / name).string(), false});
        OverfitOptions options;
        options.steps = steps;
        if (patch) options.patch = [&](Model& m) { patch(dynamic_cast<SingleBox&>(m)); };
        return fixtures::learn_by_heart(config, n, directory, options);
    }
    static std::string first_id(const OverfitResult& r) { return r.findings.empty() ? "" : r.findings.front().id; }
    std::string bytes(const std::string& name) const {
        std::ifstream in(dir_ / name / "weights" / "last.safetensors", std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    fs::path dir_;
};

TEST_F(Overfit, LearnsAndSaysSo) {
    const OverfitResult r = run({}, 300);
    EXPECT_TRUE(r.pass) << r.verdict_text;
    EXPECT_TRUE(r.all_moved);
    EXPECT_GE(r.learned.score, 0.95);
    EXPECT_LT(r.loss_last, r.loss_first / 4);
    EXPECT_LT(r.blind_score("constant_box_iou"), 0.9);
    EXPECT_GE(r.blind_score("constant_box_iou"), r.blind_score("mean_box_iou") - 1e-9);
    for (const char* file :
         {"args.yaml", "results.csv", "layers.csv", "report.html", "pictures.png", "weights/last.safetensors"})
        EXPECT_TRUE(fs::exists(dir_ / "run" / file) || std::string(file) == "args.yaml") << file;
}

TEST_F(Overfit, LearnsWithBatchNorm) {
    const OverfitResult r = run({"norm=batch"}, 300);
    EXPECT_TRUE(r.pass) << r.verdict_text;
}

TEST_F(Overfit, WeightsAreTheSameForEveryThreadCountAndRun) {
    std::string first;
    for (const int threads : {1, 2, 4, 3, 1}) {
        set_thread_count(threads);
        static int count = 0;
        const std::string name = fmt::format("threads-{}", ++count);
        (void)run({"norm=batch"}, 5, {}, 18, name);  // 18 pictures: batches of 16 and 2, in a drawn order
        if (first.empty()) first = bytes(name);
        EXPECT_EQ(bytes(name), first) << threads << " threads";
    }
    set_thread_count(default_thread_count());
    (void)run({"norm=batch", "seed=1"}, 5, {}, 18, "seed");
    EXPECT_NE(bytes("seed"), first);
}

TEST_F(Overfit, NamesAClampInFrontOfTheLoss) {
    const OverfitResult r = run({"decode=identity", "clamp_before_loss=true"}, 60);
    EXPECT_FALSE(r.pass);
    EXPECT_EQ(first_id(r), "clamped") << r.verdict_text;
}

TEST_F(Overfit, NamesALearningRateOfZero) {
    const OverfitResult r = run({"lr0=0"}, 20);
    EXPECT_FALSE(r.pass);
    EXPECT_EQ(first_id(r), "zero-step") << r.verdict_text;
    EXPECT_NE(r.verdict_text.find("learning rate"), std::string::npos);
}

TEST_F(Overfit, NamesADetachedTrunk) {
    const OverfitResult r =
        run({}, 20, [](SingleBox& m) { m.between_trunk_and_head = [](const Var& x) { return x.detached(); }; });
    EXPECT_FALSE(r.pass);
    EXPECT_EQ(first_id(r), "detached") << r.verdict_text;
    EXPECT_NE(r.verdict_text.find("fc.1.weight"), std::string::npos) << r.verdict_text;
}

TEST_F(Overfit, ADetachedTrunkIsCaughtEvenWhenTheHeadAloneLearnsThePictures) {
    const OverfitResult r = run(
        {}, 300, [](SingleBox& m) { m.between_trunk_and_head = [](const Var& x) { return x.detached(); }; }, 2);
    EXPECT_FALSE(r.pass);
    EXPECT_EQ(first_id(r), "detached") << r.verdict_text;
}

TEST_F(Overfit, NamesLinearsThatAreAllZero) {
    const OverfitResult r = run({}, 20, [](SingleBox& m) {
        for (Linear* l : {&m.hidden(), &m.head()}) {
            l->weight.value = Tensor::zeros(l->weight.value.shape());
            l->bias.value = Tensor::zeros(l->bias.value.shape());
        }
    });
    EXPECT_FALSE(r.pass);
    EXPECT_EQ(first_id(r), "zero-weights") << r.verdict_text;
    EXPECT_NE(r.verdict_text.find("fc.1.weight"), std::string::npos);
}

TEST_F(Overfit, NamesATrunkThatLosesThePicture) {
    const OverfitResult r = run({"model=toy", "width_mult=0.0625", "norm=none"}, 60);
    EXPECT_FALSE(r.pass);
    EXPECT_EQ(first_id(r), "no-image-signal") << r.verdict_text;
    EXPECT_NE(r.verdict_text.find("No image signal reaches the head"), std::string::npos);
}

TEST_F(Overfit, APlantedConstantFeatureMapGetsTheSameWords) {
    const OverfitResult r =
        run({}, 20, [](SingleBox& m) { m.between_trunk_and_head = [](const Var& x) { return x * 0.0 + 1.0; }; });
    EXPECT_FALSE(r.pass);
    EXPECT_EQ(first_id(r), "no-image-signal") << r.verdict_text;
}

TEST_F(Overfit, AHealthyNetworkThatWasStoppedEarlyGetsNoFalseAlarm) {
    const OverfitResult r = run({}, 12);
    EXPECT_FALSE(r.pass);
    for (const auto& f : r.findings) EXPECT_NE(f.severity, "FAIL") << f.message;
}

TEST_F(Overfit, StopsAtASignalAndLeavesACheckpoint) {
    std::atomic<int> stop{0};
    Config config;
    config.set_words({"image=64", "hidden=32"}, "command line");
    apply_overfit_settings(config, 4);
    const RunDirectory directory(RunDirectory::Place{"", "", (dir_ / "stopped").string(), false});
    OverfitOptions options;
    options.steps = 500;
    options.stop_signal = &stop;
    options.talk = [&](const std::string&, bool) { stop = 2; };
    const OverfitResult r = fixtures::learn_by_heart(config, 4, directory, options);
    EXPECT_EQ(r.stopped_by, 2);
    EXPECT_EQ(r.steps, 10);
    EXPECT_TRUE(fs::exists(directory.last_weights()));
}

TEST_F(Overfit, RefusesWhatItWouldIgnore) {
    EXPECT_THROW(run({"dropout=0.5"}, 1), ConfigError);
    EXPECT_THROW(run({"weight_decay=1e-4"}, 1), ConfigError);
    EXPECT_THROW(run({"batch=3"}, 1), ConfigError);
    EXPECT_THROW(run({"width_mult=0.5"}, 1), ConfigError);
    EXPECT_THROW(run({"decode=log_wh"}, 1), ConfigError);
    EXPECT_NO_THROW(run({"dropout=0", "batch=4"}, 1, {}, 4, "fine"));
}

TEST_F(Overfit, NamesADivergedStepAndItsOp) {
    try {
        (void)run({"lr0=1"}, 5,
                  [](SingleBox& m) { m.head().bias.value.mutable_data()[1] = std::numeric_limits<Real>::quiet_NaN(); });
        FAIL() << "a NaN in the head must not go unnoticed";
    } catch (const NonFiniteError& e) {
        EXPECT_NE(std::string(e.what()).find("step 1"), std::string::npos) << e.what();
        EXPECT_NE(std::string(e.what()).find("[linear]"), std::string::npos) << e.what();
    }
}

TEST(OverfitData, AsksForNoMoreThanThereIs) {
    Config config;
    EXPECT_THROW(open_overfit(config, *make_task(config), "/no/such/dir", "", 8, false), DataError);
}

}  // namespace
}  // namespace solobox
