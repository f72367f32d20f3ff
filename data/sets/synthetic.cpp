// See synthetic.h. Only +, -, *, / and floor on doubles, never fused: IEEE 754 makes the pictures equal everywhere.
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

#include "data/sets/synthetic.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "tensor/check.h"

namespace solobox {
namespace {

// Splitmix64's finaliser (Steele, Lea, Flood, 2014) over a counter: draw k of sample (seed, index).
std::uint64_t mix(std::uint64_t x) {
    x += 0x9E3779B97F4A7C15ULL;
    x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27U)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 31U);
}

class Draws {
public:
    Draws(std::uint64_t seed, std::uint64_t index) : key_(mix(mix(seed) ^ (index * 0xD1342543DE82EF95ULL))) {}
    std::uint64_t word() { return mix(key_ + counter_++ * 0x2545F4914F6CDD1DULL); }
    double unit() { return static_cast<double>(word() >> 11U) * 0x1p-53; }  // [0, 1)
    double between(double low, double high) { return low + (high - low) * unit(); }
    int below(int n) { return static_cast<int>(word() % static_cast<std::uint64_t>(n)); }

private:
    std::uint64_t key_, counter_ = 0;
};

using Colour = std::array<double, 3>;

Colour draw_colour(Draws& draws, double low, double high) {
    return {draws.between(low, high), draws.between(low, high), draws.between(low, high)};
}

double distance(const Colour& a, const Colour& b) {
    return std::abs(a[0] - b[0]) + std::abs(a[1] - b[1]) + std::abs(a[2] - b[2]);
}

// Within the shape of centre 0 and half sides 1? (u, v) in [-1, 1].
bool inside(ShapeKind shape, double u, double v) {
    switch (shape) {
        case ShapeKind::rectangle:
            return true;
        case ShapeKind::ellipse:
            return u * u + v * v <= 1;
        case ShapeKind::triangle:
            return std::abs(u) <= (v + 1) / 2;
        case ShapeKind::diamond:
            return std::abs(u) + std::abs(v) <= 1;
        case ShapeKind::cross:
            return std::abs(u) <= 0.36 || std::abs(v) <= 0.36;
        case ShapeKind::ring:
            return u * u + v * v <= 1 && u * u + v * v >= 0.3;
    }
    return false;
}

class Canvas {
public:
    explicit Canvas(int size) : size_(size), image_{size, size, {}} {
        image_.rgb.resize(static_cast<std::size_t>(size) * static_cast<std::size_t>(size) * 3);
    }

    void put(int x, int y, const Colour& colour, double cover = 1) {
        std::uint8_t* pixel =
            &image_.rgb[(static_cast<std::size_t>(y) * static_cast<std::size_t>(size_) + static_cast<std::size_t>(x)) *
                        3];
        for (std::size_t c = 0; c < 3; ++c)
            pixel[c] = static_cast<std::uint8_t>(std::clamp(pixel[c] + (colour[c] - pixel[c]) * cover, 0.0, 255.0));
    }

    // Two colours along a slanted line, with a little noise on top.
    void background(Draws& draws, Colour& mean) {
        const Colour from = draw_colour(draws, 40, 215), to = draw_colour(draws, 40, 215);
        const double ax = draws.between(-1, 1), ay = draws.between(-1, 1), noise = draws.between(4, 22);
        const double low = std::min(ax, 0.0) + std::min(ay, 0.0), range = std::abs(ax) + std::abs(ay) + 1e-9;
        for (std::size_t c = 0; c < 3; ++c) mean[c] = (from[c] + to[c]) / 2;
        for (int y = 0; y < size_; ++y)
            for (int x = 0; x < size_; ++x) {
                const double t = (ax * x / size_ + ay * y / size_ - low) / range;
                const std::uint64_t bits = draws.word();
                const double grain = (static_cast<double>(bits & 0xFFFFU) / 65535.0 - 0.5) * noise;
                put(x, y,
                    {from[0] + (to[0] - from[0]) * t + grain, from[1] + (to[1] - from[1]) * t + grain,
                     from[2] + (to[2] - from[2]) * t + grain});
            }
    }

