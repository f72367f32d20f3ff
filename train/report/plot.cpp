// Line plots as inline SVG. The drawing area is stretched to the column's width while text and line widths keep their
// size, so one markup serves a phone, a desktop and paper.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <limits>

#include "train/report/parts.h"
#include "train/report/text.h"

namespace solobox::report_parts {
namespace {

using report_text::escape;
using report_text::number;

constexpr double view_width = 1000, view_height = 220;  // of the drawing area; one unit of height is one CSS pixel
constexpr std::size_t max_buckets = 500;                // a curve keeps the smallest and largest point of each
constexpr std::size_t series_colours = 6;

struct Range {
    double low = 0, high = 1;
    double fraction(double v) const { return (v - low) / (high - low); }
};

struct Point {
    double x, y;  // y already log10 on a logarithmic axis
};

struct Line {
    std::vector<Point> points;  // in order; a NaN y is a gap
    std::size_t not_finite = 0, not_positive = 0;
    std::size_t smallest = 0, largest = 0, last = 0;  // indices into the curve's y
    bool any = false;
};

Line read_curve(const ReportCurve& curve, bool log_scale) {
    constexpr double gap = std::numeric_limits<double>::quiet_NaN();
    constexpr double huge = 1e300;  // keeps differences finite
    Line line;
    const std::size_t count = curve.x.empty() ? curve.y.size() : std::min(curve.x.size(), curve.y.size());
    for (std::size_t i = 0; i < count; ++i) {
        const double x = curve.x.empty() ? static_cast<double>(i) : curve.x[i], y = curve.y[i];
        if (!std::isfinite(x)) continue;
        line.not_finite += std::isinf(y) ? 1 : 0;
        const bool drawn = std::isfinite(y) && (!log_scale || y > 0);
        line.not_positive += std::isfinite(y) && !drawn ? 1 : 0;
        line.points.push_back({std::clamp(x, -huge, huge), !drawn      ? gap
                                                           : log_scale ? std::log10(y)
                                                                       : std::clamp(y, -huge, huge)});
        if (!std::isfinite(y)) continue;
        if (!line.any || y < curve.y[line.smallest]) line.smallest = i;
        if (!line.any || y > curve.y[line.largest]) line.largest = i;
        line.last = i;
        line.any = true;
    }
    return line;
}

// Smallest and largest of each bucket in their order, so that no spike is lost.
std::vector<Point> thin_out(const std::vector<Point>& points) {
    if (points.size() <= 2 * max_buckets) return points;
    std::vector<Point> out;
    for (std::size_t b = 0; b < max_buckets; ++b) {
        const std::size_t begin = b * points.size() / max_buckets, end = (b + 1) * points.size() / max_buckets;
        std::size_t low = end, high = end;
        for (std::size_t i = begin; i < end; ++i) {
            if (std::isnan(points[i].y)) continue;
            if (low == end || points[i].y < points[low].y) low = i;
            if (high == end || points[i].y > points[high].y) high = i;
        }
        if (low == end) {
            out.push_back(points[begin]);  // the whole bucket is a gap
            continue;
        }
        out.push_back(points[std::min(low, high)]);
        if (low != high) out.push_back(points[std::max(low, high)]);
    }
    return out;
}

Range range_of(const std::vector<Line>& lines, bool of_x) {
    double low = std::numeric_limits<double>::infinity(), high = -low;
    for (const Line& line : lines) {
        for (const Point& p : line.points) {
            const double v = of_x ? p.x : p.y;
            if (std::isnan(v)) continue;
            low = std::min(low, v);
            high = std::max(high, v);
        }
    }
    if (!(low <= high)) return {};
    const double scale = std::max({std::abs(low), std::abs(high), 1e-300});
    // A flat line sits in the middle of its plot.
    if (high - low <= 1e-12 * scale) {
        const double room = low == 0 ? 1 : of_x ? 0.5 : 0.1 * scale;
        return of_x && low == 0 ? Range{-0.5, 0.5} : Range{low - room, high + room};
    }
    const double margin = of_x ? 0 : 0.05 * (high - low);
    return {low - margin, high + margin};
}

std::string path_of(const std::vector<Point>& points, const Range& x, const Range& y) {
    std::string d;
    bool open = false;
    for (std::size_t i = 0; i < points.size(); ++i) {
        if (std::isnan(points[i].y)) {
            open = false;
            continue;
        }
        const double px = x.fraction(points[i].x) * view_width, py = (1 - y.fraction(points[i].y)) * view_height;
        fmt::format_to(std::back_inserter(d), "{}{:.1f} {:.1f}", open ? "L" : "M", px, py);
        const bool alone = !open && (i + 1 == points.size() || std::isnan(points[i + 1].y));
        if (alone) d += "h0";  // a round cap makes it a dot
        open = true;
    }
    return d;
}

std::string grid_of(const Ticks& x_ticks, const Ticks& y_ticks, const Range& x, const Range& y) {
    std::string out;
    for (const double v : x_ticks.at)
        out += fmt::format("<path class=\"grid\" d=\"M{:.1f} 0V{:.0f}\"/>", x.fraction(v) * view_width, view_height);
    for (const double v : y_ticks.at)
        out +=
            fmt::format("<path class=\"grid\" d=\"M0 {:.1f}H{:.0f}\"/>", (1 - y.fraction(v)) * view_height, view_width);
    out += fmt::format("<path class=\"axis\" d=\"M0 0V{0:.0f}H{1:.0f}\"/>", view_height, view_width);
    return out;
}

std::string y_axis(const Ticks& ticks, const Range& y) {
    std::string out = "<svg class=\"ya\" aria-hidden=\"true\">";
    for (std::size_t i = 0; i < ticks.at.size(); ++i)
        out += fmt::format("<text x=\"52\" y=\"{:.1f}\">{}</text>", (1 - y.fraction(ticks.at[i])) * view_height + 4,
                           ticks.labels[i]);
    return out + "</svg>";
}

std::string x_axis(const Ticks& ticks, const Range& x, const std::string& label) {
    std::string out = "<svg class=\"xa\" aria-hidden=\"true\">";
    for (std::size_t i = 0; i < ticks.at.size(); ++i) {
        const double percent = x.fraction(ticks.at[i]) * 100;
        const char* anchor = percent > 97 ? "end" : "middle";
        out +=
            fmt::format("<text x=\"{:.2f}%\" y=\"15\" text-anchor=\"{}\">{}</text>", percent, anchor, ticks.labels[i]);
    }
    out += fmt::format("<text class=\"label\" x=\"50%\" y=\"32\" text-anchor=\"middle\">{}</text>", escape(label));
    return out + "</svg>";
}

std::string legend_row(const ReportCurve& curve, const Line& line, std::size_t index) {
    const auto x_at = [&](std::size_t i) { return number(curve.x.empty() ? static_cast<double>(i) : curve.x[i], 6); };
    const auto cell = [&](std::size_t i, bool with_x) {
        if (!line.any) return std::string("<td>–</td>");
        const std::string at = with_x ? fmt::format(" <small>@ {}</small>", x_at(i)) : "";
        return fmt::format("<td>{}{}</td>", number(curve.y[i]), at);
    };
    std::string remark;
    if (line.not_finite > 0) remark += fmt::format(" <span class=\"bad\">{} not finite</span>", line.not_finite);
    if (line.not_positive > 0)
        remark += fmt::format(" <small>{} at or below 0 not on a log axis</small>", line.not_positive);
    return fmt::format(
        "<tr><th scope=\"row\"><svg class=\"swatch\" viewBox=\"0 0 22 8\" aria-hidden=\"true\"><path class=\"line "
        "c{}{}\" d=\"M1 4H21\"/></svg>"
        "{}{}</th>{}{}{}</tr>",
        index % series_colours, index >= series_colours ? " dashed" : "", escape(curve.name), remark,
        cell(line.last, false), cell(line.smallest, true), cell(line.largest, true));
}

std::string plot(const ReportPlot& plot) {
    const bool log_scale = [&] {
        bool wanted = false, positive = false;
        for (const ReportCurve& c : plot.curves) {
            wanted = wanted || c.log_scale;
            positive =
                positive || std::any_of(c.y.begin(), c.y.end(), [](double v) { return std::isfinite(v) && v > 0; });
        }
        return wanted && positive;
    }();
    std::vector<Line> lines;
    for (const ReportCurve& curve : plot.curves) lines.push_back(read_curve(curve, log_scale));
    const Range x = range_of(lines, true), y = range_of(lines, false);
    const bool any = std::any_of(lines.begin(), lines.end(), [](const Line& l) { return l.any; });
    Ticks x_ticks = any ? linear_ticks(x.low, x.high, 6) : Ticks{};
    // Numbers this long would lie on each other on a phone.
    std::size_t characters = 0;
    for (const std::string& label : x_ticks.labels) characters += label.size();
    if (characters > 24) x_ticks = linear_ticks(x.low, x.high, 4);
    const Ticks y_ticks = !any ? Ticks{} : log_scale ? decade_ticks(y.low, y.high, 6) : linear_ticks(y.low, y.high, 5);

    std::string out = fmt::format("<figure class=\"card plot\"><figcaption>{}{}</figcaption><div class=\"area\">",
                                  escape(plot.title), log_scale ? " <small>log scale</small>" : "");
    out += y_axis(y_ticks, y) + fmt::format(
                                    "<svg class=\"pa\" viewBox=\"0 0 {:.0f} {:.0f}\" preserveAspectRatio=\"none\" "
                                    "role=\"img\" aria-label=\"{}\">",
                                    view_width, view_height, escape(plot.title));
    out += grid_of(x_ticks, y_ticks, x, y);
    for (std::size_t i = 0; i < lines.size(); ++i) {
        const std::string d = path_of(thin_out(lines[i].points), x, y);
        const std::string colour = fmt::format("c{}{}", i % series_colours, i >= series_colours ? " dashed" : "");
        if (!d.empty()) out += fmt::format("<path class=\"line {}\" d=\"{}\"/>", colour, d);
        const auto& p = lines[i].points;
        const auto last = std::find_if(p.rbegin(), p.rend(), [](const Point& q) { return !std::isnan(q.y); });
        if (last != p.rend()) out += fmt::format("<path class=\"dot {}\" d=\"{}\"/>", colour, path_of({*last}, x, y));
    }
    out += "</svg>" + x_axis(x_ticks, x, plot.x_label) + "</div>";
    if (!any) out += "<p class=\"note\">No value was recorded.</p>";
    if (!plot.curves.empty()) {
        out += "<table class=\"legend\"><thead><tr><th></th><th>last</th><th>min</th><th>max</th></tr></thead><tbody>";
        for (std::size_t i = 0; i < lines.size(); ++i) out += legend_row(plot.curves[i], lines[i], i);
        out += "</tbody></table>";
    }
    if (!plot.note.empty()) out += fmt::format("<p class=\"note\">{}</p>", escape(plot.note));
    return out + "</figure>\n";
}

}  // namespace

Ticks linear_ticks(double low, double high, int wanted) {
    Ticks ticks;
    if (!std::isfinite(low) || !std::isfinite(high) || !(high > low) || wanted < 1) return ticks;
    const double raw = high / wanted - low / wanted, power = std::pow(10, std::floor(std::log10(raw)));
    const double mantissa = raw / power;
    const double step = power * (mantissa < 1.5 ? 1 : mantissa < 3.5 ? 2 : mantissa < 7.5 ? 5 : 10);
    if (!std::isfinite(step) || !(step > 0)) return ticks;
    const int decimals = std::max(0, -static_cast<int>(std::floor(std::log10(step) + 1e-9)));
    const double largest = std::max(std::abs(low), std::abs(high));
    const double first = std::ceil(low / step - 1e-9);
    for (int i = 0; i < 4 * wanted + 4; ++i) {
        double v = (first + i) * step;
        if (v > high + 1e-9 * step) break;
        if (std::abs(v) < 1e-9 * step) v = 0;
        ticks.at.push_back(v);
        ticks.labels.push_back(decimals <= 4 && largest < 1e6 ? fmt::format("{:.{}f}", v, decimals) : number(v, 5));
    }
    return ticks;
}

Ticks decade_ticks(double log10_low, double log10_high, int wanted) {
    Ticks ticks;
    if (!std::isfinite(log10_low) || !std::isfinite(log10_high) || !(log10_high > log10_low) || wanted < 1)
        return ticks;
    const double span = log10_high - log10_low;
    const auto add = [&](double at) {
        if (at < log10_low - 1e-9 || at > log10_high + 1e-9) return;
        ticks.at.push_back(at);
        ticks.labels.push_back(number(std::pow(10, at), 3));
    };
    // Fewer decades than two within the range: closer ones.
    for (int step = std::max(1, static_cast<int>(std::ceil(span / wanted))); step > 0 && ticks.at.size() < 2; --step) {
        ticks = {};
        for (int decade = static_cast<int>(std::floor(log10_low / step)) * step; decade <= log10_high; decade += step) {
            add(decade);
            if (3 * span <= wanted + 1) add(decade + std::log10(2.0));
            if (3 * span <= wanted + 1) add(decade + std::log10(5.0));
        }
    }
    if (ticks.at.size() >= 2) return ticks;
    // Less than a factor of two: round numbers of the values themselves.
    Ticks close = linear_ticks(std::pow(10, log10_low), std::pow(10, log10_high), wanted);
    for (double& v : close.at) v = v > 0 ? std::log10(v) : log10_low;
    return close.at.empty() ? ticks : close;
}

std::string plots(const Report& report) {
    if (report.plots.empty()) return "";
    std::string out = "<section id=\"curves\"><h2>Curves</h2><div class=\"plots\">";
    for (const ReportPlot& p : report.plots) out += plot(p);
    return out + "</div></section>\n";
}

}  // namespace solobox::report_parts
