// A table that a run wrote (results.csv, steps.csv, layers.csv), read back.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace solobox {

// Header first, every row as wide. A last line without its end was cut off while being written and does not count.
struct Table {
    std::string path;
    std::vector<std::string> header;
    std::vector<std::vector<std::string>> rows;

    explicit Table(std::string file);  // DataError naming file and line
    bool has(const std::string& name) const;
    std::size_t column(const std::string& name) const;             // DataError when there is none
    std::int64_t step(const std::vector<std::string>& row) const;  // its cell in column "step"
    std::vector<double> numbers(const std::string& name) const;    // NaN for an empty cell
};

}  // namespace solobox
