#include "data/feed/labels.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "data/feed/augment.h"
#include "tensor/check.h"

namespace solobox {
namespace {

constexpr float outside_grey = static_cast<float>(letterbox_grey);

bool inside(double x, double y) { return x >= 0 && x <= 1 && y >= 0 && y <= 1; }

// Every cell of a mask looked up where it comes from; nothing beyond the border.
template <class Source>
std::shared_ptr<const Mask> mask_from(const std::shared_ptr<const Mask>& mask, const Source& source) {
    if (!mask) return nullptr;
    Mask out{mask->height, mask->width, {}};
    out.inside.resize(mask->inside.size());
    for (int row = 0; row < out.height; ++row)
        for (int column = 0; column < out.width; ++column) {
            double x = 0, y = 0;
            source((column + 0.5) / out.width, (row + 0.5) / out.height, x, y);
            if (!inside(x, y)) continue;
            const auto at = [](double v, int length) {
                return static_cast<std::size_t>(std::min(static_cast<int>(v * length), length - 1));
            };
            const auto width = static_cast<std::size_t>(out.width);
            out.inside[static_cast<std::size_t>(row) * width + static_cast<std::size_t>(column)] =
                mask->inside[at(y, out.height) * width + at(x, out.width)];
        }
    return std::make_shared<const Mask>(std::move(out));
}

void move_points(std::vector<KeyPoint>& points, const auto& place) {
    for (KeyPoint& p : points) {
        place(p);
        if (!inside(p.x, p.y)) p = {std::clamp(p.x, 0.0, 1.0), std::clamp(p.y, 0.0, 1.0), 0};
    }
}

// The upright box around the moved one, cut at the picture; `visible` is the share of its area that is left.
UnitBox moved(const UnitBox& box, const View& view, double& visible) {
    double left = 1e9, top = 1e9, right = -1e9, bottom = -1e9;
    for (int corner = 0; corner < 4; ++corner) {
        double u, v;
        view.output(box.cx + (corner & 1 ? 0.5 : -0.5) * box.w, box.cy + (corner & 2 ? 0.5 : -0.5) * box.h, u, v);
        left = std::min(left, u), right = std::max(right, u), top = std::min(top, v), bottom = std::max(bottom, v);
    }
    const double area = (right - left) * (bottom - top);
    left = std::clamp(left, 0.0, 1.0), right = std::clamp(right, 0.0, 1.0);
    top = std::clamp(top, 0.0, 1.0), bottom = std::clamp(bottom, 0.0, 1.0);
    visible = area > 0 ? (right - left) * (bottom - top) / area : 0;
    return {(left + right) / 2, (top + bottom) / 2, right - left, bottom - top};
}

// Corners in units of `width` and `height`.
Object in_pixels(const Labelled& o, double width, double height) {
    const UnitBox& b = o.box;
    return {o.class_id,
            (b.cx - b.w / 2) * width,
            (b.cy - b.h / 2) * height,
            (b.cx + b.w / 2) * width,
            (b.cy + b.h / 2) * height,
            o.crowd};
}

UnitBox in_fractions(const Object& o, double width, double height) {
    return {(o.x1 + o.x2) / 2 / width, (o.y1 + o.y2) / 2 / height, (o.x2 - o.x1) / width, (o.y2 - o.y1) / height};
}

}  // namespace

Labels labels_of(const Sample& sample) {
    check(sample.width > 0 && sample.height > 0, "[labels] the size of {} is not known", sample.path);
    Labels labels;
    labels.class_id = sample.class_id;
    const double width = sample.width, height = sample.height;
    for (const Object& object : sample.objects) {
        Object cut = object;
        cut.x1 = std::clamp(object.x1, 0.0, width), cut.x2 = std::clamp(object.x2, 0.0, width);
        cut.y1 = std::clamp(object.y1, 0.0, height), cut.y2 = std::clamp(object.y2, 0.0, height);
        if (!(cut.x2 > cut.x1) || !(cut.y2 > cut.y1)) continue;
        Labelled one{in_fractions(cut, width, height), object.class_id, object.crowd, object.points};
        move_points(one.points, [&](KeyPoint& p) { p.x /= width, p.y /= height; });
        labels.objects.push_back(std::move(one));
    }
    return labels;
}

void keep_largest(Labels& labels) {
    const Labelled* best = nullptr;
    // Equal areas in pixels differ by a rounding in fractions.
    const auto larger = [](const UnitBox& a, const UnitBox& b) { return a.w * a.h > b.w * b.h * (1 + 1e-9); };
    for (const Labelled& o : labels.objects)
        if (!o.crowd && (!best || larger(o.box, best->box))) best = &o;
    labels.objects = best ? std::vector<Labelled>{*best} : std::vector<Labelled>{};
}

void keep_first(Labels& labels) {
    const auto first =
        std::find_if(labels.objects.begin(), labels.objects.end(), [](const auto& o) { return !o.crowd; });
    labels.objects = first == labels.objects.end() ? std::vector<Labelled>{} : std::vector<Labelled>{*first};
}

Labels seen(const Labels& labels, const View& view, double min_visible) {
    Labels out;
    out.class_id = labels.class_id;
    for (const Labelled& o : labels.objects) {
        double visible = 0;
        Labelled now{moved(o.box, view, visible), o.class_id, o.crowd, o.points};
        if (!(visible >= min_visible && now.box.w > 0 && now.box.h > 0)) continue;
        move_points(now.points, [&](KeyPoint& p) { view.output(p.x, p.y, p.x, p.y); });
        out.objects.push_back(std::move(now));
    }
    out.mask = mask_from(labels.mask, [&](double u, double v, double& x, double& y) { view.source(u, v, x, y); });
    return out;
}

Pixels<float> seen(const Image& in, const View& view, int height, int width) {
    Pixels<float> out(height, width, 3);
    const auto at = [&](int x, int y) -> const std::uint8_t* {
        const bool within = x >= 0 && x < in.width && y >= 0 && y < in.height;
        return within ? in.rgb.data() + 3 * (static_cast<std::size_t>(y) * static_cast<std::size_t>(in.width) +
                                             static_cast<std::size_t>(x))
                      : nullptr;
    };
    for (int row = 0; row < height; ++row)
        for (int column = 0; column < width; ++column) {
            double x, y;
            view.source((column + 0.5) / width, (row + 0.5) / height, x, y);
            x = x * in.width - 0.5, y = y * in.height - 0.5;
            const double fx = std::floor(x), fy = std::floor(y);
            const auto wx = static_cast<float>(x - fx), wy = static_cast<float>(y - fy);
            const int ix = static_cast<int>(fx), iy = static_cast<int>(fy);
            const std::uint8_t* taps[4] = {at(ix, iy), at(ix + 1, iy), at(ix, iy + 1), at(ix + 1, iy + 1)};
            const float weights[4] = {(1 - wx) * (1 - wy), wx * (1 - wy), (1 - wx) * wy, wx * wy};
            float* to = out.at(row, column);
            for (int c = 0; c < 3; ++c) {
                float sum = 0;
                for (int k = 0; k < 4; ++k)
                    sum += weights[k] * (taps[k] ? static_cast<float>(taps[k][c]) / 255.0F : outside_grey);
                to[c] = sum;
            }
        }
    return out;
}

Labels cropped(const Labels& labels, const UnitBox& window, double min_visible) {
    Labels out;
    out.class_id = labels.class_id;
    const double left = window.cx - window.w / 2, top = window.cy - window.h / 2;
    for (const Labelled& o : labels.objects) {
        const double x1 = std::clamp((o.box.cx - o.box.w / 2 - left) / window.w, 0.0, 1.0),
                     x2 = std::clamp((o.box.cx + o.box.w / 2 - left) / window.w, 0.0, 1.0),
                     y1 = std::clamp((o.box.cy - o.box.h / 2 - top) / window.h, 0.0, 1.0),
                     y2 = std::clamp((o.box.cy + o.box.h / 2 - top) / window.h, 0.0, 1.0);
        const double whole = o.box.w * o.box.h, left_over = (x2 - x1) * window.w * (y2 - y1) * window.h;
        if (!(left_over > 0) || left_over < min_visible * whole) continue;
        Labelled now{{(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1}, o.class_id, o.crowd, o.points};
        move_points(now.points, [&](KeyPoint& p) { p.x = (p.x - left) / window.w, p.y = (p.y - top) / window.h; });
        out.objects.push_back(std::move(now));
    }
    out.mask = mask_from(labels.mask, [&](double u, double v, double& x, double& y) {
        x = left + u * window.w, y = top + v * window.h;
    });
    return out;
}

Labels hflip(const Labels& labels, const std::vector<int>& mirrored) {
    Labels out = labels;
    for (Labelled& o : out.objects) {
        o.box = hflip(o.box);
        for (KeyPoint& p : o.points) p.x = 1 - p.x;
        if (mirrored.size() != o.points.size()) continue;
        const std::vector<KeyPoint> before = o.points;
        for (std::size_t k = 0; k < before.size(); ++k) o.points[k] = before[static_cast<std::size_t>(mirrored[k])];
    }
    out.mask = mask_from(labels.mask, [](double u, double v, double& x, double& y) { x = 1 - u, y = v; });
    return out;
}

Labels joined(Labels first, const Labels& second) {
    first.objects.insert(first.objects.end(), second.objects.begin(), second.objects.end());
    return first;
}

Frame mosaic(const std::vector<Frame>& four, int x, int y, double min_visible, int height, int width) {
    check(four.size() == 4, "[mosaic] {} pictures, expected 4", four.size());
    const int h = four[0].pixels.height, w = four[0].pixels.width;
    Pixels<float> canvas(2 * h, 2 * w, 3, outside_grey);
    const double whole_width = 2.0 * w, whole_height = 2.0 * h;
    Frame out;
    out.labels.class_id = four[0].labels.class_id;
    Mask mask{2 * h, 2 * w, std::vector<std::uint8_t>(4 * static_cast<std::size_t>(h) * static_cast<std::size_t>(w))};
    bool masked = true;
    for (int quarter = 0; quarter < 4; ++quarter) {
        const Frame& frame = four[static_cast<std::size_t>(quarter)];
        const Placement where = plan_mosaic(quarter, h, w, {2 * h, 2 * w}, x, y);
        paint(canvas, frame.pixels, where);
        std::vector<Object> objects;
        for (const Labelled& o : frame.labels.objects) objects.push_back(in_pixels(o, w, h));
        const Cropped left = mosaic_objects(objects, where, min_visible);
        for (std::size_t k = 0; k < left.objects.size(); ++k) {
            const Labelled& before = frame.labels.objects[left.kept[k]];
            Labelled now{in_fractions(left.objects[k], whole_width, whole_height), before.class_id, before.crowd,
                         before.points};
            for (KeyPoint& p : now.points) {
                const double px = p.x * w + where.dx, py = p.y * h + where.dy;
                const bool shown = px >= where.x1 && px <= where.x2 && py >= where.y1 && py <= where.y2;
                p = {std::clamp(px, 0.0, whole_width) / whole_width, std::clamp(py, 0.0, whole_height) / whole_height,
                     shown ? p.visible : 0};
            }
            out.labels.objects.push_back(std::move(now));
        }
        masked = masked && frame.labels.mask != nullptr;
        if (!masked) continue;
        const Mask& part = *frame.labels.mask;
        for (int row = where.y1; row < where.y2; ++row)
            for (int column = where.x1; column < where.x2; ++column) {
                const auto from_row = static_cast<std::size_t>((row - where.dy) * part.height / h),
                           from_column = static_cast<std::size_t>((column - where.dx) * part.width / w);
                mask.inside[static_cast<std::size_t>(row) * static_cast<std::size_t>(mask.width) +
                            static_cast<std::size_t>(column)] =
                    part.inside[from_row * static_cast<std::size_t>(part.width) + from_column];
            }
    }
    if (masked) out.labels.mask = std::make_shared<const Mask>(std::move(mask));
    out.pixels = resize(canvas, height, width, Resampling::area);
    return out;
}

}  // namespace solobox
