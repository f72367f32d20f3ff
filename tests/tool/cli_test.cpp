// The command line as its users meet it: streams, exit codes, what the errors say, what each verb prints.
#include <sys/stat.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>

#include "nn/safetensors.h"
#include "tests/support/cli_program.h"

namespace solobox {
namespace {

namespace fs = std::filesystem;
using namespace fixtures;

// ---- help, and words that are not understood ----

TEST_F(Cli, HelpAndVersion) {
    for (const Words& words : {Words{"--help"}, Words{"-h"}, Words{"overfit", "--help"},
                               Words{"model", "show", "--help"}, Words{"gradcheck", "--help"}}) {
        const Outcome r = run(words);
        EXPECT_EQ(r.code, 0);
        EXPECT_TRUE(has(r.out, "Usage:"));
        EXPECT_EQ(r.err, "");
    }
    EXPECT_TRUE(has(run({"--help"}).out, "overfit"));
    const Outcome version = run({"--version"});
    EXPECT_EQ(version.code, 0);
    EXPECT_TRUE(has(version.out, SOLOBOX_VERSION));
}

TEST_F(Cli, AnUnknownVerbGetsTheNearest) {
    expect_refused(run({"overfitt"}), 2, {"'overfitt'", "'overfit'"});
    expect_refused(run({"gradchek", "sigmoid"}), 2, {"'gradcheck'"});
    expect_refused(run({"model", "shw", "toy"}), 2, {"'show'"});
}

TEST_F(Cli, AnUnknownOptionGetsTheNearest) {
    expect_refused(run({"overfit", "--step", "3"}), 2, {"--step", "--steps"});
    expect_refused(run({"overfit", "--thraeds", "3"}), 2, {"--thraeds", "--threads"});
}

TEST_F(Cli, AnUnknownKeyGetsTheNearest) {
    expect_refused(run({"overfit", "imag=32"}), 2, {"'imag'", "did you mean 'image'"});
    expect_refused(run({"model", "show", "toy", "nrom=none"}), 2, {"did you mean 'norm'"});
}

// The experiments were once called after the numbers of the reports that they come from.
TEST_F(Cli, AFormerFileNameStillWorksAndSaysSo) {
    dir_.write("collapse-box-x.yaml", "batch: 5\n");
    dir_.write("own.yaml", "base: seed003-x.yaml\n");
    const Outcome r = run({"config", "seed003-x.yaml"});
    EXPECT_EQ(r.code, 0) << r.err;
    EXPECT_TRUE(has(r.out, "collapse-box-x.yaml:1"));
    EXPECT_TRUE(has(r.err, "collapse-box-x.yaml"));
    EXPECT_TRUE(has(run({"config", "own.yaml"}).out, "collapse-box-x.yaml:1"));
    expect_refused(run({"config", "seed003-nothing.yaml"}), 2, {"seed003-nothing.yaml"});
    dir_.write("seed003-x.yaml", "batch: 6\n");
    EXPECT_EQ(run({"config", "seed003-x.yaml"}).err, "") << "a file of one's own under such a name is that file";
}

TEST_F(Cli, UsageErrors) {
    for (const Words& words :
         {Words{}, Words{"model"}, Words{"model", "show"}, Words{"overfit", "-n", "0"}, Words{"overfit", "-n", "2x"},
          Words{"overfit", "--steps", "-1"}, Words{"overfit", "--threads", "0"}, Words{"overfit", "lr0=1e-4abc"},
          Words{"overfit", "batch=-1"}, Words{"overfit", "image=64", "imgsz=64"},
          Words{"overfit", "model=tiny", "--model", "toy"}, Words{"overfit", "word"}, Words{"overfit", "dropout=0.5"},
          Words{"overfit", "--model", "nosuch"}, Words{"overfit", "-n", "2", "-n", "3"}, Words{"bench", "nosuch"},
          Words{"overfit", "decode=log_wh"}})
        expect_refused(run(words), 2, {});
    EXPECT_FALSE(fs::exists(file("runs"))) << "a refused command leaves no run";
}

// ---- two runs compared ----

TEST_F(Cli, DiffNamesTheFirstStepAndTensor) {
    const auto train = [&](const std::string& out, const Words& more) {
        Words words{"overfit", "-n", "2", "image=32", "hidden=16", "--steps", "12", "--out", file(out)};
        words.insert(words.end(), more.begin(), more.end());
        const Outcome r = run(words);
        EXPECT_TRUE(r.code == 0 || r.code == 4) << r.err;
    };
    train("a", {"--threads", "1"});
    train("b", {"--threads", "3"});
    const Outcome same = run({"diff", file("a"), file("b")});
    EXPECT_EQ(same.code, 0) << same.out << same.err;
    EXPECT_TRUE(has(same.out, "equal to the bit: 12 steps"));

    train("seed", {"--seed", "1"});
    const Outcome other = run({"diff", file("a"), file("seed")});
    EXPECT_EQ(other.code, 4);
    EXPECT_TRUE(has(other.out, "setting seed: 0 | 1"));
    EXPECT_TRUE(has(other.out, "first difference: step 1, column loss"));
    EXPECT_TRUE(has(other.out, "last weights: 'model."));

    // One bit of one tensor at step 10.
    std::ifstream in(file("b/layers.csv"));
    std::string text{std::istreambuf_iterator<char>(in), {}};
    const std::size_t row =
        text.find("\n10,head.weight,") == std::string::npos ? text.rfind("\n10,") : text.find("\n10,head.weight,");
    const std::size_t end = text.find('\n', row + 1);
    text[end - 1] = text[end - 1] == '0' ? '1' : '0';
    std::ofstream(file("b/layers.csv")) << text;
    const std::string name = text.substr(row + 4, text.find(',', row + 4) - row - 4);
    const Json j = object_of(run({"diff", file("a"), file("b"), "--json"}));
    EXPECT_FALSE(j["equal"]);
    EXPECT_EQ(j["first_step"], 10);
    EXPECT_EQ(j["tensor"], name);
    EXPECT_EQ(j["part"], "weight");

    expect_refused(run({"diff", file("a"), file("nosuch")}), 3, {"nosuch"});
    fs::create_directories(file("empty"));
    expect_refused(run({"diff", file("a"), file("empty")}), 3, {"empty/"});
    expect_refused(run({"diff", file("a")}), 2, {});
}

// ---- the overfit job ----

TEST_F(Cli, OverfitPrintsOneJsonObject) {
    const Outcome r = run({"overfit", "-n", "2", "image=32", "hidden=16", "--steps", "30", "--json"});
    EXPECT_TRUE(r.code == 0 || r.code == 4) << r.code << r.err;
    const Json j = object_of(r);
    for (const char* key : {"verdict", "images", "steps", "seconds", "loss_first", "loss_last", "mean_iou", "min_iou",
                            "mean_box_iou", "constant_box_iou", "parameters", "threads", "kernels", "run_dir"})
        EXPECT_TRUE(j.contains(key)) << key;
    EXPECT_EQ(j.value("verdict", ""), r.code == 0 ? "pass" : "fail");
    EXPECT_EQ(j.value("images", 0), 2);
    EXPECT_EQ(j.value("run_dir", ""), "runs/overfit/synthetic");
    expect_plain(r.err);
    // The run's directory.
    for (const char* name :
         {"args.yaml", "cmd.txt", "env.json", "results.csv", "layers.csv", "report.html", "weights/last.safetensors"})
        EXPECT_TRUE(fs::exists(file("runs/latest") + "/" + name)) << name;
    EXPECT_TRUE(has(read_text(file("runs/latest/cmd.txt")), "overfit -n 2 image=32 hidden=16 --steps 30 --json"));
    EXPECT_TRUE(has(read_text(file("runs/latest/args.yaml")), "image: 32  # command line"));
    EXPECT_TRUE(Json::parse(read_text(file("runs/latest/env.json")), nullptr, false).is_object());
    // Again: another directory beside it, the same weights.
    EXPECT_EQ(object_of(run({"overfit", "-n", "2", "image=32", "hidden=16", "--steps", "30", "--json", "-q"}))
                  .value("run_dir", ""),
              "runs/overfit/synthetic-2");
    EXPECT_EQ(read_text(weights("runs/overfit/synthetic")), read_text(weights("runs/latest")));
}

TEST_F(Cli, QuietIsQuietAndTheVerdictIsOnStandardOutput) {
    const Outcome r = overfit({"-n", "2", "--steps", "3", "-q"});
    EXPECT_EQ(r.code, 4);
    EXPECT_EQ(r.err, "");
    EXPECT_TRUE(has(r.out, "verdict: fail"));
    EXPECT_TRUE(has(r.out, "constant box")) << "an IoU is never printed alone";
}

TEST_F(Cli, TheLastStepIsSaidEvenWithoutATerminal) {
    const Outcome r = overfit({"-n", "2", "--steps", "30"});
    EXPECT_TRUE(has(r.err, "30/30")) << r.err;
    expect_plain(r.err);
}

// Errors for programs; words for people who forgot one, or wrote an option for a key.
TEST_F(Cli, SaysWhatIsMissingAndWhatWasMeant) {
    const Outcome bare = run({"train"});
    EXPECT_EQ(bare.code, 2);
    EXPECT_TRUE(has(bare.err, "expected words: CONFIG.yaml and key=value words"));
    EXPECT_TRUE(has(bare.err, "Run `solobox train --help`."));
    EXPECT_TRUE(has(run({"train", "--lr", "1"}).err, "did you mean 'lr0=VALUE'?"));
    EXPECT_TRUE(has(run({"overfit", "--epochs", "3"}).err, "did you mean '--steps'?"));
    EXPECT_FALSE(has(run({"val", "run", "--batch", "8"}).err, "batch=VALUE")) << "val takes no such words";
    dir_.write("e.yaml", "question: why?\narms: {a: {}}\n");
    for (const char* verb : {"train", "doctor", "check"})
        EXPECT_TRUE(has(run({verb, "e.yaml"}).err, "solobox experiment e.yaml")) << verb;
    const Outcome json = run({"train", "nokey=1", "--json"});
    EXPECT_EQ(json.code, 2);
    const Json j = object_of(json);
    EXPECT_EQ(j["exit_code"], 2);
    EXPECT_TRUE(has(json.err, j["error"].get<std::string>()));
}

TEST_F(Cli, HelpIsThereForEveryCommandWithAnExample) {
    const Outcome all = run({"help"});
    ASSERT_EQ(all.code, 0);
    EXPECT_EQ(all.out, run({"--help"}).out);
    int verbs = 0;
    std::istringstream lines(all.out.substr(all.out.find("Subcommands:")));
    for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with("  ") || line[2] == ' ') continue;
        const std::string verb = line.substr(2, line.find(' ', 2) - 2);
        const Outcome one = run({"help", verb});
        EXPECT_EQ(one.code, 0) << verb;
        EXPECT_TRUE(has(one.out, "Example: solobox " + verb)) << one.out;
        ++verbs;
    }
    EXPECT_GE(verbs, 22);
    EXPECT_TRUE(has(run({"help", "data", "chek"}).err, "did you mean 'check'?"));
    const Outcome man = run({"help", "--man"});
    EXPECT_TRUE(has(man.out, ".TH SOLOBOX 1"));
    EXPECT_TRUE(has(man.out, ".SS data check"));
}

