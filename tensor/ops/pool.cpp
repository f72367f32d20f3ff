#include "tensor/ops/pool.h"

#include <cmath>

#include "tensor/kernels/parallel.h"
#include "tensor/kernels/pool.h"
#include "tensor/pending.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

Var max_pool2d(const Var& x, const PoolSpec& spec) {
    check(x.rank() == 4, "[max_pool2d] input is {}, expected (N, H, W, C)", x.shape().str());
    check(spec.kernel.h >= 1 && spec.kernel.w >= 1 && spec.stride.h >= 1 && spec.stride.w >= 1 &&
              spec.dilation.h >= 1 && spec.dilation.w >= 1,
          "[max_pool2d] kernel, stride and dilation must be at least 1");
    check(spec.padding.h >= 0 && spec.padding.w >= 0 && 2 * spec.padding.h <= spec.kernel.h &&
              2 * spec.padding.w <= spec.kernel.w,
          "[max_pool2d] padding {}x{} must be at most half of the kernel {}x{}", spec.padding.h, spec.padding.w,
          spec.kernel.h, spec.kernel.w);
    check(checked_mul(spec.kernel.h, spec.kernel.w) <= 65535, "[max_pool2d] windows of more than 65535 elements");
    const PoolShape s{x.dim(0),        x.dim(1),        x.dim(2),      x.dim(3),       spec.kernel.h,
                      spec.kernel.w,   spec.stride.h,   spec.stride.w, spec.padding.h, spec.padding.w,
                      spec.dilation.h, spec.dilation.w, spec.ceil_mode};
    check(s.out_h() >= 1 && s.out_w() >= 1, "[max_pool2d] a {}x{} window does not fit into input {}", s.kh, s.kw,
          x.shape().str());
    const Shape out{s.n, s.out_h(), s.out_w(), s.c};
    Tensor y(out);
    Array<std::uint16_t> winner(out);
    max_pool_forward(s, x.operand().source(), y.mutable_data(), winner.mutable_data());
    const Pending* pending = x.operand().pending();
    if (pending && pending->origin && s.tiles_input())
        return record("max_pool2d", y, pending->origin->inputs,
                      [s, y, winner, back = pending->origin->backward](const Tensor& dy) -> Grads {
                          return back({s, dy, y, winner});
                      });
    return record("max_pool2d", y, {x}, [s, winner, from = x.shape()](const Tensor& dy) -> Grads {
        Tensor dx(from);
        max_pool_backward(s, dy.data(), winner.data(), dx.mutable_data());
        return {dx};
    });
}

namespace {

// A linear map along one axis: output position i = sum of weight * input position. Averages and bilinear resampling
// are a product of two of them, rows and columns.
struct AxisMap {
    struct Term {
        std::int64_t from;
        double weight;
    };
    std::vector<std::vector<Term>> terms;  // one list per output position
};

// y(n, i, j, c) = sum_ij rows.weight * cols.weight * x
Var resample(const char* op, const Var& x, const AxisMap& rows, const AxisMap& cols) {
    const std::int64_t h = x.dim(1), w = x.dim(2), channels = x.dim(3);
    const Shape out{x.dim(0), static_cast<std::int64_t>(rows.terms.size()),
                    static_cast<std::int64_t>(cols.terms.size()), channels};
    // body(input offset, output offset, weight) for every pair of one image
    const auto each = [=](std::int64_t image, auto body) {
        for (std::size_t i = 0; i < rows.terms.size(); ++i)
            for (std::size_t j = 0; j < cols.terms.size(); ++j)
                for (const auto& r : rows.terms[i])
                    for (const auto& c : cols.terms[j])
                        body(((image * h + r.from) * w + c.from) * channels,
                             ((image * out[1] + static_cast<std::int64_t>(i)) * out[2] + static_cast<std::int64_t>(j)) *
                                 channels,
                             static_cast<Real>(r.weight * c.weight));
    };
    Tensor y = Tensor::zeros(out);
    const Tensor& input = x.value();  // made here when it is pending: never by two threads at once
    parallel_for(out[0], [&](std::int64_t image) {
        const Real* from = input.data();
        Real* to = y.mutable_data();
        each(image, [=](std::int64_t a, std::int64_t b, Real weight) {
            for (std::int64_t c = 0; c < channels; ++c) to[b + c] += weight * from[a + c];
        });
    });
    return record(op, y, {x}, [=, from = x.shape()](const Tensor& dy) -> Grads {
        Tensor dx = Tensor::zeros(from);
        parallel_for(from[0], [&](std::int64_t image) {
            const Real* g = dy.data();
            Real* to = dx.mutable_data();
            each(image, [=](std::int64_t a, std::int64_t b, Real weight) {
                for (std::int64_t c = 0; c < channels; ++c) to[a + c] += weight * g[b + c];
            });
        });
        return {dx};
    });
}

}  // namespace

