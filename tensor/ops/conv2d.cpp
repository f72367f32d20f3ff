#include "tensor/ops/conv2d.h"

#include <algorithm>

#include "tensor/kernels/conv.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/norm.h"
#include "tensor/ops/view.h"
#include "tensor/pending.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

void check_spec(const char* op, const ConvSpec& spec) {
    check(spec.stride.h >= 1 && spec.stride.w >= 1 && spec.dilation.h >= 1 && spec.dilation.w >= 1,
          "[{}] strides and dilations must be at least 1", op);
    check(spec.padding.h >= 0 && spec.padding.w >= 0, "[{}] paddings cannot be negative", op);
    check(spec.groups >= 1, "[{}] groups must be at least 1, got {}", op, spec.groups);
}

ConvShape conv_shape(const Shape& x, const Shape& weight, const ConvSpec& spec) {
    return {
        x[0],          x[1],          x[2],           x[3],           weight[0],       weight[1],       weight[3],
        spec.stride.h, spec.stride.w, spec.padding.h, spec.padding.w, spec.dilation.h, spec.dilation.w, spec.groups};
}

// Sum over everything but the channels.
Tensor bias_grad(const Tensor& dy) {
    const std::int64_t channels = dy.dim(-1);
    std::vector<double> sum(static_cast<std::size_t>(channels));
    channel_sum({1, channels ? dy.numel() / channels : 0, channels}, dy.data(), sum.data());
    Tensor db(Shape{channels});
    std::transform(sum.begin(), sum.end(), db.mutable_data(), [](double v) { return static_cast<Real>(v); });
    return db;
}

void add_bias(Tensor& y, const Tensor& bias) {
    const std::int64_t channels = bias.numel();
    Real* to = y.mutable_data();
    for (std::int64_t i = 0; i < y.numel(); ++i) to[i] += bias[i % channels];
}

// Null where this layer's kernel reads the weight as it is.
const Real* pack(PackedWeight& p, const ConvShape& s, const Real* weight) {
    const int kernels = static_cast<int>(active_kernels());
    if (p.h != s.h || p.w != s.w || p.kernels != kernels || p.winograd != fast::winograd_on())
        p = {conv2d_pack_weights(s, weight), s.h, s.w, kernels, fast::winograd_on()};
    return reinterpret_cast<const Real*>(p.block.get());
}

}  // namespace

Var conv2d(const Var& x, const Var& weight, const Var& bias, const ConvSpec& spec, PackedWeight* packed) {
    check(x.rank() == 4 && weight.rank() == 4,
          "[conv2d] input {} and weight {}: expected (N, H, W, C) and (kh, kw, C, O)", x.shape().str(),
          weight.shape().str());
    check_spec("conv2d", spec);
    check(weight.dim(2) * spec.groups == x.dim(3),
          "[conv2d] weight expects {} input channels, input has {} (input {}, weight {}, groups {})",
          weight.dim(2) * spec.groups, x.dim(3), x.shape().str(), weight.shape().str(), spec.groups);
    check(weight.dim(3) % spec.groups == 0, "[conv2d] {} output channels do not divide into {} groups", weight.dim(3),
          spec.groups);
    const ConvShape s = conv_shape(x.shape(), weight.shape(), spec);
    check(s.kh >= 1 && s.kw >= 1 && s.h + 2 * s.pad_h >= s.dilation_h * (s.kh - 1) + 1 &&
              s.w + 2 * s.pad_w >= s.dilation_w * (s.kw - 1) + 1,
          "[conv2d] a {}x{} kernel does not fit into input {} with padding {}x{}: use a larger picture or more padding",
          s.kh, s.kw, x.shape().str(), s.pad_h, s.pad_w);
    check(!bias.defined() || bias.shape() == Shape{s.o}, "[conv2d] bias must have {} elements", s.o);

    check(!packed || !Tape::current(), "[conv2d] a frozen layer cannot be trained: build the model anew");
    const auto forward = [s, w = weight.value(), b = bias.value()](const Operand& v, const Real* form = nullptr) {
        Tensor y(Shape{s.n, s.out_h(), s.out_w(), s.o});
        conv2d_forward(s, v.source(), w.data(), b.defined() ? b.data() : nullptr, y.mutable_data(), form);
        return y;
    };
    const Tensor y = forward(x.operand(), packed ? pack(*packed, s, weight.value().data()) : nullptr);
    std::vector<Var> inputs{x, weight};
    if (bias.defined()) inputs.push_back(bias);
    const auto again = [forward, v = x.operand().forgetful()] { return forward(v); };
    return record("conv2d", spec.recompute ? recomputed(y, again) : Operand(y), inputs,
                  [s, v = x.operand().forgetful(), w = weight.value(), biased = bias.defined()](
                      const Tensor& dy, const Wanted& want) -> Grads {
                      Grads grads(biased ? 3 : 2);
                      if (want[0]) {
                          grads[0] = Tensor(v.shape());
                          conv2d_grad_input(s, dy.data(), w.data(), grads[0].mutable_data());
                      }
                      if (want[1]) {
                          grads[1] = Tensor(w.shape());
                          conv2d_grad_weight(s, v.source(), dy.data(), grads[1].mutable_data());
                      }
                      if (biased && want[2]) grads[2] = bias_grad(dy);
                      return grads;
                  });
}

