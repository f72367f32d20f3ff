// What is known of a picture, whatever a task makes of it, and how it moves with the pixels: objects with boxes,
// classes and key points, the class of the whole picture, a mask. All places are fractions of the picture, so that
// resizing moves nothing. No tensors, no random numbers.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "data/image/pixels.h"
#include "data/types.h"

namespace solobox {

struct Labelled {
    UnitBox box;
    int class_id = 0;
    bool crowd = false;
    std::vector<KeyPoint> points = {};  // fractions of the picture
};

struct Mask {
    int height = 0, width = 0;
    std::vector<std::uint8_t> inside;  // 0 or 1, rows top to bottom
};

struct Labels {
    std::vector<Labelled> objects;
    int class_id = -1;  // of the whole picture; -1: none
    std::shared_ptr<const Mask> mask;
};

// A picture as the network sees it, with what is known of it.
struct Frame {
    Pixels<float> pixels;
    Labels labels;
};

// A sample's objects, cut to the picture; those without area are left out. Its width and height must be known (> 0).
Labels labels_of(const Sample& sample);

// Keeps the object of the largest box that is no crowd, the first of equals (to nine digits); none when there is none.
void keep_largest(Labels& labels);
void keep_first(Labels& labels);  // the first that is no crowd

// The part of a picture that another one shows: output point (u, v) is taken from turn((p - centre) size) + centre +
// shift. aspect: width / height of the picture, which an angle needs.
struct View {
    double size = 1, shift_x = 0, shift_y = 0, sine = 0, cosine = 1, aspect = 1;

    bool identity() const { return size == 1 && shift_x == 0 && shift_y == 0 && sine == 0; }
    void source(double u, double v, double& x, double& y) const {
        const double a = (u - 0.5) * size * aspect, b = (v - 0.5) * size;
        x = (cosine * a - sine * b) / aspect + 0.5 + shift_x;
        y = sine * a + cosine * b + 0.5 + shift_y;
    }
    void output(double x, double y, double& u, double& v) const {
        const double a = (x - 0.5 - shift_x) * aspect, b = y - 0.5 - shift_y;
        u = (cosine * a + sine * b) / aspect / size + 0.5;
        v = (-sine * a + cosine * b) / size + 0.5;
    }
};

// The labels in the view. A box becomes the upright box around it, cut at the picture; it stays when so large a share
// of it is left, and some area. Points that leave the picture are not visible any more. The mask is as fine as before.
Labels seen(const Labels& labels, const View& view, double min_visible);
// The pixels: bilinear, half-pixel centres, grey beyond the border. (height, width, 3) in [0, 1].
Pixels<float> seen(const Image& picture, const View& view, int height, int width);

// The labels in a window of the picture, in its fractions.
Labels cropped(const Labels& labels, const UnitBox& window, double min_visible);

// Left and right exchanged; key points change places as `mirrored` says (empty: none does).
Labels hflip(const Labels& labels, const std::vector<int>& mirrored);

// Objects of both; class and mask of the first.
Labels joined(Labels first, const Labels& second);

// Four pictures of one size around a point (x, y) of a canvas of twice that size, brought back to height x width. The
// class of the whole picture is the first one's; a mask needs all four.
Frame mosaic(const std::vector<Frame>& four, int x, int y, double min_visible, int height, int width);

}  // namespace solobox
