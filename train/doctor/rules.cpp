#include "train/doctor/rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tensor/check.h"
#include "train/config/config.h"
#include "train/config/names.h"

namespace solobox::doctor {

const char* name_of(Severity s) {
    switch (s) {
        case Severity::skip:
            return "SKIP";
        case Severity::pass:
            return "PASS";
        case Severity::info:
            return "INFO";
        case Severity::warn:
            return "WARN";
        case Severity::fail:
            return "FAIL";
    }
    return "";
}

const std::vector<Rule>& rule_table() {
    static const std::vector<Rule> table = [] {
        std::vector<Rule> all;
        add_setting_rules(all), add_data_rules(all), add_model_rules(all), add_schedule_rules(all),
            add_probe_rules(all), add_preflight_tests(all);
        add_run_rules(all), add_metric_rules(all), add_curve_rules(all), add_log_rules(all), add_story_rules(all);
        std::sort(all.begin(), all.end(), [](const Rule& a, const Rule& b) { return a.id < b.id; });
        return all;
    }();
    return table;
}

const Rule& rule(const std::string& id) {
    std::vector<std::string> ids;
    for (const Rule& r : rule_table()) {
        if (r.id == id) return r;
        ids.push_back(r.id);
    }
    throw ConfigError(
        fmt::format("unknown rule '{}'{} (docs/doctor.md lists all)", id.substr(0, 40), did_you_mean(id, ids)));
}

void Overrides::add(const std::string& text) {
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find(',', at), text.size());
        const std::string item = text.substr(at, end - at);
        at = end + 1;
        const std::size_t equals = item.find('='), dot = item.find('.');
        if (equals == std::string::npos)
            throw ConfigError(fmt::format("threshold '{}': expected RULE.NAME=VALUE or RULE=off", item.substr(0, 60)));
        if (dot == std::string::npos || dot > equals) {
            const std::string id = item.substr(0, equals);
            if (item.substr(equals + 1) != "off")
                throw ConfigError(fmt::format("threshold '{}': expected {}=off or {}.NAME=VALUE", item.substr(0, 60),
                                              rule(id).id, id));
            (void)rule(id), values_[id] = 1;
            continue;
        }
        const Rule& r = rule(item.substr(0, dot));
        const std::string name = item.substr(dot + 1, equals - dot - 1);
        std::vector<std::string> names;
        for (const Threshold& t : r.thresholds) names.push_back(t.name);
        if (std::find(names.begin(), names.end(), name) == names.end())
            throw ConfigError(fmt::format("{} has no threshold '{}'{}: it has {}", r.id, name.substr(0, 40),
                                          did_you_mean(name, names),
                                          names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "))));
        values_[r.id + "." + name] = parse_number(r.id + "." + name, item.substr(equals + 1));
    }
}

bool Overrides::off(const std::string& id) const { return values_.contains(id); }

const double* Overrides::value(const std::string& id, const std::string& name) const {
    const auto found = values_.find(id + "." + name);
    return found == values_.end() ? nullptr : &found->second;
}

double Chart::number(const std::string& fact) const {
    const double* v = facts_.number(fact);
    if (!v || std::isnan(*v)) throw Missing{fact};
    return *v;
}
const std::string& Chart::text(const std::string& fact) const {
    const std::string* v = facts_.text(fact);
    if (!v) throw Missing{fact};
    return *v;
}
const Series& Chart::series(const std::string& fact) const {
    const Series* v = facts_.series(fact);
    if (!v || std::all_of(v->begin(), v->end(), [](double x) { return std::isnan(x); })) throw Missing{fact};
    return *v;
}
const Texts& Chart::texts(const std::string& fact) const {
    const Texts* v = facts_.texts(fact);
    if (!v) throw Missing{fact};
    return *v;
}
double Chart::number_or(const std::string& fact, double otherwise) const {
    const double* v = facts_.number(fact);
    return v && !std::isnan(*v) ? *v : otherwise;
}
std::string Chart::text_or(const std::string& fact, const std::string& otherwise) const {
    const std::string* v = facts_.text(fact);
    return v ? *v : otherwise;
}

double Chart::limit(const std::string& name) const {
    if (const double* v = overrides_.value(rule_.id, name)) return *v;
    for (const Threshold& t : rule_.thresholds)
        if (t.name == name) return t.value;
    throw Error(fmt::format("{} has no threshold '{}'", rule_.id, name));
}

double Chart::effective_batch() const {
    return number("batch_per_step") * number_or("accumulation", 1) * number_or("replicas", 1);
}

double Chart::rate_ratio() const {
    const double per_picture = number("lr") / effective_batch(),
                 reference = number("reference_lr") / number("reference_batch");
    if (!(reference > 0)) throw Missing{"reference_lr above 0"};
    return per_picture / reference;
}

std::vector<std::pair<double, double>> Chart::by_epoch(const std::string& fact) const {
    const Series& values = series(fact);
    const Series* epochs = facts_.series("epoch");
    std::vector<std::pair<double, double>> rows;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const double epoch = epochs && i < epochs->size() ? (*epochs)[i] : static_cast<double>(i + 1);
        // A look before the first step says nothing about training; what is not finite is D35's business.
        if (std::isfinite(values[i]) && epoch > 0) rows.emplace_back(epoch, values[i]);
    }
    if (rows.empty()) throw Missing{fact};
    // In order, and of an epoch that was logged twice the later row.
    std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<std::pair<double, double>> unique;
    for (const auto& row : rows)
        if (!unique.empty() && unique.back().first == row.first)
            unique.back() = row;
        else
            unique.push_back(row);
    return unique;
}

