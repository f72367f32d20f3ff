#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

#include "apps/bench_kernels.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/gemm.h"
#include "tensor/kernels/parallel.h"

namespace solobox {
namespace {

template <class Body>
double best_seconds(int repeats, Body body) {
    double best = INFINITY;
    for (int i = 0; i < repeats; ++i) {
        const auto start = std::chrono::steady_clock::now();
        body();
        best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return best;
}

double fma_peak() {
    if (active_kernels() == Kernels::reference) return 0;
    const Isa& cpu = isa(active_kernels());
    constexpr long rounds = 200000;
    const std::int64_t tiles = 8 * thread_count();
    std::vector<float> results(static_cast<std::size_t>(tiles));  // read by nobody, but the compiler cannot know
    const double s = best_seconds(7, [&] {
        parallel_for(tiles, [&](std::int64_t t) { results[static_cast<std::size_t>(t)] = cpu.multiply_adds(rounds); });
    });
    return 1e-9 * static_cast<double>(tiles) * rounds * cpu.flops_per_round / s;
}

double sgemm_peak() {
    constexpr std::int64_t n = 768;
    const auto threads = static_cast<std::int64_t>(thread_count());
    std::vector<float> a(n * n, 0.5F), b(n * n, 0.25F), c(static_cast<std::size_t>(threads * n * n));
    const double s = best_seconds(5, [&] {
        parallel_for(threads, [&](std::int64_t t) {
            gemm(n, n, n, {a.data(), n}, {b.data(), n}, c.data() + t * n * n, n);
        });
    });
    return 2e-9 * static_cast<double>(threads) * n * n * n / s;
}

double stream_peak() {
    constexpr std::int64_t n = 16 << 20;
    std::vector<float> a(n), b(n, 1.0F), c(n, 2.0F);
    const double s = best_seconds(5, [&] {
        parallel_ranges(n, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t i = begin; i < end; ++i)
                a[static_cast<std::size_t>(i)] = b[static_cast<std::size_t>(i)] + 3.0F * c[static_cast<std::size_t>(i)];
        });
    });
    return 1e-9 * 3 * n * sizeof(float) / s;
}

}  // namespace

Peaks measure_peaks() { return {fma_peak(), sgemm_peak(), stream_peak()}; }

double drift(const Peaks& before, const Peaks& after) {
    double most = 0;
    const auto compare = [&most](double a, double b) {
        if (a > 0) most = std::max(most, std::abs(b / a - 1));
    };
    compare(before.fma_gflops, after.fma_gflops);
    compare(before.sgemm_gflops, after.sgemm_gflops);
    compare(before.stream_gbs, after.stream_gbs);
    return most;
}

}  // namespace solobox
