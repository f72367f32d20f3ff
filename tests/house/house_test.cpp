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
        for (const char* room : {"tensor", "nn", "optim", "data", "train", "apps", "solobox"})
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

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/') + 1); }

// A folder with sources. Its README.md says what lives there and what it may include: folders (ending in '/', without
// those below them) and single headers. "anything" stands for all of them.
struct Room {
    bool told = false, anything = false;
    std::set<std::string> may_include;
};

const std::string include_line = "May include, besides itself: ";

Room read_room(const fs::path& readme) {
    Room room;
    std::ifstream in(readme);
    std::set<std::string> parts;
    for (std::string line; std::getline(in, line);) {
        for (const char* part : {"# ", "Lives here: ", "Does not: "})
            if (line.starts_with(part)) parts.insert(part);
        if (!line.starts_with(include_line)) continue;
        room.anything = line == include_line + "anything";
        for (std::size_t from = line.find('`'); from != std::string::npos; from = line.find('`', from)) {
            const std::size_t end = line.find('`', from + 1);
            room.may_include.insert(line.substr(from + 1, end - from - 1));
            from = end + 1;
        }
    }
    room.told = parts.size() == 3 && (room.anything || !room.may_include.empty());
    return room;
}

const std::map<std::string, Room>& rooms() {
    static const std::map<std::string, Room> all = [] {
        std::map<std::string, Room> found;
        for (const Source& s : sources()) {
            const std::string folder = folder_of(s.path);
            if (!found.contains(folder)) found[folder] = read_room(root / folder / "README.md");
        }
        return found;
    }();
    return all;
}

TEST(EngineHouse, EveryRoomSaysWhatLivesThere) {
    const fs::path page = root / "docs/architecture.md";
    std::stringstream architecture;
    architecture << std::ifstream(page).rdbuf();
    for (const auto& [folder, room] : rooms()) {
        EXPECT_TRUE(room.told) << folder << "README.md: expected \"# room\", \"Lives here: \", \"Does not: \", \""
                               << include_line << "`..`\"";
        EXPECT_NE(architecture.str().find(folder), std::string::npos) << page << " does not know " << folder;
        for (const std::string& allowed : room.may_include)
            EXPECT_TRUE(fs::exists(root / allowed)) << folder << "README.md: there is no " << allowed;
    }
    EXPECT_GE(rooms().size(), 20U);
}

TEST(EngineHouse, EveryIncludeKeepsToTheRooms) {
    ASSERT_GT(sources().size(), 80U);
    std::size_t seen = 0;
    for (const Source& s : sources()) {
        const std::string folder = folder_of(s.path);
        const Room& room = rooms().at(folder);
        for (const auto& [include, line] : s.own) {
            ++seen;
            EXPECT_TRUE(fs::exists(root / include))
                << s.at(line) << ": includes go from the repository's root, there is no " << include;
            EXPECT_TRUE(room.anything || folder_of(include) == folder || room.may_include.contains(include) ||
                        room.may_include.contains(folder_of(include)))
                << s.at(line) << ": " << folder << " may not include " << include;
        }
    }
    EXPECT_GT(seen, 200U);
}

// The one loop gets a closure that returns a loss, and a list of parameters; it never names a model.
TEST(EngineHouse, TheTrainerKnowsNoModel) {
    for (const Source& s : sources())
        if (below(s.path, "train/step/trainer.")) {
            for (const auto& [include, line] : s.own)
                EXPECT_TRUE(below(include, "tensor/") || below(include, "optim/") || include == "nn/visit.h" ||
                            include == "nn/losses.h" || below(include, "train/step/trainer.") ||
                            include == "train/step/flow.h")
                    << s.at(line) << ": " << include;
        }
}

// Whoever may include a room is above it: following what is allowed never leads back, but within the engine, whose ops
// and tape know each other.
TEST(EngineHouse, NoRoomIsAboveItself) {
    const auto floor_of = [](const std::string& folder) {
        return below(folder, "tensor/") ? std::string("tensor/") : folder;
    };
    std::map<std::string, std::set<std::string>> below_it;
    for (const auto& [folder, room] : rooms())
        for (const std::string& allowed : room.may_include)
            if (floor_of(folder_of(allowed)) != floor_of(folder))
                below_it[floor_of(folder)].insert(floor_of(folder_of(allowed)));
    for (std::size_t round = 0; round < rooms().size(); ++round)
        for (auto& [folder, others] : below_it) {
            const std::set<std::string> now = others;
            for (const std::string& other : now) others.insert(below_it[other].begin(), below_it[other].end());
        }
    for (const auto& [folder, others] : below_it) EXPECT_FALSE(others.contains(folder)) << folder;
}

TEST(EngineHouse, RoomsStaySmall) {
    std::map<std::string, std::set<std::string>> modules;
    for (const Source& s : sources()) modules[folder_of(s.path)].insert(fs::path(s.path).stem().string());
    for (const auto& [folder, names] : modules)
        if (folder != "apps/") {  // a file per verb
            EXPECT_LE(names.size(), 25U) << folder << ": split it by idea";
        }
}

// What is trained is known to train/tasks alone; everybody else asks the task.
TEST(EngineHouse, OnlyTasksNameATask) {
    for (const Source& s : sources()) {
        if (!(below(s.path, "train/") || below(s.path, "apps/")) || below(s.path, "train/tasks/")) continue;
        for (std::size_t i = 0; i < s.lines.size(); ++i) {
            const std::string& line = s.lines[i];
            for (const char* word : {"is_classifier", "starts_with(\"resnet", "SingleBoxTask", "ClassTask"})
                EXPECT_EQ(line.find(word), std::string::npos) << s.at(i + 1) << ": " << word;
            const std::size_t cast = line.find("dynamic_cast<");
            if (cast == std::string::npos) continue;
            const std::string to = line.substr(cast, line.find('>', cast) - cast);
            for (const char* word : {"Task", "Model"})
                EXPECT_EQ(to.find(word), std::string::npos) << s.at(i + 1) << ": " << to << ">";
        }
    }
}

TEST(EngineHouse, NothingIncludesAppsBenchOrTests) {
    for (const Source& s : sources())
        for (const auto& [include, line] : s.own)
            for (const char* folder : {"apps/", "bench/", "tests/"})
                EXPECT_TRUE(!below(include, folder) ||
                            (std::string(folder) == "apps/" && (below(s.path, "apps/") || s.path == "solobox/run.h")))
                    << s.at(line);
}

// Headers of other projects, and the only files that may see them ("data/image" = every file that begins so).
TEST(EngineHouse, ThirdPartiesAreSeenInFewPlaces) {
    const std::map<std::string, std::set<std::string>> seen_by = {
        {"stb/", {"data/image/image.cpp"}},
        {"cblas.h", {"tensor/kernels/gemm.cpp", "tensor/kernels/dispatch.cpp"}},
        {"immintrin.h", {"tensor/kernels/isa_"}},
        {"zlib.h", {"data/image/", "data/text.cpp", "nn/safetensors.cpp"}},
        {"pugixml.hpp", {"data/"}},
        {"yaml-cpp/", {"data/", "train/"}},
        {"nlohmann/", {"nn/safetensors.cpp", "data/", "train/", "apps/"}},
        {"CLI/", {"apps/command.cpp", "apps/tool.cpp"}},
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
