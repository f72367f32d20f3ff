// See voc.h.
#include "data/sets/voc.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <pugixml.hpp>
#include <set>

#include "data/sets/exif_frame.h"
#include "data/sets/parts.h"
#include "data/sets/xml_guard.h"
#include "data/text.h"

namespace solobox {
namespace {

constexpr std::size_t max_voc_bytes = std::size_t{16} << 20;
constexpr double max_voc_coordinate = 1e6;  // pixels; no picture is larger

class VocParser {
public:
    VocParser(const std::string& text, const std::string& file, Strictness strictness, std::vector<Tally>& tallies)
        : text_(text), file_(file), strict_(strictness == Strictness::strict), tallies_(tallies) {}

    VocFile parse(int picture_width, int picture_height) {
        pugi::xml_document document;
        const auto status = document.load_buffer(text_.data(), text_.size(), pugi::parse_default, pugi::encoding_utf8);
        if (!status) fail_line(file_, line_at(status.offset), "not XML: {}", status.description());
        const pugi::xml_node root = document.document_element();
        VocFile out;
        read_filename(root, out);
        read_size(root, out);
        out.exif_boxes = exif_boxes(text_of(only(root, "exif_boxes")));
        width_ = picture_width > 0 ? picture_width : out.width;
        height_ = picture_height > 0 ? picture_height : out.height;
        for (const pugi::xml_node object : root.children("object")) read_object(object, out);
        return out;
    }

private:
    std::int64_t line_at(std::ptrdiff_t offset) const {
        const auto end = std::clamp<std::ptrdiff_t>(offset, 0, static_cast<std::ptrdiff_t>(text_.size()));
        return std::count(text_.begin(), text_.begin() + end, '\n') + 1;
    }
    std::int64_t line_of(const pugi::xml_node& node) const { return line_at(node.offset_debug()); }

    // The only child of that name, or an empty node; two are an error.
    pugi::xml_node only(const pugi::xml_node& parent, const char* name) const {
        const pugi::xml_node node = parent.child(name);
        if (const pugi::xml_node second = node.next_sibling(name))
            fail_line(file_, line_of(second), "<{}> twice in <{}>: keep one", name, parent.name());
        return node;
    }

    // All text of the node (CDATA too), without the blanks around it. An element within it cuts a number or a name in
    // two: "1<b/>2" is not 12.
    std::string text_of(const pugi::xml_node& node) const {
        std::string out;
        for (const pugi::xml_node part : node.children())
            if (part.type() == pugi::node_element)
                fail_line(file_, line_of(part), "<{}> inside <{}>, which holds a text", printable(part.name()),
                          node.name());
        for (const pugi::xml_node part : node.children())
            if (part.type() == pugi::node_pcdata || part.type() == pugi::node_cdata) out += part.value();
        return std::string(trim(out));
    }

    void read_filename(const pugi::xml_node& root, VocFile& out) const {
        const pugi::xml_node node = only(root, "filename");
        out.filename = text_of(node);
        if (!out.filename.empty() && !stays_below(out.filename))
            fail_line(file_, line_of(node), "filename \"{}\" is a path out of the data set: write the bare name",
                      printable(out.filename));
    }

    int side(const pugi::xml_node& size, const char* name) const {
        const pugi::xml_node node = only(size, name);
        const std::string text = text_of(node);
        if (text.empty()) return 0;
        const auto value = parse_double(text);
        if (!value || !std::isfinite(*value) || *value < 0 || *value > max_voc_coordinate)
            fail_line(file_, line_of(node), "size: {} is \"{}\", expected pixels", name, printable(text));
        return static_cast<int>(*value);
    }

    void read_size(const pugi::xml_node& root, VocFile& out) const {
        const pugi::xml_node size = only(root, "size");
        out.width = side(size, "width");
        out.height = side(size, "height");
        if (out.width == 0 || out.height == 0) out.width = out.height = 0;  // half a size is none
    }

    double coordinate(const pugi::xml_node& box, const char* name) const {
        const pugi::xml_node node = only(box, name);
        if (!node) fail_line(file_, line_of(box), "<bndbox> has no <{}>", name);
        const std::string text = text_of(node);
        const auto value = parse_double(text);
        if (!value) fail_line(file_, line_of(node), "{} is \"{}\", expected a number", name, printable(text));
        if (!std::isfinite(*value)) {
            if (strict_) fail_line(file_, line_of(node), "{} is {}, not finite", name, printable(text));
        } else if (std::abs(*value) > max_voc_coordinate) {
            fail_line(file_, line_of(node), "{} is {}, out of range for pixels", name, printable(text));
        }
        return *value;
    }

