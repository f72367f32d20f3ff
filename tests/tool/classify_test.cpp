// Classifiers end to end: the verification checklist of the smoke-test report as a test, a line a test of the
// checklist, and what goes wrong with classes. Own pictures: coloured shapes in a folder a class.
#include <algorithm>
#include <cmath>
#include <sstream>

#include "data/image/image.h"
#include "nn/safetensors.h"
#include "tests/support/program.h"
#include "train/run/table.h"
#include "train/session/forecast.h"
#include "train/session/session.h"
#include "train/tasks/classes.h"
#include "train/tasks/kinds.h"

namespace solobox {
namespace {

namespace fs = std::filesystem;
using fixtures::Answer;
using fixtures::has;
using fixtures::read_text;
using fixtures::run_program;
using fixtures::TemporaryDirectory;

constexpr int class_count = 5;

// Each class a colour, with noise: anybody can tell them apart.
Image picture_of(int k, int number) {
    Image image{40, 32, {}};
    for (int i = 0; i < 40 * 32; ++i)
        for (int c = 0; c < 3; ++c) {
            const int level = ((k + 1) >> c & 1) != 0 ? 200 : 40;
            image.rgb.push_back(static_cast<std::uint8_t>(level + (i * 31 + number * 17 + c * 7) % 41 - 20));
        }
    return image;
}

void write_set(const TemporaryDirectory& dir, int train = 8, int val = 4, int shift_val = 0) {
    for (int k = 0; k < class_count; ++k) {
        for (int i = 0; i < train; ++i)
            dir.write(fmt::format("train/class{}/{}.png", k, i), encode_png(picture_of(k, i)));
        for (int i = 0; i < val; ++i)
            dir.write(fmt::format("val/class{}/{}.png", k, i),
                      encode_png(picture_of((k + shift_val) % class_count, 100 + i)));
    }
}

// Words that `more` sets anew are left out.
std::vector<std::string> small_run(const TemporaryDirectory& data, const TemporaryDirectory& out,
                                   const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{"train", "-q", "--out", out / "run"};
    const auto key = [](const std::string& word) { return word.substr(0, word.find('=')); };
    for (const std::string& word :
         {"data=" + data.path(), std::string("model=resnet18"), std::string("image=32"), std::string("batch=8"),
          std::string("epochs=1"), std::string("warmup_steps=0"), std::string("workers=1"), std::string("patience=0")})
        if (std::none_of(more.begin(), more.end(), [&](const std::string& m) { return key(m) == key(word); }))
            words.push_back(word);
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

class Classifier : public ::testing::Test {
protected:
    void SetUp() override { write_set(data_); }
    Answer train(const std::vector<std::string>& more = {}) const { return run_program(small_run(data_, out_, more)); }
    std::string run(const std::string& name) const { return out_ / ("run/" + name); }
    const TemporaryDirectory data_, out_;
};

// The report's list: data load, model create, forward, loss, backward, optimizer step, validation, metric log,
// checkpoint save and reload, inheritance, CPU, custom number of classes, exit code 0.
TEST_F(Classifier, TheThirteenLinesOfTheChecklist) {
    out_.write("base.yaml", "model: resnet18\nimage: 32\nbatch: 16\nepochs: 2\nlr0: 0.01\noptimizer: sgd\n");
    const std::string child = out_.write("tiny.yaml",
                                         "base: base.yaml\nbatch: 8\nval_every: 0.5\nval_first: true\n"
                                         "warmup_steps: 0\ndrop_last: true\n");
    const Answer a = run_program({"train", child, "data=" + data_.path(), "epochs=1", "patience=0", "ema_decay=0",
                                  "legacy_names=true", "--out", out_ / "run", "--json", "-q"});
    ASSERT_EQ(a.code, 0) << a.err;  // 13. exit code 0
    const auto args = read_text(run("args.yaml"));
    EXPECT_TRUE(has(args, "batch: 8  # "));  // 10. the child wins over its base, the command line over both
    EXPECT_TRUE(has(args, "model: resnet18  # " + (out_ / "base.yaml") + ":1"));
    EXPECT_TRUE(has(args, "epochs: 1  # command line"));
    EXPECT_EQ(read_text(run("classes.txt")), "class0\nclass1\nclass2\nclass3\nclass4\n");  // 1. data load
    const SafetensorsFile last = read_safetensors(run("weights/last.safetensors"));
    EXPECT_EQ(last.tensors.at("model.fc.weight").shape, (std::vector<std::int64_t>{5, 512}));  // 2., 12. five classes
    const Table steps(run("steps.csv")), results(run("results.csv")), layers(run("layers.csv"));
    ASSERT_EQ(steps.rows.size(), 5U);  // 3. to 6.: forward, loss, backward, step: 40 pictures, batches of 8
    EXPECT_NEAR(steps.numbers("loss")[0], std::log(5), 0.8);
    for (const double norm : layers.numbers("grad_norm")) EXPECT_GT(norm, 0);
    for (const double ratio : layers.numbers("update_ratio")) EXPECT_GT(ratio, 0);
    // 7., 8.: before the first step, after 2 and 4 of 5 batches, and at the end.
    EXPECT_EQ(results.numbers("epoch"), (std::vector<double>{0, 0.4, 0.8, 1}));
    for (const double loss : results.numbers("val/loss")) EXPECT_TRUE(std::isfinite(loss));
    EXPECT_EQ(results.numbers("metrics/chance").back(), 20);
    EXPECT_EQ(results.numbers("val/acc5").back(), 100);
    // 9. the reloaded checkpoint has the very loss of the log
    const Answer again = run_program({"val", out_ / "run", "--weights", "last", "--json"});
    ASSERT_EQ(again.code, 0) << again.err;
    EXPECT_EQ(again.json()["loss"].get<double>(), results.numbers("val/loss").back());
    EXPECT_EQ(again.json()["acc5_is_trivial"], true);
    EXPECT_TRUE(has(read_text(run("env.json")), "cpu"));  // 11.
    // The report's own names, asked for.
    const Table metrics(run("logs/csv_logs/version_0/metrics.csv"));
    EXPECT_EQ(fmt::format("{}", fmt::join(metrics.header, ",")),
              "epoch,lr-SGD,step,train/acc1,train/acc5,train/loss_epoch,train/loss_step,val/acc1,val/acc5,val/loss");
    EXPECT_EQ(metrics.rows.size(), 7U);  // 4 validations, one step of five, the epoch, its rate
    bool kept = false;
    for (const auto& entry : fs::directory_iterator(run("checkpoints/resnet18-epoch=00-val")))
        kept = entry.path().filename().string().starts_with("acc1=") && entry.path().extension() == ".ckpt";
    EXPECT_TRUE(kept);
    const std::string page = read_text(run("report.html"));
    for (const char* part : {"Confusion", "Each class", "Accuracy in %", "taken for", "D59"})
        EXPECT_TRUE(has(page, part));
}

TEST_F(Classifier, ATreeGivesTheSameIndicesAndTheSameBitsEveryTime) {
    ASSERT_EQ(train({"workers=2"}).code, 0);
    const std::string first = read_text(run("weights/last.safetensors"));
    fs::remove_all(out_ / "run");
    ASSERT_EQ(train({"workers=0", "--threads", "1"}).code, 0);
    EXPECT_TRUE(first == read_text(run("weights/last.safetensors")));
}

TEST_F(Classifier, ClassesMustAgreeBeforeStepOne) {
    Answer a = train({"classes=6"});
    EXPECT_EQ(a.code, 2);
    EXPECT_TRUE(has(a.err, "classes=6"));
    EXPECT_TRUE(has(a.err, "has 5"));
    fs::remove_all(data_ / "val/class3");
    a = train();
    EXPECT_EQ(a.code, 3);
    EXPECT_TRUE(has(a.err, "class class3 has no validation picture"));
    fs::create_directory(data_ / "val/class3");
    data_.write("val/unheard/1.png", encode_png(picture_of(0, 1)));
    a = train();
    EXPECT_EQ(a.code, 3);
    EXPECT_TRUE(has(a.err, "unheard"));
    EXPECT_FALSE(fs::exists(out_ / "run"));
}

TEST_F(Classifier, SwappedValidationLabelsShow) {
    if (fixtures::instrumented) GTEST_SKIP() << "learns for a while: run in the plain build";
    const TemporaryDirectory swapped;
    write_set(swapped, 8, 4, 1);  // every validation label is the next class's
    ASSERT_EQ(run_program(small_run(swapped, out_, {"epochs=8", "lr0=2e-3", "ema_decay=0"})).code, 0);
    const Table t(run("results.csv"));
    EXPECT_GT(t.numbers("train/acc1").back(), 80);
    EXPECT_LT(t.numbers("val/acc1").back(), 10);
}

TEST_F(Classifier, LearnsWhatCanBeTold) {
    if (fixtures::instrumented) GTEST_SKIP() << "learns for a while: run in the plain build";
    const Answer a = train({"epochs=8", "lr0=2e-3", "ema_decay=0", "--json"});
    ASSERT_EQ(a.code, 0) << a.err;
    EXPECT_GT(a.json()["best_acc1"], 90);
    EXPECT_EQ(a.json()["chance"], 20);
    EXPECT_TRUE(has(a.json()["verdict_text"], "has learned"));
    const Answer p = run_program({"predict", out_ / "run", data_ / "val/class2/0.png", "--json"});
    ASSERT_EQ(p.code, 0) << p.err;
    EXPECT_EQ(p.json()["predictions"][0]["answers"][0]["class"], "class2");
    const Answer c = run_program({"compare", out_ / "run", out_ / "run"});
    EXPECT_TRUE(has(c.out, "never looks"));
    EXPECT_EQ(run_program({"report", out_ / "run"}).code, 0);
    EXPECT_EQ(run_program({"model", "export", out_ / "run", "--format", "onnx", "--out", out_ / "m.onnx"}).code, 0);
}

TEST_F(Classifier, StoppedAndResumedWithinAnEpochEndsWithTheSameBits) {
    const std::vector<std::string> more{"val_every=0.4", "val_first=true", "optimizer=SGD", "ema_decay=0"};
    ASSERT_EQ(train(more).code, 0);
    const std::string weights = read_text(run("weights/last.safetensors"));
    const Table straight(run("results.csv"));
    fs::remove_all(out_ / "run");
    Config config;
    config.set_words(
        {"data=" + data_.path(), "model=resnet18", "image=32", "batch=8", "epochs=1", "warmup_steps=0", "workers=1",
         "patience=0", "val_every=0.4", "val_first=true", "classes=5", "optimizer=SGD", "ema_decay=0"},
        "test");
    for (const char* colour : {"brightness", "contrast", "saturation"}) config.set(colour, "0", "test");
    // Ends itself after every few questions whether to stop: in steps, in validations within and between epochs.
    const RunDirectory place(RunDirectory::Place{"", "", out_ / "run", false});
    place.write_inputs({}, config);
    bool resume = false;
    for (int budget = 2, rounds = 0; rounds < 200; ++rounds, budget = 2 + rounds % 3) {
        const auto learner = make_learner(config);
        std::atomic<int> stop{0};
        SessionOptions options;
        int lines = 0;
        options.stop_signal = &stop;
        options.talk = [&](const std::string&, bool) { stop = ++lines >= budget ? 2 : 0; };
        options.resume = resume;
        if (solobox::train(*learner, place, options).stopped_by == 0) break;
        resume = true;
    }
    EXPECT_TRUE(weights == read_text(run("weights/last.safetensors")));
    const Table cut(run("results.csv"));
    EXPECT_EQ(straight.numbers("epoch"), cut.numbers("epoch"));
    EXPECT_EQ(straight.numbers("val/loss"), cut.numbers("val/loss"));
}

TEST_F(Classifier, WeightsOfAnotherClassCountLoadButForTheHead) {
    ASSERT_EQ(run_program({"model", "export", "resnet18", "--classes", "7", "--format", "safetensors", "--out",
                           out_ / "seven.safetensors"})
                  .code,
              0);
    std::vector<std::string> words = small_run(data_, out_, {"weights=" + (out_ / "seven.safetensors")});
    words.erase(std::find(words.begin(), words.end(), "-q"));
    const Answer a = run_program(words);
    ASSERT_EQ(a.code, 0) << a.err;
    EXPECT_TRUE(has(a.err, "fc.weight is [7, 512] there and [5, 512] here: it starts fresh"));
    EXPECT_EQ(run_program({"model", "export", "resnet34", "--classes", "5", "--format", "safetensors", "--out",
                           out_ / "other.safetensors"})
                  .code,
              0);
    const Answer wrong = run_program(small_run(data_, out_, {"weights=" + (out_ / "other.safetensors"), "--exist-ok"}));
    EXPECT_EQ(wrong.code, 3);
    EXPECT_TRUE(has(wrong.err, "other.safetensors"));
}

TEST_F(Classifier, KeysOfTheOtherKindOfModelAreErrors) {
    EXPECT_TRUE(has(train({"decode=identity"}).err, "decode=identity (command line) would be ignored: model=resnet18"));
    const Answer a = run_program({"train", "data=synthetic", "label_smoothing=0.1", "--out", out_ / "b"});
    EXPECT_EQ(a.code, 2);
    EXPECT_TRUE(has(a.err, "label_smoothing=0.1"));
    EXPECT_EQ(train({"std=1,0,1"}).code, 2);
    EXPECT_EQ(train({"mean=1,2"}).code, 2);
    EXPECT_EQ(train({"val_every=1.5"}).code, 2);
}

TEST_F(Classifier, ADryRunKeepsNothingAndMeasuresItsForecast) {
    const Answer a = run_program(
        {"train", "data=" + data_.path(), "model=resnet18", "image=32", "batch=8", "-q", "--fast-dev-run", "--json"});
    ASSERT_EQ(a.code, 0) << a.err;
    EXPECT_FALSE(fs::exists(out_ / "run"));
    EXPECT_EQ(a.json()["steps"], 1);
    EXPECT_GT(a.json()["forecast_ratio"], 0.5);  // a measurement of memory, not a bar: sanitizers take more
    EXPECT_TRUE(std::isfinite(a.json()["val_loss"].get<double>()));
}

TEST_F(Classifier, WhatCannotFitIsRefusedWithACure) {
    Config config;
    config.set_words({"data=" + data_.path(), "model=resnet18", "image=32", "batch=32"}, "test");
    const auto learner = make_learner(config);
    const auto before = tensors_of(*learner).back().tensor->clone();
    const MemoryForecast f = forecast_memory(*learner, true, std::int64_t{1} << 40);
    EXPECT_GT(f.per_picture, 100'000);
    EXPECT_LT(f.per_picture, 10'000'000);
    EXPECT_EQ(max_abs(before), max_abs(*tensors_of(*learner).back().tensor));  // the probe leaves no trace
    refuse_what_does_not_fit(f, config, f.total());
    try {
        refuse_what_does_not_fit(f, config, f.total() - f.before - 20 * f.per_picture);
        FAIL() << "no ConfigError";
    } catch (const ConfigError& e) {
        EXPECT_TRUE(has(e.what(), "batch="));
        EXPECT_TRUE(has(e.what(), "accumulate="));
    }
}

// Neither a probe nor a decoded batch may be what runs out of memory.
TEST_F(Classifier, WhatIsFarTooLargeIsNotEvenTried) {
    Config config;
    config.set_words({"data=" + data_.path(), "model=resnet18", "image=64", "batch=32"}, "test");
    const auto learner = make_learner(config);
    const auto peak = peak_memory();
    const MemoryForecast f = forecast_memory(*learner, true, 1 << 20);
    EXPECT_LT(peak_memory() - peak, 20 << 20);
    EXPECT_GT(f.per_picture, 500'000);
    EXPECT_GT(f.step, 32 * f.per_picture);
    EXPECT_THROW(refuse_what_does_not_fit(f, config, 1 << 20), ConfigError);
}

// At 32 pixels the last map is one pixel: 41 pictures in batches of 8 leave one alone.
TEST_F(Classifier, APictureAloneIsRefusedBeforeStepOne) {
    data_.write("train/class0/more.png", encode_png(picture_of(0, 50)));
    const Answer a = train();
    EXPECT_EQ(a.code, 2);
    EXPECT_TRUE(has(a.err, "drop_last=true"));
    EXPECT_EQ(train({"drop_last=true", "--fast-dev-run"}).code, 2);  // --out would be ignored
    EXPECT_EQ(train({"batch=7"}).code, 0);
}

TEST_F(Classifier, AnotherSetOfClassesIsNotTheRuns) {
    ASSERT_EQ(train().code, 0);
    const TemporaryDirectory other;
    for (int k = 0; k < class_count; ++k)
        for (const char* part : {"train", "val"})
            for (int i = 0; i < 2; ++i)
                other.write(fmt::format("{}/other{}/{}.png", part, k, i), encode_png(picture_of(k, i)));
    const Answer a = run_program({"val", out_ / "run", "--data", other.path()});
    EXPECT_EQ(a.code, 3);
    EXPECT_TRUE(has(a.err, "not those of the run"));
    EXPECT_EQ(
        run_program({"val", out_ / "run", "--split", "train", "--out", out_ / "worst.png", "--json"}).json()["images"],
        40);
    fs::remove_all(other / "train/other4");
    fs::remove_all(other / "val/other4");
    EXPECT_EQ(
        run_program({"branch", out_ / "run", "data=" + other.path(), "drop_last=true", "--out", out_ / "four"}).code,
        0);
}

TEST_F(Classifier, OverfitsEightPictures) {
    const Answer a = run_program(
        {"overfit", "--task", "classify", "--data", data_.path(), "image=32", "--out", out_ / "o", "--json", "-q"});
    ASSERT_EQ(a.code, 0) << a.out << a.err;
    EXPECT_EQ(a.json()["acc1"], 100);
    EXPECT_LT(a.json()["loss"], 0.01);
    EXPECT_TRUE(has(read_text(out_ / "o/report.html"), "class4"));
    EXPECT_EQ(run_program({"overfit", "--task", "classify", "--model", "tiny"}).code, 2);
    EXPECT_EQ(run_program({"overfit", "--task", "classify", "label_smoothing=0.1"}).code, 2);
}

}  // namespace
}  // namespace solobox
