#include "train/step/diagnosis.h"

#include <algorithm>
#include <cmath>

#include "nn/model.h"
#include "train/run/causes.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

// Thresholds, all in one place.
constexpr double no_signal_spread = 1e-4;  // pictures that differ by less look alike to a float network
const double vanished_gradient = cause("vanishing-gradient").limit;  // of the largest gradient norm in the network
constexpr double many_dead = 0.5;
constexpr double off_target = 1e-3;  // of a box coordinate
constexpr double flat_gradient = 1e-4;
constexpr std::size_t first_steps = 3;

double first_gradient(const ParameterFlow& f) {
    double largest = 0;
    bool arrived = false;
    for (std::size_t i = 0; i < std::min(first_steps, f.samples.size()); ++i) {
        const double g = f.samples[i].grad_norm;
        if (std::isnan(g)) continue;
        arrived = true;
        largest = std::max(largest, g);
    }
    return arrived ? largest : std::nan("");
}

bool first_change(const ParameterFlow& f) {
    for (std::size_t i = 0; i < std::min(first_steps, f.samples.size()); ++i)
        if (f.samples[i].changed) return true;
    return false;
}

bool is_weight(const ParameterFlow& f) { return f.name.ends_with(".weight"); }

std::string listed(const std::vector<std::string>& names) {
    if (names.size() <= 4) return fmt::format("{}", fmt::join(names, ", "));
    return fmt::format("{}, {} .. {} ({} tensors)", names[0], names[1], names.back(), names.size());
}

using Names = std::vector<std::string>;
using Findings = std::vector<ReportFinding>;

void nothing_moves(const Measurements& m, Findings& out) {
    double gradient = 0;
    for (const auto& f : m.flows) {
        if (first_change(f)) return;
        if (!std::isnan(first_gradient(f))) gradient = std::max(gradient, first_gradient(f));
    }
    if (gradient == 0) return;
    if (m.largest_lr == 0)
        out.push_back({"FAIL", "zero-step",
                       fmt::format("Gradients flow (largest norm {:.3g}), but no weight moved in the first {} steps: "
                                   "the learning rate in force was 0.",
                                   gradient, first_steps),
                       "Set a learning rate above 0 (lr0=1e-3)."});
    else
        out.push_back(
            {"FAIL", "no-update",
             fmt::format("Gradients flow (largest norm {:.3g}) and the learning rate was {:.3g}, but no weight moved: "
                         "the optimizer holds none of these tensors, or its steps round to nothing.",
                         gradient, m.largest_lr),
             "Check which parameters the optimizer was given, and raise lr0."});
}

void gradient_missing(const Measurements& m, Findings& out) {
    Names missing;
    std::string first_with;
    double its_norm = 0;
    for (const auto& f : m.flows) {
        const double g = first_gradient(f);
        if (std::isnan(g))
            missing.push_back(f.name);
        else if (first_with.empty() && !missing.empty() && is_weight(f))
            first_with = f.name, its_norm = g;
    }
    if (missing.empty()) return;
    if (missing.size() == m.flows.size()) first_with.clear();
    out.push_back(
        {"FAIL", "detached",
         fmt::format("No gradient ever arrives at {}: it stops {}. The layers before that point run forward, but "
                     "backward does not reach them: the graph is cut (detached) there.",
                     listed(missing),
                     first_with.empty() ? "before the loss"
                                        : fmt::format("in front of {} (gradient norm {:.3g})", first_with, its_norm)),
         cause("detached").sentence()});
}

void zero_weights(const Measurements& m, Findings& out) {
    Names zero, starved;
    for (const auto& f : m.flows) {
        if (f.samples.empty()) continue;
        if (is_weight(f) && f.samples.front().weight_norm == 0) zero.push_back(f.name);
        if (first_gradient(f) == 0) starved.push_back(f.name);
    }
    if (zero.empty() || starved.empty()) return;
    out.push_back({"FAIL", "zero-weights",
                   fmt::format("The weights of {} are all zero, and the gradient of {} is exactly 0: a gradient that "
                               "passes through a zero weight is zero, so nothing behind it can learn.",
                               listed(zero), listed(starved)),
                   "Initialise these layers with random weights (head_init=default)."});
}

