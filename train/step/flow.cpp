#include "train/step/flow.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "data/text.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

struct UnitShares {
    double dead = nan, saturated = nan;
};

// Units lie along the last axis in a convolution's storage (kh, kw, in, out), along the first in a linear's [out, in].
UnitShares unit_shares(const Parameter& p) {
    constexpr double almost_nothing = 0.01;  // of the median unit's gradient
    const Tensor& g = p.grad;
    if (!g.defined() || g.numel() == 0) return {};
    const bool last = p.layout == Layout::hwio;
    const int axis = p.layout == Layout::hwoi ? 2 : 0;
    const std::int64_t inner = p.layout == Layout::hwoi ? g.dim(3)
                               : last                   ? 1
                                                        : g.numel() / g.dim(axis),
                       units = last ? g.dim(3) : g.dim(axis);
    std::vector<double> squares(static_cast<std::size_t>(units), 0);
    std::vector<char> alive(static_cast<std::size_t>(units), 0);
    for (std::int64_t i = 0; i < g.numel(); ++i) {
        const auto unit = static_cast<std::size_t>(i / inner % units);
        const auto v = static_cast<double>(g[i]);
        squares[unit] += v * v;
        if (v != 0) alive[unit] = 1;  // a gradient whose square is no number any more is one
    }
    std::vector<double> sorted = squares;
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(units / 2);
    std::nth_element(sorted.begin(), middle, sorted.end());
    std::int64_t dead = 0, saturated = 0;
    for (std::size_t u = 0; u < squares.size(); ++u) {
        dead += alive[u] == 0;
        saturated += alive[u] != 0 && squares[u] < almost_nothing * almost_nothing * *middle;
    }
    const auto n = static_cast<double>(units);
    return {static_cast<double>(dead) / n, static_cast<double>(saturated) / n};
}

}  // namespace

const std::vector<std::string>& layer_columns() {
    static const std::vector<std::string> columns{"step",         "name",          "grad_norm",          "weight_norm",
                                                  "update_ratio", "dead_fraction", "saturated_fraction", "grad_bits",
                                                  "weight_bits"};
    return columns;
}

std::vector<std::string> layer_row(const ParameterFlow& flow) {
    const FlowSample& s = flow.samples.back();
    const auto maybe = [](double v) { return std::isnan(v) ? std::string() : number_text(v); };
    return {std::to_string(s.step),
            flow.name,
            maybe(s.grad_norm),
            number_text(s.weight_norm),
            number_text(s.update_ratio()),
            maybe(s.dead_fraction),
            maybe(s.saturated_fraction),
            fmt::format("{:016x}", s.grad_bits),
            fmt::format("{:016x}", s.weight_bits)};
}

FlowRecorder::FlowRecorder(const std::vector<NamedParameter>& params) : params_(params) {
    for (const auto& p : params) flows_.push_back({p.name, {}});
}

void FlowRecorder::before_update(std::int64_t step) {
    before_.clear();
    for (std::size_t i = 0; i < params_.size(); ++i) {
        const Parameter& p = *params_[i].param;
        const double gradient = p.grad.defined() ? norm(p.grad) : nan;
        FlowSample sample{step, gradient, norm(p.value)};
        const UnitShares shares = unit_shares(p);
        sample.dead_fraction = shares.dead, sample.saturated_fraction = shares.saturated;
        if (p.grad.defined()) sample.grad_bits = fingerprint(p.grad);
        flows_[i].samples.push_back(sample);
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

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
