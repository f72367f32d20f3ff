// See dataset.h.
#include "data/sets/dataset.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <functional>

#include "data/sets/coco.h"
#include "data/sets/folder.h"
#include "data/sets/tiny_imagenet.h"
#include "data/sets/voc.h"
#include "data/sets/yolo.h"
#include "data/text.h"

namespace solobox {

void sort_by_path(std::vector<Sample>& samples) {
    std::sort(samples.begin(), samples.end(), [](const Sample& a, const Sample& b) { return a.path < b.path; });
}

void split_by_order(std::vector<Sample> all, double fraction, DataSet& set) {
    sort_by_path(all);
    auto held =
        static_cast<std::size_t>(std::llround(static_cast<double>(all.size()) * std::clamp(fraction, 0.0, 1.0)));
    if (fraction > 0 && held == 0 && all.size() >= 2) held = 1;
    const std::size_t kept = all.size() - held;
    for (std::size_t i = 0; i < all.size(); ++i) (i < kept ? set.train : set.val).push_back(std::move(all[i]));
}

void skip_or_rethrow(const OpenOptions& options, std::vector<Tally>& tallies, const std::string& example) {
    if (!options.skip_bad) throw;
    try {
        throw;
    } catch (const DataError& error) {
        count(tallies, "pictures or labels that cannot be used left out", example, 1, error.what(), TallyKind::refused);
    }
}

const std::vector<std::string>& dataset_formats() {
    static const std::vector<std::string> names = {"voc", "yolo", "coco", "tiny-imagenet", "folder"};
    return names;
}

namespace {

std::string detect(const std::string& path) {
    const std::string shown = printable(path, 300);
    const Listing listing = list_directory(path);
    if (listing.files.empty() && listing.folders.empty()) fail_data(shown, "the directory is empty");
    if (looks_like_tiny_imagenet(path)) return "tiny-imagenet";
    if (!find_yolo_yaml(path).empty()) return "yolo";
    if (!find_voc(path).empty()) return "voc";
    if (looks_like_yolo(path)) return "yolo";
    if (looks_like_coco(path)) return "coco";
    if (looks_like_image_folder(path)) return "folder";
    fail_data(
        shown,
        "no known data set. Looked for: wnids.txt + train/ (tiny-imagenet); data.yaml, or images/ + labels/ "
        "(yolo); Annotations/*.xml + JPEGImages/ (voc); annotations/*.json + images/ (coco); <class>/*.jpg (folder). "
        "Give the set's own directory");
}

}  // namespace

DataSet open_dataset(const std::string& path, const OpenOptions& options) {
    const std::string shown = printable(path, 300);
    const auto& formats = dataset_formats();
    if (!options.format.empty() && std::find(formats.begin(), formats.end(), options.format) == formats.end())
        throw ConfigError(
            fmt::format("format \"{}\" is unknown, expected {}", printable(options.format), fmt::join(formats, " | ")));
    struct stat state {};
    if (::stat(path.c_str(), &state) != 0) fail_data(shown, "cannot open the data set: {}", std::strerror(errno));
    const std::string low = lower(path);
    const bool directory = S_ISDIR(state.st_mode);
    const bool yaml = !directory && (low.ends_with(".yaml") || low.ends_with(".yml"));
    const bool json = !directory && low.ends_with(".json");
    if (!directory && !yaml && !json)
        fail_data(shown, "not a directory: give the data set's directory, its data.yaml or its COCO file");
    const std::string alone = yaml ? "yolo" : json ? "coco" : "";  // what a single file stands for
    const std::string format = !options.format.empty() ? options.format : directory ? detect(path) : alone;
    if (!directory && format != alone)
        fail_data(shown, "a {} file, but the format is {}: give a directory", yaml ? "YAML" : "JSON", format);
    DataSet set = format == "voc"             ? open_voc(path, options)
                  : format == "yolo"          ? open_yolo(path, options)
                  : format == "coco"          ? open_coco(path, options)
                  : format == "tiny-imagenet" ? open_tiny_imagenet(path, options)
                                              : open_image_folder(path, options);
    if (set.train.empty() && set.val.empty()) fail_data(shown, "no usable picture in this {} set", format);
    return set;
}

std::optional<Object> single_object(const Sample& sample, BoxPolicy policy) {
    check(sample.width > 0 && sample.height > 0, "[single_object] the size of {} is not known",
          printable(sample.path, 200));
    std::optional<Object> best;
    double best_area = 0;
    for (const Object& object : sample.objects) {
        if (object.crowd) continue;
        Object cut = object;
        cut.x1 = std::clamp(object.x1, 0.0, double(sample.width));
        cut.x2 = std::clamp(object.x2, 0.0, double(sample.width));
        cut.y1 = std::clamp(object.y1, 0.0, double(sample.height));
        cut.y2 = std::clamp(object.y2, 0.0, double(sample.height));
        const double area = (cut.x2 - cut.x1) * (cut.y2 - cut.y1);
        if (!(cut.x2 > cut.x1) || !(cut.y2 > cut.y1)) continue;
        if (best && policy == BoxPolicy::error)
            fail_data(printable(sample.path, 300), "more than one object, and box is `error`: use largest or first");
        if (!best || (policy == BoxPolicy::largest && area > best_area)) {
            best = cut;
            best_area = area;
        }
    }
    return best;
}

std::optional<UnitBox> single_box_target(const Sample& sample, BoxPolicy policy) {
    const auto object = single_object(sample, policy);
    if (!object) return std::nullopt;
    const double w = sample.width, h = sample.height;
    return UnitBox{(object->x1 + object->x2) / 2 / w, (object->y1 + object->y2) / 2 / h, (object->x2 - object->x1) / w,
                   (object->y2 - object->y1) / h};
}

std::vector<Target> usable(const std::vector<Sample>& samples, BoxPolicy policy, std::vector<Tally>& tallies) {
    std::vector<Target> out;
    for (const Sample& sample : samples) {
        if (sample.objects.empty()) {
            count(tallies, "pictures without an object left out", sample.path);
            continue;
        }
        const auto object = single_object(sample, policy);
        if (!object) {
            count(tallies, "pictures without a usable object left out", sample.path);
            continue;
        }
        if (sample.objects.size() > 1)
            count(tallies,
                  policy == BoxPolicy::first ? "pictures with several objects (the first taken)"
                                             : "pictures with several objects (the largest taken)",
                  sample.path);
        out.push_back({sample, *single_box_target(sample, policy), object->class_id});
    }
    return out;
}

}  // namespace solobox
