#include "train/ops_table.h"

#include <cmath>

#include "nn/attention.h"
#include "nn/box_loss.h"
#include "nn/losses.h"
#include "nn/models/resnet.h"
#include "nn/models/single_box.h"
#include "nn/models/vit.h"

namespace solobox::inline SOLOBOX_PRECISION {
namespace {

// Draws inputs. Values are float numbers in either precision, so that the two see the same case.
class Maker {
public:
    explicit Maker(std::uint64_t seed, std::uint32_t row) : random_({seed, Stream::test, row, 0, 0}) {}

    double draw(double lo, double hi) { return static_cast<double>(static_cast<float>(random_.uniform(lo, hi))); }
    Tensor tensor(const Shape& shape, double lo = -2, double hi = 2) {
        Tensor t(shape);
        for (std::int64_t i = 0; i < t.numel(); ++i) t.mutable_data()[i] = static_cast<Real>(draw(lo, hi));
        return t;
    }
    IndexTensor indices(const Shape& shape, std::int64_t below) {
        IndexTensor t(shape);
        for (std::int64_t i = 0; i < t.numel(); ++i) t.mutable_data()[i] = random_.below(below);
        return t;
    }
    Random& random() { return random_; }

private:
    Random random_;
};

using Inputs = std::vector<Tensor>;
using Function = std::function<Var(const std::vector<Var>&)>;

OpCase make_case(const Inputs& inputs, Function f) {
    OpCase c;
    for (const Tensor& t : inputs) {
        c.inputs.push_back(std::make_shared<Parameter>(t));
        c.shapes += (c.shapes.empty() ? "" : ", ") + t.shape().str();
    }
    c.run = [params = c.inputs, f] {
        std::vector<Var> vars;
        for (const auto& p : params) vars.push_back(use(*p));
        return f(vars);
    };
    return c;
}

class Table {
public:
    std::vector<OpRow> rows;

    void add(const std::string& group, const std::string& name, std::function<std::vector<OpCase>(Maker&)> cases) {
        const auto number = static_cast<std::uint32_t>(rows.size());
        rows.push_back({name, group, [cases, number](std::uint64_t seed) {
                            Maker maker(seed, number);
                            return cases(maker);
                        }});
    }
    // One input of several shapes, values in [lo, hi].
    void unary(const std::string& name, std::function<Var(const Var&)> f, double lo = -2, double hi = 2) {
        add("op", name, [=](Maker& m) {
            std::vector<OpCase> cases;
            for (const Shape& s : {Shape{}, Shape{7}, Shape{3, 4, 5}})
                cases.push_back(make_case({m.tensor(s, lo, hi)}, [f](const auto& x) { return f(x[0]); }));
            return cases;
        });
    }
    // Two inputs under broadcasting.
    void binary(const std::string& name, std::function<Var(const Var&, const Var&)> f, double lo = -2, double hi = 2) {
        add("op", name, [=](Maker& m) {
            std::vector<OpCase> cases;
            const std::pair<Shape, Shape> shapes[] = {{{2, 3}, {2, 3}}, {{2, 1, 4}, {3, 1}}, {{}, {2, 3}}, {{2, 3, 4}, {4}}};
            for (const auto& [a, b] : shapes)
                cases.push_back(make_case({m.tensor(a, lo, hi), m.tensor(b, lo, hi)}, [f](const auto& x) { return f(x[0], x[1]); }));
            return cases;
        });
    }
    // One input of one shape.
    void shaped(const std::string& name, std::vector<std::pair<Shape, std::function<Var(const Var&)>>> list) {
        add("op", name, [list](Maker& m) {
            std::vector<OpCase> cases;
            for (const auto& [s, f] : list) cases.push_back(make_case({m.tensor(s)}, [f = f](const auto& x) { return f(x[0]); }));
            return cases;
        });
    }
};

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
        return std::vector<OpCase>{make_case({m.tensor({2, 3}), m.tensor({3})}, [mask](const auto& x) { return where(mask, x[0], x[1]); })};
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
    t.shaped("dropout", {{Shape{4, 6}, [](const Var& x) { return dropout(x, 0.4, true, {3, Stream::dropout, 1, 2, 5}); }}});
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
    t.shaped("var", {{s, [](const Var& x) { return var(x, {1}); }}, {s, [](const Var& x) { return var(x, {}, false); }}});
    t.shaped("std", {{s, [](const Var& x) { return std_dev(x, {0, 2}); }}});
    t.shaped("amax", {{s, [](const Var& x) { return amax(x, {0, 2}); }}});
    t.shaped("amin", {{s, [](const Var& x) { return amin(x); }}});
    t.shaped("max", {{s, [](const Var& x) { return max(x, 1).first; }}});
    t.shaped("min", {{s, [](const Var& x) { return min(x, -1, true).first; }}});
    t.shaped("softmax", {{s, [](const Var& x) { return softmax(x, 1); }}, {s, [](const Var& x) { return softmax(x, -1); }}});
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
        return std::vector<OpCase>{make_case({m.tensor({2, 3}), m.tensor({2, 1})}, [](const auto& x) { return cat({x[0], x[1], x[0]}, 1); }),
                                   make_case({m.tensor({2, 3}), m.tensor({2, 3})}, [](const auto& x) { return stack({x[0], x[1]}, -1); })};
    });
    t.shaped("pad", {{s, [](const Var& x) { return pad(x, {1, 2, 0, 1}, 0.5); }}, {s, [](const Var& x) { return pad(x, {-1, 1}); }}});
    t.add("op", "gather", [](Maker& m) {
        const IndexTensor index = m.indices({3, 2, 5}, 4);
        return std::vector<OpCase>{make_case({m.tensor({3, 4, 5})}, [index](const auto& x) { return gather(x[0], 1, index); })};
    });
    t.add("op", "index_select", [](Maker& m) {
        const IndexTensor index = m.indices({6}, 4);
        return std::vector<OpCase>{make_case({m.tensor({3, 4, 5})}, [index](const auto& x) { return index_select(x[0], 1, index); })};
    });
    t.add("op", "embedding", [](Maker& m) {
        const IndexTensor index = m.indices({2, 3}, 5);
        return std::vector<OpCase>{make_case({m.tensor({5, 4})}, [index](const auto& x) { return embedding(x[0], index); })};
    });
    t.shaped("flatten_chw", {{Shape{2, 3, 4, 5}, flatten_chw}});
}

