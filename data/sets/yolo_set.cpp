// The directories of a YOLO data set: data.yaml, or plain images/ + labels/. See yolo.h.
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "data/sets/yaml_guard.h"
#include "data/sets/yolo.h"
#include "data/text.h"

namespace solobox {
namespace {

constexpr std::size_t max_yaml_bytes = std::size_t{1} << 20;
constexpr std::size_t max_label_bytes = std::size_t{64} << 20;

std::string scalar(const YAML::Node& node, const std::string& file, const char* key) {
    if (!node.IsScalar()) fail_line(file, node.Mark().line + 1, "{} must be a text", key);
    return node.Scalar();
}

std::vector<std::string> read_names(const YAML::Node& names, const std::string& file) {
    std::vector<std::string> out;
    if (names.IsSequence()) {
        for (const YAML::Node& name : names) out.push_back(scalar(name, file, "a class name"));
    } else if (names.IsMap()) {
        std::map<std::int64_t, std::string> by_id;
        for (const auto& pair : names) {
            const std::string key = scalar(pair.first, file, "a class id");
            const auto id = parse_integer(key);
            if (!id || *id < 0)
                fail_line(file, pair.first.Mark().line + 1, "class id \"{}\" is not a whole number", printable(key));
            if (!by_id.emplace(*id, scalar(pair.second, file, "a class name")).second)
                fail_line(file, pair.first.Mark().line + 1, "class id {} twice", *id);
        }
        for (const auto& [id, name] : by_id) {
            if (id != static_cast<std::int64_t>(out.size()))
                fail_data(file, "names: class id {} is missing", out.size());
            out.push_back(name);
        }
    } else {
        fail_line(file, names.Mark().line + 1, "names must be a list or a map of class names");
    }
    for (const std::string& name : out)
        if (find_control(name) != std::string::npos || name.empty())
            fail_data(file, "names: \"{}\" is not a class name", printable(name));
    return out;
}

std::string resolve(const std::string& base, const std::string& path) {
    if (path.starts_with("/")) return path;
    const std::string joined = join_path(base, path);
    // Roboflow writes ../train/images although train/ lies beside the file; Ultralytics forgives it, so do we.
    if (!is_directory(joined) && !is_file(joined) && path.starts_with("../") &&
        is_directory(join_path(base, path.substr(3))))
        return join_path(base, path.substr(3));
    return joined;
}

std::vector<std::string> read_places(const YAML::Node& node, const YoloDescription& in, const char* key) {
    std::vector<std::string> out;
    if (!node || node.IsNull()) return out;
    if (node.IsSequence())
        for (const YAML::Node& place : node) out.push_back(resolve(in.base, scalar(place, in.file, key)));
    else
        out.push_back(resolve(in.base, scalar(node, in.file, key)));
    for (const std::string& place : out)
        if (!is_directory(place) && !is_file(place))
            fail_line(in.file, node.Mark().line + 1, "{}: {} does not exist (relative to {})", key,
                      printable(place, 200), printable(in.base, 200));
    return out;
}

}  // namespace

namespace {

// kpt_shape: [points, numbers of each]; flip_idx: what each becomes in a mirrored picture.
PointLayout read_points(const YAML::Node& root, const std::string& file) {
    PointLayout points;
    const YAML::Node shape = root["kpt_shape"], flip = root["flip_idx"];
    if (!shape) return points;
    const auto whole = [&](const YAML::Node& node, const char* key, std::int64_t most) {
        const auto n = parse_integer(scalar(node, file, key));
        if (!n || *n < 0 || *n > most)
            fail_line(file, node.Mark().line + 1, "{}: {} is not a whole number of 0 to {}", key,
                      printable(node.Scalar()), most);
        return static_cast<int>(*n);
    };
    if (!shape.IsSequence() || shape.size() != 2)
        fail_line(file, shape.Mark().line + 1, "kpt_shape must be [points, 2 or 3]");
    points.count = whole(shape[0], "kpt_shape", 10'000), points.numbers = whole(shape[1], "kpt_shape", 3);
    if (points.count < 1 || points.numbers < 2)
        fail_line(file, shape.Mark().line + 1, "kpt_shape must be [points, 2 or 3]");
    if (!flip) return points;
    if (!flip.IsSequence() || static_cast<int>(flip.size()) != points.count)
        fail_line(file, flip.Mark().line + 1, "flip_idx must list {} points, as kpt_shape says", points.count);
    for (const YAML::Node& k : flip) points.mirrored.push_back(whole(k, "flip_idx", points.count - 1));
    return points;
}

}  // namespace

YoloDescription read_yolo_description(const std::string& path) {
    YoloDescription out;
    out.file = printable(path, 300);
    const std::string text = read_whole(path, max_yaml_bytes);
    guard_yaml(text, out.file);
    const YAML::Node root = YAML::Load(text);
    if (!root["names"]) fail_data(out.file, "no `names`: expected names, train and val");
    out.classes = read_names(root["names"], out.file);
    if (const YAML::Node nc = root["nc"]) {
        const auto n = parse_integer(scalar(nc, out.file, "nc"));
        if (!n || *n != static_cast<std::int64_t>(out.classes.size()))
            fail_line(out.file, nc.Mark().line + 1, "nc is {}, but names has {} classes", printable(nc.Scalar()),
                      out.classes.size());
    }
    out.points = read_points(root, out.file);
    out.base = parent_path(path);
    if (const YAML::Node base = root["path"]; base && !base.IsNull()) {
        const std::string named = resolve(out.base, scalar(base, out.file, "path"));
        // `path: datasets/x` is often meant from elsewhere; the file's own folder then serves as well.
        if (is_directory(named)) out.base = named;
    }
    out.train = read_places(root["train"], out, "train");
    out.val = read_places(root["val"] ? root["val"] : root["valid"], out, "val");
    if (out.train.empty()) fail_data(out.file, "no `train`: expected the directory of the training pictures");
    return out;
}

namespace {

// All pictures below a folder. Links are followed, but no folder is entered twice: links may form circles.
void collect(const std::string& dir, std::vector<std::string>& out, std::set<std::string>& entered, int depth = 0) {
    std::error_code error;
    if (!entered.insert(std::filesystem::weakly_canonical(dir, error).string()).second) return;
    const Listing listing = list_directory(dir);
    for (const std::string& name : listing.files)
        if (has_picture_ending(name)) out.push_back(join_path(dir, name));
    for (const std::string& name : listing.folders)
        if (depth < 8) collect(join_path(dir, name), out, entered, depth + 1);
}

std::vector<std::string> pictures_of(const std::string& place) {
    std::vector<std::string> out;
    if (is_directory(place)) {
        std::set<std::string> entered;
        collect(place, out, entered);
        return out;
    }
    const std::string text = read_whole(place, max_label_bytes);
    require_text(strip_bom(text), place);
    LineReader lines(strip_bom(text));
    for (std::string_view line; lines.next(line);)
        if (const std::string_view name = trim(line); !name.empty())
            out.push_back(resolve(parent_path(place), std::string(name.starts_with("./") ? name.substr(2) : name)));
    return out;
}

class SetReader {
public:
    SetReader(DataSet& set, const OpenOptions& options, int class_count)
        : set_(set), options_(options), class_count_(class_count) {}

