// One box a picture: IoU with the truth, and how much the answers differ between pictures.
#pragma once

#include <array>

#include "train/metrics/meter.h"

namespace solobox {

class BoxMeter : public Meter {
public:
    explicit BoxMeter(std::vector<Blind> blind) : blind_(std::move(blind)) {}  // mean box, best constant box
    std::vector<std::string> columns() const override;
    void add(const Prediction& prediction, const Labels& truth) override;
    Measured result() const override;
    void add_json(nlohmann::ordered_json& j, double loss) const override;
    std::string words(double loss) const override;

private:
    struct Spread {
        std::array<double, 4> mean{}, deviation{};  // cx, cy, w, h
    };
    static Spread spread_of(const std::vector<UnitBox>& boxes);
    double median() const;
    double share50() const;  // of IoUs >= 0.5

    std::vector<Blind> blind_;
    std::vector<UnitBox> predictions_, truths_;
    std::vector<double> ious_;
};

}  // namespace solobox
