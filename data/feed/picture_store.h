// The pictures of a training or validation set, decoded and brought to the size that is kept, in memory as far as a
// limit allows, with their labels. Decodes everything once before the first step, so a file that does not decode is
// found there. No tensors, no random numbers.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/feed/labels.h"

namespace solobox {

// One picture of the set and what is known of it.
struct StoredPicture {
    std::string name;  // what a person sees: the file's name
    std::string path;  // as messages show it
    Labels labels;
};

class PictureStore {
public:
    // read(i): the i-th picture, upright; may be called by several threads. Throws DataError for a bad one.
    using Read = std::function<Image(std::size_t i)>;
    struct Options {
        int height = 128, width = 128;  // pixels; all pictures are squeezed to that
        bool antialias = true;
        std::int64_t cache_bytes = std::int64_t{2} << 30;
        bool skip_bad = false;
        // Instead of that: pictures whose shorter side is at most `height`, larger ones shrunk, aspect kept.
        bool keep_aspect = false;
    };

    PictureStore() = default;  // empty
    // Decodes all pictures with all threads. A bad one is a DataError (of the first in order), or, with skip_bad, left
    // out and counted in `tallies`.
    PictureStore(std::vector<StoredPicture> pictures, Read read, const Options& options, std::vector<Tally>& tallies);

    std::size_t size() const { return entries_.size(); }
    PictureStore some(std::size_t n) const;  // at most n pictures, evenly spread over the set
    const Options& options() const { return options_; }
    const std::string& name(std::size_t i) const { return entries_[i].known.name; }
    const std::string& path(std::size_t i) const { return entries_[i].known.path; }
    const Labels& labels(std::size_t i) const { return entries_[i].known.labels; }
    std::vector<UnitBox> boxes() const;  // of all objects, picture by picture
    Image image(std::size_t i) const;    // as it is kept; decoded anew when it is not in memory
    Image picture(std::size_t i) const;  // as it is in the file
    std::size_t cached() const;          // how many are in memory

    // CRC-32 of all kept pictures and labels in order: equal for equal data, whatever its place.
    std::uint32_t fingerprint() const { return fingerprint_; }

private:
    struct Entry {
        StoredPicture known;
        std::size_t source = 0;  // its number for read()
        Image image;             // empty: not in memory
    };
    Image load(std::size_t source) const;

    Read read_;
    Options options_;
    std::vector<Entry> entries_;
    std::uint32_t fingerprint_ = 0;
};

}  // namespace solobox
