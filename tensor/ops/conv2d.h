// Convolutions. Feature maps are (N, H, W, C); weights are (kh, kw, C / groups, O), see Layout::hwio.
#pragma once

#include "tensor/tape.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// Pairs are {height, width}.
struct Pair {
    std::int64_t h = 1, w = 1;
};

struct ConvSpec {
    Pair stride{1, 1}, padding{0, 0}, dilation{1, 1};
    std::int64_t groups = 1;
    // Whoever needs the output in backward computes it anew instead of keeping it.
    bool recompute = false;
};

// A weight that will not change any more, as its kernel reads it: made at the first forward pass and kept for the next.
struct PackedWeight {
    Block block;
    std::int64_t h = -1, w = -1;  // of the input it was made for
    int kernels = -1;
    bool winograd = false;
};

// Cross-correlation with zero padding, as torch.nn.functional.conv2d. bias (O) or an undefined Var. `packed`:
// prediction only, Error under a tape.
Var conv2d(const Var& x, const Var& weight, const Var& bias = {}, const ConvSpec& spec = {},
           PackedWeight* packed = nullptr);

// The gradient of conv2d with respect to its input, as a layer: weight (kh, kw, O / groups, C), Layout::hwoi.
// out = (in - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1
Var conv_transpose2d(const Var& x, const Var& weight, const Var& bias = {}, const ConvSpec& spec = {},
                     Pair output_padding = {0, 0});

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
