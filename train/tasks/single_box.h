// One picture, one box: the single-box regressor, its loss, its IoU beside boxes that never look at a picture.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nn/box_loss.h"
#include "nn/models/single_box.h"
#include "train/step/task.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

SingleBoxConfig model_config(const Config& config);
DecodeSpec decode_spec(const Config& config);
BoxLossSpec loss_spec(const Config& config);

// The model with its head set up as the configuration says; the training boxes serve head_bias=prior and the mean map
// with which an occupancy head starts. classes: of the auxiliary head for class_weight; 0, as for prediction: none.
std::unique_ptr<SingleBox> make_single_box(const Config& config, const std::vector<UnitBox>& boxes,
                                           std::int64_t classes = 0);

Tensor box_tensor(const std::vector<UnitBox>& boxes, std::size_t first, std::size_t count);  // (count, 4)

class SingleBoxTask : public Task {
public:
    explicit SingleBoxTask(const Config& config);

    TaskInfo info() const override;
    Need needs() const override { return Need::box; }
    Recipe recipe(bool training, std::int64_t epoch) const override;
    std::vector<Extent> sizes() const override;
    std::unique_ptr<Model> make_model(const Split& data) const override;
    Objective objective(const Answers& answers, std::span<const Labels> labels) const override;
    std::vector<Reading> read(const Answers& answers) const override;
    std::unique_ptr<Meter> meter(const Split& data, const std::vector<Blind>& blind,
                                 const std::string& of) const override;
    std::vector<Blind> blind(const Split& data, const PictureStore& on) const override;
    Labels draw(Random& random, const Split& data) const override;
    std::vector<LayerRow> layers(std::int64_t classes) const override;

    LiftVerdict judge(double score, const std::vector<Blind>& blind, std::size_t pictures) const override;
    void finish_batch(Batch& batch) const override;
    bool loss_is_a_sum() const override { return loss_.reduction == Reduction::sum; }
    bool validation_terms() const override { return false; }
    std::vector<std::string> about(const Split& data, const std::vector<Blind>& blind) const override;
    std::string words(const Prediction& p, const Image& picture, const Split& data) const override;
    void add_json(nlohmann::ordered_json& row, const Prediction& p, const Image& picture,
                  const Split& data) const override;
    Graph finish_graph(GraphBuilder& graph, const std::string& answer) const override;
    std::string graph_says() const override { return "cx, cy, w, h as fractions of the picture"; }

    OverfitRules overfit_rules(const Split& data, const std::vector<Blind>& blind) const override;
    OverfitWords overfit_words(const Learned& learned, const std::vector<Blind>& blind) const override;

    void tell(Model& model, doctor::Facts& facts) const override;
    std::optional<OutputSignal> signal(const Answers& answers, std::span<const Labels> labels) const override;

private:
    const Config& config_;
    DecodeSpec decode_;
    BoxLossSpec loss_;
    double class_weight_ = 0;
    Recipe recipe_;
};

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
