// Logs of other programs, healthy and not: columns are told by what is in them, curves are judged as wholes with their
// noise. Every log is made here.
#include <cmath>
#include <set>

#include "tests/support/program.h"
#include "train/doctor/rules.h"
#include "train/doctor/sources.h"

namespace solobox {
namespace {

using doctor::Severity;
using fixtures::has;
using fixtures::run_program;
using fixtures::TemporaryDirectory;

// A loss that falls from a to b, a score that rises, both with a little noise that is the same everywhere.
double noise(int i, double size) { return size * std::sin(12.9898 * i + 78.233 * (i % 7)); }
double falling(int i, int n, double a, double b, double wobble = 0) {
    return b + (a - b) * std::exp(-4.0 * i / n) + (i + 1 < n ? noise(i, wobble) : -wobble);
}
double rising(int i, int n, double a, double b, double wobble = 0) {
    return b - (b - a) * std::exp(-4.0 * i / n) + (i + 1 < n ? noise(i, wobble) : wobble);
}

class Logs : public ::testing::Test {
protected:
    // Ids of rules that fire at `least` and above.
    std::set<std::string> found(const std::string& name, const std::string& text, Severity least = Severity::info,
                                const std::vector<std::string>& columns = {}) {
        doctor::Log log = doctor::read_log(dir_.write(name, text), columns);
        doctor::derive(log.facts);
        used_ = fmt::format("{} | not used: {}", fmt::join(log.used, "; "), fmt::join(log.unused, "; "));
        std::set<std::string> out;
        first_.clear();
        known_ = 0;
        for (const doctor::Verdict& v : doctor::examine(log.facts, "CRLP")) {
            known_ += v.severity != Severity::skip;
            if (v.severity < least) continue;
            if (first_.empty()) first_ = v.id;
            out.insert(v.id);
            messages_[v.id] = v.message;
        }
        return out;
    }
    void expect_silent(const std::string& name, const std::string& text, const std::string& uses) {
        const auto ids = found(name, text);
        EXPECT_TRUE(ids.empty()) << name << ": " << fmt::format("{}", fmt::join(ids, " ")) << ": "
                                 << (ids.empty() ? "" : messages_[*ids.begin()]) << "\n"
                                 << used_;
        EXPECT_TRUE(has(used_, uses)) << name;
        EXPECT_GT(known_, 2) << used_;
    }
    TemporaryDirectory dir_;
    std::string used_, first_;
    int known_ = 0;
    std::map<std::string, std::string> messages_;
};

TEST_F(Logs, HealthyRunsOfManyProgramsAreSilent) {
    std::string t;
    // 1: Ultralytics
    t = "                  epoch,                   time,         train/box_loss,         train/cls_loss,   "
        "metrics/precision(B),      metrics/recall(B),       metrics/mAP50(B),    metrics/mAP50-95(B),           "
        "val/box_loss,           val/cls_loss,                 lr/pg0\n";
    for (int i = 0; i < 30; ++i)
        t +=
            fmt::format("{},{},{:.5f},{:.5f},{:.5f},{:.5f},{:.5f},{:.5f},{:.5f},{:.5f},{:.6f}\n", i + 1, 12.5 * (i + 1),
                        falling(i, 30, 1.9, 0.8, .01), falling(i, 30, 2.4, 0.5, .01), rising(i, 30, .4, .9, .01),
                        rising(i, 30, .3, .85, .01), rising(i, 30, .3, .88, .01), rising(i, 30, .1, .6, .01),
                        falling(i, 30, 1.95, 0.9, .01), falling(i, 30, 2.5, 0.6, .01), 0.01 * (1 - i / 33.0));
    expect_silent("results.csv", t, "metric: column metrics/mAP50(B)");
    // 2: Keras' CSVLogger
    t = "epoch,accuracy,loss,val_accuracy,val_loss\n";
    for (int i = 0; i < 25; ++i)
        t += fmt::format("{},{},{},{},{}\n", i, rising(i, 25, .3, .95, .004), falling(i, 25, 1.6, .15, .01),
                         rising(i, 25, .35, .9, .01), falling(i, 25, 1.5, .3, .01));
    expect_silent("training.log.csv", t, "train_accuracy: column accuracy");
    // 3: Hugging Face's trainer_state.json: losses of steps, evaluations between, one summary
    nlohmann::json state{{"global_step", 600}, {"log_history", nlohmann::json::array()}};
    for (int i = 0; i < 60; ++i) {
        state["log_history"].push_back({{"epoch", (i + 1) / 10.0},
                                        {"step", 10 * (i + 1)},
                                        {"loss", falling(i, 60, .7, .1, .004)},
                                        {"learning_rate", 2e-5 * (1 - i / 60.0)},
                                        {"grad_norm", 2.0}});
        if (i % 10 == 9)
            state["log_history"].push_back({{"epoch", (i + 1) / 10},
                                            {"step", 10 * (i + 1)},
                                            {"eval_loss", falling(i / 10, 6, .5, .2)},
                                            {"eval_accuracy", rising(i / 10, 6, .8, .93)},
                                            {"eval_runtime", 3.1}});
    }
    state["log_history"].push_back({{"epoch", 6.0}, {"step", 600}, {"train_loss", 0.25}, {"train_runtime", 300.0}});
    expect_silent("trainer_state.json", state.dump(), "train_loss: column loss");
    EXPECT_TRUE(has(used_, "train_loss (one value)"));
    // 4: detectron2's metrics.json
    t.clear();
    for (int i = 0; i < 40; ++i) {
        nlohmann::json row{{"iteration", 20 * i + 19},
                           {"total_loss", falling(i, 40, 2.6, .5, .01)},
                           {"loss_cls", falling(i, 40, 1.5, .2)},
                           {"time", 0.41 + noise(i, .01)},
                           {"lr", 1e-3}};
        if (i % 10 == 9) row["bbox/AP"] = rising(i / 10, 4, 10, 38);
        t += row.dump() + "\n";
    }
    expect_silent("metrics.json", t, "step_loss: column total_loss");
    EXPECT_FALSE(has(used_, "elapsed_seconds"));
    // 5: MMDetection's lines
    t = "{\"config\": \"model = dict(type='YOLOX')\"}\n";
    for (int i = 0; i < 24; ++i) {
        t += nlohmann::json{{"mode", "train"},
                            {"epoch", i / 2 + 1},
                            {"iter", 50 * (i % 2 + 1)},
                            {"lr", 0.01},
                            {"loss", falling(i, 24, 9, 3, .02)},
                            {"time", 0.3},
                            {"memory", 4000}}
                 .dump() +
             "\n";
        if (i % 2 == 1)
            t += nlohmann::json{{"mode", "val"}, {"epoch", i / 2 + 1}, {"bbox_mAP", rising(i, 24, .05, .4)}}.dump() +
                 "\n";
    }
    expect_silent("20231101.log.json", t, "metric: column bbox_mAP");
    // 6: a curve that TensorBoard exported
    t = "Wall time,Step,Value\n";
    for (int i = 0; i < 30; ++i)
        t += fmt::format("{:.3f},{},{}\n", 1.69e9 + 60.0 * i, i, falling(i, 30, 1.4, .4, .004));
    expect_silent("run-exp3_version_0-tag-Loss_train.csv", t, "train_loss: column Loss_train");
    // 7: W&B: the run's name before, bands behind
    t = "\"Step\",\"quiet-sun-4 - val/accuracy\",\"quiet-sun-4 - val/accuracy__MIN\",\"quiet-sun-4 - "
        "val/accuracy__MAX\"\n";
    for (int i = 0; i < 30; ++i)
        t += fmt::format("\"{}\",\"{}\",\"{}\",\"{}\"\n", i, rising(i, 30, .2, .8), rising(i, 30, .2, .8) - .01,
                         rising(i, 30, .2, .8) + .01);
    expect_silent("wandb_export_2024.csv", t, "accuracy: column quiet-sun-4 - val/accuracy;");
    // 8: Lightning's CSVLogger: a row for each kind of number
    t = "epoch,step,train_loss,val_acc,val_loss\n";
    for (int i = 0; i < 20; ++i)
        t += fmt::format("{},{},{},,\n{},{},,{},{}\n", i, 50 * i + 49, falling(i, 20, 2.2, .4, .01), i, 50 * i + 49,
                         rising(i, 20, .2, .85), falling(i, 20, 2.1, .5));
    expect_silent("metrics.csv", t, "val_loss: column val_loss");
    // 9: YOLOv7's results.txt, without a header
    t.clear();
    for (int i = 0; i < 20; ++i)
        t += fmt::format(
            "{:>10}{:>10}{:>10.4g}{:>10.4g}{:>10.4g}{:>10.4g}{:>10}{:>10}{:>10.4g}{:>10.4g}{:>10.4g}{:>10.4g}"
            "{:>10.4g}{:>10.4g}{:>10.4g}\n",
            fmt::format("{}/19", i), "4.56G", falling(i, 20, .08, .03), falling(i, 20, .05, .02),
            falling(i, 20, .03, .01), falling(i, 20, .16, .06), 120 + i, 640, rising(i, 20, .2, .8),
            rising(i, 20, .2, .7), rising(i, 20, .1, .75), rising(i, 20, .05, .5), falling(i, 20, .08, .035),
            falling(i, 20, .05, .025), falling(i, 20, .03, .012));
    expect_silent("results.txt", t, "metric: column metrics/mAP_0.5");
    // 10: a German Excel
    t = "Epoch;Train Loss;Val Loss;Val Acc\n";
    const auto comma = [](double v) {
        std::string s = fmt::format("{:.4f}", v);
        std::replace(s.begin(), s.end(), '.', ',');
        return s;
    };
    for (int i = 0; i < 20; ++i)
        t += fmt::format("{};{};{};{}\n", i + 1, comma(falling(i, 20, 1.2, .2)), comma(falling(i, 20, 1.3, .3)),
                         comma(100 * rising(i, 20, .4, .9)) + " %");
    expect_silent("Verlauf.csv", t, "val_loss: column Val Loss");
    // 11: fastai: time is text, and of each epoch
    t = "epoch,train_loss,valid_loss,accuracy,time\n";
    for (int i = 0; i < 12; ++i)
        t += fmt::format("{},{},{},{},00:{:02}\n", i, falling(i, 12, .9, .1), falling(i, 12, .6, .15),
                         rising(i, 12, .7, .97), 31 + i % 3);
    expect_silent("history.csv", t, "val_loss: column valid_loss");
    EXPECT_TRUE(has(used_, "time (\"00:31\" is no number)"));
    // 12: fine-tuning that begins at 91 % and wavers
    t = "epoch,train_loss,val_loss,val_acc\n";
    for (int i = 0; i < 20; ++i)
        t += fmt::format("{},{},{},{}\n", i + 1, falling(i, 20, .35, .08, .01), falling(i, 20, .28, .2, .008),
                         rising(i, 20, .91, .935, .004));
    expect_silent("finetune.csv", t, "accuracy: column val_acc");
    // 13: the history of Keras as JSON
    nlohmann::json keras{{"loss", nlohmann::json::array()}, {"val_loss", nlohmann::json::array()}};
    for (int i = 0; i < 15; ++i)
        keras["loss"].push_back(falling(i, 15, .7, .2, .003)),
            keras["val_loss"].push_back(falling(i, 15, .65, .25, .003));
    expect_silent("history.json", keras.dump(), "train_loss: column loss");
}

TEST_F(Logs, ColumnsAreToldByTheirContent) {
    // Cells in quotes with decimal commas, beside commas that part cells.
    EXPECT_TRUE(found("q.csv", "epoch,val_loss\n1,\"1,5\"\n2,\"1,25\"\n3,\"0,9\"\n").empty());
    EXPECT_TRUE(has(used_, "val_loss: column val_loss"));
    // Groups of thousands are none.
    found("k.csv", "epoch,val_loss,images\n1,2,\"1,500\"\n2,1,\"2,500\"\n");
    EXPECT_TRUE(has(used_, "images (\"1,500\" is no number)"));
    // Two runs' columns of one meaning: none is taken unasked.
    found("two.csv", "Step,a - val_loss,b - val_loss,a - train_loss\n1,2,3,2\n2,1,2,1\n3,1,2,1\n");
    EXPECT_TRUE(has(used_, "a - val_loss (several columns of this meaning"));
    EXPECT_TRUE(has(used_, "train_loss: column a - train_loss"));
    // `time` that does not grow is no clock; seconds of each epoch are.
    found("t.csv", "epoch,time,val_loss\n1,30,3\n2,31,2\n3,30,1\n4,29,0.9\n");
    EXPECT_TRUE(has(used_, "epoch_seconds: column time"));
    found("c.csv", "epoch,time,val_loss\n1,30,3\n2,61,2\n3,91,1\n");
    EXPECT_TRUE(has(used_, "elapsed_seconds: column time"));
    // A header once more in the middle.
    EXPECT_TRUE(found("h.csv", "epoch,val_loss\n1,2\n2,1\nepoch,val_loss\n1,2\n2,1\n").contains("D74"));
    const auto refused = [&](const std::string& text) {
        const auto a = run_program({"doctor", "--log", dir_.write("x.csv", text)});
        EXPECT_EQ(a.code, 3) << a.out;
        EXPECT_TRUE(has(a.err, "--columns")) << a.err;
        return a.err;
    };
    EXPECT_TRUE(has(refused("Step,foo,bar\n1,2,3\n2,3,4\n3,4,5\n"), "not used: foo, bar"));
    EXPECT_TRUE(has(refused("foo;bar\n1;2\n"), "no column is known"));
    EXPECT_TRUE(has(refused("epoch,val_loss\n1,low\n2,lower\n"), "val_loss (\"low\" is no number)"));
}

TEST_F(Logs, CurvesAreJudgedAsWholes) {
    const auto metric = [](std::initializer_list<double> values) {
        std::string t = "epoch,metric\n";
        int i = 0;
        for (const double v : values) t += fmt::format("{},{}\n", ++i, v);
        return t;
    };
    // A collapse in the middle that came back is a warning; one that stays a failure.
    EXPECT_TRUE(found("m.csv", metric({.1, .4, .6, .7, .72, .1, .11, .1, .12, .5, .7, .74})).contains("D40"));
    EXPECT_TRUE(has(messages_["D40"], "epochs 6 to 9") && has(messages_["D40"], "came back"));
    EXPECT_TRUE(found("m.csv", metric({.1, .4, .6, .7, .72, .1, .11, .1, .12}), Severity::fail).contains("D40"));
    // Two bad rows, or a slow decline, are none.
    EXPECT_FALSE(found("m.csv", metric({.1, .4, .6, .7, .72, .1, .7, .73, .2, .74, .75, .76})).contains("D40"));
    EXPECT_FALSE(found("m.csv", metric({.5, .7, .75, .74, .73, .7, .69, .68, .66, .65})).contains("D40"));
    // Noise around one level is no learning, whatever its best row; what learns at once and stays is.
    EXPECT_TRUE(found("m.csv", metric({.10, .13, .09, .12, .08, .11, .13, .1, .09, .12, .1, .11})).contains("D39"));
    EXPECT_FALSE(found("m.csv", metric({.1, .8, .81, .8, .82, .81, .8, .81, .82, .81, .82, .82})).contains("D39"));
    // High and unmoved, with a training loss that is as unmoved: not fine-tuning.
    std::string t = "epoch,train_loss,metric\n";
    for (int i = 1; i <= 12; ++i) t += fmt::format("{},{},{}\n", i, .5 + noise(i, .002), .9);
    EXPECT_TRUE(found("m.csv", t).contains("D39"));
    // A validation loss that wavers is not rising, and one that rises slowly is.
    t = "epoch,train_loss,val_loss\n";
    for (int i = 0; i < 16; ++i) t += fmt::format("{},{},{}\n", i + 1, falling(i, 16, 1, .2), .5 + noise(i, .02));
    EXPECT_FALSE(found("v.csv", t).contains("D46"));
    t = "epoch,train_loss,val_loss\n";
    for (int i = 0; i < 16; ++i)
        t += fmt::format("{},{},{}\n", i + 1, falling(i, 16, 1, .2), .5 + .01 * std::abs(i - 6) + noise(i, .004));
    EXPECT_TRUE(found("v.csv", t).contains("D46"));
    // Where the training loss does not fall, nothing is learned by heart.
    t = "epoch,train_loss,val_loss\n";
    for (int i = 0; i < 16; ++i) t += fmt::format("{},{},{}\n", i + 1, 1 + noise(i, .05), .5 + .01 * std::abs(i - 6));
    EXPECT_FALSE(found("v.csv", t).contains("D46"));
    // Falls at the end.
    EXPECT_FALSE(found("m.csv", metric({.1, .2, .3, .4, .5, .6, .45})).contains("D57"));
    EXPECT_TRUE(found("m.csv", metric({.1, .2, .3, .4, .5, .55, .6})).contains("D57"));
}

TEST_F(Logs, TheStoryOfALog) {
    // Two runs: the last is judged; a resume writes some rows twice.
    EXPECT_TRUE(found("r.csv", "epoch,metric\n1,.9\n2,.95\n1,.1\n2,.2\n3,.3\n", Severity::warn).contains("D74"));
    EXPECT_TRUE(has(messages_["D74"], "epoch 1 comes again in row 3, after 2"));
    const doctor::Log log = doctor::read_log(dir_.write("r.csv", "epoch,metric\n1,.9\n2,.95\n1,.1\n2,.2\n3,.3\n"), {});
    EXPECT_EQ(log.facts.series("metric")->size(), 3U);
    EXPECT_TRUE(found("r.csv", "epoch,metric\n0,.1\n1,.2\n2,.3\n1,.2\n2,.3\n3,.4\n").contains("D74"));
    EXPECT_TRUE(found("r.csv", "step,step_loss\n10,3\n20,2\n10,3\n20,2\n", Severity::warn).contains("D74"));
    // A rate that begins again once, with the loss; warm restarts; a warmup.
    std::string once = "epoch,train_loss,lr\n", warm = once, up = once;
    for (int i = 0; i < 24; ++i) {
        const double cosine = .05 * (1 + std::cos(M_PI * (i % 12) / 12.0));
        once += fmt::format("{},{},{}\n", i + 1, i < 12 ? 1 - .06 * i : .9 - .03 * (i - 12), cosine);
        warm += fmt::format("{},{},{}\n", i + 1, 1 - .03 * i, .05 * (1 + std::cos(M_PI * (i % 6) / 6.0)));
        up += fmt::format("{},{},{}\n", i + 1, 1 - .03 * i, i < 4 ? .001 * std::pow(6, i) : .2 - .008 * i);
    }
    EXPECT_TRUE(found("l.csv", once, Severity::warn).contains("D75"));
    EXPECT_TRUE(has(messages_["D75"], "in epoch 13"));
    EXPECT_FALSE(found("l.csv", warm, Severity::warn).contains("D75"));
    EXPECT_FALSE(found("l.csv", up).contains("D75"));
    // Validation that finds nothing at all; one that finds a little.
    std::string none = "epoch,train_loss,metrics/mAP50(B)\n", little = none, flat = none;
    for (int i = 1; i <= 8; ++i) {
        none += fmt::format("{},{},0\n", i, 3.0 / i);
        little += fmt::format("{},{},{}\n", i, 3.0 / i, i > 6 ? 1e-4 : 0);
        flat += fmt::format("{},{},0\n", i, 3 + noise(i, .01));
    }
    EXPECT_TRUE(found("z.csv", none, Severity::warn).contains("D76"));
    EXPECT_FALSE(found("z.csv", little, Severity::warn).contains("D76"));
    EXPECT_FALSE(found("z.csv", flat, Severity::warn).contains("D76"));
    // Negative where it cannot be; a Dice with its sign turned; a density without an accuracy.
    EXPECT_TRUE(found("n.csv", "epoch,loss,accuracy\n1,-3,.1\n2,-9,.1\n", Severity::warn).contains("D77"));
    EXPECT_FALSE(found("n.csv", "epoch,loss,val_dice\n1,-.3,.3\n2,-.8,.8\n3,-.9,.9\n").contains("D77"));
    EXPECT_TRUE(found("n.csv", "epoch,loss\n1,4\n2,-9\n3,-20\n").contains("D77"));
    EXPECT_FALSE(found("n.csv", "epoch,loss\n1,4\n2,-9\n3,-20\n", Severity::warn).contains("D77"));
}

TEST_F(Logs, LossesThatAreGivenBack) {
    std::string back = "epoch,train_loss,val_loss\n", jump = "epoch,train_loss\n", good = jump;
    for (int i = 0; i < 30; ++i) {
        back += fmt::format("{},{},{}\n", i + 1, i < 12 ? 2 - .1 * i : .9 + .05 * (i - 12),
                            i < 12 ? 2 - .09 * i : 1 + .06 * (i - 12));
        jump += fmt::format("{},{}\n", i + 1, i < 20 ? falling(i, 20, 2, .4, .01) : 1.7 + noise(i, .02));
        good += fmt::format("{},{}\n", i + 1, falling(i, 30, 2, .4, .05));
    }
    EXPECT_TRUE(found("b.csv", back, Severity::warn).contains("D80"));
    EXPECT_TRUE(found("j.csv", jump, Severity::warn).contains("D80"));
    EXPECT_FALSE(found("g.csv", good, Severity::warn).contains("D80"));
    // Half of a metric lost at once and for good; the same lost slowly is overfitting's business.
    std::string half = "epoch,metric\n", slow = half;
    for (int i = 0; i < 24; ++i) {
        half += fmt::format("{},{}\n", i + 1, i < 12 ? .1 + .04 * i : .3 + noise(i, .003));
        slow += fmt::format("{},{}\n", i + 1, i < 12 ? .1 + .04 * i : .54 - .02 * (i - 12));
    }
    EXPECT_TRUE(found("h.csv", half, Severity::fail).contains("D40"));
    EXPECT_FALSE(found("s.csv", slow, Severity::warn).contains("D40"));
}

TEST_F(Logs, HabitsThatAreNoFaults) {
    // Validation rows without an epoch (mmengine): judged with the others.
    std::string zero, down;
    for (int e = 1; e <= 8; ++e) {
        for (auto* t : {&zero, &down})
            *t += nlohmann::json{{"epoch", e}, {"step", 10 * e}, {"loss", 5.0 / e}}.dump() + "\n";
        zero += nlohmann::json{{"coco/bbox_mAP", 0.0}, {"step", e}}.dump() + "\n";
        down += nlohmann::json{{"coco/bbox_mAP", e < 5 ? .1 * e : .01}, {"step", e}}.dump() + "\n";
    }
    EXPECT_TRUE(found("scalars.json", zero, Severity::warn).contains("D76"));
    EXPECT_TRUE(found("scalars.json", down, Severity::fail).contains("D40"));
    // detectron2: a loss by steps is a training loss, too.
    std::string d2;
    for (int i = 0; i < 30; ++i) {
        nlohmann::json row{{"iteration", 20 * i}, {"total_loss", falling(i, 30, 2, .5)}};
        if (i % 3 == 2) row["bbox/AP"] = 0.0;
        d2 += row.dump() + "\n";
    }
    EXPECT_TRUE(found("metrics.json", d2, Severity::warn).contains("D76"));
    // A perfect fit that rounds below 0; a regression that logs an accuracy of 0.
    EXPECT_FALSE(found("n.csv", "epoch,loss,accuracy\n1,.5,.9\n2,1e-4,1\n3,-1.2e-7,1\n").contains("D77"));
    std::string t = "epoch,accuracy,loss,val_accuracy,val_loss\n";
    for (int i = 0; i < 20; ++i) t += fmt::format("{},0,{},0,{}\n", i, falling(i, 20, 12, 1), falling(i, 20, 13, 2));
    EXPECT_TRUE(found("r.csv", t, Severity::warn).empty());
    // One warm restart that pays off.
    t = "epoch,train_loss,lr\n";
    for (int i = 0; i < 30; ++i)
        t += fmt::format("{},{},{}\n", i + 1, i < 10 ? 2 - .12 * i : 1.6 - .05 * (i - 10),
                         .05 * (1 + std::cos(M_PI * (i < 10 ? i / 10.0 : (i - 10) / 20.0))));
    EXPECT_TRUE(found("w.csv", t, Severity::warn).empty());
    // Iterations that begin anew in every epoch; the newest row first; thousands with commas.
    t = "iteration,loss\n";
    for (int i = 0; i < 40; ++i) t += fmt::format("{},{}\n", i % 10 * 10, falling(i, 40, 2, .5));
    EXPECT_TRUE(found("i.csv", t, Severity::warn).empty());
    t = "epoch,metric\n";
    for (int i = 12; i > 0; --i) t += fmt::format("{},{}\n", i, .05 * i);
    EXPECT_FALSE(found("d.csv", t, Severity::warn).contains("D74"));
    t = "step\ttrain_loss\n";
    for (int i = 1; i < 6; ++i)
        t += fmt::format("{}\t{}\n", i == 1 ? "500" : fmt::format("{},{:03}", i / 2, i % 2 * 500), 2.0 / i);
    EXPECT_FALSE(found("t.tsv", t, Severity::warn).contains("D74"));
    // A detector's accuracy in training is not its mAP.
    t.clear();
    for (int e = 1; e <= 8; ++e)
        t += nlohmann::json{{"epoch", e}, {"loss", 3.0 / e}, {"acc", 95.0}}.dump() + "\n" +
             nlohmann::json{{"epoch", e}, {"bbox_mAP", .04 * e}}.dump() + "\n";
    EXPECT_FALSE(found("a.json", t, Severity::warn).contains("D46"));
    // Validation on the training data, told by the curves alone.
    t = "epoch,train_loss,val_loss\n";
    for (int i = 1; i < 9; ++i) t += fmt::format("{},{},{}\n", i, 2.0 / i, 2.0 / i);
    EXPECT_TRUE(found("e.csv", t, Severity::fail).contains("D73"));
}

TEST_F(Logs, HostileTables) {
    const auto refused = [&](const std::string& text) {
        return fixtures::refusal([&] { doctor::read_log(dir_.write("x.json", text), {}); });
    };
    std::string deep = "[";
    for (int i = 0; i < 200'000; ++i) deep += "{\"\":";
    EXPECT_NO_THROW((void)doctor::read_log(dir_.write("x.json", deep + "1" + std::string(200'000, '}') + "]"), {}));
    std::string wide;
    for (int i = 0; i < 3000; ++i) wide += fmt::format("{{\"k{}\": 1}}\n", i);
    EXPECT_TRUE(has(refused(wide), "more than 2000 columns"));
    EXPECT_TRUE(has(refused("{\"a\": 1}\n{\"a\": \n{\"a\": 2}\n"), "line 2: is no JSON"));
    // A path of Windows in front of a NaN.
    const std::string windows = "{\"dir\": \"C:\\\\runs\\\\\", \"epoch\": 1, \"val_loss\": NaN}\n";
    EXPECT_TRUE(found("w.jsonl", windows + windows, Severity::fail).contains("D35"));
}

TEST_F(Logs, CausesAreReadBeforeWhatFollowsFromThem) {
    // A validation without labels explains a metric that never moved.
    std::string t = "epoch,train_loss,metric\n";
    for (int i = 1; i <= 12; ++i) t += fmt::format("{},{},0\n", i, 3.0 / i);
    const auto ids = found("z.csv", t, Severity::warn);
    EXPECT_TRUE(ids.contains("D39") && ids.contains("D76"));
    EXPECT_EQ(first_, "D76");
    // Steps that threw the weights away explain dead units, though both are failures.
    doctor::Facts facts;
    facts.set("starved", doctor::Texts{"a.weight"});
    facts.set("largest_update", 7.5), facts.set("largest_update_when", std::string("in step 1"));
    facts.set("step_loss", doctor::Series{3, 5, 5, 5});
    auto verdicts = doctor::examine(facts, "R");
    EXPECT_EQ(verdicts[0].id, "D78");
    EXPECT_EQ(verdicts[1].id, "D31");
    // Without a loss that rose they do not: the graph is cut.
    facts.set("step_loss", doctor::Series{3, 2, 1, 1});
    verdicts = doctor::examine(facts, "R");
    EXPECT_EQ(verdicts[0].id, "D31");
}

}  // namespace
}  // namespace solobox
