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
    int numbers = 4;                                  // behind the class
    bool polygon = false;                             // the box is the one around a polygon of `numbers` / 2 corners
    bool sticks_out = false, may_be_corners = false;  // as written: cut at the edge; x1 y1 x2 y2 within the picture
    bool may_be_points = false;                       // the same numbers are a box and key points within it as well
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
    PointLayout points;                         // kpt_shape, flip_idx
    std::vector<std::string> train, val, test;  // directories or list files, resolved
    ExifBoxes exif_boxes = ExifBoxes::detect;   // `exif_boxes`, a key of this program's own
    std::vector<std::string> files;             // what else was read: the list of names
    std::vector<std::string> notes;             // places that are not where the file says, in words
};

// A data.yaml, or Darknet's obj.data, whose places exist. DataError with the line otherwise. Places are relative to the
// file's `path`, its folder, that folder's parent or the working directory: the first where they are; \ stands for /.
YoloDescription read_yolo_description(const std::string& path);

// The pictures that a list of paths names, relative to its own folder, `base` and the other places above. What is cut
// from their beginnings (Darknet's data/) is found with the first of them and the same for all, never all of their
// folders; where they are elsewhere than written is noted. Pictures that are nowhere stay as they are written.
std::vector<std::string> read_picture_list(const std::string& list, const std::string& base,
                                           std::vector<std::string>& notes);

struct YoloParts {
    std::vector<std::string> train, val;  // folders of pictures, or lists of them
    std::vector<std::string> test;        // likewise; for splits that the user says
    std::string base;                     // what lists are relative to, besides their own folder
    std::string split;                    // how they were told apart
};

// images/ with labels/, in any case, each with or without train/ and val/ below or above it; lists beside them split.
// Without training pictures: no such set.
YoloParts plain_yolo_parts(const std::string& dir);
// train.txt and val.txt (valid.txt, test.txt) that name pictures.
YoloParts listed_yolo_parts(const std::string& dir);

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
