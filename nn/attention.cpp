#include "nn/attention.h"

#include <cmath>
#include <limits>

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

struct Sizes {
    std::int64_t batch, queries, keys, features, heads;
    std::int64_t width() const { return features / heads; }
};

void check_mask(const char* what, const Shape& mask, const Sizes& s) {
    check(mask == Shape{s.queries, s.keys} || mask == Shape{s.batch * s.heads, s.queries, s.keys},
          "[multi_head_attention] {} mask is {}, expected {}x{} or {}x{}x{}", what, mask.str(), s.queries, s.keys,
          s.batch * s.heads, s.queries, s.keys);
}

Sizes sizes_of(const Var& q, const Var& k, const Var& v, const AttentionProjections& p, std::int64_t heads,
               const AttentionSpec& spec) {
    check(q.rank() == 3 && k.rank() == 3 && v.shape() == k.shape() && q.dim(0) == k.dim(0) && q.dim(2) == k.dim(2),
          "[multi_head_attention] query {}, key {} and value {} do not fit: expected (N, L, E), (N, S, E), (N, S, E)",
          q.shape().str(), k.shape().str(), v.shape().str());
    const Sizes s{q.dim(0), q.dim(1), k.dim(1), q.dim(2), heads};
    check(heads >= 1 && s.features % heads == 0, "[multi_head_attention] {} features do not divide into {} heads",
          s.features, heads);
    check(p.in_weight.shape() == Shape{3 * s.features, s.features},
          "[multi_head_attention] in_proj_weight is {}, expected {}x{} for a query of {} features",
          p.in_weight.shape().str(), 3 * s.features, s.features, s.features);
    check(!p.in_bias.defined() || p.in_bias.shape() == Shape{3 * s.features},
          "[multi_head_attention] in_proj_bias is {}, expected {}", p.in_bias.shape().str(), 3 * s.features);
    check(p.out_weight.shape() == Shape{s.features, s.features},
          "[multi_head_attention] out_proj.weight is {}, expected {}x{}", p.out_weight.shape().str(), s.features,
          s.features);
    if (spec.barred.defined()) check_mask("the bool", spec.barred.shape(), s);
    if (spec.additive.defined()) check_mask("the additive", spec.additive.shape(), s);
    check(!spec.padding.defined() || spec.padding.shape() == Shape{s.batch, s.keys},
          "[multi_head_attention] the key padding mask is {}, expected {}x{}", spec.padding.shape().str(), s.batch,
          s.keys);
    return s;
}

// All three masks as one, (N * heads, L, S), 1 where a score is left out; undefined when none is.
MaskTensor left_out(const AttentionSpec& spec, const Sizes& s) {
    if (!spec.barred.defined() && !spec.additive.defined() && !spec.padding.defined()) return {};
    constexpr Real never = -std::numeric_limits<Real>::infinity();
    MaskTensor out(Shape{s.batch * s.heads, s.queries, s.keys});
    for (std::int64_t row = 0; row < s.batch * s.heads * s.queries; ++row) {
        const std::int64_t image = row / (s.heads * s.queries);
        std::int64_t seen = 0;
        for (std::int64_t j = 0; j < s.keys; ++j) {
            const std::int64_t at = row * s.keys + j;  // a mask of rank 2 repeats itself
            const bool gone = (spec.barred.defined() && spec.barred[at % spec.barred.numel()] != 0) ||
                              (spec.additive.defined() && spec.additive[at % spec.additive.numel()] == never) ||
                              (spec.padding.defined() && spec.padding[image * s.keys + j] != 0);
            out.mutable_data()[at] = gone;
            seen += !gone;
        }
        check(seen > 0 || s.keys == 0,
              "[multi_head_attention] the masks hide every key from query {} of sequence {}: leave it at least one",
              row % s.queries, image);
    }
    return out;
}

// What is left out must not be infinite before the softmax either: a tape that looks for infinities would find it.
Var masked(const Var& scores, const AttentionSpec& spec, const Sizes& s) {
    Var x = scores;
    if (spec.additive.defined()) {
        Tensor finite = spec.additive.clone();
        for (std::int64_t i = 0; i < finite.numel(); ++i)
            if (finite[i] == -std::numeric_limits<Real>::infinity()) finite.mutable_data()[i] = 0;
        x = x + Var(finite);
    }
    const MaskTensor gone = left_out(spec, s);
    // Far enough below any score for exp to give 0, far enough from the lowest number to be subtracted from.
    return gone.defined() ? where(gone, Var(Tensor::scalar(std::numeric_limits<Real>::lowest() / 2)), x) : x;
}

