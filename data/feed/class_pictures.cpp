#include "data/feed/class_pictures.h"

#include <algorithm>
#include <cmath>

#include "data/image/image.h"
#include "tensor/random.h"

namespace solobox {
namespace {

enum Draw : std::uint32_t { draw_window, draw_flip, draw_colours };

Random draws(std::uint64_t seed, std::int64_t epoch, std::size_t sample, Draw what) {
    // Behind the draws of single-box augmentation, which share the stream.
    return Random({seed, Stream::augment, static_cast<std::uint32_t>(epoch), static_cast<std::uint32_t>(sample),
                   100 + static_cast<std::uint32_t>(what)});
}

Image cut(const Image& in, const Window& w) {
    Image out{w.width, w.height, {}};
    out.rgb.reserve(3 * static_cast<std::size_t>(w.width) * static_cast<std::size_t>(w.height));
    for (int y = 0; y < w.height; ++y) {
        const auto begin = in.rgb.begin() + 3 * (static_cast<std::ptrdiff_t>(w.top + y) * in.width + w.left);
        out.rgb.insert(out.rgb.end(), begin, begin + 3 * static_cast<std::ptrdiff_t>(w.width));
    }
    return out;
}

Pixels<float> bytes_as_pixels(const Image& image) { return from_bytes<float>(image.rgb, image.height, image.width, 3); }

// The centre crop before the colours are normalised.
Image centre_crop(const Image& picture, const ClassPictureSpec& spec) {
    const int shorter = shorter_side_of(spec.side);
    Image resized = picture;
    if (std::min(picture.width, picture.height) != shorter) {
        const bool wide = picture.width > picture.height;
        const int longer =
            static_cast<int>(static_cast<std::int64_t>(shorter) * std::max(picture.width, picture.height) /
                             std::min(picture.width, picture.height));
        resized = resize_bilinear(picture, wide ? longer : shorter, wide ? shorter : longer, spec.antialias);
    }
    const auto middle = [&](int length) { return static_cast<int>(std::nearbyint((length - spec.side) / 2.0)); };
    return cut(resized, {middle(resized.height), middle(resized.width), spec.side, spec.side});
}

void normalise(Pixels<float>& p, const ClassPictureSpec& spec) {
    for (std::size_t i = 0; i < p.values.size(); ++i)
        p.values[i] = static_cast<float>((static_cast<double>(p.values[i]) - spec.mean[i % 3]) / spec.deviation[i % 3]);
}

void recolour(Pixels<float>& image, const ClassPictureSpec& s, Random random) {
    const auto factor = [&random](double range) { return random.uniform(1 - range, 1 + range); };
    const double b = factor(s.brightness), c = factor(s.contrast), t = factor(s.saturation);
    if (s.brightness > 0) brightness(image, b);
    if (s.contrast > 0) contrast(image, c);
    if (s.saturation > 0) saturation(image, t);
    const double h = random.uniform(-s.hsv_h, s.hsv_h), gain_s = factor(s.hsv_s), gain_v = factor(s.hsv_v);
    if (s.hsv_h > 0) hue(image, h);
    if (s.hsv_s > 0 || s.hsv_v > 0) hsv_gain(image, {1, gain_s, gain_v});
}

}  // namespace

int shorter_side_of(int side) { return side * 256 / 224; }

Pixels<float> centre_picture(const Image& picture, const ClassPictureSpec& spec) {
    Pixels<float> p = bytes_as_pixels(centre_crop(picture, spec));
    normalise(p, spec);
    return p;
}

Window draw_crop(int height, int width, double smallest, Random& random) {
    constexpr double narrow = 3.0 / 4, broad = 4.0 / 3;
    const double area = static_cast<double>(height) * width;
    for (int tries = 0; tries < 10; ++tries) {
        const double target = area * random.uniform(smallest, 1),
                     aspect = std::exp(random.uniform(std::log(narrow), std::log(broad)));
        const int w = static_cast<int>(std::lround(std::sqrt(target * aspect))),
                  h = static_cast<int>(std::lround(std::sqrt(target / aspect)));
        if (w < 1 || h < 1 || w > width || h > height) continue;
        const auto top = random.below(height - h + 1), left = random.below(width - w + 1);
        return {static_cast<int>(top), static_cast<int>(left), h, w};
    }
    int w = width, h = height;
    if (static_cast<double>(w) / h < narrow)
        h = std::clamp(static_cast<int>(std::lround(w / narrow)), 1, height);
    else if (static_cast<double>(w) / h > broad)
        w = std::clamp(static_cast<int>(std::lround(h * broad)), 1, width);
    return {(height - h) / 2, (width - w) / 2, h, w};
}

Pixels<float> training_picture(const PictureStore& store, std::size_t i, const ClassPictureSpec& spec,
                               std::uint64_t seed, std::int64_t epoch) {
    const Image stored = store.image(i);
    Image seen;
    if (spec.random_crop) {
        Random random = draws(seed, epoch, i, draw_window);
        const Window window = draw_crop(stored.height, stored.width, spec.smallest_crop, random);
        seen = resize_bilinear(cut(stored, window), spec.side, spec.side, spec.antialias);
    } else {
        seen = centre_crop(stored, spec);
    }
    Pixels<float> p = bytes_as_pixels(seen);
    if (spec.fliplr > 0 && draws(seed, epoch, i, draw_flip).uniform() < spec.fliplr) p = hflip(p);
    recolour(p, spec, draws(seed, epoch, i, draw_colours));
    normalise(p, spec);
    return p;
}

ClassBatch make_class_batch(const PictureStore& store, const BatchPlan& plan, const ClassPictureSpec& spec,
                            std::int64_t epoch, std::int64_t b) {
    ClassBatch batch;
    batch.which = plan.members(epoch, b);
    batch.images.reserve(batch.which.size() * 3 * static_cast<std::size_t>(spec.side) *
                         static_cast<std::size_t>(spec.side));
    for (const std::size_t i : batch.which) {
        const Pixels<float> p = training_picture(store, i, spec, plan.seed, epoch);
        batch.images.insert(batch.images.end(), p.values.begin(), p.values.end());
        batch.classes.push_back(store.target(i).class_id);
    }
    return batch;
}

}  // namespace solobox
