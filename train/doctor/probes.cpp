#include "train/doctor/probes.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "nn/init.h"
#include "train/step/diagnosis.h"
#include "train/step/parameter_groups.h"
#include "train/step/run_parts.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

using doctor::Facts;
using doctor::Series;
using doctor::Texts;
using Say = std::function<void(const std::string&)>;

constexpr std::uint64_t probe_seed = 20;

Random random_for(std::uint32_t what) { return Random({probe_seed, Stream::test, what, 0, 0}); }

double norm_of(const Tensor& t) {
    double square = 0;
    for (std::int64_t i = 0; i < t.numel(); ++i) square += static_cast<double>(t[i]) * static_cast<double>(t[i]);
    return std::sqrt(square);
}

bool same_bits(const Tensor& a, const Tensor& b) {
    return std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.numel()) * sizeof(Real)) == 0;
}

// Noise through the model in evaluation mode.
Answers look_at_outputs(Learner& learner, std::int64_t image, Facts& facts, const Say& say) {
    const NoGrad quiet;
    set_training(learner, false);
    std::vector<std::pair<std::string, Tensor>> entered, left;
    Answers out;
    {
        const Observe watch([&](const std::string& name, const Tensor& x) {
            (name.ends_with(".input") ? entered : left).emplace_back(name, x.clone());
        });
        out = learner.model().answers(Var(normal({2, image, image, 3}, 0, 1, random_for(1))), {});
    }
    set_training(learner, true);
    const Tensor& main = out.main().value();
    double low = INFINITY, high = -INFINITY, sum = 0;
    bool finite = true;
    for (std::int64_t i = 0; i < main.numel(); ++i) {
        const auto v = static_cast<double>(main[i]);
        finite = finite && std::isfinite(v);
        low = std::min(low, v), high = std::max(high, v), sum += v;
    }
    for (const auto& [name, answer] : out.named)
        for (std::int64_t i = 0; i < answer.numel(); ++i)
            finite = finite && std::isfinite(static_cast<double>(answer.value()[i]));
    facts.set("output_problem", std::string(!finite       ? "NaN or infinity in the outputs"
                                            : low == high ? "all outputs are equal"
                                                          : ""));
    facts.set("aux_in_eval", static_cast<double>(out.named.size() - 1));
    say(fmt::format("  Output shape          {}", main.shape().str()));
    say(fmt::format("  min, max, mean        {:.4g}, {:.4g}, {:.4g}", low, high,
                    sum / static_cast<double>(main.numel())));
    say(fmt::format("  Auxiliary outputs     {}", out.named.size() - 1));
    // What each auxiliary head read, against the last map of the stage that it is named after.
    double difference = NAN;
    for (const auto& [name, input] : entered) {
        const std::string stage = name.substr(name.find('_') + 1, name.find('.') - name.find('_') - 1);
        const Tensor* block = nullptr;
        for (const auto& [other, value] : left)
            if (other.starts_with(stage + ".") || other == stage) block = &value;
        if (!block) continue;
        double d = 1;
        if (block->shape() == input.shape()) {
            d = 0;
            const double scale = std::max(static_cast<double>(max_abs(*block)), 1e-30);
            for (std::int64_t i = 0; i < input.numel(); ++i)
                d = std::max(d, std::abs(static_cast<double>(input[i] - (*block)[i])) / scale);
        }
        difference = std::isnan(difference) ? d : std::max(difference, d);
    }
    if (!std::isnan(difference)) facts.set("exit_difference", difference);
    return out;
}

// Answers of the same shapes, drawn at random.
Answers drawn_like(const Answers& like, std::uint32_t draw, double deviation) {
    Answers out;
    std::uint32_t place = 0;
    for (const auto& [name, answer] : like.named)
        out.named.emplace_back(
            name, Var(normal(answer.shape(), 0, deviation, random_for(100 + 8 * draw + std::min(place++, 7U)))));
    return out;
}

std::vector<Labels> drawn_labels(const Learner& learner, std::int64_t n, std::uint32_t draw) {
    Random random({draw, Stream::test, 1, 0, 0});
    std::vector<Labels> labels;
    for (std::int64_t i = 0; i < n; ++i) labels.push_back(learner.task().draw(random, learner.data()));
    return labels;
}

LossValue drawn_loss(const Learner& learner, const Answers& like, std::uint32_t draw, double deviation) {
    return learner.task()
        .objective(drawn_like(like, draw, deviation), drawn_labels(learner, like.main().dim(0), draw))
        .loss;
}

