// solobox doctor: why does it not learn? Reads a configuration, a run or somebody's log, and tries the real model.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "apps/apps.h"
#include "apps/doctor_overfit.h"
#include "apps/run_setup.h"
#include "data/text.h"
#include "train/config/file.h"
#include "train/doctor/probes.h"
#include "train/doctor/read_config.h"
#include "train/doctor/rules.h"
#include "train/doctor/sources.h"
#include "train/session/forecast.h"

namespace solobox {
namespace {

using doctor::Log;
using doctor::Overrides;
using doctor::Rule;
using doctor::rule;
using doctor::Series;
using doctor::Severity;
using doctor::Texts;
using doctor::Threshold;
using doctor::Verdict;
using Json = nlohmann::ordered_json;

struct DoctorArguments {
    std::vector<std::string> words, columns, facts, thresholds;
    std::string log, dialect = "solobox", baseline, baseline_config, rules, reference;
    bool strict = false, json = false, json_lines = false, ascii = false, no_probes = false, overfit = false,
         docs = false, quiet = false;
    int threads = 0;
};

const char* const preflight[] = {"T1", "T2", "T3", "T4", "T5"};
bool is_preflight(const std::string& id) { return id[0] == 'T'; }

class Page {
public:
    explicit Page(bool ascii) : ascii_(ascii || !utf8_locale()) {}
    std::string mark(Severity s) const {
        switch (s) {
            case Severity::fail:
                return ascii_ ? "[x]" : "❌";
            case Severity::warn:
                return ascii_ ? "[!]" : "⚠️";
            case Severity::pass:
                return ascii_ ? "[ok]" : "✅";
            case Severity::info:
                return ascii_ ? "[i]" : "ℹ️";
            case Severity::skip:
                return ascii_ ? "[-]" : "➖";
        }
        return "";
    }

private:
    bool ascii_;
};

std::string threshold_text(const Rule& r, const Overrides& o) {
    std::string text;
    for (const Threshold& t : r.thresholds) {
        const double* set = o.value(r.id, t.name);
        text += fmt::format("{}{} {:g}", text.empty() ? "" : ", ", t.name, set ? *set : t.value);
    }
    return text;
}

Json json_of(const Verdict& v, const Overrides& o) {
    const Rule& r = rule(v.id);
    const bool number = v.value && std::isfinite(*v.value);
    return {{"id", v.id},
            {"name", r.name},
            {"phase", r.phases},
            {"severity", doctor::name_of(v.severity)},
            {"value", number ? Json(*v.value) : Json(nullptr)},
            {"threshold", threshold_text(r, o)},
            {"message", v.message},
            {"cause", r.cause},
            {"key", r.key},
            {"fix", v.fix},
            {"report", r.report}};
}

// ---- what there is to look at ----

struct Patient {
    doctor::Facts facts;
    std::string phases, title;
    bool probed = false;
    std::vector<ProbeTest> tests;
    std::vector<std::string> notes;
    std::string thresholds;  // of the configuration
};

Patient look_at_config(const DoctorArguments& a, const Config& config, bool probes) {
    Patient p;
    p.phases = probes ? "CP" : "C";
    p.thresholds = config.text("thresholds");
    doctor::Facts known = doctor::read_data_facts(config);
    for (const std::string& word : a.facts) known.set_word(word);
    p.facts = doctor::read_settings_facts(config, known, a.threads);
    Config settings;
    const std::unique_ptr<Learner> learner = make_patient(config, settings);
    read_built_facts(*learner, config, p.facts);
    if (config.text("data").empty())
        p.notes.emplace_back("no data given: rules about its size say SKIP (data=DIRECTORY, or --fact train_images=N)");
    if (!probes) return p;
    p.probed = true;
    {
        const std::int64_t memory = available_memory();
        const MemoryForecast f = forecast_memory(*learner, true, memory);
        const double batch = config.number("batch") / config.number("accumulate");
        p.facts.set("memory_bytes", static_cast<double>(memory));
        p.facts.set("peak_bytes", static_cast<double>(f.before + f.optimizer + f.checkpoint) +
                                      static_cast<double>(f.per_picture) * batch);
    }
    p.tests = run_probes(*learner, settings, p.facts);
    if (a.overfit) overfit_facts(config, p.facts);
    return p;
}

Config words_config(const DoctorArguments& a) {
    Config config = training_config(a.words);
    if (!a.reference.empty()) config.set("reference", a.reference, "--reference");
    return config;
}

// The directory of a run among the words; "" when there is none.
std::string run_among(const DoctorArguments& a) {
    std::error_code error;
    if (a.words.size() == 1 && a.words[0].find('=') == std::string::npos &&
        std::filesystem::is_directory(a.words[0], error))
        return a.words[0];
    return "";
}

Patient look_at(const DoctorArguments& a) {
    const std::string directory = run_among(a);
    std::error_code error;
    for (const std::string& word : a.words)
        if (directory.empty() && word.find('=') == std::string::npos && std::filesystem::is_directory(word, error))
            throw ConfigError(fmt::format("{}: a run is looked at as it is, without key=value words", word));
    if (!directory.empty()) {
        const RunDirectory run = RunDirectory::existing(directory);
        const Config config = read_config(run.file("args.yaml"));
        Patient p;
        p.title = "run " + directory;
        p.thresholds = config.text("thresholds");
        p.phases = "CRLP";
        p.facts = doctor::read_whole_run(run, config, true);
        if (p.facts.has("job")) p.phases = "RLP";  // its settings are not a training's
        p.facts.set("peak_gmacs", measure_gmacs());
        p.facts.merge(doctor::read_reference(a.reference.empty() ? config.text("reference") : a.reference));
        return p;
    }
    if (a.words.empty()) {
        Patient p;
        p.phases = "CRLP", p.title = "log " + a.log;
        return p;
    }
    if (a.dialect == "yaml1.1") {
        if (a.words.size() != 1) throw ConfigError("--dialect yaml1.1 takes one file");
        Patient p;
        p.title = a.words[0];
        p.phases = "CRLP";
        p.facts = doctor::read_foreign_config(a.words[0]);
        p.facts.merge(doctor::read_reference(a.reference));
        return p;
    }
    set_up_compute(words_config(a), a.threads);
    Patient p = look_at_config(a, words_config(a), !a.no_probes);
    p.title = fmt::format("{}", fmt::join(a.words, " "));
    return p;
}

// ---- the baseline ----

// Not where, on what or with which random numbers: those may differ between a run and its baseline.
bool differs_in_kind(const std::string& key) {
    if (key == "seed" || key == "data" || key == "save_dir") return false;
    for (const ConfigKey& k : config_schema())
        if (k.name == key) return k.decides != Decides::nothing;
    return true;
}

void add_baseline(const DoctorArguments& a, doctor::Facts& facts, const std::map<std::string, std::string>& own) {
    std::map<std::string, std::string> other;
    if (!a.baseline.empty()) {
        std::error_code error;
        doctor::Facts base;
        if (std::filesystem::is_directory(a.baseline, error)) {
            const RunDirectory run = RunDirectory::existing(a.baseline);
            const Config config = read_config(run.file("args.yaml"));
            base = doctor::read_whole_run(run, config, false);
            other = read_settings(run.file("args.yaml"));
        } else {
            try {
                base = doctor::read_log(a.baseline, a.columns).facts;
            } catch (const ConfigError&) {
                base = doctor::read_log(a.baseline, {}).facts;  // it names its columns otherwise
            }
        }
        for (const char* part : {"train_term.", "val_term."})
            for (const auto& [name, values] : base.family(part))
                facts.set(std::string("baseline_") + part + name, *values);
        if (const Series* metric = base.series("metric")) {
            double best = -INFINITY;
            for (const double v : *metric) best = std::isnan(v) ? best : std::max(best, v);
            facts.set("baseline_metric", best);
        }
    }
    if (!a.baseline_config.empty()) {
        other = doctor::foreign_settings(a.baseline_config);
        const doctor::Facts base = doctor::read_foreign_config(a.baseline_config);
        for (const auto& [name, gain] : base.family("gain.")) facts.set("baseline_gain." + name, *gain);
    }
    if (other.empty() || own.empty()) return;
    Texts changed;
    for (const auto& [key, value] : own)
        if (const auto found = other.find(key);
            differs_in_kind(key) && (found == other.end() || found->second != value))
            changed.push_back(key.substr(key.rfind('.') + 1));
    facts.set("changed_keys", changed);
}

// ---- what is said ----

void say_finding(const Page& page, const Verdict& v) {
    const Rule& r = rule(v.id);
    fmt::print("{} {} {}  {}  (from {})\n", page.mark(v.severity), doctor::name_of(v.severity), v.id, r.name,
               reports_of(r));
    fmt::print("     {}\n", v.message);
    if (!r.cause.empty() && v.severity >= Severity::warn) fmt::print("     likely cause: {}\n", r.cause);
    if (!v.fix.empty()) fmt::print("     try: {}{}\n", v.fix, r.key.empty() ? "" : fmt::format("   [{}]", r.key));
}

// The fourth test needs no model.
void say_hyperparameters(const doctor::Facts& facts) {
    const auto n = [&](const char* fact) { return facts.number(fact) ? *facts.number(fact) : NAN; };
    const double batch = n("batch_per_step") * n("accumulation"), per_sample = n("lr") / batch;
    fmt::print(
        "Test 4: Hyperparameters\n  Batch size                {:g}\n  Accumulation steps        {:g}\n"
        "  Effective batch           {:g}\n  Learning rate             {:g}\n  Effective LR per sample   {:.8f}\n",
        n("batch_per_step"), n("accumulation"), batch, n("lr"), per_sample);
    if (!facts.has("reference_lr")) {
        fmt::print("  No run known to be good is given (reference=batch=8,lr0=0.00025)\n");
        return;
    }
    const double known = n("reference_lr") / n("reference_batch"), r = per_sample / known;
    fmt::print("  Known good                {:g}, {:g}, {:.8f}\n", n("reference_batch"), n("reference_lr"), known);
    fmt::print("  Batch size ratio          {:.2f}x\n  LR per sample ratio       {:.2f}x ({:.3f})\n",
               batch / n("reference_batch"), r, r);
}

void say_preflight(const Page& page, const Patient& p, const std::vector<Verdict>& verdicts) {
    for (const ProbeTest& t : p.tests) {
        if (t.test == 5) say_hyperparameters(p.facts);
        fmt::print("Test {}: {}\n", t.test, t.title);
        for (const std::string& line : t.lines) fmt::print("{}\n", line);
    }
    fmt::print("\n");
    const Verdict* rate = nullptr;
    for (const char* id : preflight) {
        const auto v = std::find_if(verdicts.begin(), verdicts.end(), [&](const Verdict& x) { return x.id == id; });
        if (v == verdicts.end()) continue;
        fmt::print("{:<20} {} {}\n", rule(id).name, page.mark(v->severity), name_of(v->severity));
        if (v->id == "T4" && v->severity == Severity::fail) rate = &*v;
    }
    if (!rate) return;
    const double r = *rate->value;
    fmt::print("\n{} WARNING: {}\n   Recommended LR: {:.6f}\n", page.mark(Severity::warn), rate->message,
               *p.facts.number("lr") / r);
}

ExitCode examine_and_say(const DoctorArguments& a) {
    if (a.docs) {
        fmt::print("{}", doctor::rules_markdown());
        return ExitCode::done;
    }
    if (a.words.empty() && a.log.empty())
        throw ConfigError(
            "nothing to look at: expected CONFIG.yaml, key=value words, the directory of a run, or --log FILE");
    Overrides overrides;
    const bool all = a.rules == "all";
    std::vector<std::string> which;
    if (!a.rules.empty() && !all)
        for (std::size_t at = 0; at < a.rules.size();) {
            const std::size_t end = std::min(a.rules.find(',', at), a.rules.size());
            which.push_back(rule(a.rules.substr(at, end - at)).id);
            at = end + 1;
        }
    const bool tries = !a.no_probes && !a.words.empty() && a.dialect == "solobox" && run_among(a).empty();
    if (a.overfit && !tries)
        throw ConfigError(
            "--overfit tries a configuration's model: expected CONFIG.yaml or key=value words, without --no-probes");
    Patient p = look_at(a);
    std::string log_words;
    if (!a.log.empty()) {
        Log log = doctor::read_log(a.log, a.columns);
        if (log.used.empty())
            throw DataError(
                fmt::format("{}: no column is known ({}): name them with --columns FACT=COLUMN, as metric=mAP50",
                            printable(a.log, 300), fmt::join(log.unused, ", ")));
        log_words = fmt::format("Known: {}; not used: {}", fmt::join(log.used, ", "),
                                log.unused.empty() ? "none" : fmt::format("{}", fmt::join(log.unused, ", ")));
        p.facts.merge(log.facts);
        for (const char* phase : {"R", "L"})
            if (p.phases.find(phase) == std::string::npos) p.phases += phase;
        if (!a.quiet && !a.json && !a.json_lines) {
            fmt::print(stderr, "{}: {}\n", a.log,
                       log.used.empty() ? "no column is known (--columns FACT=COLUMN)"
                                        : fmt::format("{}", fmt::join(log.used, "; ")));
            if (!log.unused.empty()) fmt::print(stderr, "  not used: {}\n", fmt::join(log.unused, ", "));
        }
    }
    std::map<std::string, std::string> own;
    if (!run_among(a).empty())
        own = read_settings(RunDirectory::existing(run_among(a)).file("args.yaml"));
    else if (a.dialect == "yaml1.1" && a.words.size() == 1)
        own = doctor::foreign_settings(a.words[0]);
    add_baseline(a, p.facts, own);
    for (const std::string& word : a.facts) p.facts.set_word(word);
    doctor::derive(p.facts);
    overrides.add(p.thresholds);
    for (const std::string& t : a.thresholds) overrides.add(t);
    std::vector<Verdict> verdicts = doctor::examine(p.facts, p.phases, overrides, which);
    for (const std::string& id : which)  // asked for by name, and no question here
        if (std::none_of(verdicts.begin(), verdicts.end(), [&](const Verdict& v) { return v.id == id; }))
            verdicts.push_back({id, Severity::skip, {}, "not looked at here", ""});

    // A log of which nothing can be said is not clean, it was not read.
    if (p.phases == "CRLP" && a.words.empty() && which.empty() && !doctor::says_something(p.facts) &&
        std::none_of(verdicts.begin(), verdicts.end(), [](const Verdict& v) { return v.severity >= Severity::info; }))
        throw DataError(
            fmt::format("{}: nothing could be judged. {}; name more of its columns with --columns "
                        "FACT=COLUMN, as metric=mAP50 (docs/doctor.md lists the facts)",
                        printable(a.log, 300), log_words));

    int count[5] = {};
    for (const Verdict& v : verdicts)
        if (!is_preflight(v.id) || !which.empty() || a.json) ++count[static_cast<int>(v.severity)];
    const bool fail =
        std::any_of(verdicts.begin(), verdicts.end(), [](const Verdict& v) { return v.severity == Severity::fail; });
    const ExitCode code = a.strict && fail ? ExitCode::verdict : ExitCode::done;
    if (a.json_lines) {
        for (const Verdict& v : verdicts) print_json(json_of(v, overrides));
        return code;
    }
    if (a.json) {
        Json rules = Json::array();
        for (const Verdict& v : verdicts) rules.push_back(json_of(v, overrides));
        print_json({{"looked_at", p.title},
                    {"fail", count[4]},
                    {"warn", count[3]},
                    {"info", count[2]},
                    {"pass", count[1]},
                    {"skip", count[0]},
                    {"rules", rules}});
        return code;
    }
    const Page page(a.ascii);
    for (const std::string& note : p.notes) fmt::print(stderr, "{}\n", note);
    for (const Verdict& v : verdicts)
        if ((!is_preflight(v.id) || !which.empty()) && v.severity >= Severity::info) say_finding(page, v);
    if (all || !which.empty())
        for (const Verdict& v : verdicts)
            if (v.severity < Severity::info && (!is_preflight(v.id) || !which.empty()))
                fmt::print("{} {} {}  {}{}\n", page.mark(v.severity), doctor::name_of(v.severity), v.id,
                           rule(v.id).name, v.message.empty() ? "" : ": " + v.message);
    fmt::print("{} FAIL, {} WARN, {} INFO; {} rules pass, {} say SKIP{}\n", count[4], count[3], count[2], count[1],
               count[0], all ? "" : " (--rules all shows why)");
    if (p.probed && which.empty()) {
        fmt::print("\n");
        say_preflight(page, p, verdicts);
    }
    return code;
}

}  // namespace

Verb add_doctor(Command app) {
    auto a = std::make_shared<DoctorArguments>();
    app.option("what", a->words, "CONFIG.yaml and key=value words, or the directory of a run");
    app.option("--log", a->log, "a log of any program: CSV, JSON, JSON lines").not_empty();
    app.option("--columns", a->columns, "columns of the log by fact: metric=mAP50,val_loss=val/total")
        .delimiter(',')
        .one_value();
    app.option("--fact", a->facts, "what the doctor cannot find out: train_images=6000 (docs/doctor.md lists all)")
        .one_value();
    app.option("--dialect", a->dialect, "of the configuration: solobox, or yaml1.1 for files of other programs")
        .one_of({"solobox", "yaml1.1"});
    app.option("--reference", a->reference, "a run known to be good: a name, batch=8,lr0=0.00025, or a run's directory")
        .not_empty();
    app.option("--baseline", a->baseline, "run or log to compare with").not_empty();
    app.option("--baseline-config", a->baseline_config, "its configuration, when it is no run").not_empty();
    app.option("--rules", a->rules, "all: also those that pass or cannot say; or a list: D02,D41").not_empty();
    app.option("--threshold", a->thresholds, "RULE.NAME=VALUE or RULE=off").delimiter(',').one_value();
    app.flag("--no-probes", a->no_probes, "read the configuration, do not try the model");
    app.flag("--overfit", a->overfit, "also learn 8 pictures by heart (D64)");
    app.flag("--strict", a->strict, "exit 4 when a rule says FAIL");
    app.flag("--ascii", a->ascii, "no symbols");
    app.flag("--json", a->json, "one JSON object on standard output");
    app.flag("--json-lines", a->json_lines, "a line of JSON for every rule");
    app.flag("--docs", a->docs, "print docs/doctor.md: every rule with an example");
    app.flag("-q,--quiet", a->quiet, "no talk");
    add_threads_option(app, a->threads);
    return [a] { return examine_and_say(*a); };
}

}  // namespace solobox
