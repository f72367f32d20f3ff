#include "tensor/kernels/norm.h"

#include <algorithm>
#include <vector>

#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/parallel.h"
#include "tensor/pool.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

// Rows are cut into chunks of fixed size, each summed in Real, the chunks added in double in their order. Short chunks
// keep the rounding of float sums small; fixed ones keep the bits independent of threads and batch.
constexpr std::int64_t chunk_rows = 256;

// One sum per chunk and channel, all 0. From the pool: the C library would give such sizes back to the system.
class Partials {
public:
    explicit Partials(std::int64_t count) : block_(pool::allocate(count * static_cast<std::int64_t>(sizeof(Real)))) {
        std::fill_n(data(), count, Real(0));
    }
    Real* data() const { return reinterpret_cast<Real*>(block_.get()); }
    Real operator[](std::int64_t i) const { return data()[i]; }

private:
    Block block_;
};

// sum (n, c) over the `per_result` chunks of each
void merge_partials(std::int64_t n, std::int64_t per_result, std::int64_t c, const Partials& partial, double* sum) {
    for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t k = 0; k < c; ++k) {
            double total = 0;
            for (std::int64_t chunk = 0; chunk < per_result; ++chunk)
                total += static_cast<double>(partial[(i * per_result + chunk) * c + k]);
            sum[i * c + k] = total;
        }
}

struct Chunks {
    const ChannelRows& s;
    std::int64_t per_image = (s.rows + chunk_rows - 1) / chunk_rows;

    // body(image, first row, last row, chunk number)
    template <class Body>
    void run(Body body) const {
        parallel_for(s.n * per_image, [&](std::int64_t t) {
            const std::int64_t image = t / per_image, begin = t % per_image * chunk_rows;
            body(image, begin, std::min(s.rows, begin + chunk_rows), t);
        });
    }
    void merge(const Partials& partial, double* sum) const { merge_partials(s.n, per_image, s.c, partial, sum); }
    Partials partials() const { return Partials(s.n * per_image * s.c); }
};

}  // namespace

void channel_sum(const ChannelRows& s, const Real* x, double* sum) {
    const Chunks chunks{s};
    const auto& kernels = row_kernels(Real{});
    auto partial = chunks.partials();
    chunks.run([&](std::int64_t image, std::int64_t begin, std::int64_t end, std::int64_t t) {
        kernels.sum(end - begin, s.c, x + (image * s.rows + begin) * s.c, partial.data() + t * s.c);
    });
    chunks.merge(partial, sum);
}

void channel_moments(const ChannelRows& s, const Real* x, double* sum, double* square) {
    const Chunks chunks{s};
    const auto& kernels = row_kernels(Real{});
    auto origin = chunks.partials(), partial_sum = chunks.partials(), partial_square = chunks.partials();
    // Two looks at each chunk while it is in the cache: its mean, then the distances from that, whose squares lose no
    // digits and whose sum mends the mean's rounding. Chunks are joined by the parallel rule (Chan, Golub and LeVeque
    // 1983) in double.
    chunks.run([&](std::int64_t image, std::int64_t begin, std::int64_t end, std::int64_t t) {
        const Real* rows = x + (image * s.rows + begin) * s.c;
        Real* mean = origin.data() + t * s.c;
        kernels.sum(end - begin, s.c, rows, mean);
        for (std::int64_t c = 0; c < s.c; ++c) mean[c] /= static_cast<Real>(end - begin);
        kernels.moments(end - begin, s.c, rows, mean, partial_sum.data() + t * s.c, partial_square.data() + t * s.c);
    });
    for (std::int64_t image = 0; image < s.n; ++image)
        for (std::int64_t c = 0; c < s.c; ++c) {
            double count = 0, mean = 0, m2 = 0;
            for (std::int64_t k = 0; k < chunks.per_image; ++k) {
                const std::int64_t begin = k * chunk_rows, n = std::min(chunk_rows, s.rows - begin);
                const std::int64_t at = (image * chunks.per_image + k) * s.c + c;
                const double rows = static_cast<double>(n), offset = static_cast<double>(partial_sum[at]) / rows;
                const double here = static_cast<double>(origin[at]) + offset;
                const double apart = here - mean, total = count + rows;
                m2 += static_cast<double>(partial_square[at]) - rows * offset * offset +
                      apart * apart * count * rows / total;
                mean += apart * rows / total;
                count = total;
            }
            sum[image * s.c + c] = mean * count;
            square[image * s.c + c] = std::max(m2, 0.0);
        }
}

void channel_affine(const ChannelRows& s, const Real* x, const Real* scale, const Real* shift, const Act& act,
                    Real* y) {
    const auto& kernels = row_kernels(Real{});
    Chunks{s}.run([&](std::int64_t image, std::int64_t begin, std::int64_t end, std::int64_t) {
        const std::int64_t at = (image * s.rows + begin) * s.c, c = image * s.c;
        kernels.affine(end - begin, s.c, x + at, scale + c, shift + c, act, y + at);
    });
}

void channel_add(const ChannelRows& s, const Source<Real>& x, const Source<Real>& add, const Act& act, Real* y) {
    const std::vector<Real> ones(static_cast<std::size_t>(s.c), Real(1)), zeros(ones.size(), Real(0));
    const auto scale = [&](const Source<Real>& from, std::int64_t n) {
        return from.plain() ? ones.data() : from.scale_of(n);
    };
    const auto shift = [&](const Source<Real>& from, std::int64_t n) {
        return from.plain() ? zeros.data() : from.shift_of(n);
    };
    const auto& kernels = row_kernels(Real{});
    Chunks{s}.run([&](std::int64_t image, std::int64_t begin, std::int64_t end, std::int64_t) {
        const std::int64_t at = (image * s.rows + begin) * s.c;
        kernels.affine_sum(end - begin, s.c, x.x + at, scale(x, image), shift(x, image), add.x + at, scale(add, image),
                           shift(add, image), act, y + at);
    });
}

