// The one table of the doctor: every known way in which training fails, as a rule that reads facts and judges. A rule
// that misses a fact says SKIP, never PASS: reading through `Chart` sees to that.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "train/run/facts.h"

namespace solobox::doctor {

enum class Severity { skip, pass, info, warn, fail };
const char* name_of(Severity s);

// All limits stand in the table and can be set: "D02.low=0.4". "D40=off" silences a rule.
struct Threshold {
    std::string name;
    double value = 0;
    std::string meaning;
};

struct Verdict {
    std::string id;
    Severity severity = Severity::skip;
    std::optional<double> value;  // what was measured
    std::string message;          // evidence in words; of a skipped rule: what is missing
    std::string fix;              // the next thing to try
};

class Overrides {
public:
    // "D02.low=0.4,D40=off"; ConfigError for a rule or threshold that there is not.
    void add(const std::string& text);
    bool off(const std::string& id) const;
    const double* value(const std::string& id, const std::string& name) const;

private:
    std::map<std::string, double> values_;
};

// What a rule sees.
class Chart {
public:
    struct Missing {
        std::string what;
    };
    Chart(const Facts& facts, const struct Rule& rule, const Overrides& overrides)
        : facts_(facts), rule_(rule), overrides_(overrides) {}

    double number(const std::string& fact) const;  // these throw Missing
    const std::string& text(const std::string& fact) const;
    const Series& series(const std::string& fact) const;
    const Texts& texts(const std::string& fact) const;
    double number_or(const std::string& fact, double otherwise) const;
    std::string text_or(const std::string& fact, const std::string& otherwise) const;
    bool has(const std::string& fact) const { return facts_.has(fact); }
    const Facts& facts() const { return facts_; }
    double limit(const std::string& threshold) const;

    // pictures per optimizer step: batch_per_step x accumulation x replicas
    double effective_batch() const;
    // r of D02: rate per picture over that of the reference
    double rate_ratio() const;
    // (epoch, value) without gaps; epochs count from 1 when the log has no such column.
    std::vector<std::pair<double, double>> by_epoch(const std::string& fact) const;
    double last_of(const std::string& fact) const { return by_epoch(fact).back().second; }
    double epochs_seen() const;  // the last epoch of the log

    Verdict pass(std::optional<double> value = {}, const std::string& message = "") const;
    Verdict fire(Severity severity, std::optional<double> value, const std::string& message,
                 const std::string& fix = "") const;  // fix empty: the rule's own

private:
    const Facts& facts_;
    const Rule& rule_;
    const Overrides& overrides_;
};

// The smallest input that shows a rule at work, and the same with only that cured.
struct Example {
    enum class Kind {
        config,   // key=value words of a configuration: `solobox doctor WORDS`
        foreign,  // YAML of another program: `solobox doctor FILE --dialect yaml1.1`
        log,      // a table: `solobox doctor --log FILE`, with --fact words
        run,      // a run of these words: `solobox train WORDS`, then `solobox doctor RUN`
        overfit   // `solobox doctor WORDS --overfit`
    };
    Kind kind = Kind::config;
    std::string faulty, cured;
    std::string facts = {};  // words for --fact, of both
};

struct Rule {
    std::string id;      // D02; T1 .. T5 are the five pre-flight tests
    std::string phases;  // C static configuration, P probe of the model, R while it runs, L from a finished log
    std::string name;    // "learning rate against batch"
    std::string signal;  // what is measured, and when it fires
    std::vector<Threshold> thresholds = {};
    std::string severity;  // "FAIL", "WARN/FAIL"
    std::string cause = {}, key = {}, fix = {};
    std::string report = {};                 // whose mistake it was: "checklist", "exits, collapse" (docs/reports.md)
    std::string note = {};                   // where arithmetic corrects the report's own explanation
    std::vector<std::string> explains = {};  // rules whose findings follow from this one's: it is read before them
    Example example;
    std::function<Verdict(const Chart&)> judge;
};

const std::vector<Rule>& rule_table();
const Rule& rule(const std::string& id);  // ConfigError with the nearest id

// Rules of these phases ("CPRL") on what is known, in the order in which they should be read: what explains others
// comes first. `which`: ids to look at; empty: all.
std::vector<Verdict> examine(const Facts& facts, const std::string& phases, const Overrides& overrides = {},
                             const std::vector<std::string>& which = {});

std::string reports_of(const Rule& rule);  // "the checklist report", "the reports exits, collapse"

// docs/doctor.md
std::string rules_markdown();

// The parts of the table.
void add_setting_rules(std::vector<Rule>& table);
void add_data_rules(std::vector<Rule>& table);
void add_model_rules(std::vector<Rule>& table);
void add_schedule_rules(std::vector<Rule>& table);
void add_probe_rules(std::vector<Rule>& table);
void add_preflight_tests(std::vector<Rule>& table);  // T1 .. T5
void add_run_rules(std::vector<Rule>& table);
void add_metric_rules(std::vector<Rule>& table);
void add_curve_rules(std::vector<Rule>& table);
void add_log_rules(std::vector<Rule>& table);
void add_story_rules(std::vector<Rule>& table);

// The loss that a run began with: the median of its first five steps, for one batch may be a lucky one; the first of
// those that only rise.
constexpr std::size_t first_losses = 5;
double usual_start(const Series& losses);

// A table for an example: the header, then rows numbered from 1.
std::string rows_of(const char* header, std::initializer_list<double> values);

}  // namespace solobox::doctor
