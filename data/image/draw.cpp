// See draw.h.
#include "data/image/draw.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "data/image/image.h"
#include "tensor/check.h"

namespace solobox {
namespace {

constexpr int glyph_width = 5, glyph_height = 8, cell_width = 6, cell_height = 9;
using Glyph = std::array<std::uint8_t, glyph_width>;

// One byte per column from the left, lowest bit at the top; the eighth row is for descenders. From ' ' to '~'.
constexpr std::array<Glyph, 95> font = {{
    {0x00, 0x00, 0x00, 0x00, 0x00}, {0x00, 0x00, 0x5F, 0x00, 0x00}, {0x00, 0x07, 0x00, 0x07, 0x00},  // space ! "
    {0x14, 0x7F, 0x14, 0x7F, 0x14}, {0x24, 0x2A, 0x7F, 0x2A, 0x12}, {0x23, 0x13, 0x08, 0x64, 0x62},  // # $ %
    {0x36, 0x49, 0x56, 0x20, 0x50}, {0x00, 0x00, 0x07, 0x00, 0x00}, {0x00, 0x1C, 0x22, 0x41, 0x00},  // & ' (
    {0x00, 0x41, 0x22, 0x1C, 0x00}, {0x2A, 0x1C, 0x7F, 0x1C, 0x2A}, {0x08, 0x08, 0x3E, 0x08, 0x08},  // ) * +
    {0x00, 0x80, 0x60, 0x00, 0x00}, {0x08, 0x08, 0x08, 0x08, 0x08}, {0x00, 0x60, 0x60, 0x00, 0x00},  // , - .
    {0x20, 0x10, 0x08, 0x04, 0x02}, {0x3E, 0x51, 0x49, 0x45, 0x3E}, {0x00, 0x42, 0x7F, 0x40, 0x00},  // / 0 1
    {0x42, 0x61, 0x51, 0x49, 0x46}, {0x21, 0x41, 0x45, 0x4B, 0x31}, {0x18, 0x14, 0x12, 0x7F, 0x10},  // 2 3 4
    {0x27, 0x45, 0x45, 0x45, 0x39}, {0x3C, 0x4A, 0x49, 0x49, 0x30}, {0x01, 0x71, 0x09, 0x05, 0x03},  // 5 6 7
    {0x36, 0x49, 0x49, 0x49, 0x36}, {0x06, 0x49, 0x49, 0x29, 0x1E}, {0x00, 0x36, 0x36, 0x00, 0x00},  // 8 9 :
    {0x00, 0x80, 0x76, 0x36, 0x00}, {0x08, 0x14, 0x22, 0x41, 0x00}, {0x14, 0x14, 0x14, 0x14, 0x14},  // ; < =
    {0x00, 0x41, 0x22, 0x14, 0x08}, {0x02, 0x01, 0x51, 0x09, 0x06}, {0x3E, 0x41, 0x5D, 0x55, 0x1E},  // > ? @
    {0x7E, 0x11, 0x11, 0x11, 0x7E}, {0x7F, 0x49, 0x49, 0x49, 0x36}, {0x3E, 0x41, 0x41, 0x41, 0x22},  // A B C
    {0x7F, 0x41, 0x41, 0x41, 0x3E}, {0x7F, 0x49, 0x49, 0x49, 0x41}, {0x7F, 0x09, 0x09, 0x09, 0x01},  // D E F
    {0x3E, 0x41, 0x49, 0x49, 0x7A}, {0x7F, 0x08, 0x08, 0x08, 0x7F}, {0x00, 0x41, 0x7F, 0x41, 0x00},  // G H I
    {0x20, 0x40, 0x41, 0x3F, 0x01}, {0x7F, 0x08, 0x14, 0x22, 0x41}, {0x7F, 0x40, 0x40, 0x40, 0x40},  // J K L
    {0x7F, 0x02, 0x0C, 0x02, 0x7F}, {0x7F, 0x04, 0x08, 0x10, 0x7F}, {0x3E, 0x41, 0x41, 0x41, 0x3E},  // M N O
    {0x7F, 0x09, 0x09, 0x09, 0x06}, {0x3E, 0x41, 0x51, 0x21, 0x5E}, {0x7F, 0x09, 0x19, 0x29, 0x46},  // P Q R
    {0x26, 0x49, 0x49, 0x49, 0x32}, {0x01, 0x01, 0x7F, 0x01, 0x01}, {0x3F, 0x40, 0x40, 0x40, 0x3F},  // S T U
    {0x1F, 0x20, 0x40, 0x20, 0x1F}, {0x3F, 0x40, 0x38, 0x40, 0x3F}, {0x63, 0x14, 0x08, 0x14, 0x63},  // V W X
    {0x07, 0x08, 0x70, 0x08, 0x07}, {0x61, 0x51, 0x49, 0x45, 0x43}, {0x00, 0x7F, 0x41, 0x41, 0x00},  // Y Z [
    {0x02, 0x04, 0x08, 0x10, 0x20}, {0x00, 0x41, 0x41, 0x7F, 0x00}, {0x04, 0x02, 0x01, 0x02, 0x04},  // \ ] ^
    {0x80, 0x80, 0x80, 0x80, 0x80}, {0x00, 0x01, 0x02, 0x04, 0x00}, {0x20, 0x54, 0x54, 0x54, 0x78},  // _ ` a
    {0x7F, 0x48, 0x44, 0x44, 0x38}, {0x38, 0x44, 0x44, 0x44, 0x28}, {0x38, 0x44, 0x44, 0x48, 0x7F},  // b c d
    {0x38, 0x54, 0x54, 0x54, 0x18}, {0x08, 0x7E, 0x09, 0x01, 0x02}, {0x18, 0xA4, 0xA4, 0xA4, 0x7C},  // e f g
    {0x7F, 0x08, 0x04, 0x04, 0x78}, {0x00, 0x44, 0x7D, 0x40, 0x00}, {0x40, 0x80, 0x84, 0x7D, 0x00},  // h i j
    {0x7F, 0x10, 0x28, 0x44, 0x00}, {0x00, 0x41, 0x7F, 0x40, 0x00}, {0x7C, 0x04, 0x18, 0x04, 0x78},  // k l m
    {0x7C, 0x08, 0x04, 0x04, 0x78}, {0x38, 0x44, 0x44, 0x44, 0x38}, {0xFC, 0x24, 0x24, 0x24, 0x18},  // n o p
    {0x18, 0x24, 0x24, 0x24, 0xFC}, {0x7C, 0x08, 0x04, 0x04, 0x08}, {0x48, 0x54, 0x54, 0x54, 0x20},  // q r s
    {0x04, 0x3F, 0x44, 0x40, 0x20}, {0x3C, 0x40, 0x40, 0x20, 0x7C}, {0x1C, 0x20, 0x40, 0x20, 0x1C},  // t u v
    {0x3C, 0x40, 0x30, 0x40, 0x3C}, {0x44, 0x28, 0x10, 0x28, 0x44}, {0x1C, 0xA0, 0xA0, 0xA0, 0x7C},  // w x y
    {0x44, 0x64, 0x54, 0x4C, 0x44}, {0x00, 0x08, 0x36, 0x41, 0x00}, {0x00, 0x00, 0x7F, 0x00, 0x00},  // z { |
    {0x00, 0x41, 0x36, 0x08, 0x00}, {0x08, 0x04, 0x08, 0x10, 0x08},                                  // } ~
}};
constexpr Glyph unknown_glyph = {0x7F, 0x41, 0x41, 0x41, 0x7F};

// An Image is a plain struct, so its size may disagree with its pixels; such a picture is treated as empty.
bool drawable(const Image& image) {
    return image.width > 0 && image.height > 0 &&
           image.rgb.size() == static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height) * 3;
}

std::size_t offset(const Image& image, std::int64_t x, std::int64_t y) {
    return static_cast<std::size_t>(y * image.width + x) * 3;
}

const Glyph& glyph_of(char c) {
    const auto code = static_cast<unsigned char>(c);
    return code >= 0x20 && code <= 0x7E ? font[code - 0x20U] : unknown_glyph;
}

// One character per UTF-8 sequence; what is not ASCII becomes '\x01', which has no glyph.
std::string characters(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if ((byte & 0xC0U) == 0x80U) continue;
        out += byte < 0x80 ? c : '\x01';
    }
    return out;
}

