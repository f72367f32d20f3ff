// Direct convolution over strips: some rows of one image, padded with zeros and activated, in a buffer that stays in
// the cache. Every patch then is a few pieces of the strip at fixed distances, so a product reads the strip itself
// where conv_fast.cpp would copy each pixel once per tap. For kernels with an extent, strides and dilations of any
// size.
#pragma once

#include "tensor/kernels/conv.h"

namespace solobox::fast {

// Fixed functions of the layer, never of the batch.
bool strips_apply(const ConvShape& s);
bool strips_suit_weight(const ConvShape& s);  // dw so small that it stays in the cache beside the strip

// `panels`: the weight, packed
void strips_forward(const ConvShape& s, const Source<float>& x, const float* panels, const float* bias, float* y);
void strips_grad_weight(const ConvShape& s, const Source<float>& x, const float* dy, float* dw);

}  // namespace solobox::fast
