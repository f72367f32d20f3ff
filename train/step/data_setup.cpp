#include "train/step/data_setup.h"

#include <fmt/format.h>

#include "tensor/check.h"

namespace solobox {

OpenOptions open_options(const Config& c) {
    OpenOptions options;
    options.format = c.text("format") == "detect" ? "" : c.text("format");
    options.skip_bad = c.flag("skip_bad");
    options.val_fraction = c.number("val_fraction");
    options.exif_boxes = c.text("exif_boxes") == "upright" ? ExifBoxes::upright : ExifBoxes::stored;
    return options;
}

void check_enough(std::size_t wanted, std::size_t there, const char* key) {
    if (wanted > there) throw ConfigError(fmt::format("{}={}: the data set has {}", key, wanted, there));
}

SyntheticPart synthetic_part(const Config& config, bool training) {
    SyntheticPart part = training ? synthetic_training_part : synthetic_validation_part;
    const std::int64_t n = config.integer(training ? "train_images" : "val_images");
    if (n > 0) part.count = static_cast<std::uint64_t>(n);
    return part;
}

}  // namespace solobox
