// See page.h. Every number in a sentence is computed from the lab's results, so that it stays true for other
// targets, sizes and losses.
#include "train/lab/page.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "train/report/text.h"

namespace solobox {
namespace {

using report_text::number;

constexpr double decades = 3;      // between the longest arrow and the shortest
constexpr double shortest = 0.2;   // of the longest; weaker pulls are drawn no shorter
constexpr double good_mean = 0.9;  // mean IoU whose first step the note under the race names

std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }
std::string text_of(const UnitBox& b) {
    return fmt::format("{},{},{},{}", number(b.cx), number(b.cy), number(b.w), number(b.h));
}
std::string listed(const std::vector<std::string>& items) {
    if (items.size() < 2) return items.empty() ? "none" : items.front();
    return fmt::format("{} and {}", fmt::join(items.begin(), items.end() - 1, ", "), items.back());
}

double overlapping_still_share(const LabField& f) {
    const double overlapping = 1 - f.disjoint_share;
    return overlapping > 0 ? (f.still_share - f.disjoint_share * f.disjoint_still_share) / overlapping : 0;
}

std::string field_note(const LabField& f, bool centre) {
    std::string text;
    if (f.still_share > 0 && centre)
        text =
            fmt::format("No pull on the centre at {} of the positions: {} of those without overlap, {} of those with.",
                        percent(f.still_share), percent(f.disjoint_still_share), percent(overlapping_still_share(f)));
    else if (f.still_share > 0)
        text = fmt::format("No pull on the sides at {} of the sizes.", percent(f.still_share));
    else
        text = centre ? "A pull on the centre from every position." : "A pull on the sides at every size.";
    if (f.largest > 0)
        text += fmt::format(" Length {} to {}; mean cosine with the straight way {:.2f}.", number(f.smallest, 2),
                            number(f.largest, 2), f.mean_cosine);
    return text;
}

// Directions times lengths on the logarithmic scale that ends at `largest`.
std::vector<std::array<double, 2>> arrows_of(const LabField& f, double largest) {
    std::vector<std::array<double, 2>> arrows;
    for (const auto& [dx, dy] : f.pull) {
        const double length = std::hypot(dx, dy);
        const double drawn = length > 0 ? std::clamp(1 + std::log10(length / largest) / decades, shortest, 1.0) : 0;
        arrows.push_back(length > 0 ? std::array{dx / length * drawn, dy / length * drawn} : std::array{0.0, 0.0});
    }
    return arrows;
}

std::vector<double> shades_of(const std::vector<double>& loss) {
    const auto [low, high] = std::minmax_element(loss.begin(), loss.end());
    std::vector<double> shades;
    for (const double v : loss) shades.push_back(*high > *low ? (v - *low) / (*high - *low) : 0);
    return shades;
}

ReportFields fields_of(const IouLab& lab, bool centre) {
    const LabSpec& s = lab.spec;
    double largest = 0;
    for (const LabLoss& loss : lab.losses) largest = std::max(largest, (centre ? loss.centre : loss.size).largest);
    ReportFields group;
    group.id = centre ? "pull-on-the-centre" : "pull-on-the-sides";
    group.title = centre ? "Pull on the centre" : "Pull on the sides";
    const std::string scale = fmt::format(
        "Arrows of all losses share one logarithmic scale: a full cell is a pull of {}, one ten times weaker is a "
        "third of a cell shorter, and none is drawn shorter than {} of a cell. Shades go from a loss's own smallest "
        "value (light) to its largest.",
        number(largest, 3), number(shortest));
    if (centre) {
        group.lead = fmt::format(
            "The square is the picture: cx to the right, cy downwards. A box of {} x {} is put with its centre at each "
            "of {} x {} positions; the arrow is the move of its centre per unit of learning rate, which is minus the "
            "gradient. {}",
            number(s.width), number(s.height), s.grid, s.grid, scale);
        group.key = {{"truth", fmt::format("target {}", text_of(s.target))},
                     {"prediction", "the moved box's size, put in a corner"},
                     {"reach", "with its centre inside, the boxes overlap"},
                     {"dot", "the gradient of both coordinates is exactly 0"}};
    } else {
        group.lead =
            fmt::format("The centre is right, the sides are wrong: w to the right and h upwards, {} x {} sizes. {}",
                        s.grid, s.grid, scale);
        group.key = {{"cross", fmt::format("the target's sides, {} x {}", number(s.target.w), number(s.target.h))},
                     {"dot", "the gradient of both sides is exactly 0"}};
    }
    const UnitBox& t = s.target;
    for (const LabLoss& loss : lab.losses) {
        const LabField& f = centre ? loss.centre : loss.size;
        ReportField drawn;
        drawn.title = loss.name;
        drawn.subtitle = loss.what;
        drawn.x_label = centre ? "cx" : "w";
        drawn.y_label = centre ? "cy" : "h";
        drawn.y_up = !centre;
        drawn.columns = drawn.rows = s.grid;
        drawn.shades = shades_of(f.loss);
        drawn.arrows = arrows_of(f, largest);
        if (centre)
            drawn.rects = {{{t.cx, t.cy, t.w + s.width, t.h + s.height}, "reach"},
                           {t, "truth"},
                           {{s.width / 2 + 0.01, s.height / 2 + 0.01, s.width, s.height}, "prediction"}};
        else
            drawn.crosses = {{t.w, t.h}};
        drawn.note = field_note(f, centre);
        group.fields.push_back(std::move(drawn));
    }
    return group;
}

// Starts from which nothing ever moved.
std::vector<std::string> stuck_starts(const IouLab& lab, const LabRace& race) {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < race.paths.size(); ++i) {
        const LabPath& p = race.paths[i];
        const bool stands = std::all_of(p.area.begin(), p.area.end(), [&](double a) { return a == p.area.front(); }) &&
                            std::all_of(p.iou.begin(), p.iou.end(), [&](double v) { return v == 0; });
        if (stands && !p.diverged) names.push_back(lab.starts[i].name);
    }
    return names;
}

