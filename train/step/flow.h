// What can be measured of a training step without knowing the model: per parameter tensor the gradient's, the weight's
// and the update's norm, and the share of its units that no gradient reaches. The raw material of the diagnosis, of
// layers.csv and of the gradient-flow picture.
#pragma once

#include <string>
#include <vector>

#include "tensor/parameter.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

struct FlowSample {
    std::int64_t step = 0;
    double grad_norm = 0;    // before clipping; NaN: no gradient arrived
    double weight_norm = 0;  // before the update
    double update_norm = 0;
    // Share of the tensor's output units (filters, features) whose gradient is exactly 0: dead ReLUs leave it so. NaN:
    // no gradient arrived.
    double dead_fraction = 0;
    // Share of them that get some gradient, but less than 1 % of the tensor's median unit: they sit on the flat part of
    // what follows (a saturated sigmoid, an activation that is almost always off). NaN as above.
    double saturated_fraction = 0;
    bool changed = false;                          // some bit of the tensor
    std::uint64_t grad_bits = 0, weight_bits = 0;  // fingerprints: of the gradient, of the weight after the update

    // Of the update to the weight. A tensor of zeros that moves counts as 1: all of it is new.
    double update_ratio() const { return weight_norm > 0 ? update_norm / weight_norm : update_norm > 0 ? 1 : 0; }
};

struct ParameterFlow {
    std::string name;
    std::vector<FlowSample> samples;
};

// layers.csv: its columns, and the newest sample of a tensor as a row.
const std::vector<std::string>& layer_columns();
std::vector<std::string> layer_row(const ParameterFlow& flow);

class FlowRecorder {
public:
    explicit FlowRecorder(const std::vector<NamedParameter>& params);
    void before_update(std::int64_t step);  // gradients are complete
    void after_update();
    const std::vector<ParameterFlow>& flows() const { return flows_; }

private:
    std::vector<NamedParameter> params_;
    std::vector<Tensor> before_;
    std::vector<ParameterFlow> flows_;
};

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
