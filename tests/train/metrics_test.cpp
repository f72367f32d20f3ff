// Metrics: cases small enough to be worked out by hand, and what each must not be fooled by.
#include "train/metrics/metrics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tensor/check.h"

namespace solobox::metrics {
namespace {

using Doubles = std::vector<double>;

// ---- Boxes

TEST(DataMetrics, BoxIouByHand) {
    const Object a{0, 0, 0, 2, 2};
    EXPECT_DOUBLE_EQ(box_iou(a, a), 1);
    EXPECT_DOUBLE_EQ(box_iou(a, {0, 1, 0, 3, 2}), 1.0 / 3);
    EXPECT_DOUBLE_EQ(box_iou(a, {0, 2, 0, 3, 2}), 0);  // touching
    EXPECT_DOUBLE_EQ(box_iou(a, {0, 0.5, 0.5, 1.5, 1.5}), 0.25);
    EXPECT_DOUBLE_EQ(box_iou({0, 1, 1, 1, 1}, {0, 1, 1, 1, 1}), 0);  // no area, no score
    EXPECT_EQ(box_iou(a, {0, std::nan(""), 0, 1, 1}), 0);
}

TEST(DataMetrics, UnitBoxIouClampsAndHasItsEpsilon) {
    const UnitBox whole{0.5, 0.5, 1, 1}, over{0.5, 0.5, 3, 3};
    EXPECT_DOUBLE_EQ(unit_box_iou(whole, over), 1 / (1 + 1e-7));
    EXPECT_DOUBLE_EQ(unit_box_iou(whole, {0.25, 0.5, 0.5, 1}), 0.5 / (1 + 1e-7));
    EXPECT_DOUBLE_EQ(unit_box_iou(whole, {2, 2, 0.1, 0.1}), 0);
    EXPECT_LE(unit_box_iou(whole, {0.5, 0.5, -1, -1}), 1);
    EXPECT_THROW(unit_box_iou(whole, {std::nan(""), 0.5, 1, 1}), ShapeError);
}

TEST(DataMetrics, MeanAndMedian) {
    EXPECT_DOUBLE_EQ(median({3, 1, 2}), 2);
    EXPECT_DOUBLE_EQ(median({4, 1, 2, 3}), 2.5);
    EXPECT_DOUBLE_EQ(mean({1, 2, 6}), 3);
    EXPECT_EQ(mean({}), 0);
    EXPECT_EQ(median({}), 0);
}

TEST(DataMetrics, ConstantBoxAgainstTruth) {
    const Doubles ious = box_ious({0.5, 0.5, 1, 1}, {{0.5, 0.5, 1, 1}, {0.5, 0.5, 0.5, 0.5}, {1, 0.5, 1, 1}});
    EXPECT_DOUBLE_EQ(ious[0], 1);
    EXPECT_DOUBLE_EQ(ious[1], 0.25);
    EXPECT_DOUBLE_EQ(ious[2], 0.5 / 1.5);  // not clamped
}

// ---- Classification

TEST(DataMetrics, RanksBreakTiesByIndex) {
    const Doubles scores{0.1, 0.7, 0.7, 0.2};
    for (const auto& [label, rank] : {std::pair(0, 3), {1, 0}, {2, 1}, {3, 2}})
        EXPECT_EQ(label_ranks(scores, 4, {label}), std::vector<std::int64_t>{rank});
    const std::vector<std::int64_t> ranks{0, 1, 4, 2};
    EXPECT_DOUBLE_EQ(top_k_accuracy(ranks, 1, 5), 0.25);
    EXPECT_DOUBLE_EQ(top_k_accuracy(ranks, 3, 5), 0.75);
    EXPECT_DOUBLE_EQ(top_k_accuracy(ranks, 9, 5), 1);
    EXPECT_EQ(top_k_accuracy({}, 1, 5), 0);
}

// A network that has blown up must not look perfect.
TEST(DataMetrics, NanIsAnErrorAndConstantScoresAreNotRight) {
    EXPECT_THROW(label_ranks({std::nan(""), 0}, 2, {0}), ShapeError);
    EXPECT_EQ(label_ranks({0, 0, 0}, 3, {2}), std::vector<std::int64_t>{2});
    EXPECT_THROW(label_ranks({0, 0}, 2, {2}), ShapeError);
    EXPECT_THROW(pr_curve({std::nan("")}, {true}), ShapeError);
    EXPECT_THROW(soft_overlaps({std::nan("")}, {1}, 1), ShapeError);
}

TEST(DataMetrics, ConfusionByHand) {
    Confusion confusion(3);  // class 2 is neither true nor predicted
    for (const auto& [truth, predicted] : {std::pair(0, 0), {0, 0}, {0, 1}, {1, 1}}) confusion.add(truth, predicted);
    EXPECT_EQ(confusion.matrix(), (std::vector<std::int64_t>{2, 1, 0, 0, 1, 0, 0, 0, 0}));
    EXPECT_EQ(confusion.support(), (std::vector<std::int64_t>{3, 1, 0}));
    const auto each = confusion.per_class();
    EXPECT_DOUBLE_EQ(each[0].precision, 1);
    EXPECT_DOUBLE_EQ(each[0].recall, 2.0 / 3);
    EXPECT_DOUBLE_EQ(each[0].f1, 0.8);
    EXPECT_DOUBLE_EQ(each[1].precision, 0.5);
    EXPECT_EQ(each[2].f1, 0);
    EXPECT_DOUBLE_EQ(confusion.accuracy(), 0.75);
    EXPECT_DOUBLE_EQ(confusion.macro().precision, 0.5);
    EXPECT_DOUBLE_EQ(confusion.weighted().precision, (3 * 1 + 0.5) / 4);
    EXPECT_DOUBLE_EQ(confusion.weighted().recall, confusion.accuracy());
    EXPECT_THROW(confusion.add(0, 3), ShapeError);
    EXPECT_THROW(confusion.add(-1, 0), ShapeError);
    EXPECT_EQ(Confusion(2).accuracy(), 0);
}

TEST(DataMetrics, PrCurveByHand) {
    const PrCurve curve = pr_curve({0.9, 0.5, 0.5, 0.1}, {true, true, false, false});
    EXPECT_EQ(curve.thresholds, (Doubles{0.9, 0.5, 0.1}));
    EXPECT_EQ(curve.recall, (Doubles{0.5, 1, 1}));
    EXPECT_DOUBLE_EQ(curve.precision[1], 2.0 / 3);
    EXPECT_DOUBLE_EQ(curve.average_precision, 0.5 * 1 + 0.5 * 2 / 3);
    EXPECT_DOUBLE_EQ(curve.best_f1, 0.8);
    EXPECT_DOUBLE_EQ(curve.best_threshold, 0.5);
    EXPECT_EQ(pr_curve({0.3}, {false}).average_precision, 0);
    EXPECT_TRUE(pr_curve({}, {}).thresholds.empty());
}

// ---- Detection

Object at(double x, int class_id = 0) { return {class_id, x, 0, x + 10, 10}; }

TEST(DataMetrics, PerfectDetectionsScoreOne) {
    const DetectionAp ap = detection_ap({{0, at(0), 0.9}, {1, at(50, 1), 0.2}}, {{0, at(0)}, {1, at(50, 1)}}, 2);
    EXPECT_DOUBLE_EQ(ap.mean_ap(), 1);
    EXPECT_EQ(ap.matched[0], 0);
    EXPECT_EQ(ap.matched[10], 1);
    EXPECT_THROW(ap.mean_ap(0.42), ShapeError);
}

TEST(DataMetrics, ASecondHitOfTheSameBoxIsFalse) {
    const DetectionAp ap = detection_ap({{0, at(0), 0.8}, {0, at(0), 0.9}}, {{0, at(0)}}, 1);
    EXPECT_EQ(ap.tp[0], 0);  // the better score comes first, wherever it stands
    EXPECT_EQ(ap.fp[0], 1);
    EXPECT_EQ(ap.tp[10], 1);
    EXPECT_DOUBLE_EQ(ap.mean_ap(), 1);  // precision falls only after full recall
}

// Truths A, B, C; ranked hit, miss, hit: recall 1/3 at precision 1, recall 2/3 at precision 2/3. Of the 101 points, 34
// (0 to 0.33) lie at or below 1/3 and 33 more (to 0.66) at or below 2/3.
TEST(DataMetrics, AveragePrecisionByHand) {
    const DetectionAp ap =
        detection_ap({{0, at(0), 0.9}, {0, at(200), 0.8}, {0, at(20), 0.7}}, {{0, at(0)}, {0, at(20)}, {0, at(40)}}, 1);
    EXPECT_NEAR(ap.mean_ap(0.5), (34 * 1.0 + 33 * 2.0 / 3) / 101, 1e-12);
    EXPECT_DOUBLE_EQ(ap.recall_max[0], 2.0 / 3);
    EXPECT_DOUBLE_EQ(ap.at_confidence[75].precision, 0.5);  // score >= 0.75: a hit and a miss
    EXPECT_DOUBLE_EQ(ap.at_confidence[75].recall, 1.0 / 3);
    EXPECT_EQ(ap.at_confidence[95].f1, 0);
}

TEST(DataMetrics, ImagesAndClassesAreKeptApart) {
    const DetectionAp ap = detection_ap({{1, at(0), 0.9}, {0, at(0, 1), 0.9}}, {{0, at(0)}}, 3);
    EXPECT_EQ(ap.mean_ap(), 0);
    EXPECT_EQ(ap.ap[0], 0);    // has truth, was not found
    EXPECT_EQ(ap.ap[10], -1);  // class 1 has no truth and stays out of the mean
    EXPECT_EQ(ap.fp[10], 1);
    EXPECT_EQ(detection_ap({}, {}, 3).mean_ap(), 0);
}

// IoU 9/11 with the truth: right up to the threshold 0.80, wrong above.
TEST(DataMetrics, EachThresholdMatchesAnew) {
    const DetectionAp ap = detection_ap({{0, at(1), 0.9}}, {{0, at(0)}}, 1);
    for (std::size_t k = 0; k < 10; ++k) EXPECT_EQ(ap.tp[k], k < 7) << k;
    EXPECT_DOUBLE_EQ(ap.mean_ap(), 0.7);
}

TEST(DataMetrics, MaxDetLeavesTheRestOut) {
    ApSpec spec;
    spec.max_det = 1;
    const std::vector<Detection> detections{{0, at(90), 0.5}, {0, at(0), 0.9}, {1, at(0), 0.1}};
    const DetectionAp ap = detection_ap(detections, {{0, at(90)}, {0, at(0)}, {1, at(0)}}, 1, spec);
    EXPECT_EQ(ap.tp[0] + ap.fp[0], 0);  // second of its image
    EXPECT_EQ(ap.tp[10], 1);
    EXPECT_EQ(ap.tp[20], 1);
    EXPECT_DOUBLE_EQ(ap.recall_max[0], 2.0 / 3);
}

TEST(DataMetrics, DetectionRefusesNonsense) {
    EXPECT_THROW(detection_ap({{0, at(0), std::nan("")}}, {}, 1), ShapeError);
    EXPECT_THROW(detection_ap({{0, at(0, 1), 0.5}}, {}, 1), ShapeError);
    EXPECT_THROW(detection_ap({{0, at(std::nan("")), 0.5}}, {}, 1), ShapeError);
    EXPECT_THROW(detection_ap({}, {}, 0), ShapeError);
}

// ---- Masks

TEST(DataMetrics, MaskOverlapByHand) {
    const MaskOverlaps found = mask_overlaps({1, 1, 0, 0, 0, 0}, {1, 0, 9, 0, 0, 0}, 2);
    EXPECT_DOUBLE_EQ(found.each[0].dice, 0.5);
    EXPECT_DOUBLE_EQ(found.each[0].iou, 1.0 / 3);
    EXPECT_DOUBLE_EQ(found.each[1].iou, 1);  // both empty
    EXPECT_DOUBLE_EQ(found.mean.dice, 0.75);
    EXPECT_DOUBLE_EQ(found.global.iou, 1.0 / 3);
    EXPECT_EQ(mask_overlaps({0}, {0}, 1, 0).mean.dice, 0);
    EXPECT_THROW(mask_overlaps({1, 0, 1}, {1, 0, 1}, 2), ShapeError);
}

TEST(DataMetrics, SoftOverlapByHand) {
    const SoftOverlaps found = soft_overlaps({0.5, 0.5, 0, 1}, {1, 0, 0, 1}, 2, 1);
    EXPECT_DOUBLE_EQ(found.each[0].dice, (2 * 0.5 + 1) / 3);
    EXPECT_DOUBLE_EQ(found.each[0].iou, 1.5 / 2.5);
    EXPECT_DOUBLE_EQ(found.each[1].iou, 1);
    EXPECT_EQ(found.mae_each, (Doubles{0.5, 0}));
    EXPECT_DOUBLE_EQ(found.mae, 0.25);
    EXPECT_DOUBLE_EQ(found.rmse, std::sqrt(0.5 / 4));
}

}  // namespace
}  // namespace solobox::metrics
