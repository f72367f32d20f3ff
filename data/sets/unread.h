// What lies below a data set and no reader took: counted by reason, so that "clean" never means a part of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/types.h"

namespace solobox {

struct Unread {
    std::string what;  // "pictures in test/, a part for testing"
    std::int64_t count = 0;
    std::string example;    // path of the first
    bool pictures = false;  // pictures that could have been read
    bool expected = false;  // a part for testing, notes and scripts: nothing is lost
};

// Looks at all files below set.root when that is a directory, else below the folders of its pictures and labels.
// Hidden files and the droppings of operating systems do not count. At most 200,000 files are looked at.
std::vector<Unread> find_unread(const DataSet& set);

}  // namespace solobox
