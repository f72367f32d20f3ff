// Tables that other programs log: CSV in its dialects, JSON, JSON lines, the bare columns of YOLOv5 and v7. What a cell
// is, not what a column means.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "train/run/facts.h"

namespace solobox::doctor {

struct RawTable {
    std::vector<std::string> names;
    std::vector<Series> columns;       // NaN: no number there; +infinity: a number that is not finite
    std::vector<std::size_t> numbers;  // cells that are numbers
    std::vector<std::string> odd;      // the first cell that is text; "": none
    std::size_t rows = 0;
    std::unordered_map<std::string, std::size_t> places;  // of names

    std::size_t column(const std::string& name);  // made when it is not there; DataError beyond 2000
    void put(std::size_t column, std::size_t row, double value);
    void put_text(std::size_t column, const std::string& text);
};

// DataError naming the file and the line.
RawTable read_table(std::string_view text, const std::string& path);

}  // namespace solobox::doctor
