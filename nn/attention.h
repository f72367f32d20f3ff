// Multi-head attention (Vaswani et al., "Attention is all you need", 2017, section 3.2) as a composition of ops.
// Names, packing and edge cases are those of torch.nn.MultiheadAttention; without its dropout, its extra key and value
// (add_bias_kv, add_zero_attn) and without keys or values of another width than the query's (kdim, vdim).
#pragma once

#include "nn/layers.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// N batch, L queries, S keys, E features, E / heads of them per head.
struct AttentionSpec {
    bool batch_first = true;  // (N, L, E); else (L, N, E)
    bool need_weights = false;
    bool average_weights = true;  // over the heads
    // All optional. A score is left out where `barred` or `padding` is not 0, or where `additive` is minus infinity.
    MaskTensor barred;   // (L, S) or (N * heads, L, S), image by image
    Tensor additive;     // the same shapes; added to the scaled scores, a constant
    MaskTensor padding;  // (N, S): keys that only fill up a sequence
};

struct AttentionProjections {
    Var in_weight, in_bias;    // (3 E, E), (3 E): rows of the query, the key, the value
    Var out_weight, out_bias;  // (E, E), (E); the biases may be undefined
};

struct AttentionResult {
    Var output;   // the query's shape
    Var weights;  // (N, L, S), or (N, heads, L, S) when not averaged; undefined unless asked for
};

// softmax(q k^T / sqrt(E / heads) + masks) v per head, then out_weight over the joined heads. `key` and `value`
// undefined: the query itself, with one product for all three projections. ShapeError also when a query sees no key
// at all (PyTorch answers NaN).
AttentionResult multi_head_attention(const Var& query, const Var& key, const Var& value,
                                     const AttentionProjections& projections, std::int64_t heads,
                                     const AttentionSpec& spec = {});

struct MultiheadAttention {
    Parameter in_proj_weight;  // (3 E, E): Xavier uniform over the packed matrix, as PyTorch
    Parameter in_proj_bias;    // (3 E), or no value; 0 at first
    Linear out_proj;           // its bias 0 at first
    std::int64_t heads = 1;

    MultiheadAttention() = default;
    MultiheadAttention(std::int64_t features, std::int64_t heads, Initializer& init, bool with_bias = true);
    // Self-attention: (N, L, E) -> (N, L, E)
    Var operator()(const Var& x) { return (*this)(x, {}, {}).output; }
    AttentionResult operator()(const Var& query, const Var& key, const Var& value, const AttentionSpec& spec = {});
    void visit(Visitor& v);
};

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
