// The Winograd transforms of winograd.h in vectors of ISA_LANES channels. Included by isa_*.cpp behind isa_body.h.
//
// A transform is a sandwich: the same one-dimensional map down the columns, then along the rows. The maps are the
// matrices of winograd_reference.cpp with common terms taken out; even and odd powers of a point pair +-t share theirs.
// Channel counts are multiples of ISA_LANES, or of 16 where that is less (see winograd_applies).

namespace {

constexpr float root2 = 1.41421356F;

inline Vector all(float x) { return Vector{} + x; }

inline void input_line(const Vector* d, Vector* t) {
    const Vector even1 = d[4] - all(2) * d[2], odd1 = all(root2 / 2) * d[3] - all(root2) * d[1];
    const Vector even2 = d[4] - all(0.5F) * d[2], odd2 = all(root2) * d[3] - all(root2 / 2) * d[1];
    t[0] = d[0] - all(2.5F) * d[2] + d[4];
    t[1] = even1 + odd1;
    t[2] = even1 - odd1;
    t[3] = even2 + odd2;
    t[4] = even2 - odd2;
    t[5] = d[1] - all(2.5F) * d[3] + d[5];
}

inline void output_line(const Vector* m, Vector* y) {
    const Vector sum1 = m[1] + m[2], sum2 = m[3] + m[4], difference1 = m[1] - m[2], difference2 = m[3] - m[4];
    y[0] = m[0] + sum1 + sum2;
    y[1] = all(root2 / 2) * difference1 + all(root2) * difference2;
    y[2] = all(0.5F) * sum1 + all(2) * sum2;
    y[3] = all(root2 / 4) * difference1 + all(2 * root2) * difference2 + m[5];
}

inline void output_grad_line(const Vector* y, Vector* z) {
    const Vector even1 = y[0] + all(0.5F) * y[2], odd1 = all(root2 / 2) * y[1] + all(root2 / 4) * y[3];
    const Vector even2 = y[0] + all(2) * y[2], odd2 = all(root2) * y[1] + all(2 * root2) * y[3];
    z[0] = y[0];
    z[1] = even1 + odd1;
    z[2] = even1 - odd1;
    z[3] = even2 + odd2;
    z[4] = even2 - odd2;
    z[5] = y[3];
}

inline void weight_line(const Vector* g, Vector* u) {
    const Vector even1 = all(-2.0F / 3) * g[0] - all(1.0F / 3) * g[2], odd1 = all(-root2 / 3) * g[1];
    const Vector even2 = all(1.0F / 6) * g[0] + all(1.0F / 3) * g[2], odd2 = all(root2 / 6) * g[1];
    u[0] = g[0];
    u[1] = even1 + odd1;
    u[2] = even1 - odd1;
    u[3] = even2 + odd2;
    u[4] = even2 - odd2;
    u[5] = g[2];
}

inline void weight_grad_line(const Vector* u, Vector* g) {
    const Vector sum1 = u[1] + u[2], sum2 = u[3] + u[4];
    g[0] = u[0] - all(2.0F / 3) * sum1 + all(1.0F / 6) * sum2;
    g[1] = all(root2 / 3) * (u[2] - u[1]) + all(root2 / 6) * (u[3] - u[4]);
    g[2] = all(1.0F / 3) * (sum2 - sum1) + u[5];
}

// to (Out x Out) = line applied to the columns and then to the rows of from (In x In)
template <int In, int Out, class Line, class From, class To>
inline __attribute__((always_inline)) void both_ways(Line line, From from, To to) {
    Vector half[Out][In];
#pragma GCC unroll 6
    for (int j = 0; j < In; ++j) {
        Vector column[In], result[Out];
#pragma GCC unroll 6
        for (int i = 0; i < In; ++i) column[i] = from(i, j);
        line(column, result);
#pragma GCC unroll 6
        for (int i = 0; i < Out; ++i) half[i][j] = result[i];
    }
#pragma GCC unroll 6
    for (int i = 0; i < Out; ++i) {
        Vector result[Out];
        line(half[i], result);
#pragma GCC unroll 6
        for (int j = 0; j < Out; ++j) to(i, j, result[j]);
    }
}

void winograd_input(long c, const float* const* d, float* v, long xi_stride) {
    for (long k = 0; k < c; k += ISA_LANES)
        both_ways<6, 6>(
            input_line, [=](int i, int j) { return load(d[6 * i + j] + k); },
            [=](int i, int j, Vector value) { store(v + (6 * i + j) * xi_stride + k, value); });
}

void winograd_input_affine(long c, const float* const* d, const float* outside, const float* scale, const float* shift,
                           const Act& act, float* v, long xi_stride) {
    for (long k = 0; k < c; k += ISA_LANES) {
        const Vector factor = load(scale + k), term = load(shift + k);
        // First the pixels, then the transform, which thus is compiled (and rounds) exactly like winograd_input's.
        Vector tile[36];
        WITH_ACT(act, for (int i = 0; i < 36; ++i) tile[i] =
                          d[i] == outside ? Vector{} : f.value(factor * load(d[i] + k) + term))
        both_ways<6, 6>(
            input_line, [&](int i, int j) { return tile[6 * i + j]; },
            [=](int i, int j, Vector value) { store(v + (6 * i + j) * xi_stride + k, value); });
    }
}

void winograd_output(long c, const float* m, long xi_stride, const float* bias, float* const* y) {
    for (long k = 0; k < c; k += ISA_LANES) {
        const Vector start = bias ? load(bias + k) : Vector{};
        both_ways<6, 4>(
            output_line, [=](int i, int j) { return load(m + (6 * i + j) * xi_stride + k); },
            [=](int i, int j, Vector value) {
                if (y[4 * i + j]) store(y[4 * i + j] + k, value + start);
            });
    }
}

void winograd_output_grad(long c, const float* const* dy, float* z, long xi_stride) {
    for (long k = 0; k < c; k += ISA_LANES)
        both_ways<4, 6>(
            output_grad_line, [=](int i, int j) { return load(dy[4 * i + j] + k); },
            [=](int i, int j, Vector value) { store(z + (6 * i + j) * xi_stride + k, value); });
}

void winograd_weight(long c, const float* const* g, float* u, long xi_stride) {
    for (long k = 0; k < c; k += ISA_LANES)
        both_ways<3, 6>(
            weight_line, [=](int i, int j) { return load(g[3 * i + j] + k); },
            [=](int i, int j, Vector value) { store(u + (6 * i + j) * xi_stride + k, value); });
}

void winograd_weight_grad(long c, const float* du, long xi_stride, float* const* dg) {
    for (long k = 0; k < c; k += ISA_LANES)
        both_ways<6, 3>(
            weight_grad_line, [=](int i, int j) { return load(du + (6 * i + j) * xi_stride + k); },
            [=](int i, int j, Vector value) { store(dg[3 * i + j] + k, value); });
}

}  // namespace

static const WinogradKernels winograd_table{winograd_input,       winograd_input_affine, winograd_output,
                                            winograd_output_grad, winograd_weight,       winograd_weight_grad};
