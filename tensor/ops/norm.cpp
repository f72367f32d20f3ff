#include "tensor/ops/norm.h"

#include <cmath>

#include "tensor/kernels/norm.h"
#include "tensor/kernels/parallel.h"
#include "tensor/pending.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

using Doubles = std::vector<double>;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

// What one normalisation learned about its input: per (image, channel) mean, reciprocal deviation, and the affine map
// y = scale * x + shift that they and the weights amount to.
struct Normalizer {
    ChannelRows rows;
    std::int64_t groups;  // channels of one group share mean and deviation; n * groups groups in all
    double count;         // elements averaged in a group
    Tensor mean, rstd;    // (n, c), as expanded over the group
    Tensor scale, shift;  // (n, c)
    Act act;
    bool constant_statistics = false;  // evaluation: mean and deviation do not depend on x

    std::int64_t group_of(std::int64_t c) const { return c / (rows.c / groups); }

    void set_affine(const Tensor& weight, const Tensor& bias) {
        const Shape shape{rows.n, rows.c};
        scale = Tensor(shape);
        shift = Tensor(shape);
        for (std::int64_t i = 0; i < shape.numel(); ++i) {
            const double gamma = weight.defined() ? static_cast<double>(weight[i % rows.c]) : 1.0;
            const double beta = bias.defined() ? static_cast<double>(bias[i % rows.c]) : 0.0;
            const double factor = gamma * static_cast<double>(rstd[i]);
            scale.mutable_data()[i] = static_cast<Real>(factor);
            shift.mutable_data()[i] = static_cast<Real>(beta - factor * static_cast<double>(mean[i]));
        }
    }

    // Averages per-channel sums over each group: value (n, c), the same for all channels of a group.
    Doubles group_mean(const Doubles& sums) const {
        Doubles result(sums.size());
        const std::int64_t width = rows.c / groups;
        for (std::int64_t g = 0; g < rows.n * groups; ++g) {
            double total = 0;
            for (std::int64_t c = g * width; c < (g + 1) * width; ++c) total += sums[at(c)];
            for (std::int64_t c = g * width; c < (g + 1) * width; ++c) result[at(c)] = total / count;
        }
        return result;
    }
};

// Mean and variance of every group, with the variance as the result.
Doubles measure(Normalizer& z, const Real* x, double eps) {
    const std::int64_t size = z.rows.n * z.rows.c;
    Doubles sums(at(size)), squares(at(size));
    z.mean = Tensor(Shape{z.rows.n, z.rows.c});
    z.rstd = Tensor(z.mean.shape());
    channel_moments(z.rows, x, sums.data(), squares.data());
    const Doubles mean = z.group_mean(sums);
    // A group's squares are those of its channels about their own means, and the distances of these from the group's.
    const double rows = static_cast<double>(z.rows.rows);
    for (std::int64_t i = 0; i < size; ++i) {
        const double apart = sums[at(i)] / rows - mean[at(i)];
        squares[at(i)] += rows * apart * apart;
        z.mean.mutable_data()[i] = static_cast<Real>(mean[at(i)]);
    }
    const Doubles variance = z.group_mean(squares);
    for (std::int64_t i = 0; i < size; ++i)
        z.rstd.mutable_data()[i] = static_cast<Real>(1 / std::sqrt(variance[at(i)] + eps));
    return variance;
}

