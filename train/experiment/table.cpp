#include "train/experiment/table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>

#include "train/run/run.h"

namespace solobox::experiment {
namespace {

using statistics::Method;

const Result* find(const std::vector<Result>& results, std::size_t set, std::size_t arm, std::int64_t seed) {
    for (const Result& r : results)
        if (r.set == set && r.arm == arm && r.seed == seed) return &r;
    return nullptr;
}

std::optional<double> score_of(const Plan& plan, const Result* r) {
    if (r == nullptr || r->outcome.state != State::done) return std::nullopt;
    const double score = plan.best ? r->outcome.scores.best : r->outcome.scores.last;
    return std::isfinite(score) ? std::optional(score) : std::nullopt;
}

statistics::Interval limits(const TaskInfo& info, bool difference) { return {difference ? -info.full : 0, info.full}; }

// Differences of the seeds that both arms finished.
Estimate paired(const Plan& plan, const std::vector<Result>& results, std::size_t set, std::size_t arm,
                std::size_t other) {
    std::vector<double> differences;
    TaskInfo info;
    for (const std::int64_t seed : plan.seeds) {
        const Result* r = find(results, set, arm, seed);
        const auto a = score_of(plan, r), b = score_of(plan, find(results, set, other, seed));
        if (a && b) differences.push_back(*a - *b), info = r->outcome.scores.info;
    }
    return estimate(differences, limits(info, true));
}

std::size_t index_of(const Plan& plan, const std::string& arm) {
    for (std::size_t i = 0; i < plan.arms.size(); ++i)
        if (plan.arms[i].name == arm) return i;
    return plan.arms.size();
}

std::string bracket(const Estimate& e, const char* format = "[{:.4f}, {:.4f}]") {
    return e.interval ? fmt::format(fmt::runtime(format), e.interval->low, e.interval->high) : "";
}

std::string signed_bracket(const Estimate& e) { return bracket(e, "[{:+.4f}, {:+.4f}]"); }

std::string cell(double v) { return std::isfinite(v) ? number_text(v) : ""; }

std::string quoted(const std::string& text) {
    if (text.find_first_of(",\"\n") == std::string::npos) return text;
    std::string out = "\"";
    for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c == '\n' ? ' ' : c);
    return out + "\"";
}

std::string trouble(const TableRow& row) {
    std::string out;
    if (row.diverged) out += fmt::format("diverged at {} of {} seeds", row.diverged, row.planned);
    if (row.failed) out += fmt::format("{}failed at {} of {} seeds", out.empty() ? "" : ", ", row.failed, row.planned);
    if (row.empty)
        out += fmt::format("{}no finite score at {} of {} seeds", out.empty() ? "" : ", ", row.empty, row.planned);
    const std::size_t open = row.planned - row.done - row.diverged - row.failed - row.empty;
    if (open) out += fmt::format("{}{} of {} seeds not run yet", out.empty() ? "" : ", ", open, row.planned);
    return out;
}

// Markdown takes names and questions as they are: what would end a cell or begin markup is taken out of it.
std::string plain(const std::string& text) {
    std::string out;
    for (const char c : text) {
        if (c == '|' || c == '*' || c == '_' || c == '`') out += '\\';
        if (c == '<')
            out += "&lt;";
        else
            out += c == '\n' ? ' ' : c;
    }
    return out;
}

}  // namespace

std::string verdict(const Plan& plan, const TableRow& row) {
    std::string out = row.arm == plan.control ? "control" : difference_words(row.control);
    if (const std::string t = trouble(row); !t.empty()) out = t + (row.done ? "; " + out : "");
    return out;
}

Estimate estimate(const std::vector<double>& values, statistics::Interval possible) {
    Estimate e{values.size(), statistics::mean(values), statistics::deviation(values),
               statistics::mean_interval(values), statistics::method_for(values)};
    if (e.interval) e.interval = {std::max(e.interval->low, possible.low), std::min(e.interval->high, possible.high)};
    return e;
}

std::vector<TableRow> make_table(const Plan& plan, const std::vector<Result>& results) {
    std::vector<TableRow> rows;
    for (std::size_t s = 0; s < plan.sets.size(); ++s)
        for (std::size_t a = 0; a < plan.arms.size(); ++a) {
            TableRow row;
            row.set = s, row.arm = a, row.planned = plan.seeds.size();
            std::vector<double> lifts, blind, second;
            for (const std::int64_t seed : plan.seeds) {
                const Result* r = find(results, s, a, seed);
                if (r == nullptr) continue;
                row.diverged += r->outcome.state == State::diverged ? 1 : 0;
                row.failed += r->outcome.state == State::failed ? 1 : 0;
                const auto score = score_of(plan, r);
                if (!score) {
                    row.empty += r->outcome.state == State::done ? 1 : 0;
                    continue;
                }
                ++row.done;
                row.info = r->outcome.scores.info;
                row.scores.push_back(*score);
                lifts.push_back(*score - r->outcome.scores.blind);
                blind.push_back(r->outcome.scores.blind), second.push_back(r->outcome.scores.second);
            }
            row.score = estimate(row.scores, limits(row.info, false));
            row.lift = estimate(lifts, limits(row.info, true));
            row.blind = statistics::mean(blind), row.second = statistics::mean(second);
            if (a != plan.control) row.control = paired(plan, results, s, a, plan.control);
            if (const std::size_t from = index_of(plan, plan.arms[a].from);
                from < plan.arms.size() && from != plan.control && a != plan.control)
                row.parent = paired(plan, results, s, a, from);
            rows.push_back(std::move(row));
        }
    return rows;
}

