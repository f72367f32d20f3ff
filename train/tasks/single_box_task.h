// The single-box regressor as a task of the training loop: its data sets, its loss, its IoU beside the baselines that
// never look at a picture.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "data/feed/batches.h"
#include "data/sets/dataset.h"
#include "nn/models/single_box.h"
#include "train/config/config.h"
#include "train/step/task.h"
#include "train/tasks/single_box_setup.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// Training and validation pictures of a configuration's `data`.
struct SingleBoxData {
    std::shared_ptr<const PictureStore> train, val;
    std::string source;                     // "voc data set /data/raccoon"
    std::vector<std::string> notes;         // what was skipped, converted or counted
    UnitBox mean, constant;                 // of the training boxes: their mean, the best constant box
    double mean_iou = 0, constant_iou = 0;  // what these reach on the validation set
    std::int64_t classes = 0;               // of the objects
};
// DataError when a part has no usable picture; ConfigError without `data`.
SingleBoxData load_single_box_data(const Config& config);

// How good predictions are, number by number.
struct BoxScores {
    std::vector<double> ious;
    std::vector<UnitBox> predictions;
    double mean = 0, median = 0, share50 = 0;  // share50: of IoUs >= 0.5
    std::array<double, 4> predicted_mean{}, predicted_deviation{}, truth_mean{}, truth_deviation{};  // cx, cy, w, h
};

// Pictures of a set with truth and prediction, worst first or in their order; thumbnails of at most 320 pixels.
std::vector<ReportPicture> shown_pictures(const PictureStore& store, const BoxScores& scores, std::size_t most,
                                          bool worst_first);

class SingleBoxTask : public Task {
public:
    SingleBoxTask(const Config& config, const SingleBoxData& data);

    void visit(Visitor& v) override { model_->visit(v); }
    std::int64_t batches_per_epoch() const override { return plan_.per_epoch(); }
    std::string data_fingerprint() const override;
    std::unique_ptr<TaskBatch> make_batch(std::int64_t epoch, std::int64_t b) const override;
    std::string names(const TaskBatch& batch) const override;
    std::int64_t size(const TaskBatch& batch) const override;
    std::vector<BatchPart> losses(const TaskBatch& batch, std::int64_t parts, const RandomKey& dropout) override;
    std::vector<std::string> columns() const override;
    std::optional<Evaluation> validate(const std::function<bool()>& stop) override;
    void set_validation_batch(std::int64_t pictures) override {
        chunk_ = static_cast<std::size_t>(std::max<std::int64_t>(pictures, 1));
    }

    ModelOutputs outputs(const Var& images, const RandomKey& dropout) override;
    LossValue loss_of(const ModelOutputs& outputs, std::uint64_t seed) override;
    Tensor decoded(const Tensor& raw) override;
    std::optional<double> blocked_outputs(std::uint64_t seed) override;
    std::int64_t bad_targets(const TaskBatch& batch) const override;
    std::pair<std::size_t, std::size_t> pictures() const override { return {data_.train->size(), data_.val->size()}; }

    std::vector<std::string> introduction() const override;
    std::string score_name() const override { return "iou"; }
    std::vector<std::pair<std::string, double>> baselines() const override {
        return {{"mean_box_iou", data_.mean_iou}, {"constant_box_iou", data_.constant_iou}};
    }
    LiftVerdict judge(double score) const override { return judge_lift(score, data_.constant_iou); }
    Exhibit exhibit() override;

    // Boxes for pictures of one size (N, S, S, 3), of the model as it stands: set_training(task, false) before.
    std::vector<UnitBox> predict(const Tensor& images);
    // The model on a whole set; loss terms added up into `loss` when given. Nothing when `stop` says so.
    std::optional<BoxScores> measure(const PictureStore& store, const std::function<bool()>& stop,
                                     std::vector<std::pair<std::string, double>>* loss = nullptr);

    static const PictureBatch& pictures_of(const TaskBatch& batch);  // what make_batch made
    SingleBox& model() { return *model_; }
    const SingleBoxData& data() const { return data_; }

private:
    const Config& config_;
    SingleBoxData data_;
    // Of the box, and of the object's class where an auxiliary head names it: targets (n, 4) and (n).
    LossValue loss_on(const SingleBoxOutputs& out, const Tensor& boxes, const IndexTensor& classes) const;

    DecodeSpec decode_;
    BoxLossSpec loss_;
    double class_weight_ = 0;
    AugmentSpec augment_;
    BatchPlan plan_;
    std::unique_ptr<SingleBox> model_;
    std::size_t chunk_ = 16;  // pictures a forward pass in validation
};

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
