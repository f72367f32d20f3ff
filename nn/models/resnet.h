// Residual networks (He et al., "Deep residual learning for image recognition", CVPR 2016) in torchvision's form:
// names, shapes and the place of the stride (in the 3x3 of a bottleneck, "v1.5") are its own, so weights can be
// exchanged.
//
//   conv1 7x7/2, bn1, ReLU, maxpool 3x3/2 -> layer1 .. layer4, strides 1, 2, 2, 2 -> global average -> fc
//   basic        3x3, 3x3                 (resnet18, resnet34)
//   bottleneck   1x1, 3x3, 1x1 to 4x      (resnet50)
#pragma once

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "nn/blocks.h"
#include "nn/model.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

enum class ResidualBlockKind { basic, bottleneck };

struct ResNetConfig {
    std::string name;
    ResidualBlockKind block = ResidualBlockKind::basic;
    std::array<std::int64_t, 4> layers{2, 2, 2, 2};  // blocks per stage
    std::int64_t classes = 1000;
    std::int64_t planes = 64;           // of layer1; each later stage has twice as many
    std::int64_t groups = 1;            // of the 3x3 of a bottleneck (Xie et al. 2017); basic blocks know only 1 and 64
    std::int64_t width_per_group = 64;  // that 3x3 has int(planes * width_per_group / 64) * groups channels
    std::int64_t image = 224;           // pixels, for describe(); the network itself takes any size
    bool small_stem = false;            // 3x3/1 and no maxpool, for pictures of 32 or 64 pixels
    bool recompute = false;             // the widest maps are computed anew in backward: less memory, some more time
    bool zero_init_residual = false;    // the last norm of each block starts at 0: every block starts as its shortcut
    std::int64_t aux_heads = 0;         // that classify earlier stages: 1 behind layer3, 2 behind layer2 and layer3
    // Planted faults.
    bool detach_trunk = false;  // no gradient behind the heads
    bool detach_aux = false;    // auxiliary heads read a constant
    bool silent_aux = false;    // auxiliary heads say nothing in evaluation
    bool shift_aux = false;     // auxiliary heads read the stage in front of theirs
};
// "resnet18", "resnet34" or "resnet50"; ConfigError listing the names.
ResNetConfig resnet_config(const std::string& name, std::int64_t classes = 1000);

// From the configuration alone, in the order of execution; the shortcut of a block comes behind its path, auxiliary
// heads at the end. ConfigError naming the first value that makes no network.
std::vector<LayerRow> describe(const ResNetConfig& config);

// torchvision's initialisation: convolutions normal(0, sqrt(2 / (k k out))) (He et al. 2015, fan-out), norms 1 and 0,
// the linear uniform in +-1 / sqrt(in).
class ResNet : public Model {
public:
    ResNet(const ResNetConfig& config, std::uint64_t seed);

    // images (N, H, W, 3) -> logits (N, classes)
    Var operator()(const Var& images) { return forward(images, nullptr); }
    // "logits", and what the auxiliary heads (deep supervision, Lee et al. 2015) say of earlier stages, in training and
    // in evaluation: in the order of their stages, under the names of their parameters, "aux_layer2", "aux_layer3".
    Answers answers(const Var& images, const RandomKey& key) override;
    void visit(Visitor& v) override;
    std::vector<LayerRow> layers() const override { return describe(config_); }
    std::vector<std::string> heads() const override { return {"fc.", "aux_"}; }
    std::vector<std::string> fresh_heads() const override { return {"fc."}; }
    // As SingleBox::freeze(). Auxiliary heads are gone then.
    void freeze() override;
    // The logits; without auxiliary heads.
    std::string append_to(GraphBuilder& graph) const override;

    const ResNetConfig& config() const { return config_; }
    Linear& head() { return fc_.linear; }
    std::vector<std::string> aux_names() const;

private:
    // Global average pool, flatten, linear.
    struct AuxHead {
        std::string name, behind;  // behind: the block whose output it reads
        Linear linear;
    };
    Var forward(const Var& images, std::vector<std::pair<std::string, Var>>* aux);
    ResNetConfig config_;
    bool frozen_ = false;
    bool training_ = true;
    Sequence stem_;
    std::vector<ResidualBlock> blocks_;
    GlobalAverageBlock pool_{"avgpool"};
    LinearBlock fc_;
    std::vector<AuxHead> aux_;
};

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
