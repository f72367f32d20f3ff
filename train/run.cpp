#include "train/run.h"

#include <fmt/format.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "nn/safetensors.h"
#include "tensor/check.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/parallel.h"

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
void point_latest(const std::string& path) {
    const fs::path link = "runs/latest";
    std::error_code error;
    if (fs::exists(fs::symlink_status(link, error)) && !fs::is_symlink(link, error)) return;
    fs::remove(link, error);
    fs::create_directory_symlink(fs::relative(path, "runs", error), link, error);
}

}  // namespace

Facts environment_facts() {
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

RunDirectory::RunDirectory(const std::string& command, const std::string& name, const std::string& wanted,
                           bool exist_ok) {
    path_ = wanted;
    const bool automatic = wanted.empty();
    if (automatic) {
        path_ = fmt::format("runs/{}/{}", command, name);
        for (int i = 2; occupied(path_); ++i) path_ = fmt::format("runs/{}/{}-{}", command, name, i);
    } else if (occupied(path_)) {
        std::error_code error;
        if (!fs::is_directory(path_, error))
            throw ConfigError(fmt::format("--out {}: exists and is not a directory", path_));
        if (!exist_ok)
            throw ConfigError(
                fmt::format("--out {}: exists and is not empty: choose another, or add --exist-ok", path_));
    }
    make_directories(path_ + "/weights");
    if (automatic) point_latest(path_);
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

void CsvFile::row(const std::vector<std::string>& cells) {
    out_ << fmt::format("{}\n", fmt::join(cells, ","));
    out_.flush();
    if (!out_) throw IoError(fmt::format("{}: write failed: {}", path_, std::strerror(errno)));
}

std::string number_text(double value) { return fmt::format("{}", value); }

}  // namespace solobox
