#include "tensor/tensor.h"

#include <cmath>
#include <vector>

#include "tensor/kernels/parallel.h"

namespace solobox::inline SOLOBOX_PRECISION {

double max_abs(const Tensor& x) {
    double largest = 0;
    for (std::int64_t i = 0; i < x.numel(); ++i) {
        const double v = std::abs(static_cast<double>(x[i]));
        if (!(v <= largest)) largest = v;  // also when v is NaN
        if (std::isnan(largest)) break;
    }
    return largest;
}

double norm(const Tensor& x) {
    // Tiles of fixed size, summed in their order: the same bits for every number of threads.
    constexpr std::int64_t tile = 1 << 15;
    const std::int64_t tiles = (x.numel() + tile - 1) / tile;
    std::vector<double> partial(static_cast<std::size_t>(tiles));
    const Real* data = x.data();
    parallel_for(tiles, [&](std::int64_t t) {
        const std::int64_t end = std::min(x.numel(), (t + 1) * tile);
        double lanes[8] = {};  // independent sums, so that the additions overlap
        for (std::int64_t i = t * tile; i < end; ++i) {
            const double v = static_cast<double>(data[i]);
            lanes[i & 7] += v * v;
        }
        double sum = 0;
        for (const double lane : lanes) sum += lane;
        partial[static_cast<std::size_t>(t)] = sum;
    });
    double sum = 0;
    for (const double p : partial) sum += p;
    return std::sqrt(sum);
}

bool all_finite(const Tensor& x) {
    const Real* data = x.data();
    // x - x is 0 for every finite x and NaN for the others; the sum keeps a NaN.
    Real sum = 0;
    for (std::int64_t i = 0, n = x.numel(); i < n; ++i) sum += data[i] - data[i];
    return sum == 0;
}

}  // namespace solobox::inline SOLOBOX_PRECISION
