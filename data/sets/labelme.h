// labelme: one JSON file beside each picture, with shapes of points. Boxes are those around rectangles, polygons and
// circles. Reads only; never follows a name out of the set.
#pragma once

#include <string>
#include <vector>

#include "data/sets/open_options.h"
#include "data/types.h"

namespace solobox {

struct LabelmeShape {
    std::string label;
    double x1 = 0, y1 = 0, x2 = 0, y2 = 0;  // pixels as written
};

struct LabelmeFile {
    std::string picture;        // imagePath, with /; "" when absent
    int width = 0, height = 0;  // 0 when absent
    std::vector<LabelmeShape> shapes;
};

// Points, lines and strips of lines cover nothing: counted. DataError naming the file, and the number of the shape.
LabelmeFile parse_labelme(const std::string& text, const std::string& file, std::vector<Tally>& tallies);

bool looks_like_labelme(const std::string& dir);
DataSet open_labelme(const std::string& dir, const OpenOptions& options);

}  // namespace solobox