    void line(Draws& draws) {
        const Colour colour = draw_colour(draws, 20, 235);
        const double x0 = draws.between(0, size_), y0 = draws.between(0, size_);
        const double x1 = draws.between(0, size_), y1 = draws.between(0, size_), cover = draws.between(0.25, 0.6);
        const int steps = size_;
        for (int i = 0; i < steps; ++i) {
            const double t = static_cast<double>(i) / steps;
            put(std::min(static_cast<int>(x0 + (x1 - x0) * t), size_ - 1),
                std::min(static_cast<int>(y0 + (y1 - y0) * t), size_ - 1), colour, cover);
        }
    }

    // Returns the box of the pixels that were touched; ends exclusive.
    Object shape(ShapeKind kind, double cx, double cy, double half_w, double half_h, const Colour& colour,
                 double cover) {
        Object box{static_cast<int>(kind), double(size_), double(size_), 0, 0, false};
        const auto edge = [&](double v) { return std::clamp(static_cast<int>(std::floor(v)), 0, size_ - 1); };
        for (int y = edge(cy - half_h); y <= edge(cy + half_h); ++y)
            for (int x = edge(cx - half_w); x <= edge(cx + half_w); ++x) {
                const double u = (x + 0.5 - cx) / half_w, v = (y + 0.5 - cy) / half_h;
                if (std::abs(u) > 1 || std::abs(v) > 1 || !inside(kind, u, v)) continue;
                const double shade = 1 - 0.15 * v;  // a hint of light from above
                put(x, y, {colour[0] * shade, colour[1] * shade, colour[2] * shade}, cover);
                box.x1 = std::min(box.x1, double(x));
                box.y1 = std::min(box.y1, double(y));
                box.x2 = std::max(box.x2, x + 1.0);
                box.y2 = std::max(box.y2, y + 1.0);
            }
        return box;
    }

    Image take() { return std::move(image_); }

private:
    int size_;
    Image image_;
};

}  // namespace

const std::vector<std::string>& shape_names() {
    static const std::vector<std::string> names = {"rectangle", "ellipse", "triangle", "diamond", "cross", "ring"};
    return names;
}

SyntheticSample make_synthetic(std::uint64_t seed, std::uint64_t index, int size) {
    check(size >= 16 && size <= 2048, "[make_synthetic] size {}, expected 16 to 2048", size);
    Draws draws(seed, index);
    Canvas canvas(size);
    Colour backdrop{};
    canvas.background(draws, backdrop);
    for (int i = draws.below(5); i >= 0; --i) canvas.line(draws);
    // Distractors: as many-coloured as the target, but small and faint.
    for (int i = 2 + draws.below(5); i > 0; --i) {
        const auto kind = static_cast<ShapeKind>(draws.below(6));
        const double cx = draws.between(0, size), cy = draws.between(0, size);
        const double half_w = size * draws.between(0.015, 0.05), half_h = size * draws.between(0.015, 0.05);
        canvas.shape(kind, cx, cy, half_w, half_h, draw_colour(draws, 20, 235), 0.6);
    }
    Colour colour = draw_colour(draws, 10, 245);
    for (int tries = 0; tries < 16 && distance(colour, backdrop) < 200; ++tries) colour = draw_colour(draws, 10, 245);
    // Even after sixteen unlucky draws the shape must stand out.
    if (distance(colour, backdrop) < 200)
        for (std::size_t c = 0; c < 3; ++c) colour[c] = backdrop[c] < 128 ? 245 : 10;
    const auto kind = static_cast<ShapeKind>(draws.below(6));
    const double half_w = size * draws.between(0.12, 0.34), half_h = size * draws.between(0.12, 0.34);
    const double cx = draws.between(half_w, size - half_w), cy = draws.between(half_h, size - half_h);
    SyntheticSample out;
    out.object = canvas.shape(kind, cx, cy, half_w, half_h, colour, 1);
    out.image = canvas.take();
    return out;
}

}  // namespace solobox
