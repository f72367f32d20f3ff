#include "train/experiment/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace solobox::experiment {
namespace {

// Scores of one kind, seed by seed, for those that were finished.
struct Scores {
    std::vector<double> values;
    std::vector<std::int64_t> seeds;
    void add(std::int64_t seed, double value) { values.push_back(value), seeds.push_back(seed); }
};

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

// A sum of arms' scores with these signs, for the seeds that all of them finished.
Scores combined(const Plan& plan, const std::vector<Result>& results, std::size_t set,
                const std::vector<std::pair<std::size_t, double>>& arms) {
    Scores out;
    for (const std::int64_t seed : plan.seeds) {
        double sum = 0;
        for (const auto& [arm, sign] : arms)
            sum += sign * score_of(plan, find(results, set, arm, seed)).value_or(std::nan(""));
        if (std::isfinite(sum)) out.add(seed, sum);
    }
    return out;
}

std::size_t index_of(const Plan& plan, const std::string& arm) {
    for (std::size_t i = 0; i < plan.arms.size(); ++i)
        if (plan.arms[i].name == arm) return i;
    return plan.arms.size();
}

// Of a grid with a control in each level: the arm with the same change where the first control stands.
std::optional<std::size_t> reference_of(const Plan& plan, std::size_t arm) {
    if (plan.within.empty() || plan.arms[arm].control == arm) return std::nullopt;
    std::vector<std::size_t> levels = plan.arms[arm].levels;
    for (const std::size_t f : plan.within) levels[f] = plan.arms[plan.control].levels[f];
    for (std::size_t i = 0; i < plan.arms.size(); ++i)
        if (i != arm && plan.arms[i].levels == levels) return i;
    return std::nullopt;
}

// The arm that a claim compares with.
std::size_t before(const Plan& plan, std::size_t arm) {
    const std::size_t from = index_of(plan, plan.arms[arm].from);
    return from < plan.arms.size() ? from : plan.arms[arm].control;
}

void add_claim(const Plan& plan, const std::vector<Result>& results, TableRow& row) {
    const Claim& claim = plan.arms[row.arm].claim;
    const std::size_t other = before(plan, row.arm);
    if (claim.says.empty() || (!claim.reach && other == row.arm)) return;
    row.claimed = claim.reach ? *claim.reach : claim.gain + claim.percent / 100 * row.info.full;
    const Scores s = claim.reach ? combined(plan, results, row.set, {{row.arm, 1}})
                                 : combined(plan, results, row.set, {{row.arm, 1}, {other, -1}});
    row.claim = estimate(s.values, s.seeds, {claim.reach ? 0 : -row.info.full, row.info.full}, row.claimed);
}

// Holm's correction over the estimates that one reader looks through.
void correct(const std::vector<Estimate*>& family) {
    std::vector<double> p;
    for (const Estimate* e : family) p.push_back(e->p.value_or(1));
    const std::vector<double> corrected = statistics::holm(p);
    for (std::size_t i = 0; i < family.size(); ++i) family[i]->holm = corrected[i], family[i]->family = family.size();
}

void correct_set(const std::vector<TableRow*>& rows) {
    std::vector<Estimate*> differences, lifts, interactions, claims;
    for (TableRow* r : rows) {
        if (r->control.p) differences.push_back(&r->control);
        if (r->parent && r->parent->p) differences.push_back(&*r->parent);
        if (r->lift.p) lifts.push_back(&r->lift);
        if (r->interaction && r->interaction->p) interactions.push_back(&*r->interaction);
        if (r->claim && r->claim->p) claims.push_back(&*r->claim);
    }
    for (const auto& family : {differences, lifts, interactions, claims}) correct(family);
}

std::string bracket(const Estimate& e) {
    return e.interval ? fmt::format("[{:+.4f}, {:+.4f}]", e.interval->low, e.interval->high) : "";
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

// Of so many that it is not the same as with one: "p = 0.02, among 12 of them 0.24".
std::string lost_among_many(const Estimate& e) {
    return fmt::format("p = {:.2g} alone, {:.2g} among all of this table", *e.p, e.holm);
}

}  // namespace

Estimate estimate(const std::vector<double>& values, const std::vector<std::int64_t>& seeds,
                  statistics::Interval possible, double expected) {
    Estimate e;
    e.values = values, e.mean = statistics::mean(values), e.deviation = statistics::deviation(values);
    e.interval = statistics::mean_interval(values), e.p = statistics::p_value(values, expected);
    e.holm = e.p.value_or(1);
    if (e.interval) e.interval = {std::max(e.interval->low, possible.low), std::min(e.interval->high, possible.high)};
    std::vector<std::string> names;
    for (const std::int64_t seed : seeds) names.push_back(fmt::format("seed {}", seed));
    e.caution = statistics::caution(values, names);
    return e;
}

std::vector<TableRow> make_table(const Plan& plan, const std::vector<Result>& results) {
    std::vector<TableRow> rows;
    for (std::size_t s = 0; s < plan.sets.size(); ++s)
        for (std::size_t a = 0; a < plan.arms.size(); ++a) {
            TableRow row;
            row.set = s, row.arm = a, row.planned = plan.seeds.size();
            Scores scores, lifts;
            std::vector<double> blind, second;
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
                scores.add(seed, *score);
                lifts.add(seed, *score - r->outcome.scores.blind);
                blind.push_back(r->outcome.scores.blind), second.push_back(r->outcome.scores.second);
            }
            const double full = row.info.full;
            const auto difference = [&](const std::vector<std::pair<std::size_t, double>>& arms) {
                const Scores d = combined(plan, results, s, arms);
                const double most = static_cast<double>(arms.size()) / 2 * full;
                return estimate(d.values, d.seeds, {-most, most});
            };
            row.score = estimate(scores.values, scores.seeds, {0, full});
            row.lift = estimate(lifts.values, lifts.seeds, {-full, full});
            row.blind = statistics::mean(blind), row.second = statistics::mean(second);
            const std::size_t control = plan.arms[a].control;
            if (a != control) row.control = difference({{a, 1}, {control, -1}});
            if (const std::size_t from = index_of(plan, plan.arms[a].from);
                from < plan.arms.size() && from != control && a != control)
                row.parent = difference({{a, 1}, {from, -1}});
            if (const auto reference = reference_of(plan, a)) {
                const std::size_t first = plan.arms[*reference].control;
                row.interaction = difference({{a, 1}, {control, -1}, {*reference, -1}, {first, 1}});
            }
            add_claim(plan, results, row);
            rows.push_back(std::move(row));
        }
    for (std::size_t s = 0; s < plan.sets.size(); ++s) {
        std::vector<TableRow*> set;
        for (TableRow& r : rows)
            if (r.set == s) set.push_back(&r);
        correct_set(set);
    }
    return rows;
}