void blocked_outputs(const Measurements& m, Findings& out) {
    const OutputSignal& o = m.outputs;
    if (o.blocked == 0 || static_cast<double>(o.blocked) <= cause("clamped").limit * static_cast<double>(o.numbers))
        return;
    const double share = 100.0 * static_cast<double>(o.blocked) / static_cast<double>(o.numbers);
    if (2 * o.outside >= o.blocked)
        out.push_back(
            {"FAIL", "clamped",
             fmt::format("{} of {} output numbers ({:.0f} %) are off target and receive a gradient of exactly 0, {} of "
                         "them where the box coordinate has left 0..1: a clamp in front of the loss blocks them.",
                         o.blocked, o.numbers, share, o.outside),
             cause("clamped").sentence()});
    else
        out.push_back({"FAIL", "blocked-outputs",
                       fmt::format("{} of {} output numbers ({:.0f} %) are off target and receive a gradient of "
                                   "exactly 0: the loss does not see them.",
                                   o.blocked, o.numbers, share),
                       "Check the weights of the loss terms and what stands between the output and the loss."});
}

void no_image_signal(const Measurements& m, Findings& out) {
    const ActivationSignal* features = nullptr;
    std::string lost_at;
    for (const auto& a : m.activations) {
        if (a.name == "features") features = &a;
        if (lost_at.empty() && a.spread < no_signal_spread) lost_at = a.name;
    }
    if (!features || std::isnan(features->spread) || features->spread >= no_signal_spread) return;
    double smallest = INFINITY, largest = 0;
    std::string first;
    for (const auto& f : m.flows) {
        const double g = first_gradient(f);
        if (std::isnan(g) || !is_weight(f)) continue;
        if (first.empty()) first = f.name, smallest = g;
        largest = std::max(largest, g);
    }
    out.push_back(
        {"FAIL", "no-image-signal",
         fmt::format("No image signal reaches the head: the features of different pictures agree to {:.1g} (relative); "
                     "the signal is lost at {}. The head sees one and the same input and can only learn one box. First "
                     "layer's gradient: {:.1g} of the network's largest.",
                     features->spread, lost_at, largest > 0 ? smallest / largest : 0.0),
         "Put a normalisation after each convolution (norm=group), or use an initialisation that keeps the variance."});
}

void vanishing(const Measurements& m, Findings& out) {
    double largest = 0;
    for (const auto& f : m.flows)
        if (!std::isnan(first_gradient(f))) largest = std::max(largest, first_gradient(f));
    Names weak;
    for (const auto& f : m.flows)
        if (first_gradient(f) > 0 && first_gradient(f) < vanished_gradient * largest) weak.push_back(f.name);
    if (!weak.empty())
        out.push_back({"WARN", "vanishing-gradient",
                       fmt::format("The gradient of {} is below {:.0e} of the largest ({:.3g}).", listed(weak),
                                   vanished_gradient, largest),
                       "Add normalisation, or shorten the path to these layers."});
    Names starved;
    for (const auto& f : m.flows)
        if (first_gradient(f) == 0) starved.push_back(f.name);
    if (!starved.empty())
        out.push_back(
            {"FAIL", "zero-gradient",
             fmt::format("The gradient of {} was exactly 0 in the first {} steps.", listed(starved), first_steps),
             "Look at what follows these layers: dead units, a clamp, a zero weight."});
}

void dead_units(const Measurements& m, Findings& out) {
    for (const auto& a : m.activations)
        if (a.dead_fraction >= many_dead && a.name != "raw")
            out.push_back({"WARN", "dead-units",
                           fmt::format("{:.0f} % of the units of {} say the same for every picture and place.",
                                       100 * a.dead_fraction, a.name),
                           "Lower the learning rate, or use an activation with a slope on both sides."});
}

void saturation(const Measurements& m, Findings& out) {
    const OutputSignal& o = m.outputs;
    if (4 * o.saturated < o.numbers || o.numbers == 0) return;
    out.push_back(
        {"WARN", "saturated-outputs",
         fmt::format("{} of {} output numbers are off target with almost no gradient: the decode is saturated there.",
                     o.saturated, o.numbers),
         "Lower the learning rate, start the head near the data (head_bias=prior)."});
}

