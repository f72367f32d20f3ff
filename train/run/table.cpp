#include "train/run/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <limits>

#include "tensor/check.h"

namespace solobox {
namespace {

std::vector<std::string> split(const std::string& line) {
    std::vector<std::string> cells(1);
    for (const char c : line)
        if (c == ',')
            cells.emplace_back();
        else if (c != '\r')
            cells.back() += c;
    return cells;
}

}  // namespace

Table::Table(std::string file) : path(std::move(file)) {
    std::ifstream in(path, std::ios::binary);
    if (!in) throw DataError(fmt::format("{}: cannot be opened: is this the directory of a run?", path));
    for (std::string line; std::getline(in, line) && !in.eof();) {
        std::vector<std::string> cells = split(line);
        if (header.empty())
            header = std::move(cells);
        else if (cells.size() == header.size())
            rows.push_back(std::move(cells));
        else
            throw DataError(
                fmt::format("{}:{}: {} cells, the header has {}", path, rows.size() + 2, cells.size(), header.size()));
    }
}

bool Table::has(const std::string& name) const { return std::find(header.begin(), header.end(), name) != header.end(); }

std::size_t Table::column(const std::string& name) const {
    const auto found = std::find(header.begin(), header.end(), name);
    if (found == header.end()) throw DataError(fmt::format("{}: no column '{}'", path, name));
    return static_cast<std::size_t>(found - header.begin());
}

std::int64_t Table::step(const std::vector<std::string>& row) const {
    const std::string& text = row[column("step")];
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size())
        throw DataError(fmt::format("{}: '{}' is no step", path, text.substr(0, 40)));
    return value;
}

std::vector<double> Table::numbers(const std::string& name) const {
    const std::size_t at = column(name);
    std::vector<double> out;
    for (const auto& row : rows) {
        const std::string& text = row[at];
        double value = std::numeric_limits<double>::quiet_NaN();
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (!text.empty() && (error != std::errc() || end != text.data() + text.size()))
            throw DataError(fmt::format("{}: '{}' in column {} is no number", path, text.substr(0, 40), name));
        out.push_back(value);
    }
    return out;
}

}  // namespace solobox
