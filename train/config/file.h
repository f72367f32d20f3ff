// Configuration files: YAML, one flat map of the keys of config.h, with `base: OTHER.yaml` for inheritance (relative to
// the file). Strict: an unknown key, a key given twice, a value without a scalar or a cycle of bases is a ConfigError
// naming file and line.
#pragma once

#include <cstdint>
#include <string>

#include "train/config/config.h"

namespace solobox {

// Sets what the file and the files below it say; a file wins over its base. Each value's origin is "FILE:LINE". Returns
// how many files that were.
std::int64_t load_config_file(Config& config, const std::string& path);

// The experiments once bore the numbers of the reports they come from (docs/reports.md). Where no file `path` is, but
// one under its present name beside it: that one; else `path` itself.
std::string current_name(const std::string& path);

// Variables SOLOBOX_CFG_<KEY> (any case), for instance SOLOBOX_CFG_LR0=0.01. An unknown key is a ConfigError.
void apply_environment(Config& config);

}  // namespace solobox