// Far outside is as good as further outside, and leaves room for sums.
constexpr std::int64_t far = std::int64_t{1} << 40;
PixelRect tame(const PixelRect& r) {
    return {std::clamp(r.x1, -far, far), std::clamp(r.y1, -far, far), std::clamp(r.x2, -far, far),
            std::clamp(r.y2, -far, far)};
}

// One side of a rectangle, cut into dashes; only the dashes that can be seen are visited.
void draw_side(Image& image, const PixelRect& side, bool along_x, const LineStyle& style) {
    if (style.dash <= 0 || style.gap <= 0) return fill_rect(image, side, style.colour);
    const std::int64_t begin = along_x ? side.x1 : side.y1, end = along_x ? side.x2 : side.y2;
    const std::int64_t period = std::int64_t{style.dash} + style.gap;
    const std::int64_t skipped = begin < 0 ? -begin / period : 0;
    const std::int64_t last = std::min<std::int64_t>(end, along_x ? image.width : image.height);
    for (std::int64_t at = begin + skipped * period; at < last; at += period) {
        PixelRect dash = side;
        (along_x ? dash.x1 : dash.y1) = at;
        (along_x ? dash.x2 : dash.y2) = std::min(at + style.dash, end);
        fill_rect(image, dash, style.colour);
    }
}

}  // namespace

