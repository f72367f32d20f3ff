// The always-on watch: faults planted in real small runs are said while they happen, and their cures are silent.
#include <atomic>
#include <cmath>
#include <thread>

#include "tests/support/program.h"
#include "tests/support/small_runs.h"
#include "train/session/run_findings.h"

namespace solobox {
namespace {

using namespace fixtures;
using Words = std::vector<std::string>;

std::string listed(const std::set<std::string>& ids) {
    std::string text;
    for (const std::string& id : ids) text += id + " ";
    return text;
}

class Watched : public ::testing::Test {
protected:
    // What was said while it ran.
    std::set<std::string> said(const Config& config, SessionOptions options = {}) {
        const auto learner = make_learner(config);
        return said(config, *learner, std::move(options));
    }
    std::set<std::string> said(const Config& config, Learner& learner, SessionOptions options = {}) {
        place_ = dir_ / fmt::format("run{}", runs_++);
        const RunDirectory where = fresh(place_);
        where.write_inputs({"test"}, config);
        lines_.clear();
        options.talk = [this](const std::string& line, bool live) {
            if (!live) lines_ += line + "\n";
        };
        try {
            const std::set<std::string> ids = train(learner, where, options).said;
            for (const std::string& id : ids) {
                EXPECT_NE(lines_.find(" " + id + ": "), std::string::npos) << id << " was not told";
                EXPECT_NE(text_at(where.file("events.jsonl")).find("\"id\":\"" + id + "\""), std::string::npos) << id;
            }
            return ids;
        } catch (const NonFiniteError&) {
            std::set<std::string> ids;
            for (const char* id : {"D35", "D36", "D60"})
                if (lines_.find(std::string(" ") + id + ": ") != std::string::npos) ids.insert(id);
            return ids;
        }
    }
    Config boxes(const Words& more) {
        if (!std::filesystem::exists(dir_ / "set")) write_shapes(dir_, 18, 6);
        return small_config(dir_, more);
    }
    Config classes(const Words& more) {
        if (!std::filesystem::exists(dir_ / "set")) write_two_classes(dir_, 8, 4);
        return class_config(dir_, more);
    }
    void expect_cured(const std::string& id, const Config& faulty, const Config& cured) {
        const auto bad = said(faulty);
        EXPECT_TRUE(bad.contains(id)) << id << " must fire; said: " << listed(bad);
        const auto good = said(cured);
        EXPECT_FALSE(good.contains(id)) << id << " must be silent; said: " << lines_;
    }
    const TemporaryDirectory dir_;
    std::string place_, lines_;
    int runs_ = 0;
};

TEST_F(Watched, OneFaultOfABoxRunAtATime) {
    const struct {
        const char* id;
        Words faulty, cured;
    } cases[] = {
        {"D16", {"lr0=1e-12", "epochs=4", "fault=second_writer"}, {"lr0=1e-12", "epochs=4"}},
        {"D20", {"backbone_lr=0.1", "fault=flat_groups"}, {"backbone_lr=0.1"}},
        {"D21",
         {"freeze=backbone", "unfreeze_epoch=3", "epochs=6", "fault=stale_schedule"},
         {"freeze=backbone", "unfreeze_epoch=3", "epochs=6"}},
        {"D22", {"epochs=4", "warmup_steps=0", "fault=burst_schedule"}, {"epochs=4", "warmup_steps=0"}},
        {"D30", {"freeze=backbone", "fault=frozen_trains"}, {"freeze=backbone"}},
        {"D31", {"fault=cut"}, {}},
        {"D32", {"freeze=backbone", "unfreeze_epoch=2", "fault=forgotten"}, {"freeze=backbone", "unfreeze_epoch=2"}},
        {"D36", {"lambda_coord=100000", "epochs=1"}, {"epochs=1"}},
        {"D37", {"clip=0.01", "epochs=40"}, {"clip=0", "epochs=40"}},
        {"D39", {"lr0=0", "epochs=11"}, {"lr0=0.004", "epochs=11", "dropout=0"}},
        {"D41", {"ema_decay=0.9999", "ema_tau=0"}, {"ema_decay=0.9999", "ema_tau=0", "val_weights=raw"}},
        {"D42", {"fault=ema_tail"}, {}},
        {"D44", {"freeze=backbone", "unfreeze_epoch=2", "unfreeze_lr=0.1"}, {"freeze=backbone", "unfreeze_epoch=2"}},
        {"D56", {"fault=degenerate_boxes"}, {}},
        {"D09", {"norm=batch", "batch=6"}, {"norm=batch", "batch=18"}},
    };
    for (const auto& c : cases) expect_cured(c.id, boxes(c.faulty), boxes(c.cured));
}

TEST_F(Watched, OneFaultOfAClassifierAtATime) {
    const Words aux{"aux_heads=2", "batch=8", "epochs=2"};
    Words silent = aux;
    silent.emplace_back("fault=aux_silent");
    expect_cured("D26", classes(silent), classes(aux));
    expect_cured("D60", classes({"batch=4", "epochs=4", "lr0=20", "clip=0"}), classes({"batch=4", "epochs=4"}));
}

TEST_F(Watched, WhatIsNotFinite) {
    const Words wild{"optimizer=SGD", "lr0=100", "clip=0", "norm=none", "decode=identity", "warmup_steps=0"};
    Words tame = wild;
    tame[1] = "lr0=0.001";
    expect_cured("D35", boxes(wild), boxes(tame));
}

// A run that somebody tampers with: what is done at the start of each validation is planted in a real run.
class Tampered : public Learner {
public:
    Tampered(const Config& config, std::function<void(Learner&, std::int64_t epoch)> at_epoch)
        : Learner(config, make_task(config), open_split(config, *make_task(config))), at_epoch_(std::move(at_epoch)) {}
    std::optional<Evaluation> validate(const std::function<bool()>& stop) override {
        at_epoch_(*this, ++epoch_);
        auto e = Learner::validate(stop);
        if (e && change_score) e->score = change_score(epoch_, e->score);
        return e;
    }

