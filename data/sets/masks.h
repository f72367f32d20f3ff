// Pictures and masks of the same names in two folders: images/ + masks/, Image/ + GT_Object/, Training_Images/ +
// Ground_Truth/. A mask says which pixels belong to the thing; it may be of another size than its picture, not of
// another shape. Reads only.
#pragma once

#include <string>

#include "data/sets/open_options.h"
#include "data/types.h"

namespace solobox {

bool looks_like_masks(const std::string& dir);

// Samples carry the path of their mask and no objects. A picture without a mask is a DataError (skip_bad: left out and
// counted), so is a mask of another aspect ratio (by more than a pixel of its shorter side).
DataSet open_masks(const std::string& dir, const OpenOptions& options);

}  // namespace solobox
