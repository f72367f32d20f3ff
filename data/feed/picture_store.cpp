#include "data/feed/picture_store.h"

#include <algorithm>
#include <atomic>

#include "data/image/image.h"
#include "data/text.h"
#include "tensor/check.h"
#include "tensor/kernels/parallel.h"

namespace solobox {
namespace {

std::uint32_t bytes_sum(std::uint32_t start, const void* data, std::size_t size) {
    return checksum({static_cast<const char*>(data), size}, start);
}

std::uint32_t labels_sum(std::uint32_t sum, const Labels& labels) {
    const auto add = [&](const UnitBox& b, int class_id) {
        const double numbers[5] = {b.cx, b.cy, b.w, b.h, static_cast<double>(class_id)};
        sum = bytes_sum(sum, numbers, sizeof numbers);
    };
    if (labels.objects.empty()) add({}, labels.class_id);
    for (const Labelled& o : labels.objects) {
        add(o.box, o.class_id);
        for (const KeyPoint& p : o.points) {
            const double numbers[3] = {p.x, p.y, static_cast<double>(p.visible)};
            sum = bytes_sum(sum, numbers, sizeof numbers);
        }
    }
    if (labels.mask) sum = bytes_sum(sum, labels.mask->inside.data(), labels.mask->inside.size());
    return sum;
}

}  // namespace

Image PictureStore::load(std::size_t source) const {
    if (!options_.keep_aspect)
        return resize_bilinear(read_(source), options_.width, options_.height, options_.antialias);
    Image whole = read_(source);
    const int shorter = std::min(whole.width, whole.height);
    if (std::max(whole.width, whole.height) / 64 > shorter)
        throw DataError(
            fmt::format("a picture of {}x{} pixels: too narrow to be seen at one size", whole.width, whole.height));
    if (shorter <= options_.height) return whole;
    const auto shrunk = [&](int length) {
        return static_cast<int>(static_cast<std::int64_t>(length) * options_.height / shorter);
    };
    return resize_bilinear(whole, shrunk(whole.width), shrunk(whole.height), options_.antialias);
}

PictureStore::PictureStore(std::vector<StoredPicture> pictures, Read read, const Options& options,
                           std::vector<Tally>& tallies)
    : read_(std::move(read)), options_(options) {
    const std::size_t n = pictures.size();
    std::atomic<std::int64_t> kept{0};
    std::vector<Image> images(n);
    std::vector<std::string> errors(n);
    std::vector<std::uint32_t> sums(n);
    parallel_for(static_cast<std::int64_t>(n), [&](std::int64_t tile) {
        const auto i = static_cast<std::size_t>(tile);
        try {
            Image image = load(i);
            sums[i] = bytes_sum(0, image.rgb.data(), image.rgb.size());
            const auto bytes = static_cast<std::int64_t>(image.rgb.size());
            if (kept.fetch_add(bytes) + bytes <= options.cache_bytes)
                images[i] = std::move(image);
            else
                kept.fetch_sub(bytes);
        } catch (const DataError& e) {
            errors[i] = e.what();
        }
    });
    for (std::size_t i = 0; i < n; ++i) {
        if (!errors[i].empty()) {
            if (!options.skip_bad)
                throw DataError(fmt::format(
                    "{}\nThis picture cannot be used: mend or remove it, or leave such pictures out with --skip-bad.",
                    errors[i]));
            count(tallies, "pictures that do not decode left out", errors[i]);
            continue;
        }
        fingerprint_ = labels_sum(bytes_sum(fingerprint_, &sums[i], sizeof sums[i]), pictures[i].labels);
        entries_.push_back({std::move(pictures[i]), i, std::move(images[i])});
    }
}

std::vector<UnitBox> PictureStore::boxes() const {
    std::vector<UnitBox> out;
    for (const Entry& e : entries_)
        for (const Labelled& o : e.known.labels.objects) out.push_back(o.box);
    return out;
}

PictureStore PictureStore::some(std::size_t n) const {
    PictureStore part;
    part.read_ = read_, part.options_ = options_;
    n = std::min(n, size());
    for (std::size_t k = 0; k < n; ++k) part.entries_.push_back(entries_[k * size() / n]);
    part.fingerprint_ = fingerprint_;
    return part;
}

Image PictureStore::image(std::size_t i) const {
    const Entry& e = entries_[i];
    return e.image.rgb.empty() ? load(e.source) : e.image;
}

Image PictureStore::picture(std::size_t i) const { return read_(entries_[i].source); }

std::size_t PictureStore::cached() const {
    return static_cast<std::size_t>(
        std::count_if(entries_.begin(), entries_.end(), [](const Entry& e) { return !e.image.rgb.empty(); }));
}

}  // namespace solobox