void activation_grad(std::int64_t n, const Real* dy, const Real* x, const Act& act, Real* dx) {
    const auto& kernels = row_kernels(Real{});
    parallel_ranges(n, [&](std::int64_t begin, std::int64_t end) {
        kernels.act_grad(end - begin, dy + begin, x + begin, act, dx + begin);
    });
}

void channel_grad_sums(const ChannelRows& s, const Real* dy, const Real* x, const Real* scale, const Real* shift,
                       const Act& act, const Real* mean, double* dz_sum, double* dot) {
    const Chunks chunks{s};
    const auto& kernels = row_kernels(Real{});
    auto partial_sum = chunks.partials(), partial_dot = chunks.partials();
    chunks.run([&](std::int64_t image, std::int64_t begin, std::int64_t end, std::int64_t t) {
        const std::int64_t at = (image * s.rows + begin) * s.c, c = image * s.c;
        kernels.grad_sums(end - begin, s.c, dy + at, x + at, scale + c, shift + c, act, mean + c,
                          partial_sum.data() + t * s.c, partial_dot.data() + t * s.c);
    });
    chunks.merge(partial_sum, dz_sum);
    chunks.merge(partial_dot, dot);
}

void channel_grad_input(const ChannelRows& s, const Real* dy, const Real* x, const Real* scale, const Real* shift,
                        const Act& act, const Real* mean, const Real* a, const Real* b, const Real* d, Real* dx) {
    const auto& kernels = row_kernels(Real{});
    Chunks{s}.run([&](std::int64_t image, std::int64_t begin, std::int64_t end, std::int64_t) {
        const std::int64_t at = (image * s.rows + begin) * s.c, c = image * s.c;
        kernels.grad_input(end - begin, s.c, dy + at, x + at, scale + c, shift + c, act, mean + c, a + c, b + c, d + c,
                           dx + at);
    });
}

namespace {

// Rows of windows, a few at a time: body(image, first row, last row, chunk), chunks of an image one after the other.
struct WindowRows {
    const PoolShape& p;
    std::int64_t rows = std::max<std::int64_t>(1, chunk_rows / (p.kh * p.w));
    std::int64_t per_image = (p.out_h() + rows - 1) / rows;

    template <class Body>
    void run(Body body) const {
        parallel_for(p.n * per_image, [&](std::int64_t t) {
            const std::int64_t begin = t % per_image * rows;
            body(t / per_image, begin, std::min(p.out_h(), begin + rows), t);
        });
    }
    std::int64_t pixel(std::int64_t image, std::int64_t row) const { return (image * p.h + row * p.kh) * p.w * p.c; }
    std::int64_t window(std::int64_t image, std::int64_t row) const {
        return (image * p.out_h() + row) * p.out_w() * p.c;
    }
};

}  // namespace

void pooled_grad_sums(const ChannelRows& s, const PoolShape& p, const Real* dy, const std::uint16_t* winner,
                      const Real* x, const Real* scale, const Real* shift, const Act& act, const Real* mean,
                      double* dz_sum, double* dot) {
    const WindowRows windows{p};
    const auto& kernels = row_kernels(Real{});
    const Partials partial_sum(p.n * windows.per_image * s.c), partial_dot(p.n * windows.per_image * s.c);
    windows.run([&](std::int64_t image, std::int64_t begin, std::int64_t end, std::int64_t t) {
        const std::int64_t c = s.n == 1 ? 0 : image * s.c;
        for (std::int64_t row = begin; row < end; ++row) {
            const std::int64_t at = windows.window(image, row);
            kernels.pooled_grad_sums(p.out_w(), s.c, p.kh, p.kw, p.w * s.c, dy + at, winner + at,
                                     x + windows.pixel(image, row), scale + c, shift + c, act, mean + c,
                                     partial_sum.data() + t * s.c, partial_dot.data() + t * s.c);
        }
    });
    const std::int64_t per_result = windows.per_image * (s.n == 1 ? p.n : 1);
    merge_partials(s.n, per_result, s.c, partial_sum, dz_sum);
    merge_partials(s.n, per_result, s.c, partial_dot, dot);
}

void pooled_grad_input(const ChannelRows& s, const PoolShape& p, const Real* dy, const std::uint16_t* winner,
                       const Real* x, const Real* scale, const Real* shift, const Act& act, const Real* mean,
                       const Real* a, const Real* b, const Real* d, Real* dx) {
    const WindowRows windows{p};
    const auto& kernels = row_kernels(Real{});
    windows.run([&](std::int64_t image, std::int64_t begin, std::int64_t end, std::int64_t) {
        const std::int64_t c = s.n == 1 ? 0 : image * s.c;
        for (std::int64_t row = begin; row < end; ++row) {
            const std::int64_t at = windows.window(image, row), from = windows.pixel(image, row);
            kernels.pooled_grad_input(p.out_w(), s.c, p.kh, p.kw, p.w * s.c, dy + at, winner + at, x + from, scale + c,
                                      shift + c, act, mean + c, a + c, b + c, d + c, dx + from);
        }
    });
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
