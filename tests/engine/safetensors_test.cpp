// Reading safetensors: whatever is broken in a file is refused with its name and a reason.
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/safetensors_fixtures.h"

namespace solobox {
namespace {

namespace fs = std::filesystem;
using namespace fixtures;

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

// ---- the shared corpus of bad files ----

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
