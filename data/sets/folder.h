// ImageFolder: a folder a class, pictures inside, no boxes. root/<class>/*.jpg, or root/train/<class> +
// root/val/<class>. A single folder called images, obj_train_data or the like is no class.
#pragma once

#include <string>

#include "data/sets/open_options.h"
#include "data/types.h"

namespace solobox {

bool looks_like_image_folder(const std::string& dir);

// Samples carry class_id (classes in byte order of folder name) and no objects. Without a val/ (or valid/, test/)
// folder the last part of *each class* becomes val, since an order by path would put whole classes there.
DataSet open_image_folder(const std::string& dir, const OpenOptions& options);

}  // namespace solobox