Var conv_transpose2d(const Var& x, const Var& weight, const Var& bias, const ConvSpec& spec, Pair output_padding) {
    check(x.rank() == 4 && weight.rank() == 4,
          "[conv_transpose2d] input {} and weight {}: expected (N, H, W, C) and (kh, kw, O, C)", x.shape().str(),
          weight.shape().str());
    check_spec("conv_transpose2d", spec);
    check(weight.dim(3) == x.dim(3) && x.dim(3) % spec.groups == 0,
          "[conv_transpose2d] weight expects {} input channels, input has {} (groups {})", weight.dim(3), x.dim(3),
          spec.groups);
    const auto size = [](std::int64_t in, std::int64_t k, std::int64_t stride, std::int64_t pad, std::int64_t dil,
                         std::int64_t extra) { return (in - 1) * stride - 2 * pad + dil * (k - 1) + extra + 1; };
    const std::int64_t h =
        size(x.dim(1), weight.dim(0), spec.stride.h, spec.padding.h, spec.dilation.h, output_padding.h);
    const std::int64_t w =
        size(x.dim(2), weight.dim(1), spec.stride.w, spec.padding.w, spec.dilation.w, output_padding.w);
    check(h >= 1 && w >= 1 && output_padding.h >= 0 && output_padding.w >= 0 &&
              output_padding.h < std::max(spec.stride.h, spec.dilation.h) &&
              output_padding.w < std::max(spec.stride.w, spec.dilation.w),
          "[conv_transpose2d] output {}x{} with output padding {}x{}: it must be smaller than stride or dilation", h, w,
          output_padding.h, output_padding.w);
    // As much as a stride more, which a dilation allows: as if further zero pixels followed the input.
    const std::int64_t more_h = output_padding.h / spec.stride.h, more_w = output_padding.w / spec.stride.w;
    if (more_h || more_w)
        return conv_transpose2d(pad(x, {0, 0, 0, more_w, 0, more_h}), weight, bias, spec,
                                {output_padding.h % spec.stride.h, output_padding.w % spec.stride.w});
    // The convolution that this one transposes: its input is our output.
    const Shape y_shape{x.dim(0), h, w, weight.dim(2) * spec.groups};
    const ConvShape s = conv_shape(y_shape, weight.shape(), spec);
    check(!bias.defined() || bias.shape() == Shape{s.c}, "[conv_transpose2d] bias must have {} elements", s.c);
    Tensor y(y_shape);
    conv2d_grad_input(s, x.value().data(), weight.value().data(), y.mutable_data());
    if (bias.defined()) add_bias(y, bias.value());
    std::vector<Var> inputs{x, weight};
    if (bias.defined()) inputs.push_back(bias);
    return record("conv_transpose2d", y, inputs,
                  [s, v = x.value(), wt = weight.value(), biased = bias.defined()](const Tensor& dy,
                                                                                   const Wanted& want) -> Grads {
                      Grads grads(biased ? 3 : 2);
                      if (want[0]) {
                          grads[0] = Tensor(v.shape());
                          conv2d_forward(s, dy.data(), wt.data(), nullptr, grads[0].mutable_data());
                      }
                      if (want[1]) {
                          grads[1] = Tensor(wt.shape());
                          conv2d_grad_weight(s, dy.data(), v.data(), grads[1].mutable_data());
                      }
                      if (biased && want[2]) grads[2] = bias_grad(dy);
                      return grads;
                  });
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
