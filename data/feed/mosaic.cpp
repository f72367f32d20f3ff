// Pictures made of several: mixup, CutMix, mosaic. Declared in augment.h.
#include <algorithm>
#include <cmath>

#include "data/feed/augment.h"
#include "tensor/check.h"

namespace solobox {
namespace {

template <class T>
void check_same_size(const char* op, const Pixels<T>& a, const Pixels<T>& b) {
    check(a.height == b.height && a.width == b.width && a.channels == b.channels,
          "[{}] pictures of {}x{}x{} and {}x{}x{}: resize one first", op, a.height, a.width, a.channels, b.height,
          b.width, b.channels);
}

}  // namespace

template <class T>
Pixels<T> blend(const Pixels<T>& a, const Pixels<T>& b, double lambda) {
    check_same_size("blend", a, b);
    Pixels<T> out = a;
    for (std::size_t i = 0; i < out.values.size(); ++i)
        out.values[i] =
            static_cast<T>(lambda * static_cast<double>(a.values[i]) + (1 - lambda) * static_cast<double>(b.values[i]));
    return out;
}

std::vector<Object> concat(std::vector<Object> a, const std::vector<Object>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

Window cutmix_window(int height, int width, int center_y, int center_x, double lambda) {
    check(lambda >= 0 && lambda <= 1, "[cutmix] lambda is {}, expected 0 to 1", lambda);
    const double side = std::sqrt(1 - lambda);
    const int h = static_cast<int>(height * side), w = static_cast<int>(width * side);
    const int x1 = center_x - w / 2, y1 = center_y - h / 2;
    const auto cut = [](int v, int limit) { return std::clamp(v, 0, limit); };
    Window out{cut(y1, height), cut(x1, width), 0, 0};
    out.height = cut(y1 + h, height) - out.top;
    out.width = cut(x1 + w, width) - out.left;
    return out;
}

double cutmix_lambda(const Window& pasted, int height, int width) {
    const auto area = [](int a, int b) { return static_cast<double>(a) * b; };
    return 1 - area(pasted.height, pasted.width) / area(height, width);
}

template <class T>
void paste(Pixels<T>& into, const Pixels<T>& from, const Window& w) {
    check_same_size("paste", into, from);
    paint(into, from, {0, 0, w.left, w.top, w.left + w.width, w.top + w.height});
}

std::vector<double> soft_labels(const std::vector<std::int64_t>& a, const std::vector<std::int64_t>& b, double lambda,
                                int classes) {
    check(a.size() == b.size(), "[soft_labels] {} labels against {}", a.size(), b.size());
    std::vector<double> out(a.size() * static_cast<std::size_t>(std::max(classes, 0)));
    const auto add = [&](std::size_t row, std::int64_t label, double share) {
        check(label >= 0 && label < classes, "[soft_labels] label {} of {} classes", label, classes);
        out[row * static_cast<std::size_t>(classes) + static_cast<std::size_t>(label)] += share;
    };
    for (std::size_t i = 0; i < a.size(); ++i) {
        add(i, a[i], lambda);
        add(i, b[i], 1 - lambda);
    }
    return out;
}

Placement plan_mosaic(int quarter, int height, int width, const std::array<int, 2>& canvas, int center_x,
                      int center_y) {
    check(quarter >= 0 && quarter < 4 && canvas[0] > 0 && canvas[1] > 0,
          "[mosaic] quarter {} (0 to 3), canvas {}x{} (positive)", quarter, canvas[0], canvas[1]);
    const bool right = quarter % 2 == 1, below = quarter / 2 == 1;
    Placement p;
    p.dx = right ? center_x : center_x - width;
    p.dy = below ? center_y : center_y - height;
    p.x1 = std::clamp(p.dx, 0, canvas[1]), p.x2 = std::clamp(p.dx + width, 0, canvas[1]);
    p.y1 = std::clamp(p.dy, 0, canvas[0]), p.y2 = std::clamp(p.dy + height, 0, canvas[0]);
    return p;
}

Placement plan_mosaic(int quarter, int height, int width, int size, int center_x, int center_y) {
    return plan_mosaic(quarter, height, width, {2 * size, 2 * size}, center_x, center_y);
}

template <class T>
void paint(Pixels<T>& canvas, const Pixels<T>& image, const Placement& p) {
    check(canvas.channels == image.channels, "[paint] {} channels onto {}", image.channels, canvas.channels);
    if (p.x2 <= p.x1 || p.y2 <= p.y1) return;
    check(p.x1 >= 0 && p.y1 >= 0 && p.x2 <= canvas.width && p.y2 <= canvas.height && p.x1 >= p.dx && p.y1 >= p.dy &&
              p.x2 <= p.dx + image.width && p.y2 <= p.dy + image.height,
          "[paint] columns {} to {}, rows {} to {} do not lie within the canvas ({}x{}) and the picture ({}x{} at {}, "
          "{})",
          p.x1, p.x2, p.y1, p.y2, canvas.height, canvas.width, image.height, image.width, p.dy, p.dx);
    for (int y = p.y1; y < p.y2; ++y)
        std::copy_n(image.at(y - p.dy, p.x1 - p.dx), (p.x2 - p.x1) * image.channels, canvas.at(y, p.x1));
}

template Pixels<float> blend(const Pixels<float>&, const Pixels<float>&, double);
template Pixels<double> blend(const Pixels<double>&, const Pixels<double>&, double);
template void paste(Pixels<float>&, const Pixels<float>&, const Window&);
template void paste(Pixels<double>&, const Pixels<double>&, const Window&);
template void paint(Pixels<float>&, const Pixels<float>&, const Placement&);
template void paint(Pixels<double>&, const Pixels<double>&, const Placement&);

}  // namespace solobox
