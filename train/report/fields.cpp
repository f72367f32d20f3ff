// Fields of arrows as inline SVG: shades in steps, which show like contour lines, and one arrow per cell. One path per
// shade and one for all arrows keep a page with twenty fields small.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "train/report/parts.h"
#include "train/report/text.h"

namespace solobox::report_parts {
namespace {

using report_text::escape;

constexpr double view = 1000;           // the unit square in SVG units; whole ones are fine enough
constexpr int shade_steps = 10;         // of equal range
constexpr double darkest = 0.62;        // opacity: arrows stay readable on it
constexpr double longest_arrow = 0.92;  // of a cell
constexpr double barb = 0.34;           // of an arrow's length
constexpr double barb_angle = 0.5;      // radians to either side

long units(double v) { return std::lround(v * view); }

// Cells whose shade falls into step `level`, neighbours of a row joined.
std::string shade_path(const ReportField& f, int level) {
    const auto step_of = [&](std::int64_t i) {
        const double v = f.shades[static_cast<std::size_t>(i)];
        return std::isfinite(v) ? std::min(static_cast<int>(std::clamp(v, 0.0, 1.0) * shade_steps), shade_steps - 1)
                                : 0;
    };
    std::string d;
    const double width = 1.0 / static_cast<double>(f.columns), height = 1.0 / static_cast<double>(f.rows);
    for (std::int64_t row = 0; row < f.rows; ++row) {
        const std::int64_t drawn = f.y_up ? f.rows - 1 - row : row;
        const long top = units(static_cast<double>(drawn) * height),
                   bottom = units(static_cast<double>(drawn + 1) * height);
        for (std::int64_t c = 0; c < f.columns;) {
            std::int64_t end = c;
            while (end < f.columns && step_of(row * f.columns + end) == level) ++end;
            if (end > c)
                fmt::format_to(std::back_inserter(d), "M{} {}H{}V{}H{}z", units(static_cast<double>(c) * width), top,
                               units(static_cast<double>(end) * width), bottom, units(static_cast<double>(c) * width));
            c = std::max(end, c + 1);
        }
    }
    return d;
}

void add_arrow(std::string& d, double x, double y, double dx, double dy) {
    const double tip_x = x + dx / 2, tip_y = y + dy / 2, length = std::hypot(dx, dy), back = std::atan2(-dy, -dx);
    const auto end = [&](double turn) {
        return std::array{tip_x + barb * length * std::cos(back + turn), tip_y + barb * length * std::sin(back + turn)};
    };
    const auto left = end(barb_angle), right = end(-barb_angle);
    fmt::format_to(std::back_inserter(d), "M{} {}L{} {}M{} {}L{} {}L{} {}", units(x - dx / 2), units(y - dy / 2),
                   units(tip_x), units(tip_y), units(left[0]), units(left[1]), units(tip_x), units(tip_y),
                   units(right[0]), units(right[1]));
}

std::string arrows(const ReportField& f) {
    std::string moving, still;
    const double cell = longest_arrow / static_cast<double>(std::max(f.columns, f.rows));
    for (std::int64_t row = 0; row < f.rows; ++row) {
        for (std::int64_t c = 0; c < f.columns; ++c) {
            const auto [dx, dy] = f.arrows[static_cast<std::size_t>(row * f.columns + c)];
            const double x = (static_cast<double>(c) + 0.5) / static_cast<double>(f.columns),
                         down = (static_cast<double>(row) + 0.5) / static_cast<double>(f.rows),
                         y = f.y_up ? 1 - down : down;
            if (dx == 0 && dy == 0)
                fmt::format_to(std::back_inserter(still), "M{} {}h0", units(x), units(y));
            else if (std::isfinite(dx) && std::isfinite(dy))
                add_arrow(moving, x, y, dx * cell, (f.y_up ? -dy : dy) * cell);
        }
    }
    std::string out;
    if (!still.empty()) out += fmt::format("<path class=\"still\" d=\"{}\"/>", still);
    if (!moving.empty()) out += fmt::format("<path class=\"arrows\" d=\"{}\"/>", moving);
    return out;
}

std::string marks(const ReportField& f) {
    std::string out;
    for (const auto& [b, look] : f.rects) {
        const double top = f.y_up ? 1 - b.cy - b.h / 2 : b.cy - b.h / 2;
        out += fmt::format("<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>", escape(look),
                           units(b.cx - b.w / 2), units(top), units(b.w), units(b.h));
    }
    for (const auto& [x, y] : f.crosses)
        out += fmt::format("<path class=\"cross\" d=\"M{0} {1}m-22 0h44m-22 -22v44\"/>", units(x),
                           units(f.y_up ? 1 - y : y));
    return out;
}

std::string field(const ReportField& f) {
    const auto cells = static_cast<std::size_t>(f.columns * f.rows);
    std::string out = fmt::format(
        "<figure class=\"card field\"><figcaption>{}<small>{}</small></figcaption><div class=\"plane\">"
        "<div class=\"v{}\" aria-hidden=\"true\"><span>0</span><span>{}</span><span>1</span></div>"
        "<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\">",
        escape(f.title), escape(f.subtitle), f.y_up ? " up" : "", escape(f.y_label), view, view,
        escape(f.title + ", " + f.x_label + " and " + f.y_label));
    if (f.shades.size() == cells)
        for (int level = 0; level < shade_steps; ++level)
            if (const std::string d = shade_path(f, level); !d.empty() && level > 0)
                out += fmt::format("<path class=\"shade\" opacity=\"{:.2f}\" d=\"{}\"/>",
                                   darkest * level / (shade_steps - 1), d);
    if (f.arrows.size() == cells) out += arrows(f);
    out += marks(f);
    out += fmt::format(
        "</svg><div class=\"h\" aria-hidden=\"true\"><span>0</span><span>{}</span><span>1</span></div></div>",
        escape(f.x_label));
    if (!f.note.empty()) out += fmt::format("<p class=\"note\">{}</p>", escape(f.note));
    return out + "</figure>\n";
}

}  // namespace

std::string fields(const Report& report) {
    std::string out;
    for (const ReportFields& group : report.fields) {
        if (group.fields.empty()) continue;
        out += fmt::format("<section id=\"{}\"><h2>{}</h2><p class=\"lead\">{}</p>", escape(group.id),
                           escape(group.title), escape(group.lead));
        if (!group.key.empty()) {
            out += "<div class=\"key\">";
            for (const auto& [look, meaning] : group.key)
                out += fmt::format("<span><i class=\"{}\"></i>{}</span>", escape(look), escape(meaning));
            out += "</div>";
        }
        out += "<div class=\"fields\">\n";
        for (const ReportField& f : group.fields) out += field(f);
        out += "</div></section>\n";
    }
    return out;
}

}  // namespace solobox::report_parts