// Share of random output numbers that are off target and get no gradient at all; nothing where none is a target's.
std::optional<double> blocked_outputs(const Learner& learner, const Answers& like) {
    constexpr std::int64_t n = 64;
    Answers drawn;
    for (const auto& [name, answer] : like.named)
        drawn.named.emplace_back(name, Var(normal(answer.shape().with(0, n), 0, 1.5, random_for(2))));
    const auto signal = learner.task().signal(drawn, drawn_labels(learner, n, 2));
    if (!signal) return std::nullopt;
    return static_cast<double>(signal->blocked) / static_cast<double>(signal->numbers);
}

// Solves the square system in place; false when it is singular.
bool solve(std::vector<Series>& a, Series& b) {
    const std::size_t n = b.size();
    for (std::size_t k = 0; k < n; ++k) {
        std::size_t best = k;
        for (std::size_t i = k + 1; i < n; ++i)
            if (std::abs(a[i][k]) > std::abs(a[best][k])) best = i;
        std::swap(a[k], a[best]), std::swap(b[k], b[best]);
        if (std::abs(a[k][k]) < 1e-10) return false;
        for (std::size_t i = 0; i < n; ++i) {
            if (i == k) continue;
            const double f = a[i][k] / a[k][k];
            for (std::size_t j = k; j < n; ++j) a[i][j] -= f * a[k][j];
            b[i] -= f * b[k];
        }
    }
    for (std::size_t k = 0; k < n; ++k) b[k] /= a[k][k];
    return true;
}

// d(total)/d(term) by least squares over random outputs, against the weight that the term says it has.
void look_at_weights(const Learner& learner, const Answers& like, Facts& facts) {
    const NoGrad quiet;
    std::vector<Series> rows;
    Series totals, weights;
    Texts names;
    for (std::uint32_t draw = 0; draw < 12; ++draw) {
        const LossValue loss = drawn_loss(learner, like, draw, 0.5 + 0.25 * draw);
        Series row;
        for (const LossTerm& term : loss.terms) {
            if (term.weight == 0) continue;
            row.push_back(static_cast<double>(term.value.value().item()));
            if (draw == 0) names.push_back(term.name), weights.push_back(term.weight);
        }
        if (row.size() != names.size() || row.empty()) return;
        rows.push_back(row), totals.push_back(static_cast<double>(loss.total.value().item()));
    }
    const std::size_t n = names.size();
    std::vector<Series> normal_matrix(n, Series(n, 0.0));
    Series right(n, 0.0);
    for (std::size_t r = 0; r < rows.size(); ++r)
        for (std::size_t i = 0; i < n; ++i) {
            right[i] += rows[r][i] * totals[r];
            for (std::size_t j = 0; j < n; ++j) normal_matrix[i][j] += rows[r][i] * rows[r][j];
        }
    if (!solve(normal_matrix, right)) return;
    double worst = 0;
    std::string which;
    for (std::size_t i = 0; i < n; ++i) {
        const double error = std::abs(right[i] - weights[i]) / std::max(std::abs(weights[i]), 1e-12);
        if (error > worst) worst = error, which = names[i];
    }
    facts.set("weight_error", worst);
    facts.set("weight_error_term", which);
}

void look_at_loss(const Learner& learner, const Answers& like, Facts& facts, const Say& say) {
    {
        const NoGrad quiet;
        const LossValue loss = drawn_loss(learner, like, 40, 1);
        facts.set("loss_value", static_cast<double>(loss.total.value().item()));
        say(fmt::format("  Loss                  {:.4f}", static_cast<double>(loss.total.value().item())));
        for (const LossTerm& term : loss.terms)
            if (term.weight != 0)
                say(fmt::format("  {:<20}  {:.4f} x {:g}", term.name, static_cast<double>(term.value.value().item()),
                                term.weight));
    }
    look_at_weights(learner, like, facts);
}

struct Norms {
    double total = 0, largest = 0, mean = 0;
    std::int64_t tensors = 0;
};

Norms norms_of(const std::vector<NamedParameter>& params) {
    Norms n;
    double square = 0;
    for (const auto& p : params) {
        if (!p.param->grad.defined()) continue;
        const double g = norm_of(p.param->grad);
        square += g * g, n.largest = std::max(n.largest, g), n.mean += g, ++n.tensors;
    }
    n.total = std::sqrt(square);
    if (n.tensors) n.mean /= static_cast<double>(n.tensors);
    return n;
}

void backward(Learner& learner, const Batch& batch) {
    Tape tape;
    tape.backward(learner.losses(batch, 1, {}).at(0).loss().loss.total);
}

void zero(const std::vector<NamedParameter>& params) {
    for (const auto& p : params) p.param->zero_grad();
}

