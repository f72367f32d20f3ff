// The layers with parameters: what they own, and the one op each of them is. Names are PyTorch's.
#pragma once

#include <memory>

#include "nn/init.h"
#include "nn/visit.h"
#include "tensor/ops.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

struct Conv2d {
    Parameter weight;  // (kh, kw, in / groups, out)
    Parameter bias;    // (out), or no value
    ConvSpec spec;
    std::shared_ptr<PackedWeight> frozen;  // from freeze() on

    Conv2d() = default;
    Conv2d(std::int64_t in, std::int64_t out, std::int64_t kernel, const ConvSpec& spec, bool with_bias,
           Initializer& init);
    Var operator()(const Var& x) {
        return conv2d(x, use(weight), bias.value.defined() ? use(bias) : Var{}, spec, frozen.get());
    }
    void visit(Visitor& v);
    // For prediction only, from now on: the weight keeps the form in which its kernel reads it.
    void freeze() { frozen = std::make_shared<PackedWeight>(); }
};

struct Linear {
    Parameter weight;  // (out, in)
    Parameter bias;    // (out), or no value

    Linear() = default;
    Linear(std::int64_t in, std::int64_t out, Initializer& init, bool with_bias = true);
    Var operator()(const Var& x) { return linear(x, use(weight), bias.value.defined() ? use(bias) : Var{}); }
    void visit(Visitor& v);
};

// `act`: the activation that follows, applied in the same pass (see tensor/ops/norm.h).
struct BatchNorm2d {
    Parameter weight, bias;  // (channels)
    RunningStats stats;
    double momentum = 0.1, eps = 1e-5;
    bool training = true;

    BatchNorm2d() = default;
    explicit BatchNorm2d(std::int64_t channels);
    Var operator()(const Var& x, const Act& act = Act::none()) {
        return batch_norm(x, stats, use(weight), use(bias), {training, momentum, eps}, act);
    }
    void visit(Visitor& v);
};

// The convolution that does what `conv` and then `norm` do in evaluation: norm's scale goes into the weight, its shift
// into the bias.
void fold(Conv2d& conv, const BatchNorm2d& norm);

struct GroupNorm {
    Parameter weight, bias;  // (channels)
    std::int64_t groups = 1;
    double eps = 1e-5;

    GroupNorm() = default;
    GroupNorm(std::int64_t groups, std::int64_t channels);
    Var operator()(const Var& x, const Act& act = Act::none()) {
        return group_norm(x, groups, use(weight), use(bias), eps, act);
    }
    void visit(Visitor& v);
};

struct LayerNorm {
    Parameter weight, bias;
    Shape shape;
    double eps = 1e-5;

    LayerNorm() = default;
    LayerNorm(const Shape& normalized_shape, double eps);
    Var operator()(const Var& x) { return layer_norm(x, shape, use(weight), use(bias), eps); }
    void visit(Visitor& v);
};

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
