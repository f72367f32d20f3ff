// Where two runs part: the first step and tensor whose bits differ. Reads what the runs wrote, computes nothing anew.
//
// Runs of one configuration must agree to the bit, whatever the number of threads; when they do not, or when a change
// of the code was meant to keep the results, this says where to look first.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace solobox {

struct RunDiff {
    std::vector<std::string> settings;  // "lr0: 0.001 | 0.01"
    std::int64_t steps_a = 0, steps_b = 0;
    std::int64_t first_step = 0;   // of the first difference in steps.csv or layers.csv; 0: none
    std::string column;            // what differs first in that step of steps.csv: "loss", "grad_norm", "lr"
    std::int64_t tensor_step = 0;  // the first recorded step in which a tensor differs; 0: none
    std::string tensor, part;      // its name, in the model's order; "gradient" or "weight"
    std::int64_t tensors = 0;      // how many differ in that step
    std::string weights;           // the first tensor in which the checkpoints differ; ""
    double weights_off = 0;        // largest difference in it
    bool equal() const { return first_step == 0 && weights.empty() && steps_a == steps_b; }
};

// DataError naming the file when one of the directories is no run.
RunDiff diff_runs(const std::string& a, const std::string& b);

// The findings in words, one a line.
std::vector<std::string> describe(const RunDiff& diff);

}  // namespace solobox
