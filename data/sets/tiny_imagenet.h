// tiny-imagenet-200 in its own folders: wnids.txt, words.txt, train/<wnid>/{images,<wnid>_boxes.txt}, val/images,
// val/val_annotations.txt. Box ends are inclusive pixel indices: 1 is added to the right and lower ends. Reads only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "data/sets/open_options.h"
#include "data/types.h"

namespace solobox {

struct TinyRow {
    std::string picture;  // bare file name
    std::string wnid;     // "" in <wnid>_boxes.txt
    Object object;        // pixels, the ends already exclusive; class_id is not set
    bool has_box = true;  // false: degenerate box (max <= min), lenient only
    std::int64_t line = 0;
};

// Class ids in order. DataError for a duplicate, a path, an empty list or anything that is not an id.
std::vector<std::string> parse_wnids(std::string_view text, const std::string& file);

// "picture wnid x1 y1 x2 y2" a line (tabs or blanks). Strict: a degenerate box is a DataError; lenient: counted.
// A box outside the side x side picture, a wrong number of fields or a picture named twice is a DataError always.
std::vector<TinyRow> parse_val_annotations(std::string_view text, const std::string& file, Strictness strictness,
                                           std::vector<Tally>& tallies, int side = 64);
// "picture x1 y1 x2 y2" a line.
std::vector<TinyRow> parse_tiny_boxes(std::string_view text, const std::string& file, Strictness strictness,
                                      std::vector<Tally>& tallies, int side = 64);

bool looks_like_tiny_imagenet(const std::string& dir);
DataSet open_tiny_imagenet(const std::string& dir, const OpenOptions& options);

}  // namespace solobox