// With x^ = (x - mean) rstd and g = dz * gamma:  dx = rstd (g - mean(g) - x^ mean(g x^)), means over the group.
// dy comes pixel by pixel, or through a max pool.
Grads norm_backward(const Normalizer& z, const Tensor& dy, const PooledGrad* pooled, const Tensor& x,
                    const Tensor& weight, std::size_t inputs) {
    const ChannelRows& s = z.rows;
    const std::int64_t size = s.n * s.c;
    Doubles dz_sum(at(size)), dot(at(size));
    if (pooled)
        pooled_grad_sums(s, pooled->shape, pooled->dy.data(), pooled->winner.data(), x.data(), z.scale.data(),
                         z.shift.data(), z.act, z.mean.data(), dz_sum.data(), dot.data());
    else
        channel_grad_sums(s, dy.data(), x.data(), z.scale.data(), z.shift.data(), z.act, z.mean.data(), dz_sum.data(),
                          dot.data());
    Doubles g_sum(at(size)), gx_sum(at(size));
    for (std::int64_t i = 0; i < size; ++i) {
        const double gamma = weight.defined() ? static_cast<double>(weight[i % s.c]) : 1.0;
        g_sum[at(i)] = gamma * dz_sum[at(i)];
        gx_sum[at(i)] = gamma * dot[at(i)] * static_cast<double>(z.rstd[i]);
    }
    const Doubles g_mean = z.group_mean(g_sum), gx_mean = z.group_mean(gx_sum);
    Tensor b = Tensor::zeros(z.scale.shape()), d = Tensor::zeros(z.scale.shape());
    if (!z.constant_statistics)
        for (std::int64_t i = 0; i < size; ++i) {
            const double r = static_cast<double>(z.rstd[i]);
            b.mutable_data()[i] = static_cast<Real>(-r * r * gx_mean[at(i)]);
            d.mutable_data()[i] = static_cast<Real>(-r * g_mean[at(i)]);
        }
    Grads grads(inputs);
    grads[0] = Tensor(x.shape());
    if (pooled)
        pooled_grad_input(s, pooled->shape, pooled->dy.data(), pooled->winner.data(), x.data(), z.scale.data(),
                          z.shift.data(), z.act, z.mean.data(), z.scale.data(), b.data(), d.data(),
                          grads[0].mutable_data());
    else
        channel_grad_input(s, dy.data(), x.data(), z.scale.data(), z.shift.data(), z.act, z.mean.data(), z.scale.data(),
                           b.data(), d.data(), grads[0].mutable_data());
    if (inputs == 1) return grads;
    grads[1] = Tensor(Shape{s.c});
    grads[2] = Tensor(Shape{s.c});
    for (std::int64_t c = 0; c < s.c; ++c) {
        double dw = 0, db = 0;
        for (std::int64_t i = c; i < size; i += s.c) {
            dw += dot[at(i)] * static_cast<double>(z.rstd[i]);
            db += dz_sum[at(i)];
        }
        grads[1].mutable_data()[c] = static_cast<Real>(dw);
        grads[2].mutable_data()[c] = static_cast<Real>(db);
    }
    return grads;
}

Var finish(const char* op, Normalizer z, const Var& x, const Var& weight, const Var& bias) {
    check(weight.defined() == bias.defined(), "[{}] weight and bias come together or not at all", op);
    const Shape channels{z.rows.c};
    check(!weight.defined() || (weight.shape() == channels && bias.shape() == channels),
          "[{}] weight and bias must have {} elements for input {}", op, z.rows.c, x.shape().str());
    z.set_affine(weight.value(), bias.value());
    std::vector<Var> inputs{x};
    if (weight.defined()) inputs.insert(inputs.end(), {weight, bias});
    const auto backward = [z, v = x.operand().forgetful(), w = weight.value(), n = inputs.size()](
                              const Tensor& dy, const PooledGrad* pooled) {
        return norm_backward(z, dy, pooled, v.tensor(), w, n);
    };
    auto origin = std::make_shared<const Origin>(
        Origin{inputs, [backward](const PooledGrad& grad) { return backward({}, &grad); }});
    return record_later(op, {x.value(), z.scale, z.shift, z.act, std::move(origin)}, inputs,
                        [backward](const Tensor& dy, const Wanted&) -> Grads { return backward(dy, nullptr); });
}

}  // namespace

Var group_norm(const Var& x, std::int64_t groups, const Var& weight, const Var& bias, double eps, const Act& act) {
    check(x.rank() >= 2, "[group_norm] input is {}, expected (N, .., C)", x.shape().str());
    const std::int64_t n = x.dim(0), c = x.dim(-1);
    check(groups >= 1 && c % groups == 0, "[group_norm] {} channels do not divide into {} groups (input {})", c, groups,
          x.shape().str());
    const std::int64_t pixels = x.numel() ? x.numel() / (n * c) : 0;
    Normalizer z{{n, pixels, c}, groups, static_cast<double>(pixels * (c / groups)), {}, {}, {}, {}, act};
    measure(z, x.value().data(), eps);
    return finish("group_norm", std::move(z), x, weight, bias);
}