    void read(const std::vector<std::string>& places, std::vector<Sample>& to) {
        std::vector<std::string> pictures;
        for (const std::string& place : places)
            for (std::string& picture : pictures_of(place)) pictures.push_back(std::move(picture));
        std::sort(pictures.begin(), pictures.end());
        pictures.erase(std::unique(pictures.begin(), pictures.end()), pictures.end());
        for (const std::string& picture : pictures) {
            try {
                to.push_back(sample(picture));
            } catch (const DataError&) {
                skip_or_rethrow(options_, set_.tallies, printable(picture, 300));
            }
        }
    }

    int largest_class() const { return largest_class_; }

private:
    Sample sample(const std::string& picture) {
        Sample out;
        out.path = picture;
        const ImageInfo info = image_info(picture, options_.limits);
        out.width = info.width;
        out.height = info.height;
        const std::string labels = yolo_label_path(picture);
        const std::string file = printable(labels, 300);
        if (!is_file(labels)) {
            count(set_.tallies, "pictures without a label file (background)", printable(picture, 300));
            return out;
        }
        const bool stored = options_.exif_boxes == ExifBoxes::stored;
        const double w = stored ? info.stored_width : info.width, h = stored ? info.stored_height : info.height;
        for (const YoloBox& row : parse_yolo(read_whole(labels, max_label_bytes), file, options_.strictness,
                                             set_.tallies, class_count_, set_.points)) {
            const UnitBox& box = row.box;
            Object object{row.class_id,
                          (box.cx - box.w / 2) * w,
                          (box.cy - box.h / 2) * h,
                          (box.cx + box.w / 2) * w,
                          (box.cy + box.h / 2) * h,
                          false};
            for (const KeyPoint& p : row.points) object.points.push_back({p.x * w, p.y * h, p.visible});
            if (stored) object = orient_object(object, info.orientation, info.stored_width, info.stored_height);
            largest_class_ = std::max(largest_class_, row.class_id);
            out.objects.push_back(object);
        }
        return out;
    }

