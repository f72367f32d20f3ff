// ONNX files. The one place that sees the ONNX library.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "nn/graph.h"

namespace solobox {

// Opset 13, checked by ONNX's own checker (Error with its words if it finds a fault: a mistake of ours).
std::vector<std::byte> onnx_bytes(const Graph& graph, const std::string& name,
                                  const std::map<std::string, std::string>& metadata);

}  // namespace solobox
