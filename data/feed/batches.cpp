#include "data/feed/batches.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <optional>

#include "tensor/random.h"

namespace solobox {
namespace {

// What the draws of one picture are for: each has a sequence of its own, so that one switch does not shift another.
enum Draw : std::uint32_t { draw_geometry, draw_flip, draw_colour, draw_hsv, draw_mosaic, draw_mixup, draw_side };

Random draws(std::uint64_t seed, std::int64_t epoch, std::size_t sample, Draw what) {
    return Random({seed, Stream::augment, static_cast<std::uint32_t>(epoch), static_cast<std::uint32_t>(sample), what});
}

constexpr float outside_grey = static_cast<float>(letterbox_grey);

// A point of the output (fractions) taken from the source at turn((p - centre) * size) + centre + shift.
struct Geometry {
    double size = 1, shift_x = 0, shift_y = 0, sine = 0, cosine = 1;

    bool identity() const { return size == 1 && shift_x == 0 && shift_y == 0 && sine == 0; }
    void source(double u, double v, double& x, double& y) const {
        const double a = (u - 0.5) * size, b = (v - 0.5) * size;
        x = cosine * a - sine * b + 0.5 + shift_x;
        y = sine * a + cosine * b + 0.5 + shift_y;
    }
    void output(double x, double y, double& u, double& v) const {
        const double a = x - 0.5 - shift_x, b = y - 0.5 - shift_y;
        u = (cosine * a + sine * b) / size + 0.5;
        v = (-sine * a + cosine * b) / size + 0.5;
    }
};

// The upright box around the moved one, cut at the picture; `visible` is the share of its area that is left.
UnitBox moved(const UnitBox& box, const Geometry& g, double& visible) {
    double left = 1e9, top = 1e9, right = -1e9, bottom = -1e9;
    for (int corner = 0; corner < 4; ++corner) {
        double u, v;
        g.output(box.cx + (corner & 1 ? 0.5 : -0.5) * box.w, box.cy + (corner & 2 ? 0.5 : -0.5) * box.h, u, v);
        left = std::min(left, u), right = std::max(right, u), top = std::min(top, v), bottom = std::max(bottom, v);
    }
    const double area = (right - left) * (bottom - top);
    left = std::clamp(left, 0.0, 1.0), right = std::clamp(right, 0.0, 1.0);
    top = std::clamp(top, 0.0, 1.0), bottom = std::clamp(bottom, 0.0, 1.0);
    visible = area > 0 ? (right - left) * (bottom - top) / area : 0;
    return {(left + right) / 2, (top + bottom) / 2, right - left, bottom - top};
}

Geometry draw_geometry_of(const AugmentSpec& s, Random& random) {
    Geometry g;
    g.size = 1 - s.scale * random.uniform();
    const double slack = (1 - g.size) / 2;
    g.shift_x = random.uniform(-slack, slack) + random.uniform(-s.translate, s.translate);
    g.shift_y = random.uniform(-slack, slack) + random.uniform(-s.translate, s.translate);
    const double angle = random.uniform(-s.degrees, s.degrees) * std::numbers::pi / 180;
    g.sine = std::sin(angle), g.cosine = std::cos(angle);
    return g;
}

// Bilinear, half-pixel centres; grey beyond the border.
Pixels<float> sample(const Image& in, const Geometry& g, int side) {
    Pixels<float> out(side, side, 3);
    const auto at = [&](int x, int y) -> const std::uint8_t* {
        const bool inside = x >= 0 && x < in.width && y >= 0 && y < in.height;
        return inside ? in.rgb.data() + 3 * (static_cast<std::size_t>(y) * static_cast<std::size_t>(in.width) +
                                             static_cast<std::size_t>(x))
                      : nullptr;
    };
    for (int row = 0; row < side; ++row)
        for (int column = 0; column < side; ++column) {
            double x, y;
            g.source((column + 0.5) / side, (row + 0.5) / side, x, y);
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

Pixels<float> pixels_of(const Image& square, int side) {
    if (square.width != side) return sample(square, {}, side);
    return from_bytes<float>(square.rgb, square.height, square.width, 3);
}

// Crop, shift, turn. A draw that hides too much of the box is rejected; after some, the picture stays as it is.
AugmentedPicture place(const PictureStore& store, std::size_t i, const AugmentSpec& s, std::uint64_t seed,
                       std::int64_t epoch, int side) {
    constexpr int attempts = 8;
    const UnitBox box = store.target(i).box;
    if (s.scale > 0 || s.translate > 0 || s.degrees > 0) {
        Random random = draws(seed, epoch, i, draw_geometry);
        for (int k = 0; k < attempts; ++k) {
            const Geometry g = draw_geometry_of(s, random);
            double visible = 0;
            const UnitBox now = moved(box, g, visible);
            if (visible >= s.min_visible && now.w > 0 && now.h > 0) return {sample(store.image(i), g, side), now};
        }
    }
    return plain(store, i, side);
}

// Four pictures around a point; the target is the largest part of a box that is left.
AugmentedPicture mosaic(const PictureStore& store, std::size_t i, const AugmentSpec& s, Random& random, int side) {
    const int size = store.side();
    Pixels<float> canvas(2 * size, 2 * size, 3, outside_grey);
    const int cx = static_cast<int>(random.uniform(0.5 * size, 1.5 * size)),
              cy = static_cast<int>(random.uniform(0.5 * size, 1.5 * size));
    std::optional<Object> best;
    double best_area = 0;
    for (int quarter = 0; quarter < 4; ++quarter) {
        const std::size_t j =
            quarter == 0 ? i : static_cast<std::size_t>(random.below(static_cast<std::int64_t>(store.size())));
        const Placement where = plan_mosaic(quarter, size, size, size, cx, cy);
        paint(canvas, pixels_of(store.image(j), size), where);
        const UnitBox& b = store.target(j).box;
        const Object object{
            0,    (b.cx - b.w / 2) * size, (b.cy - b.h / 2) * size, (b.cx + b.w / 2) * size, (b.cy + b.h / 2) * size,
            false};
        for (const Object& left : mosaic_objects({object}, where, s.min_visible).objects) {
            const double area = (left.x2 - left.x1) * (left.y2 - left.y1);
            if (area > best_area) best = left, best_area = area;
        }
    }
    if (!best) return plain(store, i, side);
    const double whole = 2.0 * size;
    return {resize(canvas, side, side, Resampling::area),
            {(best->x1 + best->x2) / 2 / whole, (best->y1 + best->y2) / 2 / whole, (best->x2 - best->x1) / whole,
             (best->y2 - best->y1) / whole}};
}

void recolour(Pixels<float>& image, const AugmentSpec& s, std::uint64_t seed, std::int64_t epoch, std::size_t i) {
    Random random = draws(seed, epoch, i, draw_colour);
    const auto factor = [&random](double range) { return random.uniform(1 - range, 1 + range); };
    const double b = factor(s.brightness), c = factor(s.contrast), t = factor(s.saturation);
    if (s.brightness > 0) brightness(image, b);
    if (s.contrast > 0) contrast(image, c);
    if (s.saturation > 0) saturation(image, t);
    if (s.hsv_h <= 0 && s.hsv_s <= 0 && s.hsv_v <= 0) return;
    Random turn = draws(seed, epoch, i, draw_hsv);
    const double h = turn.uniform(-s.hsv_h, s.hsv_h), gain_s = turn.uniform(1 - s.hsv_s, 1 + s.hsv_s),
                 gain_v = turn.uniform(1 - s.hsv_v, 1 + s.hsv_v);
    if (s.hsv_h > 0) hue(image, h);
    hsv_gain(image, {1, gain_s, gain_v});
}

}  // namespace

AugmentedPicture plain(const PictureStore& store, std::size_t i, int side) {
    return {pixels_of(store.image(i), side), store.target(i).box};
}

AugmentedPicture augment(const PictureStore& store, std::size_t i, const AugmentSpec& s, std::uint64_t seed,
                         std::int64_t epoch, int side) {
    AugmentedPicture p;
    Random four = draws(seed, epoch, i, draw_mosaic);
    if (s.mosaic > 0 && four.uniform() < s.mosaic)
        p = mosaic(store, i, s, four, side);
    else
        p = place(store, i, s, seed, epoch, side);
    if (s.fliplr > 0 && draws(seed, epoch, i, draw_flip).uniform() < s.fliplr) {
        p.pixels = hflip(p.pixels);
        p.box = hflip(p.box);
    }
    recolour(p.pixels, s, seed, epoch, i);
    Random second = draws(seed, epoch, i, draw_mixup);
    if (s.mixup > 0 && second.uniform() < s.mixup) {
        const auto j = static_cast<std::size_t>(second.below(static_cast<std::int64_t>(store.size())));
        // The first picture stays the stronger one: the target is its box.
        p.pixels = blend(p.pixels, pixels_of(store.image(j), side), second.uniform(0.5, 1));
    }
    return p;
}

std::vector<std::size_t> BatchPlan::members(std::int64_t epoch, std::int64_t b) const {
    std::vector<std::int64_t> order(pictures);
    std::iota(order.begin(), order.end(), 0);
    Random random({seed, Stream::order, static_cast<std::uint32_t>(epoch)});
    shuffle(order.data(), static_cast<std::int64_t>(pictures), random);
    const std::size_t first = static_cast<std::size_t>(b) * batch, last = std::min(first + batch, pictures);
    std::vector<std::size_t> which;
    for (std::size_t i = first; i < last; ++i) which.push_back(static_cast<std::size_t>(order[i]));
    return which;
}

int BatchPlan::side(std::int64_t epoch, std::int64_t b) const {
    if (sides.size() == 1) return sides[0];
    Random random = draws(seed, epoch, static_cast<std::size_t>(b), draw_side);
    return sides[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(sides.size())))];
}

PictureBatch make_batch(const PictureStore& store, const BatchPlan& plan, const AugmentSpec& spec, std::int64_t epoch,
                        std::int64_t b) {
    PictureBatch batch;
    batch.side = plan.side(epoch, b);
    batch.which = plan.members(epoch, b);
    const std::size_t length = 3 * static_cast<std::size_t>(batch.side) * static_cast<std::size_t>(batch.side);
    batch.images.resize(batch.which.size() * length);
    for (std::size_t k = 0; k < batch.which.size(); ++k) {
        const AugmentedPicture p = augment(store, batch.which[k], spec, plan.seed, epoch, batch.side);
        std::copy(p.pixels.values.begin(), p.pixels.values.end(),
                  batch.images.begin() + static_cast<std::ptrdiff_t>(k * length));
        batch.boxes.push_back(p.box);
    }
    return batch;
}

}  // namespace solobox
