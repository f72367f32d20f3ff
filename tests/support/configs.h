// Configurations from words, as a command line has them.
#pragma once

#include <string>
#include <vector>

#include "train/config/config.h"

namespace solobox::fixtures {

inline Config config_of(const std::vector<std::string>& words) {
    Config config;
    config.set_words(words, "test");
    return config;
}

}  // namespace solobox::fixtures
