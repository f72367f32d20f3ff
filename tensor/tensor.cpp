#include "tensor/tensor.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "tensor/kernels/parallel.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

double max_abs(const Tensor& x) {
    double largest = 0;
    for (std::int64_t i = 0; i < x.numel(); ++i) {
        const double v = std::abs(static_cast<double>(x[i]));
        if (!(v <= largest)) largest = v;  // also when v is NaN
        if (std::isnan(largest)) break;
    }
    return largest;
}

double norm(const Real* data, std::int64_t n) {
    // Tiles of fixed size, summed in their order: the same bits for every number of threads.
    constexpr std::int64_t tile = 1 << 15;
    const std::int64_t tiles = (n + tile - 1) / tile;
    std::vector<double> partial(static_cast<std::size_t>(tiles));
    parallel_for(tiles, [&](std::int64_t t) {
        const std::int64_t end = std::min(n, (t + 1) * tile);
        double lanes[8] = {};  // independent sums, so that the additions overlap and the compiler makes vectors
        std::int64_t i = t * tile;
        for (; i + 8 <= end; i += 8)
            for (int k = 0; k < 8; ++k) {
                const double v = static_cast<double>(data[i + k]);
                lanes[k] += v * v;
            }
        for (int k = 0; i < end; ++i, ++k) lanes[k] += static_cast<double>(data[i]) * static_cast<double>(data[i]);
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

std::uint64_t fingerprint(const Tensor& x) {
    // Tiles hashed apart and combined in order. Each step multiplies by an odd number and folds the high half down.
    constexpr std::uint64_t odd = 0x9E3779B97F4A7C15U;
    constexpr std::int64_t tile = 1 << 16;  // bytes
    const auto mix = [](std::uint64_t hash, std::uint64_t word) {
        hash = (hash ^ word) * odd;
        return hash ^ (hash >> 29);
    };
    const std::int64_t bytes = x.numel() * static_cast<std::int64_t>(sizeof(Real));
    const auto* data = reinterpret_cast<const unsigned char*>(x.data());
    std::vector<std::uint64_t> parts(static_cast<std::size_t>((bytes + tile - 1) / tile));
    parallel_for(static_cast<std::int64_t>(parts.size()), [&](std::int64_t t) {
        std::uint64_t hash = odd;
        for (std::int64_t at = t * tile, end = std::min(bytes, (t + 1) * tile); at < end; at += 8) {
            std::uint64_t word = 0;
            std::memcpy(&word, data + at, static_cast<std::size_t>(std::min<std::int64_t>(8, end - at)));
            hash = mix(hash, word);
        }
        parts[static_cast<std::size_t>(t)] = hash;
    });
    std::uint64_t hash = mix(odd, static_cast<std::uint64_t>(bytes));
    for (const std::uint64_t part : parts) hash = mix(hash, part);
    return hash;
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
