// From the raw output of a single-box head to a box, and from boxes to a loss. Boxes are (N, 4): cx, cy, w, h as
// fractions of the picture. Losses see unclamped boxes; metrics see metric_boxes().
#pragma once

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "nn/boxes.h"
#include "nn/graph.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

enum class Decode {
    identity,          // t as it is: nothing squashes the output (a fault of the checklist report)
    sigmoid,           // sigma(t) for all four
    sigmoid_softplus,  // xy sigma(t), wh ln(1 + e^t) + 1e-6
    sigmoid_exp,       // xy sigma(t), wh prior * e^t
    log_wh,            // xy sigma(t), wh e^t; its loss compares t with ln(target + 1e-6)
    occupancy          // t are the logits of a map of what the box covers (nn/occupancy.h), the box its moments
};
Decode decode_of(const std::string& name);  // ConfigError listing the names
const char* name_of(Decode decode);

struct DecodeSpec {
    Decode decode = Decode::sigmoid;
    double prior_w = 0.25, prior_h = 0.35;  // sigmoid_exp
    // Clamps to [0, 1] before the loss sees the box: blocks every gradient outside. Only to reproduce the fault.
    bool clamp_before_loss = false;
    std::int64_t cells = 16;  // occupancy: along each side of the map

    std::int64_t outputs() const { return decode == Decode::occupancy ? cells * cells : 4; }  // numbers a picture
};
// raw (N, spec.outputs()) -> (N, 4)
Var decode_boxes(const Var& raw, const DecodeSpec& spec);
// The same at the end of a graph.
std::string decode_boxes(GraphBuilder& graph, const std::string& raw, const DecodeSpec& spec);
// The decoded box with the limits that metrics put on it: no negative or vanishing sides.
Tensor metric_boxes(const Tensor& raw, const DecodeSpec& spec);

// What each raw number says and what it should say, in the same units (N, spec.outputs()): the coordinates of a box,
// or the cells of its map.
Tensor output_values(const Tensor& raw, const DecodeSpec& spec);
Tensor output_targets(const Tensor& boxes, const DecodeSpec& spec);

// What a head should say before it has learned anything: the biases that decode to a box in the middle.
enum class HeadBias { zero, logit, log, prior };  // 0; (0,0,-1.386,-1.386); (0,0,-1.609,-1.609); decodes to prior_box
std::array<double, 4> head_bias(HeadBias preset, const std::array<double, 4>& prior_box, const DecodeSpec& decode);

enum class BoxLoss { box, mse, l1, smooth_l1, yolo_bbox, log_wh, iou, giou, diou, ciou, occupancy };
BoxLoss box_loss_of(const std::string& name);
const char* name_of(BoxLoss loss);

struct BoxLossSpec {
    BoxLoss loss = BoxLoss::box;
    double lambda_coord = 5, lambda_wh = 5, lambda_iou = 3;
    double lambda_bce = 1;        // occupancy: of the map
    IouKind iou = IouKind::ciou;  // of the terms 1 - IoU in `box`, `yolo_bbox` and `occupancy`
    bool detach_alpha = true;
    double eps = 1e-7;
    Reduction reduction = Reduction::mean;  // over the batch: mean or sum
    bool unweighted = false;                // planted fault: the total is the plain sum of the terms
};

// raw (N, decode.outputs()), target (N, 4). The loss `occupancy` goes with the decode of that name and no other.
LossValue box_loss(const Var& raw, const Tensor& target, const DecodeSpec& decode, const BoxLossSpec& spec);

// YOLOv1 (Redmon et al. 2016), several cells. prediction (N, S, S, 5 B + C): B boxes (x, y in the cell, w, h, conf),
// then C class scores. Truths as fractions of the picture.
struct CellTruth {
    std::int64_t image, class_id;
    double cx, cy, w, h;
};
struct YoloV1Spec {
    std::int64_t boxes = 2, classes = 20;
    double lambda_coord = 5, lambda_noobj = 0.5, eps = 1e-6;
};
LossValue yolo_v1_loss(const Var& prediction, const std::vector<CellTruth>& truths, const YoloV1Spec& spec);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
