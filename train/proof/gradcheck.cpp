#include "train/proof/gradcheck.h"

#include <algorithm>
#include <cmath>

#include "train/config/names.h"
#include "train/proof/freeze_constants.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

constexpr double h = 1e-6;
constexpr double kink_threshold = 1e-4;  // of the largest gradient: far above curvature, far below a change of slope

// L = sum(u * f(x)) without a tape.
double objective(const OpCase& c, const Tensor& upstream, FreezeConstants& freeze) {
    const NoGrad quiet;
    freeze.rewind();
    const Tensor y = c.run().value();
    double total = 0;
    for (std::int64_t i = 0; i < y.numel(); ++i) total += static_cast<double>(upstream[i]) * static_cast<double>(y[i]);
    return total;
}

struct TensorCheck {
    std::string name;
    Parameter* param;
    Tensor analytic;
};

// Coordinates to compare: all of a small tensor, a random choice of a large one.
std::vector<std::int64_t> choose(std::int64_t n, std::int64_t limit, Random& random) {
    std::vector<std::int64_t> order(static_cast<std::size_t>(n));
    for (std::int64_t i = 0; i < n; ++i) order[static_cast<std::size_t>(i)] = i;
    shuffle(order.data(), n, random);
    if (n > limit) order.resize(static_cast<std::size_t>(limit + limit / 10 + 4));  // some to spare for kinks
    return order;
}

void compare(const OpCase& c, const TensorCheck& t, const Tensor& upstream, FreezeConstants& freeze, std::int64_t limit,
             Random& random, GradcheckResult& result) {
    const double base = objective(c, upstream, freeze);
    double scale = max_abs(t.analytic), worst = 0;
    std::string worst_text;
    std::int64_t compared = 0;
    for (const std::int64_t i : choose(t.param->value.numel(), limit, random)) {
        if (compared == limit) break;
        Real& x = t.param->value.mutable_data()[i];
        const Real kept = x;
        x = kept + static_cast<Real>(h);
        const double up = objective(c, upstream, freeze);
        x = kept - static_cast<Real>(h);
        const double down = objective(c, upstream, freeze);
        x = kept;
        const double numeric = (up - down) / (2 * h), analytic = static_cast<double>(t.analytic[i]);
        scale = std::max(scale, std::abs(numeric));
        if (std::abs((up - base) - (base - down)) / h > kink_threshold * std::max(scale, 1e-3)) {
            ++result.kinks;
            continue;
        }
        ++compared;
        const double off = std::abs(analytic - numeric);
        if (off <= worst) continue;
        worst = off;
        worst_text = fmt::format("{}[{}] = {:.6g}: backward {:.9g}, numeric {:.9g}", t.name, i,
                                 static_cast<double>(kept), analytic, numeric);
    }
    result.coordinates += compared;
    // A gradient that is zero by construction (a bias in front of a norm) has no relative error: 1e-3 is the yardstick.
    const double error = worst / std::max(scale, 1e-3);
    if (!(error <= result.error)) {
        result.error = error;
        result.worst = worst_text;
    }
}

}  // namespace

GradcheckResult gradcheck(const OpRow& row, const OpCase& c, std::uint64_t seed, std::int64_t max_coordinates) {
    static_assert(sizeof(Real) >= 4);
    GradcheckResult result{row.name, row.group, c.shapes, 0, 0, 0, "", false};
    std::vector<TensorCheck> tensors;
    for (std::size_t i = 0; i < c.inputs.size(); ++i)
        tensors.push_back({fmt::format("input {}", i), c.inputs[i].get(), {}});
    for (const auto& p : c.more) tensors.push_back({p.name, p.param, {}});
    Random random({seed, Stream::test, 0, 0, 77});
    FreezeConstants freeze;
    Tensor upstream;
    std::vector<Tensor> before;
    for (auto& t : tensors) {  // gradients start at noise: backward must add to it
        before.push_back(Tensor(t.param->value.shape()));
        for (std::int64_t i = 0; i < before.back().numel(); ++i)
            before.back().mutable_data()[i] = static_cast<Real>(random.normal());
        t.param->grad = before.back().clone();
    }
    {
        Tape tape;
        const Var y = c.run();
        upstream = Tensor(y.shape());
        for (std::int64_t i = 0; i < y.numel(); ++i) upstream.mutable_data()[i] = static_cast<Real>(random.normal());
        tape.backward({{y, upstream}});
    }
    for (std::size_t k = 0; k < tensors.size(); ++k) {
        Tensor d(before[k].shape());
        for (std::int64_t i = 0; i < d.numel(); ++i) d.mutable_data()[i] = tensors[k].param->grad[i] - before[k][i];
        tensors[k].analytic = d;
    }
    for (const auto& t : tensors) compare(c, t, upstream, freeze, max_coordinates, random, result);
    result.pass = result.error <= gradcheck_tolerance && result.coordinates > 0;
    return result;
}

std::vector<GradcheckResult> run_gradcheck(const std::string& only, std::uint64_t seed) {
    std::vector<GradcheckResult> results;
    std::vector<std::string> names;
    for (const OpRow& row : ops_table()) {
        names.push_back(row.name);
        if (!only.empty() && only != row.name && only != row.group) continue;
        for (const OpCase& c : row.cases(seed)) {
            // A model has dozens of tensors: a few numbers of each, several hundred in all.
            const auto tensors = static_cast<std::int64_t>(c.inputs.size() + c.more.size());
            const std::int64_t limit =
                row.group == "model" ? std::clamp<std::int64_t>(240 / std::max<std::int64_t>(tensors, 1), 3, 12) : 200;
            results.push_back(gradcheck(row, c, seed, limit));
        }
    }
    if (results.empty())
        throw ConfigError(fmt::format("no op or model is called '{}'{} (`solobox gradcheck --list` lists them)", only,
                                      did_you_mean(only, names)));
    return results;
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
