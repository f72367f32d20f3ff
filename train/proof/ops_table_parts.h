// What the rows of the ops table are written with. Internal to train/ops_table*.cpp.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "data/text.h"
#include "train/proof/ops_table.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace rows {

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

inline OpCase make_case(const Inputs& inputs, const Function& f) {
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

    void add(const std::string& group, const std::string& name,
             const std::function<std::vector<OpCase>(Maker&)>& cases) {
        // By name: a new row gives no other one new inputs.
        rows.push_back({name, group, [cases, stream = checksum(name)](std::uint64_t seed) {
                            Maker maker(seed, stream);
                            return cases(maker);
                        }});
    }
    // One input of several shapes, values in [lo, hi].
    void unary(const std::string& name, const std::function<Var(const Var&)>& f, double lo = -2, double hi = 2) {
        add("op", name, [=](Maker& m) {
            std::vector<OpCase> cases;
            for (const Shape& s : {Shape{}, Shape{7}, Shape{3, 4, 5}})
                cases.push_back(make_case({m.tensor(s, lo, hi)}, [f](const auto& x) { return f(x[0]); }));
            return cases;
        });
    }
    // Two inputs under broadcasting.
    void binary(const std::string& name, const std::function<Var(const Var&, const Var&)>& f, double lo = -2,
                double hi = 2) {
        add("op", name, [=](Maker& m) {
            std::vector<OpCase> cases;
            const std::pair<Shape, Shape> shapes[] = {
                {{2, 3}, {2, 3}}, {{2, 1, 4}, {3, 1}}, {{}, {2, 3}}, {{2, 3, 4}, {4}}};
            for (const auto& [a, b] : shapes)
                cases.push_back(make_case({m.tensor(a, lo, hi), m.tensor(b, lo, hi)},
                                          [f](const auto& x) { return f(x[0], x[1]); }));
            return cases;
        });
    }
    // One input of one shape.
    void shaped(const std::string& name, const std::vector<std::pair<Shape, std::function<Var(const Var&)>>>& list) {
        add("op", name, [list](Maker& m) {
            std::vector<OpCase> cases;
            for (const auto& [s, f] : list)
                cases.push_back(make_case({m.tensor(s)}, [f = f](const auto& x) { return f(x[0]); }));
            return cases;
        });
    }
};

void add_layers(Table& t);
void add_losses(Table& t);
void add_models(Table& t);

}  // namespace rows
}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
