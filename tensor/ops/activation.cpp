#include "tensor/ops/activation.h"

#include <cmath>
#include <numbers>

#include "tensor/kernels/act.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/norm.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

// An op whose gradient is dy * slope(x).
template <class Value, class Slope>
Var pointwise(const char* op, const Var& x, Value value, Slope slope) {
    return record(op, map(x.value(), value), {x}, [slope, v = x.value()](const Tensor& dy) -> Grads {
        return {zip(dy, v, [slope](Real g, Real p) { return g * slope(p); })};
    });
}

}  // namespace

// A map's activation is left to who reads it (tensor/operand.h).
Var activate(const Var& x, const Act& act) {
    if (act.identity()) return x;
    if (x.rank() == 4) return activated(x, act);
    return pointwise(
        act.op(), x, [act](Real v) { return act_value(act, v); }, [act](Real v) { return act_slope(act, v); });
}

Var relu(const Var& x) {
    return pointwise(
        "relu", x, [](Real v) { return v < 0 ? Real(0) : v; },  // keeps a NaN
        [](Real v) { return v > 0 ? Real(1) : Real(0); });
}

Var leaky_relu(const Var& x, double negative_slope) { return activate(x, Act::leaky_relu(negative_slope)); }

Var sigmoid(const Var& x) {
    Tensor y = map(x.value(), logistic<Real>);
    return record("sigmoid", y, {x}, [y](const Tensor& dy) -> Grads {
        return {zip(dy, y, [](Real g, Real s) { return g * s * (1 - s); })};
    });
}

Var tanh(const Var& x) {
    Tensor y = map(x.value(), [](Real v) { return std::tanh(v); });
    return record("tanh", y, {x}, [y](const Tensor& dy) -> Grads {
        return {zip(dy, y, [](Real g, Real t) { return g * (1 - t * t); })};
    });
}

Var silu(const Var& x) { return activate(x, Act::silu()); }

Var gelu(const Var& x, GeluForm form) {
    if (form == GeluForm::exact) return activate(x, Act::gelu());
    const Real k = Real(std::numbers::sqrt2 * std::numbers::inv_sqrtpi), c = Real(0.044715);  // sqrt(2 / pi)
    const auto inner = [k, c](Real v) { return std::tanh(k * (v + c * v * v * v)); };
    return pointwise(
        "gelu", x, [inner](Real v) { return v / 2 * (1 + inner(v)); },
        [inner, k, c](Real v) {
            const Real t = inner(v);
            return (1 + t) / 2 + v / 2 * (1 - t * t) * k * (1 + 3 * c * v * v);
        });
}

Var softplus(const Var& x, double beta, double threshold) {
    const Real b = static_cast<Real>(beta), limit = static_cast<Real>(threshold);
    return pointwise(
        "softplus", x, [b, limit](Real v) { return b * v > limit ? v : std::log1p(std::exp(b * v)) / b; },
        [b, limit](Real v) { return b * v > limit ? Real(1) : logistic(b * v); });
}

Var hardswish(const Var& x) {
    return pointwise(
        "hardswish", x, [](Real v) { return v * std::min(std::max(v + 3, Real(0)), Real(6)) / 6; },
        [](Real v) { return v < -3   ? Real(0)
                            : v <= 3 ? v / 3 + Real(0.5)
                                     : Real(1); });
}

Var clamp(const Var& x, double lo, double hi) {
    const Real a = static_cast<Real>(lo), b = static_cast<Real>(hi);
    return pointwise(
        "clamp", x,
        [a, b](Real v) {
            const Real raised = v < a ? a : v;
            return raised > b ? b : raised;
        },
        [a, b](Real v) { return v >= a && v <= b ? Real(1) : Real(0); });
}

Var prelu(const Var& x, const Var& weight, int channel_axis) {
    const std::int64_t count = weight.numel();
    const bool shared = count == 1;
    check(weight.rank() <= 1, "[prelu] weight is {}, expected one value or one per channel", weight.shape().str());
    const std::int64_t inner = shared ? 1 : x.shape().inner(channel_axis);
    check(shared || x.dim(channel_axis) == count, "[prelu] {} weights for {} channels of {}", count,
          shared ? 1 : x.dim(channel_axis), x.shape().str());
    const auto channel = [=](std::int64_t i) { return shared ? 0 : i / inner % count; };
    Tensor y(x.shape());
    for (std::int64_t i = 0; i < x.numel(); ++i) {
        const Real v = x.value()[i];
        y.mutable_data()[i] = v > 0 ? v : v * weight.value()[channel(i)];
    }
    return record("prelu", y, {x, weight}, [channel, v = x.value(), w = weight.value()](const Tensor& dy) -> Grads {
        Tensor dx(v.shape()), dw = Tensor::zeros(w.shape());
        for (std::int64_t i = 0; i < v.numel(); ++i) {
            const bool positive = v[i] > 0;
            dx.mutable_data()[i] = positive ? dy[i] : dy[i] * w[channel(i)];
            if (!positive) dw.mutable_data()[channel(i)] += dy[i] * v[i];
        }
        return {dx, dw};
    });
}

Var dropout(const Var& x, double p, bool training, const RandomKey& key) {
    check(p >= 0 && p <= 1, "[dropout] the probability is {}, expected 0..1", p);
    if (!training || p == 0) return x;
    Tensor keep(x.shape());
    Random random(key);
    const Real scale = p < 1 ? static_cast<Real>(1 / (1 - p)) : Real(0);
    for (std::int64_t i = 0; i < keep.numel(); ++i) keep.mutable_data()[i] = random.uniform() < p ? Real(0) : scale;
    const auto times = [](Real a, Real b) { return a * b; };
    return record("dropout", zip(x.value(), keep, times), {x},
                  [keep, times](const Tensor& dy) -> Grads { return {zip(dy, keep, times)}; });
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