// The trunk's gradient from the auxiliary terms alone.
void look_at_aux(Learner& learner, const std::vector<NamedParameter>& params, const Batch& batch, Facts& facts) {
    zero(params);
    Tape tape;
    const LossValue loss = learner.losses(batch, 1, {}).at(0).loss().loss;
    std::vector<std::pair<Var, Tensor>> roots;
    for (const LossTerm& term : loss.terms)
        if (term.name.starts_with("aux") && term.value.tracked())
            roots.emplace_back(term.value, Tensor::full(term.value.shape(), Real(1)));
    double norm = 0;
    if (!roots.empty()) {
        tape.backward(roots);
        for (const auto& p : params)
            if (in_backbone(learner.model().heads(), p.name) && p.param->grad.defined())
                norm = std::max(norm, norm_of(p.param->grad));
    }
    facts.set("aux_gradient", norm);
    zero(params);
}

// Two steps of the run as it would begin: who gets a gradient, who moves, who is held by the optimizer.
void take_steps(Learner& learner, const Config& config, RunParts& parts, Facts& facts, const Say& say) {
    Texts frozen_moved, starved, unoptimised;
    const Batch batch = learner.make_batch(0, 0), second = learner.make_batch(0, 1);
    {
        // With the backbone frozen, whatever the configuration says: the head alone.
        std::vector<bool> was;
        for (const auto& p : parts.params) {
            was.push_back(p.param->trainable);
            p.param->trainable = p.param->trainable && !in_backbone(parts.heads, p.name);
        }
        zero(parts.params);
        backward(learner, batch);
        const Norms head = norms_of(parts.params);
        say(fmt::format("  Backbone frozen       {} tensors with a gradient, norm {:.4g}", head.tensors, head.total));
        for (std::size_t i = 0; i < was.size(); ++i) parts.params[i].param->trainable = was[i];
        zero(parts.params);
    }
    std::vector<double> reached(parts.params.size(), 0);
    std::vector<Tensor> before;
    for (const auto& p : parts.params) before.push_back(p.param->value.clone());
    const bool frozen = config.text("freeze") == "backbone";
    for (const Batch* b : {&batch, &second}) {
        zero(parts.params);
        backward(learner, *b);
        const Norms norms = norms_of(parts.params);
        if (b == &batch) {
            facts.set("probe_grad_total", norms.total), facts.set("probe_grad_max", norms.largest),
                facts.set("probe_grad_mean", norms.mean);
            say(fmt::format("  As configured         {} of {} tensors with a gradient", norms.tensors,
                            parts.params.size()));
            say(fmt::format("  Gradient norm         {:.4g}, largest of a tensor {:.4g}, mean {:.4g}", norms.total,
                            norms.largest, norms.mean));
        }
        for (std::size_t i = 0; i < parts.params.size(); ++i)
            if (parts.params[i].param->grad.defined())
                reached[i] = std::max(reached[i], norm_of(parts.params[i].param->grad));
        clip_grad_norm(parts.params, 1);  // whatever the loss, the weights must stay where they can be looked at
        parts.optimizer->step(config.number("lr0"));
    }
    std::vector<const Parameter*> held;
    for (const Member& m : parts.optimizer->members()) held.push_back(m.param.param);
    const auto holds = [&](const Parameter* p) { return std::find(held.begin(), held.end(), p) != held.end(); };
    for (std::size_t i = 0; i < parts.params.size(); ++i) {
        const auto& p = parts.params[i];
        const bool meant_frozen = frozen && in_backbone(parts.heads, p.name);
        if (meant_frozen && (reached[i] > 0 || !same_bits(before[i], p.param->value) || holds(p.param)))
            frozen_moved.push_back(p.name);
        if (!meant_frozen && p.param->trainable && reached[i] == 0 && !starts_with_any(p.name, parts.sometimes))
            starved.push_back(p.name);
        if (!meant_frozen && p.param->trainable && !holds(p.param)) unoptimised.push_back(p.name);
    }
    facts.set("starved", starved);
    if (frozen) facts.set("frozen_moved", frozen_moved);
    if (config.integer("unfreeze_epoch") > 0) {
        parts.enter(config.integer("unfreeze_epoch") - 1);
        held.clear();
        for (const Member& m : parts.optimizer->members()) held.push_back(m.param.param);
        for (const auto& p : parts.params)
            if (p.param->trainable && !holds(p.param)) unoptimised.push_back(p.name);
    }
    facts.set("unoptimised", unoptimised);
    zero(parts.params);
}

std::vector<std::pair<std::string, Tensor>> copies(const Ema& ema) {
    auto all = ema.averages();
    for (auto& [name, value] : all) value = value.clone();
    return all;
}

double largest_difference(const Tensor& a, const Tensor& b) {
    double d = 0;
    for (std::int64_t i = 0; i < a.numel(); ++i) d = std::max(d, std::abs(static_cast<double>(a[i] - b[i])));
    return d;
}

