// Pooling and resampling of feature maps (N, H, W, C).
#pragma once

#include "tensor/ops/conv2d.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

struct PoolSpec {
    Pair kernel{2, 2}, stride{2, 2}, padding{0, 0}, dilation{1, 1};
    bool ceil_mode = false;  // a last, partial window counts if it starts inside the input or its leading padding
};

// Padding counts as minus infinity; on ties the first element of the window receives the gradient.
Var max_pool2d(const Var& x, const PoolSpec& spec = {});

struct AvgPoolSpec {
    Pair kernel{2, 2}, stride{2, 2}, padding{0, 0};
    bool ceil_mode = false, count_include_pad = true;
    std::int64_t divisor_override = 0;  // 0: none
};
Var avg_pool2d(const Var& x, const AvgPoolSpec& spec = {});

// Cell i averages rows floor(i H / h) .. ceil((i + 1) H / h) - 1.
Var adaptive_avg_pool2d(const Var& x, Pair output);

enum class Resample { nearest, bilinear };
struct InterpolateSpec {
    Pair size{0, 0};                  // output size; or {0, 0} and a scale
    double scale_h = 0, scale_w = 0;  // output floor(in * s), source coordinates by 1 / s itself
    Resample mode = Resample::nearest;
    bool align_corners = false;
};
Var interpolate(const Var& x, const InterpolateSpec& spec);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