using RaceOf = const LabRace& (*)(const LabLoss&, const IouLab&);
const LabRace& best_of(const LabLoss& loss, const IouLab&) { return loss.best_race(); }
const LabRace& shared_of(const LabLoss& loss, const IouLab& lab) { return loss.races[lab.shared]; }

std::string race_note(const IouLab& lab, RaceOf race_of) {
    std::vector<std::pair<std::size_t, std::string>> reached;
    std::vector<std::string> never, stuck;
    for (const LabLoss& loss : lab.losses) {
        const LabRace& race = race_of(loss, lab);
        const auto at =
            std::find_if(race.mean_iou.begin(), race.mean_iou.end(), [](double v) { return v >= good_mean; });
        if (at == race.mean_iou.end())
            never.push_back(fmt::format("{} (ends at {:.3f})", loss.name, race.final_iou()));
        else
            reached.emplace_back(static_cast<std::size_t>(at - race.mean_iou.begin()), loss.name);
        if (const auto names = stuck_starts(lab, race); !names.empty())
            stuck.push_back(fmt::format("{} never moves the box from {}.", loss.name, listed(names)));
    }
    std::stable_sort(reached.begin(), reached.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<std::string> order;
    for (const auto& [step, name] : reached) order.push_back(fmt::format("{} after {}", name, step));
    std::string text = order.empty() ? fmt::format("No loss reaches a mean IoU of {}", good_mean)
                                     : fmt::format("Steps to a mean IoU of {}: {}", good_mean, listed(order));
    text += never.empty() ? "." : fmt::format("; never: {}.", listed(never));
    for (const std::string& s : stuck) text += " " + s;
    return text;
}

ReportPlot race_plot(const IouLab& lab, const std::string& title, RaceOf race_of) {
    ReportPlot plot{title, "step", {}, race_note(lab, race_of)};
    for (const LabLoss& loss : lab.losses) {
        ReportCurve curve;
        curve.name = loss.name;
        curve.y = race_of(loss, lab).mean_iou;
        for (std::size_t t = 0; t < curve.y.size(); ++t) curve.x.push_back(static_cast<double>(t));
        plot.curves.push_back(std::move(curve));
    }
    return plot;
}

ReportTable gradient_table(const IouLab& lab) {
    ReportTable t{"Gradients over the positions",
                  fmt::format("{} of the positions have no overlap with the target. Shares of positions at which the "
                              "gradient of the centre (or of all four numbers) is exactly 0, length of the others, and "
                              "how straight they point (cosine 1: at the target, 0: past it).",
                              percent(lab.losses.front().centre.disjoint_share)),
                  {"loss", "no pull", "apart", "overlapping", "all four 0", "smallest", "largest", "cosine"},
                  {},
                  {}};
    for (const LabLoss& loss : lab.losses) {
        const LabField& f = loss.centre;
        const double overlapping = overlapping_still_share(f);
        t.rows.push_back({loss.name, percent(f.still_share), percent(f.disjoint_still_share), percent(overlapping),
                          percent(f.dead_share), number(f.smallest, 3), number(f.largest, 3),
                          fmt::format("{:.3f}", f.mean_cosine)});
        t.shades.push_back({0, f.still_share, f.disjoint_still_share, overlapping, f.dead_share, 0, 0, 0});
    }
    return t;
}

ReportTable starts_table(const IouLab& lab) {
    ReportTable t{"The starts",
                  "Around the target, in sizes and distances of its own sides.",
                  {"start", "IoU", "cx", "cy", "w", "h", "what it is"},
                  {},
                  {}};
    for (const LabStart& s : lab.starts)
        t.rows.push_back({s.name, fmt::format("{:.3f}", s.iou), number(s.box.cx), number(s.box.cy), number(s.box.w),
                          number(s.box.h), s.meaning});
    return t;
}

ReportTable race_table(const IouLab& lab, const std::string& title, const std::string& lead, RaceOf race_of) {
    ReportTable t{title, lead, {"loss", "rate", "mean IoU", "floored", "diverged"}, {}, {}};
    for (const LabStart& s : lab.starts) t.header.push_back(s.name);
    for (const LabLoss& loss : lab.losses) {
        const LabRace& race = race_of(loss, lab);
        std::vector<std::string> row = {loss.name, number(race.rate), fmt::format("{:.3f}", race.final_iou()),
                                        fmt::format("{}", race.floored()), fmt::format("{}", race.diverged())};
        std::vector<double> shades(row.size(), 0);
        for (const LabPath& p : race.paths) {
            const bool there = p.iou.back() >= lab_thresholds.back();
            row.push_back(steps_text(p, "–") + (there ? "" : fmt::format(" ({:.3f})", p.iou.back())));
            shades.push_back(p.iou.back() * p.iou.back() / 2);  // squared: differences near 1 stay visible
        }
        t.rows.push_back(std::move(row));
        t.shades.push_back(std::move(shades));
    }
    return t;
}

ReportTable touch_table(const IouLab& lab) {
    ReportTable t{"From apart to touching",
                  "At each loss's best rate: the first step at which the boxes overlap, the predicted box's area then "
                  "and its largest area on the way (or within the race), as multiples of the area it started with. "
                  "Above 1: the loss made the box larger to get there.",
                  {"loss"},
                  {},
                  {}};
    for (const LabStart& s : lab.starts)
        if (s.iou == 0)
            for (const char* what : {"step", "area then", "largest"})
                t.header.push_back(fmt::format("{}: {}", s.name, what));
    if (t.header.size() == 1) return t;
    for (const LabLoss& loss : lab.losses) {
        std::vector<std::string> row = {loss.name};
        for (std::size_t i = 0; i < lab.starts.size(); ++i) {
            if (lab.starts[i].iou != 0) continue;
            const LabPath& p = loss.best_race().paths[i];
            row.push_back(p.touch ? fmt::format("{}", *p.touch) : "–");
            row.push_back(p.touch ? number(p.area_at_touch, 3) : "–");
            row.push_back(number(p.largest_area, 3));
        }
        t.rows.push_back(std::move(row));
    }
    return t;
}

ReportTable rates_table(const IouLab& lab) {
    ReportTable t{"Final mean IoU at every rate",
                  "How much of the answer is the rate: wide dark bands are losses that forgive a wrong one. The rate "
                  "taken is marked with *.",
                  {"loss"},
                  {},
                  {}};
    for (const double rate : lab.spec.rates) t.header.push_back(number(rate));
    for (const LabLoss& loss : lab.losses) {
        std::vector<std::string> row = {loss.name};
        std::vector<double> shades = {0};
        for (std::size_t r = 0; r < loss.races.size(); ++r) {
            const double iou = loss.races[r].final_iou();
            row.push_back(fmt::format("{:.3f}{}", iou, r == loss.best ? " *" : ""));
            shades.push_back(iou * iou);
        }
        t.rows.push_back(std::move(row));
        t.shades.push_back(std::move(shades));
    }
    return t;
}

std::string summary_of(const IouLab& lab) {
    std::vector<std::string> still;
    const LabLoss *worst = &lab.losses.front(), *top = worst;
    for (const LabLoss& loss : lab.losses) {
        if (loss.centre.still_share > 0)
            still.push_back(fmt::format("{} ({})", loss.name, percent(loss.centre.still_share)));
        if (loss.best_race().final_iou() < worst->best_race().final_iou()) worst = &loss;
        if (loss.best_race().final_iou() > top->best_race().final_iou()) top = &loss;
    }
    std::string text =
        still.empty() ? "Every loss pulls on the centre from every position."
                      : fmt::format("Losses that leave positions without any pull on the centre: {}.", listed(still));
    text += fmt::format(" At its best rate each loss ends the race between mean IoU {:.3f} ({}) and {:.3f} ({}).",
                        worst->best_race().final_iou(), worst->name, top->best_race().final_iou(), top->name);
    return text +
           " All values and gradients come from the losses that training uses, in double precision, on one box that "
           "may move freely: this shows the shape of a loss and does not rank losses for training a network.";
}

void add_settings(Report& report, const LabSpec& s) {
    const LabSpec usual;
    const auto list = [](const std::vector<double>& v) {
        std::string text;
        for (const double x : v) text += (text.empty() ? "" : ",") + number(x, 6);
        return text;
    };
    const auto add = [&](const char* option, const std::string& value, const std::string& normal) {
        report.config.push_back({option, value, value == normal ? "default" : "command line"});
    };
    const auto size = [](const LabSpec& x) { return fmt::format("{},{}", number(x.width), number(x.height)); };
    const auto schedule = [](const LabSpec& x) { return std::string(x.cosine ? "cosine" : "constant"); };
    add("--target", text_of(s.target), text_of(usual.target));
    add("--size", size(s), size(usual));
    add("--grid", fmt::format("{}", s.grid), fmt::format("{}", usual.grid));
    add("--steps", fmt::format("{}", s.steps), fmt::format("{}", usual.steps));
    add("--lr", list(s.rates), list(usual.rates));
    add("--schedule", schedule(s), schedule(usual));
}

}  // namespace

