#include "tensor/ops/matmul.h"

#include <algorithm>

#include "tensor/kernels/gemm.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/view.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

// (B, M, K) x (B, K, N), either side read transposed.
Tensor batched(const Tensor& a, bool ta, const Tensor& b, bool tb) {
    const std::int64_t batch = a.dim(0), m = a.dim(ta ? 2 : 1), k = a.dim(ta ? 1 : 2), n = b.dim(tb ? 1 : 2);
    Tensor y(Shape{batch, m, n});
    const auto one = [&](std::int64_t i) {
        gemm(m, n, k, {a.data() + i * m * k, a.dim(2), ta}, {b.data() + i * k * n, b.dim(2), tb},
             y.mutable_data() + i * m * n, n);
    };
    if (batch == 1)
        one(0);  // the product itself is split among the threads
    else
        parallel_for(batch, one);
    return y;
}

// dW = dy^T x, some rows of it at a time: the largest weights of a network never have all of their gradient in memory.
void weight_grad_in_parts(const Tensor& dy, const Tensor& x, std::int64_t rows, const GradSink& sink) {
    constexpr std::int64_t elements = 1 << 20;
    const std::int64_t out = dy.dim(-1), in = x.dim(-1), height = std::clamp<std::int64_t>(elements / in, 1, out);
    Tensor part(Shape{height, in});
    for (std::int64_t first = 0; first < out; first += height) {
        const std::int64_t count = std::min(height, out - first);
        gemm(count, in, rows, {dy.data() + first, out, true}, {x.data(), in}, part.mutable_data(), in);
        sink({first * in, count * in, part.data()});
    }
}

}  // namespace

Var bmm(const Var& a, const Var& b) {
    check(a.rank() == 3 && b.rank() == 3 && a.dim(0) == b.dim(0) && a.dim(2) == b.dim(1),
          "[bmm] {} and {} do not multiply: expected (B, M, K) and (B, K, N)", a.shape().str(), b.shape().str());
    return record(
        "bmm", batched(a.value(), false, b.value(), false), {a, b},
        [x = a.value(), z = b.value()](const Tensor& dy, const Wanted& want) -> Grads {
            return {want[0] ? batched(dy, false, z, true) : Tensor{}, want[1] ? batched(x, true, dy, false) : Tensor{}};
        });
}

Var matmul(const Var& a, const Var& b) {
    check(a.rank() >= 1 && b.rank() >= 1, "[matmul] operands need at least one axis, got {} and {}", a.shape().str(),
          b.shape().str());
    if (a.rank() == 1) {  // a row on the left
        const Var y = matmul(reshape(a, {1, a.dim(0)}), b);
        return reshape(y, y.shape().without(b.rank() == 1 ? -1 : -2).dims());
    }
    if (b.rank() == 1) {  // a column on the right
        const Var y = matmul(a, reshape(b, {b.dim(0), 1}));
        return reshape(y, y.shape().without(-1).dims());
    }
    const std::int64_t m = a.dim(-2), k = a.dim(-1), n = b.dim(-1);
    check(b.dim(-2) == k, "[matmul] {} and {} do not multiply: inner sizes {} and {}", a.shape().str(), b.shape().str(),
          k, b.dim(-2));
    const auto lead = [](const Shape& s) { return s.without(-1).without(-1); };
    const Shape batch = broadcast_shape("matmul", lead(a.shape()), lead(b.shape()));
    const auto full = [&](std::int64_t rows, std::int64_t cols) {
        auto dims = batch.dims();
        dims.push_back(rows);
        dims.push_back(cols);
        return dims;
    };
    const Var y = bmm(reshape(expand(a, full(m, k)), {batch.numel(), m, k}),
                      reshape(expand(b, full(k, n)), {batch.numel(), k, n}));
    return reshape(y, full(m, n));
}

Var linear(const Var& x, const Var& weight, const Var& bias) {
    check(weight.rank() == 2, "[linear] weight is {}, expected (out, in)", weight.shape().str());
    const std::int64_t out = weight.dim(0), in = weight.dim(1);
    check(x.rank() >= 1 && x.dim(-1) == in, "[linear] weight {} expects {} input features, input is {}",
          weight.shape().str(), in, x.shape().str());
    check(!bias.defined() || bias.shape() == Shape{out}, "[linear] bias is {}, expected {}",
          bias.defined() ? bias.shape().str() : "", out);
    const std::int64_t rows = in ? x.numel() / in : x.shape().outer(-1);
    Tensor y(x.shape().with(-1, out));
    if (bias.defined())
        for (std::int64_t r = 0; r < rows; ++r) std::copy_n(bias.value().data(), out, y.mutable_data() + r * out);
    gemm(rows, out, in, {x.value().data(), in}, {weight.value().data(), in, true}, y.mutable_data(), out,
         bias.defined());
    std::vector<Var> inputs{x, weight};
    if (bias.defined()) inputs.push_back(bias);
    return record(
        "linear", y, inputs,
        [=, v = x.value(), w = weight.value(), biased = bias.defined()](const Tensor& dy, const Wanted& want) -> Grads {
            Grads grads(biased ? 3 : 2);
            if (want[0]) {  // dx = dy W
                grads[0] = Tensor(v.shape());
                gemm(rows, in, out, {dy.data(), out}, {w.data(), in}, grads[0].mutable_data(), in);
            }
            if (want[1] && want.sink(1)) {
                weight_grad_in_parts(dy, v, rows, *want.sink(1));
            } else if (want[1]) {  // dW = dy^T x
                grads[1] = Tensor(w.shape());
                gemm(out, in, rows, {dy.data(), out, true}, {v.data(), in}, grads[1].mutable_data(), in);
            }
            if (biased && want[2]) grads[2] = reduce_to(dy, Shape{out});
            return grads;
        });
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
