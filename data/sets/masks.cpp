// See masks.h.
#include "data/sets/masks.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "data/sets/parts.h"
#include "data/text.h"

namespace solobox {
namespace {

struct MaskLayout {
    std::string images, masks;
};

std::string letters_of(const std::string& folder) {
    std::string out;
    for (const char c : lower(folder))
        if (c >= 'a' && c <= 'z') out += c;
    return out;
}

bool is_mask_folder(const std::string& folder) {
    const std::string name = letters_of(folder);
    for (const char* word : {"mask", "masks", "gt", "groundtruth", "gtobject", "gtmask", "segmentation",
                             "segmentations", "segmentationclass", "trimaps", "mattes", "alpha"})
        if (name == word) return true;
    return name.ends_with("masks") || name.ends_with("mask") || name.ends_with("groundtruth");
}

std::map<std::string, std::string> pictures_by_stem(const std::string& dir) {
    std::map<std::string, std::string> out;
    for (const std::string& name : list_directory(dir).files)
        if (has_picture_ending(name)) out.emplace(file_stem(name), join_path(dir, name));
    return out;
}

// The mask of a picture may be called as it, or with _mask, -mask, _gt or .mask behind it.
std::string mask_of(const std::string& stem, const std::map<std::string, std::string>& masks) {
    for (const char* tail : {"", "_mask", "-mask", "_gt", "-gt", ".mask", "_seg", "_segmentation", "_matte"})
        if (const auto at = masks.find(stem + tail); at != masks.end()) return at->first;
    return "";
}

MaskLayout find_mask_layout(const std::string& dir) {
    const std::vector<std::string> folders = list_directory(dir).folders;
    for (const std::string& folder : folders) {
        if (!is_mask_folder(folder)) continue;
        const auto masks = pictures_by_stem(join_path(dir, folder));
        std::size_t best = 0;
        MaskLayout found;
        for (const std::string& other : folders) {
            if (other == folder || is_mask_folder(other)) continue;
            std::size_t common = 0;
            for (const auto& [stem, path] : pictures_by_stem(join_path(dir, other)))
                common += !mask_of(stem, masks).empty();
            if (common > best) best = common, found = {join_path(dir, other), join_path(dir, folder)};
        }
        if (2 * best >= masks.size() && best > 0) return found;
    }
    return {};
}

}  // namespace

bool looks_like_masks(const std::string& dir) { return !find_mask_layout(dir).images.empty(); }

DataSet open_masks(const std::string& dir, const OpenOptions& options) {
    const MaskLayout layout = find_mask_layout(dir);
    if (layout.images.empty())
        fail_data(printable(dir, 300), "no pictures with masks: expected images/ and masks/ with the same names");
    DataSet set;
    set.format = "masks";
    set.root = dir;
    set.classes = {"foreground"};
    const auto masks = pictures_by_stem(layout.masks);
    std::set<std::string> used;
    std::vector<Sample> all;
    for (const auto& [stem, path] : pictures_by_stem(layout.images)) {
        try {
            const ImageInfo info = image_info(path, options.limits);
            const std::string name = mask_of(stem, masks);
            if (name.empty()) {
                set.files.push_back(path);
                fail_data(printable(path, 300), "no mask of this name in {}", printable(layout.masks, 200));
            }
            used.insert(name);
            Sample sample{path, info.width, info.height, -1, {}};
            sample.mask = masks.at(name);
            set.files.push_back(sample.mask);
            const ImageInfo mask = image_info(sample.mask, options.limits);
            const double scale_x = double(mask.width) / info.width, scale_y = double(mask.height) / info.height;
            // Each side was rounded to whole pixels by itself.
            if (std::abs(scale_x - scale_y) * std::min(info.width, info.height) > 1.001)
                fail_data(printable(sample.mask, 300), "{} x {} for a picture of {} x {}: another shape", mask.width,
                          mask.height, info.width, info.height);
            if (mask.width != info.width || mask.height != info.height)
                count(set.tallies, TallyKind::box, "masks of another size than their pictures (scaled, nearest)",
                      printable(sample.mask, 300));
            all.push_back(std::move(sample));
        } catch (const DataError&) {
            skip_or_rethrow(options, set.tallies, printable(path, 300));
        }
    }
    for (const auto& [stem, path] : masks)
        if (!used.contains(stem)) {
            set.files.push_back(path);
            count(set.tallies, TallyKind::absent, "masks without their picture", printable(path, 300));
        }
    split_by_order(std::move(all), options.val_fraction, set);
    return set;
}

}  // namespace solobox
