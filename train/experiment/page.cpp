// The page of an experiment (see table.h): what was asked, every seed as a dot, curves per arm, the table in words.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "train/experiment/table.h"

namespace solobox::experiment {
namespace {

constexpr std::size_t curves_a_plot = 5;  // beside the control's: more cannot be told apart

// Mean over the finished seeds, at the epochs that all of them have.
ReportCurve mean_curve(const std::vector<Result>& results, std::size_t set, std::size_t arm, const std::string& name) {
    std::map<double, std::pair<double, std::size_t>> sums;
    std::size_t runs = 0;
    for (const Result& r : results) {
        if (r.set != set || r.arm != arm || r.outcome.state != State::done) continue;
        ++runs;
        const RunScores& s = r.outcome.scores;
        for (std::size_t i = 0; i < s.epoch.size(); ++i) {
            auto& [sum, count] = sums[s.epoch[i]];
            sum += s.score[i], ++count;
        }
    }
    ReportCurve curve{name, {}, {}};
    for (const auto& [epoch, v] : sums)
        if (v.second == runs) curve.x.push_back(epoch), curve.y.push_back(v.first / static_cast<double>(runs));
    return curve;
}

void add_plots(Report& page, const Plan& plan, const std::vector<TableRow>& rows, const std::vector<Result>& results,
               std::size_t set) {
    std::vector<std::size_t> others;
    for (std::size_t a = 0; a < plan.arms.size(); ++a)
        if (a != plan.control) others.push_back(a);
    double blind = std::nan("");
    for (const TableRow& r : rows)
        if (r.set == set && std::isfinite(r.blind)) blind = r.blind;
    const std::size_t pieces = std::max<std::size_t>(1, (others.size() + curves_a_plot - 1) / curves_a_plot);
    for (std::size_t p = 0; p < pieces; ++p) {
        ReportPlot plot;
        plot.title = fmt::format("{}: score by epoch, mean over seeds{}", plan.sets[set].name,
                                 pieces > 1 ? fmt::format(" ({} of {})", p + 1, pieces) : "");
        plot.x_label = "epoch";
        const auto add = [&](std::size_t arm) {
            ReportCurve c = mean_curve(results, set, arm, plan.arms[arm].name);
            if (!c.x.empty()) plot.curves.push_back(std::move(c));
        };
        add(plan.control);
        for (std::size_t i = p * curves_a_plot; i < std::min(others.size(), (p + 1) * curves_a_plot); ++i)
            add(others[i]);
        if (plot.curves.empty()) continue;
        if (std::isfinite(blind)) {
            double first = plot.curves.front().x.front(), last = first;
            for (const ReportCurve& c : plot.curves)
                first = std::min(first, c.x.front()), last = std::max(last, c.x.back());
            plot.curves.push_back({"never looks at a picture", {first, last}, {blind, blind}});
        }
        page.plots.push_back(std::move(plot));
    }
}

ReportDots::Row dots_row(const std::string& name, const Estimate& e, const char* format) {
    ReportDots::Row row{name, e.values, e.mean, std::nan(""), std::nan(""), ""};
    if (e.interval) row.low = e.interval->low, row.high = e.interval->high;
    row.text = std::isfinite(e.mean) ? fmt::format(fmt::runtime(format), e.mean) : "–";
    return row;
}

// A forest plot: every paired difference beside 0.
ReportDots forest_of(const Plan& plan, const std::vector<TableRow>& rows, std::size_t set) {
    ReportDots dots;
    dots.title = fmt::format("{}: differences, paired by seed", plan.sets[set].name);
    dots.marks.emplace_back("no difference", 0);
    const auto add = [&](const std::string& name, const Estimate& e) {
        if (e.n() == 0) return;
        dots.rows.push_back(dots_row(name, e, "{:+.4f}"));
        if (e.clear()) dots.rows.back().text += " *";
    };
    for (const TableRow& r : rows) {
        if (r.set != set) continue;
        const Arm& arm = plan.arms[r.arm];
        add(fmt::format("{} – {}", arm.name, plan.arms[arm.control].name), r.control);
        if (r.parent) add(fmt::format("{} – {}", arm.name, arm.from), *r.parent);
    }
    dots.note =
        "A dot a seed, the mean and its 95 % interval (Student's t). *: clear of chance, after Holm's correction.";
    return dots;
}

ReportDots dots_of(const Plan& plan, const std::vector<TableRow>& rows, std::size_t set) {
    ReportDots dots;
    dots.title = fmt::format("{}: {}", plan.sets[set].name, "a dot a seed, the mean and its 95 % interval");
    for (const TableRow& r : rows) {
        if (r.set != set) continue;
        if (std::isfinite(r.blind) && dots.marks.empty()) {
            if (!r.info.second_title.empty()) dots.marks.emplace_back(r.info.second_title, r.second);
            dots.marks.emplace_back(r.info.blind_title, r.blind);
        }
        dots.rows.push_back(dots_row(plan.arms[r.arm].name, r.score, "{:.4f}"));
    }
    dots.note =
        "Intervals of arms may overlap where their paired difference is clear: the seeds move together. The table has "
        "the differences.";
    return dots;
}

ReportTable table_of(const Plan& plan, const std::vector<TableRow>& rows, std::size_t set) {
    ReportTable t;
    t.title = plan.sets[set].name;
    t.lead = fmt::format("Control: {}. Lift: above or below the best answer that never looks at a picture.",
                         plan.within.empty() ? plan.arms[plan.control].name : "one in each level");
    const bool parents = std::any_of(rows.begin(), rows.end(), [](const TableRow& r) { return r.parent.has_value(); });
    t.header = {"arm", "n", "mean", "sd", "lift", "against the control"};
    if (parents) t.header.push_back("against the arm before");
    if (!plan.within.empty()) t.header.push_back("than the same change at the first level");
    for (const TableRow& r : rows) {
        if (r.set != set) continue;
        const auto number = [](double v) { return std::isfinite(v) ? fmt::format("{:.4f}", v) : std::string("–"); };
        const Arm& arm = plan.arms[r.arm];
        t.rows.push_back({arm.name, std::to_string(r.score.n()), number(r.score.mean), number(r.score.deviation),
                          r.lift.n() ? difference_words(r.lift, "above", "below") : "", verdict(plan, r)});
        if (parents)
            t.rows.back().push_back(r.parent           ? difference_words(*r.parent)
                                    : arm.from.empty() ? ""
                                                       : difference_words(r.control));
        if (!plan.within.empty())
            t.rows.back().push_back(r.interaction ? difference_words(*r.interaction, "more", "less") : "");
    }
    return t;
}

}  // namespace

Report experiment_report(const Plan& plan, const std::vector<TableRow>& rows, const std::vector<Result>& results,
                         bool smoke) {
    Report page;
    page.title = "experiment: " + plan.name;
    if (smoke) page.verdict = "A smoke run: these numbers mean nothing";
    page.verdict_text = plan.question;
    if (!plan.question.empty() && std::string_view(".?!").find(plan.question.back()) == std::string_view::npos)
        page.verdict_text += ".";
    const Summary said = summary(plan, rows);
    for (const std::string& line : said.lines) page.verdict_text += (page.verdict_text.empty() ? "" : " ") + line + ".";
    std::size_t done = 0, diverged = 0;
    for (const Result& r : results)
        done += r.outcome.state == State::done ? 1 : 0, diverged += r.outcome.state == State::diverged ? 1 : 0;
    page.summary = {{"arms", std::to_string(plan.arms.size())},
                    {"seeds", std::to_string(plan.seeds.size())},
                    {"runs done", fmt::format("{} of {}", done, results.size())}};
    std::size_t failed = 0;
    for (const Result& r : results) failed += r.outcome.state == State::failed ? 1 : 0;
    if (failed) page.summary.emplace_back("failed", std::to_string(failed));
    if (diverged) page.summary.emplace_back("diverged", std::to_string(diverged));
    for (std::size_t s = 0; s < plan.sets.size(); ++s) {
        page.dots.push_back(dots_of(plan, rows, s));
        if (ReportDots forest = forest_of(plan, rows, s); !forest.rows.empty()) page.dots.push_back(std::move(forest));
        add_plots(page, plan, rows, results, s);
        page.tables.push_back(table_of(plan, rows, s));
    }
    const auto add_list = [&](const char* title, const char* lead, const std::vector<std::string>& lines) {
        if (lines.empty()) return;
        ReportTable t{title, lead, {"", ""}, {}, {}};
        for (const std::string& line : lines) {
            const std::size_t colon = line.find(": ");
            t.rows.push_back({line.substr(0, colon), line.substr(colon + 2)});
        }
        page.tables.push_back(std::move(t));
    };
    add_list("Claims", "What was claimed, how that was understood, and what the differences say.", said.claims);
    add_list("Cautions", "Where one seed, or the shape of the differences, speaks against Student's t.", said.cautions);
    ReportTable arms{
        "Arms", "What each of them sets, and what was claimed for it.", {"arm", "from", "sets", "claim"}, {}, {}};
    for (const Arm& arm : plan.arms) arms.rows.push_back({arm.name, arm.from, describe(arm), arm.claim.says});
    page.tables.push_back(std::move(arms));
    if (!plan.base.empty()) page.config.push_back({"base", plan.base, "file"});
    for (const Setting& s : plan.settings) page.config.push_back({s.key, s.value, s.origin});
    for (const PictureSet& set : plan.sets)
        for (const Setting& s : set.settings) page.config.push_back({set.name + ": " + s.key, s.value, s.origin});
    for (const std::string& word : plan.words)
        page.config.push_back({word.substr(0, word.find('=')), word.substr(word.find('=') + 1), "command line"});
    return page;
}

}  // namespace solobox::experiment