StepSizes sizes_of(const Measurements& m) {
    std::vector<UpdateRatios> tensors;
    for (const auto& f : m.flows) {
        if (!is_weight(f) || f.samples.empty() || f.samples.front().weight_norm == 0) continue;
        UpdateRatios r{f.name, {}, {}, {}};
        for (const FlowSample& s : f.samples)
            r.step.push_back(static_cast<double>(s.step)), r.ratio.push_back(s.update_ratio()),
                r.norm.push_back(s.weight_norm);
        tensors.push_back(std::move(r));
    }
    return step_sizes(tensors);
}

// What follows from a step that threw the weights away looks like many things: dead units, gradients of zero, a cut
// graph. It is told first.
void leaped(const Measurements& m, Findings& out) {
    const StepSizes s = sizes_of(m);
    if (s.largest <= cause("rate-too-high").limit || m.losses.empty()) return;
    const auto n = static_cast<std::ptrdiff_t>(std::max<std::size_t>(m.losses.size() / 4, 1));
    double late = 0;
    for (auto l = m.losses.end() - n; l != m.losses.end(); ++l) late += *l / static_cast<double>(n);
    if (late < m.losses.front()) return;
    out.push_back(
        {"FAIL", "rate-too-high",
         fmt::format("{} changed by {:.3g} times its own norm {}, at a learning rate of up to {:.3g}: the weights "
                     "were thrown away, and the loss went from {:.4g} to {:.4g}.",
                     s.where, s.largest, s.when(), m.largest_lr, m.losses.front(), late),
         cause("rate-too-high").sentence()});
}

void slow_or_unstable(const Measurements& m, Findings& out) {
    const std::size_t n = m.losses.size();
    if (n < 4) {
        out.push_back(
            {"INFO", "too-short", fmt::format("Only {} steps were taken.", n), "Allow more steps (--steps)."});
        return;
    }
    const auto average = [&](std::size_t begin, std::size_t end) {
        double sum = 0;
        for (std::size_t i = begin; i < end; ++i) sum += m.losses[i];
        return sum / static_cast<double>(end - begin);
    };
    const double early = average(0, n / 4), before = average(n / 2, 3 * n / 4), late = average(3 * n / 4, n);
    const std::string trend =
        fmt::format("mean loss {:.4g} in the first quarter, {:.4g} in the third, {:.4g} in the last; {}", early, before,
                    late, m.scores);
    // Still falling: more than a tenth from the third quarter to the last, or by more than its noise.
    double jump = 0;
    for (std::size_t i = n / 2 + 1; i < n; ++i) jump += std::abs(m.losses[i] - m.losses[i - 1]);
    const double noise = jump / static_cast<double>(n - n / 2 - 1) / std::sqrt(static_cast<double>(n) / 4);
    const bool falls = late < 0.9 * before || (late < 0.99 * before && before - late > 2 * noise);
    if (late > early)
        out.push_back({"WARN", "loss-rises", "The loss rises: " + trend + ".",
                       "Lower the learning rate (lr0) by a factor of 10."});
    else if (const StepSizes s = sizes_of(m); s.known && s.moved < cause("rate-too-small").limit && late > 0.5 * early)
        out.push_back({"WARN", "rate-too-small",
                       fmt::format("All {} steps together moved the weights by {:.2g} of their norm: the learning rate "
                                   "({:.3g} at most) is too small for so few steps; {}.",
                                   n, s.moved, m.largest_lr, trend),
                       cause("rate-too-small").sentence()});
    else if (falls)
        out.push_back({"INFO", "still-learning",
                       "Gradients and signals flow, and the loss is still falling: " + trend + ".",
                       cause("still-learning").sentence()});
    else
        out.push_back({"INFO", "plateau",
                       "Gradients and signals flow, but the loss has stopped falling: " + trend + ".",
                       "Try another learning rate, or a larger model (hidden)."});
}

}  // namespace

