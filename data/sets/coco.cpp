// The directories of a COCO data set, and what its boxes mean on the pictures. The file itself: coco_json.cpp.
#include "data/sets/coco.h"

#include <algorithm>
#include <set>

#include "data/sets/exif_frame.h"
#include "data/sets/parts.h"
#include "data/text.h"

namespace solobox {
namespace {

constexpr double rounding = 1e-6;  // pixels; x + width seldom gives back the right edge to the last bit

// The box in pixels of the frame (width x height) its numbers live in; false when it is left out.
bool place(const CocoObject& in, int width, int height, const std::string& file, const OpenOptions& options,
           std::vector<Tally>& tallies, Object& out) {
    out = {in.class_id, in.x, in.y, in.x + in.w, in.y + in.h, in.crowd};
    const char* kind = nullptr;
    if (in.w < 0 || in.h < 0)
        kind = "boxes with swapped corners skipped";
    else if (in.w == 0 || in.h == 0)
        kind = "boxes without area skipped";
    else if (out.x1 >= width || out.y1 >= height || out.x2 <= 0 || out.y2 <= 0)
        kind = "boxes outside the picture skipped";
    const std::string place = fmt::format("{}:{}", file, in.line);
    if (kind != nullptr) {
        if (options.strictness == Strictness::strict)
            fail_line(file, in.line, "bbox [{}, {}, {}, {}] {}", in.x, in.y, in.w, in.h,
                      in.w > 0 && in.h > 0 ? fmt::format("lies outside the picture of {} x {}", width, height)
                                           : "is empty: width and height must be positive");
        count(tallies, TallyKind::bad_box, kind, place);
        return false;
    }
    const Object cut{in.class_id,
                     std::max(out.x1, 0.0),
                     std::max(out.y1, 0.0),
                     std::min(out.x2, double(width)),
                     std::min(out.y2, double(height)),
                     in.crowd};
    if (std::max({cut.x1 - out.x1, cut.y1 - out.y1, out.x2 - cut.x2, out.y2 - cut.y2}) > rounding)
        count(tallies, TallyKind::box, "boxes cut at the picture's edge", place);
    out = cut;
    return true;
}

std::vector<Object> boxes_of(const std::vector<const CocoObject*>& objects) {
    std::vector<Object> boxes;
    for (const CocoObject* o : objects) boxes.push_back({0, o->x, o->y, o->x + o->w, o->y + o->h, false});
    return boxes;
}

// Two corners where left, top, width and height belong: most boxes leave their pictures, and all fit as corners.
void refuse_corners(const CocoFile& coco, const std::string& file) {
    std::size_t sized = 0, out = 0, corners = 0;
    for (const CocoObject& o : coco.objects) {
        const CocoImage& image = coco.images[o.image];
        if (image.width == 0 || o.from_mask) continue;
        ++sized;
        out += o.x + o.w > image.width + 1 || o.y + o.h > image.height + 1;
        corners += o.w > o.x && o.h > o.y && o.w <= image.width + 1 && o.h <= image.height + 1;
    }
    if (sized >= 4 && 2 * out > sized && corners == sized)
        fail_line(
            file, coco.objects.front().line,
            "most boxes stick out of their pictures, and all of them fit as corners x1, y1, x2, y2: a bbox of COCO "
            "is left, top, width, height. Write the file again");
}

Sample read_sample(const CocoImage& image, const std::vector<const CocoObject*>& objects, const std::string& file,
                   const CocoPictures& pictures, const OpenOptions& options, std::vector<Tally>& tallies) {
    Sample sample;
    sample.path = pictures(image.file_name);
    if (sample.path.empty())
        fail_line(file, image.line, "the picture of file_name \"{}\" is not there: add it or use --skip-bad",
                  printable(image.file_name, 200));
    const ImageInfo info = image_info(sample.path, options.limits);
    sample.width = info.width;
    sample.height = info.height;
    OpenOptions told = options;
    if (told.exif_boxes == ExifBoxes::detect) told.exif_boxes = image.exif_boxes;
    Frame frame = frame_of(image.width, image.height, info, told);
    if (frame == Frame::unknown) frame = frame_by_boxes(boxes_of(objects), info);
    if (!objects.empty()) tell_frame(frame, sample.path, info, tallies);
    const bool stored = frame == Frame::stored;
    const int width = stored ? info.stored_width : info.width, height = stored ? info.stored_height : info.height;
    const std::string where = fmt::format("{}:{}", file, image.line);
    if (image.width == 0)
        count(tallies, "images without a size (the picture decides)", where);
    else if (image.width != width || image.height != height)
        count(tallies, "images whose size differs from the picture's (the picture decides)", where);
    for (const CocoObject* object : objects) {
        if (object->from_mask)
            count(tallies, TallyKind::box, "boxes made from segmentations", fmt::format("{}:{}", file, object->line));
        Object box;
        if (!place(*object, width, height, file, options, tallies, box)) continue;
        if (stored) box = orient_object(box, info.orientation, info.stored_width, info.stored_height);
        sample.objects.push_back(box);
    }
    if (image.width != 0) tell_scale(image.width, image.height, width, height, boxes_of(objects), where, tallies);
    if (sample.objects.empty() && objects.empty()) count(tallies, "images without annotations (background)", where);
    return sample;
}

bool is_json(const std::string& name) { return lower(name).ends_with(".json"); }

// Whether the file begins like an object with one of COCO's sections: other JSON files lie about in data sets, too.
bool begins_like_coco(const std::string& path) {
    const std::string head = read_prefix(path, 1 << 16);
    if (!trim(strip_bom(head)).starts_with("{")) return false;
    for (const char* key : {"\"images\"", "\"annotations\""})
        if (head.find(key) != std::string::npos) return true;
    // Categories alone are a list of classes (label-studio's notes.json), unless the rest is yet to come.
    return head.size() == 1 << 16 && head.find("\"categories\"") != std::string::npos;
}

struct CocoLayout {
    std::string train, val;  // files; val "" when the set has no split of its own
};

CocoLayout by_name(const std::string& dir, std::vector<std::string> names) {
    const auto keep = [&](std::string_view part) {
        std::vector<std::string> out;
        for (const std::string& name : names)
            if (lower(name).find(part) != std::string::npos) out.push_back(name);
        return out;
    };
    // Beside them, COCO keeps captions and keypoints of the same pictures.
    if (auto instances = keep("instances"); !instances.empty()) names = std::move(instances);
    const std::vector<std::string> train = keep("train"), val = keep("val");
    if (train.size() == 1 && val.size() == 1) return {join_path(dir, train[0]), join_path(dir, val[0])};
    if (const auto test = keep("test"); train.size() == 1 && val.empty() && test.size() == 1 && names.size() == 2)
        return {join_path(dir, train[0]), join_path(dir, test[0])};
    if (names.size() == 1) return {join_path(dir, names[0]), ""};
    if (train.size() == 1 && val.empty()) return {join_path(dir, train[0]), ""};
    if (names.empty()) return {};
    fail_data(printable(dir, 300), "which COCO file? There are {} ({}, {} ..): give the file itself", names.size(),
              printable(names[0]), printable(names[1]));
}

std::string roboflow_file(const std::string& dir, const char* split) {
    const std::string path = join_path(dir, std::string(split) + "/_annotations.coco.json");
    return is_file(path) ? path : "";
}

CocoLayout find_coco_layout(const std::string& dir) {
    if (std::string train = roboflow_file(dir, "train"); !train.empty()) {
        for (const char* name : {"valid", "val", "test"})
            if (std::string val = roboflow_file(dir, name); !val.empty()) return {train, val};
        return {train, ""};
    }
    std::vector<std::string> folders = {dir};
    for (const std::string& name : list_directory(dir).folders)
        if (lower(name) == "annotations") folders.insert(folders.begin(), join_path(dir, name));
    for (const std::string& folder : folders) {
        std::vector<std::string> names;
        int others = 0;  // a folder of many JSON files that are none of COCO's has no more of them
        for (const std::string& name : list_directory(folder).files)
            if (is_json(name) && (others < 50 || !names.empty())) {
                if (begins_like_coco(join_path(folder, name)))
                    names.push_back(name);
                else
                    ++others;
            }
        if (const CocoLayout layout = by_name(folder, names); !layout.train.empty()) return layout;
    }
    return {};
}

// One file's samples; its classes are joined to the set's by name.
std::vector<Sample> read_part(const std::string& json, const std::string& root, const OpenOptions& options,
                              DataSet& set) {
    const CocoFile coco = read_coco(json, options, set.tallies);
    std::vector<int> ids;
    for (const std::string& name : coco.classes) {
        const auto at = std::find(set.classes.begin(), set.classes.end(), name);
        ids.push_back(static_cast<int>(at - set.classes.begin()));
        if (at == set.classes.end()) set.classes.push_back(name);
    }
    const CocoPictures pictures = find_coco_pictures(json, root);
    auto samples = coco_samples(coco, json, pictures, options, set.tallies);
    set.files.push_back(json);
    for (const CocoImage& image : coco.images)
        if (std::string path = pictures(image.file_name); !path.empty()) set.files.push_back(std::move(path));
    for (Sample& sample : samples)
        for (Object& object : sample.objects) object.class_id = ids[static_cast<std::size_t>(object.class_id)];
    return samples;
}

}  // namespace

std::vector<Sample> coco_samples(const CocoFile& coco, const std::string& path, const CocoPictures& pictures,
                                 const OpenOptions& options, std::vector<Tally>& tallies) {
    const std::string file = printable(path, 300);
    refuse_corners(coco, file);
    std::vector<std::vector<const CocoObject*>> objects(coco.images.size());
    for (const CocoObject& object : coco.objects) objects[object.image].push_back(&object);
    std::vector<Sample> out;
    std::set<std::string> seen;
    for (std::size_t i = 0; i < coco.images.size(); ++i) {
        const CocoImage& image = coco.images[i];
        if (!image.usable) continue;
        try {
            Sample sample = read_sample(image, objects[i], file, pictures, options, tallies);
            if (!seen.insert(sample.path).second)
                fail_line(file, image.line, "file_name {} stands twice: one entry per picture",
                          printable(image.file_name, 200));
            out.push_back(std::move(sample));
        } catch (const DataError&) {
            skip_or_rethrow(options, tallies, fmt::format("{}:{}", file, image.line));
        }
    }
    return out;
}

CocoPictures find_coco_pictures(const std::string& json, const std::string& root) {
    const std::string dir = parent_path(json), stem = file_stem(json);
    const std::string split = stem.substr(stem.rfind('_') + 1);  // instances_train2017 -> train2017
    std::vector<std::string> folders;
    std::vector<std::string> homes = {dir};
    if (dir != root) homes.push_back(root);
    for (const std::string& home : homes)
        for (const std::string& folder :
             {join_path(home, "images/" + split), join_path(home, split), join_path(home, "images"), home})
            if (is_directory(folder)) folders.push_back(folder);
    // Elsewhere below (FiftyOne's data/) only where a single folder has it.
    std::vector<std::string> others;
    for (const std::string& home : homes)
        for (const std::string& name : list_directory(home).folders) others.push_back(join_path(home, name));
    return [folders, others](const std::string& file_name) -> std::string {
        for (const std::string& folder : folders)
            if (std::string path = join_path(folder, file_name); is_file(path)) return path;
        std::string found;
        for (const std::string& folder : others)
            if (std::string path = join_path(folder, file_name); is_file(path)) {
                if (!found.empty() && found != path) return "";
                found = std::move(path);
            }
        return found;
    };
}

bool looks_like_coco(const std::string& dir) { return !find_coco_layout(dir).train.empty(); }

DataSet open_coco(const std::string& path, const OpenOptions& options) {
    DataSet set;
    set.format = "coco";
    set.root = path;
    CocoLayout layout{path, ""};
    std::string root = path;
    if (is_directory(path)) {
        layout = find_coco_layout(path);
        if (layout.train.empty())
            fail_data(printable(path, 300),
                      "no COCO set: expected annotations/instances_train*.json, train/_annotations.coco.json, or one "
                      "JSON file with images, annotations and categories");
    } else {
        root = parent_path(path);
        if (lower(root.substr(root.rfind('/') + 1)) == "annotations") root = parent_path(root);
    }
    auto train = read_part(layout.train, root, options, set);
    if (options.split_is_told() && is_directory(path))
        if (const std::string test = roboflow_file(path, "test"); !test.empty() && test != layout.val) {
            auto third = read_part(test, root, options, set);
            std::move(third.begin(), third.end(), std::back_inserter(train));
        }
    if (layout.val.empty()) {
        split_by_order(std::move(train), options.val_fraction, set);
        return set;
    }
    set.train = std::move(train);
    set.val = read_part(layout.val, root, options, set);
    set.split = fmt::format("by files: {} to train on, {} for validation", printable(base_name(layout.train)),
                            printable(base_name(layout.val)));
    if (base_name(layout.train) == base_name(layout.val))
        set.split =
            fmt::format("by folders: {} to train on, {} for validation",
                        printable(base_name(parent_path(layout.train))), printable(base_name(parent_path(layout.val))));
    sort_by_path(set.train);
    sort_by_path(set.val);
    return set;
}

}  // namespace solobox
