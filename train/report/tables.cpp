// Plain tables of the report: confusions, figures per class. A shade behind a number draws the eye to what is large.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "train/report/parts.h"
#include "train/report/text.h"

namespace solobox::report_parts {
namespace {

using report_text::escape;

std::string cell(const ReportTable& t, std::size_t r, std::size_t c) {
    const std::string text = escape(t.rows[r][c]);
    if (c == 0) return fmt::format("<th scope=\"row\">{}</th>", text);
    const bool shaded = r < t.shades.size() && c < t.shades[r].size() && t.shades[r][c] > 0;
    if (!shaded) return fmt::format("<td>{}</td>", text);
    return fmt::format("<td style=\"background:color-mix(in srgb, var(--c0) {:.0f}%, transparent)\">{}</td>",
                       65 * std::clamp(t.shades[r][c], 0.0, 1.0), text);
}

}  // namespace

std::string tables(const Report& report) {
    if (report.tables.empty()) return "";
    std::string out = "<section id=\"tables\"><h2>Tables</h2>";
    for (const ReportTable& t : report.tables) {
        out +=
            fmt::format("<h3>{}</h3><p class=\"lead\">{}</p><div class=\"scroll\"><table class=\"numbers\"><thead><tr>",
                        escape(t.title), escape(t.lead));
        for (const std::string& name : t.header) out += fmt::format("<th scope=\"col\">{}</th>", escape(name));
        out += "</tr></thead><tbody>\n";
        for (std::size_t r = 0; r < t.rows.size(); ++r) {
            out += "<tr>";
            for (std::size_t c = 0; c < t.rows[r].size(); ++c) out += cell(t, r, c);
            out += "</tr>\n";
        }
        out += "</tbody></table></div>\n";
    }
    return out + "</section>\n";
}

}  // namespace solobox::report_parts
