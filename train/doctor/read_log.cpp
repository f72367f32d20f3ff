// Logs of any program, as CSV or JSON.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "data/text.h"
#include "train/doctor/sources.h"
#include "train/names.h"

namespace solobox::doctor {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::size_t largest_log = std::size_t{256} << 20;  // bytes

struct RawTable {
    std::vector<std::string> names;
    std::vector<Series> columns;  // NaN: no cell
    std::vector<bool> numeric;    // some cell is a number

    std::size_t column(const std::string& name) {
        const auto found = std::find(names.begin(), names.end(), name);
        if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
        names.push_back(name), columns.emplace_back(), numeric.push_back(false);
        return names.size() - 1;
    }
    void put(std::size_t column, std::size_t row, double value) {
        columns[column].resize(std::max(columns[column].size(), row + 1), NAN);
        columns[column][row] = value;
        numeric[column] = numeric[column] || !std::isnan(value);
    }
};

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
std::vector<std::string> cells_of(std::string_view line) {
    std::vector<std::string> cells(1);
    bool quoted = false;
    for (const char c : line) {
        if (c == '"')
            quoted = !quoted;
        else if (c == ',' && !quoted)
            cells.emplace_back();
        else
            cells.back() += c;
    }
    for (std::string& cell : cells) cell = std::string(trim(cell));
    return cells;
}

RawTable read_csv(std::string_view text, const std::string& path) {
    RawTable table;
    LineReader lines(text);
    std::string_view line;
    std::vector<std::string> header;
    std::size_t row = 0;
    while (lines.next(line)) {
        if (trim(line).empty()) continue;
        const std::vector<std::string> cells = cells_of(line);
        if (header.empty()) {
            header = cells;
            for (const std::string& name : header) {
                if (name.empty() || std::count(header.begin(), header.end(), name) > 1)
                    fail_line(path, lines.number(), "column '{}' has no name of its own", printable(name));
                (void)table.column(name);
            }
            continue;
        }
        if (cells.size() > header.size())
            fail_line(path, lines.number(), "{} cells, the header has {}", cells.size(), header.size());
        for (std::size_t i = 0; i < cells.size(); ++i) table.put(i, row, number_of(cells[i]));
        ++row;
    }
    if (header.empty()) fail_data(path, "holds no table");
    for (Series& s : table.columns) s.resize(row, NAN);
    return table;
}

double json_number(const Json& v) {
    if (v.is_number()) return std::isfinite(v.get<double>()) ? v.get<double>() : INFINITY;
    if (v.is_string()) return number_of(v.get<std::string>());
    return NAN;
}

void add_row(RawTable& table, std::size_t row, const Json& object, const std::string& prefix) {
    for (const auto& [key, value] : object.items()) {
        const std::string name = prefix.empty() ? key : prefix + "/" + key;
        if (value.is_object() && prefix.size() < 200)
            add_row(table, row, value, name);
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
    for (Series& s : table.columns) s.resize(n, NAN);
    return table;
}

RawTable read_json(std::string_view text, const std::string& path) {
    Json whole = Json::parse(text, nullptr, false);
    if (whole.is_discarded()) {  // JSON lines?
        Json rows = Json::array();
        LineReader lines(text);
        std::string_view line;
        while (lines.next(line)) {
            if (trim(line).empty()) continue;
            Json row = Json::parse(line, nullptr, false);
            if (row.is_discarded()) fail_line(path, lines.number(), "is no JSON");
            rows.push_back(std::move(row));
        }
        return from_rows(rows, path);
    }
    if (whole.is_array()) return from_rows(whole, path);
    if (!whole.is_object()) fail_data(path, "expected rows or columns of numbers");
    for (const char* key : {"history", "epochs", "log", "logs"})
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
    for (Series& s : table.columns) s.resize(n, NAN);
    return table;
}

std::string without(const std::string& text, const std::string& ending) {
    return text.ends_with(ending) ? text.substr(0, text.size() - ending.size()) : text;
}

// "train/box_loss" is train_term.box; "" when the name says nothing of the kind.
std::string term_of(const std::string& column) {
    const std::string name = lower(column);
    for (const auto& [start, family] : {std::pair<const char*, const char*>{"train/", "train_term."},
                                        {"train_", "train_term."},
                                        {"val/", "val_term."},
                                        {"val_", "val_term."}}) {
        if (!name.starts_with(start)) continue;
        const std::string rest = without(without(name.substr(std::string(start).size()), "_epoch"), "_loss");
        const bool is_loss =
            name.ends_with("_loss") || name.ends_with("loss_epoch") || std::string(start).ends_with('/');
        if (!rest.empty() && is_loss && !rest.starts_with("acc") && rest != "loss" && !rest.ends_with("_step"))
            return family + rest;
    }
    return "";
}

}  // namespace

Log read_log(const std::string& path, const std::vector<std::string>& columns) {
    const std::string text = read_whole(path, largest_log);
    require_text(text, printable(path, 300));
    const std::string_view body = trim(strip_bom(text));
    if (body.empty()) fail_data(printable(path, 300), "is empty");
    RawTable table =
        body.front() == '{' || body.front() == '[' ? read_json(body, path) : read_csv(strip_bom(text), path);

    Log log;
    std::vector<bool> taken(table.names.size(), false);
    const auto take = [&](const std::string& fact, std::size_t column) {
        log.facts.set(fact, table.columns[column]);
        log.used.push_back(fmt::format("{}: column {}", fact, printable(table.names[column], 60)));
        taken[column] = true;
    };
    for (const std::string& word : columns) {
        const std::size_t equals = word.find('=');
        if (equals == std::string::npos || equals == 0)
            throw ConfigError(fmt::format("--columns {}: expected FACT=COLUMN, as metric=mAP50", printable(word, 60)));
        const FactInfo& info = fact_info(word.substr(0, equals));
        if (info.kind != FactKind::series)
            throw ConfigError(fmt::format("--columns {}: {} is no column of a log: give it with --fact {}=VALUE",
                                          printable(word, 60), info.name, info.name));
        const std::string wanted = word.substr(equals + 1);
        const auto found = std::find(table.names.begin(), table.names.end(), wanted);
        if (found == table.names.end())
            throw ConfigError(fmt::format("{}: no column '{}'{}: it has {}", printable(path, 300),
                                          printable(wanted, 60), did_you_mean(wanted, table.names),
                                          printable(fmt::format("{}", fmt::join(table.names, ", ")), 400)));
        take(info.name.ends_with('.') ? lower(word.substr(0, equals)) : info.name,
             static_cast<std::size_t>(found - table.names.begin()));
    }
    const auto column = [&](const std::string& name) {
        for (std::size_t i = 0; i < table.names.size(); ++i)
            if (!taken[i] && table.numeric[i] && lower(table.names[i]) == name) return i;
        return table.names.size();
    };
    for (const FactInfo& info : fact_catalogue()) {
        if (info.kind != FactKind::series || log.facts.has(info.name)) continue;
        if (info.name.ends_with('.')) {
            for (std::size_t i = 0; i < table.names.size(); ++i)
                if (!taken[i] && lower(table.names[i]).starts_with(info.name)) take(lower(table.names[i]), i);
            continue;
        }
        std::vector<std::string> names{info.name};
        names.insert(names.end(), info.aliases.begin(), info.aliases.end());
        for (const std::string& name : names)
            if (const std::size_t i = column(name); i < table.names.size()) {
                take(info.name, i);
                break;
            }
    }
    // "loss" and "lr" belong to what a row is: an epoch or a step.
    const bool epochs = log.facts.has("epoch");
    if (const std::size_t i = column("loss"); i < table.names.size()) take(epochs ? "train_loss" : "step_loss", i);
    if (const std::size_t i = column("lr"); i < table.names.size()) take(epochs ? "epoch_lr" : "step_lr", i);
    for (std::size_t i = 0; i < table.names.size(); ++i) {
        const std::string term = term_of(table.names[i]);
        if (!taken[i] && table.numeric[i] && !term.empty() && !log.facts.has(term)) take(term, i);
    }
    for (std::size_t i = 0; i < table.names.size(); ++i)
        if (!taken[i]) log.unused.push_back(printable(table.names[i], 60));
    // Programs that count epochs from 0.
    if (const Series* rows = log.facts.series("epoch")) {
        const auto least = std::min_element(
            rows->begin(), rows->end(), [](double a, double b) { return a < b || (std::isnan(b) && !std::isnan(a)); });
        if (least != rows->end() && *least == 0) {
            Series shifted = *rows;
            for (double& v : shifted) v += 1;
            log.facts.set("epoch", std::move(shifted));
        }
    }
    // A log without a total: the sum of its terms.
    for (const char* part : {"train", "val"}) {
        const auto terms = log.facts.family(std::string(part) + "_term.");
        if (log.facts.has(std::string(part) + "_loss") || terms.empty()) continue;
        Series sum(terms.front().second->size(), 0.0);
        for (const auto& [name, values] : terms)
            for (std::size_t i = 0; i < sum.size() && i < values->size(); ++i) sum[i] += (*values)[i];
        log.facts.set(std::string(part) + "_loss", std::move(sum));
    }
    // Shares instead of %: when no value of either column is above 1.
    double largest = 0;
    for (const char* name : {"accuracy", "train_accuracy"})
        if (const Series* values = log.facts.series(name))
            for (const double v : *values) largest = std::isnan(v) ? largest : std::max(largest, v);
    for (const char* name : {"accuracy", "train_accuracy"})
        if (const Series* values = log.facts.series(name); values && largest <= 1) {
            Series percent = *values;
            for (double& v : percent) v *= 100;
            log.facts.set(name, std::move(percent));
        }
    return log;
}

}  // namespace solobox::doctor
