#include "train/data_setup.h"

namespace solobox {

OpenOptions open_options(const Config& c) {
    OpenOptions options;
    options.format = c.text("format") == "detect" ? "" : c.text("format");
    options.skip_bad = c.flag("skip_bad");
    options.val_fraction = c.number("val_fraction");
    options.exif_boxes = c.text("exif_boxes") == "upright" ? ExifBoxes::upright : ExifBoxes::stored;
    return options;
}

}  // namespace solobox
