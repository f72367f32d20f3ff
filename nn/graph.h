// A model as other tools read it: operators of ONNX (opset 13) over NCHW tensors, its weights under PyTorch's names.
// Models write themselves into a GraphBuilder; knows nothing of files.
#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "nn/layers.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

using GraphAttribute = std::variant<std::int64_t, double, std::vector<std::int64_t>>;

struct GraphNode {
    std::string op;
    std::vector<std::string> inputs;
    std::string output;
    std::vector<std::pair<std::string, GraphAttribute>> attributes;
};

struct GraphConstant {
    std::string name;
    std::vector<std::int64_t> dims;
    std::variant<std::vector<float>, std::vector<std::int64_t>> numbers;
};

struct GraphValue {
    std::string name;
    std::vector<std::int64_t> dims;  // -1: any batch
};

struct Graph {
    std::vector<GraphNode> nodes;  // in order of execution
    std::vector<GraphConstant> constants;
    GraphValue input, output;
};

class GraphBuilder {
public:
    GraphBuilder(const std::string& input, std::vector<std::int64_t> dims);

    // Appends a node and names its output after it.
    std::string add(const std::string& op, std::vector<std::string> inputs,
                    std::vector<std::pair<std::string, GraphAttribute>> attributes = {});
    std::string constant(const std::string& name, const Tensor& value);
    std::string integers(const std::vector<std::int64_t>& values);

    std::string conv(const std::string& x, const std::string& name, const Conv2d& layer);
    std::string batch_norm(const std::string& x, const std::string& name, const BatchNorm2d& layer);  // evaluation
    // ONNX has no GroupNorm before opset 18: an instance norm over (N, groups, everything else), then weight and bias.
    std::string group_norm(const std::string& x, const std::string& name, const GroupNorm& layer);
    std::string linear(const std::string& x, const std::string& name, const Linear& layer);
    std::string activation(const std::string& x, const Act& act);
    std::string max_pool(const std::string& x, const PoolSpec& spec);

    const std::string& input() const { return graph_.input.name; }
    // The end: `x` becomes the graph's output under the given name.
    Graph finish(const std::string& x, const std::string& name, std::vector<std::int64_t> dims);

private:
    Graph graph_;
};

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
