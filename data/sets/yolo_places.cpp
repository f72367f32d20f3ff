// Where the parts of a YOLO set are: data.yaml, Darknet's obj.data and their lists of paths. See yolo.h.
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <map>
#include <optional>

#include "data/sets/parts.h"
#include "data/sets/yaml_guard.h"
#include "data/sets/yolo.h"
#include "data/text.h"

namespace solobox {
namespace {

constexpr std::size_t max_yaml_bytes = std::size_t{1} << 20;

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

// Where a place may be that a file names: below each of these, in this order. "" is the working directory.
std::vector<std::string> homes_of(const std::string& base, const std::string& file) {
    std::vector<std::string> homes;
    const std::string folder = parent_path(file);
    for (const std::string& home : {base, folder, parent_path(folder), std::string()})
        if (std::find(homes.begin(), homes.end(), home) == homes.end()) homes.push_back(home);
    return homes;
}

bool exists(const std::string& path) { return is_directory(path) || is_file(path); }

// The place below the first home that has it; "" when none does. Roboflow writes ../train/images although train/ lies
// beside the file, and Darknet data/obj_train_data/ from wherever it was started: without such a beginning it is tried
// too.
std::string find_below(const std::vector<std::string>& homes, const std::string& written) {
    const std::string path = with_slashes(written);
    if (path.empty() || path == ".") return homes.front();
    if (path.starts_with("/")) return exists(path) ? path : "";
    for (const std::string& home : homes)
        if (const std::string place = join_path(home, path); exists(place)) return place;
    for (std::string rest = path; rest.find('/') != std::string::npos;) {
        rest = rest.substr(rest.find('/') + 1);
        for (const std::string& home : homes)
            if (const std::string place = join_path(home, rest); !rest.empty() && exists(place)) return place;
    }
    return "";
}

// The places that a description names, each resolved; what was found elsewhere than it says is noted.
class Places {
public:
    Places(YoloDescription& description, const std::string& path)
        : in_(description), homes_(homes_of(description.base, path)) {}