void add_matrix(Table& t) {
    t.add("op", "bmm", [](Maker& m) {
        return std::vector<OpCase>{make_case({m.tensor({2, 3, 4}), m.tensor({2, 4, 5})}, [](const auto& x) { return bmm(x[0], x[1]); }),
                                   make_case({m.tensor({2, 1, 3, 4}), m.tensor({3, 4, 5})}, [](const auto& x) { return matmul(x[0], x[1]); }),
                                   make_case({m.tensor({4}), m.tensor({4})}, [](const auto& x) { return matmul(x[0], x[1]); })};
    });
    t.add("op", "linear", [](Maker& m) {
        return std::vector<OpCase>{
            make_case({m.tensor({3, 5}), m.tensor({4, 5}), m.tensor({4})}, [](const auto& x) { return linear(x[0], x[1], x[2]); }),
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
                      [](const auto& x) { return conv_transpose2d(x[0], x[1], x[2], {{2, 2}, {1, 1}, {1, 1}, 1}, {1, 0}); }),
            make_case({m.tensor({1, 3, 3, 4}), m.tensor({2, 3, 3, 4}, -1, 1)},
                      [](const auto& x) { return conv_transpose2d(x[0], x[1], {}, {{1, 2}, {0, 1}, {2, 1}, 2}); })};
    });
}

void add_norms(Table& t) {
    t.add("op", "group_norm", [](Maker& m) {
        return std::vector<OpCase>{
            make_case({m.tensor({2, 3, 4, 6}), m.tensor({6}), m.tensor({6})}, [](const auto& x) { return group_norm(x[0], 3, x[1], x[2]); }),
            make_case({m.tensor({2, 3, 4, 6}), m.tensor({6}), m.tensor({6})}, [](const auto& x) { return group_norm(x[0], 2, x[1], x[2], 1e-5, 0.1); }),
            make_case({m.tensor({3, 5, 5, 19})}, [](const auto& x) { return group_norm(x[0], 1); })};
    });
    t.add("op", "batch_norm", [](Maker& m) {
        const auto f = [](bool training, double slope) {
            return [=](const std::vector<Var>& x) {
                const std::int64_t c = x[0].dim(-1);
                RunningStats stats{Tensor::full({c}, Real(0.25)), Tensor::full({c}, Real(1.5)), 0};
                return batch_norm(x[0], stats, x[1], x[2], {training, 0.1, 1e-5}, slope);
            };
        };
        const auto inputs = [&](const Shape& s) { return Inputs{m.tensor(s), m.tensor({s[-1]}), m.tensor({s[-1]})}; };
        return std::vector<OpCase>{make_case(inputs({2, 3, 4, 5}), f(true, 1)), make_case(inputs({2, 3, 4, 5}), f(true, 0.1)),
                                   make_case(inputs({2, 3, 4, 5}), f(false, 0.1)), make_case(inputs({5, 7}), f(true, 0))};
    });
    t.add("op", "layer_norm", [](Maker& m) {
        return std::vector<OpCase>{
            make_case({m.tensor({2, 3, 6}), m.tensor({6}), m.tensor({6})}, [](const auto& x) { return layer_norm(x[0], {6}, x[1], x[2]); }),
            make_case({m.tensor({2, 3, 4})}, [](const auto& x) { return layer_norm(x[0], {3, 4}); })};
    });
}

