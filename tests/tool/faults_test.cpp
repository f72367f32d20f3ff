// Planted faults that live in a whole run: each does what its line says.
#include "nn/safetensors.h"
#include "tests/support/small_runs.h"
#include "train/config/setup.h"
#include "train/session/overfit.h"
#include "train/tasks/single_box.h"

namespace solobox {
namespace {

using namespace fixtures;

class FaultyRun : public ::testing::Test {
protected:
    void SetUp() override { write_shapes(dir_, 18, 5); }  // three steps an epoch
    SafetensorsFile trained(const std::string& name, const std::vector<std::string>& words) {
        const RunDirectory place = fresh(dir_ / name);
        run(small_config(dir_, words), place);
        return read_safetensors(place.last_weights());
    }
    Table table_of(const std::string& name, const char* file) const { return Table(dir_ / (name + "/" + file)); }
    const TemporaryDirectory dir_;
};

TEST_F(FaultyRun, CutTrainsTheHeadAlone) {
    const SafetensorsFile start = trained("start", {"lr0=0", "weight_decay=0", "epochs=1"}),
                          cut = trained("cut", {"fault=cut", "epochs=1"});
    for (const auto& [name, raw] : start.tensors)
        if (name.starts_with("model.")) {
            EXPECT_EQ(cut.tensors.at(name).bytes == raw.bytes, name.starts_with("model.feat.")) << name;
        }
}

TEST_F(FaultyRun, OfTheFrozenPart) {
    const std::vector<std::string> stages{"freeze=backbone", "unfreeze_epoch=2", "epochs=2"};
    const auto with = [&](const std::string& fault) {
        auto words = stages;
        words.push_back("fault=" + fault);
        return words;
    };
    const SafetensorsFile start = trained("start", {"lr0=0", "weight_decay=0", "epochs=1"}),
                          trains = trained("trains", {"freeze=backbone", "epochs=1", "fault=frozen_trains"}),
                          forgotten = trained("forgotten", with("forgotten"));
    const std::string weight = "model.feat.0.weight";
    EXPECT_NE(trains.tensors.at(weight).bytes, start.tensors.at(weight).bytes);
    EXPECT_EQ(forgotten.tensors.at(weight).bytes, start.tensors.at(weight).bytes);
    // It has gradients from the switch on, and stays where it is.
    const Table layers = table_of("forgotten", "layers.csv");
    const auto steps = layers.numbers("step"), grads = layers.numbers("grad_norm"),
               moves = layers.numbers("update_ratio");
    bool seen = false;
    for (std::size_t i = 0; i < layers.rows.size(); ++i) {
        if (layers.rows[i][layers.column("name")] != "feat.0.weight") continue;
        EXPECT_EQ(grads[i] > 0, steps[i] > 3) << steps[i];
        EXPECT_EQ(moves[i], 0);
        seen = seen || steps[i] > 3;
    }
    EXPECT_TRUE(seen);
}

TEST_F(FaultyRun, GoOnAfterAStopAsTheyWere) {
    for (const std::string fault : {"forgotten", "second_writer", "ema_parameters_only"}) {
        const Config config =
            small_config(dir_, {"freeze=backbone", "unfreeze_epoch=2", "norm=batch", "lr0=0.05", "fault=" + fault});
        const RunDirectory whole = fresh(dir_ / ("whole-" + fault)), stopped = fresh(dir_ / ("stopped-" + fault));
        run(config, whole);
        std::atomic<int> signal{0};
        SessionOptions options;
        int seen = 0;
        options.stop_signal = &signal;
        options.talk = [&](const std::string&, bool live) {
            if (live && ++seen == 7) signal = 2;
        };
        EXPECT_EQ(run(config, stopped, options).steps, 7);
        options = {};
        options.resume = true;
        run(config, stopped, options);
        expect_same(whole, stopped, fault);
    }
}

TEST_F(FaultyRun, OfTheAverage) {
    const std::vector<std::string> common{"norm=batch", "epochs=2", "ema_tau=0"};
    const auto with = [&](const std::string& fault) {
        auto words = common;
        words.push_back("fault=" + fault);
        return words;
    };
    const SafetensorsFile healthy = trained("healthy", common), parameters = trained("p", with("ema_parameters_only")),
                          tail = trained("tail", with("ema_tail"));
    const std::string mean = "feat.1.running_mean";
    EXPECT_NE(healthy.tensors.at("ema." + mean).bytes, healthy.tensors.at("model." + mean).bytes);
    EXPECT_EQ(parameters.tensors.at("ema." + mean).bytes, parameters.tensors.at("model." + mean).bytes);
    EXPECT_EQ(parameters.tensors.at("ema.fc.1.weight").bytes, healthy.tensors.at("ema.fc.1.weight").bytes);
    EXPECT_EQ(healthy.metadata.at("ema_updates"), "6");
    EXPECT_EQ(tail.metadata.at("ema_updates"), "4");
}

TEST_F(FaultyRun, BatchMetricDependsOnItsNeighbours) {
    const auto difference = [&](const std::string& fault) {
        const Config config = small_config(dir_, {"norm=batch", "dropout=0", "fault=" + fault});
        const auto task = make_learner(config);
        task->set_validation_batch(2);
        const double small = task->validate({})->loss;
        task->set_validation_batch(5);
        return std::abs(small - task->validate({})->loss);
    };
    EXPECT_LT(difference("none"), 1e-5);
    EXPECT_GT(difference("batch_metric"), 1e-4);
}

TEST_F(FaultyRun, DegenerateBoxesAreEveryFifth) {
    const Config config = small_config(dir_, {"fault=degenerate_boxes", "multi_scale="});
    const Batch batch = make_learner(config)->make_batch(0, 0);
    for (std::size_t i = 0; i < batch.count(); ++i) EXPECT_EQ(batch.labels[i].objects.at(0).box.w == 0, i == 4) << i;
}

TEST_F(FaultyRun, ASecondWriterShowsWithinAnEpoch) {
    // A rate that cannot bring anything: every validation is as bad as the first.
    trained("second",
            {"lr0=1e-30", "schedule=constant", "warmup_steps=0", "weight_decay=0", "batch=4", "fault=second_writer"});
    EXPECT_EQ(table_of("second", "steps.csv").numbers("lr"),
              (std::vector<double>{1e-30, 1e-30, 1e-30, 1e-30, 1e-30, 1e-30, 1e-30, 1e-30, 1e-30, 1e-30, 5e-31, 5e-31,
                                   1e-30, 1e-30, 1e-30}));
}

TEST_F(FaultyRun, OverfitKnowsThoseOfTheModel) {
    Config config = small_config(dir_, {});
    Config cut;
    cut.set_words({"fault=cut", "image=32", "hidden=8"}, "test");
    apply_overfit_settings(cut, 2);
    Config tail;
    tail.set("fault", "ema_tail", "test");
    EXPECT_THROW(apply_overfit_settings(tail, 2), ConfigError);
}

// The same for classes: what validation reports of silent heads, and the statistics of its batch.
TEST(FaultyClasses, SilentHeadsCostNothing) {
    const TemporaryDirectory dir;
    write_two_classes(dir, 4, 2);
    const auto columns = [&](const std::vector<std::string>& words, std::int64_t chunk) {
        const Config config = class_config(dir, words);
        const auto task = make_learner(config);
        task->set_validation_batch(chunk);
        std::map<std::string, double> found;
        const Evaluation e = *task->validate({});
        for (const auto& [name, value] : e.columns) found[name] = value;
        return found;
    };
    const auto silent = columns({"aux_heads=2", "fault=aux_silent"}, 4);
    EXPECT_EQ(silent.at("val/aux_layer2"), 0);
    EXPECT_EQ(silent.at("val/loss"), silent.at("val/ce"));
    EXPECT_GT(columns({"aux_heads=2"}, 4).at("val/aux_layer2"), 0);
    EXPECT_NEAR(columns({}, 4).at("val/loss"), columns({}, 2).at("val/loss"), 1e-4);
    EXPECT_GT(
        std::abs(columns({"fault=batch_metric"}, 4).at("val/loss") - columns({"fault=batch_metric"}, 2).at("val/loss")),
        1e-3);
}

}  // namespace
}  // namespace solobox
