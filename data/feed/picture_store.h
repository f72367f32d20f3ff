// The pictures of a training or validation set, decoded and brought to the size that is kept, in memory as far as a
// limit allows. Decodes everything once before the first step, so a file that does not decode is found there.
// No tensors, no random numbers.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/types.h"

namespace solobox {

// One picture of the set and its target.
struct StoredTarget {
    std::string name;  // what a person sees: the file's name
    std::string path;  // as messages show it
    UnitBox box;
    int class_id = 0;
};

class PictureStore {
public:
    // read(i): the i-th picture, upright; may be called by several threads. Throws DataError for a bad one.
    using Read = std::function<Image(std::size_t i)>;
    struct Options {
        int side = 128;  // pixels; all pictures are squeezed to squares of it
        bool antialias = true;
        std::int64_t cache_bytes = std::int64_t{2} << 30;
        bool skip_bad = false;
        // Instead of squares: pictures whose shorter side is at most `side`, larger ones shrunk, aspect kept.
        bool keep_aspect = false;
    };

    PictureStore() = default;  // empty
    // Decodes all pictures with all threads. A bad one is a DataError (of the first in order), or, with skip_bad, left
    // out and counted in `tallies`.
    PictureStore(std::vector<StoredTarget> targets, Read read, const Options& options, std::vector<Tally>& tallies);

    std::size_t size() const { return entries_.size(); }
    PictureStore some(std::size_t n) const;  // at most n pictures, evenly spread over the set
    int side() const { return options_.side; }
    const StoredTarget& target(std::size_t i) const { return entries_[i].target; }
    std::vector<UnitBox> boxes() const;
    Image image(std::size_t i) const;    // as it is kept; decoded anew when it is not in memory
    Image picture(std::size_t i) const;  // as it is in the file
    std::size_t cached() const;          // how many are in memory

    // CRC-32 of all kept pictures and targets in order: equal for equal data, whatever its place.
    std::uint32_t fingerprint() const { return fingerprint_; }

private:
    struct Entry {
        StoredTarget target;
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
