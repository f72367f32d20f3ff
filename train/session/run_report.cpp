#include "train/session/run_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "tensor/check.h"
#include "train/run/table.h"
#include "train/run/task_info.h"
#include "train/session/run_findings.h"

namespace solobox {
namespace {

using Numbers = std::vector<double>;

// At most `most` points, evenly taken: a page stays small however long the run was.
ReportCurve thinned(std::string name, const Numbers& x, const Numbers& y, bool log_scale, std::size_t most = 1500) {
    ReportCurve curve{std::move(name), {}, {}, log_scale};
    const std::size_t n = std::min(x.size(), y.size()), stride = std::max<std::size_t>(1, (n + most - 1) / most);
    for (std::size_t i = 0; i < n; i += stride)
        if (std::isfinite(y[i])) curve.x.push_back(x[i]), curve.y.push_back(y[i]);
    return curve;
}

void add_curve(ReportPlot& plot, const Table& t, const std::string& x, const std::string& column,
               const std::string& name, bool log_scale) {
    if (!t.has(column)) return;
    ReportCurve curve = thinned(name, t.numbers(x), t.numbers(column), log_scale);
    if (!curve.x.empty()) plot.curves.push_back(std::move(curve));
}

// One line of layers.csv a tensor and recorded step.
void add_layers(Report& report, const Table& t) {
    const std::size_t name = t.column("name");
    const Numbers step = t.numbers("step"), grad = t.numbers("grad_norm"), weight = t.numbers("weight_norm"),
                  ratio = t.numbers("update_ratio"),
                  dead = t.has("dead_fraction") ? t.numbers("dead_fraction") : Numbers(),
                  saturated = t.has("saturated_fraction") ? t.numbers("saturated_fraction") : Numbers();
    std::map<double, std::size_t> place;
    for (const double s : step) place.try_emplace(s, 0);
    const std::size_t stride = std::max<std::size_t>(1, (place.size() + 199) / 200);
    std::size_t i = 0;
    for (auto& [s, at] : place) {
        at = i % stride == 0 ? report.layer_steps.size() : static_cast<std::size_t>(-1);
        if (i++ % stride == 0) report.layer_steps.push_back(s);
    }
    std::map<std::string, std::size_t> known;
    for (std::size_t r = 0; r < t.rows.size(); ++r) {
        const std::size_t at = place[step[r]];
        if (at == static_cast<std::size_t>(-1)) continue;
        const auto [found, fresh] = known.try_emplace(t.rows[r][name], report.layers.size());
        if (fresh) {
            const Numbers gaps(report.layer_steps.size(), std::nan(""));
            report.layers.push_back({t.rows[r][name], gaps, gaps, gaps, dead.empty() ? Numbers() : gaps,
                                     saturated.empty() ? Numbers() : gaps});
        }
        ReportLayer& layer = report.layers[found->second];
        layer.grad_norm[at] = grad[r], layer.weight_norm[at] = weight[r], layer.update_ratio[at] = ratio[r];
        if (!dead.empty()) layer.dead_fraction[at] = dead[r];
        if (!saturated.empty()) layer.saturated_fraction[at] = saturated[r];
    }
}

double last_finite(const Numbers& values) {
    for (std::size_t i = values.size(); i-- > 0;)
        if (std::isfinite(values[i])) return values[i];
    return std::nan("");
}

// The row of the best value of a column, one behind the first step; npos when it has none.
std::size_t best_row(const Numbers& epochs, const Numbers& values) {
    std::size_t best = std::string::npos;
    for (std::size_t i = 0; i < values.size(); ++i)
        if (epochs[i] > 0 && std::isfinite(values[i]) && (best == std::string::npos || values[i] > values[best]))
            best = i;
    return best;
}

void add_summary(Report& report, const TaskInfo& info, const Table& t) {
    const auto say = [&](const std::string& name, const std::string& text) { report.summary.emplace_back(name, text); };
    if (t.rows.empty()) return;
    say("epochs", t.rows.back()[t.column("epoch")]);
    say("seconds", fmt::format("{:.1f}", last_finite(t.numbers("time"))));
    if (!t.has(info.column)) return;
    const Numbers score = t.numbers(info.column);
    const std::size_t best = best_row(t.numbers("epoch"), score);
    if (best == std::string::npos) return;
    say("best " + info.title, fmt::format("{} (epoch {})", info.text(score[best]), t.rows[best][t.column("epoch")]));
    for (const TaskInfo::Shown& s : info.shown) {
        const double there = t.numbers(s.column)[best];
        say(s.title, s.lift ? fmt::format("{:+.4f}", score[best] - there) : info.text(there));
    }
}

// What a branch changed against the run that it came from.
void add_parent(Report& report, const RunDirectory& run) {
    std::ifstream in(run.file("parent.json"), std::ios::binary);
    if (!in) return;
    const auto parent = nlohmann::json::parse(in, nullptr, false);
    if (!parent.is_object()) throw DataError(fmt::format("{}: no JSON object", run.file("parent.json")));
    report.summary.emplace_back("parent run", parent.value("run", ""));
    for (const auto& change : parent.value("changes", nlohmann::json::array()))
        if (change.is_string()) report.summary.emplace_back("differs from it", change.get<std::string>());
}

}  // namespace

Report read_run_report(const RunDirectory& run) {
    Report report;
    const Table results(run.file("results.csv")), steps(run.file("steps.csv"));
    ReportPlot loss{
        "Loss by epoch", "epoch", {}, "A validation loss that rises while the other falls: learned by heart."};
    add_curve(loss, results, "epoch", "train/loss", "training", true);
    add_curve(loss, results, "epoch", "val/loss", "validation", true);
    const TaskInfo info = read_task_info(run.path());
    ReportPlot score{info.plot_title, "epoch", {}, info.plot_note};
    for (const auto& [column, name] : info.plot) add_curve(score, results, "epoch", column, name, false);
    ReportPlot each{"Loss by step", "step", {}, ""};
    add_curve(each, steps, "step", "loss", "loss", true);
    ReportPlot norm{"Gradient norm, before clipping", "step", {}, ""};
    add_curve(norm, steps, "step", "grad_norm", "norm", true);
    ReportPlot lr{"Learning rate", "step", {}, ""};
    add_curve(lr, steps, "step", "lr", "lr", false);
    for (ReportPlot* plot : {&loss, &score, &each, &norm, &lr})
        if (!plot->curves.empty()) report.plots.push_back(std::move(*plot));
    add_summary(report, info, results);
    add_parent(report, run);
    add_layers(report, Table(run.file("layers.csv")));
    for (const auto& [key, v] : read_config(run.file("args.yaml")).all())
        report.config.push_back({key, v.value, v.origin});
    report.environment = environment_facts();
    report.findings = run_findings(run);
    report.title = "run " + run.path();
    return report;
}

Report compare_report(const std::vector<std::string>& runs) {
    Report report;
    report.title = fmt::format("{} runs compared", runs.size());
    // A plot for every kind of score among them, then what all have.
    struct Wanted {
        std::string column, title;
        bool log_scale = false;
        std::string blind = {}, blind_title = {};
    };
    std::vector<Wanted> wanted;
    for (const std::string& path : runs) {
        const TaskInfo info = read_task_info(path);
        if (std::none_of(wanted.begin(), wanted.end(), [&](const Wanted& w) { return w.column == info.column; }))
            wanted.push_back(
                {info.column, info.compare_title, false, info.percent() ? "" : info.blind_column, info.blind_title});
    }
    for (const auto& [column, title, log_scale] : {std::tuple{"val/loss", "Validation loss", true},
                                                   {"train/loss", "Training loss", true},
                                                   {"lr", "Learning rate", false}})
        wanted.push_back({column, title, log_scale});
    for (const auto& [column, title, log_scale, blind, blind_title] : wanted) {
        ReportPlot plot{title, "epoch", {}, ""};
        std::map<double, std::pair<std::string, double>>
            constants;  // of the data sets: the first run and the last epoch
        for (const std::string& path : runs) {
            const Table t(path + "/results.csv");
            if (!t.has("epoch")) continue;  // an overfit run's steps are no epochs
            const std::string name = std::filesystem::path(path).lexically_normal().string();
            add_curve(plot, t, "epoch", column, name, log_scale);
            if (blind.empty() || !t.has(blind) || t.rows.empty()) continue;
            const double constant = last_finite(t.numbers(blind));
            if (!std::isfinite(constant)) continue;
            auto& [first, end] = constants.try_emplace(constant, name, 1.0).first->second;
            end = std::max(end, t.numbers("epoch").back());
        }
        if (plot.curves.empty()) continue;
        for (const auto& [constant, run] : constants)
            plot.curves.push_back({constants.size() == 1 ? blind_title : blind_title + " of " + run.first,
                                   {1, run.second},
                                   {constant, constant},
                                   false});
        report.plots.push_back(std::move(plot));
    }
    report.environment = environment_facts();
    return report;
}

}  // namespace solobox