// The numbers of the lesson are those of a step: w - lr g, a gradient that is the difference quotient, a loss that
// falls.
TEST_F(Cli, AStepInNumbers) {
    const Json j = object_of(run({"step", "--lr", "0.05", "--steps", "3", "--json"}));
    ASSERT_EQ(j["steps"].size(), 3U);
    double before = 1e9;
    for (const Json& step : j["steps"]) {
        EXPECT_LT(step["loss"].get<double>(), before);
        EXPECT_NEAR(step["loss"].get<double>(), std::pow(step["y"].get<double>() - 1, 2), 1e-5);
        before = step["loss"];
        ASSERT_EQ(step["parameters"].size(), 4U);
        for (const auto& [name, p] : step["parameters"].items()) {
            EXPECT_NEAR(p["gradient"][p["steepest"].get<std::size_t>()].get<double>(), p["quotient"].get<double>(),
                        1e-2)
                << name;
            for (std::size_t i = 0; i < p["before"].size(); ++i)
                EXPECT_NEAR(p["after"][i].get<double>(),
                            p["before"][i].get<double>() - 0.05 * p["gradient"][i].get<double>(), 1e-6)
                    << name;
        }
    }
    EXPECT_TRUE(has(run({"step"}).out, "first.weight x + first.bias"));
}

