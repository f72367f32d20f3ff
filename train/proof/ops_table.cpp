#include "train/proof/ops_table.h"

#include <cmath>

#include "train/proof/ops_table_parts.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

using namespace rows;

namespace {

void add_arith(Table& t) {
    t.binary("add", add);
    t.binary("sub", sub);
    t.binary("mul", mul);
    t.binary("div", div, 0.5, 2);
    t.binary("pow", pow, 0.5, 2);
    t.binary("minimum", minimum);
    t.binary("maximum", maximum);
    t.unary("neg", neg);
    t.unary("reciprocal", reciprocal, 0.5, 2);
    t.unary("exp", exp);
    t.unary("log", log, 0.5, 3);
    t.unary("sqrt", sqrt, 0.5, 3);
    t.unary("square", square);
    t.unary("abs", abs);
    t.unary("atan", atan);
    t.add("op", "where", [](Maker& m) {
        MaskTensor mask(Shape{2, 3});
        for (std::int64_t i = 0; i < 6; ++i) mask.mutable_data()[i] = m.random().below(2) == 1;
        return std::vector<OpCase>{
            make_case({m.tensor({2, 3}), m.tensor({3})}, [mask](const auto& x) { return where(mask, x[0], x[1]); })};
    });
}

void add_activations(Table& t) {
    t.unary("relu", relu);
    t.unary("leaky_relu", [](const Var& x) { return leaky_relu(x, 0.1); });
    t.unary("sigmoid", sigmoid);
    t.unary("tanh", tanh);
    t.unary("silu", silu);
    t.unary("gelu", [](const Var& x) { return gelu(x) + gelu(x, GeluForm::tanh); });
    t.unary("softplus", [](const Var& x) { return softplus(x, 1.5, 2.5); });
    t.unary("hardswish", hardswish, -5, 5);
    t.unary("clamp", [](const Var& x) { return clamp(x, -0.7, 1.1); });
    t.shaped("dropout", {{Shape{4, 6}, [](const Var& x) {
                              return dropout(x, 0.4, true, {3, Stream::dropout, 1, 2, 5});
                          }}});
    t.add("op", "prelu", [](Maker& m) {
        return std::vector<OpCase>{
            make_case({m.tensor({2, 3, 4}), m.tensor({1})}, [](const auto& x) { return prelu(x[0], x[1], 1); }),
            make_case({m.tensor({2, 3, 4}), m.tensor({3})}, [](const auto& x) { return prelu(x[0], x[1], 1); })};
    });
}

void add_reductions(Table& t) {
    const Shape s{3, 4, 5};
    t.shaped("sum", {{s, [](const Var& x) { return sum(x); }}, {s, [](const Var& x) { return sum(x, {0, -1}); }}});
    t.shaped("mean", {{s, [](const Var& x) { return mean(x); }}, {s, [](const Var& x) { return mean(x, {1}, true); }}});
    t.shaped("var",
             {{s, [](const Var& x) { return var(x, {1}); }}, {s, [](const Var& x) { return var(x, {}, false); }}});
    t.shaped("std", {{s, [](const Var& x) { return std_dev(x, {0, 2}); }}});
    t.shaped("amax", {{s, [](const Var& x) { return amax(x, {0, 2}); }}});
    t.shaped("amin", {{s, [](const Var& x) { return amin(x); }}});
    t.shaped("max", {{s, [](const Var& x) { return max(x, 1).first; }}});
    t.shaped("min", {{s, [](const Var& x) { return min(x, -1, true).first; }}});
    t.shaped("softmax",
             {{s, [](const Var& x) { return softmax(x, 1); }}, {s, [](const Var& x) { return softmax(x, -1); }}});
    t.shaped("log_softmax", {{s, [](const Var& x) { return log_softmax(x, 0); }}});
}

void add_views(Table& t) {
    const Shape s{3, 4, 5};
    t.shaped("reshape", {{s, [](const Var& x) { return reshape(x, {5, -1}); }}});
    t.shaped("permute", {{s, [](const Var& x) { return permute(x, {2, 0, 1}); }}});
    t.shaped("expand", {{Shape{3, 1}, [](const Var& x) { return expand(x, {2, -1, 4}); }}});
    t.shaped("slice", {{s, [](const Var& x) { return slice(x, {1, 1, -1, 2}); }}});
    t.shaped("split", {{s, [](const Var& x) { return mul(split(x, 2, 1)[1], split(x, {2, 2}, 1)[0]); }}});
    t.add("op", "cat", [](Maker& m) {
        return std::vector<OpCase>{make_case({m.tensor({2, 3}), m.tensor({2, 1})},
                                             [](const auto& x) {
                                                 return cat({x[0], x[1], x[0]}, 1);
                                             }),
                                   make_case({m.tensor({2, 3}), m.tensor({2, 3})}, [](const auto& x) {
                                       return stack({x[0], x[1]}, -1);
                                   })};
    });
    t.shaped("pad", {{s,
                      [](const Var& x) {
                          return pad(x, {1, 2, 0, 1}, 0.5);
                      }},
                     {s, [](const Var& x) {
                          return pad(x, {-1, 1});
                      }}});
    t.add("op", "gather", [](Maker& m) {
        const IndexTensor index = m.indices({3, 2, 5}, 4);
        return std::vector<OpCase>{
            make_case({m.tensor({3, 4, 5})}, [index](const auto& x) { return gather(x[0], 1, index); })};
    });
    t.add("op", "index_select", [](Maker& m) {
        const IndexTensor index = m.indices({6}, 4);
        return std::vector<OpCase>{
            make_case({m.tensor({3, 4, 5})}, [index](const auto& x) { return index_select(x[0], 1, index); })};
    });
    t.add("op", "embedding", [](Maker& m) {
        const IndexTensor index = m.indices({2, 3}, 5);
        return std::vector<OpCase>{
            make_case({m.tensor({5, 4})}, [index](const auto& x) { return embedding(x[0], index); })};
    });
    t.shaped("flatten_chw", {{Shape{2, 3, 4, 5}, flatten_chw}});
}

void add_matrix(Table& t) {
    t.add("op", "bmm", [](Maker& m) {
        return std::vector<OpCase>{
            make_case({m.tensor({2, 3, 4}), m.tensor({2, 4, 5})}, [](const auto& x) { return bmm(x[0], x[1]); }),
            make_case({m.tensor({2, 1, 3, 4}), m.tensor({3, 4, 5})}, [](const auto& x) { return matmul(x[0], x[1]); }),
            make_case({m.tensor({4}), m.tensor({4})}, [](const auto& x) { return matmul(x[0], x[1]); })};
    });
    t.add("op", "linear", [](Maker& m) {
        return std::vector<OpCase>{
            make_case({m.tensor({3, 5}), m.tensor({4, 5}), m.tensor({4})},
                      [](const auto& x) { return linear(x[0], x[1], x[2]); }),
            make_case({m.tensor({2, 3, 37}), m.tensor({19, 37})}, [](const auto& x) { return linear(x[0], x[1]); })};
    });
}

// Odd sizes, tails, strides, groups, a batch of one: what a fast kernel gets wrong first.
struct ConvTrial {
    Shape x, w;
    ConvSpec spec;
};

void add_convolutions(Table& t) {
    t.add("op", "conv2d", [](Maker& m) {
        const ConvTrial trials[] = {{{2, 5, 6, 3}, {3, 3, 3, 4}, {{1, 1}, {1, 1}, {1, 1}, 1}},
                                    {{1, 7, 9, 5}, {3, 3, 5, 17}, {{2, 2}, {1, 1}, {1, 1}, 1}},
                                    {{3, 4, 4, 19}, {1, 1, 19, 33}, {}},
                                    {{1, 9, 7, 4}, {3, 2, 2, 6}, {{1, 2}, {2, 1}, {2, 1}, 2}},
                                    {{1, 6, 6, 5}, {3, 3, 1, 5}, {{1, 1}, {1, 1}, {1, 1}, 5}},
                                    {{2, 8, 8, 3}, {7, 7, 3, 8}, {{2, 2}, {3, 3}, {1, 1}, 1}},
                                    {{1, 5, 5, 2}, {1, 1, 2, 3}, {{2, 2}, {0, 0}, {1, 1}, 1}},
                                    {{1, 4, 5, 40}, {3, 3, 40, 20}, {{1, 1}, {1, 1}, {1, 1}, 1}}};
        std::vector<OpCase> cases;
        for (const ConvTrial& trial : trials)
            cases.push_back(make_case({m.tensor(trial.x), m.tensor(trial.w, -1, 1), m.tensor({trial.w[3]})},
                                      [spec = trial.spec](const auto& x) { return conv2d(x[0], x[1], x[2], spec); }));
        return cases;
    });
    t.add("op", "conv_transpose2d", [](Maker& m) {
        return std::vector<OpCase>{
            make_case({m.tensor({2, 4, 3, 6}), m.tensor({3, 3, 4, 6}, -1, 1), m.tensor({4})},
                      [](const auto& x) {
                          return conv_transpose2d(x[0], x[1], x[2], {{2, 2}, {1, 1}, {1, 1}, 1}, {1, 0});
                      }),
            make_case({m.tensor({1, 3, 3, 4}), m.tensor({2, 3, 3, 4}, -1, 1)}, [](const auto& x) {
                return conv_transpose2d(x[0], x[1], {}, {{1, 2}, {0, 1}, {2, 1}, 2});
            })};
    });
}

void add_norms(Table& t) {
    t.add("op", "group_norm", [](Maker& m) {
        return std::vector<OpCase>{
            make_case({m.tensor({2, 3, 4, 6}), m.tensor({6}), m.tensor({6})},
                      [](const auto& x) { return group_norm(x[0], 3, x[1], x[2]); }),
            make_case({m.tensor({2, 3, 4, 6}), m.tensor({6}), m.tensor({6})},
                      [](const auto& x) { return group_norm(x[0], 2, x[1], x[2], 1e-5, Act::leaky_relu(0.1)); }),
            make_case({m.tensor({3, 5, 5, 19})}, [](const auto& x) { return group_norm(x[0], 1); })};
    });
    // Those who read a normalised value while it is pending (tensor/operand.h), with the gradient through both.
    t.add("op", "reads of a pending norm", [](Maker& m) {
        const auto normed = [](const Var& x, std::int64_t groups) {
            return group_norm(x, groups, {}, {}, 1e-5, Act::leaky_relu(0.1));
        };
        return std::vector<OpCase>{
            make_case({m.tensor({2, 9, 8, 16}), m.tensor({3, 3, 16, 32}, -1, 1)},
                      [=](const auto& x) {
                          return conv2d(normed(x[0], 4), x[1], {}, {{1, 1}, {1, 1}});
                      }),
            make_case({m.tensor({2, 7, 6, 6}), m.tensor({3, 3, 3, 4}, -1, 1)},
                      [=](const auto& x) {
                          return conv2d(normed(x[0], 3), x[1], {}, {{2, 1}, {1, 0}, {1, 1}, 2});
                      }),
            make_case({m.tensor({2, 4, 5, 6}), m.tensor({1, 1, 6, 4}, -1, 1)},
                      [=](const auto& x) { return conv2d(normed(x[0], 2), x[1]); }),
            make_case({m.tensor({2, 5, 6, 19})},
                      [=](const auto& x) {
                          return max_pool2d(normed(x[0], 1), {{3, 3}, {2, 2}, {1, 1}});
                      }),
            make_case({m.tensor({2, 4, 4, 5})}, [](const auto& x) { return max_pool2d(leaky_relu(x[0], 0.1)); }),
            // One value that a pool reads the short way and others do not.
            make_case({m.tensor({2, 4, 6, 6})},
                      [=](const auto& x) {
                          const Var y = normed(x[0], 2);
                          return max_pool2d(y) + max_pool2d(y * y);
                      }),
            make_case({m.tensor({2, 4, 6, 3}), m.tensor({2, 2, 3, 3}, -1, 1)},
                      [](const auto& x) {
                          const Var y = leaky_relu(x[0], 0.2);
                          return conv2d(y, x[1], {}, {{2, 2}}) + max_pool2d(y);
                      }),
            make_case({m.tensor({2, 3, 4, 6})}, [=](const auto& x) { return normed(x[0], 2) * x[0]; })};
    });
    t.add("op", "add_act", [](Maker& m) {
        const auto norm = [](const Var& x, std::int64_t groups) { return group_norm(x, groups); };
        return std::vector<OpCase>{
            make_case({m.tensor({2, 3, 4, 5}), m.tensor({2, 3, 4, 5})},
                      [](const auto& x) { return add_act(x[0], x[1], Act::leaky_relu(0.1)); }),
            make_case({m.tensor({2, 3, 4, 6}), m.tensor({2, 3, 4, 6})},
                      [=](const auto& x) { return add_act(norm(x[0], 2), norm(x[1], 3), Act::relu()); }),
            make_case({m.tensor({2, 3, 4, 6})}, [=](const auto& x) {
                return add_act(group_norm(x[0], 2, {}, {}, 1e-5, Act::leaky_relu(0.2)), x[0], Act::none());
            })};
    });
    t.add("op", "batch_norm", [](Maker& m) {
        const auto f = [](bool training, const Act& act) {
            return [=](const std::vector<Var>& x) {
                const std::int64_t c = x[0].dim(-1);
                RunningStats stats{Tensor::full({c}, Real(0.25)), Tensor::full({c}, Real(1.5)), 0};
                return batch_norm(x[0], stats, x[1], x[2], {training, 0.1, 1e-5}, act);
            };
        };
        const auto inputs = [&](const Shape& s) { return Inputs{m.tensor(s), m.tensor({s[-1]}), m.tensor({s[-1]})}; };
        return std::vector<OpCase>{make_case(inputs({2, 3, 4, 5}), f(true, Act::none())),
                                   make_case(inputs({2, 3, 4, 5}), f(true, Act::leaky_relu(0.1))),
                                   make_case(inputs({2, 3, 4, 5}), f(false, Act::leaky_relu(0.1))),
                                   make_case(inputs({5, 7}), f(true, Act::relu()))};
    });
    // Fused activations, read by whoever works a pending value out on the way, and by who asks for the numbers.
    for (const Act& act : {Act::silu(), Act::gelu()})
        t.add("op", fmt::format("norm_{}", act.op()), [act](Maker& m) {
            const auto normed = [act](const Var& x) { return group_norm(x, 2, {}, {}, 1e-5, act); };
            return std::vector<OpCase>{
                make_case({m.tensor({2, 4, 6, 10}), m.tensor({10}), m.tensor({10})},
                          [act](const auto& x) { return group_norm(x[0], 2, x[1], x[2], 1e-5, act); }),
                make_case({m.tensor({2, 6, 6, 38}), m.tensor({3, 3, 38, 4}, -1, 1)},
                          [=](const auto& x) {
                              return conv2d(normed(x[0]), x[1], {}, {{1, 1}, {1, 1}});
                          }),
                make_case({m.tensor({2, 4, 6, 10})},
                          [=](const auto& x) { return max_pool2d(normed(x[0])) + max_pool2d(normed(x[0])); }),
                make_case({m.tensor({2, 4, 6, 10}), m.tensor({10}), m.tensor({10})},
                          [act](const auto& x) {
                              RunningStats stats{Tensor::full({10}, Real(0.25)), Tensor::full({10}, Real(1.5)), 0};
                              return max_pool2d(batch_norm(x[0], stats, x[1], x[2], {false, 0.1, 1e-5}, act));
                          }),
                make_case({m.tensor({2, 3, 4, 10}), m.tensor({2, 3, 4, 10})},
                          [=](const auto& x) { return add_act(group_norm(x[0], 2), normed(x[1]), act); }),
                make_case({m.tensor({2, 4, 6, 10})},
                          [act](const auto& x) { return max_pool2d(activated(x[0], act)); })};
        });
    t.add("op", "layer_norm", [](Maker& m) {
        return std::vector<OpCase>{make_case({m.tensor({2, 3, 6}), m.tensor({6}), m.tensor({6})},
                                             [](const auto& x) { return layer_norm(x[0], {6}, x[1], x[2]); }),
                                   make_case({m.tensor({2, 3, 4})}, [](const auto& x) {
                                       return layer_norm(x[0], {3, 4});
                                   })};
    });
}

void add_pools(Table& t) {
    t.shaped("max_pool2d", {{Shape{2, 6, 8, 3}, [](const Var& x) { return max_pool2d(x); }},
                            {Shape{1, 7, 7, 70}, [](const Var& x) {
                                 return max_pool2d(x, {{3, 3}, {2, 2}, {1, 1}, {1, 1}, true});
                             }}});
    t.shaped("avg_pool2d", {{Shape{2, 6, 7, 3}, [](const Var& x) {
                                 return avg_pool2d(x, {{3, 2}, {2, 2}, {1, 1}, true, false, 0});
                             }}});
    t.shaped("adaptive_avg_pool2d", {{Shape{2, 6, 7, 3}, [](const Var& x) { return adaptive_avg_pool2d(x, {4, 3}); }}});
    t.shaped("interpolate", {{Shape{1, 4, 5, 2},
                              [](const Var& x) {
                                  return interpolate(x, {{7, 3}, 0, 0, Resample::bilinear, false});
                              }},
                             {Shape{1, 4, 5, 2}, [](const Var& x) {
                                  return interpolate(x, {{0, 0}, 1.5, 2, Resample::nearest, false});
                              }}});
}

}  // namespace

const std::vector<OpRow>& ops_table() {
    static const std::vector<OpRow> table = [] {
        Table t;
        add_arith(t);
        add_activations(t);
        add_reductions(t);
        add_views(t);
        add_matrix(t);
        add_convolutions(t);
        add_norms(t);
        add_pools(t);
        add_layers(t);
        add_losses(t);
        add_models(t);
        return t.rows;
    }();
    return table;
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
