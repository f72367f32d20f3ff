// The register-tile matrix kernel, written once and compiled once per instruction set. Included by isa_*.cpp only,
// which set ISA_LANES (floats per vector), ISA_MR (rows) and ISA_VECTORS (vectors across) beforehand.
//
// No std:: templates here: the linker may keep this file's copy of an inline function for the whole program, and an
// older CPU would meet an instruction that it does not know.

namespace {

typedef float Vector __attribute__((vector_size(4 * ISA_LANES)));
typedef float Unaligned __attribute__((vector_size(4 * ISA_LANES), aligned(4), may_alias));

constexpr int nr = ISA_LANES * ISA_VECTORS;

inline Vector load(const float* p) { return *reinterpret_cast<const Unaligned*>(p); }
inline void store(float* p, Vector v) { *reinterpret_cast<Unaligned*>(p) = v; }

// The left side of a product, read one column (k) at a time. K may come in segments: the left side then jumps, the
// right side goes on.
struct Rows {  // a(i, k) = a[i * ars + k]
    const float* a;
    long ars;

    long segments() const { return 1; }
    Rows from(long i) const { return {a + i * ars, ars}; }
    template <int MR>
    struct Cursor {
        const float* at;
        long ars;
        float operator()(int r) const { return at[r * ars]; }
        void next() { ++at; }
    };
    template <int MR>
    Cursor<MR> cursor(long) const {
        return {a, ars};
    }
};

struct Columns {  // a(i, k) = a[i + k * aks]
    const float* a;
    long aks;

    long segments() const { return 1; }
    Columns from(long i) const { return {a + i, aks}; }
    template <int MR>
    struct Cursor {
        const float* at;
        long aks;
        float operator()(int r) const { return at[r]; }
        void next() { at += aks; }
    };
    template <int MR>
    Cursor<MR> cursor(long) const {
        return {a, aks};
    }
};

struct Pointers {  // a(i, segment, k) = rows[i][offsets[segment] + k * step]
    const float* const* rows;
    const long* offsets;
    long count, step;

