#include "tensor/kernels/norm.h"

#include <algorithm>
#include <vector>

#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/parallel.h"
#include "tensor/pool.h"

namespace solobox::inline SOLOBOX_PRECISION {
namespace {

// Rows are cut into chunks of fixed size, each summed in Real, the chunks added in double in their order. Short chunks
// keep the rounding of float sums small; fixed ones keep the bits independent of threads and batch.
constexpr std::int64_t chunk_rows = 256;

struct Chunks {
    const ChannelRows& s;
    std::int64_t per_image = (s.rows + chunk_rows - 1) / chunk_rows;

    // One sum per chunk and channel, all 0. From the pool: the C library would give such sizes back to the system.
    class Partials {
    public:
        explicit Partials(std::int64_t count)
            : block_(pool::allocate(count * static_cast<std::int64_t>(sizeof(Real)))) {
            std::fill_n(data(), count, Real(0));
        }
        Real* data() const { return reinterpret_cast<Real*>(block_.get()); }
        Real operator[](std::int64_t i) const { return data()[i]; }

    private:
        Block block_;
    };
    // body(image, first row, last row, chunk number)
    template <class Body>
    void run(Body body) const {
        parallel_for(s.n * per_image, [&](std::int64_t t) {
            const std::int64_t image = t / per_image, begin = t % per_image * chunk_rows;
            body(image, begin, std::min(s.rows, begin + chunk_rows), t);
        });
    }
    void merge(const Partials& partial, double* sum) const {
        for (std::int64_t image = 0; image < s.n; ++image)
            for (std::int64_t c = 0; c < s.c; ++c) {
                double total = 0;
                for (std::int64_t k = 0; k < per_image; ++k)
                    total += static_cast<double>(partial[(image * per_image + k) * s.c + c]);
                sum[image * s.c + c] = total;
            }
    }
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

void channel_affine(const ChannelRows& s, const Real* x, const Real* scale, const Real* shift, Real slope, Real* y) {
    const auto& kernels = row_kernels(Real{});
    Chunks{s}.run([&](std::int64_t image, std::int64_t begin, std::int64_t end, std::int64_t) {
        const std::int64_t at = (image * s.rows + begin) * s.c, c = image * s.c;
        kernels.affine(end - begin, s.c, x + at, scale + c, shift + c, slope, y + at);
    });
}

void channel_add(const ChannelRows& s, const Source<Real>& x, const Source<Real>& add, Real slope, Real* y) {
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
                           shift(add, image), slope, y + at);
    });
}

void activation_grad(std::int64_t n, const Real* dy, const Real* x, Real slope, Real* dx) {
    const auto& kernels = row_kernels(Real{});
    parallel_ranges(n, [&](std::int64_t begin, std::int64_t end) {
        kernels.slope_grad(end - begin, dy + begin, x + begin, slope, dx + begin);
    });
}

void channel_grad_sums(const ChannelRows& s, const Real* dy, const Real* x, const Real* scale, const Real* shift,
                       Real slope, const Real* mean, double* dz_sum, double* dot) {
    const Chunks chunks{s};
    const auto& kernels = row_kernels(Real{});
    auto partial_sum = chunks.partials(), partial_dot = chunks.partials();
    chunks.run([&](std::int64_t image, std::int64_t begin, std::int64_t end, std::int64_t t) {
        const std::int64_t at = (image * s.rows + begin) * s.c, c = image * s.c;
        kernels.grad_sums(end - begin, s.c, dy + at, x + at, scale + c, shift + c, slope, mean + c,
                          partial_sum.data() + t * s.c, partial_dot.data() + t * s.c);
    });
    chunks.merge(partial_sum, dz_sum);
    chunks.merge(partial_dot, dot);
}

void channel_grad_input(const ChannelRows& s, const Real* dy, const Real* x, const Real* scale, const Real* shift,
                        Real slope, const Real* mean, const Real* a, const Real* b, const Real* d, Real* dx) {
    const auto& kernels = row_kernels(Real{});
    Chunks{s}.run([&](std::int64_t image, std::int64_t begin, std::int64_t end, std::int64_t) {
        const std::int64_t at = (image * s.rows + begin) * s.c, c = image * s.c;
        kernels.grad_input(end - begin, s.c, dy + at, x + at, scale + c, shift + c, slope, mean + c, a + c, b + c,
                           d + c, dx + at);
    });
}

}  // namespace solobox::inline SOLOBOX_PRECISION
