// docs/doctor.md, from the table.
#include <fmt/format.h>

#include "train/doctor/rules.h"

namespace solobox::doctor {
namespace {

std::string capital(std::string text) {
    if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
    return text;
}

std::string cell(std::string text) {
    for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.replace(at, 1, "\\|");
    return text;
}

std::string part(const std::string& facts, bool cured) {
    const std::size_t bar = facts.find('|');
    return bar == std::string::npos ? facts : cured ? facts.substr(bar + 1) : facts.substr(0, bar);
}

std::string with_facts(const std::string& facts) {
    std::string text;
    for (std::size_t at = 0; at < facts.size();) {
        const std::size_t end = std::min(facts.find(' ', at), facts.size());
        text += " --fact " + facts.substr(at, end - at);
        at = end + 1;
    }
    return text;
}

std::string block(const std::string& text) { return "```\n" + text + (text.ends_with('\n') ? "" : "\n") + "```\n"; }

std::string shown(const Example& e, bool cured) {
    const std::string& text = cured ? e.cured : e.faulty;
    const std::string facts = with_facts(part(e.facts, cured));
    switch (e.kind) {
        case Example::Kind::config:
            return block("solobox doctor " + text);
        case Example::Kind::overfit:
            return block("solobox doctor --overfit " + text);
        case Example::Kind::run:
            return block("solobox train " + text + "\nsolobox doctor runs/latest");
        case Example::Kind::foreign:
            return block(text) + "`solobox doctor FILE.yaml --dialect yaml1.1" + facts + "`\n";
        case Example::Kind::log:
            return block(text) + "`solobox doctor --log FILE.csv" + facts + "`\n";
    }
    return "";
}

std::string phases_in_words(const std::string& phases) {
    std::string text;
    for (const char p : phases)
        text += std::string(text.empty() ? "" : ", ") + (p == 'C'   ? "configuration"
                                                         : p == 'P' ? "probe"
                                                         : p == 'R' ? "while it runs"
                                                                    : "log");
    return text;
}

}  // namespace

std::string rules_markdown() {
    std::string text =
        "# The doctor's rules\n\n"
        "Written by `solobox doctor --docs` from the table in train/doctor/rules_*.cpp. Every rule reads named facts; "
        "one that misses a fact says SKIP, never PASS. Limits are set with `--threshold D02.low=0.4` (in a run: "
        "`thresholds: D02.low=0.4`), `D02=off` silences a rule. Facts that the doctor cannot find out are told with "
        "`--fact train_images=6000`. A rule about a mechanism that no model here has (exits of a transformer, experts, "
        "assigners, masks: D33 in part, D34, D53, D56's rows, D67, D72) works on logs and facts.\n\n";
    text += "| rule | | looks at | severity | [report](reports.md) |\n|---|---|---|---|---|\n";
    for (const Rule& r : rule_table())
        text += fmt::format("| [{0}](#{1}) | {2} | {3} | {4} | {5} |\n", r.id,
                            r.id[0] == 'D' ? "d" + r.id.substr(1) : "t" + r.id.substr(1), cell(r.name),
                            phases_in_words(r.phases), r.severity, r.report);
    for (const Rule& r : rule_table()) {
        text += fmt::format("\n## {}\n\n**{}.** {}: {}.", r.id, capital(r.name), r.severity, r.signal);
        if (!r.cause.empty()) text += fmt::format(" Likely cause: {}.", r.cause);
        text += "\n\n";
        if (!r.key.empty()) text += fmt::format("Key: {}. ", r.key);
        text += fmt::format("Cure: {}. From {}.\n", r.fix, reports_of(r));
        if (!r.thresholds.empty()) {
            text += "\nThresholds: ";
            bool first = true;
            for (const Threshold& t : r.thresholds) {
                text += fmt::format("{}`{}.{}` {:g}{}", first ? "" : ", ", r.id, t.name, t.value,
                                    t.meaning.empty() ? "" : " (" + t.meaning + ")");
                first = false;
            }
            text += ".\n";
        }
        if (!r.note.empty()) text += fmt::format("\n**What the report says and what is right.** {}\n", r.note);
        text +=
            "\nFires:\n\n" + shown(r.example, false) + "\nSilent, with only that cured:\n\n" + shown(r.example, true);
    }
    text +=
        "\n## Facts\n\nNames for `--fact` (numbers, texts), `--columns` (series) and files of other programs; a name "
        "that ends in a dot is a family.\n\n| fact | kind | meaning | also found as |\n|---|---|---|---|\n";
    const char* const kinds[] = {"number", "text", "series", "texts"};
    for (const FactInfo& f : fact_catalogue())
        text += fmt::format("| {} | {} | {} | {} |\n", f.name, kinds[static_cast<int>(f.kind)], cell(f.meaning),
                            cell(fmt::format("{}", fmt::join(f.aliases, ", "))));
    return text;
}

}  // namespace solobox::doctor