Image make_canvas(int width, int height, Rgb fill) {
    check(width >= 0 && height >= 0 && std::int64_t{width} * height <= (std::int64_t{1} << 30),
          "[make_canvas] {}x{} pixels is not a picture that can be drawn: use fewer or smaller cells", width, height);
    Image image{width, height,
                std::vector<std::uint8_t>(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3)};
    fill_rect(image, {0, 0, width, height}, fill);
    return image;
}

void fill_rect(Image& image, const PixelRect& rect, Rgb fill) {
    if (!drawable(image)) return;
    const std::int64_t x1 = std::max<std::int64_t>(rect.x1, 0), x2 = std::min<std::int64_t>(rect.x2, image.width);
    const std::int64_t y1 = std::max<std::int64_t>(rect.y1, 0), y2 = std::min<std::int64_t>(rect.y2, image.height);
    for (std::int64_t y = y1; y < y2; ++y) {
        for (std::int64_t x = x1; x < x2; ++x) {
            std::uint8_t* pixel = image.rgb.data() + offset(image, x, y);
            pixel[0] = fill.r;
            pixel[1] = fill.g;
            pixel[2] = fill.b;
        }
    }
}

void draw_rect(Image& image, const PixelRect& rect, const LineStyle& style) {
    const PixelRect r = tame(rect);
    if (!drawable(image) || r.x2 <= r.x1 || r.y2 <= r.y1 || style.thickness <= 0) return;
    const std::int64_t tx = std::min<std::int64_t>(style.thickness, r.x2 - r.x1);
    const std::int64_t ty = std::min<std::int64_t>(style.thickness, r.y2 - r.y1);
    draw_side(image, {r.x1, r.y1, r.x2, r.y1 + ty}, true, style);
    draw_side(image, {r.x1, r.y2 - ty, r.x2, r.y2}, true, style);
    draw_side(image, {r.x1, r.y1, r.x1 + tx, r.y2}, false, style);
    draw_side(image, {r.x2 - tx, r.y1, r.x2, r.y2}, false, style);
}

void draw_point(Image& image, const KeyPoint& p, int arm, const LineStyle& style) {
    if (p.visible == 0 || !std::isfinite(p.x) || !std::isfinite(p.y) || style.thickness <= 0) return;
    const auto at = [](double fraction, int size) {
        return static_cast<std::int64_t>(std::floor(std::clamp(fraction * size, -1e9, 1e9)));
    };
    const std::int64_t x = at(p.x, image.width), y = at(p.y, image.height), half = style.thickness / 2,
                       rest = style.thickness - half;
    fill_rect(image, {x - arm, y - half, x + arm + 1, y + rest}, style.colour);
    fill_rect(image, {x - half, y - arm, x + rest, y + arm + 1}, style.colour);
}

std::optional<PixelRect> to_pixels(const UnitBox& box, int width, int height) {
    if (!std::isfinite(box.cx) || !std::isfinite(box.cy) || !std::isfinite(box.w) || !std::isfinite(box.h))
        return std::nullopt;
    const auto pixel = [](double fraction, int size, bool up) {
        const double at = std::clamp(fraction * size, -1e9, 1e9);
        // A hundredth of a pixel is rounding, not a pixel more.
        return static_cast<std::int64_t>(up ? std::ceil(at - 0.01) : std::floor(at + 0.01));
    };
    const double half_w = std::abs(box.w) / 2, half_h = std::abs(box.h) / 2;
    PixelRect r{pixel(box.cx - half_w, width, false), pixel(box.cy - half_h, height, false),
                pixel(box.cx + half_w, width, true), pixel(box.cy + half_h, height, true)};
    r.x2 = std::max(r.x2, r.x1 + 1);
    r.y2 = std::max(r.y2, r.y1 + 1);
    return r;
}