// bash takes loss=c apart at its '='.
TEST_F(Cli, CompletesValues) {
    dir_.write("c.sh", run({"completion", "bash"}).out);
    const auto complete = [&](const std::string& words, int at) {
        const std::string script = "cd " + dir_.path() + "; source c.sh; compopt() { :; }; COMP_WORDS=(" + words +
                                   "); COMP_CWORD=" + std::to_string(at) + "; _solobox; echo \"${COMPREPLY[@]}\" > out";
        EXPECT_EQ(std::system(("bash -c '" + script + "'").c_str()), 0);
        return read_text(file("out"));
    };
    EXPECT_EQ(complete("solobox overfit loss = c", 4), "ciou\n");
    EXPECT_EQ(complete("solobox overfit loss=c", 2), "loss=ciou\n");
    EXPECT_EQ(complete("solobox train cos_lr =", 3), "true false\n");
    std::filesystem::create_directory(file("photos"));
    EXPECT_EQ(complete("solobox train data = pho", 4), "photos\n");
    EXPECT_EQ(complete("solobox train data = s", 4), "synthetic\n");
    EXPECT_TRUE(has(complete("solobox overfit los", 2), "loss="));
}

TEST_F(Cli, ATerminalGetsALiveLine) {
    Setting terminal;
    terminal.terminal = true;
    const Outcome r = overfit({"-n", "2", "--steps", "20"}, terminal);
    EXPECT_EQ(r.code, 4) << r.err;
    EXPECT_TRUE(has(r.err, "\r\x1b[K"));
    expect_plain(r.out);
}

