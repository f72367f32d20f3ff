// A task at work: its model, its pictures, and what follows from its few functions for whoever trains, measures or
// examines it. The same for every task.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "train/step/task.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

struct Evaluation {
    std::vector<std::pair<std::string, double>> columns;  // of results.csv, in the order of Learner::columns()
    double score = 0;                                     // what "best" means; higher is better
    double loss = 0, answer_loss = 0;                     // answer_loss: without auxiliary terms
    std::string text;                                     // for the line of the epoch
};

// A network on a whole set of pictures.
struct Measurement {
    Evaluation evaluation;
    Measured measured;                    // of the answer that counts
    std::shared_ptr<const Meter> meter;   // that made it
    std::vector<Prediction> predictions;  // picture by picture
    std::vector<Blind> blind;             // on these pictures
};

class Learner {
public:
    // The configuration must outlive it.
    Learner(const Config& config, std::unique_ptr<const Task> task, Split data);
    virtual ~Learner() = default;
    Learner(const Learner&) = delete;
    Learner& operator=(const Learner&) = delete;

    const Config& config() const { return config_; }
    const Task& task() const { return *task_; }
    const Split& data() const { return data_; }
    Model& model() { return *model_; }
    void visit(Visitor& v) { model_->visit(v); }

    const Stages& stages() const { return stages_; }
    std::int64_t batches_per_epoch() const { return plan_.per_epoch(); }  // with the configured batch
    std::string data_fingerprint() const;
    // Batch b of an epoch, both from 0: a pure function, called by worker threads.
    Batch make_batch(std::int64_t epoch, std::int64_t b) const;
    std::string names(const Batch& batch) const;  // of its pictures, for messages
    // The batch in up to `parts` parts of nearly equal size (gradient accumulation), the last ones maybe empty.
    virtual std::vector<BatchPart> losses(const Batch& batch, std::int64_t parts, const RandomKey& dropout);
    Objective objective(const Batch& batch, std::size_t first, std::size_t count, const RandomKey& dropout);

    // The columns that validate() fills, known before it runs.
    std::vector<std::string> columns() const;
    // Measures the model as it stands, in evaluation mode, on the validation pictures. Gives up (nothing) when `stop`
    // says so. NonFiniteError when the network puts out NaN.
    virtual std::optional<Evaluation> validate(const std::function<bool()>& stop);
    std::optional<Measurement> measure(const PictureStore& store, const std::function<bool()>& stop);
    // One picture of any size, as validation sees it.
    Prediction predict(const Image& picture);
    void set_validation_batch(std::int64_t pictures) {
        chunk_ = static_cast<std::size_t>(std::max<std::int64_t>(pictures, 1));
    }

    const std::vector<Blind>& blind() const { return blind_; }  // on the validation pictures
    std::vector<std::string> introduction() const;              // of the data, in a few lines
    // What a score on so many pictures says; of fewer than eight only that they are too few.
    LiftVerdict judge(double score, const std::vector<Blind>& blind, std::size_t pictures) const;
    LiftVerdict judge(double score) const;  // of validation; none when those are training pictures
    std::vector<std::string> class_names() const { return task_->class_names(data_); }

private:
    BatchPlan plan_of(const Stage& stage) const;

    const Config& config_;
    std::unique_ptr<const Task> task_;
    Split data_;
    BatchPlan plan_;
    std::unique_ptr<Model> model_;
    Stages stages_;
    std::vector<Blind> blind_;
    std::vector<std::string> terms_;  // of the loss, for the columns of validation
    std::size_t chunk_;
};

// Pictures of a set with truth and prediction, worst first or in their order; thumbnails of at most 320 pixels.
std::vector<ReportPicture> shown_pictures(const Learner& learner, const PictureStore& store, const Measurement& m,
                                          std::size_t most, bool worst_first);

// Targets of the batch that no loss can use: boxes without area, outside the picture, not finite.
std::int64_t bad_targets(const Batch& batch);

// Some pictures of a batch as the network takes them, (count, height, width, 3).
Tensor images_of(const Batch& batch, std::size_t first, std::size_t count);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
