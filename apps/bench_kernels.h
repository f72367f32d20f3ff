// solobox bench kernels: every kernel that a workload spends its time in, against what this machine can do at most.
#pragma once

#include <string>

#include "tensor/check.h"

namespace solobox {

struct KernelBench {
    std::string workload = "tiny-gn";
    int repeats = 5;
    bool json = false;
};

ExitCode bench_kernels(const KernelBench& bench);

// Measured in this process, with all threads.
struct Peaks {
    double fma_gflops = 0;    // multiply-adds in registers; 0 with the reference kernels
    double sgemm_gflops = 0;  // BLAS, one call of one thread on each thread
    double stream_gbs = 0;    // a = b + s c over arrays beyond the caches, bytes of the program
};
Peaks measure_peaks();
double drift(const Peaks& before, const Peaks& after);  // largest relative change of a peak

}  // namespace solobox
