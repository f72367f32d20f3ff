// Drawing on an Image: rectangles, text in a small built-in font, pictures into a canvas. For contact sheets and
// prediction grids; no anti-aliasing, no alpha, no shapes beyond the rectangle.
//
// Everything is clipped at the picture's borders. Empty pictures, boxes outside and non-finite boxes draw nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "data/types.h"

namespace solobox {

struct Rgb {
    std::uint8_t r = 0, g = 0, b = 0;
};

namespace colour {
inline constexpr Rgb truth{46, 204, 113}, prediction{255, 71, 71};  // green solid, red dashed: everywhere the same
inline constexpr Rgb ink{240, 242, 245}, paper{24, 26, 30}, shade{0, 0, 0};
}  // namespace colour

// Pixels x1 <= x < x2, y1 <= y < y2. Empty when x2 <= x1 or y2 <= y1.
struct PixelRect {
    std::int64_t x1 = 0, y1 = 0, x2 = 0, y2 = 0;
};

struct LineStyle {
    Rgb colour;
    int thickness = 2;  // pixels, grows inwards; <= 0 draws nothing
    int dash = 0;       // pixels drawn, then gap pixels left out; 0 = solid
    int gap = 0;
};

// width x height pixels of one colour; throws ShapeError when a side is negative or the picture exceeds 2^30 pixels.
Image make_canvas(int width, int height, Rgb fill);

void fill_rect(Image& image, const PixelRect& rect, Rgb fill);
void draw_rect(Image& image, const PixelRect& rect, const LineStyle& style);

// The pixels a box of fractions covers in a picture of this size, rounded outwards to at least 1x1; nothing when a
// number is not finite.
std::optional<PixelRect> to_pixels(const UnitBox& box, int width, int height);
void draw_box(Image& image, const UnitBox& box, const LineStyle& style);
// An upright cross whose arms are `arm` pixels long; a point that is not visible draws nothing.
void draw_point(Image& image, const KeyPoint& point, int arm, const LineStyle& style);

// Glyphs are 5x8 in a 6x9 cell. Printable ASCII; any other character (one per UTF-8 sequence) is a hollow block.
int text_width(std::string_view text, int scale);
int text_height(int scale);
// (x, y) is the top left corner; `backing` is filled one scaled pixel around the text first.
void draw_text(Image& image, std::int64_t x, std::int64_t y, std::string_view text, int scale, Rgb ink,
               std::optional<Rgb> backing = std::nullopt);
// Shortens in the middle with ".." so that the text is at most `width` pixels wide; "" when not even ".." fits.
std::string fit_text(std::string_view text, int scale, int width);

// Nearest neighbour; for enlarging without blur. Shrinking: resize_bilinear in data/image/image.h.
Image scale_nearest(const Image& image, int width, int height);
// Keeps the aspect ratio inside width x height: nearest when a small picture grows to twice or more, else bilinear.
Image scale_to_fit(const Image& image, int width, int height);

void copy_into(Image& canvas, const Image& image, std::int64_t x, std::int64_t y);

}  // namespace solobox