std::string steps_text(const LabPath& path, const char* never) {
    std::string text;
    for (const auto& steps : path.steps_to)
        text += (text.empty() ? "" : " / ") + (steps ? fmt::format("{}", *steps) : std::string(never));
    return text;
}

Report iou_lab_report(const IouLab& lab) {
    const LabSpec& s = lab.spec;
    Report report;
    report.title = "IoU lab: what box losses do to a box";
    report.verdict_text = summary_of(lab);
    double start = 0;
    for (const LabStart& x : lab.starts) start += x.iou / static_cast<double>(lab.starts.size());
    report.summary = {{"target cx,cy,w,h", text_of(s.target)},
                      {"losses", fmt::format("{}", lab.losses.size())},
                      {"positions per field", fmt::format("{}", s.grid * s.grid)},
                      {"starts, mean IoU", fmt::format("{}, {:.3f}", lab.starts.size(), start)},
                      {"steps", fmt::format("{}", s.steps)},
                      {"rates tried", fmt::format("{}", s.rates.size())}};
    report.fields = {fields_of(lab, true), fields_of(lab, false)};
    report.plots.push_back(
        race_plot(lab, fmt::format("Mean IoU of {} starts, each loss at its best rate", lab.starts.size()), best_of));
    if (s.rates.size() > 1)
        report.plots.push_back(
            race_plot(lab, fmt::format("The same, all losses at the rate {}", number(s.rates[lab.shared])), shared_of));
    const std::string rule = fmt::format(
        "Each step is number -= rate * gradient{}; a side that would end below {} ends there, and such steps are "
        "counted as floored; a box beyond {} or not finite has diverged, stays and counts as IoU 0.",
        s.cosine ? ", the rate falling to 0 along half a cosine" : "", number(lab_least_side), number(lab_lost));
    report.tables = {
        gradient_table(lab), starts_table(lab),
        race_table(
            lab, "The race, each loss at its best rate",
            fmt::format(
                "Losses have different scales, so each gets the rate at which it ends with the highest mean IoU; among "
                "rates within {} of that, the one with the highest mean IoU over all steps. Steps to IoU {}; in "
                "brackets a final IoU below the last of these. {} On a free box a squared difference has a rate that "
                "ends the race in a step or two; behind a network, where weights serve all boxes, it has not.",
                number(lab_tie), fmt::join(lab_thresholds, " / "), rule),
            best_of)};
    if (s.rates.size() > 1) {
        report.tables.push_back(race_table(
            lab, fmt::format("The race, all losses at the rate {}", number(s.rates[lab.shared])),
            "The one rate of the grid at which the losses on average end best. What differs here is also the scale.",
            shared_of));
        report.tables.push_back(rates_table(lab));
    }
    if (ReportTable touch = touch_table(lab); touch.header.size() > 1) report.tables.push_back(std::move(touch));
    add_settings(report, s);
    return report;
}

}  // namespace solobox
