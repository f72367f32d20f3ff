// The optimizers' inner loops: the few places that write a parameter in place.
#pragma once

#include <cstdint>

#include "tensor/real.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

struct SgdStep {
    double lr, weight_decay, momentum, dampening;
    bool nesterov;
    bool first;  // the momentum buffer holds nothing yet
};
// p, g, momentum buffer b (or null when momentum is 0): n elements each
void sgd_update(std::int64_t n, const SgdStep& s, const Real* g, Real* b, Real* p);

struct AdamStep {
    double lr, weight_decay, beta1, beta2, eps;
    bool decoupled;      // AdamW: decay p directly; else add wd * p to the gradient
    std::int64_t count;  // of this parameter's updates, from 1
};
// p, g, first and second moments m and v: n elements each
void adam_update(std::int64_t n, const AdamStep& s, const Real* g, Real* m, Real* v, Real* p);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
