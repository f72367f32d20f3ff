// The loops of rows.h for one element type T. Included inside a namespace by rows.cpp and by isa_*.cpp.
//
// Sums walk down the rows with a few channels in registers: `lanes` of them at a time, so that a compiler makes vectors
// of the inner loops. Plain C: see isa_body.h for why no std:: is allowed here.

namespace {

constexpr int row_lanes = 16;

inline T row_slope(T z, T slope) { return z > 0 ? T(1) : slope; }

// body(first channel, count) for blocks of row_lanes channels; the full ones with a constant count.
#define FOR_CHANNEL_BLOCKS(c, BODY)                            \
    {                                                          \
        long first = 0;                                        \
        for (; first + row_lanes <= (c); first += row_lanes) { \
            constexpr int count = row_lanes;                   \
            BODY                                               \
        }                                                      \
        if (first < (c)) {                                     \
            const int count = static_cast<int>((c)-first);     \
            BODY                                               \
        }                                                      \
    }

void rows_sum(long rows, long c, const T* x, T* to) {
    FOR_CHANNEL_BLOCKS(c, {
        T total[row_lanes] = {};
        for (long r = 0; r < rows; ++r) {
            const T* row = x + r * c + first;
            for (int i = 0; i < count; ++i) total[i] += row[i];
        }
        for (int i = 0; i < count; ++i) to[first + i] += total[i];
    })
}

void rows_square_sum(long rows, long c, const T* x, const T* centre, T* to) {
    FOR_CHANNEL_BLOCKS(c, {
        T total[row_lanes] = {};
        T middle[row_lanes] = {};
        for (int i = 0; i < count; ++i) middle[i] = centre[first + i];
        for (long r = 0; r < rows; ++r) {
            const T* row = x + r * c + first;
            for (int i = 0; i < count; ++i) total[i] += (row[i] - middle[i]) * (row[i] - middle[i]);
        }
        for (int i = 0; i < count; ++i) to[first + i] += total[i];
    })
}

void rows_affine(long rows, long c, const T* x, const T* scale, const T* shift, T slope, T* __restrict y) {
    FOR_CHANNEL_BLOCKS(c, {
        T a[row_lanes] = {};
        T b[row_lanes] = {};
        for (int i = 0; i < count; ++i) a[i] = scale[first + i];
        for (int i = 0; i < count; ++i) b[i] = shift[first + i];
        for (long r = 0; r < rows; ++r) {
            const T* row = x + r * c + first;
            T* __restrict out = y + r * c + first;
            for (int i = 0; i < count; ++i) {
                const T z = a[i] * row[i] + b[i];
                out[i] = z * row_slope(z, slope);
            }
        }
    })
}

void rows_grad_sums(long rows, long c, const T* dy, const T* x, const T* scale, const T* shift, T slope,
                    const T* centre, T* to_sum, T* to_dot) {
    FOR_CHANNEL_BLOCKS(c, {
        T a[row_lanes] = {};
        T b[row_lanes] = {};
        T middle[row_lanes] = {};
        T total[row_lanes] = {};
        T dot[row_lanes] = {};
        for (int i = 0; i < count; ++i) {
            a[i] = scale[first + i];
            b[i] = shift[first + i];
            middle[i] = centre[first + i];
        }
        for (long r = 0; r < rows; ++r) {
            const T* row = x + r * c + first;
            const T* grad = dy + r * c + first;
            for (int i = 0; i < count; ++i) {
                const T dz = grad[i] * row_slope(a[i] * row[i] + b[i], slope);
                total[i] += dz;
                dot[i] += dz * (row[i] - middle[i]);
            }
        }
        for (int i = 0; i < count; ++i) to_sum[first + i] += total[i];
        for (int i = 0; i < count; ++i) to_dot[first + i] += dot[i];
    })
}

void rows_grad_input(long rows, long c, const T* dy, const T* x, const T* scale, const T* shift, T slope,
                     const T* centre, const T* a, const T* b, const T* d, T* __restrict dx) {
    for (long r = 0; r < rows; ++r) {
        const T* row = x + r * c;
        const T* grad = dy + r * c;
        T* __restrict out = dx + r * c;
        for (long i = 0; i < c; ++i) {
            const T dz = grad[i] * row_slope(scale[i] * row[i] + shift[i], slope);
            out[i] = a[i] * dz + b[i] * (row[i] - centre[i]) + d[i];
        }
    }
}

void rows_window_max(long c, const T* x, int number, T* __restrict best, int* __restrict which) {
    for (long i = 0; i < c; ++i) {
        // "Not (x <= best)" is also true for a NaN in x; a NaN already in best stays, as nothing compares with it.
        const bool wins = !(x[i] <= best[i]) & (best[i] == best[i]);
        best[i] = wins ? x[i] : best[i];
        which[i] = wins ? number : which[i];
    }
}

void rows_window_scatter(long c, const T* dy, const unsigned short* winner, int number, bool add, T* __restrict dx) {
    if (add)
        for (long i = 0; i < c; ++i) dx[i] += winner[i] == number ? dy[i] : T(0);
    else
        for (long i = 0; i < c; ++i) dx[i] = winner[i] == number ? dy[i] : T(0);
}

#undef FOR_CHANNEL_BLOCKS

}  // namespace

static const RowKernels<T> row_table{rows_sum,        rows_square_sum, rows_affine,        rows_grad_sums,
                                     rows_grad_input, rows_window_max, rows_window_scatter};
