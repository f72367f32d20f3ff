// The table of an experiment as files and for a terminal.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "data/text.h"
#include "tensor/check.h"
#include "train/experiment/table.h"
#include "train/run/run.h"

namespace solobox::experiment {
namespace {

std::string cell(double v) { return std::isfinite(v) ? number_text(v) : ""; }

std::string quoted(const std::string& text) {
    if (text.find_first_of(",\"\n") == std::string::npos) return text;
    std::string out = "\"";
    for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c == '\n' ? ' ' : c);
    return out + "\"";
}

// mean,low,high,p,holm
std::string cells(const Estimate* e) {
    if (e == nullptr || e->n() == 0) return ",,,,";
    return fmt::format("{},{},{},{},{}", cell(e->mean), e->interval ? cell(e->interval->low) : "",
                       e->interval ? cell(e->interval->high) : "", e->p ? cell(*e->p) : "", e->p ? cell(e->holm) : "");
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

std::string interval(const Estimate& e, const char* format) {
    return e.interval ? fmt::format(fmt::runtime(format), e.interval->low, e.interval->high) : "";
}

// "**+0.0123 [+0.0040, +0.0210]**": bold what is clear of chance.
std::string difference_cell(const Estimate* e) {
    if (e == nullptr || e->n() == 0) return "";
    const std::string text = fmt::format("{:+.4f} {}", e->mean, interval(*e, "[{:+.4f}, {:+.4f}]"));
    return e->clear() ? "**" + text + "**" : text;
}

std::string unit_of(const TaskInfo& info) { return info.percent() ? "" : info.title + " "; }

std::string capital(std::string text) {
    if (!text.empty()) text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
    return text;
}

const Estimate* pointer(const std::optional<Estimate>& e) { return e ? &*e : nullptr; }

// The fields of a line of CSV.
std::vector<std::string> fields_of(const std::string& line) {
    std::vector<std::string> out{""};
    bool inside = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
        if (line[i] == '"' && inside && i + 1 < line.size() && line[i + 1] == '"')
            out.back() += line[i++];
        else if (line[i] == '"')
            inside = !inside;
        else if (line[i] == ',' && !inside)
            out.emplace_back();
        else if (line[i] != '\r')
            out.back() += line[i];
    }
    return out;
}

constexpr const char* runs_head = "set,arm,seed,state,epochs,last,best,best_epoch,mean_box,blind,run";

}  // namespace

std::string table_csv(const Plan& plan, const std::vector<TableRow>& rows) {
    std::string out = "set,arm,changes,seeds,done,diverged,failed,score,mean,sd,low,high,mean_box,blind,control,from";
    for (const char* of : {"lift", "difference", "from_difference", "interaction"})
        out += fmt::format(",{0},{0}_low,{0}_high,{0}_p,{0}_holm", of);
    out += ",claim,verdict\n";
    for (const TableRow& r : rows) {
        const Arm& arm = plan.arms[r.arm];
        out += fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n",
                           quoted(plan.sets[r.set].name), quoted(arm.name), quoted(describe(arm)), r.planned, r.done,
                           r.diverged, r.failed, r.info.name, cell(r.score.mean), cell(r.score.deviation),
                           r.score.interval ? cell(r.score.interval->low) : "",
                           r.score.interval ? cell(r.score.interval->high) : "", cell(r.second), cell(r.blind),
                           quoted(plan.arms[arm.control].name), quoted(arm.from), cells(&r.lift), cells(&r.control),
                           cells(pointer(r.parent)), cells(pointer(r.interaction)), quoted(claim_words(plan, r)),
                           quoted(verdict(plan, r)));
    }
    return out;
}

std::string runs_csv(const Plan& plan, const std::vector<Result>& results) {
    std::string out = std::string(runs_head) + "\n";
    for (const Result& r : results) {
        const RunScores& s = r.outcome.scores;
        out +=
            fmt::format("{},{},{},{},{},{},{},{},{},{},runs/{}\n", quoted(plan.sets[r.set].name),
                        quoted(plan.arms[r.arm].name), r.seed, name_of(r.outcome.state), cell(s.epochs), cell(s.last),
                        cell(s.best), s.best_epoch > 0 ? cell(s.best_epoch) : "", cell(s.second), cell(s.blind), r.id);
    }
    return out;
}

