// A whole run as a program of one's own calls it: the same as `train` and `resume`, in one call.
#include "train/session/whole_run.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/program.h"
#include "tests/support/small_runs.h"
#include "train/run/record.h"

namespace solobox {
namespace {

using namespace fixtures;
namespace fs = std::filesystem;

std::vector<std::string> words_for(const TemporaryDirectory& dir, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{"data=" + dir / "set", "image=32", "batch=6", "epochs=2", "hidden=16", "workers=0"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

TEST(WholeRun, IsWhatTrainDoes) {
    const TemporaryDirectory dir;
    write_shapes(dir, 20, 8);
    const WholeRun r = run(task_kinds().at(0), words_for(dir), dir / "called");
    EXPECT_EQ(r.session.epochs, 2);
    EXPECT_NE(r.verdict.text(), "");
    ASSERT_TRUE(r.shown.has_value());
    for (const char* name : {"args.yaml", "results.csv", "events.jsonl", "task.json", "report.html", "val_pred.png"})
        EXPECT_TRUE(fs::exists(r.directory + "/" + name)) << name;
    EXPECT_EQ(read_record(r.directory).state, "finished");

    std::vector<std::string> train{"train"};
    for (const std::string& word : words_for(dir)) train.push_back(word);
    train.insert(train.end(), {"--out", dir / "tool", "--threads", "1", "-q"});
    ASSERT_EQ(run_program(train).code, 0);
    EXPECT_TRUE(text_at(dir / "called/weights/last.safetensors") == text_at(dir / "tool/weights/last.safetensors"));
}

TEST(WholeRun, GoesOnWhereItWasStopped) {
    const TemporaryDirectory dir;
    write_shapes(dir, 20, 8);
    (void)run(task_kinds().at(0), words_for(dir), dir / "whole");
    std::atomic<int> stop{0};
    SessionOptions options;
    options.stop_signal = &stop;
    options.talk = [&](const std::string& line, bool) {
        if (line.find("epoch 1/2") != std::string::npos) stop = 15;
    };
    const WholeRun cut = run(task_kinds().at(0), words_for(dir), dir / "cut", options);
    EXPECT_EQ(cut.session.stopped_by, 15);
    EXPECT_EQ(cut.verdict.severity, "");
    EXPECT_FALSE(cut.shown.has_value());
    EXPECT_EQ(read_record(dir / "cut").state, "interrupted");
    const WholeRun rest = run(task_kinds().at(0), words_for(dir), dir / "cut");
    EXPECT_EQ(rest.session.stopped_by, 0);
    EXPECT_TRUE(text_at(dir / "whole/weights/last.safetensors") == text_at(dir / "cut/weights/last.safetensors"));
}

// Begun with these words, it goes on with these: no figure of one run under the settings of another.
TEST(WholeRun, RefusesOtherWordsAndOtherData) {
    const TemporaryDirectory dir;
    write_shapes(dir, 20, 8);
    (void)run(task_kinds().at(0), words_for(dir), dir / "run");
    EXPECT_THROW((void)run(task_kinds().at(0), words_for(dir, {"epochs=3"}), dir / "run"), ConfigError);
    EXPECT_THROW((void)run(task_kinds().at(0), words_for(dir, {"lr0=0.5"}), dir / "run"), ConfigError);
    EXPECT_THROW((void)run(task_kinds().at(0), words_for(dir, {"nokey=1"}), dir / "run"), ConfigError);
    fs::remove(dir / "set/images/val/020.png");
    EXPECT_THROW((void)run(task_kinds().at(0), words_for(dir), dir / "run"), DataError);
    ASSERT_EQ(
        run_program({"overfit", "-n", "2", "image=32", "hidden=16", "--steps", "5", "--out", dir / "learned"}).code, 4);
    EXPECT_THROW((void)run(task_kinds().at(0), words_for(dir), dir / "learned"), ConfigError);
}

}  // namespace
}  // namespace solobox
