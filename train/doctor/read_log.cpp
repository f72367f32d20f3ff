// Logs of any program: what their columns mean. What their cells are: log_table.cpp.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "data/text.h"
#include "train/config/names.h"
#include "train/doctor/log_table.h"
#include "train/doctor/sources.h"

namespace solobox::doctor {
namespace {

constexpr std::size_t largest_log = std::size_t{256} << 20;  // bytes

// Names as programs differ in them: "Val Loss", "val-loss", "val/loss" and, of W&B, "warm-dawn-12 - val/loss" are one.
std::string canonical(const std::string& name) {
    std::string out = lower(trim(name));
    if (const std::size_t at = out.rfind(" - "); at != std::string::npos) out = out.substr(at + 3);
    for (char& c : out)
        if (c == ' ' || c == '-' || c == '/') c = '_';
    return out;
}

// W&B adds the ends of what it thinned out.
bool is_band(const std::string& name) {
    const std::string low = lower(name);
    return low.ends_with("__min") || low.ends_with("__max");
}

// TensorBoard exports one curve a file: "Wall time,Step,Value", its name in the file's: run-..-tag-Loss_val.csv.
void name_value_column(RawTable& table, const std::string& path) {
    const std::string stem = file_stem(path);
    const std::size_t at = stem.rfind("tag-");
    for (std::string& name : table.names)
        if (lower(name) == "value" && at != std::string::npos) name = stem.substr(at + 4);
}

// Whether the values are seconds since a start: they grow, and by more than a half.
bool is_clock(const Series& values) {
    double first = NAN, last = NAN, before = -INFINITY;
    std::size_t n = 0;
    for (const double v : values) {
        if (std::isnan(v)) continue;
        if (v < before) return false;
        if (std::isnan(first)) first = v;
        before = last = v, ++n;
    }
    return n < 3 || last - first > std::min(0.5 * std::abs(first), 0.5);
}

// Seconds that grow within pieces: a clock that was started again, which neither is nor counts epochs.
bool grows_in_pieces(const Series& values) {
    std::size_t rises = 0, falls = 0;
    double before = NAN;
    for (const double v : values) {
        if (std::isnan(v)) continue;
        rises += v > 1.2 * before, falls += v < before;
        before = v;
    }
    return falls > 0 && rises > 2 * falls;
}

// Rows of validation often say no epoch of their own (mmengine): theirs is that of the row before.
void fill_epochs(Facts& facts) {
    const Series* epochs = facts.series("epoch");
    if (!epochs) return;
    Series filled = *epochs;
    double last = NAN;
    for (double& e : filled) {
        if (std::isnan(e)) e = last;
        last = e;
    }
    facts.set("epoch", std::move(filled));
}

// Whether each row is an epoch of its own.
bool is_row_an_epoch(const Series& epochs) {
    double before = -INFINITY;
    for (const double e : epochs) {
        if (std::isnan(e)) continue;
        if (e == before) return false;
        before = e;
    }
    return true;
}

// Steps that are counted anew in every epoch: three blocks and more of one length.
bool are_steps_of_epochs(const Series& steps) {
    std::vector<std::size_t> lengths(1, 0);
    double before = -INFINITY;
    for (const double v : steps) {
        if (std::isnan(v)) continue;
        if (v < before) lengths.push_back(0);
        ++lengths.back(), before = v;
    }
    if (lengths.size() < 3) return false;
    return std::all_of(lengths.begin(), lengths.end() - 1, [&](std::size_t n) { return n == lengths.front(); });
}

// The newest row first, as some pages export them: turned round.
void turn_round(Facts& facts, const std::vector<std::string>& names) {
    const Series* places = facts.series(facts.has("epoch") ? "epoch" : "step");
    if (!places || places->size() < 3) return;
    double before = INFINITY;
    for (const double v : *places) {
        if (std::isnan(v) || !(v < before)) return;
        before = v;
    }
    const std::size_t rows = places->size();
    for (const std::string& name : names)
        if (const Series* s = facts.series(name); s && s->size() == rows)
            facts.set(name, Series(s->rbegin(), s->rend()));
}

// The rows of the last run in the file, and where epochs (or steps) fall back.
void take_last_run(Facts& facts) {
    const char* counted = facts.has("epoch") ? "epoch" : "step";
    const Series* places = facts.series(counted);
    if (!places) return;
    if (!facts.has("epoch") && are_steps_of_epochs(*places)) {
        facts.set("restarts", Texts());
        return;
    }
    const std::size_t rows = places->size();
    double start = INFINITY, before = -INFINITY;
    for (const double v : *places)
        if (std::isfinite(v)) start = std::min(start, v);
    Texts restarts;
    std::size_t begin = 0, runs = 1;
    for (std::size_t i = 0; i < rows; ++i) {
        const double v = (*places)[i];
        if (!std::isfinite(v)) continue;
        if (v < before) {
            const bool again = v <= start + 1e-9;
            restarts.push_back(fmt::format("{} {:g} comes again in row {}, after {:g}", counted, v, i + 1, before));
            if (again) begin = i, ++runs;
        }
        before = v;
    }
    facts.set("restarts", restarts);
    facts.set("runs_in_log", static_cast<double>(runs));
    if (begin == 0) return;
    for (const FactInfo& info : fact_catalogue()) {
        const auto cut = [&](const std::string& name) {
            if (const Series* s = facts.series(name); s && s->size() == rows)
                facts.set(name, Series(s->begin() + static_cast<std::ptrdiff_t>(begin), s->end()));
        };
        if (!info.name.ends_with('.')) {
            cut(info.name);
            continue;
        }
        std::vector<std::string> members;
        for (const auto& [name, values] : facts.family(info.name)) members.push_back(info.name + name);
        for (const std::string& name : members) cut(name);
    }
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

// Why a column was not taken, where its name is not the reason.
std::string reason_not_used(const RawTable& table, std::size_t i, const std::vector<std::string>& ambiguous) {
    if (table.numbers[i] == 0 && !table.odd[i].empty())
        return fmt::format(" (\"{}\" is no number)", printable(table.odd[i], 20));
    if (table.numbers[i] == 0) return " (empty)";
    if (table.numbers[i] == 1 && table.rows >= 3) return " (one value)";
    const std::string own = canonical(table.names[i]);
    for (const std::string& name : ambiguous)
        if (canonical(name) == own) return " (several columns of this meaning: --columns says which)";
    return "";
}

}  // namespace

Log read_log(const std::string& path, const std::vector<std::string>& columns) {
    const std::string text = read_whole(path, largest_log);
    require_text(text, printable(path, 300));
    if (trim(strip_bom(text)).empty()) fail_data(printable(path, 300), "is empty");
    RawTable table = read_table(strip_bom(text), printable(path, 300));
    name_value_column(table, path);

    Log log;
    std::vector<std::string> ambiguous;
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
    // A column with one value in a long log is a summary: taken only where no series means the same.
    bool summaries = false;
    const auto is_series = [&](std::size_t i) {
        return !taken[i] && table.numbers[i] > 0 && (summaries || table.numbers[i] > 1 || table.rows < 3) &&
               !is_band(table.names[i]);
    };
    const auto column = [&](const std::string& name) {
        const std::string wanted = canonical(name);
        std::size_t found = table.names.size();
        for (std::size_t i = 0; i < table.names.size(); ++i)
            if (is_series(i) && lower(table.names[i]) == name) return i;
        for (std::size_t i = 0; i < table.names.size(); ++i) {
            if (!is_series(i) || canonical(table.names[i]) != wanted) continue;
            // Of several runs' columns of one name none is taken unasked.
            if (found < table.names.size()) {
                ambiguous.push_back(name);
                return table.names.size();
            }
            found = i;
        }
        return found;
    };
    const auto take_known = [&] {
        for (const FactInfo& info : fact_catalogue()) {
            if (info.kind != FactKind::series || log.facts.has(info.name)) continue;
            if (info.name.ends_with('.')) {
                for (std::size_t i = 0; i < table.names.size(); ++i)
                    if (is_series(i) && lower(table.names[i]).starts_with(info.name) &&
                        !log.facts.has(lower(table.names[i])))
                        take(lower(table.names[i]), i);
                continue;
            }
            std::vector<std::string> names{info.name};
            // "accuracy" beside "val_accuracy" is the training's (Keras): the aliases come first.
            names.insert(info.name == "accuracy" ? names.begin() : names.end(), info.aliases.begin(),
                         info.aliases.end());
            for (const std::string& name : names)
                if (const std::size_t i = column(name); i < table.names.size()) {
                    // What is called time may be the seconds of each row.
                    if (info.name == "elapsed_seconds" && !is_clock(table.columns[i])) continue;
                    take(info.name, i);
                    break;
                }
        }
        for (const char* plain :
             {"accuracy", "acc", "acc1", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy"})
            if (const std::size_t i = column(plain); i < table.names.size() && !log.facts.has("train_accuracy"))
                take("train_accuracy", i);
        // "loss" and "lr" belong to what a row is: an epoch or a step. Validated rows without a step are epochs.
        const bool epochs = log.facts.has("epoch") ||
                            (!log.facts.has("step") &&
                             (log.facts.has("val_loss") || log.facts.has("metric") || log.facts.has("accuracy")));
        const auto take_free = [&](const char* name, const char* fact) {
            if (const std::size_t i = column(name); i < table.names.size() && !log.facts.has(fact)) take(fact, i);
        };
        for (const char* name : {"loss", "total_loss"}) take_free(name, epochs ? "train_loss" : "step_loss");
        if (const std::size_t i = column("time"); i < table.names.size() && epochs && log.facts.series("epoch") &&
                                                  is_row_an_epoch(*log.facts.series("epoch")) &&
                                                  !grows_in_pieces(table.columns[i]))
            take_free("time", "epoch_seconds");
        for (const char* name : {"lr", "learning_rate"}) take_free(name, epochs ? "epoch_lr" : "step_lr");
        for (std::size_t i = 0; i < table.names.size(); ++i) {
            const std::string term = term_of(table.names[i]);
            if (is_series(i) && !term.empty() && !log.facts.has(term)) take(term, i);
        }
    };
    take_known();
    summaries = true;
    take_known();
    for (std::size_t i = 0; i < table.names.size(); ++i)
        if (!taken[i]) log.unused.push_back(printable(table.names[i], 60) + reason_not_used(table, i, ambiguous));
    std::vector<std::string> series;
    for (const std::string& used : log.used) series.push_back(used.substr(0, used.find(": ")));
    turn_round(log.facts, series);
    fill_epochs(log.facts);
    take_last_run(log.facts);
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
        // An accuracy in training and an mAP in validation are two things.
        if (const Series* values = log.facts.series(from);
            values && !log.facts.has(to) && (std::string(to) == "metric" || log.facts.has("accuracy"))) {
            Series share = *values;
            for (double& v : share) v /= 100;
            log.facts.set(to, std::move(share));
        }
    return log;
}

bool says_something(const Facts& facts) {
    for (const char* name :
         {"train_loss", "val_loss", "step_loss", "metric", "train_metric", "accuracy", "train_accuracy", "precision",
          "recall", "grad_norm", "positive_fraction", "spread", "epoch_seconds", "step_lr_planned"})
        if (facts.series(name)) return true;
    for (const char* family : {"train_term.", "val_term.", "exit_loss.", "exit_metric."})
        if (!facts.family(family).empty()) return true;
    return false;
}

}  // namespace solobox::doctor
