// What a score says beside the answer that never looks at a picture, in words.
#pragma once

#include <cstdint>
#include <string>

namespace solobox {

struct LiftVerdict {
    std::string severity;        // PASS | INFO | WARN, as findings have it
    std::string facts, meaning;  // "IoU 0.61 against 0.67 of the best constant box (-0.06)"; what that says
    std::string text() const { return facts + ": " + meaning; }
};
LiftVerdict judge_lift(double iou, double constant_iou);
// accuracy, blind: in %; blind is the better of chance and always answering the commonest class. What lies within two
// standard errors of it could be luck on so many pictures.
LiftVerdict judge_accuracy(double accuracy, double blind, std::int64_t pictures);

}  // namespace solobox
