// The numbers that the reports print, given to the doctor: what must fire fires, what must stay silent stays
// silent. And the exact block of the collapse report's pre-flight.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/support/program.h"
#include "train/doctor/sources.h"

namespace solobox {
namespace {

using namespace fixtures;

const std::string source_dir = SOLOBOX_SOURCE_DIR;
const std::string collapsed = source_dir + "/experiments/collapse-box-failed.yaml";
using Words = std::vector<std::string>;
std::string printed(const std::string& file) { return source_dir + "/tests/doctor/" + file; }

std::set<std::string> words(const std::string& text) {
    std::set<std::string> all;
    std::istringstream in(text);
    for (std::string w; in >> w;) all.insert(w);
    return all;
}

// The rules that fire (INFO, WARN or FAIL), and what the program printed.
std::set<std::string> fired(std::vector<std::string> arguments, nlohmann::json* page = nullptr) {
    arguments.insert(arguments.begin(), "doctor");
    arguments.emplace_back("--json");
    const Answer answer = run_program(arguments);
    EXPECT_EQ(answer.code, 0) << answer.err;
    std::set<std::string> ids;
    if (answer.code != 0) return ids;
    const nlohmann::json j = answer.json();
    for (const auto& rule : j["rules"])
        if (const std::string s = rule["severity"]; s != "PASS" && s != "SKIP")
            ids.insert(rule["id"].get<std::string>());
    if (page) *page = j;
    return ids;
}

void expect(const std::set<std::string>& ids, const std::string& must, const std::string& silent) {
    for (const std::string& id : words(must)) EXPECT_TRUE(ids.contains(id)) << id << " must fire";
    for (const std::string& id : words(silent)) EXPECT_FALSE(ids.contains(id)) << id << " must stay silent";
}

std::string message_of(const nlohmann::json& page, const std::string& id) {
    for (const auto& rule : page["rules"])
        if (rule["id"] == id) return rule["message"];
    return "";
}

TEST(Diagnoses, Seed000) {
    expect(fired({printed("exits.yaml"), "--dialect", "yaml1.1", "--log", printed("exits.csv")}),
           "D01 D26 D28 D29 D34 D46 D47", "D35 D36");
    nlohmann::json page;
    expect(fired({printed("exits-mended.yaml"), "--dialect", "yaml1.1", "--log", printed("exits-mended.csv")}, &page),
           "D34 D46 D47", "D01 D26 D28 D29");
    EXPECT_NE(message_of(page, "D46").find("1.0267"), std::string::npos) << message_of(page, "D46");
    EXPECT_NE(message_of(page, "D47").find("epoch 6"), std::string::npos);
    // Both totals of epoch 15 are cross-entropy + 5 box + 2 GIoU over the three exits.
    const auto total = [](std::initializer_list<double> terms) {
        double sum = 0;
        int k = 0;
        for (const double v : terms) sum += v * (k % 3 == 0 ? 1 : k % 3 == 1 ? 5 : 2), ++k;
        return sum;
    };
    EXPECT_NEAR(total({.2649, .0474, .4689, .3009, .0484, .4926, .1073, .0902, .6686}), 4.8633, 1e-6);
    EXPECT_NEAR(total({.6687, .1683, .8083, .6425, .1569, .7815, .8036, .0591, .4939}), 8.2037, 1e-6);
}

TEST(Diagnoses, Seed001) {
    nlohmann::json page;
    const auto ids =
        fired({printed("detector.yaml"), "--dialect", "yaml1.1", "--log", printed("detector.csv"), "--baseline",
               printed("detector-baseline.csv"), "--baseline-config", printed("detector-baseline.yaml")},
              &page);
    expect(ids, "D04 D47 D49 D50 D51 D52 D53 D54 D55 D56", "D02");
    EXPECT_TRUE(ids.contains("D46") || ids.contains("D48"));
    EXPECT_NE(message_of(page, "D47").find("epoch 12"), std::string::npos) << message_of(page, "D47");
    const std::string gains = message_of(page, "D49");
    for (const char* figure : {"-41 %", "-12.0 %", "-34 %", "-1.6 %"})
        EXPECT_NE(gains.find(figure), std::string::npos) << figure << ": " << gains;
    // degrees and mixup are blamed, and are what they were.
    EXPECT_NE(message_of(page, "D51").find("did not change"), std::string::npos) << message_of(page, "D51");
}

TEST(Diagnoses, Seed002) {
    expect(fired({printed("checklist.yaml"), "--dialect", "yaml1.1"}), "D03 D05 D08 D10 D13 D14 D15 D16 D19 D66 D70",
           "D01");
    expect(fired({printed("checklist-first.yaml"), "--dialect", "yaml1.1"}), "D07", "D08");
}

TEST(Diagnoses, Seed003) {
    nlohmann::json page;
    expect(fired({collapsed, "--no-probes", "--fact", "train_images=6000", "--log", printed("collapse.csv")}, &page),
           "D02 D18 D25 D38 D39 D40 D41 D45", "D35 D36");
    const std::string rate = message_of(page, "D02"), drop = message_of(page, "D38"), average = message_of(page, "D41");
    for (const char* figure : {"40.0x", "0.00003125", "0.00000078"})
        EXPECT_NE(rate.find(figure), std::string::npos) << rate;
    for (const char* figure : {"-82.8 %", "-89.9 %"}) EXPECT_NE(drop.find(figure), std::string::npos) << drop;
    for (const char* figure : {"99.5 %", "87.1 %"}) EXPECT_NE(average.find(figure), std::string::npos) << average;
    // What makes every score meaningless is read first.
    std::vector<std::string> order;
    for (const auto& rule : page["rules"]) order.push_back(rule["id"]);
    EXPECT_LT(std::find(order.begin(), order.end(), "D41"), std::find(order.begin(), order.end(), "D02"));

    expect(fired({collapsed, "batch=8", "accumulate=4", "lr0=0.00025", "image=384", "--log",
                  printed("collapse-good.csv"), "--no-probes"}),
           "", "D02 D38");
    expect(fired({collapsed, "batch=64", "accumulate=4", "lr0=0.001", "--no-probes"}), "", "D02 D38");
}

TEST(Diagnoses, Seed004) {
    nlohmann::json page;
    const auto ids =
        fired({printed("smoke-test-base.yaml"), "--dialect", "yaml1.1", "--log", printed("smoke-test.csv")}, &page);
    expect(ids, "D01 D59 D60 D61 D62", "D35");
    EXPECT_TRUE(ids.contains("D57") || ids.contains("D58"));
    EXPECT_NE(message_of(page, "D61").find("26.8"), std::string::npos) << message_of(page, "D61");
}

TEST(Diagnoses, SharesOfTheInitialWeights) {
    const auto share = [](double decay, double epochs, bool ramped) {
        doctor::Facts f;
        f.set("ema_decay", decay), f.set("steps_per_epoch", 46.0), f.set("epochs", epochs),
            f.set("ema_ramped", ramped ? 1.0 : 0.0);
        doctor::derive(f);
        return *f.number("ema_share_last");
    };
    EXPECT_NEAR(share(.9999, 1, false), std::pow(.9999, 46), 1e-6);
    EXPECT_NEAR(share(.9999, 1, false), 0.9954, 5e-5);
    EXPECT_NEAR(share(.9999, 30, false), 0.8711, 5e-5);
    EXPECT_NEAR(share(.999, 30, false), 0.2514, 5e-5);
    EXPECT_NEAR(share(.9999, 30, true), 0.0, 5e-5);
}

const std::string block =
    "Model Output         {ok} PASS\n"
    "Loss Function        {ok} PASS\n"
    "Gradient Flow        {ok} PASS\n"
    "Hyperparameters      {x} FAIL\n"
    "EMA                  {ok} PASS\n"
    "\n"
    "{!} WARNING: Learning rate is 40.0x too small!\n"
    "   Recommended LR: 0.004000\n";

std::string with_marks(const std::string& ok, const std::string& x, const std::string& warning) {
    std::string text = block;
    for (const auto& [from, to] : {std::pair<std::string, std::string>{"{ok}", ok}, {"{x}", x}, {"{!}", warning}})
        for (std::size_t at = 0; (at = text.find(from)) != std::string::npos;) text.replace(at, from.size(), to);
    return text;
}

TEST(Diagnoses, TheBlockOfSeed003) {
    if (instrumented) GTEST_SKIP() << "320 pixels take minutes in an instrumented build";
    // The letters' locale alone: numbers stay as in the environment of the tests.
    const char* const all = std::getenv("LC_ALL");
    const std::string before = all ? all : "";
    ::unsetenv("LC_ALL");
    ::setenv("LC_CTYPE", "C.UTF-8", 1);
    const Answer utf8 = run_program({"doctor", collapsed, "--strict"}),
                 ascii = run_program({"doctor", "--ascii", "image=32"});
    ::setenv("LC_CTYPE", "C", 1);
    const Answer plain = run_program({"doctor", collapsed});
    ::unsetenv("LC_CTYPE");
    if (all) ::setenv("LC_ALL", before.c_str(), 1);
    EXPECT_EQ(utf8.code, 4);
    EXPECT_EQ(plain.code, 0);
    EXPECT_TRUE(utf8.out.ends_with("\n\n" + with_marks("✅", "❌", "⚠️"))) << utf8.out;
    EXPECT_TRUE(plain.out.ends_with("\n\n" + with_marks("[ok]", "[x]", "[!]"))) << plain.out;
    EXPECT_EQ(ascii.out.find("✅"), std::string::npos);
    EXPECT_NE(ascii.out.find("Model Output         [ok] PASS\n"), std::string::npos);
    for (const char* line : {"Batch size                16\n", "Accumulation steps        8\n",
                             "Effective batch           128\n", "Learning rate             0.0001\n", "0.00000078\n",
                             "8, 0.00025, 0.00003125\n", "16.00x\n", "0.03x (0.025)\n"})
        EXPECT_NE(plain.out.find(line), std::string::npos) << line;
}

TEST(Diagnoses, LogsOfAllKinds) {
    const TemporaryDirectory dir;
    // JSON rows, JSON columns, JSON lines, a padded CSV, epochs from 0: the same drop.
    dir.write("rows.json", R"([{"epoch":1,"IoU":0.1094},{"epoch":2,"IoU":0.0188}])");
    dir.write("columns.json", R"({"epoch":[1,2],"val":{"x":1},"IoU":[0.1094,0.0188],"note":"text"})");
    dir.write("lines.json", "{\"epoch\":0,\"val\":{\"IoU\":0.1094}}\n{\"epoch\":1,\"val\":{\"IoU\":0.0188}}\n");
    dir.write("padded.csv",
              "   epoch,      my score, note\r\n     1,        0.1094, first\r\n     2,        0.0188, \"a, b\"\r\n");
    for (const std::vector<std::string>& how : {std::vector<std::string>{"rows.json"},
                                                {"columns.json"},
                                                {"lines.json", "metric=val/IoU"},
                                                {"padded.csv", "metric=my score"}}) {
        std::vector<std::string> arguments{"--log", dir / how[0]};
        if (how.size() > 1) arguments.insert(arguments.end(), {"--columns", how[1]});
        EXPECT_TRUE(fired(arguments).contains("D38")) << how[0];
    }
    dir.write("nan.csv", "epoch,train_loss\n1,2.5\n2,nan\n");
    EXPECT_TRUE(fired({"--log", dir / "nan.csv"}).contains("D35"));
    dir.write("wide.csv", "epoch,loss\n1,2,3\n");
    dir.write("empty.csv", "");
    for (const char* file : {"wide.csv", "empty.csv", "absent.csv"}) {
        const Answer answer = run_program({"doctor", "--log", dir / file});
        EXPECT_EQ(answer.code, 3) << file;
        EXPECT_NE(answer.err.find(file), std::string::npos) << answer.err;
    }
    const Answer unknown = run_program({"doctor", "--log", dir / "nan.csv", "--columns", "metric=train_los"});
    EXPECT_EQ(unknown.code, 2);
    EXPECT_NE(unknown.err.find("did you mean 'train_loss'"), std::string::npos) << unknown.err;
    EXPECT_EQ(run_program({"doctor"}).code, 2);
    EXPECT_EQ(run_program({"doctor", "nowhere.yaml"}).code, 2);
    EXPECT_EQ(run_program({"doctor", "--log", dir / "nan.csv", "--rules", "D99"}).code, 2);
}

// Habits of other programs: what they write must be read as they mean it.
TEST(Diagnoses, HabitsOfOtherPrograms) {
    const TemporaryDirectory dir;
    const auto of = [&](const std::string& name, const std::string& text, const Words& more = {}) {
        dir.write(name, text);
        Words arguments{"--log", dir / name};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return fired(arguments);
    };
    // Keras: "accuracy" is the training's when there is a val_accuracy; its JSON has no epochs.
    expect(of("keras.csv", "epoch,accuracy,loss,val_accuracy,val_loss\n0,0.5,1,0.2,2\n1,0.9,0.4,0.2,3\n",
              {"--fact", "classes=5"}),
           "D46 D58", "D35");
    expect(of("keras.json", R"({"loss":[2,1,0.5,0.4],"val_loss":[2,1.5,1.9,2.5]})"), "D46", "D60");
    // Python writes NaN; a validation that was skipped is a gap, a loss that became NaN is not.
    expect(of("nan.json", R"({"loss":[1.0,NaN,NaN],"val_loss":[1,1,1]})"), "D35", "");
    expect(of("gaps.csv", "epoch,train_loss,val_loss,metric\n1,3,nan,nan\n2,2,1.5,0.3\n3,1.5,nan,nan\n4,1.2,1.1,0.4\n"),
           "", "D35 D38");
    // Scores are no losses.
    expect(of("scores.csv", "epoch,train/loss,val/iou\n1,2,0.1\n2,1.5,0.2\n3,1.2,0.3\n4,1,0.4\n"), "", "D46 D47");
    expect(of("percent.csv", "epoch,metric,train_metric\n1,60.1,61\n2,92.9,93.2\n"), "", "D46");
    expect(
        of("state.json",
           R"({"log_history":[{"epoch":1,"loss":2.0},{"epoch":1,"eval_loss":1.9},{"epoch":2,"loss":1.0},{"epoch":2,"eval_loss":2.4},{"epoch":3,"loss":0.5},{"epoch":3,"eval_loss":3.1}]})"),
        "D46", "");
    expect(of("frame.csv", ",epoch,metric\n0,1,0.1094\n1,2,0.0188\n"), "D38", "");
    expect(of("tabs.tsv", "epoch\tmetric\n1\t0.1094\n2\t0.0188\n"), "D38", "");
    expect(of("zero.csv", "epoch,metric\n1,0\n5,0\n12,0\n"), "D39", "");
    dir.write("unknown.csv", "a,b\n1,2\n");
    EXPECT_EQ(run_program({"doctor", "--log", dir / "unknown.csv"}).code, 3);
    // A run is no worse than itself, and 200,000 rows are read in a moment.
    dir.write("self.csv", "epoch,metric\n1,0.1\n2,0.5\n3,0.4\n");
    expect(fired({"--log", dir / "self.csv", "--baseline", dir / "self.csv"}), "", "D50");
    std::string many = "epoch,epoch_seconds,metric\n";
    for (int i = 1; i <= 200'000; ++i) many += fmt::format("{},10,0.5\n", i);
    EXPECT_FALSE(of("many.csv", many).contains("D55"));
}

TEST(Diagnoses, SectionsOfForeignFiles) {
    const TemporaryDirectory dir;
    const auto of = [&](const std::string& text) {
        dir.write("c.yaml", text);
        return fired({dir / "c.yaml", "--dialect", "yaml1.1", "--reference", "batch=16,lr0=0.001"});
    };
    expect(of("optimizer: {type: AdamW, lr: 0.001}\ntrain_dataloader: {batch_size: 16}\nval_dataloader: {batch_size: "
              "1}\n"),
           "", "D02");
    expect(of("optimizer: {lr: 0.001}\nbatch_size: 16\nscheduler: {lr: 0.000001}\n"), "", "D02");
    expect(of("lr: 0.001\nbatch_size: 16\nema: true\ntrain_images: 1600\nepochs: 10\nhash: 12e4567\ndevice: 0\n"), "",
           "D01 D29 D41");
    expect(of("lr: 0.000025\nbatch_size: 16\n"), "D02", "");
}

TEST(Diagnoses, ThresholdsOfTheConfigurationCount) {
    EXPECT_FALSE(fired({collapsed, "thresholds=D02=off", "--no-probes"}).contains("D02"));
    EXPECT_FALSE(fired({collapsed, "--threshold", "D02.low=0.01", "--no-probes"}).contains("D02"));
    EXPECT_EQ(run_program({"doctor", collapsed, "thresholds=D02.lo=1", "--no-probes"}).code, 2);
    EXPECT_EQ(run_program({"doctor", "--threshold", "D66=off", collapsed, "--no-probes"}).code, 0);
    EXPECT_EQ(run_program({"doctor", "--overfit", "--no-probes", collapsed}).code, 2);
}

}  // namespace
}  // namespace solobox
