// See exif_frame.h.
#include "data/sets/exif_frame.h"

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