void draw_box(Image& image, const UnitBox& box, const LineStyle& style) {
    if (const auto rect = to_pixels(box, image.width, image.height)) draw_rect(image, *rect, style);
}

int text_width(std::string_view text, int scale) {
    const std::int64_t width = static_cast<std::int64_t>(characters(text).size()) * cell_width * std::max(scale, 0);
    return static_cast<int>(std::min<std::int64_t>(width, 1 << 30));
}

int text_height(int scale) {
    return static_cast<int>(std::min<std::int64_t>(std::int64_t{cell_height} * std::max(scale, 0), 1 << 30));
}

void draw_text(Image& image, std::int64_t x, std::int64_t y, std::string_view text, int scale, Rgb ink,
               std::optional<Rgb> backing) {
    if (!drawable(image) || scale <= 0 || text.empty()) return;
    x = std::clamp(x, -far, far);
    y = std::clamp(y, -far, far);
    if (backing)
        fill_rect(image, {x - scale, y - scale, x + text_width(text, scale), y + text_height(scale)}, *backing);
    for (const char c : characters(text)) {
        if (x >= image.width) break;
        const Glyph& glyph = glyph_of(c);
        for (int column = 0; column < glyph_width; ++column) {
            for (int row = 0; row < glyph_height; ++row) {
                if ((glyph[static_cast<std::size_t>(column)] >> row & 1) == 0) continue;
                const std::int64_t left = x + std::int64_t{column} * scale, top = y + std::int64_t{row} * scale;
                fill_rect(image, {left, top, left + scale, top + scale}, ink);
            }
        }
        x += std::int64_t{cell_width} * scale;
    }
}

std::string fit_text(std::string_view text, int scale, int width) {
    const std::string all = characters(text);
    const std::int64_t fits = scale <= 0 ? 0 : std::max(width, 0) / (std::int64_t{cell_width} * scale);
    const auto room = static_cast<std::size_t>(fits);
    if (all.size() <= room) return all;
    if (room < 2) return "";
    const std::size_t tail = (room - 2) / 2, head = room - 2 - tail;
    return all.substr(0, head) + ".." + all.substr(all.size() - tail);
}

Image scale_nearest(const Image& image, int width, int height) {
    Image out = make_canvas(std::max(width, 0), std::max(height, 0), colour::paper);
    if (!drawable(image)) return out;
    for (std::int64_t y = 0; y < out.height; ++y) {
        const std::int64_t from_y = y * image.height / out.height;
        for (std::int64_t x = 0; x < out.width; ++x) {
            const std::size_t from = offset(image, x * image.width / out.width, from_y);
            std::copy_n(image.rgb.data() + from, 3, out.rgb.data() + offset(out, x, y));
        }
    }
    return out;
}

Image scale_to_fit(const Image& image, int width, int height) {
    if (!drawable(image) || width <= 0 || height <= 0) return {};
    const double scale = std::min(static_cast<double>(width) / image.width, static_cast<double>(height) / image.height);
    const int w = std::clamp(static_cast<int>(std::lround(image.width * scale)), 1, width);
    const int h = std::clamp(static_cast<int>(std::lround(image.height * scale)), 1, height);
    return scale >= 2 ? scale_nearest(image, w, h) : resize_bilinear(image, w, h);
}

void copy_into(Image& canvas, const Image& image, std::int64_t x, std::int64_t y) {
    if (!drawable(canvas) || !drawable(image)) return;
    x = std::clamp(x, -far, far);
    y = std::clamp(y, -far, far);
    const std::int64_t left = std::max<std::int64_t>(x, 0),
                       right = std::min<std::int64_t>(x + image.width, canvas.width);
    if (right <= left) return;
    const std::int64_t bottom = std::min<std::int64_t>(y + image.height, canvas.height);
    for (std::int64_t row = std::max<std::int64_t>(y, 0); row < bottom; ++row) {
        std::copy_n(image.rgb.data() + offset(image, left - x, row - y), static_cast<std::size_t>(right - left) * 3,
                    canvas.rgb.data() + offset(canvas, left, row));
    }
}

}  // namespace solobox
