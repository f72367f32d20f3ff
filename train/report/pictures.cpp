// The pictures of the report, worst first, with truth and prediction drawn over them; and the same as one PNG.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/image/draw.h"
#include "data/image/image.h"
#include "train/report/parts.h"
#include "train/report/text.h"

namespace solobox {
namespace {

using report_text::escape;

constexpr std::size_t picture_budget = 1'300'000;  // characters of base64 on the page
constexpr std::size_t max_shown = 300;             // the rest is listed by name
constexpr double pixel_art = 96;                   // px; smaller pictures keep hard pixels when enlarged

bool has_pixels(const Image& image) {
    return image.width > 0 && image.height > 0 &&
           image.rgb.size() == static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height) * 3;
}

bool is_finite(const UnitBox& b) {
    return std::isfinite(b.cx) && std::isfinite(b.cy) && std::isfinite(b.w) && std::isfinite(b.h);
}

// Worst first; a number that is none is the worst of all.
std::vector<std::size_t> worst_first(const std::vector<ReportPicture>& pictures) {
    const auto rank = [&](std::size_t i) { return std::isnan(pictures[i].score) ? -1e308 : pictures[i].score; };
    std::vector<std::size_t> order(pictures.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return rank(a) < rank(b); });
    return order;
}

// At most `room` characters: PNG for small pictures, else JPEG, smaller and coarser until it fits.
std::string data_uri(const Image& image, std::size_t room) {
    if (image.width <= pixel_art && image.height <= pixel_art) {
        const std::string png = base64(encode_png(image));
        if (png.size() <= room) return "data:image/png;base64," + png;
    }
    std::string uri;
    for (const auto& [side, quality] :
         {std::pair{320, 84}, {288, 78}, {240, 76}, {200, 72}, {160, 68}, {128, 62}, {96, 55}, {64, 45}, {40, 30}}) {
        if (!uri.empty() && side >= std::max(image.width, image.height) && side > 40) continue;
        const Image small = image.width > side || image.height > side ? scale_to_fit(image, side, side) : image;
        uri = base64(encode_jpeg(small, quality));
        if (uri.size() <= room) break;
    }
    return "data:image/jpeg;base64," + uri;
}

std::string box_overlay(const std::optional<UnitBox>& maybe, const char* kind) {
    if (!maybe || !is_finite(*maybe)) return "";
    const UnitBox& box = *maybe;
    const double half_w = std::min(std::abs(box.w), 1e4) / 2, half_h = std::min(std::abs(box.h), 1e4) / 2;
    const double x = std::clamp(box.cx, -1e4, 1e4) - half_w, y = std::clamp(box.cy, -1e4, 1e4) - half_h;
    const std::string at = fmt::format("x=\"{:.2f}%\" y=\"{:.2f}%\" width=\"{:.2f}%\" height=\"{:.2f}%\"", 100 * x,
                                       100 * y, 200 * half_w, 200 * half_h);
    return fmt::format("<rect class=\"casing\" {0}/><rect class=\"{1}\" {0}/>", at, kind);
}

// A cross for every visible point, in a circle: arms of four hundredths of the picture.
std::string point_overlay(const std::vector<KeyPoint>& points, const char* kind) {
    std::string out;
    for (const KeyPoint& p : points) {
        if (p.visible == 0 || !std::isfinite(p.x) || !std::isfinite(p.y)) continue;
        const double x = 100 * std::clamp(p.x, -1.0, 2.0), y = 100 * std::clamp(p.y, -1.0, 2.0);
        for (const char* look : {"casing", kind})
            out += fmt::format(
                "<line class=\"{0}\" x1=\"{1:.2f}%\" y1=\"{3:.2f}%\" x2=\"{2:.2f}%\" y2=\"{3:.2f}%\"/>"
                "<line class=\"{0}\" x1=\"{4:.2f}%\" y1=\"{5:.2f}%\" x2=\"{4:.2f}%\" y2=\"{6:.2f}%\"/>",
                look, x - 4, x + 4, y, x, y - 4, y + 4);
    }
    return out;
}

