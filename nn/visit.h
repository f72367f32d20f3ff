// How everything that walks a model meets its layers: one function `visit` per layer, no registration, no base class.
//
//     struct Conv2d {
//         Parameter weight, bias;
//         void visit(Visitor& v) { v.parameter("weight", weight); v.parameter("bias", bias); }
//     };
//
// A layer hands over its parameters, its buffers, its mode flag and its children; names grow by prefixes into
// PyTorch's ("feat.0.weight"). A parameter without a value is an option that is switched off and is skipped.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tensor/parameter.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

class Visitor {
public:
    std::function<void(const std::string& name, Parameter&)> on_parameter;
    std::function<void(const std::string& name, Tensor&)> on_buffer;         // running statistics
    std::function<void(const std::string& name, std::int64_t&)> on_counter;  // num_batches_tracked
    std::function<void(bool& training)> on_mode;

    void parameter(const std::string& name, Parameter& p) {
        if (p.value.defined() && on_parameter) on_parameter(prefix_ + name, p);
    }
    void buffer(const std::string& name, Tensor& b) {
        if (b.defined() && on_buffer) on_buffer(prefix_ + name, b);
    }
    void counter(const std::string& name, std::int64_t& c) {
        if (on_counter) on_counter(prefix_ + name, c);
    }
    void mode(bool& training) {
        if (on_mode) on_mode(training);
    }
    template <class Layer>
    void child(const std::string& name, Layer& layer) {
        const std::size_t length = prefix_.size();
        prefix_ += name + ".";
        layer.visit(*this);
        prefix_.resize(length);
    }

private:
    std::string prefix_;
};

template <class Model>
std::vector<NamedParameter> parameters_of(Model& model) {
    std::vector<NamedParameter> found;
    Visitor v;
    v.on_parameter = [&](const std::string& name, Parameter& p) { found.push_back({name, &p}); };
    model.visit(v);
    return found;
}

// Parameters and running statistics, in the model's order.
template <class Model>
std::vector<NamedTensor> tensors_of(Model& model) {
    std::vector<NamedTensor> found;
    Visitor v;
    v.on_parameter = [&](const std::string& name, Parameter& p) { found.push_back({name, &p.value}); };
    v.on_buffer = [&](const std::string& name, Tensor& b) { found.push_back({name, &b}); };
    model.visit(v);
    return found;
}

template <class Model>
void set_training(Model& model, bool training) {
    Visitor v;
    v.on_mode = [training](bool& flag) { flag = training; };
    model.visit(v);
}

template <class Model>
std::int64_t count_parameters(Model& model) {
    std::int64_t total = 0;
    for (const auto& p : parameters_of(model)) total += p.param->value.numel();
    return total;
}

// What passes between the layers of a model, for whoever wants to look: the diagnosis, the pictures of the report.
// A model calls observe("feat.3", y) where a reader would look; without a watcher that costs one comparison.
using Watcher = std::function<void(const std::string& name, const Tensor& activation)>;

class Observe {
public:
    explicit Observe(Watcher watcher);  // watches until it goes out of scope, on this thread
    ~Observe();
    Observe(const Observe&) = delete;
    Observe& operator=(const Observe&) = delete;

private:
    Watcher previous_;
};
void observe(const std::string& name, const Tensor& activation);
bool observed();

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
