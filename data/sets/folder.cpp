// See folder.h.
#include "data/sets/folder.h"

#include <algorithm>

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

std::string validation_folder(const std::string& dir) {
    for (const char* name : {"val", "valid", "validation", "test"})
        if (!class_folders(join_path(dir, name)).empty()) return join_path(dir, name);
    return "";
}

// Also what lies in folders below the class's own.
std::vector<Sample> read_class(const std::string& dir, int class_id, int depth = 0) {
    if (depth > 16) fail_data(printable(dir, 300), "more than 16 folders below a class folder: a link to itself?");
    std::vector<Sample> out;
    const Listing listing = list_directory(dir);
    for (const std::string& name : listing.files) {
        if (!has_picture_ending(name)) continue;
        Sample sample;
        sample.path = join_path(dir, name);
        sample.class_id = class_id;
        out.push_back(std::move(sample));
    }
    for (const std::string& name : listing.folders)
        for (Sample& sample : read_class(join_path(dir, name), class_id, depth + 1)) out.push_back(std::move(sample));
    return out;
}

void append(std::vector<Sample>& to, std::vector<Sample> from) {
    std::move(from.begin(), from.end(), std::back_inserter(to));
}

}  // namespace

bool looks_like_image_folder(const std::string& dir) {
    return !class_folders(join_path(dir, "train")).empty() || !class_folders(dir).empty();
}

DataSet open_image_folder(const std::string& dir, const OpenOptions& options) {
    DataSet set;
    set.format = "folder";
    set.root = dir;
    const std::string train = join_path(dir, "train");
    const std::string home = class_folders(train).empty() ? dir : train;
    const std::string val = home == train ? validation_folder(dir) : "";
    // Where one folder is a class all are: an empty one is told by whoever needs its pictures.
    if (!class_folders(home).empty()) set.classes = list_directory(home).folders;
    if (set.classes.empty())
        fail_data(printable(dir, 300), "no folders with pictures: expected <class>/*.jpg or train/<class>/*.jpg");
    for (std::size_t i = 0; i < set.classes.size(); ++i) {
        std::vector<Sample> samples = read_class(join_path(home, set.classes[i]), static_cast<int>(i));
        if (val.empty())
            split_by_order(std::move(samples), options.val_fraction, set);
        else
            append(set.train, std::move(samples));
    }
    if (!val.empty()) {
        for (const std::string& name : list_directory(val).folders) {
            const auto it = std::find(set.classes.begin(), set.classes.end(), name);
            if (it == set.classes.end())
                fail_data(printable(join_path(val, name), 300), "class {} is not among the training classes",
                          printable(name));
            append(set.val, read_class(join_path(val, name), static_cast<int>(it - set.classes.begin())));
        }
    }
    sort_by_path(set.train);
    sort_by_path(set.val);
    return set;
}

}  // namespace solobox