    long segments() const { return count; }
    Pointers from(long i) const { return {rows + i, offsets, count, step}; }
    template <int MR>
    struct Cursor {
        const float* at[MR];
        long step, k = 0;
        float operator()(int r) const { return at[r][k]; }
        void next() { k += step; }
    };
    template <int MR>
    Cursor<MR> cursor(long segment) const {
        Cursor<MR> c;
        c.step = step;
        for (int r = 0; r < MR; ++r) c.at[r] = rows[r] + offsets[segment];
        return c;
    }
};

// Sums stay in MR x ISA_VECTORS registers: each step broadcasts MR numbers of a against one row of b. An element's
// sum runs over k in order, so its bits depend neither on its neighbours nor on the vector width.
template <int MR, class Left>
inline void register_tile(const Left& left, long kc, const float* b, long ldb, float* c, long ldc, const float* bias,
                          bool accumulate) {
    Vector sum[MR][ISA_VECTORS];
    for (int r = 0; accumulate && r < MR; ++r) __builtin_prefetch(c + r * ldc + nr);  // for the next panel
#pragma GCC unroll 16
    for (int r = 0; r < MR; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < ISA_VECTORS; ++v) {
            if (accumulate)
                sum[r][v] = load(c + r * ldc + v * ISA_LANES);
            else if (bias)
                sum[r][v] = load(bias + v * ISA_LANES);
            else
                sum[r][v] = Vector{};
        }
    for (long segment = 0; segment < left.segments(); ++segment) {
        auto a = left.template cursor<MR>(segment);
        for (long k = 0; k < kc; ++k) {
            Vector row[ISA_VECTORS];
#pragma GCC unroll 4
            for (int v = 0; v < ISA_VECTORS; ++v) row[v] = load(b + v * ISA_LANES);
#pragma GCC unroll 16
            for (int r = 0; r < MR; ++r) {
                const float x = a(r);
#pragma GCC unroll 4
                for (int v = 0; v < ISA_VECTORS; ++v) sum[r][v] += x * row[v];
            }
            a.next();
            b += ldb;
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < MR; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < ISA_VECTORS; ++v) store(c + r * ldc + v * ISA_LANES, sum[r][v]);
}

// Fewer rows than a full tile: the same arithmetic with fewer registers.
template <class Left>
inline void rows_tile(const Left& left, long m, long kc, const float* b, long ldb, float* c, long ldc,
                      const float* bias, bool accumulate) {
    long i = 0;
    for (; i + ISA_MR <= m; i += ISA_MR)
        register_tile<ISA_MR>(left.from(i), kc, b, ldb, c + i * ldc, ldc, bias, accumulate);
    for (; i + 4 <= m; i += 4) register_tile<4>(left.from(i), kc, b, ldb, c + i * ldc, ldc, bias, accumulate);
    for (; i + 2 <= m; i += 2) register_tile<2>(left.from(i), kc, b, ldb, c + i * ldc, ldc, bias, accumulate);
    for (; i < m; ++i) register_tile<1>(left.from(i), kc, b, ldb, c + i * ldc, ldc, bias, accumulate);
}

// m rows of the left side against every panel of the right one.
template <class Left>
inline void panels_tile(const Left& left, long m, long n, long kc, const float* b, long ldb, long panel, float* c,
                        long ldc, const float* bias, bool accumulate) {
    for (long j = 0; j < n; j += nr, b += panel) {
        if (n - j >= nr) {
            rows_tile(left, m, kc, b, ldb, c + j, ldc, bias ? bias + j : nullptr, accumulate);
            continue;
        }
        // The last columns: whole vectors in a buffer of our own, then the part that exists.
        float edge[ISA_MR * nr], edge_bias[nr];
        const long width = n - j;
        for (long v = 0; bias && v < nr; ++v) edge_bias[v] = v < width ? bias[j + v] : 0.0F;
        for (long i = 0; i < m; i += ISA_MR) {
            const long rows = m - i < ISA_MR ? m - i : ISA_MR;
            for (long r = 0; accumulate && r < rows; ++r)
                for (long v = 0; v < nr; ++v) edge[r * nr + v] = v < width ? c[(i + r) * ldc + j + v] : 0.0F;
            rows_tile(left.from(i), rows, kc, b, ldb, edge, nr, bias ? edge_bias : nullptr, accumulate);
            for (long r = 0; r < rows; ++r)
                for (long v = 0; v < width; ++v) c[(i + r) * ldc + j + v] = edge[r * nr + v];
        }
    }
}

// Read down its columns, a touches a line of memory per number: it goes by slabs of a few rows, and all panels of b
// pass by each. When they are many, it pays to copy a slab together first, which then stays in the L1 cache.
void gemm_columns(long m, long n, long kc, const float* a, long aks, const float* b, long ldb, long panel, float* c,
                  long ldc, const float* bias, bool accumulate) {
    constexpr long rows = 2 * ISA_MR, most = 192;
    float slab[rows * most];
    const bool copied = n >= 4 * nr && kc <= most;
    long i = 0;
    for (; i + rows <= m; i += rows) {
        for (long k = 0; copied && k < kc; ++k)
            __builtin_memcpy(slab + k * rows, a + k * aks + i, rows * sizeof(float));
        const Columns left = copied ? Columns{slab, rows} : Columns{a + i, aks};
        panels_tile(left, rows, n, kc, b, ldb, panel, c + i * ldc, ldc, bias, accumulate);
    }
    if (i < m) panels_tile(Columns{a + i, aks}, m - i, n, kc, b, ldb, panel, c + i * ldc, ldc, bias, accumulate);
}

void gemm_block(long m, long n, long kc, const float* a, long ars, long aks, const float* b, long ldb, long panel,
                float* c, long ldc, const float* bias, bool accumulate) {
    if (ars == 1 && aks != 1)
        gemm_columns(m, n, kc, a, aks, b, ldb, panel, c, ldc, bias, accumulate);
    else  // a panel of b stays in the L1 cache while all rows of a pass by
        panels_tile(Rows{a, ars}, m, n, kc, b, ldb, panel, c, ldc, bias, accumulate);
}

void gemm_rows(long m, long n, long kc, const float* const* a, long step, const long* offsets, long segments,
               const float* b, long ldb, long panel, float* c, long ldc, const float* bias, bool accumulate) {
    panels_tile(Pointers{a, offsets, segments, step}, m, n, kc, b, ldb, panel, c, ldc, bias, accumulate);
}

// Multiply-adds that never wait for memory nor for each other: what no kernel can beat. For benchmarks.
constexpr int chains = 12;

float multiply_adds(long rounds) {
    Vector sum[chains], factor = Vector{} + 0.999F, term = Vector{} + 0.5F;
    for (int k = 0; k < chains; ++k) sum[k] = Vector{} + static_cast<float>(k);  // equal chains would be made one
    for (long i = 0; i < rounds; ++i)
#pragma GCC unroll 16
        for (int k = 0; k < chains; ++k) sum[k] = sum[k] * factor + term;
    Vector total = {};
    for (int k = 0; k < chains; ++k) total += sum[k];
    return total[0];
}

}  // namespace