TEST_F(Cli, ADivergedRunHasItsOwnCode) {
    expect_refused(overfit({"-n", "2", "--steps", "30", "decode=identity", "loss=mse", "optimizer=SGD", "lr0=100",
                            "clip=0", "warmup_steps=0"}),
                   5, {"step ", "not finite"});
}

TEST_F(Cli, TheSameWeightsForEveryThreadCountAndLocale) {
    std::string first, first_out;
    for (const char* threads : {"1", "2", "4"}) {
        const std::string name = std::string("t") + threads;
        Setting german;
        if (std::string(threads) != "1") german.environment = {{"LC_ALL", "de_DE.UTF-8"}, {"LANG", "de_DE.UTF-8"}};
        const Outcome r =
            overfit({"-n", "18", "norm=batch", "--steps", "5", "--json", "--threads", threads, "--out", name}, german);
        ASSERT_EQ(r.code, 4) << r.err;
        Json j = object_of(r);
        EXPECT_EQ(j.value("threads", 0), std::atoi(threads));
        for (const char* key : {"seconds", "threads", "run_dir"}) j.erase(key);
        const std::string bytes = read_text(weights(name));
        if (first.empty()) first = bytes, first_out = j.dump();
        EXPECT_GT(bytes.size(), 100000U);
        EXPECT_TRUE(bytes == first) << threads << " threads";
        EXPECT_EQ(j.dump(), first_out);
    }
}

