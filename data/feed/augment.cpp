// Geometry: flips, turns, letterbox, crop. Declared in augment.h.
#include "data/feed/augment.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "tensor/check.h"

namespace solobox {
namespace {

Object with_corners(const Object& like, double x1, double y1, double x2, double y2) {
    Object out = like;
    out.x1 = x1, out.y1 = y1, out.x2 = x2, out.y2 = y2;
    return out;
}

Object clipped_to(const Object& box, double x1, double y1, double x2, double y2) {
    return with_corners(box, std::clamp(box.x1, x1, x2), std::clamp(box.y1, y1, y2), std::clamp(box.x2, x1, x2),
                        std::clamp(box.y2, y1, y2));
}

// 0 for a box turned inside out.
double area(const Object& box) { return std::max(0.0, box.x2 - box.x1) * std::max(0.0, box.y2 - box.y1); }

double share(double part, double whole) { return whole > 0 ? part / whole : 0; }

// Shifted by (dx, dy), then cut at [x1, x2] x [y1, y2]: the one visibility rule of crop and mosaic.
Cropped shift_and_cut(const std::vector<Object>& objects, double dx, double dy, const std::array<int, 4>& cut,
                      double min_visibility) {
    Cropped out;
    for (std::size_t i = 0; i < objects.size(); ++i) {
        const Object& o = objects[i];
        const Object left =
            clipped_to(with_corners(o, o.x1 + dx, o.y1 + dy, o.x2 + dx, o.y2 + dy), cut[0], cut[1], cut[2], cut[3]);
        const double visible = share(area(left), area(o));
        out.visible.push_back(visible);
        if (!(visible >= min_visibility && visible > 0)) continue;
        out.objects.push_back(left);
        out.kept.push_back(i);
    }
    return out;
}

int quarter_turns(int turns) { return ((turns % 4) + 4) % 4; }

}  // namespace

template <class T>
Pixels<T> hflip(const Pixels<T>& in) {
    Pixels<T> out(in.height, in.width, in.channels);
    for (int y = 0; y < in.height; ++y)
        for (int x = 0; x < in.width; ++x) std::copy_n(in.at(y, in.width - 1 - x), in.channels, out.at(y, x));
    return out;
}

Object hflip(const Object& box, int width) { return with_corners(box, width - box.x2, box.y1, width - box.x1, box.y2); }

UnitBox hflip(const UnitBox& box) { return {1 - box.cx, box.cy, box.w, box.h}; }

template <class T>
Pixels<T> rot90(const Pixels<T>& in, int turns) {
    const int k = quarter_turns(turns);
    const bool lying = k % 2 == 1;
    Pixels<T> out(lying ? in.width : in.height, lying ? in.height : in.width, in.channels);
    const auto source = [&](int y, int x) {
        switch (k) {
            case 1:
                return in.at(x, in.width - 1 - y);
            case 2:
                return in.at(in.height - 1 - y, in.width - 1 - x);
            case 3:
                return in.at(in.height - 1 - x, y);
            default:
                return in.at(y, x);
        }
    };
    for (int y = 0; y < out.height; ++y)
        for (int x = 0; x < out.width; ++x) std::copy_n(source(y, x), in.channels, out.at(y, x));
    return out;
}

Object rot90(const Object& box, int turns, int height, int width) {
    Object out = box;
    for (int k = quarter_turns(turns); k > 0; --k) {
        out = with_corners(out, out.y1, width - out.x2, out.y2, width - out.x1);
        std::swap(height, width);
    }
    return out;
}

RotatedBox rotate(const Object& box, double degrees, int height, int width) {
    const double angle = degrees * std::numbers::pi / 180, cos = std::cos(angle), sin = std::sin(angle);
    const double cx = width / 2.0, cy = height / 2.0;
    const std::array<std::array<double, 2>, 4> old{
        {{box.x1, box.y1}, {box.x2, box.y1}, {box.x2, box.y2}, {box.x1, box.y2}}};
    RotatedBox out;
    for (std::size_t i = 0; i < 4; ++i) {
        const double dx = old[i][0] - cx, dy = old[i][1] - cy;
        out.corners[i] = {cx + dx * cos + dy * sin, cy - dx * sin + dy * cos};  // y grows downwards
    }
    const auto extent = [&](std::size_t axis) {
        const auto [low, high] =
            std::minmax({out.corners[0][axis], out.corners[1][axis], out.corners[2][axis], out.corners[3][axis]});
        return std::pair(low, high);
    };
    const auto [x1, x2] = extent(0);
    const auto [y1, y2] = extent(1);
    out.enclosing = with_corners(box, x1, y1, x2, y2);
    out.clipped = clipped_to(out.enclosing, 0, 0, width, height);
    out.visible = share(area(out.clipped), area(out.enclosing));
    return out;
}

Letterbox plan_letterbox(int source_height, int source_width, int height, int width, bool scale_up) {
    check(source_height > 0 && source_width > 0 && height > 0 && width > 0,
          "[letterbox] {}x{} into {}x{}: sizes must be positive", source_height, source_width, height, width);
    double scale = std::min(static_cast<double>(height) / source_height, static_cast<double>(width) / source_width);
    if (!scale_up) scale = std::min(scale, 1.0);
    const auto side = [&](int source, int limit) {
        return std::clamp(static_cast<int>(std::nearbyint(source * scale)), 1, limit);
    };
    Letterbox plan{
        source_height, source_width, height, width, side(source_height, height), side(source_width, width), 0, 0};
    plan.top = (height - plan.inner_height) / 2;
    plan.left = (width - plan.inner_width) / 2;
    return plan;
}

template <class T>
Pixels<T> letterbox(const Pixels<T>& in, const Letterbox& plan, double fill) {
    check(in.height == plan.source_height && in.width == plan.source_width,
          "[letterbox] the picture is {}x{}, the plan was made for {}x{}", in.height, in.width, plan.source_height,
          plan.source_width);
    const Pixels<T> inner = resize(in, plan.inner_height, plan.inner_width);
    Pixels<T> out(plan.height, plan.width, in.channels, static_cast<T>(fill));
    paint(out, inner, {plan.left, plan.top, plan.left, plan.top, plan.left + inner.width, plan.top + inner.height});
    return out;
}

Object to_letterbox(const Object& box, const Letterbox& plan) {
    const double sx = static_cast<double>(plan.inner_width) / plan.source_width;
    const double sy = static_cast<double>(plan.inner_height) / plan.source_height;
    return with_corners(box, box.x1 * sx + plan.left, box.y1 * sy + plan.top, box.x2 * sx + plan.left,
                        box.y2 * sy + plan.top);
}

Object from_letterbox(const Object& box, const Letterbox& plan) {
    const double sx = static_cast<double>(plan.inner_width) / plan.source_width;
    const double sy = static_cast<double>(plan.inner_height) / plan.source_height;
    const Object back = with_corners(box, (box.x1 - plan.left) / sx, (box.y1 - plan.top) / sy,
                                     (box.x2 - plan.left) / sx, (box.y2 - plan.top) / sy);
    return clipped_to(back, 0, 0, plan.source_width, plan.source_height);
}

template <class T>
Pixels<T> crop(const Pixels<T>& in, const Window& w) {
    check(w.top >= 0 && w.left >= 0 && w.height > 0 && w.width > 0 && w.height <= in.height - w.top &&
              w.width <= in.width - w.left,
          "[crop] window {}x{} at row {}, column {} does not lie within {}x{}", w.height, w.width, w.top, w.left,
          in.height, in.width);
    Pixels<T> out(w.height, w.width, in.channels);
    for (int y = 0; y < w.height; ++y) std::copy_n(in.at(w.top + y, w.left), w.width * in.channels, out.at(y, 0));
    return out;
}

Cropped crop_objects(const std::vector<Object>& objects, const Window& w, double min_visibility) {
    return shift_and_cut(objects, -w.left, -w.top, {0, 0, w.width, w.height}, min_visibility);
}

Cropped mosaic_objects(const std::vector<Object>& objects, const Placement& p, double min_visibility) {
    return shift_and_cut(objects, p.dx, p.dy, {p.x1, p.y1, p.x2, p.y2}, min_visibility);
}

template Pixels<float> hflip(const Pixels<float>&);
template Pixels<double> hflip(const Pixels<double>&);
template Pixels<float> rot90(const Pixels<float>&, int);
template Pixels<double> rot90(const Pixels<double>&, int);
template Pixels<float> letterbox(const Pixels<float>&, const Letterbox&, double);
template Pixels<double> letterbox(const Pixels<double>&, const Letterbox&, double);
template Pixels<float> crop(const Pixels<float>&, const Window&);
template Pixels<double> crop(const Pixels<double>&, const Window&);

}  // namespace solobox
