// The class of a whole picture: top-1 and top-5 accuracy, which class is taken for which.
#pragma once

#include "train/metrics/meter.h"

namespace solobox {

class ClassMeter : public Meter {
public:
    ClassMeter(std::vector<std::string> names, std::vector<Blind> blind)  // chance, the commonest training class
        : names_(std::move(names)), blind_(std::move(blind)) {}
    std::vector<std::string> columns() const override;
    void add(const Prediction& prediction, const Labels& truth) override;
    Measured result() const override;
    void add_json(nlohmann::ordered_json& j, double loss) const override;
    std::string words(double loss) const override;

private:
    std::int64_t classes() const { return static_cast<std::int64_t>(names_.size()); }
    double accuracy(std::int64_t k) const;  // top-k, in %
    std::vector<ReportTable> tables() const;

    std::vector<std::string> names_;
    std::vector<Blind> blind_;
    std::vector<std::int64_t> truth_, answer_;
    std::vector<double> right_, scores_;  // probability of the label; logits (pictures, classes), flat
};

}  // namespace solobox
