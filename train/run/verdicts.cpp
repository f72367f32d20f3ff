#include "train/run/verdicts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace solobox {

LiftVerdict judge_lift(double iou, double constant_iou) {
    const double lift = iou - constant_iou;
    const std::string facts =
        fmt::format("IoU {:.4f} against {:.4f} of the best constant box ({:+.4f})", iou, constant_iou, lift);
    if (!(lift > 0.01))  // NaN too
        return {"WARN", facts, "no more than a box that never looks at the picture. It has not learned to locate."};
    if (lift < 0.05) return {"INFO", facts, "a little more than a box that never looks at the picture."};
    return {"PASS", facts, "it has learned to locate."};
}

LiftVerdict judge_accuracy(double accuracy, double blind, std::int64_t pictures) {
    const double p = blind / 100,
                 error = 100 * std::sqrt(p * (1 - p) / static_cast<double>(std::max<std::int64_t>(pictures, 1)));
    const std::string facts = fmt::format("top-1 {:.2f} % against {:.2f} % of an answer that never looks ({:+.2f})",
                                          accuracy, blind, accuracy - blind);
    if (!(accuracy - blind > 2 * error))  // NaN too
        return {"WARN", facts,
                fmt::format("within what luck does on {} pictures (+-{:.1f}). It has not learned to tell them apart.",
                            pictures, 2 * error)};
    return {"PASS", facts, "it has learned to tell them apart."};
}

}  // namespace solobox
