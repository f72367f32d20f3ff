// One picture in, one box out: a convolutional trunk and two linears (the toy of the seeds, and its small sister).
// What the numbers of the last linear mean is not its business: nn/box_loss.h makes a box of them.
//
//   tiny   five [conv 3x3, norm, LeakyReLU 0.1, maxpool 2x2], 16 .. 256 channels, 128 px
//   toy    the 24 convolutions of YOLOv1 (Redmon et al. 2016), LeakyReLU 0.1, 448 px, any width
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "nn/blocks.h"
#include "nn/model.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// One row of the trunk's table: a convolution with what follows it, or a 2x2 max pool.
struct TrunkRow {
    std::int64_t out = 0, kernel = 3, stride = 1;
    bool pool = false;
};

struct SingleBoxConfig {
    std::string name;
    std::vector<TrunkRow> trunk;
    // PyTorch's names count every module (feat.4.weight), or one entry a row (feat.2.0.weight).
    bool nested_names = false;
    Pair image{128, 128};  // pixels; other sizes are pooled to the same map before the linears
    std::int64_t hidden = 256;
    std::int64_t outputs = 4;  // numbers that the last linear puts out
    std::int64_t classes = 0;  // of an auxiliary head that classifies the object, in training only; 0: none
    NormKind norm = NormKind::group;
    std::int64_t groups = 8;  // of GroupNorm; where they do not divide the channels, the greatest common divisor
    double dropout = 0;       // after the first linear
    double slope = 0.1;       // LeakyReLU
    bool recompute = false;   // convolutions in front of a pool are computed anew in backward: less memory, more time
};
SingleBoxConfig tiny_config();
SingleBoxConfig toy_config(double width_mult = 1);

// From the configuration alone: a model of a billion parameters is described without being built.
std::vector<LayerRow> describe(const SingleBoxConfig& config);

class SingleBox : public Model {
public:
    SingleBox(const SingleBoxConfig& config, std::uint64_t seed);

    // images (N, H, W, 3) in [0, 1] -> raw outputs (N, outputs). `key` feeds dropout.
    Var operator()(const Var& images, const RandomKey& key = {});
    // "raw" (N, outputs), and what the auxiliary head says of the features in front of the last linear: "aux_class" (N,
    // classes).
    Answers answers(const Var& images, const RandomKey& key) override;
    void visit(Visitor& v) override;
    std::vector<LayerRow> layers() const override { return describe(config_); }
    std::vector<std::string> heads() const override { return {"fc.", "aux_"}; }
    // Batch norms go into their convolutions, weights keep their packed form. Error for whoever trains, saves or
    // exports it later.
    void freeze() override;
    // Pictures of the configured size.
    std::string append_to(GraphBuilder& graph) const override;

    const SingleBoxConfig& config() const { return config_; }
    Linear& head() { return head_.linear; }
    Linear& hidden() { return hidden_.linear; }
    void set_head_bias(const std::vector<double>& bias);  // `outputs` numbers
    void set_head_normal(double deviation, std::uint64_t seed);

    // What happens to the feature map on its way to the linears; empty: nothing. For experiments and planted faults.
    std::function<Var(const Var&)> between_trunk_and_head;

private:
    Var features(const Var& images, const RandomKey& key);  // (N, hidden), what the last linears read

    SingleBoxConfig config_;
    Sequence trunk_;
    FlattenBlock flatten_;
    LinearBlock hidden_, head_, aux_class_;  // aux_class_: without a value where there are no classes
    bool training_ = true, frozen_ = false;
};

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
