// Golden cases of multi-head attention (group `layers`).
#include "nn/attention.h"
#include "tests/reference/golden_case.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

AttentionSpec attention_spec(Case& c) {
    AttentionSpec spec;
    spec.batch_first = c.args.flag("batch_first");
    spec.need_weights = c.args.flag("need_weights");
    spec.average_weights = c.args.flag("average_attn_weights");
    if (c.has("buffer.attn_mask")) {
        if (c.is_float("buffer.attn_mask"))
            spec.additive = c.floats("buffer.attn_mask");
        else
            spec.barred = c.mask("buffer.attn_mask");
    }
    if (c.has("buffer.key_padding_mask")) {
        if (c.is_float("buffer.key_padding_mask")) throw Unsupported("an additive key_padding_mask");
        spec.padding = c.mask("buffer.key_padding_mask");
    }
    return spec;
}

void head_attention_case(Case& c) {
    // These three only repeat what the tensors say; a case in which they do not is not understood.
    const bool self = c.args.flag("self_attention");
    if (c.args.flag("bias") != c.has("param.in_proj_bias")) throw Unsupported("argument bias against the parameters");
    if (c.inputs() != 3 && !(self && c.inputs() == 1)) throw Unsupported(fmt::format("{} inputs", c.inputs()));
    const Var query = c.input(0);
    if (c.args.integer("embed_dim") != query.dim(-1)) throw Unsupported("an embed_dim other than the query's width");
    const bool one = c.inputs() == 1;
    const AttentionResult result = multi_head_attention(
        query, one ? Var{} : c.input(1), one ? Var{} : c.input(2),
        {c.param("in_proj_weight"), c.param("in_proj_bias"), c.param("out_proj.weight"), c.param("out_proj.bias")},
        c.args.integer("num_heads"), attention_spec(c));
    c.output(0, result.output);
    if (result.weights.defined()) c.output(1, result.weights);
}

const bool attention_registered = [] {
    adapters()["multi_head_attention_forward"] = head_attention_case;
    return true;
}();

}  // namespace
}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
