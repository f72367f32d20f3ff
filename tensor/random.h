// Randomness as a function: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
//
// A draw depends on (seed, stream, epoch, sample, op, position) and on nothing that happened before it. So the number
// of workers or threads, the order of batches and a resume cannot shift it.
#pragma once

#include <array>
#include <cstdint>

namespace solobox {

// What the numbers are for: two streams never share a draw.
enum class Stream : std::uint32_t { init = 1, order = 2, augment = 3, dropout = 4, test = 5, data = 6, resample = 7 };

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

struct RandomKey {
    std::uint64_t seed = 0;
    Stream stream = Stream::init;
    std::uint32_t epoch = 0;
    std::uint32_t sample = 0;
    std::uint32_t op = 0;
};

// A sequence of draws under one key. Cheap to make: make one wherever draws are needed.
class Random {
public:
    explicit Random(const RandomKey& key);
    std::uint32_t next();  // 32 uniform bits
    double uniform();      // [0, 1), 32 bits
    double uniform(double lo, double hi) { return lo + (hi - lo) * uniform(); }
    double normal();                     // mean 0, variance 1 (Box-Muller)
    std::int64_t below(std::int64_t n);  // 0 .. n-1, unbiased; n >= 1

private:
    RandomKey key_;
    std::uint32_t position_ = 0;
    std::array<std::uint32_t, 4> buffer_{};
    int used_ = 4;
    double spare_ = 0;
    bool has_spare_ = false;
};

// A random permutation of 0 .. n-1 (Fisher-Yates).
void shuffle(std::int64_t* values, std::int64_t n, Random& random);

}  // namespace solobox
