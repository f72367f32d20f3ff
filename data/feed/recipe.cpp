#include "data/feed/recipe.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "data/image/image.h"

namespace solobox {
namespace {

// What the draws of one picture are for: each has a sequence of its own, so that one switch does not shift another.
enum Draw : std::uint32_t {
    draw_view,
    draw_flip,
    draw_colour,
    draw_hsv,
    draw_mosaic,
    draw_mixup,
    draw_crop_window = 100,  // of centre_crop
    draw_crop_flip,
    draw_crop_colours,
};

Random draws(std::uint64_t seed, std::int64_t epoch, std::size_t sample, Draw what) {
    return Random({seed, Stream::augment, static_cast<std::uint32_t>(epoch), static_cast<std::uint32_t>(sample), what});
}

Pixels<float> bytes_as_pixels(const Image& image) { return from_bytes<float>(image.rgb, image.height, image.width, 3); }

Pixels<float> sized(const Image& kept, const Extent& size) {
    if (kept.width == size.width && kept.height == size.height) return bytes_as_pixels(kept);
    return seen(kept, View(), size.height, size.width);
}

void normalise(Pixels<float>& p, const Recipe& r) {
    if (r.mean == std::array<double, 3>{0, 0, 0} && r.deviation == std::array<double, 3>{1, 1, 1}) return;
    for (std::size_t i = 0; i < p.values.size(); ++i)
        p.values[i] = static_cast<float>((static_cast<double>(p.values[i]) - r.mean[i % 3]) / r.deviation[i % 3]);
}

struct Factors {
    Random& random;
    double operator()(double range) { return random.uniform(1 - range, 1 + range); }
};

void apply_factors(Pixels<float>& image, const AugmentSpec& s, Random& random) {
    Factors factor{random};
    const double b = factor(s.brightness), c = factor(s.contrast), t = factor(s.saturation);
    if (s.brightness > 0) brightness(image, b);
    if (s.contrast > 0) contrast(image, c);
    if (s.saturation > 0) saturation(image, t);
}

// `through`: a turned hue goes through HSV once more even without gains, which costs it some roundings.
void apply_hsv(Pixels<float>& image, const AugmentSpec& s, Random& random, bool through) {
    Factors factor{random};
    const double h = random.uniform(-s.hsv_h, s.hsv_h), gain_s = factor(s.hsv_s), gain_v = factor(s.hsv_v);
    if (s.hsv_h > 0) hue(image, h);
    if (s.hsv_s > 0 || s.hsv_v > 0 || (through && s.hsv_h > 0)) hsv_gain(image, {1, gain_s, gain_v});
}

// ---- squeezed pictures

View draw_view_of(const AugmentSpec& s, double aspect, Random& random) {
    View g;
    g.aspect = aspect;
    g.size = 1 - s.scale * random.uniform();
    const double slack = (1 - g.size) / 2;
    g.shift_x = random.uniform(-slack, slack) + random.uniform(-s.translate, s.translate);
    g.shift_y = random.uniform(-slack, slack) + random.uniform(-s.translate, s.translate);
    const double angle = random.uniform(-s.degrees, s.degrees) * std::numbers::pi / 180;
    g.sine = std::sin(angle), g.cosine = std::cos(angle);
    return g;
}

Frame kept_frame(const PictureStore& store, std::size_t i, const Extent& size) {
    return {sized(store.image(i), size), store.labels(i)};
}

// Crop, shift, turn. A draw that loses the target is rejected; after some, the picture stays as it is.
Frame placed(const PictureStore& store, std::size_t i, const Recipe& r, std::uint64_t seed, std::int64_t epoch) {
    constexpr int attempts = 8;
    const AugmentSpec& s = r.augment;
    const Labels& labels = store.labels(i);
    if (s.scale > 0 || s.translate > 0 || s.degrees > 0) {
        Random random = draws(seed, epoch, i, draw_view);
        for (int k = 0; k < attempts; ++k) {
            const View view = draw_view_of(s, static_cast<double>(r.size.width) / r.size.height, random);
            Labels now = seen(labels, view, s.min_visible);
            if (!r.settle || labels.objects.empty() || !now.objects.empty())
                return {seen(store.image(i), view, r.size.height, r.size.width), std::move(now)};
        }
    }
    return kept_frame(store, i, r.size);
}

// Four pictures around a point; with one target, the largest part of one that is left.
Frame four_in_one(const PictureStore& store, std::size_t i, const Recipe& r, Random& random) {
    const Extent kept{store.options().height, store.options().width};
    const int x = static_cast<int>(random.uniform(0.5 * kept.width, 1.5 * kept.width)),
              y = static_cast<int>(random.uniform(0.5 * kept.height, 1.5 * kept.height));
    std::vector<Frame> four;
    for (int quarter = 0; quarter < 4; ++quarter)
        four.push_back(kept_frame(
            store, quarter == 0 ? i : static_cast<std::size_t>(random.below(static_cast<std::int64_t>(store.size()))),
            kept));
    Frame out = mosaic(four, x, y, r.augment.min_visible, r.size.height, r.size.width);
    if (!r.settle) return out;
    r.settle(out.labels);
    return out.labels.objects.empty() ? kept_frame(store, i, r.size) : out;
}

Frame augmented_whole(const PictureStore& store, std::size_t i, const Recipe& r, std::uint64_t seed,
                      std::int64_t epoch) {
    const AugmentSpec& s = r.augment;
    Random four = draws(seed, epoch, i, draw_mosaic);
    Frame frame =
        s.mosaic > 0 && four.uniform() < s.mosaic ? four_in_one(store, i, r, four) : placed(store, i, r, seed, epoch);
    if (s.fliplr > 0 && draws(seed, epoch, i, draw_flip).uniform() < s.fliplr)
        frame = {hflip(frame.pixels), hflip(frame.labels, r.mirrored)};
    Random colour = draws(seed, epoch, i, draw_colour), turn = draws(seed, epoch, i, draw_hsv);
    apply_factors(frame.pixels, s, colour);
    apply_hsv(frame.pixels, s, turn, true);
    Random second = draws(seed, epoch, i, draw_mixup);
    if (s.mixup > 0 && second.uniform() < s.mixup) {
        const auto j = static_cast<std::size_t>(second.below(static_cast<std::int64_t>(store.size())));
        // The first picture stays the stronger one: a single target is its.
        frame.pixels = blend(frame.pixels, sized(store.image(j), r.size), second.uniform(0.5, 1));
        if (!r.settle) frame.labels = joined(std::move(frame.labels), store.labels(j));
    }
    return frame;
}

// ---- crops

Image cut(const Image& in, const Window& w) {
    Image out{w.width, w.height, {}};
    out.rgb.reserve(3 * static_cast<std::size_t>(w.width) * static_cast<std::size_t>(w.height));
    for (int y = 0; y < w.height; ++y) {
        const auto begin = in.rgb.begin() + 3 * (static_cast<std::ptrdiff_t>(w.top + y) * in.width + w.left);
        out.rgb.insert(out.rgb.end(), begin, begin + 3 * static_cast<std::ptrdiff_t>(w.width));
    }
    return out;
}

Labels within(const Labels& labels, const Window& w, int height, int width, double min_visible) {
    return cropped(labels,
                   {(w.left + w.width / 2.0) / width, (w.top + w.height / 2.0) / height,
                    static_cast<double>(w.width) / width, static_cast<double>(w.height) / height},
                   min_visible);
}

struct Crop {
    Image picture;
    Labels labels;
};

// As large as covers the size with 256 / 224 of it, then its middle.
Crop centre_crop(const Image& picture, const Labels& labels, const Recipe& r) {
    const std::int64_t high = shorter_side_of(r.size.height), wide = shorter_side_of(r.size.width);
    const bool by_height = high * picture.width >= wide * picture.height;
    const int height = static_cast<int>(by_height ? high : wide * picture.height / picture.width),
              width = static_cast<int>(by_height ? high * picture.width / picture.height : wide);
    Image resized = picture;
    if (picture.width != width || picture.height != height)
        resized = resize_bilinear(picture, width, height, r.antialias);
    const auto middle = [](int length, int part) { return static_cast<int>(std::nearbyint((length - part) / 2.0)); };
    const Window window{middle(resized.height, r.size.height), middle(resized.width, r.size.width), r.size.height,
                        r.size.width};
    return {cut(resized, window), within(labels, window, resized.height, resized.width, r.augment.min_visible)};
}

Frame augmented_crop(const PictureStore& store, std::size_t i, const Recipe& r, std::uint64_t seed,
                     std::int64_t epoch) {
    const AugmentSpec& s = r.augment;
    const Image stored = store.image(i);
    Crop crop;
    if (s.random_crop) {
        Random random = draws(seed, epoch, i, draw_crop_window);
        const Window window = draw_crop(stored.height, stored.width, s.smallest_crop, random);
        crop = {resize_bilinear(cut(stored, window), r.size.width, r.size.height, r.antialias),
                within(store.labels(i), window, stored.height, stored.width, s.min_visible)};
    } else {
        crop = centre_crop(stored, store.labels(i), r);
    }
    Frame frame{bytes_as_pixels(crop.picture), std::move(crop.labels)};
    if (s.fliplr > 0 && draws(seed, epoch, i, draw_crop_flip).uniform() < s.fliplr)
        frame = {hflip(frame.pixels), hflip(frame.labels, r.mirrored)};
    Random colours = draws(seed, epoch, i, draw_crop_colours);
    apply_factors(frame.pixels, s, colours);
    apply_hsv(frame.pixels, s, colours, false);
    return frame;
}

}  // namespace

PictureStore::Options storage(const Recipe& recipe, const Extent& largest, bool training) {
    PictureStore::Options o;
    o.antialias = recipe.antialias;
    if (recipe.fit == Fit::squeeze) {
        o.height = largest.height, o.width = largest.width;
        return o;
    }
    o.keep_aspect = true;
    const int longer = std::max(largest.height, largest.width);
    // Training crops look closer than the whole picture: twice the size that validation needs.
    o.height = o.width = training ? 2 * longer : shorter_side_of(longer);
    return o;
}

Frame look(const Image& picture, const Labels& labels, const Recipe& r) {
    Frame frame;
    if (r.fit == Fit::squeeze) {
        frame = {Pixels<float>(r.size.height, r.size.width, 3), labels};
        frame.pixels.values = to_float(picture, r.size.height, r.size.width, r.antialias);
    } else {
        Crop crop = centre_crop(picture, labels, r);
        frame = {bytes_as_pixels(crop.picture), std::move(crop.labels)};
    }
    normalise(frame.pixels, r);
    return frame;
}

Frame plain(const PictureStore& store, std::size_t i, const Recipe& r) {
    if (r.fit == Fit::centre_crop) return look(store.image(i), store.labels(i), r);
    Frame frame = kept_frame(store, i, r.size);
    normalise(frame.pixels, r);
    return frame;
}

Frame augmented(const PictureStore& store, std::size_t i, const Recipe& r, std::uint64_t seed, std::int64_t epoch) {
    Frame frame =
        r.fit == Fit::squeeze ? augmented_whole(store, i, r, seed, epoch) : augmented_crop(store, i, r, seed, epoch);
    normalise(frame.pixels, r);
    return frame;
}

int shorter_side_of(int side) { return side * 256 / 224; }

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

}  // namespace solobox
