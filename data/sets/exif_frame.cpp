// See exif_frame.h.
#include "data/sets/exif_frame.h"

#include <cmath>

#include "data/text.h"

namespace solobox {

Frame frame_by_boxes(const std::vector<Object>& boxes, const ImageInfo& info) {
    constexpr double slack = 1;  // pixel: one-based ends
    const auto inside = [&](int width, int height) {
        std::int64_t n = 0;
        for (const Object& o : boxes) n += o.x2 <= width + slack && o.y2 <= height + slack;
        return n;
    };
    const auto stored = inside(info.stored_width, info.stored_height), upright = inside(info.width, info.height);
    return stored > upright ? Frame::stored : upright > stored ? Frame::upright : Frame::unknown;
}

void tell_scale(int label_width, int label_height, int width, int height, const std::vector<Object>& boxes,
                const std::string& place, std::vector<Tally>& tallies) {
    const double by_width = double(width) / label_width, by_height = double(height) / label_height;
    const bool same_shape = std::abs(by_width / by_height - 1)<0.02, scaled = std::abs(by_width - 1)> 0.02;
    if (boxes.empty() || !same_shape || !scaled) return;
    for (const Object& o : boxes)
        if (o.x2 > label_width + 1 || o.y2 > label_height + 1) return;  // they are meant in the picture's pixels
    count(tallies, TallyKind::bad_box,
          "labels for pictures of another size (resized behind the labelling? their boxes are in the old pixels)",
          place);
}

void tell_frame(Frame frame, const std::string& picture, const ImageInfo& info, std::vector<Tally>& tallies) {
    const std::string shown = printable(picture, 300);
    if (frame == Frame::unknown)
        fail_data(shown,
                  "EXIF turns it (orientation {}), and nothing tells whether its labels mean the picture as seen or as "
                  "stored: exif_boxes=upright (as Roboflow, CVAT and Ultralytics mean it) or exif_boxes=stored decides",
                  info.orientation);
    if (frame == Frame::stored) count(tallies, "pictures that EXIF turns, their labels taken as stored", shown);
    if (frame == Frame::upright) count(tallies, "pictures that EXIF turns, their labels taken upright", shown);
}

}  // namespace solobox
