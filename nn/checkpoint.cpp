#include "nn/checkpoint.h"

#include <bit>
#include <cmath>
#include <cstring>

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

constexpr const char* real_dtype = sizeof(Real) == 8 ? "F64" : "F32";

template <class T>
RawTensor raw_of(const char* dtype, const std::vector<std::int64_t>& shape, const T* data, std::int64_t count) {
    RawTensor raw{dtype, shape, std::vector<std::byte>(static_cast<std::size_t>(count) * sizeof(T))};
    if (count) std::memcpy(raw.bytes.data(), data, raw.bytes.size());
    return raw;
}

const RawTensor& find(const SafetensorsFile& file, const std::string& name, const std::string& path) {
    const auto found = file.tensors.find(name);
    if (found == file.tensors.end())
        throw DataError(fmt::format("{}: tensor '{}' is missing, the model needs it", path, name));
    return found->second;
}

float itself(float v) { return v; }
double itself(double v) { return v; }

// IEEE's half precision: 1 sign, 5 exponent, 10 fraction bits. Exact.
float from_half(std::uint16_t bits) {
    const int exponent = bits >> 10U & 0x1F, fraction = bits & 0x3FF;
    const float size = exponent == 0    ? std::ldexp(static_cast<float>(fraction), -24)
                       : exponent == 31 ? (fraction ? NAN : INFINITY)
                                        : std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
    return bits >> 15U ? -size : size;
}

// bfloat16: the upper half of a float.
float from_bfloat(std::uint16_t bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16U); }

template <class T, class To>
void copy_numbers(const RawTensor& raw, Tensor& to, To (*number)(T)) {
    for (std::int64_t i = 0; i < to.numel(); ++i) {
        T value;
        std::memcpy(&value, raw.bytes.data() + static_cast<std::size_t>(i) * sizeof(T), sizeof(T));
        to.mutable_data()[i] = static_cast<Real>(number(value));
    }
}

}  // namespace

RawTensor to_raw(const Tensor& value) { return raw_of(real_dtype, value.shape().dims(), value.data(), value.numel()); }

Tensor from_raw(const RawTensor& raw, const std::string& name) {
    Tensor value{Shape(raw.shape)};
    if (raw.dtype == "F32")
        copy_numbers<float, float>(raw, value, itself);
    else if (raw.dtype == "F64")
        copy_numbers<double, double>(raw, value, itself);
    else if (raw.dtype == "F16")
        copy_numbers(raw, value, from_half);
    else if (raw.dtype == "BF16")
        copy_numbers(raw, value, from_bfloat);
    else
        throw DataError(fmt::format("{}: dtype {} where floating numbers are expected", name, raw.dtype));
    return value;
}

Visitor saver(SafetensorsFile& file, const std::string& prefix) {
    Visitor v;
    v.on_parameter = [&file, prefix](const std::string& name, Parameter& p) {
        file.tensors[prefix + name] = to_raw(to_torch_layout(p.value, p.layout));
    };
    v.on_buffer = [&file, prefix](const std::string& name, Tensor& b) { file.tensors[prefix + name] = to_raw(b); };
    v.on_counter = [&file, prefix](const std::string& name, std::int64_t& c) {
        file.tensors[prefix + name] = raw_of("I64", {}, &c, 1);
    };
    return v;
}

Visitor loader(const SafetensorsFile& file, const std::string& prefix, const std::string& path,
               std::set<std::string>& taken) {
    const auto read = [&file, prefix, path, &taken](const std::string& name, const Shape& expected) {
        taken.insert(prefix + name);
        const RawTensor& raw = find(file, prefix + name, path);
        if (raw.shape != expected.dims())
            throw DataError(fmt::format("{}: tensor '{}' has shape {}, the model expects {}", path, prefix + name,
                                        Shape(raw.shape).str(), expected.str()));
        return from_raw(raw, fmt::format("{}: tensor '{}'", path, prefix + name));
    };
    Visitor v;
    v.on_parameter = [read](const std::string& name, Parameter& p) {
        p.value = from_torch_layout(read(name, p.layout == Layout::same ? p.value.shape()
                                                                        : Shape{p.value.dim(3), p.value.dim(2),
                                                                                p.value.dim(0), p.value.dim(1)}),
                                    p.layout);
    };
    v.on_buffer = [read](const std::string& name, Tensor& b) { b = read(name, b.shape()); };
    v.on_counter = [&file, prefix, path, &taken](const std::string& name, std::int64_t& c) {
        taken.insert(prefix + name);
        const RawTensor& raw = find(file, prefix + name, path);
        if (raw.dtype != "I64" || raw.bytes.size() != sizeof(c))
            throw DataError(fmt::format("{}: tensor '{}' must be one I64", path, prefix + name));
        std::memcpy(&c, raw.bytes.data(), sizeof(c));
    };
    return v;
}

void refuse_leftovers(const SafetensorsFile& file, const std::string& prefix, const std::string& path,
                      const std::set<std::string>& taken) {
    for (const auto& [name, raw] : file.tensors)
        // A class head helps a box model to learn; one that predicts has none, and knows no classes.
        if (name.starts_with(prefix) && !taken.contains(name) && !name.starts_with(prefix + "aux_class."))
            throw DataError(fmt::format("{}: tensor '{}' {} has no place in this model: the file is of another one",
                                        path, name, Shape(raw.shape).str()));
}

std::string prefix_of(const SafetensorsFile& file, const std::string& one) {
    return file.tensors.contains(one) || !file.tensors.contains("model." + one) ? "" : "model.";
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
