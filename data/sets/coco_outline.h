// The box of a COCO segmentation, for annotations without one: from polygons (lists of x, y in turn) or run lengths
// down the columns, as lists or packed in letters. Inside the COCO reader only.
#pragma once

#include <cmath>
#include <string>
#include <vector>

namespace solobox {

struct CocoOutline {
    double x1 = INFINITY, y1 = INFINITY, x2 = -INFINITY, y2 = -INFINITY;
    std::size_t numbers = 0;         // of the polygon that is being read
    std::vector<double> runs, size;  // size: height, width
    std::string packed;              // runs in letters
    std::string part;                // of run lengths: counts or size; "": polygons

    // A number or a text (one of them, or neither) so many lists deep within the segmentation. Only what a box needs is
    // kept; what is no outline makes none.
    void value(int depth, const double* number, const std::string* text);
    // x, y, width, height; empty when nothing is covered, or the run lengths make no sense.
    std::vector<double> box();

private:
    void corner(double v);
    void unpack();
};

}  // namespace solobox
