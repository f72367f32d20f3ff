// YOLO labels (one text file a picture: "class cx cy w h" in fractions, or polygons) and data.yaml. Reads only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/sets/open_options.h"
#include "data/types.h"

namespace solobox {

struct YoloBox {
    int class_id = 0;
    UnitBox box;                        // within the picture
    std::vector<KeyPoint> points = {};  // in fractions, as many as the set has; none in a row without them
    std::int64_t line = 0;
};

// Parses one label file; empty text = background. class_count < 0: unknown, any id below 100000 will do.
// Strict: empty, negative-sized and non-finite boxes are DataErrors; lenient: left out and counted. Either way a box
// that sticks out is cut and counted (coordinates up to 0.01 beyond the picture are rounding, more is an error),
// a polygon becomes its bounding box (counted), an exact repetition of a box is dropped (counted). points: of the set;
// a row "class cx cy w h x y [visible] .." of that many has them, other rows are read as in a set without.
std::vector<YoloBox> parse_yolo(std::string_view text, const std::string& file, Strictness strictness,
                                std::vector<Tally>& tallies, int class_count = -1, const PointLayout& points = {});

// The data.yaml of `dir` ("" when there is none): data.yaml, dataset.yaml, or the only *.yaml that has `names`.
std::string find_yolo_yaml(const std::string& dir);
struct YoloDescription {
    std::string file, base;  // the file as messages name it; what its places are relative to
    std::vector<std::string> classes;
    PointLayout points;                   // kpt_shape, flip_idx
    std::vector<std::string> train, val;  // directories or list files, resolved
};

// A data.yaml whose places exist. DataError with the line otherwise.
YoloDescription read_yolo_description(const std::string& path);

// The label file of a picture: .../images/.../a.jpg -> .../labels/.../a.txt (the last "images" counts), otherwise
// beside the picture.
std::string yolo_label_path(const std::string& picture);
// images/ with labels/ beside or below it, with or without train/ and val/.
bool looks_like_yolo(const std::string& dir);

// `path`: a data.yaml, or a directory with one or with plain images/ + labels/.
DataSet open_yolo(const std::string& path, const OpenOptions& options);

}  // namespace solobox
