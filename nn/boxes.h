// Boxes: the IoU family, written once, and what else is done with four numbers a row.
//
// Corners are (x1, y1, x2, y2); centres are (cx, cy, w, h). Unless said otherwise boxes are (.., 4).
#pragma once

#include <string>

#include "nn/losses.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

enum class BoxFormat { xyxy, xywh, cxcywh };
Var box_convert(const Var& boxes, BoxFormat from, BoxFormat to);
Var box_area(const Var& boxes);                                 // xyxy (N, 4) -> (N)
Var clip_boxes(const Var& boxes, double height, double width);  // xyxy
Var box_iou(const Var& a, const Var& b);                        // xyxy (N, 4), (M, 4) -> (N, M), no epsilon

enum class IouKind { iou, giou, diou, ciou };
IouKind iou_kind(const std::string& name);  // ConfigError listing the names

struct IouSpec {
    double eps = 1e-7;         // union + eps, diagonal^2 + eps
    double alpha_eps = 1e-7;   // CIoU: alpha = v / (1 - iou + v + alpha_eps)
    bool detach_alpha = true;  // the paper's rule: alpha is a constant in backward
};
// Row by row on corners (N, 4) -> (N). The intersection counts only where both overlaps are > 0; elsewhere it is 0 and
// sends no gradient. Where two corners coincide, min and max give each side half of the gradient (torchvision's rule).
//   GIoU = IoU - (C - union) / C        (Rezatofighi et al. 2019)
//   DIoU = IoU - rho^2 / c^2            (Zheng et al. 2020)
//   CIoU = DIoU - alpha v, v = 4/pi^2 (atan(w_t/h_t) - atan(w/h))^2; a height of 0 counts as 1e-30
Var iou_of_kind(IouKind kind, const Var& a, const Var& b, const IouSpec& spec = {});

// Kept indices by falling score; equal scores keep the input's order; a box goes when its IoU with a kept one is
// greater than the threshold.
IndexTensor nms(const Tensor& boxes, const Tensor& scores, double iou_threshold);
// nms within each class.
IndexTensor batched_nms(const Tensor& boxes, const Tensor& scores, const IndexTensor& classes, double iou_threshold);

struct Assignment {
    double cost = 0;
    std::vector<std::int64_t> rows, columns;  // rows ascending
};
// min(N, M) pairs of least total cost (Jonker-Volgenant, as in SciPy). cost (N, M), finite.
Assignment linear_sum_assignment(const Tensor& cost);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
