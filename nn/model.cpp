#include "nn/model.h"

#include <algorithm>

namespace solobox {
inline namespace SOLOBOX_PRECISION {

const Var* Answers::find(std::string_view name) const {
    const auto found = std::find_if(named.begin(), named.end(), [&](const auto& a) { return a.first == name; });
    return found == named.end() ? nullptr : &found->second;
}

const Var& Answers::operator[](std::string_view name) const {
    if (const Var* found = find(name)) return *found;
    std::string names;
    for (const auto& a : named) names += (names.empty() ? "" : ", ") + a.first;
    fail_shape("[answers] the network has no answer '{}': it has {}", name, names);
}

std::vector<LayerRow> Model::layers() const {
    std::vector<LayerRow> rows;
    for (const NamedParameter& p : parameters_of(const_cast<Model&>(*this)))  // visit() names, and changes nothing
        rows.push_back({p.name, "parameters", {}, p.param->value.shape(), p.param->value.numel()});
    return rows;
}

std::string Model::append_to(GraphBuilder&) const {
    throw Error("this model has no ONNX form: export its weights (--format safetensors)");
}

bool starts_with_any(std::string_view name, const std::vector<std::string>& prefixes) {
    return std::any_of(prefixes.begin(), prefixes.end(),
                       [&](const std::string& prefix) { return name.starts_with(prefix); });
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
