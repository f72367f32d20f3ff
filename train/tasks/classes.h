// One picture, one class: ResNets on ImageFolder and tiny-ImageNet trees, with top-1 and top-5 beside what an answer
// reaches that never looks.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nn/models/resnet.h"
#include "train/step/task.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

ResNetConfig class_model_config(const Config& config, std::int64_t classes);

// ConfigError when some part of some batch would be one picture whose last map is one pixel: a batch norm has nothing
// to average there, and the run would end at the end of its first epoch.
void check_parts(const std::vector<LayerRow>& layers, std::int64_t image, std::int64_t pictures, std::int64_t batch,
                 std::int64_t parts, bool drop_last);

struct ClassLossSpec {
    double label_smoothing = 0, aux_weight = 0;
    std::vector<std::string> aux = {};  // names of the auxiliary heads
    // Planted faults.
    bool unweighted = false;  // the total is the plain sum
    bool silent = false;      // a head without an output costs nothing, instead of being an error
};
ClassLossSpec class_loss_spec(const Config& config);

// Cross-entropy. With auxiliary heads the sum of theirs, weighted, is added, and there are terms: "ce", and one named
// as each head.
LossValue class_loss(const Answers& answers, const IndexTensor& target, const ClassLossSpec& spec);
// Top-1 and top-5 of a batch in %.
std::vector<std::pair<std::string, double>> class_accuracy(const Answers& answers, const IndexTensor& target);

class ClassTask : public Task {
public:
    explicit ClassTask(const Config& config);

    TaskInfo info() const override;
    Need needs() const override { return Need::picture_class; }
    Recipe recipe(bool training, std::int64_t epoch) const override;
    std::unique_ptr<Model> make_model(const Split& data) const override;
    Objective objective(const Answers& answers, std::span<const Labels> labels) const override;
    std::vector<Reading> read(const Answers& answers) const override;
    std::unique_ptr<Meter> meter(const Split& data, const std::vector<Blind>& blind,
                                 const std::string& of) const override;
    std::vector<Blind> blind(const Split& data, const PictureStore& on) const override;
    Labels draw(Random& random, const Split& data) const override;
    std::vector<LayerRow> layers(std::int64_t classes) const override;

    LiftVerdict judge(double score, const std::vector<Blind>& blind, std::size_t pictures) const override;
    void check_data(const Split& data) const override;
    void check_plan(const BatchPlan& plan, std::int64_t parts) const override;
    std::int64_t validation_batch() const override { return 32; }
    bool share_first() const override { return false; }
    double answer_loss(const LossValue& loss) const override;
    std::vector<std::string> class_names(const Split& data) const override { return data.classes; }
    std::string describe_data(const Split& data) const override;
    std::vector<std::string> about(const Split& data, const std::vector<Blind>& blind) const override;
    ReportPicture show(const Prediction& p, const Labels& truth, const Split& data) const override;
    std::string words(const Prediction& p, const Image& picture, const Split& data) const override;
    void add_json(nlohmann::ordered_json& row, const Prediction& p, const Image& picture,
                  const Split& data) const override;
    Graph finish_graph(GraphBuilder& graph, const std::string& answer) const override;
    std::string graph_says() const override { return "one score per class"; }

    bool overfits_all_pictures() const override { return false; }
    OverfitRules overfit_rules(const Split& data, const std::vector<Blind>& blind) const override;
    OverfitWords overfit_words(const Learned& learned, const std::vector<Blind>& blind) const override;
    std::vector<std::pair<std::string, double>> overfit_columns(const Learned& learned,
                                                                const std::vector<Blind>& blind) const override;
    void tell(Model& model, doctor::Facts& facts) const override;

private:
    const Config& config_;
    Recipe recipe_;
    ClassLossSpec loss_;
};

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