// (N, T, E) -> (N * heads, T, E / heads); keys are wanted transposed, (N * heads, E / heads, T).
Var by_head(const Var& x, const Sizes& s, bool transposed = false) {
    const std::int64_t tokens = x.dim(1);
    const Var heads = reshape(x, {s.batch, tokens, s.heads, s.width()});
    if (transposed) return reshape(permute(heads, {0, 2, 3, 1}), {s.batch * s.heads, s.width(), tokens});
    return reshape(permute(heads, {0, 2, 1, 3}), {s.batch * s.heads, tokens, s.width()});
}

// The three projections. Of one sequence they are one product, of several each has its rows of the packed weight.
std::vector<Var> project(const Var& q, const Var& k, const Var& v, bool self, const AttentionProjections& p,
                         std::int64_t features) {
    if (self) return split(linear(q, p.in_weight, p.in_bias), features, -1);
    const auto weights = split(p.in_weight, features, 0);
    const auto biases = p.in_bias.defined() ? split(p.in_bias, features, 0) : std::vector<Var>(3);
    return {linear(q, weights[0], biases[0]), linear(k, weights[1], biases[1]), linear(v, weights[2], biases[2])};
}

}  // namespace

AttentionResult multi_head_attention(const Var& query, const Var& key, const Var& value, const AttentionProjections& p,
                                     std::int64_t heads, const AttentionSpec& spec) {
    check(key.defined() == value.defined(), "[multi_head_attention] key and value come together or not at all");
    check(query.rank() == 3, "[multi_head_attention] query is {}, expected (N, L, E) or (L, N, E)",
          query.shape().str());
    const bool self = !key.defined();
    if (!spec.batch_first) {
        AttentionSpec inner = spec;
        inner.batch_first = true;
        const auto swapped = [](const Var& x) { return x.defined() ? transpose(x, 0, 1) : x; };
        AttentionResult result = multi_head_attention(swapped(query), swapped(key), swapped(value), p, heads, inner);
        return {swapped(result.output), result.weights};
    }
    const Sizes s = sizes_of(query, self ? query : key, self ? query : value, p, heads, spec);
    const auto qkv = project(query, key, value, self, p, s.features);
    const double scale = 1 / std::sqrt(static_cast<double>(s.width()));
    const Var scores = bmm(by_head(qkv[0] * scale, s), by_head(qkv[1], s, true));  // (N * heads, L, S)
    const Var weights = softmax(masked(scores, spec, s), -1);
    const Var mixed = reshape(bmm(weights, by_head(qkv[2], s)), {s.batch, s.heads, s.queries, s.width()});
    const Var joined = reshape(permute(mixed, {0, 2, 1, 3}), {s.batch, s.queries, s.features});
    AttentionResult result{linear(joined, p.out_weight, p.out_bias), {}};
    if (spec.need_weights) {
        result.weights = reshape(weights, {s.batch, s.heads, s.queries, s.keys});
        if (spec.average_weights) result.weights = mean(result.weights, {1});
    }
    return result;
}

MultiheadAttention::MultiheadAttention(std::int64_t features, std::int64_t h, Initializer& init, bool with_bias)
    : heads(h) {
    check(h >= 1 && features % h == 0, "[multi_head_attention] {} features do not divide into {} heads", features, h);
    const double bound = std::sqrt(6 / static_cast<double>(features + 3 * features));
    in_proj_weight = Parameter(uniform({3 * features, features}, -bound, bound, init.next()));
    if (with_bias) in_proj_bias = Parameter(Tensor::zeros({3 * features}), ParamKind::bias);
    out_proj = Linear(features, features, init, with_bias);
    if (with_bias) out_proj.bias.value = Tensor::zeros({features});
}

AttentionResult MultiheadAttention::operator()(const Var& query, const Var& key, const Var& value,
                                               const AttentionSpec& spec) {
    const auto optional = [](Parameter& p) { return p.value.defined() ? use(p) : Var{}; };
    return multi_head_attention(
        query, key, value, {use(in_proj_weight), optional(in_proj_bias), use(out_proj.weight), optional(out_proj.bias)},
        heads, spec);
}

void MultiheadAttention::visit(Visitor& v) {
    v.parameter("in_proj_weight", in_proj_weight);
    v.parameter("in_proj_bias", in_proj_bias);
    v.child("out_proj", out_proj);
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
