// What is done to pictures between reading and training: resizing, turning, cropping, colours, mixing; and the same to
// their boxes, so that a box never parts from its pixels. Pure functions: they draw no random numbers, the caller does.
// No tensors, no files. Boxes are pixel corners on continuous coordinates (pixel i covers [i, i + 1]), in double.
//
// Pictures turn by quarters only; an arbitrary angle exists for boxes alone.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "data/image/pixels.h"
#include "data/types.h"

namespace solobox {

// ---- Flips and turns
template <class T>
Pixels<T> hflip(const Pixels<T>& in);
Object hflip(const Object& box, int width);  // width of the picture
UnitBox hflip(const UnitBox& box);
template <class T>
Pixels<T> rot90(const Pixels<T>& in, int turns);                    // counter-clockwise; any integer
Object rot90(const Object& box, int turns, int height, int width);  // size of the picture before the turn

// A box turned about the picture's centre, degrees counter-clockwise on screen.
struct RotatedBox {
    std::array<std::array<double, 2>, 4> corners{};  // (x, y) of the old x1y1, x2y1, x2y2, x1y2
    Object enclosing, clipped;                       // the upright box round them; the same cut at the picture
    double visible = 0;                              // clipped area / enclosing area
};
RotatedBox rotate(const Object& box, double degrees, int height, int width);

// ---- Letterbox: as large as fits with the aspect kept, centred on a canvas
struct Letterbox {
    int source_height = 0, source_width = 0;
    int height = 0, width = 0;              // the canvas
    int inner_height = 0, inner_width = 0;  // the resized picture, at least 1x1; halves round to even (Python's round)
    int top = 0, left = 0;                  // where it lies; an odd rest goes below and right
};
inline constexpr double letterbox_grey = 114.0 / 255.0;
Letterbox plan_letterbox(int source_height, int source_width, int height, int width, bool scale_up = true);
template <class T>
Pixels<T> letterbox(const Pixels<T>& in, const Letterbox& plan, double fill = letterbox_grey);  // bilinear
Object to_letterbox(const Object& box, const Letterbox& plan);
Object from_letterbox(const Object& box, const Letterbox& plan);  // undone, then cut at the source picture

// ---- Crop
struct Window {
    int top = 0, left = 0, height = 0, width = 0;  // pixels
};
template <class T>
Pixels<T> crop(const Pixels<T>& in, const Window& window);  // ShapeError unless the window lies within the picture
// Boxes shifted into the window and cut at it. Kept: area left / area before >= min_visibility, and > 0.
struct Cropped {
    std::vector<Object> objects;    // the kept ones, in order
    std::vector<std::size_t> kept;  // their places among all
    std::vector<double> visible;    // share left, of all boxes; 0 for a box without area
};
Cropped crop_objects(const std::vector<Object>& objects, const Window& window, double min_visibility);

// ---- Colours, in place; results are cut to [0, 1]. 3 channels RGB, or 1 grey: its own luma, no saturation, no hue.
// clamp(f x + (1 - f) e): e = 0 | mean luma of the picture | luma of the pixel; luma = .2989 R + .587 G + .114 B.
template <class T>
void brightness(Pixels<T>& image, double factor);  // any number of channels
template <class T>
void contrast(Pixels<T>& image, double factor);
template <class T>
void saturation(Pixels<T>& image, double factor);
template <class T>
void hue(Pixels<T>& image, double shift);  // in turns: h = (h + shift) mod 1

enum class ColourKind { brightness, contrast, saturation, hue };
ColourKind colour_kind(const std::string& name);  // ConfigError listing the names
struct ColourStep {
    ColourKind kind = ColourKind::brightness;
    double amount = 1;
};
template <class T>
void colour_chain(Pixels<T>& image, const std::vector<ColourStep>& steps);  // in order

// (H, W, 3). HSV: v = max, s = (max - min) / max, h in [0, 1) and 0 for grey.
template <class T>
Pixels<T> rgb_to_hsv(const Pixels<T>& rgb);
template <class T>
void hsv_gain(Pixels<T>& rgb, const std::array<double, 3>& gain);  // h = h g0 mod 1, s and v times gain, cut to [0, 1]

template <class T>
Pixels<T> from_bytes(const std::vector<std::uint8_t>& bytes, int height, int width, int channels);  // / 255
template <class T>
void normalize(Pixels<T>& image, const std::vector<double>& mean, const std::vector<double>& std_dev);  // per channel

// ---- Mixing pictures
template <class T>
Pixels<T> blend(const Pixels<T>& a, const Pixels<T>& b, double lambda);  // mixup: lambda a + (1 - lambda) b
// Boxes and labels of a blend: those of both (Zhang et al. 2019, "Bag of freebies").
std::vector<Object> concat(std::vector<Object> a, const std::vector<Object>& b);

// CutMix (Yun et al. 2019): sides int(W sqrt(1 - lambda)), int(H sqrt(1 - lambda)) about the centre, then cut.
Window cutmix_window(int height, int width, int center_y, int center_x, double lambda);
double cutmix_lambda(const Window& pasted, int height, int width);  // share of the first picture that is left
template <class T>
void paste(Pixels<T>& into, const Pixels<T>& from, const Window& window);  // same place in both, which are of one size
// lambda onehot(a) + (1 - lambda) onehot(b), row by row: (N, classes), flat.
std::vector<double> soft_labels(const std::vector<std::int64_t>& a, const std::vector<std::int64_t>& b, double lambda,
                                int classes);

// Mosaic (Bochkovskiy et al. 2020): four pictures touch `center` on a canvas of 2 size x 2 size; they lie top left, top
// right, bottom left, bottom right, unresized and cut at the canvas.
struct Placement {
    int dx = 0, dy = 0;                  // added to a picture's coordinates
    int x1 = 0, y1 = 0, x2 = 0, y2 = 0;  // painted part of the canvas; without area when nothing shows
};
Placement plan_mosaic(int quarter, int height, int width, int size, int center_x, int center_y);  // quarter 0 to 3
// On a canvas of its own height and width.
Placement plan_mosaic(int quarter, int height, int width, const std::array<int, 2>& canvas, int center_x, int center_y);
template <class T>
void paint(Pixels<T>& canvas, const Pixels<T>& image, const Placement& place);
// Boxes of one picture on the canvas, by the rule of crop_objects with the painted part as the window.
Cropped mosaic_objects(const std::vector<Object>& objects, const Placement& place, double min_visibility);

}  // namespace solobox
