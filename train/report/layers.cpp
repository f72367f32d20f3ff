// Layer health: heat maps with one row per parameter tensor from the input to the output and time from left to right.
// A row without gradient is hatched red and says so: it is what the reader came to find.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "train/report/map.h"
#include "train/report/parts.h"
#include "train/report/text.h"

namespace solobox::report_parts {
namespace {

using report_text::escape;
using report_text::number;

constexpr std::size_t max_hatches_per_row = 24;
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// The word at a row's end, or "" when all is well.
std::string complaint(const MapSpec& spec, const FlowState& state) {
    switch (state.flow) {
        case Flow::zero:
            return spec.zero_word;
        case Flow::missing:
            return spec.missing_word;
        case Flow::not_finite:
            return "not finite";
        case Flow::fine:
            break;
    }
    return "";
}
// Hatches over the cells of one row that are exactly 0, or all of it when nothing was ever recorded; the word on the
// longest.
std::string hatches(const MapSpec& spec, const Map& map, std::size_t r, int row_height) {
    const auto& row = map.cells[r];
    const FlowState& state = map.states[r];
    const auto hatched = [&](std::size_t c) {
        if (std::isnan(row[c]))
            return state.flow == Flow::missing && !spec.missing_word.empty() &&
                   (state.always || (c + 1) * map.steps / map.columns > state.since);
        return spec.log_scale && row[c] <= 0 && !spec.zero_word.empty();
    };
    std::string out;
    std::size_t longest = 0, longest_at = 0, drawn = 0;
    const double scale = 100.0 / static_cast<double>(map.columns);
    for (std::size_t c = 0; c < map.columns;) {
        std::size_t end = c;
        while (end < map.columns && hatched(end)) ++end;
        if (end > c && drawn++ < max_hatches_per_row) {
            out += fmt::format("<rect class=\"hatch\" x=\"{:.2f}%\" y=\"{}\" width=\"{:.2f}%\" height=\"{}\"/>",
                               static_cast<double>(c) * scale, static_cast<int>(r) * row_height,
                               static_cast<double>(end - c) * scale, row_height);
            if (end - c > longest) longest = end - c, longest_at = c;
        }
        c = std::max(end, c + 1);
    }
    const std::string& word = state.flow == Flow::missing ? spec.missing_word : spec.zero_word;
    if (longest * 6 < map.columns || row_height < 12 || longest == 0) return out;
    return out + fmt::format("<text class=\"word\" x=\"{:.2f}%\" y=\"{}\">{}</text>",
                             (static_cast<double>(longest_at) + static_cast<double>(longest) / 2) * scale,
                             static_cast<int>(r) * row_height + row_height / 2 + 4, word);
}

std::string step_axis(const Report& report, const Map& map) {
    const auto& steps = report.layer_steps;
    std::string out = "<svg class=\"xa\" aria-hidden=\"true\">";
    const bool usable = steps.size() == map.steps && std::is_sorted(steps.begin(), steps.end()) && !steps.empty() &&
                        std::isfinite(steps.front()) && std::isfinite(steps.back());
    const double first = usable ? steps.front() : 0, last = usable ? steps.back() : static_cast<double>(map.steps - 1);
    Ticks ticks = linear_ticks(first, last, 6);
    if (ticks.at.empty()) ticks = {{first}, {number(first, 6)}};
    double before = -100;
    for (std::size_t i = 0; i < ticks.at.size(); ++i) {
        const double index =
            usable ? static_cast<double>(std::lower_bound(steps.begin(), steps.end(), ticks.at[i]) - steps.begin())
                   : ticks.at[i];
        const double percent = std::clamp(100 * (index + 0.5) / static_cast<double>(map.steps), 0.0, 100.0);
        // Steps are recorded densely at first: their places may be closer together than their numbers.
        if (percent - before < 5) continue;
        before = percent;
        // A phone has room for every other number.
        out += fmt::format("<text x=\"{:.2f}%\" y=\"14\" text-anchor=\"{}\"{}>{}</text>", percent,
                           percent > 97 ? "end" : "middle", i % 2 ? " class=\"odd\"" : "", ticks.labels[i]);
    }
    return out + "<text class=\"label\" x=\"50%\" y=\"31\" text-anchor=\"middle\">step</text></svg>";
}

std::string colour_bar(const MapSpec& spec, const Map& map) {
    std::string out = fmt::format(
        "<svg class=\"bar\" role=\"img\" aria-label=\"colour scale\"><defs><linearGradient id=\"scale-{}\">", spec.id);
    for (std::size_t i = 0; i < spec.palette->size(); ++i) {
        const Rgb c = (*spec.palette)[i];
        out += fmt::format("<stop offset=\"{}%\" stop-color=\"rgb({},{},{})\"/>", i * 10, c.r, c.g, c.b);
    }
    out += fmt::format(
        "</linearGradient></defs><rect x=\"0\" y=\"0\" width=\"100%\" height=\"10\" rx=\"2\" fill=\"url(#scale-{})\"/>",
        spec.id);
    const Ticks ticks = spec.log_scale ? decade_ticks(map.low, map.high, 3) : linear_ticks(map.low, map.high, 4);
    for (std::size_t i = 0; i < ticks.at.size(); ++i) {
        const double percent = 100 * (ticks.at[i] - map.low) / (map.high - map.low);
        out += fmt::format("<text x=\"{:.2f}%\" y=\"24\" text-anchor=\"{}\">{}</text>", percent,
                           percent < 4    ? "start"
                           : percent > 96 ? "end"
                                          : "middle",
                           ticks.labels[i]);
    }
    out += "</svg><span class=\"keys\">";
    if (!spec.zero_word.empty()) out += "<span><i class=\"k0\"></i>exactly 0</span>";
    bool gap = false, overflow = false;
    for (const auto& row : map.cells) {
        gap = gap || std::any_of(row.begin(), row.end(), [](double v) { return std::isnan(v); });
        overflow = overflow || std::any_of(row.begin(), row.end(), [](double v) { return std::isinf(v); });
    }
    if (gap) out += "<span><i class=\"k1\"></i>not recorded</span>";
    if (overflow) out += "<span><i class=\"k2\"></i>infinite</span>";
    return "<div class=\"scale\">" + out + "</span></div>";
}

std::string step_name(const Report& report, std::size_t index) {
    return index < report.layer_steps.size() ? number(report.layer_steps[index], 9) : fmt::format("{}", index);
}

// One sentence over the map: how many rows are in trouble, which, and since when.
std::string headline(const Report& report, const MapSpec& spec, const Map& map) {
    std::string names;
    std::size_t count = 0;
    for (std::size_t r = 0; r < map.rows.size(); ++r) {
        const std::string word = complaint(spec, map.states[r]);
        if (word.empty() || ++count > 8) continue;
        const FlowState& s = map.states[r];
        const std::string since = s.flow == Flow::not_finite ? ""
                                  : s.always                 ? ", in every recorded step"
                                                             : ", since step " + step_name(report, s.since);
        names += fmt::format("<li><code>{}</code> {}{}</li>", escape(map.rows[r]->name), word, since);
    }
    if (count == 0) return fmt::format("<p class=\"fine\">{}</p>", spec.lead);
    if (count > 8) names += fmt::format("<li>and {} more</li>", count - 8);
    return fmt::format("<div class=\"alarm\"><b>{} of {}</b> parameter tensors {}.<ul>{}</ul></div>", count,
                       map.rows.size(), spec.zero_meaning, names);
}

std::string heat_map(const Report& report, const MapSpec& spec) {
    const Map map = build_map(report, spec);
    if (map.rows.empty() || map.columns == 0) return "";
    const auto rows = static_cast<int>(map.rows.size());
    const int row_height = std::clamp(900 / rows, 10, 20);
    std::string names, values, overlay;
    for (std::size_t r = 0; r < map.rows.size(); ++r) {
        const std::string name = escape(map.rows[r]->name), bad = complaint(spec, map.states[r]);
        const double last = map.states[r].last;
        const int y = static_cast<int>(r) * row_height;
        const std::string value = bad.empty() ? spec.print(last) : map.states[r].flow == Flow::zero ? bad + " 0" : bad;
        // Right to left outside, so that a long name is cut at its beginning.
        names += fmt::format("<li title=\"{}\"{}><span><bdi>{}</bdi></span></li>", name,
                             bad.empty() ? "" : " class=\"bad\"", name);
        values += fmt::format("<li{}>{}</li>", bad.empty() && !(last >= spec.alarming) ? "" : " class=\"bad\"", value);
        overlay += hatches(spec, map, r, row_height);
        overlay += fmt::format(
            "<line x1=\"0\" x2=\"100%\" y1=\"{0}\" y2=\"{0}\"/><rect class=\"tip\" x=\"0\" y=\"{0}\" width=\"100%\" "
            "height=\"{1}\"><title>{2}: last {3}</title></rect>",
            y, row_height, name, value);
    }
    std::string out = fmt::format("<figure class=\"card heat\" id=\"{}\"><figcaption>{} <small>{}</small></figcaption>",
                                  spec.id, spec.title, spec.unit);
    out += headline(report, spec, map);
    out += fmt::format(
        "<div class=\"rows\" style=\"--row:{}px\"><p class=\"end\">input</p><p></p><p class=\"end "
        "r\">last</p><ol>{}</ol>",
        row_height, names);
    out += fmt::format(
        "<svg class=\"cells\" style=\"height:{}px\" role=\"img\" aria-label=\"{}\"><image width=\"100%\" "
        "height=\"100%\" preserveAspectRatio=\"none\" href=\"{}\"/>{}</svg>",
        rows * row_height, spec.title, cells_image(spec, map), overlay);
    out += fmt::format("<ol class=\"r\">{}</ol><p class=\"end\">output</p>{}<p></p></div>", values,
                       step_axis(report, map));
    return out + colour_bar(spec, map) + "</figure>\n";
}

std::string exact_table(const Report& report) {
    std::string out =
        "<details><summary>Exact numbers per parameter tensor</summary><div class=\"scroll\"><table "
        "class=\"numbers\"><thead><tr>"
        "<th>parameter</th><th>gradient: first</th><th>min</th><th>max</th><th>last</th><th>weight norm: last</th>"
        "<th>update / weight: last</th><th>dead: last</th><th>saturated: "
        "last</th><th>recorded</th></tr></thead><tbody>";
    for (const ReportLayer& layer : report.layers) {
        double first = nan, low = nan, high = nan;
        std::size_t recorded = 0;
        for (const double v : layer.grad_norm) {
            if (std::isnan(v)) continue;
            if (recorded++ == 0) first = v;
            low = std::fmin(low, v);
            high = std::fmax(high, v);
        }
        const auto last = [](const std::vector<double>& s) {
            const auto it = std::find_if(s.rbegin(), s.rend(), [](double v) { return !std::isnan(v); });
            return it == s.rend() ? nan : *it;
        };
        const auto cell = [](double v) {
            return std::isnan(v) ? std::string("<td>–</td>") : fmt::format("<td>{}</td>", number(v, 7));
        };
        out += fmt::format("<tr><th scope=\"row\">{}</th>", escape(layer.name));
        for (const double v : {first, low, high, last(layer.grad_norm), last(layer.weight_norm),
                               last(layer.update_ratio), last(layer.dead_fraction), last(layer.saturated_fraction)})
            out += cell(v);
        out += fmt::format("<td>{}</td></tr>\n", recorded);
    }
    return out + "</tbody></table></div></details>";
}

}  // namespace

std::string layers(const Report& report) {
    if (report.layers.empty()) return "";
    const auto short_number = [](double v) { return std::isnan(v) ? std::string("–") : number(v, 2); };
    const auto percent = [](double v) { return std::isnan(v) ? std::string("–") : number(100 * v, 3) + " %"; };
    const MapSpec gradient{"gradient-flow",
                           "Gradient flow",
                           "L2 norm of the gradient, colour = log10",
                           "Every parameter tensor received a gradient up to the last recorded step.",
                           &viridis,
                           true,
                           "blocked",
                           "receive no gradient: they do not learn",
                           "blocked",
                           [](const ReportLayer& l) -> const std::vector<double>& { return l.grad_norm; },
                           short_number};
    const MapSpec update{
        "update-ratio",
        "Update / weight",
        "norm of the update over norm of the weight, colour = log10",
        "How far one step moves each tensor, in relation to its size. About 1e-3 is a common rule of thumb.",
        &viridis,
        true,
        "not updated",
        "are not moved by the optimizer",
        "not updated",
        [](const ReportLayer& l) -> const std::vector<double>& { return l.update_ratio; },
        short_number};
    using Values = std::function<const std::vector<double>&(const ReportLayer&)>;
    const auto share = [&](const char* id, const char* title, const char* unit, const char* lead,
                           const Values& values) {
        return MapSpec{id, title, unit, lead, &inferno, false, "", "", "", values, percent, 0.9};
    };
    const MapSpec dead =
        share("dead-fraction", "Dead units", "share of the tensor's output units whose gradient is exactly 0",
              "Bright is dead: a unit that puts out nothing for any picture of the batch gets no gradient.",
              [](const ReportLayer& l) -> const std::vector<double>& { return l.dead_fraction; });
    const MapSpec saturated =
        share("saturated-fraction", "Saturated units", "share with less than 1 % of the median unit's gradient",
              "Bright is flat: these units get a gradient, and next to nothing of it.",
              [](const ReportLayer& l) -> const std::vector<double>& { return l.saturated_fraction; });
    std::string out =
        "<section id=\"layers\"><h2>Layer health</h2><p class=\"lead\">One row per parameter tensor, from the input at "
        "the top to the output "
        "at the bottom; time runs to the right. The gradient travels from the bottom up.</p>";
    out += heat_map(report, gradient) + heat_map(report, update);
    for (const MapSpec* spec : {&dead, &saturated}) {
        const auto any = [&](const auto& condition) {
            return std::any_of(report.layers.begin(), report.layers.end(), condition);
        };
        if (any([&](const ReportLayer& l) {
                const auto& v = spec->series(l);
                return std::any_of(v.begin(), v.end(), [](double x) { return x > 0; });
            }))
            out += heat_map(report, *spec);
        else if (any([&](const ReportLayer& l) { return !spec->series(l).empty(); }))
            out += fmt::format("<p class=\"lead\">{}: none in any recorded step.</p>", spec->title);
    }
    return out + exact_table(report) + "</section>\n";
}

}  // namespace solobox::report_parts
