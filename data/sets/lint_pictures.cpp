// See lint_pictures.h.
#include "data/sets/lint_pictures.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "data/text.h"
#include "tensor/kernels/parallel.h"

namespace solobox {

Fingerprint fingerprint(const Image& image) {
    Fingerprint out{0x9E3779B97F4A7C15ULL ^ static_cast<std::uint64_t>(image.width),
                    0xC2B2AE3D27D4EB4FULL ^ static_cast<std::uint64_t>(image.height)};
    const auto mix = [&](std::uint64_t word) {
        out[0] = (out[0] ^ word) * 0xFF51AFD7ED558CCDULL;
        out[0] ^= out[0] >> 32U;
        out[1] = (out[1] + word) * 0xC4CEB9FE1A85EC53ULL;
        out[1] ^= out[1] >> 29U;
    };
    for (std::size_t i = 0; i < image.rgb.size(); i += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, image.rgb.data() + i, std::min<std::size_t>(8, image.rgb.size() - i));
        mix(word);
    }
    return out;
}

Glance glance(const Image& image) {
    constexpr int side = 16;
    std::array<std::int64_t, 256> sum{}, count{};
    // Every second row and column of large pictures: a glance needs no more.
    const int step = std::min(image.width, image.height) >= 128 ? 2 : 1;
    for (int y = 0; y < image.height; y += step) {
        const auto row = static_cast<std::size_t>(static_cast<std::int64_t>(y) * side / image.height) * side;
        const std::uint8_t* p =
            image.rgb.data() + static_cast<std::size_t>(y) * static_cast<std::size_t>(image.width) * 3;
        for (int cell = 0; cell < side; ++cell) {
            const int begin = static_cast<int>(static_cast<std::int64_t>(cell) * image.width / side);
            const int end =
                std::max(static_cast<int>(static_cast<std::int64_t>(cell + 1) * image.width / side), begin + 1);
            std::int64_t part = 0, n = 0;
            for (int x = begin; x < std::min(end, image.width); x += step, ++n) {
                const std::uint8_t* c = p + static_cast<std::size_t>(x) * 3;
                part += c[0] + 2 * c[1] + c[2];
            }
            sum[row + static_cast<std::size_t>(cell)] += part;
            count[row + static_cast<std::size_t>(cell)] += n;
        }
    }
    Glance out;
    std::array<std::int64_t, 64> coarse{};
    std::int64_t all = 0;
    for (std::size_t i = 0; i < 256; ++i) {
        // Pictures of fewer rows than cells leave some empty: like the one before.
        const std::int64_t grey = count[i] > 0 ? sum[i] / (4 * count[i]) : i >= side ? out.cells[i - side] : 0;
        out.cells[i] = static_cast<std::uint8_t>(grey);
        coarse[(i / 32) * 8 + (i % 16) / 2] += grey;
        all += grey;
    }
    for (std::size_t i = 0; i < 64; ++i)
        if (coarse[i] * 64 > all) out.bright |= std::uint64_t{1} << i;
    return out;
}

bool nearly_equal(const Glance& a, const Glance& b) {
    constexpr int most_cells = 3, most_grey = 18, contrast = 3;
    if (std::popcount(a.bright ^ b.bright) > most_cells) return false;
    int apart = 0, mean = 0, deviation = 0;
    for (std::size_t i = 0; i < 256; ++i) apart += std::abs(int{a.cells[i]} - int{b.cells[i]}), mean += a.cells[i];
    for (std::size_t i = 0; i < 256; ++i) deviation += std::abs(int{a.cells[i]} - mean / 256);
    // Pictures without much in them are all alike to a glance: they must agree the better.
    return apart <= most_grey * 256 && contrast * apart <= deviation;
}

std::vector<std::size_t> nearly_equal_pairs(const std::vector<Glance>& all, const std::vector<std::size_t>& train,
                                            const std::vector<std::size_t>& val) {
    std::vector<std::size_t> twin(val.size(), SIZE_MAX);
    parallel_for(std::ssize(val), [&](std::int64_t tile) {
        const auto v = static_cast<std::size_t>(tile);
        for (const std::size_t t : train)
            if (nearly_equal(all[t], all[val[v]])) {
                twin[v] = t;
                break;
            }
    });
    return twin;
}

std::string flaw_of_mask(const std::string& path, const ImageLimits& limits) {
    const Image mask = read_image(path, limits);
    std::int64_t between = 0, inside = 0;
    const auto pixels = static_cast<std::int64_t>(mask.rgb.size() / 3);
    for (std::size_t i = 0; i < mask.rgb.size(); i += 3) {
        const bool grey = mask.rgb[i] == mask.rgb[i + 1] && mask.rgb[i] == mask.rgb[i + 2];
        between += !grey || (mask.rgb[i] > 8 && mask.rgb[i] < 247 && mask.rgb[i] != 1);
        inside += mask.rgb[i] > 127 || mask.rgb[i] == 1;
    }
    if (between > pixels / 10)
        return fmt::format("{}: {:.0f} % of the mask is neither black nor white: numbers of classes, or a picture",
                           printable(path, 300), 100.0 * static_cast<double>(between) / static_cast<double>(pixels));
    return inside == 0 ? printable(path, 300) + ": the mask is empty" : "";
}

}  // namespace solobox
