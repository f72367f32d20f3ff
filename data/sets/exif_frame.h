// Which frame the boxes of a picture live in that EXIF turns: the stored pixels, or the picture as it is seen.
#pragma once

#include <string>

#include "data/sets/open_options.h"

namespace solobox {

enum class Frame {
    same,     // not turned at all
    stored,   // known: the stored pixels
    upright,  // known: the picture as it is seen
    unknown
};

// width x height: what the label gives as the picture's size (0: nothing). The size tells when the turn swaps the
// sides; else options.exif_boxes does.
inline Frame frame_of(int width, int height, const ImageInfo& info, const OpenOptions& options) {
    if (info.orientation == 1) return Frame::same;
    const bool tells = info.width != info.height && info.orientation >= 5;
    if (tells && width == info.width && height == info.height) return Frame::upright;
    if (tells && width == info.stored_width && height == info.stored_height) return Frame::stored;
    if (options.exif_boxes == ExifBoxes::detect) return Frame::unknown;
    return options.exif_boxes == ExifBoxes::stored ? Frame::stored : Frame::upright;
}

// Boxes in pixels, when neither size nor option tell: the frame that keeps more of them inside; unknown on a draw.
Frame frame_by_boxes(const std::vector<Object>& boxes, const ImageInfo& info);

// Labels that give another size than the picture's, of the same shape, whose boxes all lie within that size: were the
// pictures resized behind the labelling? Counted as an error of the set; the picture's own size counts.
void tell_scale(int label_width, int label_height, int width, int height, const std::vector<Object>& boxes,
                const std::string& place, std::vector<Tally>& tallies);

// Says which frame was taken (a tally), or that nothing tells: a DataError naming the picture and the key that decides.
void tell_frame(Frame frame, const std::string& picture, const ImageInfo& info, std::vector<Tally>& tallies);

}  // namespace solobox
