#include "train/flow.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace solobox::inline SOLOBOX_PRECISION {

FlowRecorder::FlowRecorder(const std::vector<NamedParameter>& params) : params_(params) {
    for (const auto& p : params) flows_.push_back({p.name, {}});
}

void FlowRecorder::before_update(std::int64_t step) {
    before_.clear();
    for (std::size_t i = 0; i < params_.size(); ++i) {
        const Parameter& p = *params_[i].param;
        const double gradient = p.grad.defined() ? norm(p.grad) : std::numeric_limits<double>::quiet_NaN();
        flows_[i].samples.push_back({step, gradient, norm(p.value)});
        if (p.grad.defined()) flows_[i].samples.back().grad_bits = fingerprint(p.grad);
        before_.push_back(p.value.clone());
    }
}

void FlowRecorder::after_update() {
    for (std::size_t i = 0; i < params_.size(); ++i) {
        const Tensor &now = params_[i].param->value, &then = before_[i];
        double square = 0;
        for (std::int64_t k = 0; k < now.numel(); ++k) {
            const double d = static_cast<double>(now[k]) - static_cast<double>(then[k]);
            square += d * d;
        }
        FlowSample& sample = flows_[i].samples.back();
        sample.update_norm = std::sqrt(square);
        sample.weight_bits = fingerprint(now);
        sample.changed =
            std::memcmp(now.data(), then.data(), static_cast<std::size_t>(now.numel()) * sizeof(Real)) != 0;
    }
    before_.clear();
}

}  // namespace solobox::inline SOLOBOX_PRECISION
