// Training runs: going on after a stop at any moment to the same bits and the same tables; what a run refuses, writes
// and reports; its verbs.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <stdexcept>

#include "data/sets/synthetic.h"
#include "nn/safetensors.h"
#include "tests/support/program.h"
#include "tests/support/small_runs.h"
#include "train/session/run_report.h"
#include "train/session/session.h"
#include "train/tasks/single_box.h"

namespace solobox {
namespace {

namespace fs = std::filesystem;
using namespace fixtures;

TEST(Train, GoesOnAfterDyingAtAnyMoment) {
    const TemporaryDirectory dir;
    write_shapes(dir, 20, 5);
    for (const char* special : {"schedule=cosine", "schedule=plateau", "optimizer=SGD", "norm=batch"}) {
        const Config config = small_config(dir, {special});
        const std::string name = std::string(special).substr(std::string(special).find('=') + 1);
        const RunDirectory whole = fresh(dir / ("whole-" + name));
        run(config, whole);
        for (const int death : {1, 2, 5, 7, 12, 15})
            expect_survives([&](const auto& place, const auto& options) { return run(config, place, options); }, death,
                            whole, dir / fmt::format("broken-{}-{}", name, death));
    }
}

TEST(Train, StopsBetweenStepsAndInValidation) {
    const TemporaryDirectory dir;
    write_shapes(dir, 20, 5);
    const Config config = small_config(dir);
    const RunDirectory whole = fresh(dir / "whole");
    run(config, whole);
    const auto once = [&](const RunDirectory& place, const SessionOptions& how) { return run(config, place, how); };
    for (const int steps : {1, 3, 4, 5, 9})
        expect_stops_and_goes_on(once, steps, whole, dir / fmt::format("stopped-{}", steps));
}

TEST(Train, WorkersChangeNothing) {
    const TemporaryDirectory dir;
    write_shapes(dir, 20, 5);
    const RunDirectory none = fresh(dir / "none");
    run(small_config(dir, {"workers=0", "mosaic=0.3", "mixup=0.3", "degrees=20", "hsv_h=0.1"}), none);
    for (const char* workers : {"workers=1", "workers=4"}) {
        const RunDirectory some = fresh(dir / workers);
        run(small_config(dir, {workers, "mosaic=0.3", "mixup=0.3", "degrees=20", "hsv_h=0.1", "cache_mb=0"}), some);
        expect_same(none, some, workers);
    }
}

TEST(Train, RefusesAnotherModelDataOrConfiguration) {
    const TemporaryDirectory dir;
    write_shapes(dir, 12, 4);
    const RunDirectory place = fresh(dir / "run");
    run(small_config(dir, {"epochs=1"}), place);
    SessionOptions resume;
    resume.resume = true;
    EXPECT_THROW(run(small_config(dir, {"epochs=2", "lr0=0.5"}), place, resume), DataError);
    write_shapes(dir, 13, 4);
    EXPECT_THROW(run(small_config(dir, {"epochs=2"}), place, resume), DataError);
}

TEST(Train, OneWriterOnly) {
    const TemporaryDirectory dir;
    RunDirectory one = fresh(dir / "run");
    one.write_text("args.yaml", "");
    one.lock();
    RunDirectory two = RunDirectory::existing(dir / "run");
    EXPECT_THROW(two.lock(), ConfigError);
}

TEST(Train, PatienceEndsARun) {
    const TemporaryDirectory dir;
    write_shapes(dir, 12, 4);
    const RunDirectory place = fresh(dir / "run");
    const SessionResult r = run(small_config(dir, {"epochs=30", "lr0=0", "patience=3", "ema_decay=0"}), place);
    EXPECT_TRUE(r.early);  // a rate of 0 learns nothing
    EXPECT_EQ(r.best_epoch, 1);
    EXPECT_EQ(r.epochs, 4);
}

TEST(Train, AccumulationEqualsTheWholeBatchNearly) {
    const TemporaryDirectory dir;
    write_shapes(dir, 12, 4);
    const std::vector<std::string> common{"epochs=1", "dropout=0", "multi_scale=", "optimizer=SGD"};
    auto parts = common;
    parts.push_back("accumulate=3");
    const RunDirectory a = fresh(dir / "a"), b = fresh(dir / "b");
    const SessionResult whole = run(small_config(dir, common), a), split = run(small_config(dir, parts), b);
    EXPECT_NEAR(whole.last.loss, split.last.loss, 1e-4 * whole.last.loss);
}

TEST(Train, AReportComesFromWhatTheRunWrote) {
    const TemporaryDirectory dir;
    write_shapes(dir, 12, 4);
    const Config config = small_config(dir);
    const RunDirectory place = fresh(dir / "run");
    place.write_inputs({"solobox", "train"}, config);
    run(config, place);
    const Report report = read_run_report(place);
    EXPECT_EQ(report.layer_steps.size(), report.layers.at(0).grad_norm.size());
    ASSERT_GE(report.plots.size(), 4U);
    EXPECT_EQ(report.plots[0].curves.at(0).x.size(), 3U);  // epochs
    const std::string page = render_report(report);
    EXPECT_NE(page.find("best constant box"), std::string::npos);
    EXPECT_LT(page.size(), std::size_t{2} << 20);
    EXPECT_EQ(read_config(place.file("args.yaml")).at("batch").value, "6");
    EXPECT_EQ(read_config(place.file("args.yaml")).at("batch").origin, "test");
    EXPECT_EQ(judge_lift(0.60, 0.62).severity, "WARN");
    EXPECT_EQ(judge_lift(0.70, 0.62).severity, "PASS");
}

int shell(const std::string& command) {
    const int status = std::system(command.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

TEST(TrainCli, TrainValPredictCompareBranchExtend) {
    const TemporaryDirectory dir;
    write_shapes(dir, 20, 5);
    const std::string tool = SOLOBOX_BINARY, home = "cd " + dir.path() + " && " + tool + " ", quiet = " >out 2>err";
    dir.write("c.yaml", "image: 32\nbatch: 6\nepochs: 2\nhidden: 16\n");
    ASSERT_EQ(shell(home + "train c.yaml data=set --json" + quiet), 0) << text_at(dir / "err");
    EXPECT_NE(text_at(dir / "out").find("\"constant_box_iou\""), std::string::npos);
    for (const char* name :
         {"args.yaml", "cmd.txt", "env.json", "results.csv", "steps.csv", "layers.csv", "events.jsonl", "report.html",
          "val_pred.png", "worst.png", "weights/best.safetensors", "weights/last.safetensors"})
        EXPECT_TRUE(fs::exists(dir / (std::string("runs/train/set/") + name))) << name;
    EXPECT_TRUE(fs::exists(dir / "runs/latest/report.html"));
    EXPECT_EQ(shell(home + "val runs/train/set --json" + quiet), 0) << text_at(dir / "err");
    EXPECT_NE(text_at(dir / "out").find("\"lift\""), std::string::npos);
    EXPECT_EQ(shell(home + "predict runs/train/set set/images/val/020.png --out boxes" + quiet), 0)
        << text_at(dir / "err");
    EXPECT_TRUE(fs::exists(dir / "boxes/020.png"));
    EXPECT_EQ(shell(home + "extend runs/train/set --epochs 3" + quiet), 0) << text_at(dir / "err");
    EXPECT_EQ(shell(home + "extend runs/train/set --epochs 3" + quiet), 2);
    EXPECT_EQ(shell(home + "branch runs/train/set lr0=5e-4" + quiet), 0) << text_at(dir / "err");
    EXPECT_EQ(shell(home + "compare runs/train/set runs/train/set-branch --out cmp.html" + quiet), 0)
        << text_at(dir / "err");
    EXPECT_NE(text_at(dir / "out").find("lr0: 0.001 | 0.0005"), std::string::npos) << text_at(dir / "out");
    EXPECT_EQ(shell(home + "report runs/train/set" + quiet), 0) << text_at(dir / "err");
    EXPECT_EQ(shell(home + "resume runs/train/set" + quiet), 0) << text_at(dir / "err");
    EXPECT_EQ(shell(home + "lr-find c.yaml data=set --steps 12 --json" + quiet), 0) << text_at(dir / "err");
    EXPECT_EQ(shell(home + "config c.yaml" + quiet), 0) << text_at(dir / "err");
    EXPECT_EQ(shell(home + "train c.yaml data=nowhere" + quiet), 3);
    EXPECT_EQ(shell(home + "train c.yaml" + quiet), 2);
    EXPECT_EQ(
        shell(home +
              "train c.yaml data=set lr0=100 optimizer=SGD clip=0 epochs=9 loss=mse decode=identity warmup_steps=0" +
              quiet),
        5)
        << text_at(dir / "err");
    EXPECT_EQ(shell(home + "completion bash > c.sh && bash -n c.sh"), 0);
}

// A figure on other pictures than the run's is not the run's: two of them deleted, a training picture slides into
// validation. And nothing is said about learning from a handful.
TEST(TrainCli, ChangedDataAreRefusedAndAHandfulSaysNothing) {
    const TemporaryDirectory dir;
    write_shapes(dir, 20, 8);
    const std::string run = dir / "run", set = dir / "set";
    const std::vector<std::string> train{"train", "data=" + set, "image=32",  "batch=6",   "epochs=1", "hidden=16",
                                         "--out", run,           "workers=0", "--threads", "1"};
    ASSERT_EQ(run_program(train).code, 0);
    EXPECT_EQ(run_program({"val", run}).code, 0);
    fs::remove(set + "/images/val/020.png"), fs::remove(set + "/images/val/021.png");
    for (const char* verb : {"val", "report", "resume"}) {
        const Answer a = run_program({verb, run});
        EXPECT_EQ(a.code, 3) << verb << a.out;
        EXPECT_NE(a.err.find("is not the one that this run was trained on"), std::string::npos) << verb << a.err;
    }
    const Answer other = run_program({"val", run, "--data", set});
    EXPECT_EQ(other.code, 0) << other.err;
    EXPECT_NE(other.out.find("6 pictures: too few to say whether it has learned"), std::string::npos) << other.out;
    EXPECT_EQ(run_program({"val", run, "--data", set, "--split", "train", "--json"})
                  .json()["verdict_text"]
                  .get<std::string>()
                  .find("too few"),
              std::string::npos);
}

// An overfit run has no epochs: what takes one says so, predict and compare take it as it is, and the doctor repeats
// its verdict.
TEST(TrainCli, OverfitRunsAreWhatTheyAre) {
    const TemporaryDirectory dir;
    write_shapes(dir, 12, 8);
    const auto overfit = [&](const std::string& out, const std::vector<std::string>& more) {
        std::vector<std::string> words{"overfit", "-n", "2", "image=32", "hidden=16", "--out", out, "-q"};
        words.insert(words.end(), more.begin(), more.end());
        return run_program(words);
    };
    const std::string good = dir / "good", still = dir / "still", cut = dir / "cut";
    ASSERT_EQ(overfit(good, {"--steps", "600"}).code, 0);
    ASSERT_EQ(overfit(still, {"--steps", "20", "lr0=0"}).code, 4);
    ASSERT_EQ(overfit(cut, {"--steps", "40", "fault=cut"}).code, 4);
    for (const char* verb : {"val", "report", "resume"}) {
        const Answer a = run_program({verb, good});
        EXPECT_EQ(a.code, 2) << verb << a.out;
        EXPECT_NE(a.err.find("an overfit run"), std::string::npos) << verb << a.err;
    }
    EXPECT_EQ(run_program({"val", good, "--data", dir / "set"}).code, 0);
    EXPECT_EQ(run_program({"predict", good, dir / "set/images/val/012.png"}).code, 0);
    const Answer both = run_program({"compare", good, still, "--out", dir / "both.html"});
    EXPECT_EQ(both.code, 0) << both.err;
    EXPECT_NE(both.out.find(" st "), std::string::npos) << both.out;
    EXPECT_NE(both.out.find("steps instead of epochs"), std::string::npos) << both.out;

    const std::string named = dir / "named";
    ASSERT_EQ(
        run_program({"overfit", "-n", "2", "--task", "classify", "image=32", "--steps", "10", "--out", named}).code, 4);
    EXPECT_EQ(run_program({"compare", named, good}).code, 0);

    const auto d64 = [](const std::string& run) {
        const auto doctor = run_program({"doctor", run, "--json"}).json();
        for (const auto& rule : doctor["rules"])
            if (rule["id"] == "D64")
                return rule["severity"].get<std::string>() + " " + rule["message"].get<std::string>();
        return std::string();
    };
    EXPECT_EQ(d64(good), "PASS its verdict: pass");
    EXPECT_NE(d64(still).find("FAIL its verdict: fail."), std::string::npos) << d64(still);
    EXPECT_NE(d64(still).find("rate"), std::string::npos) << d64(still);
    EXPECT_NE(d64(cut).find("FAIL its verdict: fail."), std::string::npos) << d64(cut);
    EXPECT_NE(d64(cut).find("fc"), std::string::npos) << d64(cut);
}

// However quiet: a score can hide what is wrong, so the findings stand below the verdict, and the page begins with
// them.
TEST(TrainCli, FindingsStandBesideTheVerdict) {
    const TemporaryDirectory dir;
    write_shapes(dir, 24, 8);
    const Answer a = run_program({"train", "data=" + dir / "set", "image=32", "batch=6", "epochs=2", "hidden=16",
                                  "--out", dir / "run", "workers=0", "--threads", "1", "fault=degenerate_boxes", "-q"});
    ASSERT_EQ(a.code, 0) << a.err;
    EXPECT_EQ(a.err, "");
    EXPECT_NE(a.out.find("FAIL D56"), std::string::npos) << a.out;
    EXPECT_NE(text_at(dir / "run/report.html").find("says FAIL</b>"), std::string::npos);
}

// Whichever write, fsync or rename fails: an exit code and the system's words, and no damaged checkpoint.
TEST(TrainCli, SurvivesEveryFailingWrite) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "a preloaded library and the sanitizer's do not go together";
#endif
    const TemporaryDirectory dir;
    write_shapes(dir, 6, 2);
    dir.write("c.yaml", "image: 32\nbatch: 6\nepochs: 2\nhidden: 4\nworkers: 0\n");
    const std::string train = std::string(SOLOBOX_BINARY) + " train c.yaml data=set --threads 1 --out ";
    int failed = 0;
    for (int at = 1; at < 2000; ++at) {
        const bool full = at % 2 == 0;
        const std::string run = "run" + std::to_string(at);
        const int code =
            shell("cd " + dir.path() + " && LD_PRELOAD=" SOLOBOX_FAILING_WRITES " FAIL_AT=" + std::to_string(at) +
                  " FAIL_WITH=" + std::to_string(full ? ENOSPC : EIO) + " " + train + run + " >out 2>err");
        const std::string said = text_at(dir / "err");
        const std::string last = dir / (run + "/weights/last.safetensors");
        if (fs::exists(last)) {
            EXPECT_NO_THROW((void)read_safetensors(last)) << at;
        }
        if (code == 0) break;  // fewer writes than that
        ++failed;
        EXPECT_EQ(code, 1) << at << ": " << said;
        EXPECT_NE(said.find(full ? "No space left on device" : "Input/output error"), std::string::npos)
            << at << ": " << said;
        fs::remove_all(dir / run);
    }
    EXPECT_GT(failed, 20);
}

}  // namespace
}  // namespace solobox
