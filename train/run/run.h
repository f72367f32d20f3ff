// A run's directory: what was asked for, on what machine, and what came of it.
//
//   args.yaml   cmd.txt   env.json   results.csv   layers.csv   report.html   *.png   weights/last.safetensors
#pragma once

#include <cstdint>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "data/text.h"
#include "train/config/config.h"

namespace solobox {

// CPU, kernels, BLAS, threads, build: what a number depends on besides its configuration.
std::vector<std::pair<std::string, std::string>> environment_facts();

// The keys and values of a run's args.yaml; DataError naming the file when it cannot be read.
std::map<std::string, std::string> read_settings(const std::string& path);

// Whether a file is such an args.yaml: every line of it names an origin.
bool is_run_settings(const std::string& path);

// The configuration of a run as its args.yaml has it, values and origins. DataError naming file and line.
Config read_config(const std::string& path);

// Nobody else may write there while the result lives: ConfigError when somebody does.
std::shared_ptr<void> lock_directory(const std::string& path);

class RunDirectory {
public:
    // `wanted` empty: <project>/<name>, -2, -3 .. until one is free, and `latest` beside the projects points to it.
    // Otherwise that directory: ConfigError when it exists and is not empty, unless `exist_ok`. IoError with the
    // system's reason.
    struct Place {
        std::string project;  // "runs/train"
        std::string name, wanted;
        bool exist_ok = false;
    };
    explicit RunDirectory(const Place& place);

    // An existing run, to go on with. DataError when the directory holds none.
    static RunDirectory existing(const std::string& path);

    // Nobody else may write here while this object lives: ConfigError when somebody does.
    void lock();

    const std::string& path() const { return path_; }
    std::string file(const std::string& name) const { return path_ + "/" + name; }
    std::string last_weights() const { return file("weights/last.safetensors"); }
    std::string best_weights() const { return file("weights/best.safetensors"); }

    void write_text(const std::string& name, const std::string& text) const;  // whole or not at all
    void write_inputs(const std::vector<std::string>& command_line, const Config& config) const;

    // One line of events.jsonl: a JSON object.
    void event(const nlohmann::ordered_json& line) const;

private:
    RunDirectory() = default;
    std::string path_;
    std::shared_ptr<void> lock_;
};

// A table on disk: header once, then rows, flushed as they come. IoError when a row cannot be written.
class CsvFile {
public:
    CsvFile(const std::string& path, const std::vector<std::string>& header);
    // Goes on with a table: keeps the whole rows whose first cell is a number up to `last`. DataError when its header
    // is another.
    CsvFile(const std::string& path, const std::vector<std::string>& header, double last);
    void row(const std::vector<std::string>& cells);

private:
    std::string path_;
    std::ofstream out_;
};

}  // namespace solobox
