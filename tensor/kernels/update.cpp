#include "tensor/kernels/update.h"

#include <cmath>

#include "tensor/kernels/parallel.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
void sgd_update(std::int64_t n, const SgdStep& s, const Real* g, Real* b, Real* p) {
    const Real lr = static_cast<Real>(s.lr), wd = static_cast<Real>(s.weight_decay), mu = static_cast<Real>(s.momentum);
    const Real keep = static_cast<Real>(1 - s.dampening);
    if (!b) {
        parallel_ranges(n, [=](std::int64_t begin, std::int64_t end) {
            for (std::int64_t i = begin; i < end; ++i) p[i] -= lr * (g[i] + wd * p[i]);
        });
        return;
    }
    const bool first = s.first, nesterov = s.nesterov;
    parallel_ranges(n, [=](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
            const Real d = g[i] + wd * p[i];
            b[i] = first ? d : mu * b[i] + keep * d;
            p[i] -= lr * (nesterov ? d + mu * b[i] : b[i]);
        }
    });
}

void adam_update(std::int64_t n, const AdamStep& s, const Real* g, Real* m, Real* v, Real* p) {
    const double count = static_cast<double>(s.count);
    const Real b1 = static_cast<Real>(s.beta1), b2 = static_cast<Real>(s.beta2), eps = static_cast<Real>(s.eps);
    const Real c1 = static_cast<Real>(1 - s.beta1), c2 = static_cast<Real>(1 - s.beta2);
    const Real shrink = static_cast<Real>(s.decoupled ? 1 - s.lr * s.weight_decay : 1);
    const Real wd = static_cast<Real>(s.decoupled ? 0 : s.weight_decay);
    // Bias corrections, folded: m / (1 - b1^t) and sqrt(v / (1 - b2^t)).
    const Real step = static_cast<Real>(s.lr / (1 - std::pow(s.beta1, count)));
    const Real root = static_cast<Real>(1 / std::sqrt(1 - std::pow(s.beta2, count)));
    parallel_ranges(n, [=](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
            const Real d = g[i] + wd * p[i];
            m[i] = b1 * m[i] + c1 * d;
            v[i] = b2 * v[i] + c2 * d * d;
            p[i] = shrink * p[i] - step * m[i] / (std::sqrt(v[i]) * root + eps);
        }
    });
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
