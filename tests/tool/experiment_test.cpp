// solobox experiment as its users meet it: runs that are cached, killed, broken and gone on with, and one table.
#include <fstream>

#include "tests/support/cli_program.h"
#include "train/run/run.h"

namespace solobox {
namespace {

using fixtures::Json;
using fixtures::object_of;
using fixtures::Outcome;
using fixtures::Setting;
using fixtures::Words;

// Two arms on a few shapes; a run takes a fraction of a second, more with `epochs`.
class Experiment : public fixtures::Cli {
protected:
    void write(const std::string& text) const { dir_.write("e.yaml", text); }
    void write_small(int epochs = 1) const {
        write(
            fmt::format("question: does it?\n"
                        "settings: {{image: 32, hidden: 16, epochs: {}, train_images: 24, val_images: 12, workers: 0, "
                        "patience: 0}}\n"
                        "sets:\n  shapes: {{data: synthetic}}\n"
                        "arms:\n  one: {{}}\n  two: {{lr0: 0.01}}\n  three: {{from: two, norm: none}}\n"
                        "seeds: [3, 5]\n",
                        epochs));
    }
    Outcome experiment(Words words, const Setting& setting = {}) const {
        words.insert(words.begin(), {"experiment", "e.yaml"});
        return run(words, setting);
    }
    std::string text(const std::string& name) const {
        std::ifstream in(file(name), std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    void refused(const Outcome& r, int code, const Words& parts) const {
        EXPECT_EQ(r.code, code) << r.err;
        EXPECT_EQ(r.out, "");
        for (const std::string& part : parts) EXPECT_TRUE(fixtures::has(r.err, part));
    }
    void expect_config_error(const std::string& yaml, const Words& parts) const {
        write(yaml);
        refused(experiment({"--dry-run"}), 2, parts);
    }
};

TEST_F(Experiment, WritesTablesPageAndRuns) {
    write_small();
    const Outcome r = experiment({"--out", "x"});
    ASSERT_EQ(r.code, 0) << r.err;
    EXPECT_TRUE(fixtures::has(r.out, "best constant box"));
    EXPECT_TRUE(fixtures::has(r.err, "6 runs to go: about"));
    const std::string csv = text("x/table.csv"), runs = text("x/runs.csv"), md = text("x/table.md"),
                      page = text("x/report.html");
    EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 4);
    EXPECT_EQ(std::count(runs.begin(), runs.end(), '\n'), 7);
    EXPECT_TRUE(fixtures::has(csv, "shapes,three,norm=none,2,2,0,0,iou,"));
    EXPECT_TRUE(fixtures::has(md, "| three | two + norm=none |"));
    EXPECT_TRUE(fixtures::has(page, "does it?"));
    EXPECT_TRUE(fixtures::has(page, "Every seed"));
    EXPECT_FALSE(fixtures::has(csv, "time"));
    // Each run's args.yaml makes the same run again.
    const std::string id = runs.substr(runs.rfind("runs/") + 5, 16);
    const Outcome again = run({"train", file("x/runs/" + id + "/args.yaml"), "--out", "again"});
    ASSERT_EQ(again.code, 0) << again.err;
    const auto last = [](const std::string& table) { return table.substr(table.find(',', table.rfind("\n1,") + 3)); };
    EXPECT_EQ(last(text("again/results.csv")), last(text("x/runs/" + id + "/results.csv")));
}

TEST_F(Experiment, KnowsWhatIsThere) {
    write_small();
    ASSERT_EQ(experiment({"--out", "x"}).code, 0);
    const std::string csv = text("x/table.csv");
    const Outcome again = experiment({"--out", "x", "--json"});
    ASSERT_EQ(again.code, 0) << again.err;
    EXPECT_TRUE(fixtures::has(again.err, "6 runs are there already"));
    EXPECT_FALSE(fixtures::has(again.err, "seed 3: IoU"));
    EXPECT_EQ(text("x/table.csv"), csv);
    EXPECT_EQ(object_of(again)["done"], 6);
    // A further seed costs its own three runs; names and order of arms cost nothing.
    const Json plan = object_of(experiment({"--out", "x", "--dry-run", "--json", "--seeds", "3,5,7"}));
    EXPECT_EQ(plan["open"], 3);
    // Another seed list, the same runs.
    const Json fewer = object_of(experiment({"--out", "x", "--dry-run", "--json", "--seeds", "5,3"}));
    EXPECT_EQ(fewer["open"], 0);
    // What does not decide the result changes nothing.
    const Json same = object_of(experiment({"--out", "x", "--dry-run", "--json", "workers=2", "cache_mb=100"}));
    EXPECT_EQ(same["open"], 0);
    // Another experiment's tables are not written over.
    refused(experiment({"--out", "x", "epochs=2"}), 2, {"--out x", "another experiment", "words: epochs=2"});
    refused(experiment({"--out", "x", "--smoke", "--dry-run"}), 2, {"--out x", "smoke: true"});
    EXPECT_EQ(text("x/table.csv"), csv);
}

// A run whose files were cut, lost or emptied is made again; the others stay.
TEST_F(Experiment, DamagedRunsAreMadeAgain) {
    write_small();
    ASSERT_EQ(experiment({"--out", "x"}).code, 0);
    const std::string csv = text("x/table.csv");
    std::vector<std::string> runs;
    for (const auto& entry : std::filesystem::directory_iterator(file("x/runs"))) runs.push_back(entry.path().string());
    ASSERT_EQ(runs.size(), 6U);
    std::sort(runs.begin(), runs.end());
    const auto overwrite = [](const std::string& path, const std::string& what) { std::ofstream(path) << what; };
    overwrite(runs[0] + "/results.csv", "");
    overwrite(runs[1] + "/results.csv", "epoch,time,val/loss,metrics/iou\n1,2,3,0.9\n");
    overwrite(runs[2] + "/content.txt", "");
    overwrite(runs[3] + "/outcome.json", "{\"state\": \"done\", \"message\": 3}");
    std::filesystem::remove(runs[4] + "/results.csv");
    const Outcome r = experiment({"--out", "x"});
    ASSERT_EQ(r.code, 0) << r.err;
    EXPECT_TRUE(fixtures::has(r.err, "1 runs are there already"));
    EXPECT_EQ(text("x/table.csv"), csv);
}

TEST_F(Experiment, DryRunWritesNothing) {
    write_small();
    const Outcome r = experiment({"--dry-run"});
    ASSERT_EQ(r.code, 0) << r.err;
    EXPECT_TRUE(fixtures::has(r.out, "6 of 6 runs are open: about"));
    EXPECT_TRUE(fixtures::has(r.out, "one (control)"));
    EXPECT_FALSE(std::filesystem::exists(file("runs")));
}

TEST_F(Experiment, JobsAndThreadsDoNotShowInTheTable) {
    if (fixtures::instrumented) GTEST_SKIP() << "twelve runs take minutes in an instrumented build";
    write_small();
    ASSERT_EQ(experiment({"--out", "a", "--threads", "1"}).code, 0);
    ASSERT_EQ(experiment({"--out", "b", "--jobs", "3", "--threads", "2"}).code, 0);
    EXPECT_EQ(text("a/table.csv"), text("b/table.csv"));
}

// The table of an experiment that was killed in the middle of a run is that of one that nobody disturbed.
class Stopped : public Experiment, public ::testing::WithParamInterface<int> {};
TEST_P(Stopped, GoesOnToTheSameTable) {
    if (fixtures::instrumented && GetParam() != SIGKILL)
        GTEST_SKIP() << "one signal is enough in an instrumented build";
    write_small(fixtures::instrumented ? 3 : 12);
    ASSERT_EQ(experiment({"--out", "whole", "--seeds", "2"}).code, 0);
    Setting kill;
    kill.signal = GetParam();
    kill.signal_at = "[2/6]";
    const Outcome stopped = experiment({"--out", "x", "--seeds", "2", "--jobs", "2"}, kill);
    EXPECT_EQ(stopped.code, GetParam() == SIGKILL ? 1000 + SIGKILL : 128 + GetParam()) << stopped.err;
    const Outcome r = experiment({"--out", "x", "--seeds", "2"});
    ASSERT_EQ(r.code, 0) << r.err;
    EXPECT_FALSE(fixtures::has(r.err, "[1/6]")) << "what was done is not done again";
    EXPECT_EQ(text("x/table.csv"), text("whole/table.csv"));
    EXPECT_EQ(text("x/runs.csv"), text("whole/runs.csv"));
}
INSTANTIATE_TEST_SUITE_P(Signals, Stopped, ::testing::Values(SIGKILL, SIGINT, SIGTERM));

TEST_F(Experiment, OneBrokenArmLosesNothing) {
    dir_.write("garbage.safetensors", "this is no checkpoint");
    write(
        "settings: {data: synthetic, image: 32, hidden: 16, epochs: 1, train_images: 24, val_images: 12, workers: 0}\n"
        "arms:\n  good: {}\n  broken: {weights: garbage.safetensors}\n"
        "  wild: {optimizer: SGD, lr0: 100, clip: 0, warmup_steps: 0, loss: mse, decode: identity, norm: none}\n"
        "seeds: 2\n");
    const Outcome r = experiment({"--out", "x"});
    EXPECT_EQ(r.code, 1) << r.err;
    EXPECT_TRUE(fixtures::has(r.err, "2 of 6 runs failed"));
    EXPECT_TRUE(fixtures::has(r.err, "garbage.safetensors"));
    const std::string csv = text("x/table.csv");
    EXPECT_TRUE(fixtures::has(csv, "failed at 2 of 2 seeds"));
    EXPECT_TRUE(fixtures::has(csv, "diverged at 2 of 2 seeds"));
    EXPECT_TRUE(fixtures::has(csv, "synthetic,good,the base,2,2,0,0,iou,"));
    // Diverged is a result, failed is tried again.
    const Json again = object_of(experiment({"--out", "x", "--dry-run", "--json"}));
    EXPECT_EQ(again["open"], 2);
}

TEST_F(Experiment, GridsNameTheirArms) {
    write(
        "settings: {data: synthetic}\nfactors:\n  norm: [none, group]\n  batch: [4, 8]\n"
        "control: {norm: group, batch: 8}\n");
    const Outcome r = experiment({"--dry-run", "epochs=1", "train_images=16", "val_images=8", "image=32"});
    ASSERT_EQ(r.code, 0) << r.err;
    EXPECT_TRUE(fixtures::has(r.out, "norm=none batch=4: "));
    EXPECT_TRUE(fixtures::has(r.out, "norm=group batch=8 (control)"));
    EXPECT_TRUE(fixtures::has(r.out, "20 of 20 runs"));
}

// A value of a factor may be several keys that go together; a control that names some factors stands in each level of
// the others.
TEST_F(Experiment, GridsHaveAControlInEachLevel) {
    write(
        "settings: {data: synthetic, epochs: 1, train_images: 16, val_images: 8, image: 32, hidden: 16, workers: 0}\n"
        "factors:\n  batch: [{batch: 4, lr0: 0.001}, {batch: 8, lr0: 0.0014}]\n  norm: [none, group]\n"
        "control: {norm: none}\nseeds: 2\n");
    const Outcome plan = experiment({"--dry-run"});
    ASSERT_EQ(plan.code, 0) << plan.err;
    EXPECT_TRUE(fixtures::has(plan.out, "batch=4 norm=none (control): batch=4, lr0=0.001, norm=none"));
    EXPECT_TRUE(fixtures::has(plan.out, "batch=8 norm=none (control): batch=8, lr0=0.0014, norm=none"));
    EXPECT_TRUE(fixtures::has(plan.out, "batch=8 norm=group: "));
    const Outcome r = experiment({"--out", "x", "--json"});
    ASSERT_EQ(r.code, 0) << r.err;
    const Json rows = object_of(r)["rows"];
    EXPECT_EQ(rows[3]["control"], "batch=8 norm=none");
    EXPECT_EQ(rows[3]["interaction"]["n"], 2);
    EXPECT_FALSE(rows[1].contains("interaction"));  // the first level is what the others are held against
    EXPECT_TRUE(fixtures::has(text("x/report.html"), "batch=8 norm=group – batch=8 norm=none"));
}

// The table is a function of the scores: those of a file give the same as the runs did.
TEST_F(Experiment, TablesOfScoresThatAreThere) {
    write_small();
    ASSERT_EQ(experiment({"--out", "x"}).code, 0);
    const Outcome r = experiment({"--scores", "x/runs.csv", "--out", "y", "-q"});
    ASSERT_EQ(r.code, 0) << r.err;
    for (const char* name : {"table.csv", "table.md", "runs.csv"})
        EXPECT_EQ(text(std::string("x/") + name), text(std::string("y/") + name)) << name;
    EXPECT_FALSE(std::filesystem::exists(file("y/runs")));
    // More seeds than the file has are seeds not run yet.
    const Outcome more = experiment({"--scores", "x/runs.csv", "--seeds", "3,5,7"});
    ASSERT_EQ(more.code, 0) << more.err;
    EXPECT_TRUE(fixtures::has(more.out, "1 of 3 seeds not run yet"));
    refused(experiment({"--scores", "none.csv"}), 3, {"none.csv"});
    refused(experiment({"--scores", "x/runs.csv", "--smoke"}), 2, {"--scores runs nothing"});
    dir_.write("bad.csv", "a,b\n");
    refused(experiment({"--scores", "bad.csv"}), 3, {"bad.csv: line 1: expected the columns set,arm,"});
    dir_.write("bad.csv", text("x/runs.csv").substr(0, text("x/runs.csv").find('\n') + 1) +
                              "shapes,one,3,done,1,much,,,,,runs/0\n");
    refused(experiment({"--scores", "bad.csv"}), 3, {"bad.csv: line 2: 'much' is no number"});
    dir_.write("bad.csv", text("x/runs.csv").substr(0, text("x/runs.csv").find('\n') + 1) +
                              "elsewhere,one,3,done,1,0.5,,,,,runs/0\n");
    refused(experiment({"--scores", "bad.csv"}), 3, {"bad.csv: none of its runs is one of e"});
    const std::string table = text("x/runs.csv"), row = table.substr(table.rfind("shapes,"));
    dir_.write("bad.csv", table + row);
    refused(experiment({"--scores", "bad.csv"}), 3, {"bad.csv: line 8: ", "is there already"});
    dir_.write("bad.csv", table.substr(0, table.size() - row.size()) + "shapes,three,5,dnoe,1,0.5,,,,,runs/0\n");
    refused(experiment({"--scores", "bad.csv"}), 3, {"bad.csv: line 7: 'dnoe' is no state of a run"});
}

// Levels that share their first key are named by the one that tells them apart.
TEST_F(Experiment, GridsNameLevelsByWhatDiffers) {
    write(
        "settings: {data: synthetic}\nfactors:\n  rate: [{batch: 8, lr0: 0.001}, {batch: 8, lr0: 0.0005}]\nseeds: 1\n");
    const Outcome r = experiment({"--dry-run", "epochs=1", "train_images=16", "val_images=8", "image=32"});
    ASSERT_EQ(r.code, 0) << r.err;
    EXPECT_TRUE(fixtures::has(r.out, "lr0=0.001 (control)"));
    EXPECT_TRUE(fixtures::has(r.out, "lr0=0.0005: batch=8, lr0=0.0005"));
}

TEST_F(Experiment, WordsThatMakeSetsTheSameMergeThem) {
    write(
        "settings: {image: 32, epochs: 1, val_images: 8}\n"
        "sets:\n  here: {data: nowhere, synthetic: {train_images: 16}}\n"
        "  there: {data: elsewhere, synthetic: {train_images: 16}}\n"
        "  third: {data: elsewhere, synthetic: {train_images: 24}}\narms: {a: {}}\nseeds: 1\n");
    refused(experiment({"--dry-run"}), 3, {"nowhere", "data=synthetic"});
    const Outcome r = experiment({"--dry-run", "data=synthetic"});
    ASSERT_EQ(r.code, 0) << r.err;
    EXPECT_TRUE(fixtures::has(r.err, "the sets here and there are the same now"));
    EXPECT_TRUE(fixtures::has(r.out, "2 of 2 runs"));
}

TEST_F(Experiment, RefusesWhatItWouldIgnore) {
    write_small();
    refused(experiment({"lr0=0.1"}), 2, {"lr0=0.1 (command line)", "differ in lr0"});
    Setting environment;
    environment.environment["SOLOBOX_CFG_LR0"] = "0.1";
    refused(experiment({}, environment), 2, {"lr0=0.1 (environment)"});
    refused(experiment({"seed=3"}), 2, {"seed=3", "--seeds"});
    Setting seed;
    seed.environment["SOLOBOX_CFG_SEED"] = "7";
    refused(experiment({}, seed), 2, {"seed=7 (environment)", "--seeds"});
    refused(experiment({"--seeds", "0,0"}), 2, {"--seeds 0,0"});
    refused(experiment({"--seeds", "no"}), 2, {"--seeds no"});
    refused(experiment({"epoch=3"}), 2, {"did you mean 'epochs'"});
    dir_.write("full/file", "x");
    refused(experiment({"--out", "full"}), 2, {"--out full", "holds no experiment"});
    refused(run({"experiment", "none.yaml"}), 2, {"none.yaml", "no such experiment file"});
}

TEST_F(Experiment, NamesFileAndLineOfWhatIsWrong) {
    const std::string head = "settings: {data: synthetic}\n";
    expect_config_error(head + "armz: {a: {}}\n", {"e.yaml: line 2", "armz", "did you mean 'arms'"});
    expect_config_error(head + "arms:\n  a: {}\n  a: {lr0: 1}\n", {"line 4", "a", "twice"});
    expect_config_error(head + "arms:\n  a: {lr: 1, lr0: 2}\n", {"line 3", "lr0", "two names"});
    expect_config_error(head + "arms:\n  a: {epoch: 1}\n", {"line 3", "epochs"});
    expect_config_error(head + "arms:\n  a: {epochs: -1}\n", {"line 3", "epochs"});
    expect_config_error(head + "arms:\n  a: {seed: 1}\n", {"line 3", "seeds"});
    expect_config_error(head + "arms:\n  a: {from: b}\n  b: {}\n", {"line 3", "'b' is no arm above"});
    expect_config_error(head + "arms: {a: {}}\ncontrol: b\n", {"line 3", "'b' is no arm"});
    expect_config_error(head + "arms: {a: {}}\nfactors: {batch: [1]}\n", {"found both"});
    expect_config_error(head, {"arms", "factors"});
    expect_config_error(head + "factors: {batch: [8, 8]}\n", {"line 2", "twice"});
    expect_config_error(head + "factors: {batch: 8}\n", {"line 2", "a list"});
    expect_config_error(head + "factors: {lr0: [1e-3, 0.001]}\n", {"line 2", "twice"});
    expect_config_error(head + "factors: {lr0: [1], lr: [2]}\n", {"line 2", "lr0", "two names"});
    expect_config_error(head + "factors: {batch: [1, 2]}\ncontrol: {batch: 3}\n",
                        {"line 3", "batch=3", "did you mean"});
    expect_config_error(head + "factors: {batch: [1, 2], norm: [none, {norm: group, batch: 4}]}\n",
                        {"line 2", "batch", "two names"});
    expect_config_error(head + "factors: {batch: [1]}\narms: {}\n", {"found both"});
    // A control in some levels only: the other arms would have none.
    expect_config_error(
        head +
            "factors:\n  batch: [{batch: 8, lr0: 0.001}, {batch: 2, lr0: 0.001}, {batch: 1, lr0: 0.0005}]\n"
            "  norm: [none, group]\ncontrol: {lr0: 0.001}\n",
        {"line 5", "no arm with it stands beside 'batch=1"});
    expect_config_error(head + "arms:\n  a: {claim: {says: more, gian: 1}}\n", {"line 3", "gian", "gain or reach"});
    expect_config_error(head + "arms:\n  a: {claim: {gain: 1}}\n", {"line 3", "in words"});
    expect_config_error(head + "arms: {a: {}}\ncontrol: [a]\n", {"line 3", "control: expected a text, found a list"});
    expect_config_error(head + "arms: {a: {}}\nseeds: [1, 1]\n", {"line 3", "twice"});
    expect_config_error(head + "arms: {a: {}}\nseeds: 0\n", {"seeds"});
    expect_config_error(head + "arms: {a: {}}\nscore: median\n", {"line 3", "last or best"});
    expect_config_error(head + "arms: {\"a,b\": {}}\n", {"line 2", "no name"});
    expect_config_error("arms: {a: {}}\n", {"no data set"});
    expect_config_error(head + "arms:\n  a: {width_mult: 0.5}\n", {"e.yaml: a: ", "width_mult"});
    expect_config_error(head + "base: none.yaml\narms: {a: {}}\n", {"none.yaml"});
    expect_config_error("", {"empty"});
}

TEST_F(Experiment, ASmokeRunSaysThatItMeansNothing) {
    write_small(40);
    const Outcome r = experiment({"--smoke"});
    ASSERT_EQ(r.code, 0) << r.err;
    const std::string out = "runs/experiment/e-smoke/";
    EXPECT_TRUE(fixtures::has(text(out + "table.md"), "mean nothing"));
    EXPECT_TRUE(fixtures::has(text(out + "report.html"), "mean nothing"));
    EXPECT_TRUE(fixtures::has(text(out + "runs.csv"), "shapes,one,3,done,1,"));
}

TEST_F(Experiment, TwoProcessesDoNotShareADirectory) {
    write_small();
    ASSERT_EQ(experiment({"--out", "x", "--seeds", "1"}).code, 0);
    const auto held = lock_directory(file("x"));
    refused(experiment({"--out", "x", "--seeds", "2"}), 2, {"another process"});
}

}  // namespace
}  // namespace solobox