std::string difference_words(const Estimate& e, const char* more, const char* less) {
    if (e.n == 0) return "nothing to compare yet";
    if (!e.interval) return fmt::format("one seed: {:+.4f}, no interval", e.mean);
    if (e.method == Method::exact && e.mean == 0) return fmt::format("the same to the last digit at n={}", e.n);
    if (e.interval->holds(0))
        return fmt::format("not distinguishable at n={}: {:+.4f} {}", e.n, e.mean, signed_bracket(e));
    return fmt::format("{} by {:.4f} {}", e.mean > 0 ? more : less, std::abs(e.mean), signed_bracket(e));
}

std::string lift_words(const TableRow& row) {
    const std::string blind = "the " + row.info.blind_title;
    const Estimate& e = row.lift;
    if (e.n == 0) return "";
    if (!e.interval) return fmt::format("{:+.4f} against {} (one seed)", e.mean, blind);
    if (e.interval->holds(0))
        return fmt::format("not distinguishable from {}: {:+.4f} {}", blind, e.mean, signed_bracket(e));
    return fmt::format("{} {} by {:.4f} {}", e.mean > 0 ? "above" : "below", blind, std::abs(e.mean),
                       signed_bracket(e));
}

std::vector<std::string> summary(const Plan& plan, const std::vector<TableRow>& rows) {
    std::vector<std::string> lines;
    std::size_t compared = 0, differ = 0;
    for (const TableRow& row : rows)
        for (const Estimate* e : {&row.control, row.parent ? &*row.parent : nullptr}) {
            if (e == nullptr || !e->interval) continue;
            ++compared;
            differ += !e->interval->holds(0) ? 1 : 0;
        }
    if (compared)
        lines.push_back(
            fmt::format("Of {1} differences {0} have an interval without 0 (chance alone would give about {2:.1f})",
                        differ, compared, 0.05 * static_cast<double>(compared)));
    std::size_t above = 0, measured = 0;
    for (const TableRow& row : rows)
        if (row.lift.interval) ++measured, above += row.lift.interval->low > 0 ? 1 : 0;
    if (measured)
        lines.push_back(fmt::format("{} of {} arms lie above what never looks at a picture, with their whole interval",
                                    above, measured));
    std::string methods;
    for (const Method m : {Method::student, Method::bootstrap_t})
        if (std::any_of(rows.begin(), rows.end(), [&](const TableRow& r) {
                return r.score.method == m || r.control.method == m || (r.parent && r.parent->method == m);
            }))
            methods += fmt::format("{}{}", methods.empty() ? "" : " and ",
                                   m == Method::student ? "Student's t (fewer than five seeds)" : "bootstrap-t");
    lines.push_back(
        fmt::format("The score is that of the {} epoch; intervals are 95 %, {}; differences are paired by seed",
                    plan.best ? "best" : "last", methods.empty() ? "none yet" : methods));
    return lines;
}

std::string table_csv(const Plan& plan, const std::vector<TableRow>& rows) {
    std::string out =
        "set,arm,changes,seeds,done,diverged,failed,score,mean,sd,low,high,mean_box,blind,lift,lift_low,lift_high,"
        "difference,difference_low,difference_high,from,from_difference,from_low,from_high,method,verdict\n";
    const auto edge = [](const Estimate& e, bool high) {
        return e.interval ? cell(high ? e.interval->high : e.interval->low) : "";
    };
    for (const TableRow& r : rows) {
        const Arm& arm = plan.arms[r.arm];
        const Estimate none{0, std::nan(""), std::nan(""), std::nullopt, Method::none};
        const Estimate& control = r.control.n ? r.control : none;
        const Estimate& parent = r.parent ? *r.parent : none;
        out += fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n",
                           quoted(plan.sets[r.set].name), quoted(arm.name), quoted(describe(arm)), r.planned, r.done,
                           r.diverged, r.failed, r.info.name, cell(r.score.mean), cell(r.score.deviation),
                           edge(r.score, false), edge(r.score, true), cell(r.second), cell(r.blind), cell(r.lift.mean),
                           edge(r.lift, false), edge(r.lift, true), cell(control.mean), edge(control, false),
                           edge(control, true), quoted(arm.from), cell(parent.mean), edge(parent, false),
                           edge(parent, true), statistics::name_of(r.score.method), quoted(verdict(plan, r)));
    }
    return out;
}

