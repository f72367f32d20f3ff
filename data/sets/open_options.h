// How a data set is to be opened: shared by every format's reader.
#pragma once

#include <string>

#include "data/image/image.h"

namespace solobox {

// strict: every flaw of a label is an error (checking one file). lenient: swapped, empty and non-finite boxes are
// counted and left out (training); anything worse is still an error.
enum class Strictness { strict, lenient };

// The frame that labels of a picture turned by EXIF refer to. detect: what sizes or boxes tell, else an error.
enum class ExifBoxes { detect, stored, upright };

// What a YOLO row of more than five numbers is. detect: what kpt_shape says or all rows tell, else an error.
enum class YoloRows { detect, polygons, keypoints };

struct OpenOptions {
    std::string format = "";  // "" detects; see dataset_formats()
    Strictness strictness = Strictness::lenient;
    bool skip_bad = false;      // leave out and count samples whose picture or label cannot be used
    double val_fraction = 0.2;  // of a set without a split of its own: the last ones in byte order of path
    ExifBoxes exif_boxes = ExifBoxes::detect;
    YoloRows yolo_rows = YoloRows::detect;
    int class_base = 0;  // the number of the first class in YOLO labels: 0 or 1
    // Instead of the set's own split: text files of picture names, or a regular expression (ECMAScript) that is
    // searched for in the paths below the set; what it finds is for validation.
    std::string train_list = "", val_list = "", val_match = "";
    bool keep_empty = false;  // a set of which nothing can be used is opened all the same: its tallies say why
    ImageLimits limits;

    bool split_is_told() const { return !train_list.empty() || !val_list.empty() || !val_match.empty(); }
};

// By the names that keys and options have; what is unknown is `detect`.
inline ExifBoxes exif_boxes(const std::string& name) {
    return name == "stored" ? ExifBoxes::stored : name == "upright" ? ExifBoxes::upright : ExifBoxes::detect;
}
inline YoloRows yolo_rows(const std::string& name) {
    return name == "polygons" ? YoloRows::polygons : name == "keypoints" ? YoloRows::keypoints : YoloRows::detect;
}

// What a sample's reader threw, either passed on or (skip_bad) counted: use inside a catch block.
void skip_or_rethrow(const OpenOptions& options, std::vector<Tally>& tallies, const std::string& example);

}  // namespace solobox
