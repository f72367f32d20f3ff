#include "train/run/run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "nn/safetensors.h"
#include "tensor/check.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/parallel.h"
#include "train/config/json_text.h"

namespace solobox {
namespace {

namespace fs = std::filesystem;

std::string cpu_name() {
    std::ifstream info("/proc/cpuinfo");
    for (std::string line; std::getline(info, line);)
        if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
    return "unknown";
}

void make_directories(const std::string& path) {
    std::error_code error;
    fs::create_directories(path, error);
    if (error) throw IoError(fmt::format("{}: cannot be created: {}", path, error.message()));
}

bool occupied(const std::string& path) {
    std::error_code error;
    return fs::exists(path, error) && !(fs::is_directory(path, error) && fs::is_empty(path, error));
}

// runs/latest; nice to have, so a system without links does without.
void point_latest(const fs::path& home, const std::string& path) {
    const fs::path link = home / "latest";
    std::error_code error;
    if (fs::exists(fs::symlink_status(link, error)) && !fs::is_symlink(link, error)) return;
    fs::remove(link, error);
    fs::create_directory_symlink(fs::relative(path, home.empty() ? "." : home, error), link, error);
}

}  // namespace

std::vector<std::pair<std::string, std::string>> environment_facts() {
    return {
        {"cpu", cpu_name()}, {"threads", std::to_string(thread_count())}, {"kernels", name_of(active_kernels())},
            {"conv", fast::winograd_on() ? "fast" : "direct"}, {"blas", blas_name()}, {"compiler", __VERSION__},
#if defined(NDEBUG)
            {"build", "release"},
#else
            {"build", "debug"},
#endif
        {
            "version", SOLOBOX_VERSION
        }
    };
}

std::map<std::string, std::string> read_settings(const std::string& path) {
    std::map<std::string, std::string> settings;
    try {
        for (const auto& entry : YAML::LoadFile(path))
            settings[entry.first.as<std::string>()] = entry.second.as<std::string>();
    } catch (const YAML::Exception& e) {
        throw DataError(fmt::format("{}: {}", path, e.what()));
    }
    return settings;
}

bool is_run_settings(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    bool any = false;
    for (std::string line; std::getline(in, line);) {
        if (line.empty()) continue;
        if (line.rfind("  # ") == std::string::npos) return false;
        any = true;
    }
    return any && fs::path(path).filename() == "args.yaml";
}

Config read_config(const std::string& path) {
    Config config;
    std::ifstream in(path, std::ios::binary);
    if (!in) throw DataError(fmt::format("{}: cannot be read: {}", path, std::strerror(errno)));
    int number = 0;
    for (std::string line; std::getline(in, line);) {
        const std::string where = fmt::format("{}:{}", path, ++number);
        const std::size_t mark = line.rfind("  # ");
        if (line.empty()) continue;
        if (mark == std::string::npos) throw DataError(fmt::format("{}: expected `key: value  # origin`", where));
        try {
            const YAML::Node entry = YAML::Load(line.substr(0, mark));
            for (const auto& pair : entry) {
                const auto key = pair.first.as<std::string>();
                config.set(config_key(key).name, pair.second.as<std::string>(), line.substr(mark + 4));
            }
        } catch (const std::exception& e) {
            throw DataError(fmt::format("{}: {}", where, e.what()));
        }
    }
    return config;
}

RunDirectory::RunDirectory(const Place& place) : path_(place.wanted) {
    if (place.wanted.empty()) {
        const std::string first = place.project + "/" + place.name;
        path_ = first;
        for (int i = 2; occupied(path_) && !place.exist_ok; ++i) path_ = fmt::format("{}-{}", first, i);
    } else if (occupied(path_)) {
        std::error_code error;
        if (!fs::is_directory(path_, error))
            throw ConfigError(fmt::format("--out {}: exists and is not a directory", path_));
        if (!place.exist_ok)
            throw ConfigError(
                fmt::format("--out {}: exists and is not empty: choose another, or add --exist-ok", path_));
    }
    make_directories(path_ + "/weights");
    if (place.wanted.empty()) point_latest(fs::path(place.project).parent_path(), path_);
}

RunDirectory RunDirectory::existing(const std::string& path) {
    std::error_code error;
    RunDirectory run;
    run.path_ = path;
    if (!fs::is_directory(path, error)) throw DataError(fmt::format("{}: no such run directory", path));
    if (!fs::is_regular_file(run.file("args.yaml"), error))
        throw DataError(fmt::format("{}: no args.yaml in it: this is not the directory of a run", path));
    return run;
}

std::shared_ptr<void> lock_directory(const std::string& path) {
    const std::string name = path + "/.lock";
    const int fd = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) throw IoError(fmt::format("{}: cannot be opened: {}", name, std::strerror(errno)));
    std::shared_ptr<void> held(nullptr, [fd](void*) { ::close(fd); });
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0)
        throw ConfigError(fmt::format("{}: another process is writing there: wait for it or stop it", path));
    return held;
}

