// The rooms of the house: which folder may include which, and where third parties may be seen. Reads the sources.
// A row that changes here changes in docs/architecture.md too.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace solobox {
namespace {

namespace fs = std::filesystem;
const fs::path root = SOLOBOX_SOURCE_DIR;

struct Source {
    std::string path;  // from the repository's root
    std::vector<std::string> lines;
    std::vector<std::pair<std::string, std::size_t>> own, system;  // include, line
    std::string at(std::size_t line) const { return path + ":" + std::to_string(line); }
};

// The line without its // comment (good enough: no string here holds two slashes and a std::).
std::string code_of(const std::string& line) { return line.substr(0, line.find("//")); }

const std::vector<Source>& sources() {
    static const std::vector<Source> all = [] {
        std::vector<Source> found;
        for (const char* room : {"tensor", "nn", "optim", "data", "train", "apps"})
            for (const auto& entry : fs::recursive_directory_iterator(root / room)) {
                const std::string extension = entry.path().extension().string();
                if (extension != ".h" && extension != ".cpp") continue;
                Source s;
                s.path = fs::relative(entry.path(), root).generic_string();
                std::ifstream in(entry.path());
                for (std::string line; std::getline(in, line);) {
                    s.lines.push_back(line);
                    std::size_t at = line.find_first_not_of(" \t");
                    if (at == std::string::npos || line[at] != '#') continue;
                    at = line.find_first_not_of(" \t", at + 1);
                    if (at == std::string::npos || line.compare(at, 7, "include") != 0) continue;
                    at = line.find_first_of("\"<", at);
                    if (at == std::string::npos) continue;
                    const std::size_t end = line.find_first_of("\">", at + 1);
                    (line[at] == '"' ? s.own : s.system)
                        .emplace_back(line.substr(at + 1, end - at - 1), s.lines.size());
                }
                found.push_back(std::move(s));
            }
        std::sort(found.begin(), found.end(), [](const Source& a, const Source& b) { return a.path < b.path; });
        return found;
    }();
    return all;
}

bool below(const std::string& path, const std::string& folder) { return path.starts_with(folder); }

struct Room {
    std::string folder;                // the longest that matches counts
    std::vector<std::string> may_see;  // folders (ending in '/') or single headers
};

const std::vector<Room> rooms = {
    // Raw pointers and sizes: no Tensor, no tape. Errors at dispatch, scratch from the pool, the alias Real.
    {"tensor/kernels/", {"tensor/kernels/", "tensor/check.h", "tensor/real.h", "tensor/pool.h"}},
    {"tensor/", {"tensor/"}},
    // Layers and losses are made of ops; they do not reach under them.
    {"nn/",
     {"tensor/check.h", "tensor/random.h", "tensor/shape.h", "tensor/real.h", "tensor/array.h", "tensor/tensor.h",
      "tensor/tape.h", "tensor/parameter.h", "tensor/ops.h", "tensor/ops/", "nn/"}},
    // Sees named parameters, never a model; updates are kernels that write in place.
    {"optim/",
     {"tensor/check.h", "tensor/random.h", "tensor/shape.h", "tensor/real.h", "tensor/array.h", "tensor/tensor.h",
      "tensor/parameter.h", "tensor/kernels/update.h", "tensor/kernels/parallel.h", "optim/"}},
    // Pictures and boxes: bytes and doubles, no tensors.
    {"data/", {"tensor/check.h", "tensor/random.h", "tensor/kernels/parallel.h", "data/"}},
    // Of the kernels only who runs them, for the run's records.
    {"train/",
     {"tensor/check.h", "tensor/random.h", "tensor/shape.h", "tensor/real.h", "tensor/array.h", "tensor/tensor.h",
      "tensor/tape.h", "tensor/pool.h", "tensor/parameter.h", "tensor/ops.h", "tensor/ops/",
      "tensor/kernels/dispatch.h", "tensor/kernels/parallel.h", "nn/", "optim/", "data/", "train/"}},
    // The one loop gets a closure that returns a loss, and a list of parameters; it never names a model.
    {"train/trainer.", {"tensor/", "nn/visit.h", "nn/losses.h", "optim/", "train/"}},
    {"apps/", {"tensor/", "nn/", "optim/", "data/", "train/", "apps/"}},
};

const Room& room_of(const std::string& path) {
    const Room* best = nullptr;
    for (const Room& r : rooms)
        if (below(path, r.folder) && (!best || r.folder.size() > best->folder.size())) best = &r;
    EXPECT_NE(best, nullptr) << path;
    return *best;
}

TEST(EngineHouse, EveryIncludeKeepsToTheRooms) {
    ASSERT_GT(sources().size(), 80U);
    std::size_t seen = 0;
    for (const Source& s : sources()) {
        const Room& room = room_of(s.path);
        for (const auto& [include, line] : s.own) {
            ++seen;
            EXPECT_TRUE(fs::exists(root / include))
                << s.at(line) << ": includes go from the repository's root, there is no " << include;
            const bool fine =
                std::any_of(room.may_see.begin(), room.may_see.end(), [&, name = include](const std::string& allowed) {
                    return allowed.ends_with('/') ? below(name, allowed) : name == allowed;
                });
            EXPECT_TRUE(fine) << s.at(line) << ": " << room.folder << " may not include " << include;
        }
    }
    EXPECT_GT(seen, 200U);
}

TEST(EngineHouse, NothingIncludesAppsBenchOrTests) {
    for (const Source& s : sources())
        for (const auto& [include, line] : s.own)
            for (const char* folder : {"apps/", "bench/", "tests/"})
                EXPECT_TRUE(!below(include, folder) || (below(s.path, "apps/") && std::string(folder) == "apps/"))
                    << s.at(line);
}

// Headers of other projects, and the only files that may see them ("data/image" = every file that begins so).
TEST(EngineHouse, ThirdPartiesAreSeenInFewPlaces) {
    const std::map<std::string, std::set<std::string>> seen_by = {
        {"stb/", {"data/image"}},
        {"cblas.h", {"tensor/kernels/gemm.cpp", "tensor/kernels/dispatch.cpp"}},
        {"immintrin.h", {"tensor/kernels/isa_"}},
        {"zlib.h", {"data/image", "data/text.cpp", "nn/safetensors.cpp"}},
        {"pugixml.hpp", {"data/"}},
        {"yaml-cpp/", {"data/", "train/"}},
        {"nlohmann/", {"nn/safetensors.cpp", "data/", "train/", "apps/"}},
        {"CLI/", {"apps/"}},
        {"onnx/", {"apps/onnx_file.cpp"}},
    };
    for (const Source& s : sources())
        for (const auto& [include, line] : s.system)
            for (const auto& [header, places] : seen_by) {
                if (!below(include, header)) continue;
                EXPECT_TRUE(
                    std::any_of(places.begin(), places.end(), [&](const auto& place) { return below(s.path, place); }))
                    << s.at(line) << ": <" << include << ">";
                // Forward declarations alone may stand in a header.
                EXPECT_TRUE(s.path.ends_with(".cpp") || below(s.path, "apps/") || include == "nlohmann/json_fwd.hpp")
                    << s.at(line) << ": <" << include << "> belongs in a source file";
            }
    for (const Source& s : sources())
        for (const auto& [include, line] : s.own)
            for (const char* other : {"stb_image", "cblas", "pugixml", "nlohmann", "CLI"})
                EXPECT_FALSE(include.find(other) != std::string::npos) << s.at(line);
}

// An inline function of the standard library, instantiated in a file compiled for AVX-512, may be the copy that the
// linker keeps for the whole program: an illegal instruction elsewhere.
TEST(EngineHouse, InstructionSetFilesUseNoStandardTemplates) {
    const std::set<std::string> plain = {"immintrin.h", "stdint.h", "stddef.h", "cstdint", "cstddef"};
    std::size_t files = 0;
    for (const Source& s : sources()) {
        const bool isa = below(s.path, "tensor/kernels/isa_"), body = s.path.ends_with("_body.h");
        if (!isa && !body) continue;
        ++files;
        for (const auto& [include, line] : s.system)
            EXPECT_TRUE(plain.contains(include)) << s.at(line) << ": <" << include << ">";
        for (const auto& [include, line] : s.own)
            EXPECT_TRUE(include == "tensor/kernels/dispatch.h" || include.ends_with("_body.h"))
                << s.at(line) << ": " << include;
        for (std::size_t i = 0; i < s.lines.size(); ++i) {
            std::string code = code_of(s.lines[i]);
            // Types without code are harmless.
            for (const char* harmless : {"std::int64_t", "std::int32_t", "std::uint32_t", "std::size_t"})
                for (std::size_t at = 0; (at = code.find(harmless)) != std::string::npos;)
                    code.erase(at, std::string(harmless).size());
            EXPECT_EQ(code.find("std::"), std::string::npos) << s.at(i + 1) << ": " << s.lines[i];
        }
    }
    EXPECT_GE(files, 4U);
}

// Locale-dependent readers of numbers, the process's locale, and C's shared random state.
TEST(EngineHouse, NumbersAndRandomnessHaveOneHome) {
    const std::vector<std::string> banned = {
        "strtod(", "strtof(",    "strtold(",           "stod(",  "stof(",        "stold(",
        "atof(",   "sscanf(",    "std::rand(",         "srand(", "std::mt19937", "std::random_device",
        "LC_ALL",  "LC_NUMERIC", "std::locale::global"};
    for (const Source& s : sources())
        for (std::size_t i = 0; i < s.lines.size(); ++i)
            for (const auto& word : banned)
                EXPECT_EQ(code_of(s.lines[i]).find(word), std::string::npos) << s.at(i + 1) << ": " << word;
}

TEST(EngineHouse, NoFastMath) {
    std::vector<fs::path> files{root / "CMakeLists.txt", root / "apps/CMakeLists.txt", root / "tests/CMakeLists.txt"};
    for (const auto& entry : fs::directory_iterator(root / "cmake")) files.push_back(entry.path());
    for (const fs::path& file : files) {
        std::ifstream in(file);
        std::stringstream text;
        text << in.rdbuf();
        for (const char* flag : {"-ffast-math", "-Ofast", "-funsafe-math", "-ffinite-math-only", "-march=native"})
            EXPECT_EQ(text.str().find(flag), std::string::npos) << file << ": " << flag;
    }
}

TEST(EngineHouse, FilesStayShort) {
    const std::map<std::string, std::string> longer = {
        // path -> why it may be longer
    };
    for (const Source& s : sources()) {
        if (longer.contains(s.path)) {
            EXPECT_GT(s.lines.size(), 420U) << s.path << " is short again: strike it from the list";
            continue;
        }
        EXPECT_LE(s.lines.size(), s.path.ends_with(".h") ? 200U : 420U)
            << s.path << ": split it by idea, or say here why not";
    }
}

TEST(EngineHouse, FilesSayWhatTheyAre) {
    for (const Source& s : sources()) {
        ASSERT_FALSE(s.lines.empty()) << s.path;
        if (s.path.ends_with(".h")) {
            EXPECT_TRUE(s.lines.front().starts_with("//")) << s.path << ": the first line says what the file is";
        }
        const bool guarded =
            std::any_of(s.lines.begin(), s.lines.end(), [](const std::string& l) { return l == "#pragma once"; });
        EXPECT_TRUE(guarded || s.path.ends_with(".cpp") || s.path.ends_with("_body.h"))
            << s.path << ": no #pragma once";
    }
}

}  // namespace
}  // namespace solobox
