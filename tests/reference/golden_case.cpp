#include "tests/reference/golden_case.h"

#include <cmath>
#include <cstring>

#include "nn/checkpoint.h"
#include "train/config/config.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

struct Mismatch : std::runtime_error {
    using std::runtime_error::runtime_error;
};

std::vector<double> numbers(const RawTensor& raw) {
    std::vector<double> out(static_cast<std::size_t>(raw.numel()));
    const auto each = [&](auto zero) {
        using T = decltype(zero);
        for (std::size_t i = 0; i < out.size(); ++i) {
            T v;
            std::memcpy(&v, raw.bytes.data() + i * sizeof(T), sizeof(T));
            out[i] = static_cast<double>(v);
        }
    };
    if (raw.dtype == "F64")
        each(double{});
    else if (raw.dtype == "F32")
        each(float{});
    else if (raw.dtype == "I64")
        each(std::int64_t{});
    else if (raw.dtype == "I32")
        each(std::int32_t{});
    else if (raw.dtype == "U8" || raw.dtype == "BOOL")
        each(std::uint8_t{});
    else
        throw Unsupported("dtype " + raw.dtype);
    return out;
}

bool floating(const std::string& dtype) { return dtype[0] == 'F'; }

template <class T>
std::vector<double> widened(const Array<T>& a) {
    std::vector<double> out;
    for (std::int64_t i = 0; i < a.numel(); ++i) out.push_back(static_cast<double>(a[i]));
    return out;
}

// sum x, sum |x|, sqrt(sum x^2), a weighted sum that notices swapped elements, max |x|, then evenly spaced elements.
std::vector<double> digest_of(const std::vector<double>& x) {
    std::vector<double> d(5, 0.0);
    const std::size_t n = x.size(), samples = std::min<std::size_t>(n, 32);
    for (std::size_t i = 0; i < n; ++i) {
        d[0] += x[i];
        d[1] += std::abs(x[i]);
        d[2] += x[i] * x[i];
        d[3] += x[i] * (static_cast<double>(i * 7919 % 1009) / 1009 - 0.5);
        d[4] = std::max(d[4], std::abs(x[i]));
    }
    d[2] = std::sqrt(d[2]);
    for (std::size_t j = 0; j < samples; ++j) d.push_back(x[j * n / samples]);
    return d;
}

}  // namespace

Case::Case(SafetensorsFile file, std::string name)
    : args(Json::parse(file.metadata.contains("args") ? file.metadata.at("args") : "{}")),
      file_(std::make_shared<SafetensorsFile>(std::move(file))),
      name_(std::move(name)) {
    rtol = parse_number("rtol", file_->metadata.at("rtol"));
    atol = parse_number("atol", file_->metadata.at("atol"));
    scaled = file_->metadata.contains("compare") && file_->metadata.at("compare") == "scaled";
    if (args.has("operands")) {
        for (const auto i : args.integers("operands")) operand_index_.push_back(static_cast<int>(i));
    } else {
        for (int i = 0; has("input." + std::to_string(i)); ++i) operand_index_.push_back(i);
    }
    operands_.resize(operand_index_.size());
}

Case::Case(const Case& parent, Json json, std::vector<Var> operands)
    : args(std::move(json)), rtol(parent.rtol), atol(parent.atol), operands_(std::move(operands)) {}

std::string Case::operand(int i) const {
    return "input." + std::to_string(operand_index_.at(static_cast<std::size_t>(i)));
}

const RawTensor& Case::raw(const std::string& name) const {
    if (!has(name)) throw Unsupported("tensor " + name + " is expected");
    return file_->tensors.at(name);
}

bool Case::is_float(const std::string& name) const { return floating(raw(name).dtype); }

Tensor Case::floats(const std::string& name) {
    read(name);
    const RawTensor& t = raw(name);
    if (!floating(t.dtype)) throw Unsupported(name + " is expected to hold floating numbers");
    return from_raw(t, name);
}

IndexTensor Case::index(const std::string& name) {
    read(name);
    const RawTensor& t = raw(name);
    if (t.dtype != "I64" && t.dtype != "I32" && t.dtype != "U8")
        throw Unsupported(name + " is expected to hold indices");
    IndexTensor out{Shape(t.shape)};
    const auto values = numbers(t);
    for (std::size_t i = 0; i < values.size(); ++i) out.mutable_data()[i] = static_cast<std::int64_t>(values[i]);
    return out;
}

MaskTensor Case::mask(const std::string& name) {
    read(name);
    MaskTensor out{Shape(raw(name).shape)};
    const auto values = numbers(raw(name));
    for (std::size_t i = 0; i < values.size(); ++i) out.mutable_data()[i] = values[i] != 0;
    return out;
}

Var Case::leaf(const std::string& name) {
    if (!has("grad." + name)) return Var(floats(name));
    auto& p = leaves_[name];
    if (!p) p = std::make_unique<Parameter>(floats(name));
    return use(*p);
}

Var Case::input(int i) {
    Var& slot = operands_.at(static_cast<std::size_t>(i));
    if (!slot.defined()) slot = leaf(operand(i));
    return slot;
}

Var Case::param(const std::string& name) { return has("param." + name) ? leaf("param." + name) : Var{}; }

std::vector<std::string> Case::names(const std::string& prefix) const {
    std::vector<std::string> found;
    for (const auto& [key, value] : file_->tensors)
        if (key.starts_with(prefix)) found.push_back(key);
    return found;
}