void RunDirectory::lock() { lock_ = lock_directory(path_); }

void RunDirectory::event(const nlohmann::ordered_json& line) const {
    const std::string name = file("events.jsonl");
    std::ofstream out(name, std::ios::binary | std::ios::app);
    out << json_text(line) << "\n";
    out.flush();
    if (!out) throw IoError(fmt::format("{}: write failed: {}", name, std::strerror(errno)));
}

void RunDirectory::write_text(const std::string& name, const std::string& text) const {
    const auto* begin = reinterpret_cast<const std::byte*>(text.data());
    write_file_atomically(file(name), {begin, begin + text.size()});
}

void RunDirectory::write_inputs(const std::vector<std::string>& command_line, const Config& config) const {
    write_text("args.yaml", config.to_yaml());
    std::string line;
    for (const auto& word : command_line) {
        const bool plain =
            !word.empty() &&
            word.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=,:+") ==
                std::string::npos;
        std::string quoted = word;
        for (std::size_t at = 0; (at = quoted.find('\'', at)) != std::string::npos; at += 4)
            quoted.replace(at, 1, "'\\''");
        line += (line.empty() ? "" : " ") + (plain ? word : "'" + quoted + "'");
    }
    write_text("cmd.txt", line + "\n");
    nlohmann::ordered_json env;
    for (const auto& [key, value] : environment_facts()) env[key] = value;
    write_text("env.json", env.dump(2) + "\n");
}

CsvFile::CsvFile(const std::string& path, const std::vector<std::string>& header)
    : path_(path), out_(path, std::ios::binary | std::ios::trunc) {
    if (!out_) throw IoError(fmt::format("{}: cannot be written: {}", path, std::strerror(errno)));
    row(header);
}

CsvFile::CsvFile(const std::string& path, const std::vector<std::string>& header, double last) : path_(path) {
    std::ifstream in(path, std::ios::binary);
    std::string kept, line;
    const std::string names = fmt::format("{}", fmt::join(header, ","));
    if (!in || !std::getline(in, line)) {
        line = names;  // the table was lost or never begun
    } else if (line != names) {
        throw DataError(fmt::format("{}: its header is not this run's: '{}'", path, line.substr(0, 80)));
    }
    kept = names + "\n";
    while (std::getline(in, line) && !in.eof()) {  // a last line without its end was cut off while being written
        double number = 0;
        const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), number);
        if (error == std::errc() && *end == ',' && number <= last) kept += line + "\n";
    }
    in.close();
    const auto* begin = reinterpret_cast<const std::byte*>(kept.data());
    write_file_atomically(path, {begin, begin + kept.size()});
    out_.open(path, std::ios::binary | std::ios::app);
    if (!out_) throw IoError(fmt::format("{}: cannot be written: {}", path, std::strerror(errno)));
}

void CsvFile::row(const std::vector<std::string>& cells) {
    out_ << fmt::format("{}\n", fmt::join(cells, ","));
    out_.flush();
    if (!out_) throw IoError(fmt::format("{}: write failed: {}", path_, std::strerror(errno)));
}

}  // namespace solobox
