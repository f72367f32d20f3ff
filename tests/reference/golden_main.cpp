// Reads golden cases below a directory, runs each in the precision that it states, and says how many pass.
//
//     golden_cases [DIR] [-v] [GROUP/CASE ...]     DIR: $SOLOBOX_GOLDEN, else ../shared/golden, else tests/golden
//
// Last line: N passed, N failed, N unsupported. Exit 0 when nothing failed.
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "nn/safetensors.h"
#include "tests/reference/golden_case.h"

namespace solobox::f64 {
Outcome run_golden(const std::string& path);
}

namespace {

namespace fs = std::filesystem;

std::string default_directory() {
    if (const char* env = std::getenv("SOLOBOX_GOLDEN")) return env;
    const fs::path source = SOLOBOX_SOURCE_DIR, shared = source.parent_path() / "shared" / "golden";
    return fs::is_directory(shared) ? shared.string() : (source / "tests" / "golden").string();
}

bool is_double(const std::string& path) {
    try {
        const auto file = solobox::read_safetensors(path);
        return !file.metadata.contains("dtype") || file.metadata.at("dtype") != "float32";
    } catch (const std::exception&) {
        return true;  // run_golden will say what is wrong with the file
    }
}

}  // namespace

int main(int argc, char** argv) {
    std::string directory;
    bool verbose = false;
    for (int i = 1; i < argc; ++i) {
        if (std::string(argv[i]) == "-v")
            verbose = true;
        else
            directory = argv[i];
    }
    if (directory.empty()) directory = default_directory();
    if (!fs::exists(directory)) {
        fmt::print(stderr, "{}: no such directory\n", directory);
        return 3;
    }
    std::vector<std::string> files;
    if (fs::is_regular_file(directory))
        files.push_back(directory);
    else
        for (const auto& entry : fs::recursive_directory_iterator(directory))
            if (entry.path().extension() == ".safetensors") files.push_back(entry.path().string());
    std::sort(files.begin(), files.end());
    fmt::print("golden cases from {}\n", directory);
    int counts[3] = {0, 0, 0};
    std::map<std::string, int> unsupported;
    for (const auto& path : files) {
        const solobox::Outcome outcome = is_double(path) ? solobox::f64::run_golden(path) : solobox::run_golden(path);
        ++counts[outcome.kind];
        if (outcome.kind == solobox::Outcome::failed)
            fmt::print("FAILED {} ({}): {}\n", path, outcome.op, outcome.message);
        if (outcome.kind == solobox::Outcome::unsupported) ++unsupported[outcome.op + ": " + outcome.message];
        if (verbose && outcome.kind == solobox::Outcome::passed) fmt::print("passed {}\n", path);
    }
    for (const auto& [what, count] : unsupported) fmt::print("UNSUPPORTED {} ({} files)\n", what, count);
    fmt::print("{} passed, {} failed, {} unsupported\n", counts[0], counts[1], counts[2]);
    return counts[1] == 0 && !files.empty() ? 0 : 1;
}
