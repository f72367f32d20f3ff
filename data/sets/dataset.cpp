// See dataset.h.
#include "data/sets/dataset.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <set>

#include "data/sets/coco.h"
#include "data/sets/folder.h"
#include "data/sets/labelme.h"
#include "data/sets/masks.h"
#include "data/sets/mot.h"
#include "data/sets/places.h"
#include "data/sets/tiny_imagenet.h"
#include "data/sets/voc.h"
#include "data/sets/yolo.h"
#include "data/text.h"

namespace solobox {

void skip_or_rethrow(const OpenOptions& options, std::vector<Tally>& tallies, const std::string& example) {
    if (!options.skip_bad) throw;
    try {
        throw;
    } catch (const DataError& error) {
        count(tallies, "pictures or labels that cannot be used left out", example, 1, error.what(), TallyKind::refused);
    }
}

const std::vector<std::string>& dataset_formats() {
    static const std::vector<std::string> names = {"voc",     "yolo",  "coco",          "mot",
                                                   "labelme", "masks", "tiny-imagenet", "folder"};
    return names;
}

std::string reasons_of(const std::vector<Tally>& tallies, std::size_t most) {
    std::string out;
    std::size_t said = 0, all = 0;
    for (const Tally& tally : tallies) {
        if (tally.kind == TallyKind::box || tally.count == 0) continue;
        all += static_cast<std::size_t>(tally.count);
        for (const std::string& note : tally.notes) {
            if (said == most) break;
            const bool whole = tally.kind == TallyKind::refused;
            out += (said++ == 0 ? "" : "; ") + (whole ? note : fmt::format("{}: {}", note, tally.what));
        }
    }
    if (all > said && said > 0) out += fmt::format("; and {} more", all - said);
    return out;
}

namespace {

DataSet open_one(const std::string& format, const std::string& path, const OpenOptions& options,
                 const std::string& home) {
    if (format == "voc") return open_voc(path, options);
    if (format == "yolo") return open_yolo(path, options, home);
    if (format == "coco") return open_coco(path, options);
    if (format == "mot") return open_mot(path, options);
    if (format == "labelme") return open_labelme(path, options);
    if (format == "masks") return open_masks(path, options);
    if (format == "tiny-imagenet") return open_tiny_imagenet(path, options);
    return open_image_folder(path, options);
}

// What lies about in a directory of no known layout, for the message: "12 .csv, 9 .jpg".
std::string contents_of(const std::string& dir) {
    std::map<std::string, int> kinds;
    int left = 10'000;
    const std::function<void(const std::string&, int)> look = [&](const std::string& folder, int depth) {
        const Listing listing = list_directory(folder);
        for (const std::string& name : listing.files)
            if (left-- > 0) ++kinds[ending_of(name).empty() ? "no ending" : ending_of(name)];
        for (const std::string& name : listing.folders)
            if (depth < 3 && left-- > 0) look(join_path(folder, name), depth + 1);
    };
    look(dir, 0);
    std::vector<std::pair<int, std::string>> most;
    for (const auto& [ending, n] : kinds) most.emplace_back(n, ending);
    std::sort(most.rbegin(), most.rend());
    std::string out;
    for (std::size_t i = 0; i < std::min<std::size_t>(most.size(), 4); ++i)
        out += fmt::format("{}{} {}", i == 0 ? "" : ", ", most[i].first, printable(most[i].second, 12));
    return out.empty() ? "no file" : out;
}

DataSet open_directory(const std::string& path, const OpenOptions& options) {
    const std::string shown = printable(path, 300);
    const Listing listing = list_directory(path);
    if (listing.files.empty() && listing.folders.empty()) fail_data(shown, "the directory is empty");
    const std::vector<Place> places = find_places(path, options.format);
    if (places.empty() && !options.format.empty()) return open_one(options.format, path, options, path);
    if (places.empty())
        fail_data(shown,
                  "no known data set. Looked for: wnids.txt + train/ (tiny-imagenet); data.yaml, obj.data, images/ + "
                  "labels/, or .txt beside pictures (yolo); XML files (voc); annotations/*.json + images/ (coco); "
                  "gt/gt.txt + img1/ (mot); .json beside pictures (labelme); images/ + masks/ (masks); <class>/*.jpg "
                  "(folder). There are {}. Give the set's own directory",
                  contents_of(path));
    if (const std::string why = why_apart(places); !why.empty()) fail_data(shown, "{}", why);
    if (places.size() == 1) return open_one(places[0].format, places[0].dir, options, path);
    OpenOptions whole = options;
    whole.val_fraction = 0;
    std::vector<Part> parts;
    for (const Place& place : places)
        parts.push_back({open_one(place.format, place.dir, whole, path), place.role,
                         printable(place.dir.substr(std::min(place.dir.size(), path.size() + !path.ends_with('/'))))});
    return join_parts(std::move(parts), options, places[0].format == "mot");
}

// Pictures of kinds that nobody here reads, beside those that were read.
void count_unread_kinds(DataSet& set) {
    std::set<std::string> folders;
    for (const auto* samples : {&set.train, &set.val})
        for (const Sample& s : *samples) folders.insert(parent_path(s.path));
    for (const std::string& folder : folders)
        for (const std::string& name : list_directory(folder).files) tell_unread_kind(join_path(folder, name), set);
}

}  // namespace

void tell_unread_kind(const std::string& path, DataSet& set) {
    const std::string ending = unread_picture_ending(path);
    if (ending.empty()) return;
    set.files.push_back(path);
    const std::string shown = printable(path, 300);
    count(set.tallies, "pictures of kinds that are not read (convert them to PNG or JPEG)", shown, 1,
          fmt::format("{}: a {} picture, which is not read: convert it to PNG or JPEG (mogrify -format png FILE)",
                      shown, ending.substr(1)),
          TallyKind::refused);
}

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
    const bool yaml = !directory && (low.ends_with(".yaml") || low.ends_with(".yml") || low.ends_with(".data"));
    const bool json = !directory && low.ends_with(".json");
    if (!directory && !yaml && !json)
        fail_data(shown, "not a directory: give the data set's directory, its data.yaml, obj.data or COCO file");
    const std::string alone = yaml ? "yolo" : json ? "coco" : "";  // what a single file stands for
    if (!directory && !options.format.empty() && options.format != alone)
        fail_data(shown, "a {} file, but the format is {}: give a directory", yaml ? "YOLO" : "JSON", options.format);
    DataSet set = directory ? open_directory(path, options) : open_one(alone, path, options, parent_path(path));
    set.root = path;
    split_as_told(set, options);
    if (set.format != "folder") count_unread_kinds(set);  // that reader has looked at every file
    if (set.train.empty() && set.val.empty() && !options.keep_empty) {
        const std::string why = reasons_of(set.tallies, 3);
        fail_data(shown, "no usable picture in this {} set{}{}", set.format, why.empty() ? "" : ": ", why);
    }
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
