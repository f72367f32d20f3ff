// The loops that every normalisation is made of, on raw pointers. x is (n, rows, c): GroupNorm uses the images as n
// and the pixels as rows, BatchNorm has n = 1 and all pixels of the batch as rows.
#pragma once

#include <cstdint>

#include "tensor/kernels/pool.h"
#include "tensor/kernels/source.h"
#include "tensor/real.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

struct ChannelRows {
    std::int64_t n, rows, c;
};

// sum (n, c) over rows of x
void channel_sum(const ChannelRows& s, const Real* x, double* sum);
// sum (n, c) over rows of x, and square (n, c) over rows of (x - sum / rows)^2, in one pass over x
void channel_moments(const ChannelRows& s, const Real* x, double* sum, double* square);
// y = act(scale * x + shift), scale and shift (n, c)
void channel_affine(const ChannelRows& s, const Real* x, const Real* scale, const Real* shift, const Act& act, Real* y);
// y = act(x + add), each side as its source says (neither with an activation of its own); s.n images
void channel_add(const ChannelRows& s, const Source<Real>& x, const Source<Real>& add, const Act& act, Real* y);
// dx = dy * act'(x), n numbers; where act keeps the sign, act(x) will do for x
void activation_grad(std::int64_t n, const Real* dy, const Real* x, const Act& act, Real* dx);
// dz = dy * act'(scale * x + shift); sums over rows: dz_sum = sum dz, dot = sum dz * (x - mean)
void channel_grad_sums(const ChannelRows& s, const Real* dy, const Real* x, const Real* scale, const Real* shift,
                       const Act& act, const Real* mean, double* dz_sum, double* dot);
// dx = a * dz + b * (x - mean) + d with a, b, d (n, c)
void channel_grad_input(const ChannelRows& s, const Real* dy, const Real* x, const Real* scale, const Real* shift,
                        const Act& act, const Real* mean, const Real* a, const Real* b, const Real* d, Real* dx);

// channel_grad_sums and channel_grad_input where dy is what came back to a max pool p behind the activation, whose
// windows lie side by side and cover the map: dy and winner (p.n, p.out_h(), p.out_w(), c), s.n is p.n or 1.
void pooled_grad_sums(const ChannelRows& s, const PoolShape& p, const Real* dy, const std::uint16_t* winner,
                      const Real* x, const Real* scale, const Real* shift, const Act& act, const Real* mean,
                      double* dz_sum, double* dot);
void pooled_grad_input(const ChannelRows& s, const PoolShape& p, const Real* dy, const std::uint16_t* winner,
                       const Real* x, const Real* scale, const Real* shift, const Act& act, const Real* mean,
                       const Real* a, const Real* b, const Real* d, Real* dx);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