double Chart::epochs_seen() const {
    const Series* epochs = facts_.series("epoch");
    double last = 0;
    if (epochs)
        for (const double e : *epochs) last = std::isnan(e) ? last : std::max(last, e);
    return last;
}

Verdict Chart::pass(std::optional<double> value, const std::string& message) const {
    return {rule_.id, Severity::pass, value, message, ""};
}

Verdict Chart::fire(Severity severity, std::optional<double> value, const std::string& message,
                    const std::string& fix) const {
    return {rule_.id, severity, value, message, fix.empty() ? rule_.fix : fix};
}

std::string reports_of(const Rule& rule) {
    const bool one = rule.report.find_first_of(", (") == std::string::npos;
    return one ? "the " + rule.report + " report" : "the reports " + rule.report;
}

std::vector<Verdict> examine(const Facts& facts, const std::string& phases, const Overrides& overrides,
                             const std::vector<std::string>& which) {
    std::vector<Verdict> out;
    for (const Rule& r : rule_table()) {
        if (r.phases.find_first_of(phases) == std::string::npos) continue;
        if (!which.empty() && std::find(which.begin(), which.end(), r.id) == which.end()) continue;
        if (overrides.off(r.id)) {
            out.push_back({r.id, Severity::skip, {}, "switched off", ""});
            continue;
        }
        try {
            out.push_back(r.judge(Chart(facts, r, overrides)));
        } catch (const Chart::Missing& missing) {
            out.push_back({r.id, Severity::skip, {}, "not known: " + missing.what, ""});
        }
    }
    std::stable_sort(out.begin(), out.end(),
                     [](const Verdict& a, const Verdict& b) { return a.severity > b.severity; });
    // A cause is read before what follows from it, however grave that looks.
    for (const Rule& r : rule_table()) {
        if (r.explains.empty()) continue;
        const auto own = std::find_if(out.begin(), out.end(), [&](const Verdict& v) { return v.id == r.id; });
        if (own == out.end() || own->severity < Severity::warn) continue;
        const auto first = std::find_if(out.begin(), own, [&](const Verdict& v) {
            return std::find(r.explains.begin(), r.explains.end(), v.id) != r.explains.end();
        });
        std::rotate(first, own, own + 1);
    }
    return out;
}

std::string rows_of(const char* header, std::initializer_list<double> values) {
    std::string text = header;
    int row = 1;
    for (const double v : values) text += fmt::format("{},{:g}\n", row++, v);
    return text;
}

}  // namespace solobox::doctor
