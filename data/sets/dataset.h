// The front door of the data room: give a directory (or a data.yaml, or a COCO file), get a DataSet with its format
// found and said. Opens everything read-only and writes nothing. Pictures are not decoded here, only their headers are
// read.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "data/baseline.h"
#include "data/sets/open_options.h"
#include "data/types.h"

namespace solobox {

// The whole tree below a directory is looked at: parts, years and sequences that lie beside each other are one set, two
// sets are an error that names both.
//
// DataError when `path` does not exist (with the system's text), is empty, is of no known format (says what was looked
// for) or holds no usable picture (says why not); ConfigError for an unknown options.format. Samples are in byte order
// of path.
DataSet open_dataset(const std::string& path, const OpenOptions& options = {});

// The names that OpenOptions::format takes.
const std::vector<std::string>& dataset_formats();

// The first reasons for which something was left out, each with its file and line; "" when nothing was.
std::string reasons_of(const std::vector<Tally>& tallies, std::size_t most);

// Counts a picture of a kind that nobody here reads (.webp, .tif ..), once; does nothing for other files.
void tell_unread_kind(const std::string& path, DataSet& set);

enum class BoxPolicy { largest, first, error };  // which object of several is a single-box model's target

// The target of a picture as fractions of it, cut to it; nothing when no usable object is there. Crowds do not count.
// largest: by area after clipping, in pixels; a tie goes to the first. error: DataError when there are several.
// The sample's width and height must be known (> 0); corners are clipped to the picture.
std::optional<Object> single_object(const Sample& sample, BoxPolicy policy = BoxPolicy::largest);
std::optional<UnitBox> single_box_target(const Sample& sample, BoxPolicy policy = BoxPolicy::largest);

// Samples that have a target, with it; the others are left out (and counted, as are pictures with several objects).
struct Target {
    Sample sample;
    UnitBox box;
    int class_id = 0;
};
std::vector<Target> usable(const std::vector<Sample>& samples, BoxPolicy policy, std::vector<Tally>& tallies);

}  // namespace solobox