    void read_object(const pugi::xml_node& node, VocFile& out) {
        VocObject object;
        object.line = line_of(node);
        object.name = text_of(only(node, "name"));
        if (object.name.empty()) fail_line(file_, object.line, "<object> has no <name>");
        const pugi::xml_node box = only(node, "bndbox");
        if (!box) fail_line(file_, object.line, "<object> has no <bndbox>");
        object.x1 = coordinate(box, "xmin");
        object.y1 = coordinate(box, "ymin");
        object.x2 = coordinate(box, "xmax");
        object.y2 = coordinate(box, "ymax");
        if (usable(object)) out.objects.push_back(std::move(object));
    }

    // Refuses (strict) or counts a box that covers nothing; cuts one that sticks out.
    bool usable(VocObject& box) {
        std::string flaw, kind;
        if (!std::isfinite(box.x1 + box.y1 + box.x2 + box.y2)) {
            kind = "boxes that are not finite skipped";
        } else if (box.x1 > box.x2 || box.y1 > box.y2) {
            flaw = box.x1 > box.x2 ? fmt::format("xmin {} is beyond xmax {}", box.x1, box.x2)
                                   : fmt::format("ymin {} is beyond ymax {}", box.y1, box.y2);
            kind = "boxes with swapped corners skipped";
        } else if (box.x1 == box.x2 || box.y1 == box.y2) {
            flaw = box.x1 == box.x2 ? fmt::format("empty box: xmin = xmax = {}", box.x1)
                                    : fmt::format("empty box: ymin = ymax = {}", box.y1);
            kind = "boxes without area skipped";
        } else if (width_ > 0 && (box.x1 >= width_ || box.y1 >= height_ || box.x2 <= 0 || box.y2 <= 0)) {
            flaw = fmt::format("the box {} {} {} {} lies outside the picture of {} x {}", box.x1, box.y1, box.x2,
                               box.y2, width_, height_);
            kind = "boxes outside the picture skipped";
        }
        const std::string place = fmt::format("{}:{}", file_, box.line);
        if (!kind.empty()) {
            if (strict_) fail_line(file_, box.line, "object \"{}\": {}", printable(box.name), flaw);
            count(tallies_, TallyKind::bad_box, kind, place);
            return false;
        }
        if (width_ > 0 && (box.x1 < 0 || box.y1 < 0 || box.x2 > width_ || box.y2 > height_)) {
            count(tallies_, TallyKind::box, "boxes cut at the picture's edge", place);
            box.x1 = std::clamp(box.x1, 0.0, double(width_));
            box.x2 = std::clamp(box.x2, 0.0, double(width_));
            box.y1 = std::clamp(box.y1, 0.0, double(height_));
            box.y2 = std::clamp(box.y2, 0.0, double(height_));
        }
        return true;
    }

    const std::string& text_;
    const std::string& file_;
    bool strict_;
    std::vector<Tally>& tallies_;
    int width_ = 0, height_ = 0;
};

struct VocLayout {
    std::string annotations, images, sets;  // folders; sets "" when there are none
    Role role = Role::whole;
};

std::string folder_named(const std::string& dir, std::initializer_list<std::string_view> names) {
    const Listing listing = list_directory(dir);
    for (const std::string_view name : names)
        for (const std::string& folder : listing.folders)
            if (lower(folder) == name) return join_path(dir, folder);
    return "";
}

bool has_xml(const std::string& dir) {
    const Listing listing = list_directory(dir);
    return std::any_of(listing.files.begin(), listing.files.end(),
                       [](const std::string& f) { return ending_of(f) == ".xml"; });
}

// Empty when `dir` is no VOC set; several when its annotations lie in folders of their own for train and val.
std::vector<VocLayout> find_voc_layouts(const std::string& dir) {
    const std::string home = folder_named(dir, {"jpegimages", "images", "image", "imgs", "img", "pictures", "photos"});
    const std::string images = home.empty() ? dir : home;
    for (const char* name : {"annotations", "annotation", "annots", "xmls", "xml", "labels"}) {
        std::string annotations = folder_named(dir, {name});
        if (annotations.empty()) continue;
        if (const std::string inner = folder_named(annotations, {"xmls"}); !inner.empty()) annotations = inner;
        if (has_xml(annotations)) {
            std::string sets = folder_named(dir, {"imagesets"});
            if (!sets.empty()) sets = folder_named(sets, {"main"});
            return {{annotations, images, sets, Role::whole}};
        }
        std::vector<VocLayout> parts;
        for (const std::string& part : list_directory(annotations).folders) {
            const std::string folder = join_path(annotations, part), same = join_path(images, part);
            if (role_of(part) != Role::whole && has_xml(folder))
                parts.push_back({folder, is_directory(same) ? same : images, "", role_of(part)});
        }
        if (!parts.empty()) return parts;
    }
    if (has_xml_beside(dir)) return {{dir, dir, "", Role::whole}};
    return {};
}

// Picture names of a folder by exact name and by stem (the first in byte order wins among equal stems).
struct Pictures {
    std::string folder;
    std::set<std::string> names;
    std::map<std::string, std::string> by_stem, unread;  // unread: of kinds that nobody here reads

