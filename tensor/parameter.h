// A trainable tensor: its value, the gradient that backward leaves in it, and what the rest must know about it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

enum class ParamKind { weight, bias, norm, token };  // only `weight` decays

// How the value is stored here, against PyTorch's order at the border (checkpoints, golden files, ONNX).
enum class Layout {
    same,
    hwio,  // convolution: (kh, kw, in / groups, out) here, [out, in / groups, kh, kw] there
    hwoi   // transposed convolution: (kh, kw, out / groups, in) here, [in, out / groups, kh, kw] there
};

// Elements [begin, begin + size) of a gradient, in the order of the parameter's storage.
struct GradPart {
    std::int64_t begin = 0, size = 0;
    const Real* data = nullptr;
};
using GradSink = std::function<void(const GradPart& part)>;

struct Parameter {
    Tensor value;
    Tensor grad;  // undefined until a backward pass reached it; further passes add up
    ParamKind kind = ParamKind::weight;
    Layout layout = Layout::same;
    bool trainable = true;
    // Takes the finished gradient instead of `grad`, part by part, each element once in a backward pass: an update
    // while it is hot, and no memory for all gradients at a time. Not with clipping or accumulation.
    GradSink sink;

    Parameter() = default;
    explicit Parameter(Tensor v, ParamKind k = ParamKind::weight, Layout l = Layout::same)
        : value(std::move(v)), kind(k), layout(l) {}
    void zero_grad() { grad = {}; }
};

struct NamedParameter {
    std::string name;  // PyTorch's state_dict name
    Parameter* param = nullptr;
};

// A parameter's or a buffer's numbers, by the same name.
struct NamedTensor {
    std::string name;
    Tensor* tensor = nullptr;
};

// Between the layout here and PyTorch's; a plain handle copy for Layout::same.
Tensor to_torch_layout(const Tensor& value, Layout layout);
Tensor from_torch_layout(const Tensor& value, Layout layout);
// (N, H, W, C) <-> [N, C, H, W]
Tensor nhwc_from_nchw(const Tensor& x);
Tensor nchw_from_nhwc(const Tensor& x);
// Axes reordered: out[i0, i1, ..] = x[.. with axis order[k] running in place k ..]
Tensor permuted(const Tensor& x, const std::vector<int>& order);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
