// Pascal VOC: one XML file beside each picture. Reads only; never follows a name out of the data set.
#pragma once

#include <string>
#include <vector>

#include "data/sets/open_options.h"
#include "data/types.h"

namespace solobox {

struct VocObject {
    std::string name;
    double x1 = 0, y1 = 0, x2 = 0, y2 = 0;  // pixels as written (no +-1), within the picture when its size is known
    std::int64_t line = 0;
};

struct VocFile {
    std::string filename;                      // "" when the element is absent or empty
    int width = 0, height = 0;                 // of <size>; 0 when absent or 0
    ExifBoxes exif_boxes = ExifBoxes::detect;  // of <exif_boxes>, an element of this program's own
    std::vector<VocObject> objects;
};

// Parses one annotation. Strict: boxes that are swapped, empty, not finite or outside the picture are DataErrors with
// the line. Lenient: they are left out and counted in `tallies`. Boxes that stick out are cut and counted either way.
// picture_width, picture_height: the size that decides; 0 = take <size>.
VocFile parse_voc(const std::string& text, const std::string& file, Strictness strictness, std::vector<Tally>& tallies,
                  int picture_width = 0, int picture_height = 0);

// Whether `dir` itself is a VOC set: Annotations/ with XML files (or annots, xmls, labels, .. in any case), or XML
// files beside pictures.
bool looks_like_voc(const std::string& dir);
bool has_xml_beside(const std::string& dir);  // the latter

// Layouts: Annotations/ + JPEGImages/ (or annotations/ + images/, any case), each with or without train/ and val/ below
// it, or the XML next to the pictures.
DataSet open_voc(const std::string& dir, const OpenOptions& options);

}  // namespace solobox