std::string runs_csv(const Plan& plan, const std::vector<Result>& results) {
    std::string out = "set,arm,seed,state,epochs,last,best,best_epoch,mean_box,blind,run\n";
    for (const Result& r : results) {
        const RunScores& s = r.outcome.scores;
        out +=
            fmt::format("{},{},{},{},{},{},{},{},{},{},runs/{}\n", quoted(plan.sets[r.set].name),
                        quoted(plan.arms[r.arm].name), r.seed, name_of(r.outcome.state), cell(s.epochs), cell(s.last),
                        cell(s.best), s.best_epoch > 0 ? cell(s.best_epoch) : "", cell(s.second), cell(s.blind), r.id);
    }
    return out;
}

std::string table_text(const Plan& plan, const std::vector<TableRow>& rows) {
    std::size_t width = 3;
    for (const Arm& a : plan.arms) width = std::max(width, a.name.size());
    std::string out;
    for (std::size_t s = 0; s < plan.sets.size(); ++s) {
        bool head = true;
        for (const TableRow& r : rows) {
            if (r.set != s) continue;
            if (head) {
                out += fmt::format("{}{}", out.empty() ? "" : "\n", plan.sets[s].name);
                if (std::isfinite(r.blind)) {
                    out += ": ";
                    if (!r.info.second_title.empty()) out += fmt::format("{} {:.4f}, ", r.info.second_title, r.second);
                    out += fmt::format("{} {:.4f}", r.info.blind_title, r.blind);
                }
                out += fmt::format("\n  {:<{}}  {:>3}  {:>6}  {:>6}  {:<16}  {:>7}  {}\n", "arm", width, "n",
                                   r.info.percent() ? r.info.name : r.info.title, "sd", "95 % interval", "lift",
                                   "against the control");
                head = false;
            }
            const auto number = [](const char* format, double v) {
                return std::isfinite(v) ? fmt::format(fmt::runtime(format), v) : std::string("-");
            };
            out += fmt::format("  {:<{}}  {:>3}  {:>6}  {:>6}  {:<16}  {:>7}  {}\n", plan.arms[r.arm].name, width,
                               r.score.n, number("{:.4f}", r.score.mean), number("{:.4f}", r.score.deviation),
                               bracket(r.score), number("{:+.4f}", r.lift.mean), verdict(plan, r));
        }
    }
    for (const std::string& line : summary(plan, rows)) out += fmt::format("{}{}\n", out.empty() ? "" : "  ", line);
    return out;
}

std::string table_markdown(const Plan& plan, const std::vector<TableRow>& rows, bool smoke) {
    std::string out = fmt::format("# {}\n\n", plan.name);
    if (smoke) out += "**A smoke run: one epoch of a few small pictures. These numbers mean nothing.**\n\n";
    if (!plan.words.empty()) out += fmt::format("With `{}` for every run.\n\n", fmt::join(plan.words, " "));
    if (!plan.question.empty()) out += plain(plan.question) + "\n\n";
    const bool parents = std::any_of(rows.begin(), rows.end(), [](const TableRow& r) { return r.parent.has_value(); });
    for (std::size_t s = 0; s < plan.sets.size(); ++s) {
        bool head = true;
        for (const TableRow& r : rows) {
            if (r.set != s) continue;
            if (head) {
                out += fmt::format("## {}\n\n", plan.sets[s].name);
                const std::string unit = r.info.percent() ? "" : r.info.title + " ";
                const auto capital = [](std::string t) {
                    if (!t.empty()) t[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(t[0])));
                    return t;
                };
                if (std::isfinite(r.blind)) {
                    if (!r.info.second_title.empty())
                        out += fmt::format("{}: {}{:.4f}. ", capital(r.info.second_title), unit, r.second);
                    out += fmt::format("{}: {}{:.4f}.\n\n", capital(r.info.blind_title), unit, r.blind);
                }
                out +=
                    fmt::format("| arm | changes | n | {} | 95 % | against what never looks | against {} |{}\n",
                                r.info.title, plan.arms[plan.control].name, parents ? " against the arm before |" : "");
                out += fmt::format("|---|---|---|---|---|---|---|{}\n", parents ? "---|" : "");
                head = false;
            }
            const Arm& arm = plan.arms[r.arm];
            const std::string score =
                std::isfinite(r.score.mean)
                    ? fmt::format("{:.4f}{}", r.score.mean,
                                  r.score.n > 1 ? fmt::format(" ± {:.4f}", r.score.deviation) : "")
                    : "";
            out += fmt::format("| {} | {}{} | {} | {} | {} | {} | {} |", plain(arm.name),
                               arm.from.empty() ? "" : plain(arm.from) + " + ", plain(describe(arm)), r.score.n, score,
                               bracket(r.score), lift_words(r), verdict(plan, r));
            if (parents)
                out += fmt::format(" {} |", r.parent           ? difference_words(*r.parent)
                                            : arm.from.empty() ? ""
                                                               : difference_words(r.control));
            out += "\n";
        }
        out += "\n";
    }
    for (const std::string& line : summary(plan, rows)) out += "- " + line + "\n";
    return out;
}

}  // namespace solobox::experiment
