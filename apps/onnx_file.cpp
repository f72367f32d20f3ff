#include "apps/onnx_file.h"

#include <onnx/checker.h>
#include <onnx/onnx_pb.h>

#include <cstring>

#include "tensor/check.h"

namespace solobox {
namespace {

void set_value(onnx::ValueInfoProto& to, const GraphValue& value) {
    to.set_name(value.name);
    auto& tensor = *to.mutable_type()->mutable_tensor_type();
    tensor.set_elem_type(onnx::TensorProto::FLOAT);
    for (const std::int64_t dim : value.dims) {
        auto& d = *tensor.mutable_shape()->add_dim();
        if (dim < 0)
            d.set_dim_param("batch");
        else
            d.set_dim_value(dim);
    }
}

void set_attribute(onnx::AttributeProto& to, const std::string& name, const GraphAttribute& value) {
    to.set_name(name);
    if (const auto* integer = std::get_if<std::int64_t>(&value)) {
        to.set_type(onnx::AttributeProto::INT);
        to.set_i(*integer);
    } else if (const auto* real = std::get_if<double>(&value)) {
        to.set_type(onnx::AttributeProto::FLOAT);
        to.set_f(static_cast<float>(*real));
    } else {
        to.set_type(onnx::AttributeProto::INTS);
        for (const std::int64_t i : std::get<std::vector<std::int64_t>>(value)) to.add_ints(i);
    }
}

void set_constant(onnx::TensorProto& to, const GraphConstant& constant) {
    to.set_name(constant.name);
    for (const std::int64_t dim : constant.dims) to.add_dims(dim);
    if (const auto* reals = std::get_if<std::vector<float>>(&constant.numbers)) {
        to.set_data_type(onnx::TensorProto::FLOAT);
        to.set_raw_data(reals->data(), reals->size() * sizeof(float));
    } else {
        const auto& integers = std::get<std::vector<std::int64_t>>(constant.numbers);
        to.set_data_type(onnx::TensorProto::INT64);
        to.set_raw_data(integers.data(), integers.size() * sizeof(std::int64_t));
    }
}

}  // namespace

std::vector<std::byte> onnx_bytes(const Graph& graph, const std::string& name,
                                  const std::map<std::string, std::string>& metadata) {
    onnx::ModelProto model;
    model.set_ir_version(7);  // what opset 13 came with
    model.set_producer_name("solobox");
    model.set_producer_version(SOLOBOX_VERSION);
    model.add_opset_import()->set_version(13);
    for (const auto& [key, value] : metadata) {
        auto& entry = *model.add_metadata_props();
        entry.set_key(key);
        entry.set_value(value);
    }
    onnx::GraphProto& to = *model.mutable_graph();
    to.set_name(name);
    set_value(*to.add_input(), graph.input);
    set_value(*to.add_output(), graph.output);
    for (const GraphConstant& constant : graph.constants) set_constant(*to.add_initializer(), constant);
    for (const GraphNode& node : graph.nodes) {
        onnx::NodeProto& n = *to.add_node();
        n.set_op_type(node.op);
        n.set_name(node.output);
        for (const std::string& input : node.inputs) n.add_input(input);
        n.add_output(node.output);
        for (const auto& [key, value] : node.attributes) set_attribute(*n.add_attribute(), key, value);
    }
    constexpr std::size_t limit = std::size_t{2} << 30;  // of protobuf
    if (model.ByteSizeLong() >= limit)
        throw Error(fmt::format("the ONNX file would have {:.1f} GB: its format ends at 2 GB",
                                static_cast<double>(model.ByteSizeLong()) / 1e9));
    try {
        onnx::checker::check_model(model);
    } catch (const std::exception& e) {
        throw Error(fmt::format("ONNX's checker refuses the exported graph: {}", e.what()));
    }
    const std::string text = model.SerializeAsString();
    std::vector<std::byte> bytes(text.size());
    std::memcpy(bytes.data(), text.data(), text.size());
    return bytes;
}

}  // namespace solobox