void add_pools(Table& t) {
    t.shaped("max_pool2d", {{Shape{2, 6, 8, 3}, [](const Var& x) { return max_pool2d(x); }},
                            {Shape{1, 7, 7, 70}, [](const Var& x) { return max_pool2d(x, {{3, 3}, {2, 2}, {1, 1}, {1, 1}, true}); }}});
    t.shaped("avg_pool2d", {{Shape{2, 6, 7, 3}, [](const Var& x) { return avg_pool2d(x, {{3, 2}, {2, 2}, {1, 1}, true, false, 0}); }}});
    t.shaped("adaptive_avg_pool2d", {{Shape{2, 6, 7, 3}, [](const Var& x) { return adaptive_avg_pool2d(x, {4, 3}); }}});
    t.shaped("interpolate", {{Shape{1, 4, 5, 2}, [](const Var& x) { return interpolate(x, {{7, 3}, 0, 0, Resample::bilinear, false}); }},
                             {Shape{1, 4, 5, 2}, [](const Var& x) { return interpolate(x, {{0, 0}, 1.5, 2, Resample::nearest, false}); }}});
}

// One sequence attending to itself, then two to each other under all masks at once, weights joined to the output.
void add_layers(Table& t) {
    t.add("layer", "multi_head_attention", [](Maker& m) {
        const auto projections = [&](std::int64_t e) { return Inputs{m.tensor({3 * e, e}), m.tensor({3 * e}), m.tensor({e, e}), m.tensor({e})}; };
        Inputs self{m.tensor({2, 4, 6})}, cross{m.tensor({3, 2, 4}), m.tensor({5, 2, 4}), m.tensor({5, 2, 4})};
        for (const Tensor& p : projections(6)) self.push_back(p);
        for (const Tensor& p : projections(4)) cross.push_back(p);
        AttentionSpec spec;
        spec.batch_first = false;
        spec.need_weights = true;
        spec.average_weights = false;
        spec.additive = m.tensor({4, 3, 5});
        spec.barred = MaskTensor::zeros({3, 5});
        spec.barred.mutable_data()[1] = spec.barred.mutable_data()[13] = 1;
        spec.padding = MaskTensor::zeros({2, 5});
        spec.padding.mutable_data()[9] = 1;
        return std::vector<OpCase>{
            make_case(self, [](const auto& x) { return multi_head_attention(x[0], {}, {}, {x[1], x[2], x[3], x[4]}, 3).output; }),
            make_case(cross, [spec](const auto& x) {
                const AttentionResult r = multi_head_attention(x[0], x[1], x[2], {x[3], x[4], x[5], x[6]}, 2, spec);
                return cat({reshape(r.output, {r.output.numel()}), reshape(r.weights, {r.weights.numel()})}, 0);
            })};
    });
}

// Boxes with corners or centres that overlap with some others.
Tensor centre_boxes(Maker& m, std::int64_t n) {
    Tensor b(Shape{n, 4});
    for (std::int64_t i = 0; i < 4 * n; ++i) b.mutable_data()[i] = static_cast<Real>(i % 4 < 2 ? m.draw(0.3, 0.7) : m.draw(0.2, 0.5));
    return b;
}

