// See folder.h.
#include "data/sets/folder.h"

#include <algorithm>

#include "data/sets/dataset.h"
#include "data/sets/parts.h"
#include "data/text.h"

namespace solobox {
namespace {

bool has_pictures(const std::string& dir) {
    const Listing listing = list_directory(dir);
    return std::any_of(listing.files.begin(), listing.files.end(),
                       [](const std::string& f) { return has_picture_ending(f); });
}

std::vector<std::string> class_folders(const std::string& dir) {
    std::vector<std::string> out;
    if (!is_directory(dir)) return out;
    for (const std::string& name : list_directory(dir).folders)
        if (has_pictures(join_path(dir, name))) out.push_back(name);
    return out;
}

void add_samples(std::vector<Sample>& to, std::vector<Sample> from) {
    std::move(from.begin(), from.end(), std::back_inserter(to));
}

// Folders of these names are where some other layout keeps its pictures and labels, and no classes.
bool is_no_class(const std::string& name) {
    const std::string low = lower(name);
    for (const char* home : {"images",
                             "image",
                             "img",
                             "img1",
                             "imgs",
                             "jpegimages",
                             "pictures",
                             "photos",
                             "data",
                             "obj_train_data",
                             "obj_train_images",
                             "labels",
                             "annotations",
                             "annots",
                             "masks",
                             "mask",
                             "gt",
                             "img_dir",
                             "ann_dir",
                             "segmentationclass"})
        if (low == home) return true;
    return role_of(name) != Role::whole;
}

// Also what lies in folders below the class's own.
std::vector<Sample> read_class(const std::string& dir, int class_id, DataSet& set, int depth = 0) {
    if (depth > 16) fail_data(printable(dir, 300), "more than 16 folders below a class folder: a link to itself?");
    std::vector<Sample> out;
    const Listing listing = list_directory(dir);
    for (const std::string& name : listing.files) {
        const std::string path = join_path(dir, name);
        if (!has_picture_ending(name)) {
            tell_unread_kind(path, set);
            continue;
        }
        Sample sample;
        sample.path = path;
        sample.class_id = class_id;
        out.push_back(std::move(sample));
    }
    for (const std::string& name : listing.folders)
        add_samples(out, read_class(join_path(dir, name), class_id, set, depth + 1));
    return out;
}

bool has_classes(const std::string& dir) {
    const std::vector<std::string> classes = class_folders(dir);
    return !std::all_of(classes.begin(), classes.end(), is_no_class);
}

// A part may lie in a folder of its own name once more, as archives unpack.
std::string unwrapped(std::string part) {
    for (int depth = 0; depth < 3 && !part.empty(); ++depth) {
        const Listing listing = list_directory(part);
        if (listing.folders.size() != 1 || !class_folders(part).empty()) break;
        part = join_path(part, listing.folders[0]);
    }
    return part;
}

// The folder with class folders that is the validation part; "" when there is none.
std::string validation_folder(const std::string& dir) {
    for (const Role role : {Role::val, Role::test})
        if (const std::string part = unwrapped(part_below(dir, role)); !part.empty() && has_classes(part)) return part;
    return "";
}

std::string training_folder(const std::string& dir) {
    const std::string part = unwrapped(part_below(dir, Role::train));
    return part.empty() || !has_classes(part) ? "" : part;
}

}  // namespace

bool looks_like_image_folder(const std::string& dir) { return !training_folder(dir).empty() || has_classes(dir); }

DataSet open_image_folder(const std::string& dir, const OpenOptions& options) {
    DataSet set;
    set.format = "folder";
    set.root = dir;
    const std::string train = training_folder(dir), home = train.empty() ? dir : train;
    const std::string val = train.empty() ? "" : validation_folder(dir);
    // Where one folder is a class all are: an empty one is told by whoever needs its pictures.
    if (looks_like_image_folder(dir)) set.classes = list_directory(home).folders;
    if (set.classes.empty())
        fail_data(printable(dir, 300), "no folders with pictures: expected <class>/*.jpg or train/<class>/*.jpg");
    for (std::size_t i = 0; i < set.classes.size(); ++i) {
        std::vector<Sample> samples = read_class(join_path(home, set.classes[i]), static_cast<int>(i), set);
        if (val.empty())
            split_by_order(std::move(samples), options.val_fraction, set);
        else
            add_samples(set.train, std::move(samples));
    }
    if (val.empty()) {
        if (!set.split.empty()) set.split += ", of each class";
    } else {
        set.split = fmt::format("by folders: {} to train on, {} for validation", printable(base_name(train)),
                                printable(base_name(val)));
        for (const std::string& name : list_directory(val).folders) {
            const auto it = std::find(set.classes.begin(), set.classes.end(), name);
            if (it == set.classes.end())
                fail_data(printable(join_path(val, name), 300),
                          "class {} is not among the training classes: take it out, or add an empty folder {}",
                          printable(name), printable(join_path(home, name), 200));
            add_samples(set.val, read_class(join_path(val, name), static_cast<int>(it - set.classes.begin()), set));
        }
    }
    sort_by_path(set.train);
    sort_by_path(set.val);
    return set;
}

}  // namespace solobox