Var avg_pool2d(const Var& x, const AvgPoolSpec& spec) {
    check(x.rank() == 4, "[avg_pool2d] input is {}, expected (N, H, W, C)", x.shape().str());
    const PoolShape s{
        x.dim(0),       x.dim(1),       x.dim(2), x.dim(3), spec.kernel.h, spec.kernel.w, spec.stride.h, spec.stride.w,
        spec.padding.h, spec.padding.w, 1,        1,        spec.ceil_mode};
    check(s.kh >= 1 && s.kw >= 1 && s.stride_h >= 1 && s.stride_w >= 1 && 2 * s.pad_h <= s.kh && 2 * s.pad_w <= s.kw,
          "[avg_pool2d] kernel and stride must be at least 1, padding at most half of the kernel");
    check(s.out_h() >= 1 && s.out_w() >= 1, "[avg_pool2d] a {}x{} window does not fit into input {}", s.kh, s.kw,
          x.shape().str());
    // The divisor of a window is a product of its sides, unless it is given outright.
    const auto axis = [&](std::int64_t in, std::int64_t out, std::int64_t k, std::int64_t stride, std::int64_t pad) {
        AxisMap map;
        for (std::int64_t i = 0; i < out; ++i) {
            const std::int64_t begin = i * stride - pad, end = std::min(begin + k, in + pad);
            const std::int64_t first = std::max<std::int64_t>(begin, 0), last = std::min(end, in);
            double divisor = static_cast<double>(spec.count_include_pad ? end - begin : last - first);
            if (spec.divisor_override) divisor = std::sqrt(static_cast<double>(spec.divisor_override));
            map.terms.emplace_back();
            for (std::int64_t p = first; p < last; ++p) map.terms.back().push_back({p, 1 / divisor});
        }
        return map;
    };
    return resample("avg_pool2d", x, axis(s.h, s.out_h(), s.kh, s.stride_h, s.pad_h),
                    axis(s.w, s.out_w(), s.kw, s.stride_w, s.pad_w));
}

Var adaptive_avg_pool2d(const Var& x, Pair output) {
    check(x.rank() == 4, "[adaptive_avg_pool2d] input is {}, expected (N, H, W, C)", x.shape().str());
    check(output.h >= 1 && output.w >= 1 && x.dim(1) >= 1 && x.dim(2) >= 1,
          "[adaptive_avg_pool2d] {} to {}x{}: sizes must be at least 1", x.shape().str(), output.h, output.w);
    if (x.dim(1) == output.h && x.dim(2) == output.w) return x;
    const auto axis = [](std::int64_t in, std::int64_t out) {
        AxisMap map;
        for (std::int64_t i = 0; i < out; ++i) {
            const std::int64_t begin = i * in / out, end = ((i + 1) * in + out - 1) / out;
            map.terms.emplace_back();
            for (std::int64_t p = begin; p < end; ++p)
                map.terms.back().push_back({p, 1 / static_cast<double>(end - begin)});
        }
        return map;
    };
    return resample("adaptive_avg_pool2d", x, axis(x.dim(1), output.h), axis(x.dim(2), output.w));
}

Var interpolate(const Var& x, const InterpolateSpec& spec) {
    check(x.rank() == 4, "[interpolate] input is {}, expected (N, H, W, C)", x.shape().str());
    const bool scaled = spec.scale_h > 0 && spec.scale_w > 0;
    check(scaled != (spec.size.h > 0 && spec.size.w > 0), "[interpolate] give either a size or a scale");
    const auto axis = [&](std::int64_t in, std::int64_t size, double scale) {
        const std::int64_t out = scaled ? static_cast<std::int64_t>(std::floor(static_cast<double>(in) * scale)) : size;
        check(out >= 1 && in >= 1, "[interpolate] {} becomes empty", x.shape().str());
        const double ratio = scaled ? 1 / scale : static_cast<double>(in) / static_cast<double>(out);
        AxisMap map;
        for (std::int64_t i = 0; i < out; ++i) {
            map.terms.emplace_back();
            if (spec.mode == Resample::nearest) {
                const auto p = static_cast<std::int64_t>(std::floor(static_cast<double>(i) * ratio));
                map.terms.back().push_back({std::min(p, in - 1), 1.0});
                continue;
            }
            double source = std::max(0.0, (static_cast<double>(i) + 0.5) * ratio - 0.5);
            if (spec.align_corners)
                source =
                    out > 1 ? static_cast<double>(i) * static_cast<double>(in - 1) / static_cast<double>(out - 1) : 0;
            const std::int64_t lower = std::min(static_cast<std::int64_t>(source), in - 1);
            const double part = std::min(source - static_cast<double>(lower), 1.0);
            map.terms.back().push_back({lower, 1 - part});
            map.terms.back().push_back({std::min(lower + 1, in - 1), part});
        }
        return map;
    };
    return resample("interpolate", x, axis(x.dim(1), spec.size.h, spec.scale_h),
                    axis(x.dim(2), spec.size.w, spec.scale_w));
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
