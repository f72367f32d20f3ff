// The part of rows_body.h that knows of windows: max pools, and what comes back through them. Included by it alone.

// Numbers of pixels are kept as T beside the values they belong to: one kind of register, one kind of comparison.
template <class V, int N, class F>
inline void window_loop(long k, int count, const T* const* pixels, const unsigned short* numbers, const T* scale,
                        const T* shift, const F& f, T* y, unsigned short* winner) {
    constexpr int width = sizeof(V) / sizeof(T);
    for (int v = 0; v < N; ++v) {
        const long at = k + v * width;
        V a{}, b{}, best{}, which{};
        if (scale) {
            a = row_load<V>(scale + at);
            b = row_load<V>(shift + at);
        }
        for (int p = 0; p < count; ++p) {
            V value = row_load<V>(pixels[p] + at);
            if (scale) {
                value = f.value(a * value + b);
            }
            const V number = V{} + T(numbers[p]);
            if (p == 0) {
                best = value;
                which = number;
                continue;
            }
            // "Not (value <= best)" holds for a NaN in value too; a NaN already in best stays: nothing equals it.
            const V winner_now = value <= best ? which : number;
            which = best == best ? winner_now : which;
            const V best_now = value <= best ? best : value;
            best = best == best ? best_now : best;
        }
        row_store(y + at, best);
        T found[width];
        row_store<V>(found, which);
        for (int i = 0; i < width; ++i) winner[at + i] = static_cast<unsigned short>(found[i]);
    }
}

void rows_window(long c, int count, const T* const* pixels, const unsigned short* numbers, const T* scale,
                 const T* shift, Act act, T* y, unsigned short* winner) {
    WITH_ACT(act, FOR_CHANNELS(c, window_loop, count, pixels, numbers, scale, shift, f, y, winner))
}

inline void row_numbers(const unsigned short* from, RowVector* to) {
    typedef unsigned short Short __attribute__((vector_size(ROW_LANES * sizeof(short))));
    Short v;
    __builtin_memcpy(&v, from, sizeof(v));
    *to = __builtin_convertvector(v, RowVector);
}
inline void row_numbers(const unsigned short* from, T* to) { *to = static_cast<T>(*from); }

template <class V, int N, class F>
inline void pooled_sums_loop(long k, long windows, long c, long kh, long kw, long line, const T* dy,
                             const unsigned short* winner, const T* x, const T* scale, const T* shift, const F& f,
                             const T* centre, T* to_sum, T* to_dot) {
    constexpr int width = sizeof(V) / sizeof(T);
    V a[N], b[N], middle[N], total[N] = {}, dot[N] = {};
    for (int v = 0; v < N; ++v) {
        a[v] = row_load<V>(scale + k + v * width);
        b[v] = row_load<V>(shift + k + v * width);
        middle[v] = row_load<V>(centre + k + v * width);
    }
    for (long w = 0; w < windows; ++w)
        for (int v = 0; v < N; ++v) {
            const T* pixel = x + w * kw * c + k + v * width;
            V won, here = row_load<V>(pixel);
            row_numbers(winner + w * c + k + v * width, &won);
            for (long i = 0; i < kh; ++i)
                for (long j = 0; j < kw; ++j)
                    here = won == T(i * kw + j) ? row_load<V>(pixel + i * line + j * c) : here;
            const V z = a[v] * here + b[v];
            const V dz = row_load<V>(dy + w * c + k + v * width) * f.slope(z);
            total[v] += dz;
            dot[v] += dz * (here - middle[v]);
        }
    for (int v = 0; v < N; ++v) {
        row_store(to_sum + k + v * width, row_load<V>(to_sum + k + v * width) + total[v]);
        row_store(to_dot + k + v * width, row_load<V>(to_dot + k + v * width) + dot[v]);
    }
}

template <class F>
inline void pooled_sums(long windows, long c, long kh, long kw, long line, const T* dy, const unsigned short* winner,
                        const T* x, const T* scale, const T* shift, const F& f, const T* centre, T* to_sum, T* to_dot) {
    // The size that almost all pools have, known to the compiler.
    if (kh == 2 && kw == 2)
        FOR_CHANNELS(c, pooled_sums_loop, windows, c, 2, 2, line, dy, winner, x, scale, shift, f, centre, to_sum,
                     to_dot)
    else
        FOR_CHANNELS(c, pooled_sums_loop, windows, c, kh, kw, line, dy, winner, x, scale, shift, f, centre, to_sum,
                     to_dot)
}

void rows_pooled_grad_sums(long windows, long c, long kh, long kw, long line, const T* dy, const unsigned short* winner,
                           const T* x, const T* scale, const T* shift, Act act, const T* centre, T* to_sum, T* to_dot) {
    WITH_ACT(act, pooled_sums(windows, c, kh, kw, line, dy, winner, x, scale, shift, f, centre, to_sum, to_dot))
}

template <class V, int N, class F>
inline void pooled_input_loop(long k, long windows, long c, long kh, long kw, long line, const T* dy,
                              const unsigned short* winner, const T* x, const T* scale, const T* shift, const F& f,
                              const T* centre, const T* a, const T* b, const T* d, T* dx) {
    constexpr int width = sizeof(V) / sizeof(T);
    for (int v = 0; v < N; ++v) {
        const long at = k + v * width;
        const V factor = row_load<V>(scale + at), term = row_load<V>(shift + at), middle = row_load<V>(centre + at);
        const V on_dz = row_load<V>(a + at), on_x = row_load<V>(b + at), constant = row_load<V>(d + at);
        for (long w = 0; w < windows; ++w) {
            V won;
            row_numbers(winner + w * c + at, &won);
            const V grad = row_load<V>(dy + w * c + at);
            for (long i = 0; i < kh; ++i)
                for (long j = 0; j < kw; ++j) {
                    const long pixel = i * line + (w * kw + j) * c + at;
                    const V here = row_load<V>(x + pixel), z = factor * here + term;
                    const V dz = won == T(i * kw + j) ? grad * f.slope(z) : V{};
                    row_store<V>(dx + pixel, on_dz * dz + on_x * (here - middle) + constant);
                }
        }
    }
}

template <class F>
inline void pooled_input(long windows, long c, long kh, long kw, long line, const T* dy, const unsigned short* winner,
                         const T* x, const T* scale, const T* shift, const F& f, const T* centre, const T* a,
                         const T* b, const T* d, T* dx) {
    if (kh == 2 && kw == 2)
        FOR_CHANNELS(c, pooled_input_loop, windows, c, 2, 2, line, dy, winner, x, scale, shift, f, centre, a, b, d, dx)
    else
        FOR_CHANNELS(c, pooled_input_loop, windows, c, kh, kw, line, dy, winner, x, scale, shift, f, centre, a, b, d,
                     dx)
}

void rows_pooled_grad_input(long windows, long c, long kh, long kw, long line, const T* dy,
                            const unsigned short* winner, const T* x, const T* scale, const T* shift, Act act,
                            const T* centre, const T* a, const T* b, const T* d, T* dx) {
    WITH_ACT(act, pooled_input(windows, c, kh, kw, line, dy, winner, x, scale, shift, f, centre, a, b, d, dx))
}

void rows_window_scatter(long c, const T* dy, const unsigned short* winner, int number, bool add, T* __restrict dx) {
    if (add)
        for (long i = 0; i < c; ++i) dx[i] += winner[i] == number ? dy[i] : T(0);
    else
        for (long i = 0; i < c; ++i) dx[i] = winner[i] == number ? dy[i] : T(0);
}
