// Direct convolution of maps of a few pixels, where much of every patch lies beyond the border: on a 2x2 map a 3x3
// kernel meets 16 pairs of pixels, not 36. One product per output pixel, over all images, of the taps inside alone.
// Winograd's F(2x2, 3x3) makes as many multiplications there, and transforms besides.
#pragma once

#include "tensor/kernels/conv.h"

namespace solobox::fast {

// Whether enough taps lie outside, and enough images share a pixel. The batch may decide here: a tap outside adds
// zeros in conv_fast.cpp's sums, so the bits are the same either way.
bool small_map_applies(const ConvShape& s);

// Pairs of an output pixel and a tap inside, of one image: what is left of out_pixels * kh * kw.
std::int64_t pairs_inside(const ConvShape& s);

// `panels`: the weight (kh * kw * c, o), packed
void small_map_forward(const ConvShape& s, const Source<float>& x, const float* panels, const float* bias, float* y);

}  // namespace solobox::fast
