// See report.h. The page's frame: head, verdict, key figures, findings, configuration, environment. The larger sections
// are in report_plot.cpp, report_fields.cpp, report_pictures.cpp and report_layers.cpp. The markup is well-formed XML,
// so that a test can parse it.
#include "train/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "train/report/parts.h"
#include "train/report/style.h"
#include "train/report/text.h"

namespace solobox {
namespace {

using report_text::escape;

// The pattern over cells without gradient; referred to by every heat map.
constexpr std::string_view definitions =
    "<svg class=\"defs\" aria-hidden=\"true\"><defs><pattern id=\"hatch\" width=\"7\" height=\"7\" "
    "patternUnits=\"userSpaceOnUse\" "
    "patternTransform=\"rotate(45)\"><rect width=\"7\" height=\"7\" fill=\"#d63031\"/><rect width=\"2.4\" height=\"7\" "
    "fill=\"#ffb3ae\"/>"
    "</pattern></defs></svg>\n";

std::string verdict(const Report& report) {
    if (report.verdict.empty() && report.verdict_text.empty()) return "";
    // A finding that says FAIL is louder than a score.
    const auto failures = std::count_if(report.findings.begin(), report.findings.end(),
                                        [](const ReportFinding& f) { return f.severity == "FAIL"; });
    const bool pass = report.verdict == "pass",
               fail = report.verdict == "fail" || (report.verdict.empty() && failures > 0);
    const char* sign = pass ? "M14 24.5 21 31.5 34.5 17" : fail ? "M16 16 32 32M32 16 16 32" : "M15 24H33";
    const std::string word = pass                       ? "Passed"
                             : report.verdict == "fail" ? "Failed"
                             : fail ? fmt::format("{} finding{} FAIL", failures, failures == 1 ? " says" : "s say")
                                    : escape(report.verdict);
    std::string out = fmt::format(
        "<div class=\"verdict {}\"><svg viewBox=\"0 0 48 48\" aria-hidden=\"true\"><circle cx=\"24\" cy=\"24\" "
        "r=\"23\"/><path d=\"{}\"/></svg><div>",
        pass   ? "pass"
        : fail ? "fail"
               : "neutral",
        sign);
    if (!word.empty()) out += fmt::format("<b>{}</b>", word);
    if (!report.verdict_text.empty()) out += fmt::format("<p>{}</p>", escape(report.verdict_text));
    return out + "</div></div>\n";
}

std::string tiles(const Report& report) {
    if (report.summary.empty()) return "";
    std::string out = "<div class=\"tiles\">";
    for (const auto& [name, value] : report.summary)
        out += fmt::format("<dl class=\"tile\"><dt>{}</dt><dd{}>{}</dd></dl>", escape(name),
                           value.size() > 13 ? " class=\"long\"" : "", escape(value));
    return out + "</div>\n";
}

std::size_t severity_rank(const std::string& severity) {
    constexpr std::array<std::string_view, 4> order = {"FAIL", "WARN", "INFO", "PASS"};
    return static_cast<std::size_t>(std::find(order.begin(), order.end(), severity) - order.begin());
}

std::string findings(const Report& report) {
    if (report.findings.empty()) return "";
    constexpr std::array<std::string_view, 5> classes = {"fail", "warn", "info", "pass", "other"};
    std::vector<const ReportFinding*> sorted;
    for (const ReportFinding& f : report.findings) sorted.push_back(&f);
    std::stable_sort(sorted.begin(), sorted.end(), [](const ReportFinding* a, const ReportFinding* b) {
        return severity_rank(a->severity) < severity_rank(b->severity);
    });
    std::string out = "<section id=\"findings\"><h2>Findings</h2>";
    for (const ReportFinding* f : sorted) {
        out += fmt::format(
            "<div class=\"card finding {}\"><span class=\"badge\">{}</span><div><h3 class=\"mono\">{}</h3><p>{}</p>",
            classes[severity_rank(f->severity)], escape(f->severity), escape(f->id), escape(f->message));
        if (!f->cure.empty()) out += fmt::format("<p class=\"cure\"><b>Try:</b> {}</p>", escape(f->cure));
        out += "</div></div>\n";
    }
    return out + "</section>\n";
}

std::string configuration(const Report& report) {
    if (report.config.empty()) return "";
    const auto is_default = [](const ReportConfigRow& row) { return row.origin == "default"; };
    const auto set = static_cast<std::size_t>(std::count_if(
        report.config.begin(), report.config.end(), [&](const ReportConfigRow& row) { return !is_default(row); }));
    std::string out = fmt::format(
        "<section id=\"configuration\"><h2>Configuration</h2><p class=\"lead\">{} of {} keys were set, "
        "the others are defaults.</p><div class=\"card\"><table class=\"facts\"><tbody>\n",
        set, report.config.size());
    for (const ReportConfigRow& row : report.config)
        out += fmt::format(
            "<tr{}><th scope=\"row\"><code>{}</code></th><td><code>{}</code></td><td class=\"origin\">{}</td></tr>\n",
            is_default(row) ? "" : " class=\"set\"", escape(row.key), escape(row.value), escape(row.origin));
    return out + "</tbody></table></div></section>\n";
}

std::string environment(const Report& report) {
    if (report.environment.empty()) return "";
    std::string out =
        "<section id=\"environment\"><h2>Environment</h2><p class=\"lead\">What the numbers were measured on.</p><div "
        "class=\"card\"><table class=\"facts\"><tbody>\n";
    for (const auto& [name, value] : report.environment)
        out += fmt::format("<tr><th scope=\"row\">{}</th><td><code>{}</code></td></tr>\n", escape(name), escape(value));
    return out + "</tbody></table></div></section>\n";
}

// Links to the sections that are there; none when there is nothing to choose from.
std::string navigation(const Report& report, const std::string& body) {
    std::vector<std::array<std::string_view, 2>> sections = {{"findings", "Findings"}};
    for (const ReportFields& f : report.fields) sections.push_back({f.id, f.title});
    for (const auto& [id, name] :
         std::initializer_list<std::array<std::string_view, 2>>{{"seeds", "Every seed"},
                                                                {"curves", "Curves"},
                                                                {"layers", "Layer health"},
                                                                {"pictures", "Pictures"},
                                                                {"tables", "Tables"},
                                                                {"configuration", "Configuration"},
                                                                {"environment", "Environment"}})
        sections.push_back({id, name});
    std::string out;
    int count = 0;
    for (const auto& [id, name] : sections) {
        if (body.find(fmt::format("<section id=\"{}\">", escape(id))) == std::string::npos) continue;
        out += fmt::format("<a href=\"#{}\">{}</a>", escape(id), escape(name));
        ++count;
    }
    return count < 2 ? "" : "<nav>" + out + "</nav>\n";
}

}  // namespace

std::string render_report(const Report& report) {
    const std::string setup = configuration(report) + environment(report);
    const std::string body = findings(report) + report_parts::fields(report) + report_parts::dots(report) +
                             report_parts::plots(report) + report_parts::layers(report) +
                             report_parts::pictures(report) + report_parts::tables(report) +
                             (setup.empty() ? "" : "<div class=\"setup\">" + setup + "</div>\n");
    const std::string title = escape(report.title.empty() ? "solobox run" : report.title);
    std::string page =
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" "
        "content=\"width=device-width, initial-scale=1\"/>\n";
    page += fmt::format("<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n{}<main>\n", title, report_style::css,
                        definitions);
    page += fmt::format("<header><p class=\"eyebrow\">solobox report</p><h1>{}</h1>\n", title) + verdict(report) +
            tiles(report) + navigation(report, body) + "</header>\n";
    page += body;
    page += fmt::format(
        "<footer>Written by solobox. This page is complete in itself and loads "
        "nothing.</footer>\n</main>\n<script>{}</script>\n</body>\n</html>\n",
        report_style::script);
    return page;
}

}  // namespace solobox
