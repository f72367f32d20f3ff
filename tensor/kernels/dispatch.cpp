#include "tensor/kernels/dispatch.h"

#include <cblas.h>

#include <atomic>
#include <cstdlib>
#include <string_view>

#include "tensor/check.h"

namespace solobox {
namespace {

std::atomic<int> forced{-1};

Kernels from_environment() {
    const char* text = std::getenv("SOLOBOX_KERNELS");
    if (!text || !*text) {
        for (const Kernels k : {Kernels::avx512, Kernels::avx2})
            if (cpu_supports(k)) return k;
        return Kernels::generic;
    }
    for (const Kernels k : {Kernels::reference, Kernels::generic, Kernels::avx2, Kernels::avx512}) {
        if (std::string_view(text) != name_of(k)) continue;
        if (!cpu_supports(k)) throw ConfigError(fmt::format("SOLOBOX_KERNELS={}: this CPU cannot run them", text));
        return k;
    }
    throw ConfigError(fmt::format("SOLOBOX_KERNELS={}: expected ref, generic, avx2 or avx512", text));
}

}  // namespace

bool cpu_supports(Kernels kernels) {
#if defined(__x86_64__)
    switch (kernels) {
        case Kernels::reference:
        case Kernels::generic:
            return true;
        case Kernels::avx2:
            return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
        case Kernels::avx512:
            return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                   __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    }
    return false;
#else
    return kernels == Kernels::reference || kernels == Kernels::generic;
#endif
}

Kernels active_kernels() {
    const int f = forced.load(std::memory_order_relaxed);
    if (f >= 0) return static_cast<Kernels>(f);
    static const Kernels found = [] {
        blas_name();
        return from_environment();
    }();
    return found;
}

void force_kernels(Kernels kernels) {
    if (!cpu_supports(kernels)) throw ConfigError(fmt::format("this CPU cannot run {} kernels", name_of(kernels)));
    blas_name();
    forced = static_cast<int>(kernels);
}

const char* name_of(Kernels kernels) {
    switch (kernels) {
        case Kernels::reference:
            return "ref";
        case Kernels::generic:
            return "generic";
        case Kernels::avx2:
            return "avx2";
        case Kernels::avx512:
            return "avx512";
    }
    return "?";
}

std::string blas_name() {
    // One thread per call: its own threading changes the bits with the thread count, and fights our pool.
    static const bool pinned = [] {
        openblas_set_num_threads(1);
        return true;
    }();
    (void)pinned;
    return openblas_get_config();
}

const Isa& isa(Kernels kernels) {
    if (kernels == Kernels::generic) return generic::table;
#if defined(__x86_64__)
    if (kernels == Kernels::avx2) return avx2::table;
    if (kernels == Kernels::avx512) return avx512::table;
#endif
    throw Error(fmt::format("no instruction-set table for {}", name_of(kernels)));
}

const RowKernels<float>& row_kernels(float) {
    const Kernels k = active_kernels();
    return k == Kernels::reference ? reference::row_kernels_float() : isa(k).rows;
}
const RowKernels<double>& row_kernels(double) { return reference::row_kernels_double(); }

}  // namespace solobox
