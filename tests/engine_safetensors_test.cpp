// The safetensors container and the border to PyTorch's layouts: what is written comes back, what is broken is refused
// with the file's name, and a failed write leaves the old file.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "nn/checkpoint.h"
#include "nn/layers.h"
#include "nn/safetensors.h"
#include "tests/data_fixtures.h"

namespace solobox {
namespace {

namespace fs = std::filesystem;
using fixtures::has;
using fixtures::TemporaryDirectory;
using Bytes = std::vector<std::byte>;

Bytes bytes_of(const std::string& text) {
    const auto* begin = reinterpret_cast<const std::byte*>(text.data());
    return {begin, begin + text.size()};
}
std::string read_text(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}
std::string length_field(std::uint64_t n) {
    std::string text(8, '\0');
    for (std::size_t i = 0; i < 8; ++i) text[i] = static_cast<char>(n >> (8 * i) & 0xff);
    return text;
}
Bytes file_of(const std::string& header, std::size_t data = 0) {
    return bytes_of(length_field(header.size()) + header + std::string(data, '\x11'));
}
std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return R"({"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

// The refusal of `bytes`; a test failure when they are taken or refused in another way.
std::string refusal_of(const Bytes& bytes, const std::string& what) {
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

RawTensor raw(const std::string& dtype, const std::vector<std::int64_t>& shape, unsigned seed = 1) {
    RawTensor t{dtype, shape, {}};
    t.bytes.resize(static_cast<std::size_t>(t.numel()) * dtype_size(dtype));
    for (auto& b : t.bytes) b = static_cast<std::byte>((seed = seed * 1664525U + 1013904223U) >> 24);
    return t;
}

SafetensorsFile sample() {
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

void expect_same(const SafetensorsFile& a, const SafetensorsFile& b) {
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

TEST(EngineSafetensors, WhatIsWrittenComesBack) {
    const TemporaryDirectory dir;
    write_safetensors(dir / "x.safetensors", sample());
    expect_same(sample(), read_safetensors(dir / "x.safetensors"));
    write_safetensors(dir / "empty.safetensors", {});
    EXPECT_TRUE(read_safetensors(dir / "empty.safetensors").tensors.empty());
    for (const auto& left : fs::directory_iterator(dir.path()))
        EXPECT_EQ(left.path().extension(), ".safetensors") << left.path();
}

TEST(EngineSafetensors, EqualContentsGiveEqualBytes) {
    SafetensorsFile other;  // filled in another order
    const SafetensorsFile file = sample();
    for (auto it = file.metadata.rbegin(); it != file.metadata.rend(); ++it) other.metadata.insert(*it);
    for (auto it = file.tensors.rbegin(); it != file.tensors.rend(); ++it) other.tensors.insert(*it);
    const Bytes bytes = serialize_safetensors(file);
    EXPECT_TRUE(bytes == serialize_safetensors(other));
    EXPECT_TRUE(bytes == serialize_safetensors(parse_safetensors(bytes, "again")));
    other.metadata["step"] = "8";
    EXPECT_FALSE(bytes == serialize_safetensors(other));
}

TEST(EngineSafetensors, EveryTensorIsAlignedToItsElements) {
    const Bytes bytes = serialize_safetensors(sample());
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), 8);
    EXPECT_EQ(length % 8, 0U);
    const auto header = nlohmann::json::parse(std::string(reinterpret_cast<const char*>(bytes.data()) + 8, length));
    std::uint64_t end = 0;
    for (const auto& [name, e] : header.items()) {
        if (name == "__metadata__") continue;
        EXPECT_EQ(e["data_offsets"][0].get<std::uint64_t>() % dtype_size(e["dtype"]), 0U) << name;
        end = std::max(end, e["data_offsets"][1].get<std::uint64_t>());
    }
    EXPECT_EQ(8 + length + end, bytes.size());
}

TEST(EngineSafetensors, EveryFlippedDataBitIsCaught) {
    const Bytes good = serialize_safetensors(sample());
    std::uint64_t length = 0;
    std::memcpy(&length, good.data(), 8);
    for (std::size_t i = 8 + length; i < good.size(); ++i)
        for (int bit = 0; bit < 8; ++bit) {
            Bytes bad = good;
            bad[i] ^= static_cast<std::byte>(1 << bit);
            EXPECT_TRUE(has(refusal_of(bad, "flip"), "checksum"));
        }
}

TEST(EngineSafetensors, NoDamageToTheHeaderCrashes) {
    const Bytes good = serialize_safetensors(sample());
    std::uint64_t length = 0;
    std::memcpy(&length, good.data(), 8);
    int taken = 0;
    const auto attempt = [&](const Bytes& bytes) {
        try {
            (void)parse_safetensors(bytes, "f");
            ++taken;
        } catch (const DataError&) {
        }
    };
    for (std::size_t i = 0; i < 8 + length; ++i)
        for (int bit = 0; bit < 8; ++bit) {
            Bytes bad = good;
            bad[i] ^= static_cast<std::byte>(1 << bit);
            attempt(bad);
        }
    std::uint32_t state = 12345;
    const auto draw = [&](std::size_t n) { return (state = state * 1664525U + 1013904223U) / 65536U % n; };
    for (int i = 0; i < 3000; ++i) {
        Bytes bad = good;
        for (std::size_t k = 0; k <= draw(4); ++k)
            bad[8 + draw(length)] = static_cast<std::byte>("0123456789[]{},:\"-eE.\\ \x80\xff"[draw(25)]);
        attempt(bad);
    }
    // Taken all the same: a file whose damage made the checksum's own name another one. 13 letters, 8 bits each.
    EXPECT_LT(taken, 200);
}

TEST(EngineSafetensors, EveryCutIsRefused) {
    const Bytes good = serialize_safetensors(sample());
    for (std::size_t n = 0; n < good.size(); ++n)
        refusal_of({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(n)}, fmt::format("cut to {} bytes", n));
    Bytes longer = good;
    longer.push_back(std::byte{0});
    EXPECT_TRUE(has(refusal_of(longer, "one byte more"), "trailing"));
}

TEST(EngineSafetensors, StructuralFaultsAreRefused) {
    const std::string four = R"({"a":)" + entry("\"F32\"", "[1]", "[0,4]") + "}";
    EXPECT_EQ(parse_safetensors(file_of(four, 4), "good").tensors.size(), 1U) << "the yardstick of this test";
    const auto a = [](const std::string& dtype, const std::string& shape, const std::string& offsets) {
        return R"({"a":)" + entry(dtype, shape, offsets) + "}";
    };
    const auto two = [](const std::string& first, const std::string& second) {
        return R"({"a":)" + entry("\"F32\"", "[2]", first) + R"(,"b":)" + entry("\"F32\"", "[2]", second) + "}";
    };
    struct Fault {
        const char* what;
        Bytes bytes;
        const char* word;
    };
    std::string deep = "{\"a\":", lists = "{\"a\":";
    for (int i = 0; i < 100000; ++i) deep += "{\"a\":", lists += "[";
    const Fault faults[] = {
        {"nothing", {}, "too short"},
        {"7 bytes", bytes_of("1234567"), "too short"},
        {"length 0", bytes_of(length_field(0)), "header length"},
        {"length 1", bytes_of(length_field(1) + "{"), "header length"},
        {"length beyond the file", bytes_of(length_field(four.size() + 5) + four + "1111"), "header length"},
        {"length 2^64-1", bytes_of(length_field(~std::uint64_t{0}) + four + "1111"), "header length"},
        {"length 2^64-8", bytes_of(length_field(~std::uint64_t{7}) + four + "1111"), "header length"},
        {"length 2^63", bytes_of(length_field(std::uint64_t{1} << 63) + four + "1111"), "header length"},
        {"length 2^32 + n", bytes_of(length_field((std::uint64_t{1} << 32) + four.size()) + four + "1111"),
         "header length"},
        {"header: array", file_of("[]"), "object"},
        {"header: null", file_of("null"), "object"},
        {"header: number", file_of("12"), "object"},
        {"header: blank", file_of("      "), "JSON"},
        {"header: two objects", file_of("{}{}"), "JSON"},
        {"header: a comma too many", file_of(R"({"a":1,})"), "JSON"},
        {"header: NaN", file_of(R"({"a":NaN})"), "JSON"},
        {"header: a comment", file_of("{} // x"), "JSON"},
        {"header: nul bytes behind it", file_of(std::string("{}\0\0", 4)), "JSON"},
        {"header: not UTF-8", file_of("{\"\xff\":1}"), "UTF-8"},
        {"header: deep objects", file_of(deep), "nesting"},
        {"header: deep lists", file_of(lists), "nesting"},
        {"entry: number", file_of(R"({"a":1})"), "object"},
        {"entry: list", file_of(R"({"a":[]})"), "object"},
        {"dtype missing", file_of(R"({"a":{"shape":[1],"data_offsets":[0,4]}})", 4), "dtype"},
        {"shape missing", file_of(R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", 4), "shape"},
        {"offsets missing", file_of(R"({"a":{"dtype":"F32","shape":[1]}})", 4), "data_offsets"},
        {"dtype unknown", file_of(a("\"F33\"", "[1]", "[0,4]"), 4), "dtype"},
        {"dtype in small letters", file_of(a("\"f32\"", "[1]", "[0,4]"), 4), "dtype"},
        {"dtype number", file_of(a("32", "[1]", "[0,4]"), 4), "dtype"},
        {"dtype null", file_of(a("null", "[1]", "[0,4]"), 4), "dtype"},
        {"dtype of another size", file_of(a("\"F64\"", "[1]", "[0,4]"), 4), "size"},
        {"shape string", file_of(a("\"F32\"", "\"1\"", "[0,4]"), 4), "shape"},
        {"shape of strings", file_of(a("\"F32\"", "[\"1\"]", "[0,4]"), 4), "shape"},
        {"shape negative", file_of(a("\"F32\"", "[-1]", "[0,4]"), 4), "shape"},
        {"shape negative twice", file_of(a("\"F32\"", "[-1,-1]", "[0,4]"), 4), "shape"},
        {"shape 1.0", file_of(a("\"F32\"", "[1.0]", "[0,4]"), 4), "shape"},
        {"shape 1e0", file_of(a("\"F32\"", "[1e0]", "[0,4]"), 4), "shape"},
        {"shape 1e30", file_of(a("\"F32\"", "[1e30]", "[0,4]"), 4), "shape"},
        {"shape true", file_of(a("\"F32\"", "[true]", "[0,4]"), 4), "shape"},
        {"shape 2^64", file_of(a("\"F32\"", "[18446744073709551616]", "[0,4]"), 4), "shape"},
        {"shape 2^63", file_of(a("\"F32\"", "[9223372036854775808]", "[0,4]"), 4), "shape overflow"},
        {"shape wraps to 0", file_of(a("\"F32\"", "[4294967296,4294967296]", "[0,0]")), "shape overflow"},
        {"shape wraps to 1 element", file_of(a("\"F32\"", "[4611686018427387905]", "[0,4]"), 4), "shape overflow"},
        {"shape huge with a zero", file_of(a("\"F32\"", "[4294967296,4294967296,0]", "[0,0]")), "shape"},
        {"shape of 200 dimensions",
         file_of(a(
                     "\"F32\"",
                     "[1" +
                         [] {
                             std::string s;
                             for (int i = 0; i < 199; ++i) s += ",1";
                             return s;
                         }() +
                         "]",
                     "[0,4]"),
                 4),
         "shape"},
        {"shape too small", file_of(a("\"F32\"", "[1]", "[0,8]"), 8), "size"},
        {"shape too large", file_of(a("\"F32\"", "[3]", "[0,8]"), 8), "size"},
        {"offsets beyond the file", file_of(a("\"F32\"", "[2]", "[0,8]"), 4), "data_offsets"},
        {"offsets beyond the file, no bytes", file_of(a("\"F32\"", "[0]", "[8,8]"), 4), "data_offsets"},
        {"offsets swapped", file_of(a("\"F32\"", "[1]", "[4,0]"), 4), "data_offsets"},
        {"offsets negative", file_of(a("\"F32\"", "[1]", "[-4,0]"), 4), "data_offsets"},
        {"offsets fractions", file_of(a("\"F32\"", "[1]", "[0.0,4.0]"), 4), "data_offsets"},
        {"offsets strings", file_of(a("\"F32\"", "[1]", "[\"0\",\"4\"]"), 4), "data_offsets"},
        {"offsets string", file_of(a("\"F32\"", "[1]", "\"0,4\""), 4), "data_offsets"},
        {"offsets: three", file_of(a("\"F32\"", "[1]", "[0,4,4]"), 4), "data_offsets"},
        {"offsets: one", file_of(a("\"F32\"", "[1]", "[4]"), 4), "data_offsets"},
        {"offsets plus 2^64", file_of(a("\"F32\"", "[1]", "[18446744073709551616,18446744073709551620]"), 4),
         "data_offsets"},
        {"offsets 2^64-4", file_of(a("\"F32\"", "[1]", "[18446744073709551612,0]"), 4), "data_offsets"},
        {"overlap", file_of(two("[0,8]", "[4,12]"), 12), "overlap"},
        {"the same bytes twice", file_of(two("[0,8]", "[0,8]"), 8), "overlap"},
        {"hole", file_of(two("[0,8]", "[12,20]"), 20), "hole"},
        {"hole at the beginning", file_of(a("\"F32\"", "[1]", "[4,8]"), 8), "hole"},
        {"trailing", file_of(four, 5), "trailing"},
        {"trailing without tensors", file_of("{}", 1), "trailing"},
        {"name twice",
         file_of(R"({"a":)" + entry("\"F32\"", "[1]", "[0,4]") + R"(,"a":)" + entry("\"F32\"", "[1]", "[4,8]") + "}",
                 8),
         "duplicate"},
        {"name twice, escaped",
         file_of(
             R"({"a":)" + entry("\"F32\"", "[1]", "[0,4]") + R"(,"\u0061":)" + entry("\"F32\"", "[1]", "[4,8]") + "}",
             8),
         "duplicate"},
        {"key of an entry twice", file_of(R"({"a":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}})", 4),
         "duplicate"},
        {"metadata list", file_of(R"({"__metadata__":[]})"), "metadata"},
        {"metadata number", file_of(R"({"__metadata__":{"step":1}})"), "metadata"},
        {"metadata twice", file_of(R"({"__metadata__":{},"__metadata__":{}})"), "duplicate"},
        {"checksum of something else", file_of(R"({"__metadata__":{"solobox.crc32":"00000001"}})"), "checksum"},
        {"control characters in a name", file_of(R"({"a\u001b[31m\r\n)" + std::string(5000, 'x') + R"(":1})"),
         "object"},
    };
    for (const Fault& f : faults) {
        const std::string text = refusal_of(f.bytes, f.what);
        EXPECT_TRUE(has(text, f.word)) << f.what << ": " << text;
    }
}

TEST(EngineSafetensors, WhatIsNoFileIsRefused) {
    const TemporaryDirectory dir;
    const auto refused = [](const std::string& path, const char* word) {
        EXPECT_TRUE(has(fixtures::refusal([&] { (void)read_safetensors(path); }), word));
    };
    refused(dir / "absent.safetensors", "No such file");
    refused(dir / "absent.safetensors", "absent.safetensors");
    refused(dir.path(), "directory");
    refused(dir.write("text.safetensors", "<html>"), "text.safetensors");
    ASSERT_EQ(::mkfifo((dir / "pipe").c_str(), 0600), 0);
    refused(dir / "pipe", "pipe");
    refused("/dev/zero", "device");
}

TEST(EngineSafetensors, NothingUnreadableIsWritten) {
    const TemporaryDirectory dir;
    const std::string path = dir / "x.safetensors";
    write_safetensors(path, sample());
    const std::string before = read_text(path);
    const auto damaged = [&](const std::function<void(SafetensorsFile&)>& damage) {
        SafetensorsFile file = sample();
        damage(file);
        EXPECT_THROW(write_safetensors(path, file), Error);
        EXPECT_EQ(read_text(path), before);
    };
    damaged([](SafetensorsFile& f) { f.tensors["wide"].bytes.pop_back(); });
    damaged([](SafetensorsFile& f) { f.tensors["wide"].shape = {4}; });
    damaged([](SafetensorsFile& f) { f.tensors["wide"].dtype = "F128"; });
    damaged([](SafetensorsFile& f) { f.tensors["__metadata__"] = f.tensors["wide"]; });
}

// ---- writing ----

TEST(EngineSafetensors, AWriteThatCannotBeginSaysWhy) {
    const TemporaryDirectory dir;
    const auto reason = [](const std::string& path) -> std::string {
        try {
            write_safetensors(path, sample());
        } catch (const IoError& e) {
            EXPECT_EQ(e.code(), ExitCode::internal);
            return e.what();
        }
        return "";
    };
    EXPECT_TRUE(has(reason(dir / "no/such/dir/x"), "No such file"));
    EXPECT_TRUE(has(reason(dir.write("file", "x") + "/x"), "Not a directory"));
    fs::create_directory(dir / "folder");
    EXPECT_TRUE(has(reason(dir / "folder"), "directory"));
    EXPECT_FALSE(fs::exists(dir / "folder.tmp"));
}

// Runs `work` in a child whose files may not grow beyond `limit` bytes; returns what it wrote to `fd`.
std::string in_child_with_limit(rlim_t limit, const std::function<std::string()>& work) {
    int pipe_ends[2];
    if (::pipe(pipe_ends) != 0) throw IoError("pipe");
    const pid_t child = ::fork();
    if (child == 0) {
        std::signal(SIGXFSZ, SIG_IGN);
        const rlimit files{limit, limit};
        ::setrlimit(RLIMIT_FSIZE, &files);
        std::string text;
        try {
            text = work();
        } catch (const std::exception& e) {
            text = std::string("exception: ") + e.what();
        }
        const bool all = ::write(pipe_ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size());
        ::_exit(all ? 0 : 1);
    }
    ::close(pipe_ends[1]);
    std::string text;
    char part[512];
    for (ssize_t n; (n = ::read(pipe_ends[0], part, sizeof part)) > 0;) text.append(part, static_cast<std::size_t>(n));
    ::close(pipe_ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    return text;
}

TEST(EngineSafetensors, AFailedWriteLeavesTheOldFile) {
    const TemporaryDirectory dir;
    const std::string path = dir / "last.safetensors";
    write_safetensors(path, sample());
    const std::string before = read_text(path);
    SafetensorsFile large = sample();
    large.tensors["large"] = raw("F32", {100000});
    for (const rlim_t limit : {rlim_t{0}, rlim_t{1000}, rlim_t{200000}}) {
        const std::string said = in_child_with_limit(limit, [&]() -> std::string {
            try {
                write_safetensors(path, large);
            } catch (const IoError& e) {
                return e.what();
            }
            return "written";
        });
        EXPECT_TRUE(has(said, "last.safetensors") && has(said, std::strerror(EFBIG))) << said;
        EXPECT_EQ(read_text(path), before);
        EXPECT_FALSE(fs::exists(path + ".tmp")) << "half a file stays";
    }
    write_safetensors(path, large);
    expect_same(large, read_safetensors(path));
}

// ---- the border to models ----

struct Net {
    Conv2d conv, grouped;
    BatchNorm2d norm;
    Linear fc;
    explicit Net(std::uint64_t seed) {
        Initializer init(seed);
        ConvSpec plain, split;
        split.groups = 2;
        conv = Conv2d(2, 4, 3, plain, true, init);
        grouped = Conv2d(4, 6, 1, split, false, init);
        norm = BatchNorm2d(6);
        fc = Linear(6, 5, init);
    }
    void visit(Visitor& v) {
        v.child("conv", conv);
        v.child("grouped", grouped);
        v.child("norm", norm);
        v.child("fc", fc);
    }
};

SafetensorsFile state_of(Net& net) {
    SafetensorsFile file;
    save_state(net, file);
    return file;
}

std::string load_refusal(const SafetensorsFile& file) {
    Net net(9);
    return fixtures::refusal([&] { load_state(net, file, "w.safetensors"); });
}

TEST(EngineSafetensors, ConvolutionsAreOihwAtTheBorder) {
    Net net(1);
    const SafetensorsFile file = state_of(net);
    const RawTensor& stored = file.tensors.at("model.conv.weight");
    ASSERT_EQ(stored.shape, (std::vector<std::int64_t>{4, 2, 3, 3}));
    EXPECT_EQ(file.tensors.at("model.grouped.weight").shape, (std::vector<std::int64_t>{6, 2, 1, 1}));
    EXPECT_EQ(file.tensors.at("model.fc.weight").shape, (std::vector<std::int64_t>{5, 6}));
    const Tensor& here = net.conv.weight.value;  // (kh, kw, in, out)
    ASSERT_EQ(here.shape(), (Shape{3, 3, 2, 4}));
    ASSERT_EQ(stored.dtype, sizeof(Real) == 4 ? "F32" : "F64");
    std::size_t at = 0;
    for (std::int64_t o = 0; o < 4; ++o)
        for (std::int64_t i = 0; i < 2; ++i)
            for (std::int64_t y = 0; y < 3; ++y)
                for (std::int64_t x = 0; x < 3; ++x, at += sizeof(Real)) {
                    Real value;
                    std::memcpy(&value, stored.bytes.data() + at, sizeof value);
                    EXPECT_EQ(value, here[((y * 3 + x) * 2 + i) * 4 + o]);
                }
}

TEST(EngineSafetensors, AModelsStateComesBackToTheBit) {
    Net net(1), other(2);
    net.norm.stats.mean.mutable_data()[1] = Real(0.25);
    EXPECT_FALSE(serialize_safetensors(state_of(net)) == serialize_safetensors(state_of(other)));
    const Bytes bytes = serialize_safetensors(state_of(net));
    load_state(other, parse_safetensors(bytes, "w"), "w");
    EXPECT_TRUE(bytes == serialize_safetensors(state_of(other)));
    EXPECT_TRUE(state_of(net).tensors.contains("model.norm.running_mean"));
    EXPECT_TRUE(state_of(net).tensors.contains("model.norm.num_batches_tracked"));
}

TEST(EngineSafetensors, BothFloatsAreTaken) {
    Net net(1);
    SafetensorsFile file = state_of(net);
    RawTensor wide{"F64", {5}, Bytes(40)};
    for (std::size_t i = 0; i < 5; ++i) {
        const double value = 0.5 * static_cast<double>(i);
        std::memcpy(wide.bytes.data() + 8 * i, &value, 8);
    }
    file.tensors["model.fc.bias"] = wide;
    load_state(net, file, "w");
    for (std::int64_t i = 0; i < 5; ++i) EXPECT_EQ(net.fc.bias.value[i], Real(0.5) * static_cast<Real>(i));
}

TEST(EngineSafetensors, WhatTheModelDoesNotTakeIsNamed) {
    Net net(1);
    SafetensorsFile file = state_of(net);
    file.tensors["ema.conv.weight"] = file.tensors["model.conv.weight"];  // another prefix is somebody else's business
    load_state(net, file, "w.safetensors");
    file.tensors["model.conv2.weight"] = file.tensors["model.conv.weight"];
    const std::string text = load_refusal(file);
    EXPECT_TRUE(has(text, "'model.conv2.weight'") && has(text, "w.safetensors")) << text;
}

TEST(EngineSafetensors, WhatTheModelMissesIsNamed) {
    Net net(1);
    const SafetensorsFile good = state_of(net);
    for (const auto& [name, tensor] : good.tensors) {
        SafetensorsFile file = good;
        file.tensors.erase(name);
        const std::string text = load_refusal(file);
        EXPECT_TRUE(has(text, "'" + name + "'") && has(text, "missing") && has(text, "w.safetensors")) << text;
    }
    SafetensorsFile renamed = good;
    renamed.tensors["model.fc.wieght"] = renamed.tensors["model.fc.weight"];
    renamed.tensors.erase("model.fc.weight");
    EXPECT_TRUE(has(load_refusal(renamed), "'model.fc.weight'"));
}

TEST(EngineSafetensors, AWrongShapeOrTypeIsNamed) {
    Net net(1);
    const SafetensorsFile good = state_of(net);
    for (const auto& [name, tensor] : good.tensors) {
        SafetensorsFile file = good;
        file.tensors[name].shape.insert(file.tensors[name].shape.begin(), 1);
        if (name.ends_with("num_batches_tracked")) continue;  // one I64 is one I64
        const std::string text = load_refusal(file);
        EXPECT_TRUE(has(text, "'" + name + "'") && has(text, "shape") && has(text, "w.safetensors")) << text;
    }
    SafetensorsFile permuted = good;  // the same number of bytes
    permuted.tensors["model.fc.weight"].shape = {6, 5};
    const std::string text = load_refusal(permuted);
    EXPECT_TRUE(has(text, "6x5") && has(text, "5x6")) << text;
    for (const char* dtype : {"I32", "F16", "BF16", "I64"}) {
        SafetensorsFile typed = good;
        typed.tensors["model.fc.bias"] = raw(dtype, {5});
        const std::string said = load_refusal(typed);
        EXPECT_TRUE(has(said, "model.fc.bias") && has(said, dtype)) << said;
    }
    SafetensorsFile counter = good;
    counter.tensors["model.norm.num_batches_tracked"] = raw("I32", {});
    EXPECT_TRUE(has(load_refusal(counter), "num_batches_tracked"));
}

// ---- the shared corpus of bad files ----

std::string shared_directory() {
    if (const char* given = std::getenv("SOLOBOX_SHARED"); given && *given) return given;
    return (fs::path(SOLOBOX_SOURCE_DIR).parent_path() / "shared").string();
}

std::string lower(std::string text) {
    for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return text;
}

TEST(EngineSafetensors, TheCorpusOfBadFiles) {
    const std::string corpus = shared_directory() + "/data/bad-text";
    std::ifstream index(corpus + "/index.tsv");
    if (!index) {
        GTEST_SKIP()
            << "shared corpus absent (SOLOBOX_SHARED names its directory): only the faults built in memory were "
               "tried";
    }
    int refused = 0, loaded = 0;
    for (std::string line; std::getline(index, line);) {
        std::vector<std::string> cells;
        std::stringstream row(line);
        for (std::string cell; std::getline(row, cell, '\t');) cells.push_back(cell);
        if (cells.size() < 7 || cells[1] != "safetensors" || cells[6] == "model")
            continue;  // `model` rows: see above, on a model of ours
        const std::string path = corpus + "/" + cells[0], &expected = cells[3], &hint = cells[5];
        std::string said;
        try {
            (void)read_safetensors(path);
            ++loaded;
        } catch (const DataError& e) {
            said = e.what();
            ++refused;
        }
        EXPECT_TRUE(said.empty() ? expected != "refused" : expected != "ok")
            << cells[0] << " (" << cells[2] << "): expected " << expected << ", " << (said.empty() ? "loaded" : said);
        if (said.empty()) continue;
        EXPECT_TRUE(has(said, path)) << said;
        EXPECT_LT(said.size(), path.size() + 300) << said;
        EXPECT_TRUE(hint.empty() || has(lower(said), lower(hint)))
            << cells[0] << " should speak of " << hint << ": " << said;
    }
    std::cout << "  " << corpus << ": " << refused << " files refused, " << loaded << " loaded\n";
    EXPECT_GT(refused, 40);
}

}  // namespace
}  // namespace solobox
