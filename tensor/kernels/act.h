// The activations of source.h by the C library, a number at a time: what the fast forms in act_body.h are held against.
// Not for files of one instruction set.
#pragma once

#include <cmath>
#include <numbers>

#include "tensor/kernels/source.h"

namespace solobox {

template <class T>
T logistic(T v) {
    // Never exponentiates a positive number: no overflow, and small values keep their digits.
    if (v >= 0) return 1 / (1 + std::exp(-v));
    const T e = std::exp(v);
    return e / (1 + e);
}

// Phi(v). By the complement: 1 + erf would lose the digits of the lower tail.
template <class T>
T normal_below(T v) {
    return T(0.5) * std::erfc(-v * T(std::numbers::sqrt2 / 2));
}

template <class T>
T act_value(const Act& act, T v) {
    switch (act.kind) {
        case Act::Kind::silu:
            return v * logistic(v);
        case Act::Kind::gelu:
            return v * normal_below(v);
        case Act::Kind::leaky:
            break;
    }
    return v > 0 ? v : T(act.slope) * v;
}

// d act_value / dv; at 0 of a leaky ReLU its slope
template <class T>
T act_slope(const Act& act, T v) {
    switch (act.kind) {
        case Act::Kind::silu: {
            const T s = logistic(v);
            return s * (1 + v * (1 - s));
        }
        case Act::Kind::gelu: {
            const T density = T(0.5 * std::numbers::inv_sqrtpi * std::numbers::sqrt2);  // 1 / sqrt(2 pi)
            return normal_below(v) + v * density * std::exp(-v * v / 2);
        }
        case Act::Kind::leaky:
            break;
    }
    return v > 0 ? T(1) : T(act.slope);
}

}  // namespace solobox
