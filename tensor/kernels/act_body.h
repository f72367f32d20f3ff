// The activations of source.h for one element type T, on a vector register or a single number: value(z) and slope(z),
// the derivative. Included inside a namespace ahead of rows_body.h and winograd_body.h; ROW_EXACT asks for the formulas
// of act.h, lane by lane, instead of the fast forms.

namespace {

typedef T RowVector __attribute__((vector_size(ROW_LANES * sizeof(T))));

inline T row_slope(T z, T slope) { return z > 0 ? T(1) : slope; }
inline RowVector row_slope(RowVector z, T slope) { return z > 0 ? RowVector{} + 1 : RowVector{} + slope; }

struct Leaky {
    T below;
    template <class V>
    V value(V z) const {
        return z * row_slope(z, below);
    }
    template <class V>
    V slope(V z) const {
        return row_slope(z, below);
    }
};

#ifdef ROW_EXACT

template <class F>
inline RowVector by_lane(RowVector z, F f) {
    for (int i = 0; i < ROW_LANES; ++i) z[i] = f(z[i]);
    return z;
}
template <class F>
inline T by_lane(T z, F f) {
    return f(z);
}

template <Act::Kind kind>
struct Exact {
    template <class V>
    V value(V z) const {
        return by_lane(z, [](T v) { return act_value({kind}, v); });
    }
    template <class V>
    V slope(V z) const {
        return by_lane(z, [](T v) { return act_slope({kind}, v); });
    }
};
typedef Exact<Act::Kind::silu> Silu;
typedef Exact<Act::Kind::gelu> Gelu;

#else

template <class V>
struct BitsOf {
    typedef unsigned type;
};
template <>
struct BitsOf<RowVector> {
    typedef unsigned type __attribute__((vector_size(ROW_LANES * sizeof(T))));
};

// e^x within 1.5 ulp; below -86.9 and above 88.3 that of the bound, NaN stays NaN.
template <class V>
inline V row_exp(V x) {
    x = x < V{} - 86.9F ? V{} - 86.9F : x;
    x = x > V{} + 88.3F ? V{} + 88.3F : x;
    // x = n ln 2 + r. Added to 1.5 * 2^23, a number is rounded to an integer, which its last bits spell. ln 2 comes in
    // two parts, so that n times the first is exact.
    const V shifted = x * 1.44269504F + 12582912.0F, n = shifted - 12582912.0F;
    const V r = (x - n * 0.693359375F) + n * 2.12194440e-4F;
    V p = r * (1.0F / 5040) + 1.0F / 720;
    p = p * r + 1.0F / 120;
    p = p * r + 1.0F / 24;
    p = p * r + 1.0F / 6;
    p = p * r + 0.5F;
    p = p * (r * r) + r + 1.0F;
    typename BitsOf<V>::type power, bits;
    __builtin_memcpy(&power, &shifted, sizeof(V));
    __builtin_memcpy(&bits, &p, sizeof(V));
    bits += power << 23;  // times 2^n
    __builtin_memcpy(&p, &bits, sizeof(V));
    return x == x ? p : x;
}

struct Silu {
    template <class V>
    V value(V z) const {
        return z / (1.0F + row_exp(-z));
    }
    template <class V>
    V slope(V z) const {
        const V s = 1.0F / (1.0F + row_exp(-z));
        return s * (1.0F + z * (1.0F - s));
    }
};

struct Gelu {
    template <class V>
    V value(V z) const {
        return z * cdf(z, row_exp(z * z * -0.5F));
    }
    template <class V>
    V slope(V z) const {
        const V e = row_exp(z * z * -0.5F);
        return cdf(z, e) + z * e * 0.398942280F;  // 1 / sqrt(2 pi)
    }

private:
    // The normal distribution: the tail beyond |z| is e^(-z^2 / 2) erfcx(|z| / sqrt 2) / 2, and erfcx(x) is t times a
    // polynomial in t = 1 / (1 + 0.4 x), within 6e-8 of it up to x = 9.5 (least squares at Chebyshev nodes,
    // reweighted).
    template <class V>
    static V cdf(V z, V e) {
        const V t = 1.0F / (1.0F + (z > 0 ? z : -z) * (0.4F * 0.707106781F));
        V p = t * 0.0402651869F - 0.135459964F;
        p = p * t + 0.0738194170F;
        p = p * t + 0.0997552074F;
        p = p * t + 0.0714909255F;
        p = p * t + 0.196970262F;
        p = p * t + 0.200956785F;
        p = p * t + 0.226575953F;
        p = p * t + 0.225626284F;
        const V tail = e * (p * t) * 0.5F;
        return z > 0 ? 1.0F - tail : tail;
    }
};

#endif

// The statement, with `f` the activation.
#define WITH_ACT(act, ...)                 \
    switch ((act).kind) {                  \
        case Act::Kind::leaky: {           \
            const Leaky f{T((act).slope)}; \
            __VA_ARGS__;                   \
        } break;                           \
        case Act::Kind::silu: {            \
            const Silu f{};                \
            __VA_ARGS__;                   \
        } break;                           \
        case Act::Kind::gelu: {            \
            const Gelu f{};                \
            __VA_ARGS__;                   \
        } break;                           \
    }

}  // namespace