std::string verdict(const Plan& plan, const TableRow& row) {
    std::string out = row.arm == plan.arms[row.arm].control ? "control" : difference_words(row.control);
    if (const std::string t = trouble(row); !t.empty()) out = t + (row.done ? "; " + out : "");
    return out;
}

std::string difference_words(const Estimate& e, const char* more, const char* less) {
    if (e.n() == 0) return "nothing to compare yet";
    if (!e.interval) return fmt::format("one seed: {:+.4f}, no interval", e.mean);
    if (e.deviation == 0 && e.mean == 0) return fmt::format("the same to the last digit at n={}", e.n());
    if (e.clear()) return fmt::format("{} by {:.4f} {}", e.mean > 0 ? more : less, std::abs(e.mean), bracket(e));
    return fmt::format("not distinguishable at n={}: {:+.4f} {}{}", e.n(), e.mean, bracket(e),
                       *e.p < 0.05 ? " (" + lost_among_many(e) + ")" : "");
}

std::string lift_words(const TableRow& row) {
    const std::string blind = "the " + row.info.blind_title;
    const Estimate& e = row.lift;
    if (e.n() == 0) return "";
    if (!e.interval) return fmt::format("{:+.4f} against {} (one seed)", e.mean, blind);
    if (!e.clear()) return fmt::format("not distinguishable from {}: {:+.4f} {}", blind, e.mean, bracket(e));
    return fmt::format("{} {} by {:.4f} {}", e.mean > 0 ? "above" : "below", blind, std::abs(e.mean), bracket(e));
}

