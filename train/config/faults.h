// Bugs planted on purpose, for lessons and tests: the key `fault`. Each lives where the bug would really live; here
// stands only what each needs to do any harm.
#pragma once

#include <string>

#include "train/config/config.h"

namespace solobox {

bool has_fault(const Config& config, const std::string& name);

// ConfigError when the planted fault could change nothing: another model, keys that it needs, or a job without the
// place that it lives in.
void refuse_harmless_fault(const Config& config, bool overfit);

}  // namespace solobox