std::vector<Result> read_runs_csv(const std::string& path, const Plan& plan, const std::vector<PlannedRun>& runs) {
    std::vector<Result> results;
    const std::vector<TaskInfo> known{box_task_info(),
                                      class_task_info(0)};  // the file does not say what its scores are
    for (const PlannedRun& r : runs) {
        const std::string& kind = task_of(r.config).kind;
        const auto info = std::find_if(known.begin(), known.end(), [&](const TaskInfo& t) { return t.kind == kind; });
        if (info == known.end())
            throw ConfigError(fmt::format("{}: what the scores of '{}' mean stands in its runs alone", path, kind));
        results.push_back({r.set, r.arm, r.seed, "", {}});
        results.back().outcome.scores.info = *info;
    }
    const std::string text = read_whole(path, std::size_t{16} << 20);
    std::size_t line = 0, read = 0;
    for (std::size_t at = 0; at < text.size(); ++line) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        const std::vector<std::string> f = fields_of(text.substr(at, end - at));
        at = end + 1;
        if (line == 0) {
            if (fmt::format("{}", fmt::join(f, ",")) != runs_head)
                throw DataError(fmt::format("{}: line 1: expected the columns {}", path, runs_head));
            continue;
        }
        const auto fail = [&](const std::string& what) {
            throw DataError(fmt::format("{}: line {}: {}", path, line + 1, what));
        };
        if (f.size() != 11) fail(fmt::format("{} fields, expected 11", f.size()));
        const auto number = [&](std::size_t i) {
            if (f[i].empty()) return std::nan("");
            const auto v = parse_double(f[i]);
            if (!v) fail(fmt::format("'{}' is no number", printable(f[i])));
            return *v;
        };
        Result* found = nullptr;
        for (Result& r : results)
            if (plan.sets[r.set].name == f[0] && plan.arms[r.arm].name == f[1] && std::to_string(r.seed) == f[2])
                found = &r;
        if (found == nullptr) continue;  // an arm or a seed that this plan does not ask for
        ++read;
        Outcome& o = found->outcome;
        if (!found->id.empty()) fail(fmt::format("{}, seed {}: is there already", f[1], f[2]));
        const State states[] = {State::missing, State::unfinished, State::done, State::diverged, State::failed};
        const auto state =
            std::find_if(std::begin(states), std::end(states), [&](State s) { return f[3] == name_of(s); });
        if (state == std::end(states)) fail(fmt::format("'{}' is no state of a run", printable(f[3])));
        o.state = *state;
        o.scores.epochs = number(4), o.scores.last = number(5), o.scores.best = number(6);
        o.scores.best_epoch = f[7].empty() ? 0 : number(7);
        o.scores.second = number(8), o.scores.blind = number(9);
        found->id = f[10].substr(f[10].find('/') + 1);
    }
    if (read == 0) throw DataError(fmt::format("{}: none of its runs is one of {}", path, plan.name));
    return results;
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
                                   plan.within.empty() ? "against the control" : "against the control of its level");
                head = false;
            }
            const auto number = [](const char* format, double v) {
                return std::isfinite(v) ? fmt::format(fmt::runtime(format), v) : std::string("-");
            };
            out += fmt::format("  {:<{}}  {:>3}  {:>6}  {:>6}  {:<16}  {:>7}  {}\n", plan.arms[r.arm].name, width,
                               r.score.n(), number("{:.4f}", r.score.mean), number("{:.4f}", r.score.deviation),
                               interval(r.score, "[{:.4f}, {:.4f}]"), number("{:+.4f}", r.lift.mean), verdict(plan, r));
            if (r.interaction)
                out += fmt::format("  {:<{}}  the change is worth more or less here than at the first level: {}\n", "",
                                   width, difference_words(*r.interaction, "more", "less"));
        }
    }
    for (const std::string& line : summary(plan, rows).all())
        out += fmt::format("{}{}\n", out.empty() ? "" : "  ", line);
    return out;
}

std::string table_markdown(const Plan& plan, const std::vector<TableRow>& rows, bool smoke) {
    std::string out = fmt::format("# {}\n\n", plan.name);
    if (smoke) out += "**A smoke run: one epoch of a few small pictures. These numbers mean nothing.**\n\n";
    if (!plan.words.empty()) out += fmt::format("With `{}` for every run.\n\n", fmt::join(plan.words, " "));
    if (!plan.question.empty()) out += plain(plan.question) + "\n\n";
    const bool parents = std::any_of(rows.begin(), rows.end(), [](const TableRow& r) { return r.parent.has_value(); });
    const bool interactions = !plan.within.empty();
    for (std::size_t s = 0; s < plan.sets.size(); ++s) {
        bool head = true;
        for (const TableRow& r : rows) {
            if (r.set != s) continue;
            const Arm& arm = plan.arms[r.arm];
            if (head) {
                out += fmt::format("## {}\n\n", plan.sets[s].name);
                if (std::isfinite(r.blind)) {
                    if (!r.info.second_title.empty())
                        out += fmt::format("{}: {}{:.4f}. ", capital(r.info.second_title), unit_of(r.info), r.second);
                    out += fmt::format("{}: {}{:.4f}.\n\n", capital(r.info.blind_title), unit_of(r.info), r.blind);
                }
                out += fmt::format("| arm | changes | n | {} | over the {} | against {} |{}{}\n", r.info.title,
                                   r.info.blind_title,
                                   interactions ? "the control of its level" : plan.arms[plan.control].name,
                                   parents ? " against the arm before |" : "",
                                   interactions ? " against the same change at the first level |" : "");
                out +=
                    fmt::format("|---|---|---|---|---|---|{}{}\n", parents ? "---|" : "", interactions ? "---|" : "");
                head = false;
            }
            const std::string score =
                std::isfinite(r.score.mean)
                    ? fmt::format("{:.4f}{}", r.score.mean,
                                  r.score.n() > 1 ? fmt::format(" ± {:.4f}", r.score.deviation) : "")
                    : "";
            const bool control = arm.control == r.arm;
            out += fmt::format("| {} | {}{} | {}{} | {} | {} | {} |", plain(arm.name),
                               arm.from.empty() ? "" : plain(arm.from) + " + ", plain(describe(arm)), r.score.n(),
                               r.diverged ? fmt::format(" ({} diverged)", r.diverged) : "", score,
                               difference_cell(&r.lift), control ? "control" : difference_cell(&r.control));
            if (parents)
                out += fmt::format(" {} |", difference_cell(r.parent           ? &*r.parent
                                                            : arm.from.empty() ? nullptr
                                                                               : &r.control));
            if (interactions) out += fmt::format(" {} |", difference_cell(pointer(r.interaction)));
            out += "\n";
        }
        out += "\n";
    }
    out += "Mean ± deviation over the seeds; in brackets the 95 % interval; bold: clear of chance.\n\n";
    for (const std::string& line : summary(plan, rows).all()) out += "- " + plain(line) + "\n";
    return out;
}

}  // namespace solobox::experiment