std::string card(const ReportPicture& p, std::size_t room) {
    const std::string name = escape(p.name);
    const double quality = std::isfinite(p.score) ? std::clamp(p.score, 0.0, 1.0) : 0;
    const char* grade = quality >= 0.75 ? "good" : quality >= 0.5 ? "fair" : "poor";
    std::string out = fmt::format("<figure class=\"picture\" data-iou=\"{:.6f}\">",
                                  std::isfinite(p.score) ? std::clamp(p.score, -1e6, 1e6) : -1.0);
    if (has_pixels(p.image)) {
        const bool small = p.image.width <= pixel_art && p.image.height <= pixel_art;
        out += fmt::format(
            "<div class=\"frame\" style=\"aspect-ratio:{}/{}\"><img{} alt=\"{}\" src=\"{}\"/><svg role=\"img\" "
            "aria-label=\"{} {}\">{}{}{}{}</svg></div>",
            p.image.width, p.image.height, small ? " class=\"pixels\"" : "", name, data_uri(p.image, room),
            escape(p.score_name), report_text::iou(p.score), box_overlay(p.truth, "truth"),
            box_overlay(p.prediction, "prediction"), point_overlay(p.truth_points, "truth"),
            point_overlay(p.points, "prediction"));
    } else {
        out += "<div class=\"frame none\">no picture</div>";
    }
    if (p.prediction && !is_finite(*p.prediction)) out += "<p class=\"bad\">prediction is not finite</p>";
    if (p.truth && !is_finite(*p.truth)) out += "<p class=\"bad\">truth is not finite</p>";
    out += fmt::format("<div class=\"meter\"><i class=\"{}\" style=\"width:{:.1f}%\"></i></div>", grade, 100 * quality);
    out += fmt::format(
        "<figcaption><span class=\"name\" title=\"{0}\">{0}</span><b><small>{2}</small> {1}</b></figcaption>", name,
        report_text::iou(p.score), escape(p.score_name));
    if (!p.caption.empty()) out += fmt::format("<p class=\"caption\">{}</p>", escape(p.caption));
    return out + "</figure>\n";
}

// One mark per picture on an axis from 0 to 1.
std::string score_strip(const std::vector<ReportPicture>& pictures) {
    std::string out =
        "<svg class=\"strip\" role=\"img\" aria-label=\"the score of every picture\"><line x1=\"0\" y1=\"18\" "
        "x2=\"100%\" "
        "y2=\"18\"/>";
    for (std::size_t i = 0; i < std::min(pictures.size(), 10 * max_shown); ++i) {
        if (!std::isfinite(pictures[i].score)) continue;
        out += fmt::format("<rect x=\"{:.2f}%\" y=\"4\" width=\"3\" height=\"14\" rx=\"1\"/>",
                           100 * std::clamp(pictures[i].score, 0.0, 1.0) * 0.995);
    }
    for (const int tick : {0, 25, 50, 75, 100})
        out += fmt::format("<text x=\"{}%\" y=\"32\" text-anchor=\"{}\">{}</text>", tick,
                           tick == 0     ? "start"
                           : tick == 100 ? "end"
                                         : "middle",
                           report_text::number(tick / 100.0));
    return out + "</svg>";
}

std::string summary_line(const std::vector<ReportPicture>& pictures, const std::vector<std::size_t>& order) {
    const auto finite = [&](std::size_t i) { return std::isfinite(pictures[i].score); };
    const auto below = [&](double bar) {
        return std::count_if(order.begin(), order.end(),
                             [&](std::size_t i) { return finite(i) && pictures[i].score < bar; });
    };
    std::string out = fmt::format("<p class=\"lead\">{} {}, worst first.", pictures.size(),
                                  pictures.size() == 1 ? "picture" : "pictures");
    const auto worst = std::find_if(order.begin(), order.end(), finite);
    if (worst != order.end()) {
        const auto best = std::find_if(order.rbegin(), order.rend(), finite);
        out += fmt::format(" {} from <b>{}</b> to <b>{}</b>; {} below 0.50, {} below 0.75.",
                           escape(pictures[*worst].score_name), report_text::iou(pictures[*worst].score),
                           report_text::iou(pictures[*best].score), below(0.5), below(0.75));
    }
    const auto without =
        static_cast<std::size_t>(std::count_if(order.begin(), order.end(), [&](std::size_t i) { return !finite(i); }));
    if (without > 0)
        out += fmt::format(" <span class=\"bad\">{} without a finite {}.</span>", without,
                           escape(pictures[order[0]].score_name));
    return out + "</p>";
}

