// How a data set is to be opened: shared by every format's reader.
#pragma once

#include <string>

#include "data/image/image.h"

namespace solobox {

// strict: every flaw of a label is an error (checking one file). lenient: swapped, empty and non-finite boxes are
// counted and left out (training); anything worse is still an error.
enum class Strictness { strict, lenient };

enum class ExifBoxes { stored, upright };  // the frame labels refer to, where sizes do not tell

struct OpenOptions {
    std::string format = "";  // "" detects; voc | yolo | coco | tiny-imagenet | folder
    Strictness strictness = Strictness::lenient;
    bool skip_bad = false;      // leave out and count samples whose picture or label cannot be used
    double val_fraction = 0.2;  // of a set without a split of its own: the last ones in byte order of path
    ExifBoxes exif_boxes = ExifBoxes::stored;
    ImageLimits limits;
};

// What a sample's reader threw, either passed on or (skip_bad) counted: use inside a catch block.
void skip_or_rethrow(const OpenOptions& options, std::vector<Tally>& tallies, const std::string& example);

// Splits `all` (sorted by path here) into train and the last `fraction` (rounded, at least 1 of 2 or more) as val.
void split_by_order(std::vector<Sample> all, double fraction, DataSet& set);

void sort_by_path(std::vector<Sample>& samples);  // byte order

// Do labels that give the picture's size as width x height (0: they do not) refer to the stored picture? The size tells
// when the turn swaps the sides; else the option does.
inline bool labels_are_stored(int width, int height, const ImageInfo& info, const OpenOptions& options) {
    const bool tells = info.width != info.height && info.orientation >= 5;
    if (tells && width == info.width && height == info.height) return false;
    if (tells && width == info.stored_width && height == info.stored_height) return true;
    return options.exif_boxes == ExifBoxes::stored;
}

}  // namespace solobox
