// The definition of convolution and of its two gradients, as loops. Slow and obvious: the oracle for the fast path.
//
// All three walk the same set of triples (output pixel, kernel tap, input pixel). Forward reads x and writes y; the
// gradients send dy back along the same triples, once to the input and once to the weight.
#include <algorithm>

#include "tensor/kernels/conv.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/parallel.h"
#include "tensor/pool.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

// body(tap, input pixel) for every kernel tap of one output pixel that lies inside the input.
template <class Body>
void for_each_tap(const ConvShape& s, std::int64_t image, std::int64_t oy, std::int64_t ox, Body body) {
    for (std::int64_t ky = 0; ky < s.kh; ++ky) {
        const std::int64_t iy = oy * s.stride_h - s.pad_h + ky * s.dilation_h;
        if (iy < 0 || iy >= s.h) continue;
        for (std::int64_t kx = 0; kx < s.kw; ++kx) {
            const std::int64_t ix = ox * s.stride_w - s.pad_w + kx * s.dilation_w;
            if (ix < 0 || ix >= s.w) continue;
            body(ky * s.kw + kx, (image * s.h + iy) * s.w + ix);
        }
    }
}

}  // namespace

void reference::conv2d_forward(const ConvShape& s, const Real* x, const Real* weight, const Real* bias, Real* y) {
    parallel_for(s.n * s.out_h(), [&](std::int64_t row) {
        const std::int64_t image = row / s.out_h(), oy = row % s.out_h();
        for (std::int64_t ox = 0; ox < s.out_w(); ++ox) {
            Real* out = y + (row * s.out_w() + ox) * s.o;
            for (std::int64_t o = 0; o < s.o; ++o) out[o] = bias ? bias[o] : Real(0);
            for_each_tap(s, image, oy, ox, [&](std::int64_t tap, std::int64_t pixel) {
                for (std::int64_t g = 0; g < s.groups; ++g)
                    for (std::int64_t c = 0; c < s.group_c(); ++c) {
                        const Real value = x[pixel * s.c + g * s.group_c() + c];
                        const Real* w = weight + (tap * s.group_c() + c) * s.o + g * s.group_o();
                        Real* sum = out + g * s.group_o();
                        for (std::int64_t o = 0; o < s.group_o(); ++o) sum[o] += value * w[o];
                    }
            });
        }
    });
}

void reference::conv2d_grad_input(const ConvShape& s, const Real* dy, const Real* weight, Real* dx) {
    parallel_for(s.n, [&](std::int64_t image) {
        std::fill_n(dx + image * s.h * s.w * s.c, s.h * s.w * s.c, Real(0));
        for (std::int64_t oy = 0; oy < s.out_h(); ++oy)
            for (std::int64_t ox = 0; ox < s.out_w(); ++ox) {
                const Real* grad = dy + ((image * s.out_h() + oy) * s.out_w() + ox) * s.o;
                for_each_tap(s, image, oy, ox, [&](std::int64_t tap, std::int64_t pixel) {
                    for (std::int64_t g = 0; g < s.groups; ++g)
                        for (std::int64_t c = 0; c < s.group_c(); ++c) {
                            const Real* w = weight + (tap * s.group_c() + c) * s.o + g * s.group_o();
                            Real sum = 0;
                            for (std::int64_t o = 0; o < s.group_o(); ++o) sum += grad[g * s.group_o() + o] * w[o];
                            dx[pixel * s.c + g * s.group_c() + c] += sum;
                        }
                });
            }
    });
}

void reference::conv2d_grad_weight(const ConvShape& s, const Real* x, const Real* dy, Real* dw) {
    // One tile per kernel tap: each owns its part of dw.
    parallel_for(s.kh * s.kw, [&](std::int64_t mine) {
        std::fill_n(dw + mine * s.group_c() * s.o, s.group_c() * s.o, Real(0));
        for (std::int64_t p = 0; p < s.out_pixels(); ++p) {
            const std::int64_t image = p / (s.out_h() * s.out_w()), oy = p / s.out_w() % s.out_h(), ox = p % s.out_w();
            for_each_tap(s, image, oy, ox, [&](std::int64_t tap, std::int64_t pixel) {
                if (tap != mine) return;
                for (std::int64_t g = 0; g < s.groups; ++g)
                    for (std::int64_t c = 0; c < s.group_c(); ++c) {
                        const Real value = x[pixel * s.c + g * s.group_c() + c];
                        const Real* grad = dy + p * s.o + g * s.group_o();
                        Real* w = dw + (tap * s.group_c() + c) * s.o + g * s.group_o();
                        for (std::int64_t o = 0; o < s.group_o(); ++o) w[o] += value * grad[o];
                    }
            });
        }
    });
}

namespace {

// In double the twins do the work.
#if defined(SOLOBOX_DOUBLE)
#define IF_FAST(call)
#else
#define IF_FAST(call) \
    if (active_kernels() != Kernels::reference) return solobox::fast::call
#endif

// The twins read plain numbers: what is to be activated on the way is activated first.
class WorkedOut {
public:
    WorkedOut(const ConvShape& s, const Source<Real>& x) : data_(x.x) {
        if (x.plain()) return;
        const std::int64_t pixels = s.h * s.w;
        block_ = pool::allocate(s.n * pixels * s.c * static_cast<std::int64_t>(sizeof(Real)));
        Real* to = reinterpret_cast<Real*>(block_.get());
        for (std::int64_t n = 0; n < s.n; ++n)
            row_kernels(Real{}).affine(pixels, s.c, x.x + n * pixels * s.c, x.scale_of(n), x.shift_of(n), x.act,
                                       to + n * pixels * s.c);
        data_ = to;
    }
    const Real* data() const { return data_; }

private:
    Block block_;
    const Real* data_;
};

}  // namespace

void conv2d_forward(const ConvShape& s, const Source<Real>& x, const Real* weight, const Real* bias, Real* y,
                    [[maybe_unused]] const Real* packed) {
    IF_FAST(conv2d_forward(s, x, weight, bias, y, packed));
    reference::conv2d_forward(s, WorkedOut(s, x).data(), weight, bias, y);
}
Block conv2d_pack_weights([[maybe_unused]] const ConvShape& s, [[maybe_unused]] const Real* weight) {
    IF_FAST(conv2d_pack_weights(s, weight));
    return nullptr;
}
void conv2d_grad_input(const ConvShape& s, const Real* dy, const Real* weight, Real* dx) {
    IF_FAST(conv2d_grad_input(s, dy, weight, dx));
    reference::conv2d_grad_input(s, dy, weight, dx);
}
void conv2d_grad_weight(const ConvShape& s, const Source<Real>& x, const Real* dy, Real* dw) {
    IF_FAST(conv2d_grad_weight(s, x, dy, dw));
    reference::conv2d_grad_weight(s, WorkedOut(s, x).data(), dy, dw);
}

#undef IF_FAST

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
