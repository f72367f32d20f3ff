#include "data/picture_store.h"

#include <algorithm>

#include "data/image.h"
#include "data/text.h"
#include "tensor/check.h"
#include "tensor/kernels/parallel.h"

namespace solobox {
namespace {

std::uint32_t bytes_sum(std::uint32_t start, const void* data, std::size_t size) {
    return checksum({static_cast<const char*>(data), size}, start);
}

}  // namespace

Image PictureStore::load(std::size_t source) const {
    return resize_bilinear(read_(source), options_.side, options_.side, options_.antialias);
}

PictureStore::PictureStore(std::vector<StoredTarget> targets, Read read, const Options& options,
                           std::vector<Tally>& tallies)
    : read_(std::move(read)), options_(options) {
    const std::size_t n = targets.size(),
                      bytes = 3 * static_cast<std::size_t>(options.side) * static_cast<std::size_t>(options.side);
    const std::size_t fit = bytes ? static_cast<std::size_t>(options.cache_bytes) / bytes : n;
    std::vector<Image> squares(n);
    std::vector<std::string> errors(n);
    std::vector<std::uint32_t> sums(n);
    parallel_for(static_cast<std::int64_t>(n), [&](std::int64_t tile) {
        const auto i = static_cast<std::size_t>(tile);
        try {
            Image square = load(i);
            sums[i] = bytes_sum(0, square.rgb.data(), square.rgb.size());
            if (i < fit) squares[i] = std::move(square);
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
        const UnitBox& b = targets[i].box;
        const double box[4] = {b.cx, b.cy, b.w, b.h};
        fingerprint_ = bytes_sum(bytes_sum(fingerprint_, &sums[i], sizeof sums[i]), box, sizeof box);
        entries_.push_back({std::move(targets[i]), i, std::move(squares[i])});
    }
}

std::vector<UnitBox> PictureStore::boxes() const {
    std::vector<UnitBox> out;
    for (const Entry& e : entries_) out.push_back(e.target.box);
    return out;
}

Image PictureStore::square(std::size_t i) const {
    const Entry& e = entries_[i];
    return e.square.rgb.empty() ? load(e.source) : e.square;
}

Image PictureStore::picture(std::size_t i) const { return read_(entries_[i].source); }

std::size_t PictureStore::cached() const {
    return static_cast<std::size_t>(
        std::count_if(entries_.begin(), entries_.end(), [](const Entry& e) { return !e.square.rgb.empty(); }));
}

}  // namespace solobox