    explicit Pictures(const std::string& dir) : folder(dir) {
        for (const std::string& name : list_directory(dir).files) {
            if (!unread_picture_ending(name).empty()) unread.emplace(file_stem(name), name);
            if (!has_picture_ending(name)) continue;
            names.insert(name);
            by_stem.emplace(file_stem(name), name);
        }
    }

    std::string find(const std::string& filename, const std::string& stem, const std::string& file) const {
        const std::string base = base_name(filename);
        if (names.contains(base)) return join_path(folder, base);
        if (!base.empty() && !has_picture_ending(base))  // "image_01" without its ending
            if (const auto it = by_stem.find(base); it != by_stem.end()) return join_path(folder, it->second);
        if (const auto it = by_stem.find(stem); it != by_stem.end()) return join_path(folder, it->second);
        if (const auto it = unread.find(stem); it != unread.end())
            fail_data(
                file,
                "its picture {} is of a kind that is not read: convert it to PNG or JPEG (mogrify -format png FILE)",
                printable(it->second));
        fail_data(file, "its picture \"{}\" is not in {} (nor {}.jpg, .jpeg, .png, .bmp): add it or use --skip-bad",
                  printable(base), printable(folder, 200), printable(stem));
    }
};

// Stems listed in ImageSets/Main/<name>.txt; nothing when the file is absent.
std::optional<std::vector<std::string>> read_set(const std::string& folder, const char* name) {
    const std::string path = join_path(folder, name);
    if (!is_file(path)) return std::nullopt;
    const std::string text = read_whole(path, max_voc_bytes);
    require_text(text, path);
    std::vector<std::string> stems;
    LineReader lines(strip_bom(text));
    for (std::string_view line; lines.next(line);) {
        const auto words = split_blanks(line);
        if (words.empty()) continue;
        if (!stays_below(words[0]))
            fail_line(path, lines.number(), "\"{}\" is a path out of the set", printable(words[0]));
        stems.emplace_back(words[0]);
    }
    return stems;
}

Sample read_sample(const std::string& path, const Pictures& pictures, const OpenOptions& options, DataSet& set,
                   std::map<std::string, int>& classes, std::vector<std::string>& object_names) {
    const std::string file = printable(path, 300);
    const std::string text = read_whole(path, max_voc_bytes);
    std::vector<Tally> unused;
    // As written, cut by no size: what tells the frame and the scale.
    constexpr int everywhere = static_cast<int>(max_voc_coordinate);
    const VocFile head = parse_voc(text, file, Strictness::lenient, unused, everywhere, everywhere);
    Sample sample;
    sample.path = pictures.find(head.filename, file_stem(path), file);
    const ImageInfo info = image_info(sample.path, options.limits);
    sample.width = info.width;
    sample.height = info.height;
    OpenOptions told = options;
    if (told.exif_boxes == ExifBoxes::detect) told.exif_boxes = head.exif_boxes;
    Frame frame = frame_of(head.width, head.height, info, told);
    std::vector<Object> boxes;
    for (const VocObject& box : head.objects) boxes.push_back({0, box.x1, box.y1, box.x2, box.y2, false});
    if (frame == Frame::unknown) frame = frame_by_boxes(boxes, info);
    if (!head.objects.empty()) tell_frame(frame, sample.path, info, set.tallies);
    const bool stored = frame == Frame::stored;
    const int width = stored ? info.stored_width : info.width, height = stored ? info.stored_height : info.height;
    const VocFile labels = parse_voc(text, file, options.strictness, set.tallies, width, height);
    if (head.width == 0)
        count(set.tallies, "label files without a size (the picture decides)", file);
    else if (head.width != width || head.height != height)
        count(set.tallies, "label files whose size differs from the picture's (the picture decides)", file);
    if (head.width != 0) tell_scale(head.width, head.height, width, height, boxes, file, set.tallies);
    for (const VocObject& box : labels.objects) {
        Object object{0, box.x1, box.y1, box.x2, box.y2, false};
        if (stored) object = orient_object(object, info.orientation, info.stored_width, info.stored_height);
        classes.emplace(box.name, 0);
        object_names.push_back(box.name);
        sample.objects.push_back(object);
    }
    return sample;
}

}  // namespace

VocFile parse_voc(const std::string& text, const std::string& file, Strictness strictness, std::vector<Tally>& tallies,
                  int picture_width, int picture_height) {
    const std::string clean = guard_xml(text, file, "annotation");
    return VocParser(clean, file, strictness, tallies).parse(picture_width, picture_height);
}

bool looks_like_voc(const std::string& dir) { return !find_voc_layouts(dir).empty(); }

bool has_xml_beside(const std::string& dir) {
    std::set<std::string> xml, pictures;
    for (const std::string& name : list_directory(dir).files) {
        if (ending_of(name) == ".xml") xml.insert(file_stem(name));
        if (has_picture_ending(name)) pictures.insert(file_stem(name));
    }
    return !xml.empty() && !pictures.empty();
}

namespace {

DataSet read_layout(const VocLayout& layout, const OpenOptions& options) {
    DataSet set;
    set.format = "voc";
    const Pictures pictures(layout.images);
    std::map<std::string, Sample> by_stem;
    std::map<std::string, std::vector<std::string>> names;
    std::map<std::string, int> classes;  // in byte order of name
    std::set<std::string> seen;
    for (const std::string& name : list_directory(layout.annotations).files) {
        if (ending_of(name) != ".xml") continue;
        const std::string path = join_path(layout.annotations, name), stem = file_stem(name);
        set.files.push_back(path);
        try {
            std::vector<std::string> object_names;
            Sample sample = read_sample(path, pictures, options, set, classes, object_names);
            if (!seen.insert(sample.path).second)
                fail_data(printable(path, 300), "its picture {} has another label file already",
                          printable(sample.path, 200));
            by_stem.emplace(stem, std::move(sample));
            names.emplace(stem, std::move(object_names));
        } catch (const DataError&) {
            skip_or_rethrow(options, set.tallies, printable(path, 300));
        }
    }
    for (auto& [name, id] : classes) {
        id = static_cast<int>(set.classes.size());
        set.classes.push_back(name);
    }
    for (auto& [stem, sample] : by_stem)
        for (std::size_t i = 0; i < sample.objects.size(); ++i) sample.objects[i].class_id = classes[names[stem][i]];
    for (const std::string& name : pictures.names)
        if (const std::string path = join_path(pictures.folder, name); !seen.contains(path)) {
            count(set.tallies, "pictures without a label file left out", printable(path, 300));
            set.files.push_back(path);
        }

    const auto take = [&](const std::vector<std::string>& stems, const char* list, std::vector<Sample>& to) {
        for (const std::string& stem : stems) {
            const auto it = by_stem.find(stem);
            if (it != by_stem.end()) {
                to.push_back(it->second);
            } else if (options.skip_bad) {
                count(set.tallies, TallyKind::absent, "names in ImageSets without a label file", stem);
            } else {
                fail_data(join_path(layout.sets, list), "\"{}\" has no label file in {}: add it or use --skip-bad",
                          printable(stem), printable(layout.annotations, 200));
            }
        }
        sort_by_path(to);
    };
    std::optional<std::vector<std::string>> train, val;
    if (!layout.sets.empty() && !options.split_is_told()) {
        for (const std::string& name : list_directory(layout.sets).files)
            if (ending_of(name) == ".txt") set.files.push_back(join_path(layout.sets, name));
        train = read_set(layout.sets, "train.txt");
        val = read_set(layout.sets, "val.txt");
        if (!train && !val) train = read_set(layout.sets, "trainval.txt"), val = read_set(layout.sets, "test.txt");
    }
    if (train && val) {
        take(*train, "train.txt", set.train);
        take(*val, "val.txt", set.val);
        set.split = "by ImageSets/Main";
        std::set<std::string> listed;
        for (const auto* samples : {&set.train, &set.val})
            for (const Sample& s : *samples) listed.insert(s.path);
        for (const auto& [stem, sample] : by_stem)
            if (!listed.contains(sample.path)) {
                count(set.tallies, "labelled pictures that neither ImageSets list names left out",
                      printable(sample.path, 300));
                set.files.push_back(sample.path);
            }
        return set;
    }
    std::vector<Sample> all;
    if (train || val) {
        take(train ? *train : *val, train ? "train.txt" : "val.txt", all);
    } else {
        for (auto& [stem, sample] : by_stem) all.push_back(std::move(sample));
    }
    split_by_order(std::move(all), options.val_fraction, set);
    return set;
}

}  // namespace

DataSet open_voc(const std::string& dir, const OpenOptions& options) {
    const std::vector<VocLayout> layouts = find_voc_layouts(dir);
    if (layouts.empty())
        fail_data(printable(dir, 300), "no Pascal VOC set: expected Annotations/*.xml and JPEGImages/");
    DataSet set =
        read_layouts(layouts, options, read_layout, [](const auto& l) { return printable(base_name(l.annotations)); });
    set.root = dir;
    return set;
}

}  // namespace solobox
