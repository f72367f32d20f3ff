// How good predictions are: overlaps, accuracies, confusion, curves, average precision. Plain vectors in, plain numbers
// out, double precision, compiled once. No tensors, no tape, no printing; nothing here is ever a loss.
//
// 0/0 counts as 0 unless stated otherwise. A number that is not finite is an error (ShapeError), never a good score.
#pragma once

#include <cstdint>
#include <vector>

#include "data/baseline.h"
#include "data/types.h"

namespace solobox::metrics {

double mean(const std::vector<double>& values);  // 0 for none
double median(std::vector<double> values);       // mean of the two middle values; 0 for none

// ---- Boxes. Constant predictors (mean, median, best constant box) are in data/baseline.h.
Object corners(const UnitBox& box);                // as fractions, not clamped
double box_iou(const Object& a, const Object& b);  // no epsilon; 0 when the union is empty
std::vector<double> box_ious(const UnitBox& box, const std::vector<UnitBox>& truth);  // unclamped

// Corners clamped to [low, high], inter / (union + eps), the result clamped to [0, 1].
struct UnitIouSpec {
    double low = 0, high = 1, eps = 1e-7;
};
double unit_box_iou(const UnitBox& a, const UnitBox& b, const UnitIouSpec& spec = {});

// ---- Classification
// Number of classes ahead of the label: a larger score, or an equal one and a lower index. scores (N, classes), flat.
std::vector<std::int64_t> label_ranks(const std::vector<double>& scores, std::int64_t classes,
                                      const std::vector<std::int64_t>& labels);
// Share of ranks < min(k, classes).
double top_k_accuracy(const std::vector<std::int64_t>& ranks, std::int64_t k, std::int64_t classes);

struct Prf {
    double precision = 0, recall = 0, f1 = 0;  // f1 = 2 P R / (P + R)
};
Prf prf(std::int64_t true_positives, std::int64_t predicted, std::int64_t actual);

class Confusion {
public:
    explicit Confusion(std::int64_t classes);
    void add(std::int64_t truth, std::int64_t predicted);  // ShapeError outside 0 .. classes - 1

    std::int64_t classes() const { return classes_; }
    const std::vector<std::int64_t>& matrix() const { return matrix_; }  // (truth, prediction), flat
    std::vector<std::int64_t> support() const;                           // samples of each class
    std::vector<Prf> per_class() const;
    double accuracy() const;
    Prf macro() const;     // mean over all classes, also those without samples
    Prf weighted() const;  // by support

private:
    std::int64_t at(std::int64_t truth, std::int64_t predicted) const {
        return matrix_[static_cast<std::size_t>(truth * classes_ + predicted)];
    }
    std::int64_t classes_;
    std::vector<std::int64_t> matrix_;
};

// One point per distinct score, descending: predicted positive when score >= threshold.
struct PrCurve {
    std::vector<double> thresholds, precision, recall, f1;
    double average_precision = 0;            // sum (R_k - R_{k-1}) P_k
    double best_threshold = 0, best_f1 = 0;  // the first maximum
};
PrCurve pr_curve(const std::vector<double>& scores, const std::vector<bool>& positive);

// ---- Detection (COCO's rules: Lin et al. 2014, pycocotools; crowds and area ranges left out)
struct Truth {
    std::int64_t image = 0;
    Object object;  // class_id and corners in pixels
};
struct Detection {
    std::int64_t image = 0;
    Object object;
    double score = 0;
};
std::vector<double> coco_thresholds();  // 0.50, 0.55, .. 0.95
struct ApSpec {
    std::vector<double> iou_thresholds = coco_thresholds();
    std::int64_t max_det = 100;  // per image and class, best scores first; the rest is neither right nor wrong
    std::int64_t recall_points = 101;
};
inline constexpr int confidence_points = 101;  // score >= i / 100

// C classes, T thresholds, R recall points, N detections in the order given; all flat, row-major.
struct DetectionAp {
    std::vector<double> iou_thresholds;
    std::int64_t recall_points = 0;
    std::vector<std::int64_t> truths;         // (C)
    std::vector<std::uint8_t> tp, fp;         // (N, T)
    std::vector<std::int64_t> matched;        // (N, T) index of the truth, -1 for none
    std::vector<double> ap, recall_max;       // (C, T); -1 for a class without truth
    std::vector<double> precision_at_recall;  // (C, T, R); 0 for a class without truth
    std::vector<Prf> at_confidence;           // (C, 101), at the first threshold, from the flags above

    double mean_ap(double iou) const;  // over the classes with truth, 0 without any; ShapeError for another threshold
    double mean_ap() const;            // the same over all thresholds
    std::size_t threshold(double iou) const;  // its place among iou_thresholds
};
// Rank: score descending, image, position. At each threshold, in rank order, a detection takes the unmatched truth of
// its image and class with the highest IoU >= threshold (the first of equal ones).
DetectionAp detection_ap(const std::vector<Detection>& detections, const std::vector<Truth>& truths,
                         std::int64_t classes, const ApSpec& spec = {});

// ---- Masks
struct Overlap {
    double dice = 0, iou = 0;
};
// Pixels set in both, in a, in b. `both_empty` is what two empty masks score.
Overlap mask_overlap(std::int64_t both, std::int64_t a, std::int64_t b, double both_empty = 1);
struct MaskOverlaps {
    std::vector<Overlap> each;
    Overlap mean, global;  // over masks; over all pixels
};
MaskOverlaps mask_overlaps(const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b, std::int64_t masks,
                           double both_empty = 1);

// Probabilities against masks: I = sum p g. Dice (2 I + s) / (P + G + s), IoU (I + s) / (P + G - I + s).
struct SoftOverlaps {
    std::vector<Overlap> each;
    std::vector<double> mae_each;
    double mae = 0, rmse = 0;  // over all elements
};
SoftOverlaps soft_overlaps(const std::vector<double>& p, const std::vector<double>& g, std::int64_t samples,
                           double smooth = 1);

}  // namespace solobox::metrics
