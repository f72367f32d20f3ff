#include "tensor/ops/activation.h"

#include <cmath>
#include <numbers>

#include "tensor/kernels/norm.h"
#include "tensor/kernels/pool.h"
#include "tensor/ops/elementwise.h"
#include "tensor/pending.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

Real logistic(Real x) {
    // Never exponentiates a positive number: no overflow, and small values keep their digits.
    if (x >= 0) return 1 / (1 + std::exp(-x));
    const Real e = std::exp(x);
    return e / (1 + e);
}

// An op whose gradient is dy * slope(x).
template <class Value, class Slope>
Var pointwise(const char* op, const Var& x, Value value, Slope slope) {
    return record(op, map(x.value(), value), {x}, [slope, v = x.value()](const Tensor& dy) -> Grads {
        return {zip(dy, v, [slope](Real g, Real p) { return g * slope(p); })};
    });
}

}  // namespace

Var relu(const Var& x) {
    return pointwise(
        "relu", x, [](Real v) { return v < 0 ? Real(0) : v; },  // keeps a NaN
        [](Real v) { return v > 0 ? Real(1) : Real(0); });
}

Var leaky_relu(const Var& x, double negative_slope) {
    const Real s = static_cast<Real>(negative_slope);
    if (x.rank() == 4 && s >= 0) {  // a map: left to who reads it (tensor/operand.h)
        const Shape channels{1, x.dim(3)};
        // Through a max pool the way back needs only the winners' signs, which the pooled values have too.
        auto origin = std::make_shared<const Origin>(
            Origin{{x}, [s, shape = x.shape()](const PooledGrad& g) -> Grads {
                       Tensor d(g.dy.shape()), dx(shape);
                       activation_grad(d.numel(), g.dy.data(), g.y.data(), s, d.mutable_data());
                       max_pool_backward(g.shape, d.data(), g.winner.data(), dx.mutable_data());
                       return {dx};
                   }});
        return record_later("leaky_relu",
                            {x.value(), Tensor::full(channels, Real(1)), Tensor::zeros(channels), s, std::move(origin)},
                            {x}, [s, v = x.value()](const Tensor& dy, const Wanted&) -> Grads {
                                Tensor dx(dy.shape());
                                activation_grad(dx.numel(), dy.data(), v.data(), s, dx.mutable_data());
                                return {dx};
                            });
    }
    return pointwise(
        "leaky_relu", x, [s](Real v) { return v > 0 ? v : s * v; }, [s](Real v) { return v > 0 ? Real(1) : s; });
}

Var sigmoid(const Var& x) {
    Tensor y = map(x.value(), logistic);
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

Var silu(const Var& x) {
    return pointwise(
        "silu", x, [](Real v) { return v * logistic(v); },
        [](Real v) {
            const Real s = logistic(v);
            return s * (1 + v * (1 - s));
        });
}

Var gelu(const Var& x, GeluForm form) {
    if (form == GeluForm::exact) {
        const auto cdf = [](Real v) { return Real(0.5) * (1 + std::erf(v * Real(std::numbers::sqrt2 / 2))); };
        const Real density = Real(0.5 * std::numbers::inv_sqrtpi * std::numbers::sqrt2);  // 1 / sqrt(2 pi)
        return pointwise(
            "gelu", x, [cdf](Real v) { return v * cdf(v); },
            [cdf, density](Real v) { return cdf(v) + v * density * std::exp(-v * v / 2); });
    }
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