Var batch_norm(const Var& x, RunningStats& stats, const Var& weight, const Var& bias, const BatchNormSpec& spec,
               const Act& act) {
    check(x.rank() >= 2, "[batch_norm] input is {}, expected (N, C) or (N, .., C)", x.shape().str());
    const std::int64_t c = x.dim(-1), pixels = c ? x.numel() / c : 0;
    const bool tracked = stats.mean.defined();
    check(!tracked || (stats.mean.numel() == c && stats.var.numel() == c),
          "[batch_norm] running statistics have {} channels, input is {}", stats.mean.numel(), x.shape().str());
    Normalizer z{{1, pixels, c}, c, static_cast<double>(pixels), {}, {}, {}, {}, act};
    if (!spec.training && tracked) {
        z.constant_statistics = true;
        z.mean = stats.mean.reshaped(Shape{1, c}).clone();
        z.rstd = Tensor(Shape{1, c});
        for (std::int64_t i = 0; i < c; ++i)
            z.rstd.mutable_data()[i] = static_cast<Real>(1 / std::sqrt(static_cast<double>(stats.var[i]) + spec.eps));
        return finish("batch_norm", std::move(z), x, weight, bias);
    }
    check(!spec.training || pixels > 1, "[batch_norm] needs more than one value per channel in training, input is {}",
          x.shape().str());
    const Doubles variance = measure(z, x.value().data(), spec.eps);
    if (spec.training && tracked) {
        ++stats.batches;
        const double f = spec.momentum < 0 ? 1.0 / static_cast<double>(stats.batches) : spec.momentum;
        const double unbiased = z.count / (z.count - 1);
        const auto blend = [f](Real& old, double now) {
            old = static_cast<Real>((1 - f) * static_cast<double>(old) + f * now);
        };
        for (std::int64_t i = 0; i < c; ++i) {
            blend(stats.mean.mutable_data()[i], static_cast<double>(z.mean[i]));
            blend(stats.var.mutable_data()[i], variance[at(i)] * unbiased);
        }
    }
    return finish("batch_norm", std::move(z), x, weight, bias);
}

Var add_act(const Var& a, const Var& b, const Act& act) {
    check(act.kind != Act::Kind::leaky || act.slope >= 0, "[add_act] slope {} is negative", act.slope);
    check(a.shape() == b.shape() && a.rank() >= 2, "[add_act] {} and {}: expected equal shapes (N, .., C)",
          a.shape().str(), b.shape().str());
    const std::int64_t n = a.dim(0), c = a.dim(-1);
    // A side that has an activation of its own to come is worked out first.
    const auto source = [](const Var& v) {
        const Pending* p = v.operand().pending();
        return p && p->act.identity() ? v.operand().source() : Source<Real>(v.value().data());
    };
    Tensor y(a.shape());
    const ChannelRows rows{n, n * c > 0 ? a.numel() / (n * c) : 0, c};
    channel_add(rows, source(a), source(b), act, y.mutable_data());
    // What the derivative is told from: the result, where that has the sum's sign, or the sum.
    Tensor from = y;
    if (!act.keeps_sign() && Tape::current()) {
        from = Tensor(a.shape());
        channel_add(rows, source(a), source(b), Act::none(), from.mutable_data());
    }
    return record("add_act", y, {a, b}, [act, from](const Tensor& dy) -> Grads {
        if (act.identity()) return {dy, dy};
        Tensor d(dy.shape());
        activation_grad(d.numel(), dy.data(), from.data(), act, d.mutable_data());
        return {d, d};
    });
}

Var activated(const Var& x, const Act& act) {
    check(x.rank() == 4, "[{}] input is {}, expected (N, H, W, C)", act.op(), x.shape().str());
    const Shape channels{1, x.dim(3)};
    std::shared_ptr<const Origin> origin;
    // Through a max pool the way back needs only the winners' signs, which the pooled values have too.
    if (act.keeps_sign())
        origin = std::make_shared<const Origin>(
            Origin{{x}, [act, shape = x.shape()](const PooledGrad& g) -> Grads {
                       Tensor d(g.dy.shape()), dx(shape);
                       activation_grad(d.numel(), g.dy.data(), g.y.data(), act, d.mutable_data());
                       max_pool_backward(g.shape, d.data(), g.winner.data(), dx.mutable_data());
                       return {dx};
                   }});
    return record_later(act.op(),
                        {x.value(), Tensor::full(channels, Real(1)), Tensor::zeros(channels), act, std::move(origin)},
                        {x}, [act, v = x.value()](const Tensor& dy, const Wanted&) -> Grads {
                            Tensor dx(dy.shape());
                            activation_grad(dx.numel(), dy.data(), v.data(), act, dx.mutable_data());
                            return {dx};
                        });
}

