#include "nn/init.h"

#include <cmath>

namespace solobox {
inline namespace SOLOBOX_PRECISION {

Tensor uniform(const Shape& shape, double lo, double hi, Random random) {
    Tensor t(shape);
    for (std::int64_t i = 0; i < t.numel(); ++i) t.mutable_data()[i] = static_cast<Real>(random.uniform(lo, hi));
    return t;
}

Tensor normal(const Shape& shape, double mean, double deviation, Random random) {
    Tensor t(shape);
    for (std::int64_t i = 0; i < t.numel(); ++i)
        t.mutable_data()[i] = static_cast<Real>(mean + deviation * random.normal());
    return t;
}

Tensor fan_in_uniform(const Shape& shape, std::int64_t fan_in, Random random) {
    const double bound = 1 / std::sqrt(static_cast<double>(fan_in));
    return uniform(shape, -bound, bound, random);
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
