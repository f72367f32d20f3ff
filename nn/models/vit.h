// A small vision transformer that classifies a picture and places boxes in it: the encoder of Dosovitskiy et al. ("An
// image is worth 16x16 words", ICLR 2021) with torchvision's names, and the detection tokens of YOLOS (Fang et al.,
// NeurIPS 2021). One output of each: no matching of boxes and truths happens here.
//
//   [class token, patches row by row, detection tokens] + positions -> pre-norm encoder layers -> norm -> two heads
#pragma once

#include <string>
#include <vector>

#include "nn/attention.h"
#include "nn/describe.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

struct VitDetConfig {
    std::string name = "vit_det";
    Pair image{224, 224};  // pixels; multiples of `patch`, the positions are learned for this size alone
    std::int64_t patch = 16;
    std::int64_t dim = 192, heads = 3, mlp = 768, layers = 12;
    std::int64_t det_tokens = 100, classes = 1000;
    double eps = 1e-6;  // of every norm

    std::int64_t patches() const { return image.h / patch * (image.w / patch); }
    std::int64_t tokens() const { return 1 + patches() + det_tokens; }
};

// From the configuration alone, in the order of execution. ConfigError naming the first value that makes no network.
std::vector<LayerRow> describe(const VitDetConfig& config);

struct VitDetOutput {
    Var classes;  // (N, classes) logits, from the class token
    Var boxes;    // (N, det_tokens, 4) raw, from the detection tokens
};

// torchvision's initialisation where it has the layer: patches normal(0, 1 / sqrt(fan in)), linears of the encoder
// Xavier uniform with biases normal(0, 1e-6), class token 0, positions and detection tokens normal(0, 0.02). The heads
// start as every Linear does.
class VitDet {
public:
    VitDet(const VitDetConfig& config, std::uint64_t seed);

    // images (N, H, W, 3), H and W those of the configuration
    VitDetOutput operator()(const Var& images);
    void visit(Visitor& v);

    const VitDetConfig& config() const { return config_; }

private:
    struct EncoderLayer {
        LayerNorm ln_1, ln_2;
        MultiheadAttention attention;
        Linear up, down;  // mlp.0, GELU, mlp.3
        Var operator()(const Var& x);
        void visit(Visitor& v);
    };
    VitDetConfig config_;
    Parameter class_token_;    // (1, 1, dim)
    Parameter det_tokens_;     // (1, det_tokens, dim)
    Parameter pos_embedding_;  // (1, tokens, dim)
    Conv2d patches_;           // conv_proj
    std::vector<EncoderLayer> layers_;
    LayerNorm norm_;        // encoder.ln
    Linear class_head_[2];  // head_cls.0 GELU .2
    Linear box_head_[3];    // head_box.0 ReLU .2 ReLU .4
};

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