// ---- the other verbs ----

TEST_F(Cli, ModelShowCountsTheToy) {
    const Json j = object_of(run({"model", "show", "toy", "--json"}));
    EXPECT_EQ(j.value("parameters", 0), 266056324);
    std::int64_t sum = 0;
    for (const auto& layer : j.value("layers", Json::array())) sum += layer.value("parameters", 0);
    EXPECT_EQ(sum, 266056324);
    EXPECT_TRUE(has(run({"model", "show", "tiny"}).out, "total:"));
    expect_refused(run({"model", "show", "tony"}), 2, {"tiny", "toy"});
}

TEST_F(Cli, GradcheckOfOneOp) {
    const Outcome r = run({"gradcheck", "sigmoid", "--json"});
    EXPECT_EQ(r.code, 0) << r.err;
    EXPECT_EQ(object_of(r).value("verdict", ""), "pass");
    expect_refused(run({"gradcheck", "nosuch"}), 2, {"nosuch"});
    expect_refused(run({"gradcheck", "sigmiod"}), 2, {"did you mean 'sigmoid'"});
}

TEST_F(Cli, KernelsAreChosenByTheEnvironment) {
    Setting nonsense, reference;
    nonsense.environment = {{"SOLOBOX_KERNELS", "nonsense"}};
    reference.environment = {{"SOLOBOX_KERNELS", "ref"}};
    expect_refused(run({"info"}, nonsense), 2, {"SOLOBOX_KERNELS=nonsense", "ref"});
    expect_refused(overfit({"-n", "2", "--steps", "3"}, nonsense), 2, {"SOLOBOX_KERNELS=nonsense"});
    EXPECT_FALSE(fs::exists(file("runs")));
    EXPECT_EQ(object_of(run({"info", "--json"}, reference)).value("kernels", ""), "ref");
    const Outcome r = overfit({"-n", "2", "--steps", "3", "--json", "--out", "ref"}, reference);
    EXPECT_EQ(object_of(r).value("kernels", ""), "ref");
    EXPECT_TRUE(has(read_text(file("ref/env.json")), "\"kernels\": \"ref\""));
}

TEST_F(Cli, ConfigPrintsItsKeys) {
    EXPECT_TRUE(has(run({"config"}).out, "lr0: 0.001  # default"));
    EXPECT_TRUE(has(run({"config", "--schema"}).out, "img_size"));
    EXPECT_GT(object_of(run({"config", "--schema", "--json"})).value("keys", Json::array()).size(), 30U);
}

// ---- models for other tools, benchmarks ----

TEST_F(Cli, ExportsAModelForOtherTools) {
    const Json onnx = object_of(run({"model", "export", "tiny", "--onnx", "--out", "a.onnx", "--json", "norm=group"}));
    EXPECT_EQ(onnx.value("parameters", 0), 1'442'964);
    EXPECT_EQ(read_text(file("a.onnx")).substr(0, 2), "\x08\x07");  // field 1, IR version 7
    EXPECT_TRUE(has(read_text(file("a.onnx")), "InstanceNormalization"));
    EXPECT_TRUE(has(read_text(file("a.onnx")), "feat.0.weight"));
    EXPECT_EQ(run({"model", "export", "resnet18", "--onnx", "--classes", "5", "--image", "64"}).code, 0);
    EXPECT_TRUE(has(read_text(file("resnet18.onnx")), "layer4.1.bn2.running_var"));

    // What was written reads back, and is written again to the same bytes.
    EXPECT_EQ(run({"model", "export", "tiny", "--format", "safetensors", "--out", "a.safetensors", "seed=4"}).code, 0);
    EXPECT_EQ(run({"model", "export", "tiny", "--format", "safetensors", "--out", "b.safetensors", "--weights",
                   "a.safetensors"})
                  .code,
              0);
    EXPECT_EQ(read_text(file("a.safetensors")), read_text(file("b.safetensors")));
    EXPECT_TRUE(read_safetensors(file("a.safetensors")).tensors.contains("feat.0.weight"));

    // The model of a run, with its weights.
    run({"overfit", "-n", "2", "--steps", "3", "--out", "run", "image=64"});
    EXPECT_EQ(run({"model", "export", "run", "--format", "safetensors", "--out", "c.safetensors"}).code, 0);
    const auto trained = read_safetensors(file("run/weights/last.safetensors")).tensors;
    const auto written = read_safetensors(file("c.safetensors")).tensors;
    for (const auto& [name, tensor] : written) EXPECT_EQ(trained.at("model." + name).bytes, tensor.bytes) << name;
    EXPECT_EQ(run({"model", "export", "run", "--onnx", "--out", "c.onnx"}).code, 0);
    EXPECT_EQ(object_of(run({"model", "show", "run", "--json"})).value("image", 0), 64);
}

