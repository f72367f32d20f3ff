// COCO instances: one JSON file of images, annotations and categories for many pictures. Reads only; never follows a
// name out of the data set.
//
// The file is streamed: memory grows with the images and boxes that are kept, not with the polygons beside them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "data/sets/open_options.h"
#include "data/types.h"

namespace solobox {

struct CocoImage {
    std::string file_name;                     // stays below the folder of the pictures
    int width = 0, height = 0;                 // pixels as written; 0 when absent
    ExifBoxes exif_boxes = ExifBoxes::detect;  // a key of this program's own
    std::int64_t line = 0;
    bool usable = true;  // false: an entry of it was left out (skip_bad), so its labels are not complete
};

struct CocoObject {
    std::size_t image = 0;              // index in CocoFile::images
    int class_id = 0;                   // index in CocoFile::classes
    double x = 0, y = 0, w = 0, h = 0;  // bbox as written: left, top, width, height in pixels
    bool crowd = false;
    std::int64_t line = 0;
    bool from_mask = false;  // no bbox: made from its polygons or run lengths
};

struct CocoFile {
    std::vector<std::string> classes;  // in order of category id; equal names are one class
    std::vector<CocoImage> images;     // in order of the file
    std::vector<CocoObject> objects;   // likewise
};

// Parses and resolves the file at `path`. DataError with the line for everything that is not JSON, not COCO, or refers
// to an image or category that is not there; ids are numbers (1.0 is 1) or texts, and 1 is not "1". Names may have
// Windows' \. An annotation without bbox gets the box of its segmentation. options.skip_bad: entries of
// the wrong form are left out and counted; the rest of these errors remain.
CocoFile read_coco(const std::string& path, const OpenOptions& options, std::vector<Tally>& tallies);

// Where the picture of that file_name is; "" when it is nowhere.
using CocoPictures = std::function<std::string(const std::string& file_name)>;

// Samples with sizes read from the pictures and boxes in upright pixels. Strict: boxes without area or outside the
// picture are DataErrors; lenient: left out and counted. Boxes that stick out are cut and counted either way.
std::vector<Sample> coco_samples(const CocoFile& coco, const std::string& path, const CocoPictures& pictures,
                                 const OpenOptions& options, std::vector<Tally>& tallies);

// Looks for pictures beside the JSON file, in images/ and in a folder called as its split, never above `root`.
CocoPictures find_coco_pictures(const std::string& json, const std::string& root);

// Whether `dir` holds COCO files where open_coco looks for them.
bool looks_like_coco(const std::string& dir);

// `path`: one JSON file, or a directory with annotations/*.json (instances_train*.json and instances_val*.json become
// the split), train/_annotations.coco.json + valid/, or one JSON file at its top. Without a split of its own the set is
// split by order.
DataSet open_coco(const std::string& path, const OpenOptions& options);

}  // namespace solobox
