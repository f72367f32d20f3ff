// Colours: brightness, contrast, saturation, hue, HSV gains, normalisation. Declared in augment.h.
#include <algorithm>
#include <cmath>

#include "data/feed/augment.h"
#include "tensor/check.h"

namespace solobox {
namespace {

using Triple = std::array<double, 3>;

template <class T>
T unit(double v) {
    return static_cast<T>(std::clamp(v, 0.0, 1.0));
}

template <class T>
double luma(const T* p, int channels) {
    if (channels == 1) return static_cast<double>(*p);
    return 0.2989 * static_cast<double>(p[0]) + 0.587 * static_cast<double>(p[1]) + 0.114 * static_cast<double>(p[2]);
}

void check_colours(const char* op, int channels) {
    check(channels == 1 || channels == 3, "[{}] the picture has {} channels, expected 3 (RGB) or 1 (grey)", op,
          channels);
}

template <class T, class F>
void each_pixel(Pixels<T>& image, F&& change) {
    for (std::size_t i = 0; i < image.values.size(); i += static_cast<std::size_t>(image.channels))
        change(&image.values[i]);
}

double turn(double h) {
    h -= std::floor(h);
    return h < 1 ? h : 0;  // -1e-20 rounds to a full turn
}

// Foley and van Dam. The largest channel is looked for in the order R, G, B.
Triple hsv_of(double r, double g, double b) {
    const double v = std::max({r, g, b}), d = v - std::min({r, g, b});
    if (!(d > 0)) return {0, 0, v};
    double h = 0;
    if (v == r)
        h = (g - b) / d;
    else if (v == g)
        h = 2 + (b - r) / d;
    else
        h = 4 + (r - g) / d;
    return {turn(h / 6), d / v, v};
}

Triple rgb_of(const Triple& hsv) {
    const auto [h, s, v] = hsv;
    const double sector = std::floor(6 * h), f = 6 * h - sector;
    const double p = v * (1 - s), q = v * (1 - s * f), t = v * (1 - s * (1 - f));
    switch (static_cast<int>(sector) % 6) {
        case 0:
            return {v, t, p};
        case 1:
            return {q, v, p};
        case 2:
            return {p, v, t};
        case 3:
            return {p, q, v};
        case 4:
            return {t, p, v};
        default:
            return {v, p, q};
    }
}

template <class T>
Triple hsv_at(const T* p) {
    return hsv_of(static_cast<double>(p[0]), static_cast<double>(p[1]), static_cast<double>(p[2]));
}

template <class T>
void store_rgb(T* p, const Triple& hsv) {
    const Triple rgb = rgb_of(hsv);
    for (std::size_t c = 0; c < 3; ++c) p[c] = unit<T>(rgb[c]);
}

}  // namespace

template <class T>
void brightness(Pixels<T>& image, double factor) {
    for (T& v : image.values) v = unit<T>(factor * static_cast<double>(v));
}

template <class T>
void contrast(Pixels<T>& image, double factor) {
    check_colours("contrast", image.channels);
    double sum = 0;
    each_pixel(image, [&](const T* p) { sum += luma(p, image.channels); });
    const double mean = sum / (static_cast<double>(image.height) * image.width);
    for (T& v : image.values) v = unit<T>(factor * static_cast<double>(v) + (1 - factor) * mean);
}

template <class T>
void saturation(Pixels<T>& image, double factor) {
    check_colours("saturation", image.channels);
    if (image.channels == 1) return;
    each_pixel(image, [&](T* p) {
        const double grey = luma(p, 3);
        for (int c = 0; c < 3; ++c) p[c] = unit<T>(factor * static_cast<double>(p[c]) + (1 - factor) * grey);
    });
}

template <class T>
void hue(Pixels<T>& image, double shift) {
    check_colours("hue", image.channels);
    if (image.channels == 1) return;
    each_pixel(image, [&](T* p) {
        Triple hsv = hsv_at(p);
        hsv[0] = turn(hsv[0] + shift);
        store_rgb(p, hsv);
    });
}

ColourKind colour_kind(const std::string& name) {
    if (name == "brightness") return ColourKind::brightness;
    if (name == "contrast") return ColourKind::contrast;
    if (name == "saturation") return ColourKind::saturation;
    if (name == "hue") return ColourKind::hue;
    throw ConfigError(
        fmt::format("colour change \"{}\" is unknown; known: brightness, contrast, saturation, hue", name));
}

template <class T>
void colour_chain(Pixels<T>& image, const std::vector<ColourStep>& steps) {
    for (const ColourStep& step : steps) {
        switch (step.kind) {
            case ColourKind::brightness:
                brightness(image, step.amount);
                break;
            case ColourKind::contrast:
                contrast(image, step.amount);
                break;
            case ColourKind::saturation:
                saturation(image, step.amount);
                break;
            case ColourKind::hue:
                hue(image, step.amount);
                break;
        }
    }
}

template <class T>
Pixels<T> rgb_to_hsv(const Pixels<T>& rgb) {
    check(rgb.channels == 3, "[rgb_to_hsv] the picture has {} channels, expected 3 (RGB)", rgb.channels);
    Pixels<T> out = rgb;
    each_pixel(out, [](T* p) {
        const Triple hsv = hsv_at(p);
        for (std::size_t c = 0; c < 3; ++c) p[c] = static_cast<T>(hsv[c]);
    });
    return out;
}

template <class T>
void hsv_gain(Pixels<T>& rgb, const Triple& gain) {
    check(rgb.channels == 3, "[hsv_gain] the picture has {} channels, expected 3 (RGB)", rgb.channels);
    each_pixel(rgb, [&](T* p) {
        const Triple hsv = hsv_at(p);
        store_rgb(p, {turn(hsv[0] * gain[0]), std::clamp(hsv[1] * gain[1], 0.0, 1.0),
                      std::clamp(hsv[2] * gain[2], 0.0, 1.0)});
    });
}

template <class T>
Pixels<T> from_bytes(const std::vector<std::uint8_t>& bytes, int height, int width, int channels) {
    Pixels<T> out(height, width, channels);
    check(bytes.size() == out.values.size(), "[from_bytes] {} bytes for {}x{}x{}", bytes.size(), height, width,
          channels);
    std::transform(bytes.begin(), bytes.end(), out.values.begin(),
                   [](std::uint8_t b) { return static_cast<T>(b / 255.0); });
    return out;
}

template <class T>
void normalize(Pixels<T>& image, const std::vector<double>& mean, const std::vector<double>& std_dev) {
    const auto channels = static_cast<std::size_t>(image.channels);
    check(mean.size() == channels && std_dev.size() == channels,
          "[normalize] {} means and {} deviations for {} channels", mean.size(), std_dev.size(), channels);
    for (const double s : std_dev) check(s > 0, "[normalize] a deviation is {}, expected > 0", s);
    each_pixel(image, [&](T* p) {
        for (std::size_t c = 0; c < channels; ++c)
            p[c] = static_cast<T>((static_cast<double>(p[c]) - mean[c]) / std_dev[c]);
    });
}

template void brightness(Pixels<float>&, double);
template void brightness(Pixels<double>&, double);
template void contrast(Pixels<float>&, double);
template void contrast(Pixels<double>&, double);
template void saturation(Pixels<float>&, double);
template void saturation(Pixels<double>&, double);
template void hue(Pixels<float>&, double);
template void hue(Pixels<double>&, double);
template void colour_chain(Pixels<float>&, const std::vector<ColourStep>&);
template void colour_chain(Pixels<double>&, const std::vector<ColourStep>&);
template Pixels<float> rgb_to_hsv(const Pixels<float>&);
template Pixels<double> rgb_to_hsv(const Pixels<double>&);
template void hsv_gain(Pixels<float>&, const Triple&);
template void hsv_gain(Pixels<double>&, const Triple&);
template Pixels<float> from_bytes(const std::vector<std::uint8_t>&, int, int, int);
template Pixels<double> from_bytes(const std::vector<std::uint8_t>&, int, int, int);
template void normalize(Pixels<float>&, const std::vector<double>&, const std::vector<double>&);
template void normalize(Pixels<double>&, const std::vector<double>&, const std::vector<double>&);

}  // namespace solobox