TEST_F(Cli, ExportRefusesWhatItCannotDo) {
    expect_refused(run({"model", "export", "tiny"}), 2, {"--format onnx"});
    expect_refused(run({"model", "export", "tiny", "--format", "onxn"}), 2, {"onxn"});
    expect_refused(run({"model", "export", "tiny", "--onnx", "--format", "safetensors"}), 2, {"contradict"});
    expect_refused(run({"model", "export", "resnet19", "--onnx"}), 2, {"resnet19", "resnet18"});
    expect_refused(run({"model", "export", "tinny", "--onnx"}), 2, {"tinny"});
    expect_refused(run({"model", "export", "tiny", "--onnx", "--classes", "3"}), 2, {"--classes"});
    expect_refused(run({"model", "export", "resnet18", "--onnx", "hidden=64"}), 2, {"hidden=64", "ignored"});
    expect_refused(run({"model", "export", "tiny", "--onnx", "--weights", "nowhere.safetensors"}), 3, {"nowhere"});
    EXPECT_EQ(run({"model", "export", "tiny", "--format", "safetensors", "--out", "t.safetensors"}).code, 0);
    expect_refused(run({"model", "export", "resnet18", "--onnx", "--weights", "t.safetensors"}), 3, {"t.safetensors"});
    expect_refused(run({"model", "export", "tiny", "--onnx", "--out", "no/such/place.onnx"}), 1, {"place.onnx"});
}

TEST_F(Cli, BenchGivesTheKeysOfItsPeers) {
    const Json step = object_of(run({"bench", "tiny-gn", "--steps", "1", "--json"}));
    for (const char* key : {"workload", "batch", "image", "params", "step_s", "forward_s", "img_s", "rss_mb", "gflops",
                            "planned_mb", "first_step_after_s", "page_faults_per_step"})
        EXPECT_TRUE(step.contains(key)) << key;
    EXPECT_EQ(step.value("params", 0), 1'442'964);
    const Json picture = object_of(run({"bench", "tiny-bn", "--predict", "--steps", "1", "--json", "--save", "case"}));
    EXPECT_GT(picture.value("predict_s", 0.0), 0);
    EXPECT_EQ(read_safetensors(file("case/case.safetensors")).tensors.at("input").shape,
              (std::vector<std::int64_t>{1, 3, 128, 128}));
    expect_refused(run({"bench", "kernels", "--of", "nosuch"}), 2, {"nosuch"});
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    const Json kernels = object_of(run({"bench", "kernels", "--steps", "1", "--json"}));
    EXPECT_GT(kernels.value("rows", Json::array()).size(), 20U);
    for (const Json& row : kernels.value("rows", Json::array())) EXPECT_LT(row.value("error", 0.0), 1e-5) << row;
#endif
}

}  // namespace
}  // namespace solobox