    DataSet& set_;
    const OpenOptions& options_;
    int class_count_;
    int largest_class_ = -1;
};

struct PlainLayout {
    std::vector<std::string> train, val;  // folders of pictures
};

PlainLayout plain_layout(const std::string& dir) {
    PlainLayout out;
    static constexpr const char* val_names[] = {"val", "valid", "validation"};
    const std::string images = join_path(dir, "images");
    if (is_directory(join_path(images, "train"))) {
        out.train = {join_path(images, "train")};
        for (const char* name : val_names)
            if (out.val.empty() && is_directory(join_path(images, name))) out.val = {join_path(images, name)};
    } else if (is_directory(join_path(dir, "train/images"))) {
        out.train = {join_path(dir, "train/images")};
        for (const char* name : val_names) {
            const std::string place = join_path(dir, std::string(name) + "/images");
            if (out.val.empty() && is_directory(place)) out.val = {place};
        }
    } else if (is_directory(images)) {
        out.train = {images};
    }
    return out;
}

std::vector<std::string> read_class_list(const std::string& dir) {
    std::vector<std::string> out;
    for (const char* name : {"classes.txt", "labels/classes.txt", "obj.names"}) {
        const std::string path = join_path(dir, name);
        if (!is_file(path)) continue;
        const std::string text = read_whole(path, max_yaml_bytes);
        require_text(strip_bom(text), path);
        LineReader lines(strip_bom(text));
        for (std::string_view line; lines.next(line);)
            if (!trim(line).empty()) out.emplace_back(trim(line));
        break;
    }
    return out;
}

}  // namespace

std::string yolo_label_path(const std::string& picture) {
    std::string path = picture;
    const std::string padded = "/" + path;
    if (const std::size_t at = padded.rfind("/images/"); at != std::string::npos) path.replace(at, 6, "labels");
    const std::size_t dot = path.rfind('.');
    return path.substr(0, dot) + ".txt";
}

std::string find_yolo_yaml(const std::string& dir) {
    for (const char* name : {"data.yaml", "data.yml", "dataset.yaml"})
        if (is_file(join_path(dir, name))) return join_path(dir, name);
    std::string found;
    for (const std::string& name : list_directory(dir).files) {
        if (!name.ends_with(".yaml") && !name.ends_with(".yml")) continue;
        const std::string text = read_prefix(join_path(dir, name), max_yaml_bytes);
        if (!text.starts_with("names:") && text.find("\nnames:") == std::string::npos) continue;
        if (!found.empty()) return "";  // two candidates: the user has to name one
        found = join_path(dir, name);
    }
    return found;
}

bool looks_like_yolo(const std::string& dir) {
    const bool labels = is_directory(join_path(dir, "labels")) || is_directory(join_path(dir, "train/labels"));
    return labels && !plain_layout(dir).train.empty();
}

DataSet open_yolo(const std::string& path, const OpenOptions& options) {
    DataSet set;
    set.format = "yolo";
    set.root = path;
    const std::string yaml = is_directory(path) ? find_yolo_yaml(path) : path;
    PlainLayout places;
    bool named = true;
    if (!yaml.empty()) {
        YoloDescription description = read_yolo_description(yaml);
        set.classes = std::move(description.classes);
        set.points = description.points;
        places = {std::move(description.train), std::move(description.val)};
    } else {
        places = plain_layout(path);
        if (places.train.empty())
            fail_data(printable(path, 300), "no YOLO set: expected data.yaml, or images/ and labels/");
        set.classes = read_class_list(path);
        named = !set.classes.empty();
    }
    SetReader reader(set, options, named ? static_cast<int>(set.classes.size()) : -1);
    if (places.val.empty()) {
        std::vector<Sample> all;
        reader.read(places.train, all);
        split_by_order(std::move(all), options.val_fraction, set);
    } else {
        reader.read(places.train, set.train);
        reader.read(places.val, set.val);
    }
    for (int i = 0; !named && i <= reader.largest_class(); ++i) set.classes.push_back(fmt::format("class{}", i));
    return set;
}

}  // namespace solobox