// The averages through a step with a frozen backbone, and one without.
void look_at_average(Learner& learner, const Config& config, Facts& facts, const Say& say) {
    if (config.number("ema_decay") == 0) {
        say("  No average (ema_decay=0)");
        return;
    }
    RunParts parts(learner);
    std::vector<bool> was;
    for (const auto& p : parts.params) {
        was.push_back(p.param->trainable);
        if (in_backbone(parts.heads, p.name)) p.param->trainable = false;
    }
    std::int64_t steps = 0;
    const auto step = [&](std::int64_t b) {
        const Batch batch = learner.make_batch(0, b);
        (void)parts.trainer->step(learner.losses(batch, 1, {}), nullptr);
        ++steps;
    };
    const auto first = copies(*parts.ema);
    step(0);
    const auto frozen = copies(*parts.ema);
    for (std::size_t i = 0; i < was.size(); ++i) parts.params[i].param->trainable = was[i];
    for (std::int64_t b = 1; b < learner.stages().batches().in(0); ++b) step(b);  // to the last of the epoch
    const auto last = copies(*parts.ema);

    Texts missing, stuck;
    const auto average = [](const auto& list, const std::string& name) -> const Tensor* {
        const auto found = std::find_if(list.begin(), list.end(), [&](const auto& a) { return a.first == name; });
        return found == list.end() ? nullptr : &found->second;
    };
    for (const NamedTensor& t : tensors_of(learner))
        if (!average(last, t.name)) missing.push_back(t.name);
    std::size_t moved = 0;
    for (const auto& p : parts.params) {
        const Tensor *a = average(first, p.name), *b = average(last, p.name), *f = average(frozen, p.name);
        if (!a || !b || !f) continue;
        // The mean of equal numbers is that number up to rounding.
        const bool held = in_backbone(parts.heads, p.name) &&
                          largest_difference(*a, *f) > 1e-5 * std::max(static_cast<double>(max_abs(*a)), 1e-30);
        moved += !same_bits(*a, *b);
        // A slow average of a weight that moved little stands still in single precision: that proves nothing.
        const double apart = largest_difference(p.param->value, *b);
        const double due = apart * (1 - config.number("ema_decay"));
        const bool should = due > 1e-6 * static_cast<double>(max_abs(*b));
        if (held || (should && same_bits(*a, *b))) stuck.push_back(p.name);
    }
    facts.set("ema_missing", missing), facts.set("ema_stuck", stuck);
    facts.set("ema_skipped", static_cast<double>(steps - parts.ema->updates()));
    say(fmt::format("  Averages              {} of {} tensors, {} moved in {} steps", last.size(),
                    tensors_of(learner).size(), moved, steps));
}

void look_at_metric(Learner& learner, Facts& facts) {
    Evaluation scores[2];
    for (const int i : {0, 1}) {
        learner.set_validation_batch(i == 0 ? 4 : 3);
        scores[i] = *learner.validate({});
    }
    const double loss = std::abs(scores[0].loss - scores[1].loss) / std::max(1.0, std::abs(scores[0].loss));
    facts.set("metric_batch_change", std::max(std::abs(scores[0].score - scores[1].score), loss));
}

}  // namespace

std::vector<ProbeTest> run_probes(Learner& learner, const Config& config, Facts& facts) {
    std::vector<ProbeTest> tests;
    const auto begin = [&](int test, const char* title) { tests.push_back({test, title, {}}); };
    const Say say = [&](const std::string& line) { tests.back().lines.push_back(line); };
    begin(1, "Model Output");
    const Answers out = look_at_outputs(learner, config.integer("image"), facts, say);
    begin(2, "Loss Function");
    look_at_loss(learner, out, facts, say);
    look_at_metric(learner, facts);
    const Batch batch = learner.make_batch(0, 0);
    {
        const NoGrad quiet;
        Series weighted;
        Texts names;
        const LossValue loss = learner.losses(batch, 1, {}).at(0).loss().loss;
        for (const LossTerm& term : loss.terms)
            if (term.weight != 0)
                weighted.push_back(term.weight * static_cast<double>(term.value.value().item())),
                    names.push_back(term.name);
        facts.set("weighted_terms", weighted), facts.set("term_names", names);
    }
    const auto params = parameters_of(learner);
    if (const double* heads = facts.number("aux_heads"); heads && *heads > 0)
        look_at_aux(learner, params, batch, facts);
    if (const auto blocked = blocked_outputs(learner, out)) facts.set("blocked_share", *blocked);
    begin(3, "Gradient Flow");
    {
        RunParts parts(learner);
        parts.begin(0);
        take_steps(learner, config, parts, facts, say);
    }
    begin(5, "EMA");
    look_at_average(learner, config, facts, say);
    return tests;
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
