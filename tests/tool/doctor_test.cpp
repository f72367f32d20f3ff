// Every rule of the doctor against its own example: it fires on the faulty one and passes, not skips, on the cured one.
// The examples are those of docs/doctor.md, run through the program as a reader would.
#include <gtest/gtest.h>

#include <map>

#include "tests/support/program.h"
#include "train/doctor/rules.h"

namespace solobox {
namespace {

using namespace fixtures;
using doctor::Example;
using doctor::Rule;

std::vector<std::string> words_of(const std::string& text) {
    std::vector<std::string> words;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find(' ', at), text.size());
        if (end > at) words.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return words;
}

void append(std::vector<std::string>& to, const std::vector<std::string>& more) {
    to.insert(to.end(), more.begin(), more.end());
}

class EveryRule : public ::testing::TestWithParam<std::string> {
protected:
    // The verdict on the rule's example, as the program gives it.
    nlohmann::json verdict(const Rule& r, bool cured) {
        const Example& e = r.example;
        const std::string& text = cured ? e.cured : e.faulty;
        std::vector<std::string> words{"doctor"};
        switch (e.kind) {
            case Example::Kind::overfit:
                words.emplace_back("--overfit");
                [[fallthrough]];
            case Example::Kind::config:
                append(words, words_of(text));
                break;
            case Example::Kind::foreign:
                dir_.write("config.yaml", text);
                append(words, {dir_ / "config.yaml", "--dialect", "yaml1.1"});
                break;
            case Example::Kind::log:
                dir_.write("log.csv", text);
                append(words, {"--log", dir_ / "log.csv"});
                break;
            case Example::Kind::run: {
                const std::string place = dir_ / (cured ? "cured" : "faulty");
                std::vector<std::string> train{"train", "--out", place, "-q"};
                append(train, words_of(text));
                const Answer run = run_program(train);
                EXPECT_TRUE(run.code == 0 || run.code == 5) << run.err;
                words.push_back(place);
                break;
            }
        }
        const std::size_t bar = e.facts.find('|');
        const std::string facts = bar == std::string::npos ? e.facts
                                  : cured                  ? e.facts.substr(bar + 1)
                                                           : e.facts.substr(0, bar);
        for (const std::string& fact : words_of(facts)) append(words, {"--fact", fact});
        words.emplace_back("--json");
        const Answer answer = run_program(words);
        EXPECT_EQ(answer.code, 0) << answer.err;
        if (answer.code != 0) return {};
        others_.clear();
        nlohmann::json found;
        const nlohmann::json page = answer.json();
        for (const auto& v : page["rules"]) {
            if (v["id"] == r.id)
                found = v;
            else if (v["severity"] == "FAIL" || v["severity"] == "WARN")
                others_ += v["id"].get<std::string>() + " ";
        }
        return found;
    }
    TemporaryDirectory dir_;
    std::string others_;  // rules that fired beside
};

TEST_P(EveryRule, FiresAndIsCured) {
    const Rule& r = doctor::rule(GetParam());
    // A dozen seconds and more each where every access is checked: a few of each kind are enough there.
    const bool heavy = r.example.kind != Example::Kind::log && r.example.kind != Example::Kind::foreign &&
                       r.id != "D05" && r.id != "D31" && r.id != "D42" && r.id != "T3";
    if (instrumented && heavy) GTEST_SKIP() << "takes minutes in an instrumented build";
    const nlohmann::json faulty = verdict(r, false);
    ASSERT_FALSE(faulty.is_null());
    EXPECT_NE(faulty["severity"], "PASS") << r.id << ": " << faulty.dump();
    EXPECT_NE(faulty["severity"], "SKIP") << r.id << ": " << faulty.dump();
    EXPECT_NE(faulty["message"], "");
    EXPECT_NE(faulty["fix"], "");
    EXPECT_NE(r.severity.find(faulty["severity"].get<std::string>()), std::string::npos) << faulty.dump();
    RecordProperty("beside", others_);
    const nlohmann::json cured = verdict(r, true);
    EXPECT_EQ(cured["severity"], "PASS") << r.id << ": " << cured.dump();
}

std::vector<std::string> ids() {
    std::vector<std::string> all;
    for (const Rule& r : doctor::rule_table()) all.push_back(r.id);
    return all;
}
INSTANTIATE_TEST_SUITE_P(Doctor, EveryRule, ::testing::ValuesIn(ids()), [](const auto& rule) { return rule.param; });

// The probes on the real ResNet-18, with two auxiliary heads and a backbone that has a group of its own.
TEST(DoctorProbes, OnResNet18) {
    if (instrumented) GTEST_SKIP() << "takes minutes in an instrumented build";
    const std::vector<std::string> base{"doctor",      "model=resnet18",  "image=64", "batch=16",
                                        "aux_heads=2", "backbone_lr=0.1", "--json"};
    const auto severities = [&](const std::vector<std::string>& more) {
        std::vector<std::string> words = base;
        append(words, more);
        const Answer answer = run_program(words);
        EXPECT_EQ(answer.code, 0) << answer.err;
        std::map<std::string, std::string> found;
        const nlohmann::json page = nlohmann::json::parse(answer.out, nullptr, false);
        for (const auto& v : page["rules"]) found[v["id"]] = v["severity"];
        return found;
    };
    const auto healthy = severities({}), frozen = severities({"freeze=backbone", "unfreeze_epoch=2"});
    for (const auto* run : {&healthy, &frozen})
        for (const char* id :
             {"D20", "D24", "D26", "D27", "D31", "D32", "D33", "D36", "D42", "D65", "T1", "T2", "T3", "T5"})
            EXPECT_EQ(run->at(id), "PASS") << id;
    EXPECT_EQ(frozen.at("D30"), "PASS");
    const std::pair<const char*, std::vector<std::string>> faults[] = {
        {"D20", {"fault=flat_groups"}},
        {"D24", {"fault=unweighted"}},
        {"D26", {"fault=aux_silent"}},
        {"D27", {"fault=aux_detached"}},
        {"D30", {"freeze=backbone", "unfreeze_epoch=2", "fault=frozen_trains"}},
        {"D31", {"fault=cut"}},
        {"D32", {"freeze=backbone", "unfreeze_epoch=2", "fault=forgotten"}},
        {"D33", {"fault=aux_shifted"}},
        {"D42", {"fault=ema_tail"}},
        {"D65", {"fault=batch_metric"}}};
    for (const auto& [id, words] : faults) {
        const std::string found = severities(words).at(id);
        EXPECT_TRUE(found == "WARN" || found == "FAIL") << id << ": " << found;
    }
}

TEST(DoctorTable, IsWholeAndOrdered) {
    const auto& table = doctor::rule_table();
    ASSERT_EQ(table.size(), 80U + 5U);
    for (std::size_t i = 0; i < 80; ++i) EXPECT_EQ(table[i].id, fmt::format("D{:02}", i + 1));
    for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(table[80 + i].id, fmt::format("T{}", i + 1));
    for (const Rule& r : table) {
        EXPECT_FALSE(r.signal.empty() || r.fix.empty() || r.report.empty() || r.severity.empty()) << r.id;
        EXPECT_EQ(r.phases.find_first_not_of("CPRL"), std::string::npos) << r.id;
    }
}

TEST(DoctorTable, NothingKnownMeansSkip) {
    for (const doctor::Verdict& v : doctor::examine({}, "CPRL")) {
        EXPECT_EQ(v.severity, doctor::Severity::skip) << v.id << ": " << v.message;
        EXPECT_NE(v.message, "") << v.id;
    }
}

TEST(DoctorTable, TheDocsAreThoseOfTheTable) {
    EXPECT_TRUE(read_text(std::string(SOLOBOX_SOURCE_DIR) + "/docs/doctor.md") == doctor::rules_markdown())
        << "solobox doctor --docs > docs/doctor.md";
}

// What was planted must be found by measuring: no code of the doctor knows the switches.
TEST(DoctorTable, NoRuleReadsAFaultSwitch) {
    const std::string source = SOLOBOX_SOURCE_DIR, room = source + "/train/doctor";
    std::vector<std::string> files{source + "/apps/doctor.cpp", source + "/train/session/run_watch.cpp",
                                   source + "/train/session/run_findings.cpp"};
    for (const auto& entry : std::filesystem::directory_iterator(room)) files.push_back(entry.path().string());
    ASSERT_GT(files.size(), 20U);
    for (const std::string& file : files) {
        const std::string text = read_text(file);
        // The names may stand in the table, as the key to change.
        for (const char* key : {"has_fault", "config/faults.h", "text(\"fault\")", "at(\"fault\")",
                                "(\"optimizer_override\")", "(\"clamp_before_loss\")", "(\"decay_all\")"})
            EXPECT_EQ(text.find(key), std::string::npos) << file << ": " << key;
    }
}

TEST(DoctorTable, ThresholdsCanBeSet) {
    doctor::Facts facts;
    for (const char* word :
         {"batch_per_step=16", "accumulation=8", "lr=0.0001", "reference_batch=8", "reference_lr=0.00025"})
        facts.set_word(word);
    const auto severity = [&](const std::string& thresholds) {
        doctor::Overrides o;
        o.add(thresholds);
        return doctor::examine(facts, "C", o, {"D02"}).at(0).severity;
    };
    EXPECT_EQ(severity(""), doctor::Severity::fail);
    EXPECT_EQ(severity("D02.low=0.02"), doctor::Severity::pass);
    EXPECT_EQ(severity("D41.warn=0.2,D02=off"), doctor::Severity::skip);
    for (const char* wrong : {"D02.lo=1", "D99=off", "D02", "D02=on", "D02.low=x"})
        EXPECT_THROW(severity(wrong), ConfigError) << wrong;
}

}  // namespace
}  // namespace solobox