void add_losses(Table& t) {
    const auto pair_loss = [&](const std::string& name, std::function<Var(const Var&, const Var&)> f) {
        t.add("loss", name, [f](Maker& m) {
            return std::vector<OpCase>{make_case({m.tensor({3, 4}), m.tensor({3, 4})}, [f](const auto& x) { return f(x[0], x[1]); })};
        });
    };
    pair_loss("mse_loss", [](const Var& a, const Var& b) { return mse_loss(a, b); });
    pair_loss("l1_loss", [](const Var& a, const Var& b) { return l1_loss(a, b); });
    pair_loss("smooth_l1_loss", [](const Var& a, const Var& b) { return smooth_l1_loss(a, b, 0.7, Reduction::none); });
    pair_loss("huber_loss", [](const Var& a, const Var& b) { return huber_loss(a, b, 0.8); });
    t.add("loss", "cross_entropy", [](Maker& m) {
        IndexTensor target = m.indices({4}, 5);
        target.mutable_data()[1] = -100;
        const CrossEntropySpec spec{m.tensor({5}, 0.5, 2), -100, 0.1, Reduction::mean};
        return std::vector<OpCase>{make_case({m.tensor({4, 5})}, [=](const auto& x) { return cross_entropy(x[0], target, spec); })};
    });
    t.add("loss", "binary_cross_entropy_with_logits", [](Maker& m) {
        const Tensor target = m.tensor({3, 4}, 0, 1), weight = m.tensor({4}, 0.5, 2), positive = m.tensor({4}, 0.5, 2);
        return std::vector<OpCase>{make_case({m.tensor({3, 4})}, [=](const auto& x) { return binary_cross_entropy_with_logits(x[0], target, weight, positive); })};
    });
    t.add("loss", "sigmoid_focal_loss", [](Maker& m) {
        const Tensor target = m.tensor({3, 4}, 0, 1);
        return std::vector<OpCase>{make_case({m.tensor({3, 4})}, [=](const auto& x) { return sigmoid_focal_loss(x[0], target, 0.25, 1.5); })};
    });
    t.add("loss", "dice_loss", [](Maker& m) {
        const Tensor target = m.tensor({2, 3, 4}, 0, 1);
        return std::vector<OpCase>{make_case({m.tensor({2, 3, 4})}, [=](const auto& x) { return dice_loss(x[0], target, 1, true); })};
    });
    t.add("loss", "distribution_focal_loss", [](Maker& m) {
        const Tensor target = m.tensor({3}, 0.1, 5.9);
        return std::vector<OpCase>{make_case({m.tensor({3, 8})}, [=](const auto& x) { return distribution_focal_loss(x[0], target); }),
                                   make_case({m.tensor({2, 12})}, [](const auto& x) { return distribution_focal_decode(x[0], 3); })};
    });
    for (const auto& [name, kind] : {std::pair{"iou", IouKind::iou}, {"giou", IouKind::giou}, {"diou", IouKind::diou}, {"ciou", IouKind::ciou}})
        t.add("loss", name, [kind = kind](Maker& m) {
            const auto corners = [](const Var& b) { return box_convert(b, BoxFormat::cxcywh, BoxFormat::xyxy); };
            return std::vector<OpCase>{
                make_case({centre_boxes(m, 6), centre_boxes(m, 6)}, [=](const auto& x) { return iou_of_kind(kind, corners(x[0]), corners(x[1])); }),
                make_case({centre_boxes(m, 6), centre_boxes(m, 6)}, [=](const auto& x) { return iou_of_kind(kind, corners(x[0]), corners(x[1]), {1e-7, 1e-7, false}); })};
        });
    for (const BoxLoss loss : {BoxLoss::box, BoxLoss::mse, BoxLoss::smooth_l1, BoxLoss::yolo_bbox, BoxLoss::log_wh, BoxLoss::giou, BoxLoss::ciou})
        t.add("loss", fmt::format("box_loss {}", name_of(loss)), [loss](Maker& m) {
            std::vector<OpCase> cases;
            for (const Decode decode : {Decode::identity, Decode::sigmoid, Decode::sigmoid_softplus, Decode::sigmoid_exp, Decode::log_wh}) {
                const Tensor target = centre_boxes(m, 5);
                const bool raw_is_box = decode == Decode::identity;
                cases.push_back(make_case({raw_is_box ? centre_boxes(m, 5) : m.tensor({5, 4}, -1.5, 0.5)}, [=](const auto& x) {
                    return box_loss(x[0], target, {decode}, {loss}).total;
                }));
                cases.back().shapes += fmt::format(" ({})", name_of(decode));
            }
            return cases;
        });
    t.add("loss", "yolo_v1_loss", [](Maker& m) {
        return std::vector<OpCase>{make_case({m.tensor({2, 2, 2, 12}, 0.1, 0.9)}, [](const auto& x) {
            return yolo_v1_loss(x[0], {{0, 1, 0.6, 0.3, 0.4, 0.5}, {1, 0, 0.2, 0.8, 0.3, 0.2}}, {2, 2}).total;
        })};
    });
}

