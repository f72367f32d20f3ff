// Logs of any program, as CSV or JSON.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "data/text.h"
#include "train/config/names.h"
#include "train/doctor/sources.h"

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

RawTable read_csv(std::string_view text, const std::string& path) {
    RawTable table;
    LineReader lines(text);
    std::string_view line;
    std::vector<std::string> header;
    char comma = ',';
    std::size_t row = 0;
    while (lines.next(line)) {
        if (trim(line).empty()) continue;
        if (header.empty() && line.find(',') == std::string_view::npos)
            comma = line.find('\t') != std::string_view::npos  ? '\t'
                    : line.find(';') != std::string_view::npos ? ';'
                                                               : ',';
        const std::vector<std::string> cells = cells_of(line, comma);
        if (header.empty()) {
            header = cells;
            if (header.front().empty()) header.front() = "#";  // the row numbers of a data frame
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

// NaN and Infinity as Python writes them, which JSON does not know: as texts.
std::string with_quoted_nan(std::string_view text) {
    std::string out;
    bool quoted = false;
    for (std::size_t i = 0; i < text.size();) {
        if (text[i] == '"' && (i == 0 || text[i - 1] != '\\')) quoted = !quoted;
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
            Json row = Json::parse(line, nullptr, false);
            if (row.is_discarded()) {
                // The last line of a log that is being written may be cut.
                if (!rows.empty() && !lines.next(line)) break;
                fail_line(path, lines.number(), "is no JSON");
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
        const bool is_loss = name.find("loss") != std::string::npos;
        if (!rest.empty() && is_loss && !rest.starts_with("acc") && rest != "loss" && !rest.ends_with("_step"))
            return family + rest;
    }
    return "";
}

// Programs that count epochs from 0. A row 0 without a training loss, or with fractions behind it, is a look before
// the first step.
void count_from_one(Facts& facts) {
    const Series* rows = facts.series("epoch");
    if (!rows) return;
    const Series *train = facts.series("train_loss"), *steps = facts.series("step_loss");
    bool zero = false, whole = true, trained = !train || steps;
    for (std::size_t i = 0; i < rows->size(); ++i) {
        const double e = (*rows)[i];
        if (std::isnan(e)) continue;
        whole = whole && e == std::floor(e);
        zero = zero || e == 0;
        trained = trained || (e == 0 && !std::isnan((*train)[i]));
    }
    if (!zero || !whole || !trained) return;
    Series shifted = *rows;
    for (double& v : shifted) v += 1;
    facts.set("epoch", std::move(shifted));
}

// Percent where shares are expected, or the other way round.
void scale(Facts& facts, std::initializer_list<const char*> names, bool percent) {
    double largest = 0;
    for (const char* name : names)
        if (const Series* values = facts.series(name))
            for (const double v : *values) largest = std::isfinite(v) ? std::max(largest, v) : largest;
    if (percent ? largest > 1 : largest <= 1 || largest > 100) return;
    for (const char* name : names)
        if (const Series* values = facts.series(name)) {
            Series scaled = *values;
            for (double& v : scaled) v *= percent ? 100 : 0.01;
            facts.set(name, std::move(scaled));
        }
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
        // "accuracy" beside "val_accuracy" is the training's (Keras): the aliases come first.
        names.insert(info.name == "accuracy" ? names.begin() : names.end(), info.aliases.begin(), info.aliases.end());
        for (const std::string& name : names)
            if (const std::size_t i = column(name); i < table.names.size()) {
                take(info.name, i);
                break;
            }
    }
    for (const char* plain : {"accuracy", "acc", "acc1"})
        if (const std::size_t i = column(plain); i < table.names.size() && !log.facts.has("train_accuracy"))
            take("train_accuracy", i);
    // "loss" and "lr" belong to what a row is: an epoch or a step. Validated rows without a step are epochs.
    const bool epochs =
        log.facts.has("epoch") ||
        (!log.facts.has("step") && (log.facts.has("val_loss") || log.facts.has("metric") || log.facts.has("accuracy")));
    const auto take_free = [&](const char* name, const char* fact) {
        if (const std::size_t i = column(name); i < table.names.size() && !log.facts.has(fact)) take(fact, i);
    };
    take_free("loss", epochs ? "train_loss" : "step_loss");
    for (const char* name : {"lr", "learning_rate"}) take_free(name, epochs ? "epoch_lr" : "step_lr");
    for (std::size_t i = 0; i < table.names.size(); ++i) {
        const std::string term = term_of(table.names[i]);
        if (!taken[i] && table.numeric[i] && !term.empty() && !log.facts.has(term)) take(term, i);
    }
    for (std::size_t i = 0; i < table.names.size(); ++i)
        if (!taken[i]) log.unused.push_back(printable(table.names[i], 60));
    count_from_one(log.facts);
    // A log without a total: the sum of its terms.
    for (const char* part : {"train", "val"}) {
        const auto terms = log.facts.family(std::string(part) + "_term.");
        if (log.facts.has(std::string(part) + "_loss") || terms.empty()) continue;
        Series sum(terms.front().second->size(), 0.0);
        for (const auto& [name, values] : terms)
            for (std::size_t i = 0; i < sum.size() && i < values->size(); ++i) sum[i] += (*values)[i];
        log.facts.set(std::string(part) + "_loss", std::move(sum));
    }
    scale(log.facts, {"accuracy", "train_accuracy"}, true);
    scale(log.facts, {"metric", "train_metric"}, false);
    for (const auto& [from, to] :
         {std::pair<const char*, const char*>{"accuracy", "metric"}, {"train_accuracy", "train_metric"}})
        if (const Series* values = log.facts.series(from); values && !log.facts.has(to)) {
            Series share = *values;
            for (double& v : share) v /= 100;
            log.facts.set(to, std::move(share));
        }
    return log;
}

}  // namespace solobox::doctor