    std::string find(const std::string& written, std::int64_t line, const char* key) {
        const std::string place = find_below(homes_, written);
        if (place.empty()) {
            const bool windows = written.size() > 1 && written[1] == ':';
            fail_line(in_.file, line, "{}: {} does not exist (looked for relative to {}{})", key,
                      printable(written, 200), printable(fmt::format("{}", fmt::join(shown_homes(), ", ")), 300),
                      windows ? "; a path with a drive letter is one of another machine" : "");
        }
        const std::string plain = with_slashes(written);
        const bool roboflow = plain.starts_with("../") && place == join_path(homes_.front(), plain.substr(3));
        if (!plain.starts_with("/") && !roboflow && place != join_path(homes_.front(), plain))
            in_.notes.push_back(
                fmt::format("{}: {}: {} taken as {}", in_.file, key, printable(written, 100), printable(place, 200)));
        return place;
    }

private:
    std::vector<std::string> shown_homes() const {
        std::vector<std::string> out;
        for (const std::string& home : homes_) out.push_back(home.empty() ? "the working directory" : home);
        return out;
    }
    YoloDescription& in_;
    std::vector<std::string> homes_;
};

std::vector<std::string> read_places(const YAML::Node& node, YoloDescription& in, Places& places, const char* key) {
    std::vector<std::string> out;
    if (!node || node.IsNull()) return out;
    const auto take = [&](const YAML::Node& place) {
        out.push_back(places.find(scalar(place, in.file, key), node.Mark().line + 1, key));
    };
    if (node.IsSequence())
        for (const YAML::Node& place : node) take(place);
    else
        take(node);
    return out;
}

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

std::vector<std::string> read_name_list(const std::string& path) {
    const std::string text = read_whole(path, max_yaml_bytes);
    require_text(strip_bom(text), printable(path, 300));
    std::vector<std::string> out;
    LineReader lines(strip_bom(text));
    for (std::string_view line; lines.next(line);)
        if (!trim(line).empty()) out.emplace_back(trim(line));
    return out;
}

// Lines "key = value": classes, train, valid, names, and others that are of no interest here.
YoloDescription read_darknet_data(const std::string& path) {
    YoloDescription out;
    out.file = printable(path, 300);
    out.base = parent_path(path);
    const std::string text = read_whole(path, max_yaml_bytes);
    require_text(strip_bom(text), out.file);
    Places places(out, path);
    std::string names;
    std::int64_t classes = -1, names_line = 0;
    LineReader lines(strip_bom(text));
    for (std::string_view line; lines.next(line);) {
        line = trim(line);
        const std::size_t equals = line.find('=');
        if (line.empty() || line.front() == '#') continue;
        if (equals == std::string_view::npos)
            fail_line(out.file, lines.number(), "\"{}\", expected key = value", printable(line));
        const std::string key = lower(trim(line.substr(0, equals))), value(trim(line.substr(equals + 1)));
        if (value.empty()) continue;
        if (key == "train") out.train = {places.find(value, lines.number(), "train")};
        if (key == "valid" || key == "val") out.val = {places.find(value, lines.number(), key.c_str())};
        if (key == "names") names = places.find(value, lines.number(), "names"), names_line = lines.number();
        if (key == "classes") {
            const auto n = parse_integer(value);
            if (!n || *n < 1) fail_line(out.file, lines.number(), "classes is {}", printable(value));
            classes = *n;
        }
    }
    if (out.train.empty()) fail_data(out.file, "no `train =`: expected the list of the training pictures");
    if (names.empty()) fail_data(out.file, "no `names =`: expected the list of the classes");
    out.classes = read_name_list(names);
    out.files.push_back(names);
    if (classes >= 0 && classes != std::ssize(out.classes))
        fail_line(out.file, names_line, "classes is {}, but {} names {}", classes, printable(names, 200),
                  out.classes.size());
    return out;
}

}  // namespace

YoloDescription read_yolo_description(const std::string& path) {
    if (ending_of(path) == ".data") return read_darknet_data(path);
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
    if (const YAML::Node frame = root["exif_boxes"]) {
        out.exif_boxes = exif_boxes(scalar(frame, out.file, "exif_boxes"));
        if (out.exif_boxes == ExifBoxes::detect)
            fail_line(out.file, frame.Mark().line + 1, "exif_boxes is {}, expected stored or upright",
                      printable(frame.Scalar()));
    }
    const std::string folder = parent_path(path);
    out.base = folder;
    if (const YAML::Node base = root["path"]; base && !base.IsNull()) {
        // `path: datasets/x` is often meant from elsewhere; the file's own folder then serves as well.
        const std::string named = find_below(homes_of(folder, path), scalar(base, out.file, "path"));
        if (is_directory(named)) out.base = named;
        const std::string written = with_slashes(base.Scalar());
        if (!is_directory(named) ||
            (!written.starts_with("/") && written != "." && named != join_path(folder, written)))
            out.notes.push_back(
                fmt::format("{}: path: {} taken as {}", out.file, printable(written, 100), printable(out.base, 200)));
    }
    Places places(out, path);
    out.train = read_places(root["train"], out, places, "train");
    out.val = read_places(root["val"] ? root["val"] : root["valid"], out, places, "val");
    if (const YAML::Node test = root["test"]; test && !test.IsNull()) {
        try {
            out.test = read_places(test, out, places, "test");
        } catch (const DataError&) {
            // Many sets name one that is not shipped; nobody asked for it.
        }
    }
    if (out.train.empty()) fail_data(out.file, "no `train`: expected the directory of the training pictures");
    return out;
}

std::vector<std::string> read_picture_list(const std::string& list, const std::string& base,
                                           std::vector<std::string>& notes) {
    const std::string text = read_whole(list, std::size_t{64} << 20), file = printable(list, 300);
    require_text(strip_bom(text), file);
    std::vector<std::string> out;
    std::optional<std::pair<std::string, std::size_t>> from;  // the home, and folders cut from the beginning
    const auto without = [](const std::string& path, std::size_t folders) -> std::string {
        std::size_t at = 0;
        for (; folders > 0 && at != std::string::npos; --folders) {
            at = path.find('/', at);
            at = at == std::string::npos ? at : at + 1;
        }
        return at == std::string::npos ? "" : path.substr(at);
    };
    LineReader lines(strip_bom(text));
    for (std::string_view line; lines.next(line);) {
        const std::string name = with_slashes(std::string(trim(line)));
        if (name.empty()) continue;
        if (name.starts_with("/")) {
            out.push_back(name);
            continue;
        }
        const auto depth = static_cast<std::size_t>(std::count(name.begin(), name.end(), '/'));
        for (std::size_t cut = 0; !from && cut < std::max<std::size_t>(depth, 1); ++cut)
            for (const std::string& home : homes_of(parent_path(list), base.empty() ? list : join_path(base, "x")))
                if (!from && is_file(join_path(home, without(name, cut)))) from = {home, cut};
        if (!from) {
            out.push_back(join_path(parent_path(list), name));
            continue;
        }
        const std::string place = join_path(from->first, without(name, from->second));
        if (out.empty() && place != join_path(parent_path(list), name) && place != join_path(base, name))
            notes.push_back(
                fmt::format("{}: {} taken as {}, and so on", file, printable(name, 100), printable(place, 200)));
        out.push_back(place);
    }
    return out;
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

std::string find_darknet_data(const std::string& dir) {
    if (is_file(join_path(dir, "obj.data"))) return join_path(dir, "obj.data");
    std::string found;
    for (const std::string& name : list_directory(dir).files) {
        if (ending_of(name) != ".data") continue;
        const std::string text = read_prefix(join_path(dir, name), 1 << 16);
        bool trains = false;
        LineReader lines(text);
        for (std::string_view line; lines.next(line);)
            trains = trains || (trim(line).starts_with("train") && line.find('=') != std::string_view::npos);
        if (!trains) continue;
        if (!found.empty()) return "";
        found = join_path(dir, name);
    }
    return found;
}

namespace {

bool has_label_files(const std::string& dir, int depth = 0) {
    const Listing listing = list_directory(dir);
    if (std::any_of(listing.files.begin(), listing.files.end(), [](const auto& f) { return ending_of(f) == ".txt"; }))
        return true;
    return depth < 3 && std::any_of(listing.folders.begin(), listing.folders.end(), [&](const std::string& f) {
               return has_label_files(join_path(dir, f), depth + 1);
           });
}

// The folder of that name in any case; "" when there is none.
std::string folder_called(const std::string& dir, std::string_view name) {
    for (const std::string& folder : list_directory(dir).folders)
        if (lower(folder) == name) return join_path(dir, folder);
    return "";
}

// The third part beside the one for validation.
std::vector<std::string> test_besides(const std::string& dir, const std::string& val, const std::string& below) {
    const std::string test = part_below(dir, Role::test);
    if (test.empty() || test == val || !is_directory(test + below)) return {};
    return {test + below};
}

}  // namespace

// train.txt and val.txt (valid.txt, test.txt) that name pictures.
YoloParts listed_yolo_parts(const std::string& dir) {
    const auto list = [&](std::initializer_list<const char*> names) -> std::string {
        for (const char* name : names) {
            const std::string path = join_path(dir, name);
            if (!is_file(path)) continue;
            const std::string head = read_prefix(path, 4096);
            LineReader lines(strip_bom(head));
            for (std::string_view line; lines.next(line);)
                if (!trim(line).empty()) {
                    if (has_picture_ending(trim(line))) return path;
                    break;
                }
        }
        return "";
    };
    const std::string train = list({"train.txt"}), val = list({"val.txt", "valid.txt", "test.txt"});
    if (train.empty() || val.empty()) return {};
    return {{train}, {val}, {}, dir, fmt::format("by lists: {} and {}", base_name(train), base_name(val))};
}

// images/ with labels/, each with or without train/ and val/ below or above it.
YoloParts plain_yolo_parts(const std::string& dir) {
    const std::string images = folder_called(dir, "images"), labels = folder_called(dir, "labels");
    if (!images.empty() && !labels.empty() && has_label_files(labels)) {
        const std::string train = part_below(images, Role::train);
        if (train.empty()) {
            YoloParts listed = listed_yolo_parts(dir);
            return listed.train.empty() ? YoloParts{{images}, {}, {}, dir, ""} : listed;
        }
        for (const Role role : {Role::val, Role::test})
            if (const std::string val = part_below(images, role); !val.empty())
                return {{train},
                        {val},
                        test_besides(images, val, ""),
                        dir,
                        fmt::format("by folders: {} to train on, {} for validation", printable(base_name(train)),
                                    printable(base_name(val)))};
        return {{train}, {}, {}, dir, ""};
    }
    const std::string train = part_below(dir, Role::train);
    const auto has = [](const std::string& part) {
        return is_directory(join_path(part, "images")) && is_directory(join_path(part, "labels"));
    };
    if (train.empty() || !has(train)) return {};
    for (const Role role : {Role::val, Role::test})
        if (const std::string val = part_below(dir, role); !val.empty() && is_directory(join_path(val, "images")))
            return {{join_path(train, "images")},
                    {join_path(val, "images")},
                    test_besides(dir, val, "/images"),
                    dir,
                    fmt::format("by folders: {} to train on, {} for validation", printable(base_name(train)),
                                printable(base_name(val)))};
    return {{join_path(train, "images")}, {}, {}, dir, ""};
}

}  // namespace solobox
