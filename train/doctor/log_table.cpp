// See log_table.h.
#include "train/doctor/log_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "data/text.h"

namespace solobox::doctor {
namespace {

using Json = nlohmann::ordered_json;
constexpr int deepest_row = 8;  // objects within a row
constexpr std::size_t most_columns = 2000;

// A value that is not finite counts as one, whatever its spelling; text is no number.
double number_of(std::string_view cell) {
    const std::string text = lower(trim(cell));
    for (const char* word : {"nan", "inf", "infinity", "-nan"})
        if (text == word || text == std::string("-") + word || text == std::string("+") + word) return INFINITY;
    const auto value = parse_double(text);
    if (!value) return NAN;
    return std::isfinite(*value) ? *value : INFINITY;
}

// Cells of one line; a quoted cell may hold commas.
std::vector<std::string> cells_of(std::string_view line, char comma) {
    std::vector<std::string> cells(1);
    bool quoted = false;
    for (const char c : line) {
        if (c == '"')
            quoted = !quoted;
        else if (c == comma && !quoted)
            cells.emplace_back();
        else
            cells.back() += c;
    }
    for (std::string& cell : cells) cell = std::string(trim(cell));
    return cells;
}

bool digits(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// "-12,5" of a program that writes the decimal mark as a comma; with it, points group thousands.
std::string with_point(std::string_view cell) {
    std::string out(cell);
    if (std::count(out.begin(), out.end(), ',') != 1) return out;
    std::erase(out, '.');
    std::replace(out.begin(), out.end(), ',', '.');
    return out;
}

// The mark between cells: what the header has most of.
char separator_of(std::string_view header) {
    char best = ',';
    std::ptrdiff_t most = 0;
    for (const char mark : {',', ';', '\t', '|'}) {
        bool quoted = false;
        std::ptrdiff_t n = 0;
        for (const char c : header) {
            if (c == '"') quoted = !quoted;
            n += c == mark && !quoted;
        }
        if (n > most) best = mark, most = n;
    }
    return best;
}

void put_cell(RawTable& table, std::size_t column, std::size_t row, const std::string& cell, bool decimal_comma) {
    std::string text = decimal_comma ? with_point(cell) : cell;
    if (text.ends_with('%')) text = std::string(trim(text.substr(0, text.size() - 1)));
    const double value = number_of(text);
    table.put(column, row, value);
    if (std::isnan(value) && !cell.empty()) table.put_text(column, cell);
}

// "12/299", "4.56G", ..: results.txt of YOLOv5 and YOLOv7 has no header.
bool is_yolo_results(std::string_view line) {
    const auto words = split_blanks(line);
    if (words.size() != 15 || !words[1].ends_with('G')) return false;
    const std::size_t slash = words[0].find('/');
    return slash != std::string_view::npos && digits(words[0].substr(0, slash)) && digits(words[0].substr(slash + 1));
}

RawTable read_yolo_results(std::string_view text, const std::string& path) {
    static constexpr const char* names[] = {"epoch",          "gpu_mem",         "train/box_loss",
                                            "train/obj_loss", "train/cls_loss",  "train/total_loss",
                                            "labels",         "img_size",        "metrics/precision",
                                            "metrics/recall", "metrics/mAP_0.5", "metrics/mAP_0.5:0.95",
                                            "val/box_loss",   "val/obj_loss",    "val/cls_loss"};
    RawTable table;
    for (const char* name : names) (void)table.column(name);
    LineReader lines(text);
    for (std::string_view line; lines.next(line);) {
        if (trim(line).empty()) continue;
        if (!is_yolo_results(line)) fail_line(path, lines.number(), "not a row of results.txt as the others are");
        const auto words = split_blanks(line);
        for (std::size_t i = 0; i < words.size(); ++i) {
            std::string_view word = words[i];
            if (i == 0) word = word.substr(0, word.find('/'));
            if (i == 1) word.remove_suffix(1);
            table.put(i, table.rows, number_of(word) * (i == 1 ? 1000 : 1));  // GB in MB
        }
        ++table.rows;
    }
    return table;
}

RawTable read_csv(std::string_view text, const std::string& path) {
    if (is_yolo_results(trim(text.substr(0, text.find('\n'))))) return read_yolo_results(text, path);
    RawTable table;
    LineReader lines(text);
    std::string_view line;
    std::vector<std::string> header;
    std::vector<std::vector<std::string>> rows;
    char comma = ',';
    while (lines.next(line)) {
        if (trim(line).empty()) continue;
        if (header.empty()) comma = separator_of(line);
        std::vector<std::string> cells = cells_of(line, comma);
        if (!header.empty()) {
            if (cells.size() > header.size() && cells.size() == header.size() + 1 && cells.back().empty())
                cells.pop_back();  // a separator at the end of the line
            if (cells.size() > header.size())
                fail_line(path, lines.number(), "{} cells, the header has {}", cells.size(), header.size());
            if (cells != header) rows.push_back(std::move(cells));  // a second run writes its header again
            continue;
        }
        header = std::move(cells);
        if (header.size() > 1 && header.back().empty()) header.pop_back();
        if (header.front().empty()) header.front() = "#";  // the row numbers of a data frame
        for (const std::string& name : header) {
            if (name.empty() || std::count(header.begin(), header.end(), name) > 1)
                fail_line(path, lines.number(), "column '{}' has no name of its own", printable(name));
            (void)table.column(name);
        }
    }
    if (header.empty()) fail_data(path, "holds no table");
    // Beside semicolons commas are decimal marks; else they are when some cell can mean nothing else.
    bool decimal_comma = comma == ';';
    for (const auto& cells : rows)
        for (const std::string& cell : cells) {
            const std::size_t at = cell.find(',');
            if (decimal_comma || at == std::string::npos || cell.find(',', at + 1) != std::string::npos) continue;
            const std::string_view whole = std::string_view(cell).substr(cell.starts_with('-') ? 1 : 0, at),
                                   rest = std::string_view(cell).substr(at + 1);
            decimal_comma = digits(rest) && rest.size() != 3 && digits(whole.substr(0, whole.find(',')));
        }
    for (const auto& cells : rows) {
        for (std::size_t i = 0; i < cells.size(); ++i) put_cell(table, i, table.rows, cells[i], decimal_comma);
        ++table.rows;
    }
    return table;
}

double json_number(const Json& v) {
    if (v.is_number()) return std::isfinite(v.get<double>()) ? v.get<double>() : INFINITY;
    if (v.is_string()) return number_of(v.get<std::string>());
    return NAN;
}

void add_row(RawTable& table, std::size_t row, const Json& object, const std::string& prefix, int depth = 0) {
    for (const auto& [key, value] : object.items()) {
        const std::string name = prefix.empty() ? key : prefix + "/" + key;
        if (value.is_object() && depth < deepest_row)
            add_row(table, row, value, name, depth + 1);
        else if (value.is_string() && std::isnan(json_number(value)))
            table.put_text(table.column(name), value.get<std::string>());
        else if (!value.is_null())
            table.put(table.column(name), row, json_number(value));
    }
}

RawTable from_rows(const Json& rows, const std::string& path) {
    RawTable table;
    std::size_t n = 0;
    for (const Json& row : rows) {
        if (!row.is_object()) fail_data(path, "row {} is no object", n + 1);
        add_row(table, n++, row, "");
    }
    table.rows = n;
    return table;
}

// NaN and Infinity as Python writes them, which JSON does not know: as texts.
std::string with_quoted_nan(std::string_view text) {
    std::string out;
    bool quoted = false;
    for (std::size_t i = 0; i < text.size();) {
        if (quoted && text[i] == '\\' && i + 1 < text.size()) {  // what follows is a letter of the text
            out += text.substr(i, 2);
            i += 2;
            continue;
        }
        if (text[i] == '"') quoted = !quoted;
        std::string_view word;
        if (!quoted)
            for (const std::string_view w : {"-Infinity", "Infinity", "NaN"})
                if (text.substr(i).starts_with(w)) word = w;
        if (word.empty()) {
            out += text[i++];
            continue;
        }
        out += "\"nan\"";
        i += word.size();
    }
    return out;
}

RawTable read_json(std::string_view raw, const std::string& path) {
    const std::string text = with_quoted_nan(raw);
    Json whole = Json::parse(text, nullptr, false);
    if (whole.is_discarded()) {  // JSON lines?
        Json rows = Json::array();
        LineReader lines(text);
        std::string_view line;
        while (lines.next(line)) {
            if (trim(line).empty()) continue;
            const std::int64_t number = lines.number();
            Json row = Json::parse(line, nullptr, false);
            if (row.is_discarded()) {
                // The last line of a log that is being written may be cut.
                if (!rows.empty() && !lines.next(line)) break;
                fail_line(path, number, "is no JSON");
            }
            rows.push_back(std::move(row));
        }
        return from_rows(rows, path);
    }
    if (whole.is_array()) return from_rows(whole, path);
    if (!whole.is_object()) fail_data(path, "expected rows or columns of numbers");
    for (const char* key : {"history", "log_history", "epochs", "log", "logs"})
        if (whole.contains(key) && whole[key].is_array() && !whole[key].empty() && whole[key][0].is_object())
            return from_rows(whole[key], path);
    RawTable table;
    std::size_t n = 0;
    for (const auto& [key, value] : whole.items()) {
        if (!value.is_array()) continue;
        const std::size_t c = table.column(key);
        for (std::size_t i = 0; i < value.size(); ++i) table.put(c, i, json_number(value[i]));
        n = std::max(n, value.size());
    }
    table.rows = n;
    return table;
}

}  // namespace

std::size_t RawTable::column(const std::string& name) {
    const auto [found, fresh] = places.emplace(name, names.size());
    if (!fresh) return found->second;
    if (names.size() >= most_columns)
        throw DataError(
            fmt::format("more than {} columns (the last is '{}'): is it a log?", most_columns, printable(name)));
    names.push_back(name), columns.emplace_back(), numbers.push_back(0), odd.emplace_back();
    return names.size() - 1;
}

void RawTable::put(std::size_t column, std::size_t row, double value) {
    columns[column].resize(std::max(columns[column].size(), row + 1), NAN);
    columns[column][row] = value;
    numbers[column] += !std::isnan(value);
}

void RawTable::put_text(std::size_t column, const std::string& text) {
    if (odd[column].empty()) odd[column] = text;
}

RawTable read_table(std::string_view text, const std::string& path) {
    const std::string_view body = trim(text);
    RawTable table = body.front() == '{' || body.front() == '[' ? read_json(body, path) : read_csv(text, path);
    for (Series& s : table.columns) s.resize(table.rows, NAN);
    return table;
}

}  // namespace solobox::doctor
