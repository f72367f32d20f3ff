// Safetensors files made in memory, whole and broken, for the tests of the container and of checkpoints.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "nn/safetensors.h"
#include "tests/support/fixtures.h"

namespace solobox::fixtures {

using Bytes = std::vector<std::byte>;

inline Bytes bytes_of(const std::string& text) {
    const auto* begin = reinterpret_cast<const std::byte*>(text.data());
    return {begin, begin + text.size()};
}
inline std::string length_field(std::uint64_t n) {
    std::string text(8, '\0');
    for (std::size_t i = 0; i < 8; ++i) text[i] = static_cast<char>(n >> (8 * i) & 0xff);
    return text;
}
inline Bytes file_of(const std::string& header, std::size_t data = 0) {
    return bytes_of(length_field(header.size()) + header + std::string(data, '\x11'));
}
inline std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return R"({"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

// The refusal of `bytes`; a test failure when they are taken or refused in another way.
inline std::string refusal_of(const Bytes& bytes, const std::string& what) {
    try {
        (void)parse_safetensors(bytes, "some/file.safetensors");
    } catch (const DataError& e) {
        const std::string text = e.what();
        EXPECT_TRUE(text.starts_with("some/file.safetensors: ")) << what << ": " << text;
        EXPECT_LT(text.size(), 400U) << what << ": " << text;
        EXPECT_TRUE(std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 32; }))
            << what << ": " << text;
        return text;
    } catch (const std::exception& e) {
        ADD_FAILURE() << what << ": not a DataError: " << e.what();
        return "";
    }
    ADD_FAILURE() << what << ": taken";
    return "";
}

inline RawTensor raw(const std::string& dtype, const std::vector<std::int64_t>& shape, unsigned seed = 1) {
    RawTensor t{dtype, shape, {}};
    t.bytes.resize(static_cast<std::size_t>(t.numel()) * dtype_size(dtype));
    for (auto& b : t.bytes) b = static_cast<std::byte>((seed = seed * 1664525U + 1013904223U) >> 24);
    return t;
}

inline SafetensorsFile sample() {
    SafetensorsFile file;
    file.tensors["b.weight"] = raw("F32", {2, 3});
    file.tensors["a.half"] = raw("BF16", {5}, 2);
    file.tensors["a.mask"] = raw("BOOL", {3, 1}, 3);
    file.tensors["count"] = raw("I64", {}, 4);
    file.tensors["none"] = raw("F32", {4, 0, 2});
    file.tensors["wide"] = raw("F64", {3}, 5);
    file.tensors["gr\xC3\xBC\xC3\x9F \"e\" \\"] = raw("U8", {1, 1, 1, 1, 1, 1, 1, 2}, 6);
    file.metadata = {{"format", "solobox"}, {"step", "7"}, {"empty", ""}};
    return file;
}

inline void expect_same(const SafetensorsFile& a, const SafetensorsFile& b) {
    EXPECT_EQ(a.metadata, b.metadata);
    ASSERT_EQ(a.tensors.size(), b.tensors.size());
    for (const auto& [name, t] : a.tensors) {
        ASSERT_TRUE(b.tensors.contains(name)) << name;
        const RawTensor& o = b.tensors.at(name);
        EXPECT_EQ(t.dtype, o.dtype) << name;
        EXPECT_EQ(t.shape, o.shape) << name;
        EXPECT_TRUE(t.bytes == o.bytes) << name;
    }
}

}  // namespace solobox::fixtures
