#include "apps/bench_kernels.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <tuple>

#include "apps/bench_workloads.h"
#include "tensor/kernels/conv.h"
#include "tensor/kernels/conv_small_maps.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/gemm.h"
#include "tensor/kernels/norm.h"
#include "tensor/kernels/parallel.h"
#include "tensor/kernels/pool.h"
#include "tensor/kernels/update.h"

namespace solobox {
namespace {

// One line of the table. Figures are per call.
struct KernelRow {
    std::string kernel, pass, shape, path;
    int count = 1;  // layers of the workload that are like this one
    double min_s = 0, median_s = 0;
    double gflop = 0;           // of the definition
    double executed_gflop = 0;  // multiplications that are really made; Winograd makes fewer
    double product_s = 0;       // Winograd: the matrix products alone, seconds of all threads
    double bytes = 0;           // that the program must move at least
    double faults = 0;
    double error = -1;  // rms of the difference to double over the rms of the value, on samples; -1: not asked
};

void time_calls(KernelRow& row, int repeats, const std::function<void()>& call) {
    call();  // fills the pool and the caches of code
    fast::take_winograd_product_seconds();
    const std::int64_t faults = page_faults();
    std::vector<double> times;
    for (int i = 0; i < repeats; ++i) {
        const auto start = std::chrono::steady_clock::now();
        call();
        times.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    row.faults = static_cast<double>(page_faults() - faults) / repeats;
    row.product_s = fast::take_winograd_product_seconds() / repeats;
    std::sort(times.begin(), times.end());
    row.min_s = times.front();
    row.median_s = times[times.size() / 2];
}

// A convolution of the workload and how many layers have its shape.
struct ConvClass {
    ConvShape shape;
    int count = 0;
    bool first = false;  // reads the pictures: nobody wants the gradient of its input
};

std::vector<ConvClass> conv_classes(const Workload& w) {
    std::vector<ConvClass> classes;
    for (const LayerRow& l : w.layers) {
        if (l.kernel == 0) continue;
        const ConvShape s{w.batch,  l.in[0],  l.in[1],   l.in[2],   l.kernel, l.kernel, l.out[2],
                          l.stride, l.stride, l.padding, l.padding, 1,        1,        l.groups};
        const auto key = [](const ConvShape& c) { return std::tuple(c.h, c.w, c.c, c.o, c.kh, c.stride_h, c.groups); };
        const auto same =
            std::find_if(classes.begin(), classes.end(), [&](const ConvClass& c) { return key(c.shape) == key(s); });
        if (same != classes.end())
            ++same->count;
        else
            classes.push_back({s, 1, classes.empty()});
    }
    return classes;
}

// The convolution's definition in double at sampled elements of the three results, against what the kernels made.
class ConvError {
public:
    ConvError(const ConvShape& s, const Real* x, const Real* w, const Real* dy) : s_(s), x_(x), w_(w), dy_(dy) {}

    double forward(const Real* y) const {
        return sample(s_.out_pixels() * s_.o, y, [&](std::int64_t i) {
            const std::int64_t o = i % s_.o, ox = i / s_.o % s_.out_w(), oy = i / s_.o / s_.out_w() % s_.out_h();
            const std::int64_t n = i / s_.o / s_.out_w() / s_.out_h();
            double sum = 0;
            for (std::int64_t ky = 0; ky < s_.kh; ++ky)
                for (std::int64_t kx = 0; kx < s_.kw; ++kx)
                    for (std::int64_t c = 0; c < s_.group_c(); ++c)
                        sum += input(n, oy * s_.stride_h - s_.pad_h + ky, ox * s_.stride_w - s_.pad_w + kx,
                                     o / s_.group_o() * s_.group_c() + c) *
                               weight(ky, kx, c, o);
            return sum;
        });
    }
    double grad_input(const Real* dx) const {
        return sample(s_.n * s_.h * s_.w * s_.c, dx, [&](std::int64_t i) {
            const std::int64_t c = i % s_.c, ix = i / s_.c % s_.w, iy = i / s_.c / s_.w % s_.h;
            const std::int64_t n = i / s_.c / s_.w / s_.h, g = c / s_.group_c();
            double sum = 0;
            for (std::int64_t ky = 0; ky < s_.kh; ++ky)
                for (std::int64_t kx = 0; kx < s_.kw; ++kx) {
                    const std::int64_t ty = iy + s_.pad_h - ky, tx = ix + s_.pad_w - kx;
                    if (ty < 0 || tx < 0 || ty % s_.stride_h || tx % s_.stride_w) continue;
                    for (std::int64_t o = g * s_.group_o(); o < (g + 1) * s_.group_o(); ++o)
                        sum += output(n, ty / s_.stride_h, tx / s_.stride_w, o) * weight(ky, kx, c % s_.group_c(), o);
                }
            return sum;
        });
    }
    double grad_weight(const Real* dw) const {
        return sample(s_.kh * s_.kw * s_.group_c() * s_.o, dw, [&](std::int64_t i) {
            const std::int64_t o = i % s_.o, c = i / s_.o % s_.group_c(), k = i / s_.o / s_.group_c();
            double sum = 0;
            for (std::int64_t n = 0; n < s_.n; ++n)
                for (std::int64_t y = 0; y < s_.out_h(); ++y)
                    for (std::int64_t x = 0; x < s_.out_w(); ++x)
                        sum += output(n, y, x, o) * input(n, y * s_.stride_h - s_.pad_h + k / s_.kw,
                                                          x * s_.stride_w - s_.pad_w + k % s_.kw,
                                                          o / s_.group_o() * s_.group_c() + c);
            return sum;
        });
    }

private:
    double input(std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t c) const {
        if (y < 0 || y >= s_.h || x < 0 || x >= s_.w) return 0;
        return static_cast<double>(x_[((n * s_.h + y) * s_.w + x) * s_.c + c]);
    }
    double output(std::int64_t n, std::int64_t y, std::int64_t x, std::int64_t o) const {
        if (y >= s_.out_h() || x >= s_.out_w()) return 0;
        return static_cast<double>(dy_[((n * s_.out_h() + y) * s_.out_w() + x) * s_.o + o]);
    }
    double weight(std::int64_t ky, std::int64_t kx, std::int64_t c, std::int64_t o) const {
        return static_cast<double>(w_[((ky * s_.kw + kx) * s_.group_c() + c) * s_.o + o]);
    }
    template <class Exact>
    static double sample(std::int64_t size, const Real* values, Exact exact) {
        constexpr std::int64_t samples = 96;
        double off = 0, scale = 0;
        for (std::int64_t k = 0; k < samples; ++k) {
            const std::int64_t i = (k * 2654435761LL + 12345) % size;
            const double truth = exact(i), d = static_cast<double>(values[i]) - truth;
            off += d * d, scale += truth * truth;
        }
        return std::sqrt(off / scale);
    }
    ConvShape s_;
    const Real *x_, *w_, *dy_;
};

const char* conv_path(const ConvShape& s) {
    if (active_kernels() == Kernels::reference) return "reference";
    if (fast::winograd_applies(s)) return "winograd";
    if (fast::small_map_applies(s)) return "small map";
    return s.kh == 1 && s.kw == 1 && s.stride_h == 1 ? "pointwise" : "direct";
}

void conv_rows(const ConvClass& layer, int repeats, std::vector<KernelRow>& rows) {
    const ConvShape& s = layer.shape;
    // ReLU-like inputs and weights of He's size, as in training.
    const Tensor x = random_numbers({s.n, s.h, s.w, s.c}, 1, 0, 1);
    const double spread = std::sqrt(6.0 / static_cast<double>(s.kh * s.kw * s.group_c()));
    const Tensor w = random_numbers({s.kh, s.kw, s.group_c(), s.o}, 2, -spread, spread);
    const Tensor dy = random_numbers({s.n, s.out_h(), s.out_w(), s.o}, 3, -1, 1);
    Tensor y(dy.shape()), dx(x.shape()), dw(w.shape());
    const ConvError error(s, x.data(), w.data(), dy.data());
    const std::string shape =
        fmt::format("{}x{} s{}{} {}->{} @{}x{}", s.kh, s.kw, s.stride_h,
                    s.groups > 1 ? fmt::format(" g{}", s.groups) : "", s.c, s.o, s.out_h(), s.out_w());
    const std::string path = conv_path(s);
    const auto add = [&](const char* pass, double wrong, const std::function<void()>& call) {
        KernelRow row{"conv", pass, shape, path, layer.count};
        time_calls(row, repeats, call);
        row.gflop = 2e-9 * static_cast<double>(s.macs());
        row.executed_gflop = row.gflop;
        if (path == "winograd") {
            const bool input = std::string(pass) == "grad-input";
            const std::int64_t h = input ? s.h : s.out_h(), width = input ? s.w : s.out_w();
            row.executed_gflop = 2e-9 * 36 * static_cast<double>(s.n * ((h + 3) / 4) * ((width + 3) / 4) * s.c * s.o);
        }
        if (path == "small map" && (s.stride_h == 1 || std::string(pass) != "grad-input"))
            row.executed_gflop = 2e-9 * static_cast<double>(s.n * fast::pairs_inside(s) * s.c * s.o);
        row.bytes = sizeof(Real) * static_cast<double>(x.numel() + w.numel() + dy.numel());
        row.error = wrong;
        rows.push_back(row);
    };
    const auto forward = [&] { conv2d_forward(s, Source<Real>(x.data()), w.data(), nullptr, y.mutable_data()); };
    const auto grad_input = [&] { conv2d_grad_input(s, dy.data(), w.data(), dx.mutable_data()); };
    const auto grad_weight = [&] { conv2d_grad_weight(s, Source<Real>(x.data()), dy.data(), dw.mutable_data()); };
    forward();
    add("forward", error.forward(y.data()), forward);
    if (!layer.first) {
        grad_input();
        add("grad-input", error.grad_input(dx.data()), grad_input);
    }
    grad_weight();
    add("grad-weight", error.grad_weight(dw.data()), grad_weight);
}

void linear_rows(const Workload& w, int repeats, std::vector<KernelRow>& rows) {
    for (const LayerRow& l : w.layers) {
        if (l.type != "linear") continue;
        const std::int64_t m = w.batch, k = l.in[-1], n = l.out[-1];
        const Tensor x = random_numbers({m, k}, 1, -1, 1), weight = random_numbers({n, k}, 2, -1, 1);
        const Tensor dy = random_numbers({m, n}, 3, -1, 1);
        Tensor y({m, n}), dx({m, k}), dw({n, k});
        const auto add = [&](const char* pass, const std::function<void()>& call) {
            KernelRow row{"gemm", pass, fmt::format("{}: {}x{} -> {}", l.name, m, k, n), "blas"};
            time_calls(row, repeats, call);
            row.gflop = row.executed_gflop = 2e-9 * static_cast<double>(m * n * k);
            row.bytes = sizeof(Real) * static_cast<double>(m * k + n * k + m * n);
            rows.push_back(row);
        };
        add("forward", [&] { gemm(m, n, k, {x.data(), k}, {weight.data(), k, true}, y.mutable_data(), n); });
        add("grad-input", [&] { gemm(m, k, n, {dy.data(), n}, {weight.data(), k}, dx.mutable_data(), k); });
        add("grad-weight", [&] { gemm(n, k, m, {dy.data(), n, true}, {x.data(), k}, dw.mutable_data(), k); });
    }
}

// Passes over memory, at the workload's largest map.
void memory_rows(const Workload& w, int repeats, std::vector<KernelRow>& rows) {
    std::int64_t h = 0, c = 0;
    for (const LayerRow& l : w.layers)
        if (l.kernel > 0 && l.out.numel() > h * h * c) h = l.out[0], c = l.out[2];
    const Shape map{w.batch, h, h, c};
    const std::int64_t n = map.numel();
    const Tensor x = random_numbers(map, 1, -1, 1), dy = random_numbers(map, 2, -1, 1);
    const Tensor scale = random_numbers({c}, 3, 0.5, 1.5), shift = random_numbers({c}, 4, -1, 1);
    Tensor y(map);
    std::vector<double> sums(static_cast<std::size_t>(c)), dots(sums.size());
    const std::string shape = fmt::format("{}x{}x{}x{}", w.batch, h, h, c);
    const ChannelRows all{1, n / c, c};
    const auto add = [&](const char* kernel, const char* pass, double floats, const std::function<void()>& call) {
        KernelRow row{kernel, pass, shape, active_kernels() == Kernels::reference ? "reference" : "rows"};
        time_calls(row, repeats, call);
        row.bytes = sizeof(Real) * floats;
        rows.push_back(row);
    };
    const auto d = static_cast<double>(n);
    const Act leaky = Act::leaky_relu(0.1);
    add("norm", "statistics", d, [&] { channel_moments(all, x.data(), sums.data(), dots.data()); });
    add("norm+act", "forward", 2 * d,
        [&] { channel_affine(all, x.data(), scale.data(), shift.data(), leaky, y.mutable_data()); });
    add("norm+act", "backward sums", 2 * d, [&] {
        channel_grad_sums(all, dy.data(), x.data(), scale.data(), shift.data(), leaky, shift.data(), sums.data(),
                          dots.data());
    });
    add("norm+act", "backward", 3 * d, [&] {
        channel_grad_input(all, dy.data(), x.data(), scale.data(), shift.data(), leaky, shift.data(), scale.data(),
                           shift.data(), shift.data(), y.mutable_data());
    });
    add("relu", "forward", 2 * d, [&] { relu(Var(x)); });
    add("silu", "forward", 2 * d, [&] { (void)silu(Var(x)).value(); });
    if (h >= 2) {
        const PoolShape p{w.batch, h, h, c, 2, 2, 2, 2, 0, 0, 1, 1, false};
        Tensor out(Shape{w.batch, p.out_h(), p.out_w(), c});
        Array<std::uint16_t> winner(out.shape());
        const auto pooled = static_cast<double>(out.numel());
        add("max pool", "forward", d + 1.5 * pooled,
            [&] { max_pool_forward(p, Source<Real>(x.data()), out.mutable_data(), winner.mutable_data()); });
        add("max pool", "backward", d + 1.5 * pooled,
            [&] { max_pool_backward(p, out.data(), winner.data(), y.mutable_data()); });
    }
    std::int64_t parameters = 0;
    for (const auto& p : w.params) parameters += p.param->value.numel();
    Tensor p = Tensor::zeros({parameters}), g = Tensor::zeros({parameters}), m = Tensor::zeros({parameters});
    KernelRow row{"sgd", "update", fmt::format("{} parameters", parameters), "loop"};
    time_calls(row, repeats, [&] {
        sgd_update(parameters, {1e-3, 1e-4, 0.9, 0, false, false}, g.data(), m.mutable_data(), p.mutable_data());
    });
    row.bytes = sizeof(Real) * 5 * static_cast<double>(parameters);
    rows.push_back(row);
}

struct KernelReport {
    Peaks peaks;
    std::vector<KernelRow> rows;
    bool steady = false;
};

// The share of the FMA peak that a kind of convolution reaches, weighted by time over the layers of the workload.
double time_weighted_share(const KernelReport& r, const std::function<bool(const KernelRow&)>& chosen,
                           bool products_only) {
    double work = 0, seconds = 0;
    for (const KernelRow& row : r.rows) {
        if (!chosen(row)) continue;
        work += row.count * row.executed_gflop;
        seconds += row.count * (products_only ? row.product_s / thread_count() : row.median_s);
    }
    return seconds > 0 && r.peaks.fma_gflops > 0 ? work / seconds / r.peaks.fma_gflops : 0;
}

struct Shares {
    double direct, products, winograd;
};

Shares shares(const KernelReport& r) {
    const auto with = [](const char* path) { return [path](const KernelRow& row) { return row.path == path; }; };
    return {time_weighted_share(
                r, [](const KernelRow& row) { return row.path != "winograd"; }, false),
            time_weighted_share(r, with("winograd"), true), time_weighted_share(r, with("winograd"), false)};
}

void print(const KernelBench& bench, const KernelReport& r) {
    fmt::print("peaks with {} threads: FMA {:.1f} GFLOP/s, sgemm {:.1f} GFLOP/s, stream {:.1f} GB/s{}\n\n",
               thread_count(), r.peaks.fma_gflops, r.peaks.sgemm_gflops, r.peaks.stream_gbs,
               r.steady ? "" : "   unsteady");
    fmt::print("{:<9} {:<13} {:<30} {:<10} {:>2} {:>9} {:>9} {:>8} {:>6} {:>6} {:>6} {:>7}\n", "kernel", "pass",
               "shape", "path", "n", "min ms", "median", "GFLOP/s", "% FMA", "GB/s", "faults", "error");
    for (const KernelRow& row : r.rows) {
        const bool computes = row.gflop > 0;
        fmt::print("{:<9} {:<13} {:<30} {:<10} {:>2} {:>9.3f} {:>9.3f} {:>8} {:>6} {:>6} {:>6.1f} {:>7}\n", row.kernel,
                   row.pass, row.shape, row.path, row.count, 1e3 * row.min_s, 1e3 * row.median_s,
                   computes ? fmt::format("{:.1f}", row.gflop / row.median_s) : "",
                   computes && r.peaks.fma_gflops > 0
                       ? fmt::format("{:.0f}", 100 * row.executed_gflop / row.median_s / r.peaks.fma_gflops)
                       : "",
                   computes ? "" : fmt::format("{:.1f}", 1e-9 * row.bytes / row.median_s), row.faults,
                   row.error < 0 ? "" : fmt::format("{:.0e}", row.error));
    }
    const Shares s = shares(r);
    fmt::print("\nshare of the FMA peak over the convolutions of {}, weighted by time:", bench.workload);
    if (s.direct > 0) fmt::print(" direct and pointwise {:.2f}", s.direct);
    if (s.products > 0) fmt::print(" winograd {:.2f}, its products alone {:.2f}", s.winograd, s.products);
    fmt::print("\n");
}

void print_bench_json(const KernelBench& bench, const KernelReport& r) {
    nlohmann::ordered_json j{{"workload", bench.workload},
                             {"threads", thread_count()},
                             {"kernels", name_of(active_kernels())},
                             {"fma_gflops", r.peaks.fma_gflops},
                             {"sgemm_gflops", r.peaks.sgemm_gflops},
                             {"stream_gbs", r.peaks.stream_gbs},
                             {"steady", r.steady}};
    const Shares s = shares(r);
    j["direct_share"] = s.direct;
    j["winograd_product_share"] = s.products;
    j["winograd_share"] = s.winograd;
    for (const KernelRow& row : r.rows) {
        nlohmann::ordered_json line{
            {"kernel", row.kernel},     {"pass", row.pass},    {"shape", row.shape},
            {"path", row.path},         {"count", row.count},  {"min_s", row.min_s},
            {"median_s", row.median_s}, {"gflop", row.gflop},  {"executed_gflop", row.executed_gflop},
            {"bytes", row.bytes},       {"faults", row.faults}};
        if (row.product_s > 0) line["product_s"] = row.product_s / thread_count();
        if (row.error >= 0) line["error"] = row.error;
        j["rows"].push_back(line);
    }
    fmt::print("{}\n", j.dump());
}

}  // namespace

ExitCode bench_kernels(const KernelBench& bench) {
    const Workload w = make_workload(bench.workload);
    KernelReport report;
    // A machine whose peak moved meanwhile was busy with something else: measured again, three times at most.
    for (int attempt = 0; attempt < 3 && !report.steady; ++attempt) {
        report = {measure_peaks(), {}, false};
        for (const ConvClass& layer : conv_classes(w)) conv_rows(layer, bench.repeats, report.rows);
        linear_rows(w, bench.repeats, report.rows);
        memory_rows(w, bench.repeats, report.rows);
        report.steady = drift(report.peaks, measure_peaks()) <= 0.05;
    }
    bench.json ? print_bench_json(bench, report) : print(bench, report);
    return ExitCode::done;
}

}  // namespace solobox
