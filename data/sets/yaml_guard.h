// Looks over a foreign YAML text before anything is made of it. Accepts the plain part that data sets and
// configurations need and refuses the rest: keys that stand twice, tags, anchors and aliases, merge keys, several
// documents, deep nesting, anything but UTF-8.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace solobox {

// DataError names `file`, the line and what is wrong; also when the top level is not a map.
void guard_yaml(std::string_view text, const std::string& file);

// One key of the top level.
struct YamlEntry {
    enum class Kind { text, nothing, list, map } kind = Kind::text;
    std::string key;
    std::string text;               // as written, without quotes; "" unless kind is text
    std::vector<std::string> list;  // the plain values of a list
    bool nested = false;            // the list holds other things too
    int line = 0;                   // of the key, from 1
};

// The keys of the top level in order of the file, after guard_yaml.
std::vector<YamlEntry> yaml_entries(std::string_view text, const std::string& file);

}  // namespace solobox
