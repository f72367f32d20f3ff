// A model's state as safetensors, under PyTorch's names and layouts: what we save loads there, and theirs loads here.
#pragma once

#include <set>
#include <string>

#include "nn/safetensors.h"
#include "nn/visit.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// Between a tensor here and its bytes. The dtype on reading may be F32 or F64; anything else is a DataError.
RawTensor to_raw(const Tensor& value);
Tensor from_raw(const RawTensor& raw, const std::string& name);

// A visitor that adds "<prefix><name>" for every parameter, buffer and counter to the file.
Visitor saver(SafetensorsFile& file, const std::string& prefix);
// A visitor that fills every parameter, buffer and counter from the file and notes their names in `taken`. DataError
// naming the tensor when one is missing or has another shape.
Visitor loader(const SafetensorsFile& file, const std::string& prefix, const std::string& path,
               std::set<std::string>& taken);
// DataError naming a tensor under the prefix that no part of the model took: the file is of another model. An auxiliary
// class head ("aux_class.") may be left over: only training has one.
void refuse_leftovers(const SafetensorsFile& file, const std::string& prefix, const std::string& path,
                      const std::set<std::string>& taken);

// What stands in front of a model's names in a file: nothing where it has the name of one of its tensors, as a
// state_dict does; else "model.", as the weights of a run.
std::string prefix_of(const SafetensorsFile& file, const std::string& one);

template <class Model>
void save_state(Model& model, SafetensorsFile& file, const std::string& prefix = "model.") {
    Visitor v = saver(file, prefix);
    model.visit(v);
}
template <class Model>
void load_state(Model& model, const SafetensorsFile& file, const std::string& path,
                const std::string& prefix = "model.") {
    std::set<std::string> taken;
    Visitor v = loader(file, prefix, path, taken);
    model.visit(v);
    refuse_leftovers(file, prefix, path, taken);
}

// A model of one's own in one line: save(net, "net.safetensors"), load(net, "net.safetensors"). The file is a
// state_dict for PyTorch; load() takes such a one, or the weights of a run. IoError, DataError naming file and tensor.
template <class Model>
void save(Model& model, const std::string& path) {
    SafetensorsFile file;
    save_state(model, file, "");
    file.metadata["format"] = "pt";
    write_safetensors(path, file);
}
template <class Model>
void load(Model& model, const std::string& path) {
    const SafetensorsFile file = read_safetensors(path);
    const auto tensors = tensors_of(model);
    load_state(model, file, path, tensors.empty() ? "" : prefix_of(file, tensors.front().name));
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
