// The IoU lab's numbers in double: gradients against central differences, dead zones, and where the race must end.
#include <gtest/gtest.h>

#include <cmath>

#include "train/lab/iou_lab.h"
#include "train/proof/freeze_constants.h"

namespace solobox {
namespace {

// Targets of several shapes and places; what is said of a loss must hold for all of them.
const UnitBox targets[] = {{0.5, 0.5, 0.4, 0.3}, {0.31, 0.62, 0.17, 0.41}, {0.72, 0.3, 0.5, 0.22}};
const char* const all_about_overlap[] = {"iou", "giou", "diou", "ciou", "ciou_undetached", "box", "yolo_bbox"};

UnitBox moved(UnitBox b, std::size_t k, double by) {
    double* const numbers[] = {&b.cx, &b.cy, &b.w, &b.h};
    *numbers[k] += by;
    return b;
}

// The loss of one row of numbers, with what is constant in backward held fixed while they move.
double slope(const LabEntry& entry, const UnitBox& box, const UnitBox& target, std::size_t k) {
    constexpr double h = 1e-6;
    FreezeConstants frozen;
    lab_value(box, target, entry);
    frozen.rewind();
    const double up = lab_value(moved(box, k, h), target, entry);
    frozen.rewind();
    return (up - lab_value(moved(box, k, -h), target, entry)) / (2 * h);
}

TEST(IouLab, TheGradientIsTheSlopeOfTheLoss) {
    // Apart, overlapping, inside and around; none of their corners lies on one of a target's.
    const UnitBox boxes[] = {
        {0.13, 0.11, 0.19, 0.12}, {0.41, 0.47, 0.33, 0.31}, {0.52, 0.51, 0.06, 0.05}, {0.49, 0.48, 0.91, 0.9}};
    for (const LabEntry& entry : lab_losses()) {
        if (entry.decode != Decode::identity) continue;  // below
        for (const UnitBox& t : targets)
            for (const UnitBox& b : boxes) {
                const Tensor g = lab_gradient(lab_encode({b}, entry), t, entry);
                for (std::size_t k = 0; k < 4; ++k) {
                    const double numeric = slope(entry, b, t, k);
                    EXPECT_NEAR(g[static_cast<std::int64_t>(k)], numeric, 1e-6 * std::max(1.0, std::abs(numeric)))
                        << entry.name << " number " << k << " of " << b.cx << "," << b.cy;
                }
            }
    }
}

TEST(IouLab, RowsOfABatchDoNotSeeEachOther) {
    const std::vector<UnitBox> boxes = {{0.13, 0.11, 0.19, 0.12}, {0.41, 0.47, 0.33, 0.31}, {0.52, 0.51, 0.06, 0.05}};
    for (const LabEntry& entry : lab_losses()) {
        const Tensor together = lab_gradient(lab_encode(boxes, entry), targets[0], entry);
        for (std::size_t i = 0; i < boxes.size(); ++i) {
            const Tensor alone = lab_gradient(lab_encode({boxes[i]}, entry), targets[0], entry);
            for (std::int64_t k = 0; k < 4; ++k)
                EXPECT_NEAR(together[static_cast<std::int64_t>(i) * 4 + k], alone[k], 1e-12 * (1 + std::abs(alone[k])))
                    << entry.name;
        }
    }
}

// The pull is the move of the box: for log_wh the gradient of the logit times the slope of the sigmoid.
TEST(IouLab, ThePullIsTheMoveOfTheBox) {
    LabSpec spec;
    spec.grid = 7;
    const std::size_t cell = 2 * 7;  // row 2, column 0
    const UnitBox at_centre{0.5 / 7, 2.5 / 7, spec.width, spec.height},
        at_size{spec.target.cx, spec.target.cy, 0.5 / 7, 2.5 / 7};
    const double step = 1e-6;  // of gradient descent, small enough to be straight
    for (const LabEntry& entry : lab_losses())
        for (const LabPlane plane : {LabPlane::centre, LabPlane::size}) {
            const bool centre = plane == LabPlane::centre;
            const UnitBox b = centre ? at_centre : at_size;
            const auto pull = lab_field(spec, entry, plane).pull[cell];
            const Tensor raw = lab_encode({b}, entry), g = lab_gradient(raw, spec.target, entry);
            Tensor after = raw.clone();
            for (std::int64_t k = 0; k < 4; ++k) after.mutable_data()[k] -= step * g[k];
            const UnitBox to = lab_decode(after, entry)[0];
            EXPECT_NEAR(pull[0], (centre ? to.cx - b.cx : to.w - b.w) / step, 1e-4) << entry.name;
            EXPECT_NEAR(pull[1], (centre ? to.cy - b.cy : to.h - b.h) / step, 1e-4) << entry.name;
            if (!centre || entry.name != "iou") {
                EXPECT_GT(pull[0], 0) << entry.name << ": to the right, where the target is, or wider";
            }
        }
}

TEST(IouLab, OnlyIouIsDeadWhereBoxesAreApart) {
    for (const UnitBox& t : targets) {
        LabSpec spec;
        spec.target = t;
        for (const LabEntry& entry : lab_losses()) {
            const LabField f = lab_field(spec, entry, LabPlane::centre);
            EXPECT_GT(f.disjoint_share, 0.3);
            EXPECT_EQ(f.disjoint_still_share, entry.name == "iou" ? 1.0 : 0.0) << entry.name;
            if (entry.name == "iou") {
                EXPECT_EQ(f.dead_share, f.disjoint_share);
            } else {
                EXPECT_EQ(f.dead_share, 0) << entry.name;
            }
        }
    }
}

// A box wholly inside the target: moving it changes neither overlap nor enclosing box.
TEST(IouLab, InsideTheTargetIouAndGiouHaveNoPullOnTheCentre) {
    LabSpec spec;
    for (const UnitBox& t : targets) {
        spec.target = t;
        spec.width = t.w / 2, spec.height = t.h / 3;
        for (const char* name : all_about_overlap) {
            const LabField f = lab_field(spec, lab_loss(name), LabPlane::centre);
            std::size_t inside = 0;
            for (std::size_t i = 0; i < f.pull.size(); ++i) {
                const double cx = (static_cast<double>(i % 21) + 0.5) / 21,
                             cy = (static_cast<double>(i / 21) + 0.5) / 21;
                if (std::abs(cx - t.cx) > (t.w - spec.width) / 2 - 1e-9 ||
                    std::abs(cy - t.cy) > (t.h - spec.height) / 2 - 1e-9 || std::hypot(cx - t.cx, cy - t.cy) < 1e-9)
                    continue;
                ++inside;
                const bool none = f.pull[i][0] == 0 && f.pull[i][1] == 0;
                EXPECT_EQ(none, std::string(name) == "iou" || std::string(name) == "giou")
                    << name << " " << cx << "," << cy;
            }
            EXPECT_GT(inside, 2U);
        }
    }
}

TEST(IouLab, SharesAreCountedAsTheySay) {
    LabSpec spec;
    spec.grid = 11;
    const LabField f = lab_field(spec, lab_loss("iou"), LabPlane::centre);
    ASSERT_EQ(f.pull.size(), 121U);
    double still = 0, apart = 0;
    for (std::size_t i = 0; i < 121; ++i) {
        if (i == 60) continue;  // the target's own centre
        still += f.pull[i][0] == 0 && f.pull[i][1] == 0 ? 1 : 0;
        apart += f.iou[i] == 0 ? 1 : 0;
    }
    EXPECT_DOUBLE_EQ(f.still_share, still / 120);
    EXPECT_DOUBLE_EQ(f.disjoint_share, apart / 120);
    EXPECT_GT(still, apart);
    // Geometry alone says where they overlap.
    for (std::size_t i = 0; i < 121; ++i) {
        const double dx = std::abs((static_cast<double>(i % 11) + 0.5) / 11 - 0.5),
                     dy = std::abs((static_cast<double>(i / 11) + 0.5) / 11 - 0.5);
        EXPECT_EQ(f.iou[i] > 0, dx < 0.3 && dy < 0.2) << i;
    }
}

TEST(IouLab, AlphaWithItsGradientIsAnotherLoss) {
    const UnitBox wrong_aspect{0.5, 0.45, 0.2, 0.55};
    const LabEntry &detached = lab_loss("ciou"), &through = lab_loss("ciou_undetached");
    const Tensor a = lab_gradient(lab_encode({wrong_aspect}, detached), targets[0], detached);
    const Tensor b = lab_gradient(lab_encode({wrong_aspect}, through), targets[0], through);
    EXPECT_EQ(lab_value(wrong_aspect, targets[0], detached), lab_value(wrong_aspect, targets[0], through));
    EXPECT_GT(std::abs(a[2] - b[2]), 1e-3);
    EXPECT_GT(std::abs(a[3] - b[3]), 1e-3);
}

std::vector<LabRace> races(const char* loss, const UnitBox& target, const std::vector<LabStart>& starts,
                           std::vector<double> rates, bool cosine = true, std::int64_t steps = 200) {
    LabSpec spec;
    spec.target = target;
    spec.rates = std::move(rates);
    spec.cosine = cosine;
    spec.steps = steps;
    return lab_races(spec, lab_loss(loss), starts);
}

TEST(IouLab, APerfectStartStays) {
    for (const LabEntry& entry : lab_losses())
        for (const UnitBox& t : targets) {
            const LabPath p = races(entry.name.c_str(), t, {{"there", "", t, 1}}, {0.001})[0].paths[0];
            EXPECT_GT(p.iou.back(), 0.99) << entry.name;  // a kink at the minimum may shake it
            EXPECT_EQ(p.steps_to[2], 0) << entry.name;
            EXPECT_EQ(p.floored, 0) << entry.name;
        }
    // Where the minimum is smooth nothing moves at all.
    for (const char* smooth : {"mse", "smooth_l1"}) {
        const LabPath p = races(smooth, targets[0], {{"there", "", targets[0], 1}}, {1})[0].paths[0];
        for (const double iou : p.iou) EXPECT_EQ(iou, p.iou.front());
        EXPECT_NEAR(p.iou.front(), 1, 1e-12);
    }
}

TEST(IouLab, CiouFindsTheTargetAndIouOnlyWhatItTouches) {
    for (const UnitBox& t : targets) {
        const auto starts = lab_starts(t);
        ASSERT_EQ(starts.size(), 6U);
        EXPECT_EQ(starts[0].iou, 0);
        EXPECT_EQ(starts[1].iou, 0);
        for (std::size_t i = 2; i < starts.size(); ++i) EXPECT_GT(starts[i].iou, 0.05) << starts[i].name;
        for (const char* loss : {"ciou", "diou", "giou", "iou"}) {
            const auto all = races(loss, t, starts, {0.002, 0.005, 0.01, 0.02});
            const LabRace& race = all[best_race(all)];
            for (std::size_t i = 0; i < starts.size(); ++i) {
                const bool hopeless = std::string(loss) == "iou" && i < 2;
                if (hopeless)
                    EXPECT_EQ(race.paths[i].iou.back(), 0);
                else
                    EXPECT_GT(race.paths[i].iou.back(), 0.95) << loss << " from " << starts[i].name;
                EXPECT_EQ(race.paths[i].touch.has_value(), !hopeless);
            }
        }
    }
}

// The race by hand: mse has the gradient d / 2, so that a constant rate shrinks every difference by (1 - rate / 2).
TEST(IouLab, StepsAreThoseOfGradientDescent) {
    const UnitBox t = targets[1];
    const UnitBox start{0.6, 0.3, 0.3, 0.2};
    const auto path = races("mse", t, {{"s", "", start, 0}}, {0.4, 2}, false, 12);
    ASSERT_EQ(path[0].mean_iou.size(), 13U);
    for (std::size_t n = 0; n <= 12; ++n) {
        const double left = std::pow(0.8, static_cast<double>(n));
        const UnitBox b{t.cx + (start.cx - t.cx) * left, t.cy + (start.cy - t.cy) * left, t.w + (start.w - t.w) * left,
                        t.h + (start.h - t.h) * left};
        EXPECT_NEAR(path[0].mean_iou[n], lab_iou({b}, t)[0], 1e-12) << n;
        EXPECT_NEAR(path[0].paths[0].area[n], b.w * b.h, 1e-12) << n;
    }
    EXPECT_EQ(path[1].paths[0].steps_to[2], 1);  // rate 2 ends it in one
    // With the cosine, the last step is small and the first is not.
    const auto cosine = races("mse", t, {{"s", "", start, 0}}, {0.4}, true, 12);
    EXPECT_NEAR(cosine[0].mean_iou[1], path[0].mean_iou[1], 1e-12);
    EXPECT_LT(cosine[0].final_iou(), path[0].final_iou());
}

TEST(IouLab, SidesStopAtTheFloorAndBoxesThatLeaveAreCounted) {
    const auto starts = lab_starts(targets[0]);
    const auto all = races("yolo_bbox", targets[0], starts, {10});
    EXPECT_GT(all[0].floored() + all[0].diverged(), 0);
    for (const LabPath& p : all[0].paths)
        for (const double iou : p.iou) EXPECT_TRUE(iou >= 0 && iou <= 1) << iou;
    const auto wild = races("mse", targets[0], starts, {0.5, 10}, false);
    EXPECT_EQ(wild[0].diverged(), 0);
    EXPECT_GT(wild[1].diverged(), 0) << "differences grow fourfold with every step";
    EXPECT_EQ(wild[0].mean_iou, races("mse", targets[0], starts, {0.5}, false)[0].mean_iou)
        << "a box that diverges disturbs no other";
}

TEST(IouLab, TheBestRateEndsBestAndAmongEqualsIsEarliest) {
    const auto race = [](double rate, std::vector<double> mean) {
        LabRace r;
        r.rate = rate, r.mean_iou = std::move(mean);
        return r;
    };
    EXPECT_EQ(best_race({race(1, {0, 0.9, 0.9}), race(2, {0, 0.1, 0.95})}), 1U);
    EXPECT_EQ(best_race({race(1, {0, 0.1, 0.9501}), race(2, {0, 0.9, 0.95})}), 1U);
    EXPECT_EQ(best_race({race(1, {0, 0, 0}), race(2, {0, 0, 0})}), 0U);
}

}  // namespace
}  // namespace solobox