Var layer_norm(const Var& x, const Shape& normalized_shape, const Var& weight, const Var& bias, double eps) {
    const int axes = normalized_shape.rank();
    check(axes >= 1 && axes <= x.rank(), "[layer_norm] cannot normalise {} over {}", x.shape().str(),
          normalized_shape.str());
    for (int i = 1; i <= axes; ++i)
        check(x.dim(-i) == normalized_shape[-i], "[layer_norm] input {} does not end in {}", x.shape().str(),
              normalized_shape.str());
    check(!bias.defined() || weight.defined(), "[layer_norm] a bias needs a weight");
    const std::int64_t width = normalized_shape.numel(), rows = width ? x.numel() / width : 0;
    Tensor y(x.shape()), xhat(x.shape()), rstd(Shape{rows});
    const Real* gamma = weight.defined() ? weight.value().data() : nullptr;
    const Real* beta = bias.defined() ? bias.value().data() : nullptr;
    for (std::int64_t r = 0; r < rows; ++r) {
        const Real* row = x.value().data() + r * width;
        double total = 0, square = 0;
        for (std::int64_t i = 0; i < width; ++i) total += static_cast<double>(row[i]);
        const double mean = total / static_cast<double>(width);
        for (std::int64_t i = 0; i < width; ++i)
            square += (static_cast<double>(row[i]) - mean) * (static_cast<double>(row[i]) - mean);
        const double scale = 1 / std::sqrt(square / static_cast<double>(width) + eps);
        rstd.mutable_data()[r] = static_cast<Real>(scale);
        for (std::int64_t i = 0; i < width; ++i) {
            const Real h = static_cast<Real>((static_cast<double>(row[i]) - mean) * scale);
            xhat.mutable_data()[r * width + i] = h;
            y.mutable_data()[r * width + i] = (gamma ? gamma[i] * h : h) + (beta ? beta[i] : Real(0));
        }
    }
    std::vector<Var> inputs{x};
    if (weight.defined()) inputs.push_back(weight);
    if (bias.defined()) inputs.push_back(bias);
    return record("layer_norm", y, inputs, [=, w = weight.value(), n = inputs.size()](const Tensor& dy) -> Grads {
        Tensor dx(dy.shape());
        std::vector<double> dw(at(width)), db(at(width));
        for (std::int64_t r = 0; r < rows; ++r) {
            const Real *g = dy.data() + r * width, *h = xhat.data() + r * width;
            double mean_g = 0, mean_gh = 0;
            for (std::int64_t i = 0; i < width; ++i) {
                const double gi = static_cast<double>(g[i]), hi = static_cast<double>(h[i]);
                const double scaled = w.defined() ? gi * static_cast<double>(w[i]) : gi;
                mean_g += scaled;
                mean_gh += scaled * hi;
                dw[at(i)] += gi * hi;
                db[at(i)] += gi;
            }
            mean_g /= static_cast<double>(width);
            mean_gh /= static_cast<double>(width);
            for (std::int64_t i = 0; i < width; ++i) {
                const double scaled = static_cast<double>(g[i]) * (w.defined() ? static_cast<double>(w[i]) : 1.0);
                dx.mutable_data()[r * width + i] = static_cast<Real>(
                    static_cast<double>(rstd[r]) * (scaled - mean_g - static_cast<double>(h[i]) * mean_gh));
            }
        }
        Grads grads{dx};
        for (const auto* sums : {&dw, &db}) {
            if (grads.size() == n) break;
            Tensor d(normalized_shape);
            for (std::int64_t i = 0; i < width; ++i) d.mutable_data()[i] = static_cast<Real>((*sums)[at(i)]);
            grads.push_back(d);
        }
        return grads;
    });
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
