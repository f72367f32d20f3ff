// What the IoU lab is asked and what it measured: plain numbers, so that the page, the terminal and JSON need no
// engine.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "data/types.h"

namespace solobox {

struct LabSpec {
    UnitBox target{0.5, 0.5, 0.4, 0.3};
    double width = 0.2, height = 0.1;  // of the box whose centre is moved over the picture
    std::int64_t grid = 21;            // positions along each side of a field
    std::int64_t steps = 200;          // of the race
    std::vector<double> rates = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10};
    bool cosine = true;               // the rate falls to 0 over the race; otherwise it stays
    std::vector<std::string> losses;  // names of lab_losses(); empty: all of them
};

inline constexpr std::array<double, 3> lab_thresholds = {0.5, 0.75, 0.95};
inline constexpr double lab_least_side = 1e-3;  // a step that would end below it ends there, and is counted
inline constexpr double lab_lost = 1e3;         // a box further out, or not finite, has diverged and is left alone
inline constexpr double lab_tie = 0.01;         // mean IoU: rates closer than this count as equally good

// What a predicted box feels on a grid over two of its coordinates. Cell (row, column) is entry row * grid + column;
// its coordinates are (column + 0.5) / grid and (row + 0.5) / grid.
struct LabField {
    std::vector<double> loss, iou;
    // The move of (cx, cy), or of (w, h), per unit of learning rate: minus the gradient, through the decoding.
    std::vector<std::array<double, 2>> pull;
    // Shares of the positions whose two coordinates are not already the target's.
    double still_share = 0;            // neither of the two coordinates has a gradient, exactly
    double dead_share = 0;             // none of the box's four numbers has one
    double smallest = 0, largest = 0;  // length of the pulls that are not 0
    double mean_cosine = 0;            // between a pull that is not 0 and the straight way to the target
    double disjoint_share = 0;         // positions without overlap
    double disjoint_still_share = 0;   // of these, without a gradient of the two coordinates
};

struct LabStart {
    std::string name, meaning;
    UnitBox box;
    double iou = 0;  // with the target
};

// One loss from one start at one rate.
struct LabPath {
    std::vector<double> iou, area;                                            // before the first step and after each
    std::array<std::optional<std::int64_t>, lab_thresholds.size()> steps_to;  // first step at which IoU reaches it
    std::optional<std::int64_t> touch;  // first step with overlap; 0 where the start overlaps
    double largest_area = 1;            // up to that step (or the end), as a multiple of the start's
    double area_at_touch = 1;           // the same multiple at that step
    std::int64_t floored = 0;           // steps that ended at the least side
    bool diverged = false;
};

struct LabRace {
    double rate = 0;
    std::vector<LabPath> paths;    // one per start
    std::vector<double> mean_iou;  // over the starts, before the first step and after each
    double final_iou() const { return mean_iou.back(); }
    double average_iou() const {  // over the starts and all steps: how early it was good
        return std::accumulate(mean_iou.begin(), mean_iou.end(), 0.0) / static_cast<double>(mean_iou.size());
    }
    std::int64_t floored() const {
        return std::accumulate(paths.begin(), paths.end(), std::int64_t{0},
                               [](std::int64_t sum, const LabPath& p) { return sum + p.floored; });
    }
    std::int64_t diverged() const {
        return std::count_if(paths.begin(), paths.end(), [](const LabPath& p) { return p.diverged; });
    }
};

struct LabLoss {
    std::string name, what;  // "giou", "1 - GIoU"
    LabField centre, size;
    std::vector<LabRace> races;  // one per rate
    std::size_t best = 0;        // of races: see best_race
    const LabRace& best_race() const { return races[best]; }
};

struct IouLab {
    LabSpec spec;
    std::vector<LabStart> starts;
    std::vector<LabLoss> losses;
    std::size_t shared = 0;  // the one rate at which the losses end best on average
};

}  // namespace solobox
