#include "tensor/random.h"

#include <cmath>
#include <numbers>
#include <utility>

#include "tensor/check.h"

namespace solobox {

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
    constexpr std::uint64_t m0 = 0xD2511F53, m1 = 0xCD9E8D57;
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t p0 = m0 * counter[0], p1 = m1 * counter[2];
        counter = {static_cast<std::uint32_t>(p1 >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(p1),
                   static_cast<std::uint32_t>(p0 >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(p0)};
        key[0] += 0x9E3779B9;
        key[1] += 0xBB67AE85;
    }
    return counter;
}

Random::Random(const RandomKey& key) : key_(key) {}

std::uint32_t Random::next() {
    if (used_ == 4) {
        const std::uint32_t what = static_cast<std::uint32_t>(key_.stream) << 24 ^ key_.op;
        buffer_ = philox({position_++, key_.sample, key_.epoch, what},
                         {static_cast<std::uint32_t>(key_.seed), static_cast<std::uint32_t>(key_.seed >> 32)});
        used_ = 0;
    }
    return buffer_[static_cast<std::size_t>(used_++)];
}

double Random::uniform() { return next() * 0x1p-32; }

double Random::normal() {
    if (has_spare_) {
        has_spare_ = false;
        return spare_;
    }
    const double radius = std::sqrt(-2 * std::log((next() + 1.0) * 0x1p-32));  // (0, 1]: the logarithm is finite
    const double angle = 2 * std::numbers::pi * uniform();
    spare_ = radius * std::sin(angle);
    has_spare_ = true;
    return radius * std::cos(angle);
}

std::int64_t Random::below(std::int64_t n) {
    check(n >= 1 && n <= (std::int64_t{1} << 32), "a random index needs 1 to 2^32 choices, got {}", n);
    const std::uint64_t count = static_cast<std::uint64_t>(n);
    const std::uint64_t limit = (std::uint64_t{1} << 32) / count * count;  // the rest would favour small numbers
    std::uint64_t draw = next();
    while (draw >= limit) draw = next();
    return static_cast<std::int64_t>(draw % count);
}

void shuffle(std::int64_t* values, std::int64_t n, Random& random) {
    for (std::int64_t i = n - 1; i > 0; --i) std::swap(values[i], values[random.below(i + 1)]);
}

}  // namespace solobox