// A whole regressor with its loss, small: every parameter tensor is checked.
OpCase regressor(Maker& m, SingleBoxConfig config) {
    config.hidden = 12;
    auto model = std::make_shared<SingleBox>(config, 5);
    const Tensor images = m.tensor({2, config.image, config.image, 3}, 0, 1), target = centre_boxes(m, 2);
    OpCase c;
    c.owner = model;
    c.more = parameters_of(*model);
    c.shapes = fmt::format("{} parameters, {}", count_parameters(*model), images.shape().str());
    c.run = [model, images, target] { return box_loss((*model)(Var(images), {1, Stream::dropout, 0, 0, 0}), target, {}, {}).total; };
    return c;
}

// A whole classifier with its loss.
OpCase classifier(Maker& m, const ResNetConfig& config) {
    auto model = std::make_shared<ResNet>(config, 5);
    const Tensor images = m.tensor({3, config.image, config.image, 3});
    const IndexTensor labels = m.indices({3}, config.classes);
    OpCase c;
    c.owner = model;
    c.more = parameters_of(*model);
    c.shapes = fmt::format("{} parameters, {}", count_parameters(*model), images.shape().str());
    c.run = [model, images, labels] { return cross_entropy((*model)(Var(images)), labels); };
    return c;
}

OpCase transformer(Maker& m, const VitDetConfig& config) {
    auto model = std::make_shared<VitDet>(config, 5);
    const Tensor images = m.tensor({2, config.image.h, config.image.w, 3});
    const IndexTensor labels = m.indices({2}, config.classes);
    const Tensor boxes = centre_boxes(m, 2 * config.det_tokens);
    OpCase c;
    c.owner = model;
    c.more = parameters_of(*model);
    // As they start, near 0, the tokens' norms divide by 0.02: a curvature that differences would take for a kink.
    for (auto& p : c.more)
        if (p.param->kind == ParamKind::token) p.param->value = m.tensor(p.param->value.shape());
    c.shapes = fmt::format("{} parameters, {}", count_parameters(*model), images.shape().str());
    c.run = [model, images, labels, boxes] {
        const VitDetOutput out = (*model)(Var(images));
        return cross_entropy(out.classes, labels) + box_loss(reshape(out.boxes, boxes.shape().dims()), boxes, {}, {}).total;
    };
    return c;
}

void add_models(Table& t) {
    for (const NormKind norm : {NormKind::group, NormKind::batch, NormKind::none})
        t.add("model", fmt::format("tiny {}", name_of(norm)), [norm](Maker& m) {
            SingleBoxConfig config = tiny_config();
            config.image = 32;
            config.norm = norm;
            for (auto& row : config.trunk) row.out /= 4;
            config.groups = 4;
            config.dropout = 0.2;
            return std::vector<OpCase>{regressor(m, config)};
        });
    t.add("model", "toy", [](Maker& m) {
        SingleBoxConfig config = toy_config(1.0 / 32);
        config.image = 64;
        config.norm = NormKind::group;
        return std::vector<OpCase>{regressor(m, config)};
    });
    t.add("model", "resnet basic", [](Maker& m) {
        ResNetConfig config = resnet_config("resnet18", 4);
        config.layers = {2, 1, 1, 1};
        config.planes = 2;
        config.image = 40;
        return std::vector<OpCase>{classifier(m, config)};
    });
    t.add("model", "resnet bottleneck", [](Maker& m) {
        ResNetConfig config = resnet_config("resnet50", 3);
        config.layers = {1, 2, 1, 1};
        config.planes = 2;
        config.image = 40;
        ResNetConfig grouped = config;  // 3x3 convolutions of 4 groups, and the stem for small pictures
        grouped.groups = 4;
        grouped.width_per_group = 32;
        grouped.small_stem = true;
        grouped.image = 12;
        return std::vector<OpCase>{classifier(m, config), classifier(m, grouped)};
    });
    t.add("model", "vit", [](Maker& m) {
        VitDetConfig config;
        config.image = {16, 24};
        config.patch = 8;
        config.dim = 8;
        config.heads = 2;
        config.mlp = 12;
        config.layers = 2;
        config.det_tokens = 3;
        config.classes = 4;
        return std::vector<OpCase>{transformer(m, config)};
    });
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

}  // namespace solobox::inline SOLOBOX_PRECISION
