// What the kinds of files that `solobox check` knows have in common: a file was looked at, and this is what it means.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace solobox {

struct Checked {
    nlohmann::ordered_json json;     // for --json; the verb adds the file's name in front
    std::vector<std::string> lines;  // for people
};

// data.yaml, or the configuration of a run with its base files. ConfigError naming file and line for what is not YAML
// and for unknown keys and values; DataError for a data.yaml that does not fit its directories.
Checked check_yaml(const std::string& path);

// kind: yolo | voc | coco | tiny-imagenet. image: the picture that belongs to the labels, "" when it is not given.
// DataError with the line; strict.
Checked check_labels(const std::string& kind, const std::string& path, const std::string& image);

}  // namespace solobox