void Case::compare(const std::string& name, const std::vector<double>& got, const Shape& shape) {
    checked_.insert(name);
    read(name);
    const RawTensor& want_raw = raw(name);
    if (want_raw.shape != shape.dims())
        throw Mismatch(fmt::format("{}: shape {}, expected {}", name, shape.str(), Shape(want_raw.shape).str()));
    const auto want = numbers(want_raw);
    const bool exact = !floating(want_raw.dtype);
    double largest = 0;
    for (const double w : want) largest = std::max(largest, std::abs(w));
    for (std::size_t i = 0; i < want.size(); ++i) {
        const double allowed = exact ? 0 : atol + rtol * (scaled ? largest : std::abs(want[i]));
        if (!(std::abs(got[i] - want[i]) <= allowed))
            throw Mismatch(fmt::format("{}[{}]: {:.17g}, expected {:.17g} (off by {:.3g}, allowed {:.3g})", name, i,
                                       got[i], want[i], std::abs(got[i] - want[i]), allowed));
    }
}

void Case::output(const std::string& name, const Var& value) {
    last_ = value;
    if (!file_ || !has(name)) return;
    compare(name, widened(value.value()), value.shape());
    const std::string seed = "grad_" + name;
    if (has(seed)) roots_.emplace_back(value, floats(seed));
}

void Case::output(const std::string& name, const IndexTensor& value) {
    if (file_ && has(name)) compare(name, widened(value), value.shape());
}

void Case::expect(const std::string& name, const Tensor& value) { compare(name, widened(value), value.shape()); }
void Case::expect(const std::string& name, const std::vector<double>& values, const Shape& shape) {
    Tensor t(shape);
    check(static_cast<std::int64_t>(values.size()) == t.numel(), "{}: {} values for {}", name, values.size(),
          shape.str());
    std::transform(values.begin(), values.end(), t.mutable_data(), [](double v) { return static_cast<Real>(v); });
    expect(name, t);
}
void Case::expect_integers(const std::string& name, const std::vector<std::int64_t>& values, const Shape& shape) {
    if (!has(name)) throw Unsupported("tensor " + name + " is expected");
    output(name, IndexTensor::from(shape, values));
}
void Case::expect_number(const std::string& name, double value) { compare(name, {value}, Shape{}); }

void Case::expect_digest(const std::string& name, const Tensor& value) {
    const std::string key = "digest." + name;
    checked_.insert(key);
    read(key);
    const auto want = numbers(raw(key));  // F64 in every case
    const auto got = digest_of(widened(value));
    if (got.size() != want.size())
        throw Mismatch(fmt::format("{}: {} numbers, expected {}", key, got.size(), want.size()));
    for (std::size_t i = 0; i < got.size(); ++i) {
        // Sums may be off by as much as their absolute terms allow, the norm by itself, elements by the largest one.
        const double scale = want[i == 2 ? 2 : i < 4 ? 1 : 4];
        const double off = std::abs(got[i] - want[i]), allowed = atol + rtol * scale;
        if (!(off <= allowed))
            throw Mismatch(fmt::format("{}[{}]: {:.17g}, expected {:.17g} (off by {:.3g}, allowed {:.3g})", key, i,
                                       got[i], want[i], off, allowed));
    }
}

void Case::finish() {
    const std::string ignored = args.unread();
    if (!ignored.empty()) throw Unsupported("argument " + ignored);
    if (!roots_.empty()) Tape::current()->backward(roots_);
    for (auto& [name, p] : leaves_) {
        const Tensor grad = p->grad.defined() ? p->grad : Tensor::zeros(p->value.shape());
        compare("grad." + name, widened(grad), grad.shape());
    }
    for (const auto& [name, tensor] : file_->tensors) {
        const bool result = name.starts_with("output.") || name.starts_with("grad.input.") ||
                            name.starts_with("grad.param.") || name.starts_with("buffer_after.");
        if (result && !checked_.contains(name)) throw Unsupported("result " + name);
        if (!result && !read_.contains(name)) throw Unsupported("tensor " + name);
    }
}

std::map<std::string, Adapter>& adapters() {
    static std::map<std::string, Adapter> all;
    return all;
}

Outcome run_golden(const std::string& path) {
    Outcome outcome;
    try {
        SafetensorsFile file = read_safetensors(path);
        if (!file.metadata.contains("op")) throw Unsupported("no op in the metadata");
        outcome.op = file.metadata.at("op");
        const auto adapter = adapters().find(outcome.op);
        if (adapter == adapters().end()) throw Unsupported("op " + outcome.op);
        Tape tape;
        Case c(std::move(file), path);
        adapter->second(c);
        c.finish();
    } catch (const Unsupported& e) {
        outcome.kind = Outcome::unsupported;
        outcome.message = e.what();
    } catch (const std::exception& e) {
        outcome.kind = Outcome::failed;
        outcome.message = e.what();
    }
    return outcome;
}

Var channels_last(const Var& x) {
    if (x.rank() < 3) return x;
    std::vector<int> order{0};
    for (int i = 2; i < x.rank(); ++i) order.push_back(i);
    order.push_back(1);
    return permute(x, order);
}

Var channels_first(const Var& x) {
    if (x.rank() < 3) return x;
    std::vector<int> order{0, x.rank() - 1};
    for (int i = 1; i < x.rank() - 1; ++i) order.push_back(i);
    return permute(x, order);
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
