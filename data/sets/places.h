// Where data sets lie below a directory: every place where one of the known layouts begins. Looks at names, and at the
// first lines of a few files; reads no set.
#pragma once

#include <string>
#include <vector>

#include "data/sets/parts.h"

namespace solobox {

struct Place {
    std::string format;  // as DataSet::format
    std::string dir;
    Role role = Role::whole;  // by its own name, or that of a folder between it and where the search began
    bool loose = false;       // labels lie beside the pictures: several such folders are one set
};

// All places at or below `dir`, at most four folders deep; of one format only when it is given. What lies below a place
// is its own business. DataError when one directory fits two formats of labels: it names both.
std::vector<Place> find_places(const std::string& dir, const std::string& format = "");

// Whether these places are one set: parts, years (VOC2007 and VOC2012), sequences, or loose folders; "" when they are,
// else why not, naming two of them.
std::string why_apart(const std::vector<Place>& places);

}  // namespace solobox
