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
    int numbers = 4;             // behind the class
    bool polygon = false;        // the box is the one around a polygon of `numbers` / 2 corners
    bool may_be_points = false;  // the same numbers are a box and key points within it as well
};

// Parses one label file; empty text = background. class_count < 0: unknown, any id below 100000 will do.
// Strict: empty, negative-sized and non-finite boxes are DataErrors; lenient: left out and counted. Either way a box
// that sticks out is cut and counted (coordinates up to 0.01 beyond the picture are rounding, more is an error),
// a polygon becomes its bounding box (counted), an exact repetition of a box is dropped (counted). points: of the set;
// a row "class cx cy w h x y [visible] .." of that many has them, other rows are read as in a set without. class_base:
// the number of the first class, 0 or 1.
std::vector<YoloBox> parse_yolo(std::string_view text, const std::string& file, Strictness strictness,
                                std::vector<Tally>& tallies, int class_count = -1, const PointLayout& points = {},
                                int class_base = 0);

// The data.yaml of `dir` ("" when there is none): data.yaml, dataset.yaml, or the only *.yaml that has `names`.
std::string find_yolo_yaml(const std::string& dir);
// Darknet's obj.data ("" when there is none): obj.data, or the only *.data with a line `train = ..`.
std::string find_darknet_data(const std::string& dir);

struct YoloDescription {
    std::string file, base;  // the file as messages name it; what its places are relative to
    std::vector<std::string> classes;
    PointLayout points;                        // kpt_shape, flip_idx
    std::vector<std::string> train, val;       // directories or list files, resolved
    ExifBoxes exif_boxes = ExifBoxes::detect;  // `exif_boxes`, a key of this program's own
    std::vector<std::string> files;            // what else was read: the list of names
    std::vector<std::string> notes;            // places that are not where the file says, in words
};

// A data.yaml, or Darknet's obj.data, whose places exist. DataError with the line otherwise. Places are relative to the
// file's `path`, its folder, that folder's parent or the working directory: the first where they are; \ stands for /.
YoloDescription read_yolo_description(const std::string& path);

// Where the paths of a list are, as places above. "" when it is nowhere; list: the file that names it.
std::string find_listed(const std::string& name, const std::string& list, const std::string& base);

// The label file of a picture: .../images/.../a.jpg -> .../labels/.../a.txt (the last "images" counts), otherwise
// beside the picture; beside it too when only there a file is.
std::string yolo_label_path(const std::string& picture);
// data.yaml, obj.data, images/ with labels/ beside or below it (with or without train/ and val/), or .txt files of
// boxes beside pictures.
bool looks_like_yolo(const std::string& dir);
bool has_labels_beside(const std::string& dir);    // the latter
bool begins_like_labels(const std::string& path);  // the first line that is not empty is numbers, five or more

// `path`: a data.yaml or obj.data, or a directory. home: where lists of class names are looked for, from `path` up.
DataSet open_yolo(const std::string& path, const OpenOptions& options, const std::string& home = "");

}  // namespace solobox