void draw_cell(Image& canvas, const ReportPicture& p, int left, int top, int cell, int scale) {
    const Image fitted = has_pixels(p.image) ? scale_to_fit(p.image, cell, cell) : Image{};
    if (fitted.width > 0) {
        Image drawn = fitted;
        const int thickness = std::max(1, cell / 110);
        const int dash = std::max(3, cell / 26);
        if (p.truth) draw_box(drawn, *p.truth, {colour::truth, thickness});
        if (p.prediction)
            draw_box(drawn, *p.prediction, {colour::prediction, thickness, dash, std::max(2, dash * 2 / 3)});
        for (const KeyPoint& k : p.truth_points) draw_point(drawn, k, cell / 16, {colour::truth, thickness});
        for (const KeyPoint& k : p.points) draw_point(drawn, k, cell / 16, {colour::prediction, thickness});
        copy_into(canvas, drawn, left + (cell - drawn.width) / 2, top + (cell - drawn.height) / 2);
    } else {
        draw_text(canvas, left + scale * 2, top + cell / 2, fit_text("no picture", scale, cell), scale, colour::ink);
    }
    const std::string figure =
        fmt::format("  {} {}", p.score_name, std::isfinite(p.score) ? report_text::iou(p.score) : "none");
    const std::string name = fit_text(p.caption.empty() ? p.name : p.caption, scale, cell - text_width(figure, scale));
    draw_text(canvas, left, top + cell + 2 * scale, fit_text(name + figure, scale, cell), scale, colour::ink);
}

}  // namespace

namespace report_parts {

std::string pictures(const Report& report) {
    const auto& all = report.pictures;
    if (all.empty()) return "";
    const std::vector<std::size_t> order = worst_first(all);
    const std::size_t shown = std::min(order.size(), max_shown);
    std::string out = "<section id=\"pictures\"><h2>Pictures</h2>" + summary_line(all, order) + score_strip(all);
    const bool boxes = std::any_of(all.begin(), all.end(), [](const ReportPicture& p) {
        return p.truth || p.prediction || !p.truth_points.empty() || !p.points.empty();
    });
    out += "<p class=\"key\">";
    if (boxes) out += "<span><i class=\"truth\"></i>truth</span><span><i class=\"prediction\"></i>prediction</span>";
    out += "<span id=\"sort\"></span></p><div class=\"gallery\" id=\"gallery\">\n";
    std::size_t left = picture_budget;
    for (std::size_t i = 0; i < shown; ++i) {
        const std::string markup = card(all[order[i]], left / (shown - i));
        left -= std::min(left, markup.size());
        out += markup;
    }
    out += "</div>";
    if (shown < order.size()) {
        out += fmt::format("<details><summary>{} more, by name</summary><ul class=\"rest\">", order.size() - shown);
        for (std::size_t i = shown; i < order.size(); ++i)
            out +=
                fmt::format("<li>{} <b>{}</b></li>", escape(all[order[i]].name), report_text::iou(all[order[i]].score));
        out += "</ul></details>";
    }
    return out + "</section>\n";
}

}  // namespace report_parts

Image draw_pictures(const std::vector<ReportPicture>& pictures, int columns, int cell) {
    cell = std::clamp(cell, 16, 4096);
    const int count = static_cast<int>(std::min<std::size_t>(pictures.size(), 1'000'000));
    columns = std::clamp(columns, 1, std::max(count, 1));
    const int rows = (std::max(count, 1) + columns - 1) / columns;
    // Many pictures get smaller cells, so that the sheet stays a picture one can open.
    const double most = std::sqrt(100e6 / rows / columns);
    if (cell > most) cell = std::max(16, static_cast<int>(most) - 30);
    const int scale = std::max(1, cell / 150), gap = std::max(4, cell / 32);
    const int step_x = cell + gap, step_y = cell + gap + text_height(scale) + 2 * scale;
    Image canvas = make_canvas(columns * step_x + gap, rows * step_y + gap, colour::paper);
    if (count == 0) draw_text(canvas, gap, gap + cell / 2, fit_text("no pictures", scale, cell), scale, colour::ink);
    for (int i = 0; i < count; ++i)
        draw_cell(canvas, pictures[static_cast<std::size_t>(i)], gap + i % columns * step_x, gap + i / columns * step_y,
                  cell, scale);
    return canvas;
}

}  // namespace solobox
