// A row of dots per arm of an experiment: one dot a seed, the mean as a bar, its interval as a line; and the scores of
// answers that never look at a picture as lines through all rows.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "train/report/parts.h"
#include "train/report/text.h"

namespace solobox::report_parts {
namespace {

using report_text::escape;
using report_text::number;

constexpr double dots_width = 1000, dots_height = 26;

struct Scale {
    double low = 0, high = 1;
    double at(double v) const { return (v - low) / (high - low) * dots_width; }
};

Scale scale_of(const ReportDots& dots) {
    double low = std::numeric_limits<double>::infinity(), high = -low;
    const auto see = [&](double v) {
        if (std::isfinite(v)) low = std::min(low, v), high = std::max(high, v);
    };
    for (const auto& [name, value] : dots.marks) see(value);
    for (const ReportDots::Row& row : dots.rows)
        for (const double v : row.values) see(v);
    if (!(low <= high)) return {};
    const double room = std::max(0.04 * (high - low), 1e-6);
    return {low - room, high + room};
}

std::string strip(const ReportDots& dots, const ReportDots::Row& row, const Scale& x, const Ticks& ticks) {
    std::string out = fmt::format(
        "<svg class=\"dots\" viewBox=\"0 0 {:.0f} {:.0f}\" preserveAspectRatio=\"none\" role=\"img\" "
        "aria-label=\"{}\">",
        dots_width, dots_height, escape(row.name));
    for (const double v : ticks.at)
        out += fmt::format("<path class=\"grid\" d=\"M{:.1f} 0V{:.0f}\"/>", x.at(v), dots_height);
    std::size_t colour = 1;
    for (const auto& [name, value] : dots.marks)
        if (std::isfinite(value))
            out += fmt::format("<path class=\"line dashed c{}\" d=\"M{:.1f} 0V{:.0f}\"/>", colour++ % 6, x.at(value),
                               dots_height);
    // An interval may reach far beyond the dots: it is cut at the edge.
    if (std::isfinite(row.low) && std::isfinite(row.high))
        out += fmt::format("<path class=\"line c0\" d=\"M{:.1f} 13H{:.1f}\"/>",
                           std::clamp(x.at(row.low), 0.0, dots_width), std::clamp(x.at(row.high), 0.0, dots_width));
    if (std::isfinite(row.mean)) out += fmt::format("<path class=\"line c0\" d=\"M{:.1f} 5V21\"/>", x.at(row.mean));
    for (const double v : row.values)
        if (std::isfinite(v)) out += fmt::format("<path class=\"dot c0\" d=\"M{:.1f} 13h0\"/>", x.at(v));
    return out + "</svg>";
}

std::string one(const ReportDots& dots) {
    const Scale x = scale_of(dots);
    const Ticks ticks = linear_ticks(x.low, x.high, 3);
    std::string out = fmt::format("<figure class=\"card\"><figcaption>{}</figcaption><table class=\"dotted\"><tbody>",
                                  escape(dots.title));
    for (const ReportDots::Row& row : dots.rows)
        out += fmt::format("<tr><th scope=\"row\">{}</th><td class=\"wide\">{}</td><td>{}</td></tr>\n",
                           escape(row.name), strip(dots, row, x, ticks), escape(row.text));
    out += "<tr><th></th><td class=\"wide\"><svg class=\"xa\" aria-hidden=\"true\">";
    for (std::size_t i = 0; i < ticks.at.size(); ++i)
        out += fmt::format("<text x=\"{:.2f}%\" y=\"15\" text-anchor=\"middle\">{}</text>",
                           x.at(ticks.at[i]) / dots_width * 100, ticks.labels[i]);
    out += "</svg></td><td></td></tr></tbody></table>";
    std::string keys;
    std::size_t colour = 1;
    for (const auto& [name, value] : dots.marks)
        if (std::isfinite(value))
            keys += fmt::format(
                "<span><svg class=\"swatch\" viewBox=\"0 0 22 8\" aria-hidden=\"true\"><path class=\"line dashed c{}\" "
                "d=\"M1 4H21\"/></svg>{} {}</span>",
                colour++ % 6, escape(name), number(value));
    if (!keys.empty()) out += "<p class=\"key\">" + keys + "</p>";
    if (!dots.note.empty()) out += fmt::format("<p class=\"note\">{}</p>", escape(dots.note));
    return out + "</figure>\n";
}

}  // namespace

std::string dots(const Report& report) {
    if (report.dots.empty()) return "";
    std::string out = "<section id=\"seeds\"><h2>Every seed</h2><div class=\"stack\">";
    for (const ReportDots& d : report.dots) out += one(d);
    return out + "</div></section>\n";
}

}  // namespace solobox::report_parts
