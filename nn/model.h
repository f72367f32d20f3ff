// A network without its type: what trains it, measures it, draws it and exports it needs to know no more.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nn/describe.h"
#include "nn/graph.h"
#include "nn/visit.h"
#include "tensor/random.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// What a network puts out, by name: "raw", "logits", "aux_layer3", "exit8.logits", "p3.box". The first is the answer
// that counts.
struct Answers {
    std::vector<std::pair<std::string, Var>> named;

    const Var& main() const { return named.front().second; }
    bool has(std::string_view name) const { return find(name) != nullptr; }
    const Var& operator[](std::string_view name) const;  // ShapeError listing the names
    const Var* find(std::string_view name) const;
};

class Model {
public:
    virtual ~Model() = default;
    // images (N, H, W, 3), as the task's recipe makes them. `key` feeds dropout.
    virtual Answers answers(const Var& images, const RandomKey& key) = 0;
    virtual void visit(Visitor& v) = 0;
    // The table of layers; by default a row per tensor.
    virtual std::vector<LayerRow> layers() const;
    // Prefixes of the parameters behind the backbone: they train alone when it is frozen and keep their own rate.
    virtual std::vector<std::string> heads() const = 0;
    // Prefixes of those heads that fit one data set only: they start fresh when a file has them in another shape.
    virtual std::vector<std::string> fresh_heads() const { return {}; }
    // Prefixes of parameters that a step may leave unused, as the experts of a mixture that nobody asked: no gradient,
    // no update, and nothing wrong with it.
    virtual std::vector<std::string> sometimes() const { return {}; }
    // For prediction only, from now on: what folds into less work is folded. By default nothing does.
    virtual void freeze() {}
    // Evaluation, (N, 3, H, W) -> the main answer as other tools read it. Error where there is no ONNX form: the
    // default.
    virtual std::string append_to(GraphBuilder& graph) const;
};

bool starts_with_any(std::string_view name, const std::vector<std::string>& prefixes);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
