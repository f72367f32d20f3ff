// How good a network is on a set of pictures: predictions and labels go in one by one, numbers for tables, pages and
// people come out. Plain numbers, no tensors.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "train/metrics/prediction.h"
#include "train/report/report.h"

namespace solobox {

// An answer that never looks at a picture, and how far it gets.
struct Blind {
    std::string name;   // "constant_box_iou", in JSON and in messages
    std::string title;  // "best constant box", for people
    double score = 0;
};

struct Measured {
    std::vector<std::pair<std::string, double>> columns;  // of results.csv, those of Meter::columns()
    double score = 0;                                     // what "best" means; higher is better
    std::string text;                                     // for the line of an epoch: "IoU 0.612 (constant box 0.527)"
    std::vector<double> each;                             // a picture's own score, in their order; low is bad
    std::vector<std::pair<std::string, double>> figures;  // beside the score: "iou50", "acc5"
    std::vector<ReportTable> tables;
};

class Meter {
public:
    virtual ~Meter() = default;
    virtual std::vector<std::string> columns() const = 0;  // known before anything was added
    virtual void add(const Prediction& prediction, const Labels& truth) = 0;
    virtual Measured result() const = 0;
    // Everything for `val`: as JSON, beside what is common to all tasks; and in lines for people. By default the
    // columns, and the line of an epoch.
    virtual void add_json(nlohmann::ordered_json& j, double loss) const;
    virtual std::string words(double loss) const;
};

}  // namespace solobox
