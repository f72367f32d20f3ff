// The classifier of whole pictures as a task of the training loop: ResNets on ImageFolder and tiny-ImageNet trees, with
// top-1 and top-5 beside what an answer reaches that never looks.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "data/feed/class_pictures.h"
#include "nn/models/resnet.h"
#include "train/config/config.h"
#include "train/step/task.h"
#include "train/tasks/class_loss.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// Training and validation pictures of a configuration's `data`, each with the class of the whole picture.
struct ClassData {
    std::shared_ptr<const PictureStore> train, val;
    std::vector<std::string> names;  // of the classes
    std::string source;              // "tiny-imagenet data set /data/tiny"
    std::vector<std::string> notes;  // what was skipped, converted or counted
    std::int64_t common = 0;         // the commonest training class
    double common_share = 0;         // validation accuracy in % of always answering the commonest training class
};
// DataError when a class has no picture in one of the parts or the set has no classes; ConfigError without `data` or
// when `classes` is another number than the set's.
ClassData load_class_data(const Config& config);

ResNetConfig class_model_config(const Config& config, std::int64_t classes);
ClassPictureSpec class_picture_spec(const Config& config);

// ConfigError when some part of some batch would be one picture whose last map is one pixel: a batch norm has nothing
// to average there, and the run would end at the end of its first epoch.
void check_parts(const ResNetConfig& model, std::int64_t pictures, std::int64_t batch, std::int64_t parts,
                 bool drop_last);

struct ClassScores {
    std::vector<std::int64_t> truth, answer, rank;      // per picture; rank 0: the label came first
    std::vector<double> right, sure;                    // probability of the label, of the answer
    double loss = 0, acc1 = 0, acc5 = 0;                // acc in %
    std::vector<std::pair<std::string, double>> terms;  // of the loss: with auxiliary heads "ce" and theirs
};

class ClassTask : public Task {
public:
    ClassTask(const Config& config, const ClassData& data);

    void visit(Visitor& v) override { model_.visit(v); }
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
    std::pair<std::size_t, std::size_t> pictures() const override { return {data_.train->size(), data_.val->size()}; }

    std::vector<std::string> introduction() const override;
    std::string score_name() const override { return "acc1"; }
    std::vector<std::pair<std::string, double>> baselines() const override;
    LiftVerdict judge(double score) const override;
    Exhibit exhibit() override;
    std::string head() const override { return "fc."; }
    std::vector<std::string> class_names() const override { return data_.names; }

    // The model on a whole set. Nothing when `stop` says so.
    std::optional<ClassScores> measure(const PictureStore& store, const std::function<bool()>& stop);
    // Class probabilities (N, classes) of pictures as the validation sees them: set_training(task, false) before.
    Tensor probabilities(const Tensor& images);

    ResNet& model() { return model_; }
    const ClassData& data() const { return data_; }
    const ClassPictureSpec& picture_spec() const { return pictures_; }

private:
    std::int64_t classes() const { return model_.config().classes; }
    const Config& config_;
    ClassData data_;
    ClassPictureSpec pictures_;
    BatchPlan plan_;
    ResNet model_;
    ClassLossSpec loss_;
    std::size_t chunk_ = 32;  // pictures a forward pass in validation
};

// Pictures of a set with truth and answer, worst first or in their order; thumbnails of at most 320 pixels.
std::vector<ReportPicture> shown_classes(const PictureStore& store, const ClassScores& scores,
                                         const std::vector<std::string>& names, std::size_t most, bool worst_first);

// Confusions and per-class figures as tables of a report.
std::vector<ReportTable> class_tables(const ClassScores& scores, const std::vector<std::string>& names);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
