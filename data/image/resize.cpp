// Resizing, declared in image.h and pixels.h. Two passes, columns then rows, each a list of taps per output
// pixel: every way of resizing is its taps.
#include <algorithm>
#include <cmath>

#include "data/image/image.h"
#include "data/image/pixels.h"
#include "tensor/check.h"

namespace solobox {
namespace {

struct Taps {
    std::size_t first = 0;
    std::vector<double> weights;
};

// Half-pixel centres. `reach` is the half width of the triangle: 1 for two taps a side whatever the scale; as wide as
// the step in the source for antialiasing (Pillow's resample.c: support = scale, window [centre - support + 0.5,
// centre + support + 0.5), weights normalised within the picture).
Taps triangle_taps(double centre, double reach, int in) {
    const int first = std::max(0, static_cast<int>(std::floor(centre - reach + 0.5)));
    const int last = std::min(in, static_cast<int>(std::floor(centre + reach + 0.5)));
    Taps taps{static_cast<std::size_t>(first), {}};
    double sum = 0;
    for (int k = first; k < std::max(last, first + 1); ++k) {
        taps.weights.push_back(std::max(0.0, 1.0 - std::abs((k + 0.5 - centre) / reach)));
        sum += taps.weights.back();
    }
    for (double& w : taps.weights) w /= sum;
    return taps;
}

Taps single_tap(std::int64_t k) { return {static_cast<std::size_t>(k), {1.0}}; }

// In units of 1/out of a source pixel, so that nothing is rounded: output i covers [i in, (i + 1) in), source pixel k
// covers [k out, (k + 1) out).
Taps cover_taps(std::int64_t i, std::int64_t in, std::int64_t out, bool fractional) {
    const std::int64_t from = i * in, to = (i + 1) * in, first = from / out, last = (to + out - 1) / out;
    Taps taps{static_cast<std::size_t>(first), {}};
    for (std::int64_t k = first; k < last; ++k) {
        const std::int64_t shared = std::min(to, (k + 1) * out) - std::max(from, k * out);
        taps.weights.push_back(fractional ? static_cast<double>(shared) / static_cast<double>(in)
                                          : 1.0 / static_cast<double>(last - first));
    }
    return taps;
}

std::vector<Taps> make_taps(std::int64_t in, std::int64_t out, Resampling how, bool antialias = false) {
    const double step = static_cast<double>(in) / static_cast<double>(out);
    std::vector<Taps> taps;
    for (std::int64_t i = 0; i < out; ++i) {
        const double centre = (static_cast<double>(i) + 0.5) * step;
        const int size = static_cast<int>(in);
        switch (how) {
            case Resampling::bilinear:
                taps.push_back(antialias ? triangle_taps(centre, std::max(step, 1.0), size)
                                         : triangle_taps(std::clamp(centre, 0.5, size - 0.5), 1.0, size));
                break;
            case Resampling::nearest:
                taps.push_back(single_tap((2 * i + 1) * in / (2 * out)));
                break;
            case Resampling::nearest_floor:
                taps.push_back(single_tap(i * in / out));
                break;
            case Resampling::area:
                taps.push_back(cover_taps(i, in, out, true));
                break;
            case Resampling::adaptive_avg:
                taps.push_back(cover_taps(i, in, out, false));
                break;
        }
    }
    return taps;
}

// A plane of `width` columns of `channels` numbers, through the taps of both axes; T is also what sums are kept in.
template <class T, class In>
std::vector<T> resample(const In* in, int height, int width, int channels, const std::vector<Taps>& rows,
                        const std::vector<Taps>& columns, T gain) {
    const auto c = static_cast<std::size_t>(channels), w = static_cast<std::size_t>(width);
    const std::size_t row_size = columns.size() * c;
    std::vector<T> middle(static_cast<std::size_t>(height) * row_size);  // (height, out_width, channels)
    for (std::size_t y = 0; y < static_cast<std::size_t>(height); ++y)
        for (std::size_t x = 0; x < columns.size(); ++x) {
            const In* from = in + (y * w + columns[x].first) * c;
            T* to = &middle[y * row_size + x * c];
            for (const double weight : columns[x].weights)
                for (std::size_t k = 0; k < c; ++k) to[k] += static_cast<T>(weight) * static_cast<T>(*from++);
        }
    std::vector<T> out(rows.size() * row_size);
    for (std::size_t y = 0; y < rows.size(); ++y) {
        T* to = &out[y * row_size];
        for (std::size_t k = 0; k < rows[y].weights.size(); ++k) {
            const T weight = static_cast<T>(rows[y].weights[k]) * gain;
            const T* from = &middle[(rows[y].first + k) * row_size];
            for (std::size_t i = 0; i < row_size; ++i) to[i] += weight * from[i];
        }
    }
    return out;
}

template <class T, class In>
std::vector<T> resize_plane(const In* in, int height, int width, int channels, int out_height, int out_width,
                            Resampling how, bool antialias, T gain) {
    check(height > 0 && width > 0 && channels > 0 && out_height > 0 && out_width > 0,
          "[resize] {}x{}x{} to {}x{}: sizes must be positive", height, width, channels, out_height, out_width);
    return resample<T>(in, height, width, channels, make_taps(height, out_height, how, antialias),
                       make_taps(width, out_width, how, antialias), gain);
}

}  // namespace

template <class T>
Pixels<T>::Pixels(int height_, int width_, int channels_, T fill)
    : height(height_), width(width_), channels(channels_) {
    check(height > 0 && width > 0 && channels > 0, "[Pixels] {}x{}x{}: sizes must be positive", height, width,
          channels);
    values.assign(static_cast<std::size_t>(checked_mul(checked_mul(height, width), channels)), fill);
}

template <class T>
Pixels<T> resize(const Pixels<T>& in, int height, int width, Resampling how) {
    check(in.values.size() == in.offset(in.height, 0), "[resize] {} numbers for {}x{}x{}", in.values.size(), in.height,
          in.width, in.channels);
    Pixels<T> out;
    out.values = resize_plane(in.values.data(), in.height, in.width, in.channels, height, width, how, false, T(1));
    out.height = height, out.width = width, out.channels = in.channels;
    return out;
}
template Pixels<float> resize(const Pixels<float>&, int, int, Resampling);
template Pixels<double> resize(const Pixels<double>&, int, int, Resampling);

std::vector<float> resize_bilinear(const std::vector<float>& in, int height, int width, int channels, int out_height,
                                   int out_width, bool antialias) {
    check(static_cast<std::int64_t>(in.size()) == std::int64_t{height} * width * channels,
          "[resize_bilinear] {} floats for {}x{}x{}", in.size(), height, width, channels);
    return resize_plane(in.data(), height, width, channels, out_height, out_width, Resampling::bilinear, antialias,
                        1.0F);
}

Image resize_bilinear(const Image& image, int width, int height, bool antialias) {
    const std::vector<float> plane = resize_plane(image.rgb.data(), image.height, image.width, 3, height, width,
                                                  Resampling::bilinear, antialias, 1.0F);
    Image out{width, height, std::vector<std::uint8_t>(plane.size())};
    std::transform(plane.begin(), plane.end(), out.rgb.begin(),
                   [](float v) { return static_cast<std::uint8_t>(std::clamp(v + 0.5F, 0.0F, 255.0F)); });
    return out;
}

std::vector<float> to_float(const Image& image, int height, int width, bool antialias) {
    std::vector<float> out = resize_plane(image.rgb.data(), image.height, image.width, 3, height, width,
                                          Resampling::bilinear, antialias, 1.0F / 255.0F);
    for (float& v : out) v = std::clamp(v, 0.0F, 1.0F);  // weights sum to 1 only up to rounding
    return out;
}

template struct Pixels<float>;
template struct Pixels<double>;

}  // namespace solobox