    std::function<double(std::int64_t epoch, double score)> change_score;

private:
    std::function<void(Learner&, std::int64_t)> at_epoch_;
    std::int64_t epoch_ = 0;
};

// Weights lost on the way: every answer is the same from the second epoch on.
TEST_F(Watched, WeightsThatAreLost) {
    const Config c = boxes({"epochs=5", "lr0=0.003", "ema_decay=0", "dropout=0"});
    Tampered lost(c, [](Learner& learner, std::int64_t epoch) {
        if (epoch >= 2)
            for (const NamedParameter& p : parameters_of(learner)) {
                if (p.name.ends_with("weight")) p.param->value = Tensor::zeros(p.param->value.shape());
                if (p.name.starts_with("fc.4") || p.name.starts_with("fc.3"))
                    p.param->value = Tensor::full(p.param->value.shape(), Real(-6));
            }
    });
    const auto bad = said(c, lost);
    EXPECT_TRUE(bad.contains("D38")) << listed(bad) << text_at(place_ + "/results.csv");
    EXPECT_TRUE(bad.contains("D40")) << listed(bad) << text_at(place_ + "/results.csv");
    const auto good = said(c);
    EXPECT_FALSE(good.contains("D38") || good.contains("D40")) << lines_ << text_at(place_ + "/results.csv");
}

TEST_F(Watched, AScoreThatJumps) {
    const Config c = boxes({"epochs=6", "ema_decay=0"});
    Tampered jumping(c, [](Learner&, std::int64_t) {});
    jumping.change_score = [](std::int64_t epoch, double score) { return epoch % 2 ? score : 0.1 * score; };
    EXPECT_TRUE(said(c, jumping).contains("D52"));
    EXPECT_FALSE(said(c).contains("D52")) << lines_;
}

TEST_F(Watched, AnEpochThatTakesLong) {
    const Config c = boxes({"epochs=5", "thresholds=D55.seconds=0.3"});
    Tampered slow(c, [](Learner&, std::int64_t epoch) {
        if (epoch == 4) std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    });
    EXPECT_TRUE(said(c, slow).contains("D55")) << text_at(place_ + "/results.csv");
}

TEST_F(Watched, AnUneventfulRunSaysNothingOfTimeAndMemory) {
    const auto ids = said(boxes({"epochs=8"}));
    EXPECT_FALSE(ids.contains("D54") || ids.contains("D55")) << lines_;
}

TEST_F(Watched, MemoryThatLeaks) {
    if (instrumented) GTEST_SKIP() << "takes minutes in an instrumented build";
    const Config c = boxes({"epochs=3000", "patience=0"});
    std::vector<std::vector<char>> leak;
    std::atomic<int> stop{0};
    Tampered leaking(c, [&](Learner&, std::int64_t epoch) {
        leak.emplace_back(std::size_t{60} << 20, static_cast<char>(epoch));
        if (epoch == 7) stop = 15;
    });
    SessionOptions options;
    options.stop_signal = &stop;
    const auto bad = said(c, leaking, options);
    EXPECT_TRUE(bad.contains("D54")) << listed(bad);
}

// `report` and the end of `train` read the same from the tables.
TEST_F(Watched, TheFinishedRunSaysTheSame) {
    const Config c = boxes({"ema_decay=0.9999", "ema_tau=0"});
    (void)said(c);
    const auto findings = run_findings(RunDirectory::existing(place_));
    EXPECT_TRUE(std::any_of(findings.begin(), findings.end(), [](const auto& f) { return f.id == "D41"; }));
}

TEST_F(Watched, ThresholdsOfTheConfiguration) {
    EXPECT_FALSE(said(boxes({"ema_decay=0.9999", "ema_tau=0", "thresholds=D41=off"})).contains("D41"));
    EXPECT_THROW(said(boxes({"thresholds=D41=0.5"})), ConfigError);
}

// A run that was interrupted knows what was said before: the fault is found again behind the resume.
TEST_F(Watched, BehindAResume) {
    const Config c = boxes({"epochs=6", "fault=degenerate_boxes"});
    (void)said(c);
    SessionOptions options;
    options.resume = options.extend = true;
    Config more = c;
    more.set("epochs", "8", "test");
    const auto learner = make_learner(more);
    const RunDirectory where = RunDirectory::existing(place_);
    EXPECT_TRUE(train(*learner, where, options).said.contains("D56"));
}

// An extension plans the rates anew from its first step on: they are nobody's second writing.
TEST_F(Watched, AnExtensionIsNoSecondWriter) {
    for (const char* schedule : {"schedule=cosine", "schedule=linear", "schedule=constant"}) {
        const Config c = boxes({"epochs=4", "warmup_steps=0", schedule});
        (void)said(c);
        SessionOptions options;
        options.resume = options.extend = true;
        Config more = c;
        more.set("epochs", "7", "test");
        const RunDirectory where = RunDirectory::existing(place_);
        where.write_text("args.yaml", more.to_yaml());
        const auto learner = make_learner(more);
        const auto ids = train(*learner, where, options).said;
        EXPECT_FALSE(ids.contains("D16") || ids.contains("D22")) << schedule << ": " << listed(ids);
        for (const auto& f : run_findings(where)) EXPECT_TRUE(f.id != "D16" && f.id != "D22") << schedule << f.message;
    }
}

}  // namespace
}  // namespace solobox