std::string claim_words(const Plan& plan, const TableRow& row) {
    if (!row.claim) return "";
    const Arm& arm = plan.arms[row.arm];
    const Estimate& e = *row.claim;
    const std::string asks =
        arm.claim.reach    ? fmt::format("at least {:g}", row.claimed)
        : row.claimed != 0 ? fmt::format("at least {:+g} over {}", row.claimed, plan.arms[before(plan, row.arm)].name)
                           : fmt::format("better than {}", plan.arms[before(plan, row.arm)].name);
    std::string answer;
    if (e.n() == 0)
        answer = "nothing to judge by yet";
    else if (!e.p)
        answer = fmt::format("cannot be told from one seed: {:+.4f}", e.mean);
    else if (e.clear())
        answer = fmt::format("{} at n={}: {:+.4f} {}", e.mean > row.claimed ? "holds" : "does not hold", e.n(), e.mean,
                             bracket(e));
    else if (e.deviation == 0)
        answer =
            fmt::format("{}: {:+.4f} in all {} seeds", row.claimed != 0 ? "holds" : "does not hold", e.mean, e.n());
    else {
        constexpr std::size_t most = 1000;
        const std::size_t seeds =
            statistics::values_needed(e.mean - row.claimed, e.deviation, 0.05 / static_cast<double>(e.family), most);
        answer = fmt::format("cannot be told at n={}: {:+.4f} {}{}; if that is how it is, {} seeds would tell", e.n(),
                             e.mean, bracket(e), *e.p < 0.05 ? " (" + lost_among_many(e) + ")" : "",
                             seeds >= most ? "not even a thousand" : fmt::format("about {}", seeds));
    }
    return fmt::format("\"{}\" ({}): {}", arm.claim.says, asks, answer);
}

std::vector<std::string> Summary::all() const {
    std::vector<std::string> out = lines;
    out.insert(out.end(), claims.begin(), claims.end());
    out.insert(out.end(), cautions.begin(), cautions.end());
    return out;
}

Summary summary(const Plan& plan, const std::vector<TableRow>& rows) {
    Summary s;
    std::vector<std::string>& lines = s.lines;
    std::size_t compared = 0, alone = 0, clear = 0, above = 0, measured = 0;
    for (const TableRow& row : rows) {
        for (const Estimate* e : {&row.control, row.parent ? &*row.parent : nullptr})
            if (e != nullptr && e->p) ++compared, alone += *e->p < 0.05 ? 1 : 0, clear += e->clear() ? 1 : 0;
        if (row.lift.p) ++measured, above += row.lift.clear() && row.lift.mean > 0 ? 1 : 0;
    }
    if (compared == 1)
        lines.push_back(clear ? "The difference is clear" : "The difference cannot be told from chance");
    else if (compared)
        lines.push_back(fmt::format(
            "Of {} differences {} {} clear of chance{}", compared, clear, clear == 1 ? "is" : "are",
            alone > clear ? fmt::format("; {} more would be, had nothing else been compared", alone - clear) : ""));
    if (measured)
        lines.push_back(fmt::format("{} of {} arms lie clearly above what never looks at a picture", above, measured));
    const auto place = [&](const TableRow& row) {
        return (plan.sets.size() > 1 ? plan.sets[row.set].name + ", " : "") + plan.arms[row.arm].name;
    };
    for (const TableRow& row : rows)
        if (row.claim) s.claims.push_back(fmt::format("{}: {}", place(row), claim_words(plan, row)));
    for (const TableRow& row : rows)
        for (const auto& [e, what] : {std::pair{&row.control, "its control"},
                                      {row.parent ? &*row.parent : nullptr, "the arm before"},
                                      {row.interaction ? &*row.interaction : nullptr, "the other level"}})
            if (e != nullptr && !e->caution.empty())
                s.cautions.push_back(fmt::format("{} against {}: {}", place(row), what, e->caution));
    lines.push_back(
        fmt::format("The score is that of the {} epoch; 95 % intervals by Student's t, differences paired by "
                    "seed; clear: p < 0.05 after Holm's correction over the table of a set",
                    plan.best ? "best" : "last"));
    return s;
}

}  // namespace solobox::experiment
