// What a task is: a few pure functions from a configuration. What it learns from, how pictures become what its network
// sees, the network, its loss, how its answers are read and measured. Everything else (loading, batches, parts,
// validation, checkpoints, tables, pages, the doctor) is the same for all of them: docs/adding_a_task.md.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/feed/batches.h"
#include "data/feed/split.h"
#include "nn/model.h"
#include "train/config/config.h"
#include "train/metrics/meter.h"
#include "train/report/report.h"
#include "train/run/facts.h"
#include "train/run/task_info.h"
#include "train/run/verdicts.h"
#include "train/step/diagnosis.h"
#include "train/step/stages.h"
#include "train/step/trainer.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// What a network says of a batch under one name: "" for the answer that counts, then exits, auxiliary heads.
struct Reading {
    std::string of;
    std::vector<Prediction> pictures;
};

// How far a network has the pictures of an overfit run by heart.
struct Learned {
    double score = 0;  // mean over the pictures, evaluation mode
    double worst = 0;  // of the picture that knows least (Measured::each)
    double loss = 0;   // evaluation mode, of the answer that counts
};

// When pictures are learned by heart, and what a kind of task does differently in the overfit job.
struct OverfitRules {
    struct Bar {
        double score = -1e300, worst = -1e300, loss = 1e300;
        bool reached(const Learned& l) const { return l.score >= score && l.worst >= worst && l.loss < loss; }
    };
    Bar enough, pass;           // to stop early; for the verdict
    bool needs_loss = false;    // the loss in evaluation mode counts, and is measured
    double start = 0;           // what a network that knows nothing has: the blind score, or a loss
    double gain = 0.02;         // a cycle must bring more than this, of the score
    double fall = 0;            // or leave less than this share of the loss (0: the score counts)
    bool shuffle_whole = true;  // when one batch holds all pictures, their order still changes from step to step
    std::vector<std::string> watched = {};  // of the step's watched numbers, those that go into results.csv
};

// The overfit job in words.
struct OverfitWords {
    std::string learned;   // "mean IoU 0.99 and smallest 0.98": what was reached
    std::string missing;   // "mean IoU 0.4 (needs 0.95), ...": what was not
    std::string short_of;  // for an interrupted run: "mean IoU 0.4"
    std::string scores;    // of the result, for the diagnosis: "mean IoU 0.41, smallest 0.2"
    std::string line;      // of the result, for the terminal
    std::string progress;  // while it trains: "mean IoU 0.4 (constant box 0.3)  min 0.1"
    std::string measure;   // what a cycle must raise: "mean IoU 0.41"
    std::vector<std::pair<std::string, std::string>> summary;  // of the page, before steps and seconds
    std::vector<std::pair<std::string, double>> numbers;       // of the JSON
};

class Task {
public:
    virtual ~Task() = default;

    virtual TaskInfo info() const = 0;
    virtual Need needs() const = 0;
    virtual Recipe recipe(bool training, std::int64_t epoch) const = 0;      // the last epochs may differ
    virtual std::unique_ptr<Model> make_model(const Split& data) const = 0;  // empty split: to predict, to export
    virtual Objective objective(const Answers& answers, std::span<const Labels> labels) const = 0;
    virtual std::vector<Reading> read(const Answers& answers) const = 0;
    // `blind`: of the pictures that are measured. of: a name that read() gives.
    virtual std::unique_ptr<Meter> meter(const Split& data, const std::vector<Blind>& blind,
                                         const std::string& of) const = 0;
    // Answers that never look at a picture, learned from the training pictures, and their scores on others; the best
    // one last.
    virtual std::vector<Blind> blind(const Split& data, const PictureStore& on) const = 0;
    // Of a random picture, for the doctor's probes.
    virtual Labels draw(Random& random, const Split& data) const = 0;
    // Of the model, from the configuration alone; ConfigError for what makes none. classes 0: as configured. By default
    // a model is built for it.
    virtual std::vector<LayerRow> layers(std::int64_t classes) const;

    // ---- with defaults
    virtual std::vector<std::string> readings() const { return {""}; }            // the names that read() gives
    virtual std::vector<Extent> sizes() const { return {recipe(true, 0).size}; }  // of training batches
    virtual LiftVerdict judge(double score, const std::vector<Blind>& blind, std::size_t pictures) const;
    virtual void check_data(const Split&) const {}  // DataError, ConfigError for what it cannot learn from
    virtual void check_plan(const BatchPlan&, std::int64_t /*parts*/) const {}  // ConfigError
    virtual void finish_batch(Batch&) const {}                                  // for planted faults
    virtual bool loss_is_a_sum() const { return false; }  // over the batch: parts add up as they are
    virtual std::int64_t validation_batch() const { return 16; }
    virtual bool validation_terms() const { return true; }    // columns val/<term> of every term of the loss
    virtual bool share_first() const { return true; }         // (share of pictures) x loss; else loss x pictures / all
    virtual double answer_loss(const LossValue& loss) const;  // without auxiliary terms
    virtual std::vector<std::string> class_names(const Split&) const { return {}; }  // that a run remembers
    // What trains from when on, at which rates, with how many pictures: see train/step/stages.h.
    virtual std::vector<Stage> stages(const Config& config, const std::vector<std::string>& heads) const {
        return configured_stages(config, heads);
    }
    // Of the optimizer, ahead of those that the configuration makes.
    virtual std::vector<GroupRule> groups() const { return {}; }
    // For people: lines about the data behind the first one, which says what was found.
    virtual std::string describe_data(const Split& data) const;
    virtual std::vector<std::string> about(const Split& data, const std::vector<Blind>& blind) const;
    virtual ReportPicture show(const Prediction& p, const Labels& truth, const Split& data) const;
    virtual bool draws() const { return needs() != Need::picture_class; }  // boxes or points onto a picture
    virtual std::string words(const Prediction& p, const Image& picture, const Split& data) const;
    virtual void add_json(nlohmann::ordered_json& row, const Prediction& p, const Image& picture,
                          const Split& data) const;
    // The network's raw answer as other tools want it: appends to the graph, ends it.
    virtual Graph finish_graph(GraphBuilder& graph, const std::string& answer) const;
    virtual std::string graph_says() const { return "the network's main answer"; }

    // ---- overfit
    // It learns pictures of training and validation, in the order of their paths; else training pictures alone, one of
    // each class in turn.
    virtual bool overfits_all_pictures() const { return true; }
    virtual OverfitRules overfit_rules(const Split& data, const std::vector<Blind>& blind) const;
    virtual OverfitWords overfit_words(const Learned& learned, const std::vector<Blind>& blind) const;
    virtual std::vector<std::pair<std::string, double>> overfit_columns(const Learned& learned,
                                                                        const std::vector<Blind>& blind) const;

    // ---- doctor
    virtual void tell(Model&, doctor::Facts&) const {}  // what only this task knows of its model
    // How the loss answers to each number that the network puts out; nothing where none is a target's.
    virtual std::optional<OutputSignal> signal(const Answers&, std::span<const Labels>) const { return std::nullopt; }
};

// A kind of task: its keys, and the task of a configuration, which must outlive it.
struct TaskKind {
    TaskKeys keys;
    std::function<std::unique_ptr<Task>(const Config&)> make;
};

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
