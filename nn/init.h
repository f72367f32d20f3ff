// How weights start. Every tensor draws from its own counter-based sequence, so adding a layer does not shift the rest.
#pragma once

#include <cstdint>

#include "tensor/parameter.h"
#include "tensor/random.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// Hands out one independent sequence per tensor, in the order of construction.
class Initializer {
public:
    explicit Initializer(std::uint64_t seed) : seed_(seed) {}
    Random next() { return Random({seed_, Stream::init, 0, 0, count_++}); }

private:
    std::uint64_t seed_;
    std::uint32_t count_ = 0;
};

Tensor uniform(const Shape& shape, double lo, double hi, Random random);
Tensor normal(const Shape& shape, double mean, double deviation, Random random);
// PyTorch's default for convolutions and linears, weights and biases alike: uniform in +-1 / sqrt(fan_in).
Tensor fan_in_uniform(const Shape& shape, std::int64_t fan_in, Random random);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
