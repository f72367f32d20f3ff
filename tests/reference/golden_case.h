// One golden case: a safetensors file that holds the inputs of an operation, its arguments, and the outputs and
// gradients that it must give (format: ../shared/golden/README.md; the files were computed by PyTorch).
//
// An adapter reads what it needs and reports outputs. What it did not read, an argument or a tensor, makes the case
// unsupported: an op that ignores an argument has not passed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "nn/safetensors.h"
#include "tensor/ops.h"

namespace solobox {

using Json = nlohmann::json;

struct Unsupported : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Outcome {
    enum Kind { passed, failed, unsupported } kind = passed;
    std::string op, message;
};

}  // namespace solobox

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// The JSON arguments, and which of them were read.
class Args {
public:
    explicit Args(Json json) : json_(std::move(json)) {}
    const Json& at(const std::string& key) const {
        if (!json_.contains(key)) throw Unsupported("argument " + key + " is expected");
        used_.insert(key);
        return json_.at(key);
    }
    bool has(const std::string& key) const {
        if (!json_.contains(key)) return false;
        used_.insert(key);
        return !json_.at(key).is_null();
    }
    std::int64_t integer(const std::string& key) const { return at(key).get<std::int64_t>(); }
    double number(const std::string& key) const { return at(key).get<double>(); }
    bool flag(const std::string& key) const { return at(key).get<bool>(); }
    std::string text(const std::string& key) const { return at(key).get<std::string>(); }
    std::vector<std::int64_t> integers(const std::string& key) const {
        return at(key).get<std::vector<std::int64_t>>();
    }
    Pair pair(const std::string& key) const {
        return {at(key).at(0).get<std::int64_t>(), at(key).at(1).get<std::int64_t>()};
    }
    void ignore(std::initializer_list<const char*> keys) const {  // says nothing that changes a number
        for (const char* key : keys) used_.insert(key);
    }
    std::string unread() const {
        for (const auto& [key, value] : json_.items())
            if (!used_.contains(key)) return key;
        return "";
    }
    const Json& json() const { return json_; }

private:
    Json json_;
    mutable std::set<std::string> used_;
};

class Case {
public:
    Case(SafetensorsFile file, std::string name);
    Case(const Case& parent, Json args, std::vector<Var> operands);  // a step of a chain: nothing but operands

    Args args;

    int inputs() const { return static_cast<int>(operands_.size()); }
    Var input(int i);                            // a floating operand; tracked when the file has its gradient
    IndexTensor index(const std::string& name);  // I64 / I32 / U8
    MaskTensor mask(const std::string& name);    // BOOL / U8
    Tensor floats(const std::string& name);      // any floating tensor, untracked
    Var param(const std::string& name);          // "param." + name; undefined when the file has none
    bool has(const std::string& name) const { return file_ && file_->tensors.contains(name); }
    bool is_float(const std::string& name) const;
    int rank(const std::string& name) const { return static_cast<int>(raw(name).shape.size()); }
    std::string operand(int i) const;  // the tensor name of operand i
    std::vector<std::string> names(const std::string& prefix) const;

    void output(const std::string& name, const Var& value);
    void output(int i, const Var& value) { output("output." + std::to_string(i), value); }
    void output(const std::string& name, const IndexTensor& value);
    void output(int i, const IndexTensor& value) { output("output." + std::to_string(i), value); }
    // Compares right away; used by the groups that are not "run once, go back once".
    void expect(const std::string& name, const Tensor& value);
    void expect(const std::string& name, const std::vector<double>& values, const Shape& shape);
    // The same for whole numbers; a file without them makes the case unsupported.
    void expect_integers(const std::string& name, const std::vector<std::int64_t>& values, const Shape& shape);
    void expect_number(const std::string& name, double value);
    // Against "digest." + name: 5 + min(n, 32) numbers that stand for a tensor too large to store, and their own rule.
    void expect_digest(const std::string& name, const Tensor& value);

    // Backward from all grad_outputs, gradients, and what was never read.
    void finish();
    Var result() const { return last_; }
    double rtol = 0, atol = 0;
    bool scaled = false;

private:
    const RawTensor& raw(const std::string& name) const;
    void read(const std::string& name) { read_.insert(name); }
    Var leaf(const std::string& name);
    void compare(const std::string& name, const std::vector<double>& got, const Shape& shape);

    std::shared_ptr<SafetensorsFile> file_;
    std::string name_;
    std::vector<Var> operands_;
    std::vector<int> operand_index_;
    std::map<std::string, std::unique_ptr<Parameter>> leaves_;
    std::vector<std::pair<Var, Tensor>> roots_;
    std::set<std::string> read_, checked_;
    Var last_;
};

using Adapter = std::function<void(Case&)>;
// All adapters by op name. Filled by the golden_*.cpp files.
std::map<std::string, Adapter>& adapters();
struct Register {
    Register(const char* op, Adapter adapter) { adapters()[op] = std::move(adapter); }
};

Outcome run_golden(const std::string& path);

// Feature maps: the files have [N, C, H, W], the engine (N, H, W, C).
Var channels_last(const Var& x);
Var channels_first(const Var& x);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
