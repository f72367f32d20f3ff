// A run's directory: what was asked for, on what machine, and what came of it.
//
//   args.yaml   cmd.txt   env.json   results.csv   layers.csv   report.html   *.png   weights/last.safetensors
#pragma once

#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "train/config.h"

namespace solobox {

using Facts = std::vector<std::pair<std::string, std::string>>;

// CPU, kernels, BLAS, threads, build: what a number depends on besides its configuration.
Facts environment_facts();

// The keys and values of a run's args.yaml; DataError naming the file when it cannot be read.
std::map<std::string, std::string> read_settings(const std::string& path);

class RunDirectory {
public:
    // `wanted` empty: runs/<command>/<name>, -2, -3 .. until one is free, and runs/latest points to it. Otherwise that
    // directory: ConfigError when it exists and is not empty, unless `exist_ok`. IoError with the system's reason.
    RunDirectory(const std::string& command, const std::string& name, const std::string& wanted, bool exist_ok);

    const std::string& path() const { return path_; }
    std::string file(const std::string& name) const { return path_ + "/" + name; }
    std::string last_weights() const { return file("weights/last.safetensors"); }

    void write_text(const std::string& name, const std::string& text) const;  // whole or not at all
    void write_inputs(const std::vector<std::string>& command_line, const Config& config) const;

private:
    std::string path_;
};

// A table on disk: header once, then rows, flushed as they come. IoError when a row cannot be written.
class CsvFile {
public:
    CsvFile(const std::string& path, const std::vector<std::string>& header);
    void row(const std::vector<std::string>& cells);

private:
    std::string path_;
    std::ofstream out_;
};

// A number as CSV and JSON want it: shortest text that reads back the same, '.' in every locale.
std::string number_text(double value);

}  // namespace solobox