std::vector<ActivationSignal> measure_activations(const std::function<void()>& forward) {
    std::vector<ActivationSignal> signals;
    const NoGrad quiet;
    const Observe watch([&](const std::string& name, const Tensor& x) {
        const std::int64_t n = x.dim(0), units = x.dim(-1), places = units && n ? x.numel() / (n * units) : 0;
        const std::int64_t per_picture = places * units;
        double deviation = 0, square = 0;
        std::vector<bool> dead(static_cast<std::size_t>(units), true);
        for (std::int64_t k = 0; k < per_picture; ++k) {
            double mean = 0;
            for (std::int64_t i = 0; i < n; ++i) mean += static_cast<double>(x[i * per_picture + k]);
            mean /= static_cast<double>(n);
            for (std::int64_t i = 0; i < n; ++i) {
                const double v = static_cast<double>(x[i * per_picture + k]);
                deviation += (v - mean) * (v - mean);
                square += v * v;
                if (x[i * per_picture + k] != x[k % units]) dead[static_cast<std::size_t>(k % units)] = false;
            }
        }
        const double spread = n < 2 ? std::nan("") : square > 0 ? std::sqrt(deviation / square) : 0;
        const auto count = static_cast<double>(std::count(dead.begin(), dead.end(), true));
        signals.push_back({name, spread, units && n * places > 1 ? count / static_cast<double>(units) : 0});
    });
    forward();
    return signals;
}

OutputSignal measure_outputs(const Tensor& raw, const Tensor& target, const std::function<LossValue(const Var&)>& loss,
                             const std::function<Tensor(const Tensor&)>& values) {
    Parameter leaf(raw.clone());
    {
        Tape tape;
        tape.backward(loss(use(leaf)).total);
    }
    OutputSignal signal;
    const Tensor said = values(raw);
    const Tensor grad = leaf.grad.defined() ? leaf.grad : Tensor::zeros(raw.shape());
    const double largest = max_abs(grad);
    for (std::int64_t i = 0; i < raw.numel(); ++i) {
        ++signal.numbers;
        if (std::abs(static_cast<double>(said[i] - target[i])) < off_target) continue;
        if (grad[i] == 0) {
            ++signal.blocked;
            // Undecided without knowing the decode: the raw number left the range, and what it decodes to sits on its
            // border.
            const bool on_border = said[i] <= Real(1e-6) || said[i] >= Real(1 - 1e-6);
            signal.outside += (raw[i] < 0 || raw[i] > 1) && (on_border || said[i] < 0 || said[i] > 1);
        } else if (std::abs(static_cast<double>(grad[i])) < flat_gradient * largest) {
            ++signal.saturated;
        }
    }
    return signal;
}

void add_flow_layers(Report& report, const std::vector<ParameterFlow>& flows) {
    if (flows.empty()) return;
    for (const FlowSample& s : flows.front().samples) report.layer_steps.push_back(static_cast<double>(s.step));
    for (const auto& f : flows) {
        ReportLayer layer;
        layer.name = f.name;
        for (const FlowSample& s : f.samples) {
            layer.grad_norm.push_back(s.grad_norm);
            layer.weight_norm.push_back(s.weight_norm);
            layer.update_ratio.push_back(s.update_ratio());
            layer.dead_fraction.push_back(s.dead_fraction);
            layer.saturated_fraction.push_back(s.saturated_fraction);
        }
        report.layers.push_back(std::move(layer));
    }
}

bool everything_moved(const std::vector<ParameterFlow>& flows, const std::vector<std::string>& sometimes) {
    return std::all_of(flows.begin(), flows.end(), [&](const auto& f) {
        return starts_with_any(f.name, sometimes) || (first_gradient(f) > 0 && first_change(f));
    });
}

std::vector<ReportFinding> diagnose(const Measurements& m) {
    Findings out;
    nothing_moves(m, out);
    leaped(m, out);
    gradient_missing(m, out);
    zero_weights(m, out);
    no_image_signal(m, out);
    blocked_outputs(m, out);
    if (out.empty()) vanishing(m, out);
    dead_units(m, out);
    saturation(m, out);
    if (std::none_of(out.begin(), out.end(), [](const auto& f) { return f.severity == "FAIL"; }))
        slow_or_unstable(m, out);
    return out;
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
