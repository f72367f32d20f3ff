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
    Role role = Role::whole;
};

std::string letters_of(const std::string& folder) {
    std::string out;
    for (const char c : lower(folder))
        if (c >= 'a' && c <= 'z') out += c;
    return out;
}

bool is_mask_folder(const std::string& folder) {
    const std::string name = letters_of(folder);
    for (const char* word :
         {"mask", "masks", "gt", "groundtruth", "gtobject", "gtmask", "segmentation", "segmentations",
          "segmentationclass", "trimaps", "mattes", "alpha", "annotations", "anndir", "labels"})
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

// The pair of folders among these whose pictures have the same names, one of them called as masks are.
MaskLayout pair_among(const std::vector<std::string>& folders) {
    for (const std::string& folder : folders) {
        if (!is_mask_folder(base_name(folder))) continue;
        const auto masks = pictures_by_stem(folder);
        std::size_t best = 0;
        MaskLayout found;
        for (const std::string& other : folders) {
            if (other == folder || is_mask_folder(base_name(other))) continue;
            std::size_t common = 0;
            for (const auto& [stem, path] : pictures_by_stem(other)) common += !mask_of(stem, masks).empty();
            if (common > best) best = common, found = {other, folder};
        }
        if (2 * best >= masks.size() && best > 0) return found;
    }
    return {};
}

// images/ + masks/, or images/train + masks/train and so on. Empty when there is no pair.
std::vector<MaskLayout> find_mask_layouts(const std::string& dir) {
    std::vector<std::string> folders;
    for (const std::string& name : list_directory(dir).folders) folders.push_back(join_path(dir, name));
    if (const MaskLayout pair = pair_among(folders); !pair.images.empty()) return {pair};
    std::vector<MaskLayout> parts;
    for (const std::string& masks : folders) {
        if (!is_mask_folder(base_name(masks))) continue;
        for (const std::string& images : folders)
            for (const std::string& part : list_directory(images).folders) {
                const std::string own = join_path(images, part), its = join_path(masks, part);
                if (images == masks || is_mask_folder(base_name(images)) || role_of(part) == Role::whole ||
                    !is_directory(its))
                    continue;
                const auto names = pictures_by_stem(its);
                const auto pictures = pictures_by_stem(own);
                if (std::any_of(pictures.begin(), pictures.end(),
                                [&](const auto& p) { return !mask_of(p.first, names).empty(); }))
                    parts.push_back({own, its, role_of(part)});
            }
    }
    return parts;
}

DataSet read_pairs(const MaskLayout& layout, const OpenOptions& options) {
    DataSet set;
    set.format = "masks";
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

}  // namespace

bool looks_like_masks(const std::string& dir) { return !find_mask_layouts(dir).empty(); }

DataSet open_masks(const std::string& dir, const OpenOptions& options) {
    const std::vector<MaskLayout> layouts = find_mask_layouts(dir);
    if (layouts.empty())
        fail_data(printable(dir, 300), "no pictures with masks: expected images/ and masks/ with the same names");
    DataSet set =
        read_layouts(layouts, options, read_pairs, [](const auto& l) { return printable(base_name(l.images)); });
    set.root = dir;
    return set;
}

}  // namespace solobox
