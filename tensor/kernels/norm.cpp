#include "tensor/kernels/norm.h"

#include <algorithm>
#include <vector>

#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/parallel.h"

namespace solobox::inline SOLOBOX_PRECISION {
namespace {

// Rows are cut into chunks of fixed size, each summed in Real, the chunks added in double in their order. Short chunks
// keep the rounding of float sums small; fixed ones keep the bits independent of threads and batch.
constexpr std::int64_t chunk_rows = 256;

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
    void merge(const std::vector<Real>& partial, double* sum) const {
        for (std::int64_t image = 0; image < s.n; ++image)
            for (std::int64_t c = 0; c < s.c; ++c) {
                double total = 0;
                for (std::int64_t k = 0; k < per_image; ++k)
                    total += static_cast<double>(partial[static_cast<std::size_t>((image * per_image + k) * s.c + c)]);
                sum[image * s.c + c] = total;
            }
    }
    std::vector<Real> partials() const { return std::vector<Real>(static_cast<std::size_t>(s.n * per_image * s.c)); }
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

void channel_square_sum(const ChannelRows& s, const Real* x, const Real* mean, double* sum) {
    const Chunks chunks{s};
    const auto& kernels = row_kernels(Real{});
    auto partial = chunks.partials();
    chunks.run([&](std::int64_t image, std::int64_t begin, std::int64_t end, std::int64_t t) {
        kernels.square_sum(end - begin, s.c, x + (image * s.rows + begin) * s.c, mean + image * s.c,
                           partial.data() + t * s.c);
    });
    chunks.merge(partial, sum);
}

void channel_affine(const ChannelRows& s, const Real* x, const Real* scale, const Real* shift, Real slope, Real* y) {
    const auto& kernels = row_kernels(Real{});
    Chunks{s}.run([&](std::int64_t image, std::int64_t begin, std::int64_t end, std::int64_t) {
        const std::int64_t at = (image * s.rows + begin) * s.c, c = image * s.c;
        kernels.affine(end - begin, s.c, x + at, scale + c, shift + c, slope, y + at);
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
