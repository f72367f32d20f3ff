// solobox check of label files: YOLO text, VOC XML, COCO JSON, the lists of tiny-imagenet.
#include <fmt/core.h>

#include <algorithm>

#include "apps/check_file.h"
#include "data/image/image.h"
#include "data/sets/coco.h"
#include "data/sets/tiny_imagenet.h"
#include "data/sets/voc.h"
#include "data/sets/yolo.h"
#include "data/text.h"

namespace solobox {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t max_label_bytes = std::size_t{64} << 20;
constexpr std::size_t max_lines = 50;     // boxes shown to people
constexpr std::size_t max_boxes = 10000;  // boxes in JSON; a file may have millions

void add_notes(Checked& out, const std::vector<Tally>& tallies) {
    Json notes = Json::array();
    for (const Tally& t : tallies) {
        notes.push_back({{"what", t.what}, {"count", t.count}, {"example", t.example}});
        out.lines.push_back(fmt::format("  note: {}: {} (first: {})", t.what, t.count, t.example));
    }
    out.json["notes"] = notes;
}

// Adds boxes one by one until the list is full.
struct BoxList {
    Checked& out;
    Json boxes = Json::array();

    bool full() const { return boxes.size() >= max_boxes; }
    void add(Json box, const std::string& line) {
        boxes.push_back(std::move(box));
        if (boxes.size() <= max_lines) out.lines.push_back("  " + line);
    }
    void finish(std::size_t all) {
        if (all > max_lines) out.lines.push_back(fmt::format("  .. and {} more", all - max_lines));
        out.json["count"] = all;  // more than are listed when there are more than max_boxes
        out.json["boxes"] = std::move(boxes);
    }
};

std::string plural(std::size_t n, const char* one, const char* many) {
    return fmt::format("{} {}", n, n == 1 ? one : many);
}

// The size the labels refer to: of the stored pixels, unless the label's own size tells otherwise.
struct LabelFrame {
    int width = 0, height = 0;
};

LabelFrame frame_of(const std::string& image, int width, int height) {
    const ImageInfo info = image_info(image);
    (void)read_image(image);  // labels of a picture that does not decode are of no use
    const bool upright = info.orientation >= 5 && width == info.width && height == info.height;
    return upright ? LabelFrame{info.width, info.height} : LabelFrame{info.stored_width, info.stored_height};
}

Checked check_yolo(const std::string& path, const std::string& image) {
    std::vector<Tally> tallies;
    const auto rows = parse_yolo(read_whole(path, max_label_bytes), printable(path, 300), Strictness::strict, tallies);
    Checked out;
    out.json["kind"] = "yolo";
    out.lines.push_back(rows.empty() ? "YOLO labels: no box, so background"
                                     : "YOLO labels: " + plural(rows.size(), "box", "boxes"));
    const LabelFrame frame = image.empty() ? LabelFrame{} : frame_of(image, 0, 0);
    if (!image.empty()) {
        out.json["width"] = frame.width;
        out.json["height"] = frame.height;
    }
    BoxList boxes{out};
    for (const YoloBox& row : rows) {
        if (boxes.full()) break;
        const UnitBox& b = row.box;
        Json box{{"line", row.line}, {"class", row.class_id}, {"cx", b.cx}, {"cy", b.cy}, {"w", b.w}, {"h", b.h}};
        std::string text = fmt::format("line {}: class {}, {} {} {} {}", row.line, row.class_id, b.cx, b.cy, b.w, b.h);
        if (!image.empty()) {
            box["x1"] = (b.cx - b.w / 2) * frame.width;
            box["y1"] = (b.cy - b.h / 2) * frame.height;
            box["x2"] = (b.cx + b.w / 2) * frame.width;
            box["y2"] = (b.cy + b.h / 2) * frame.height;
            text += fmt::format(", pixels {:.2f} {:.2f} {:.2f} {:.2f}", box["x1"].get<double>(),
                                box["y1"].get<double>(), box["x2"].get<double>(), box["y2"].get<double>());
        }
        boxes.add(std::move(box), text);
    }
    boxes.finish(rows.size());
    add_notes(out, tallies);
    return out;
}

Checked check_voc(const std::string& path, const std::string& image) {
    std::vector<Tally> tallies;
    const std::string file = printable(path, 300), text = read_whole(path, max_label_bytes);
    VocFile voc = parse_voc(text, file, Strictness::strict, tallies);
    if (!image.empty()) {
        const LabelFrame frame = frame_of(image, voc.width, voc.height);
        if (voc.width == 0 || voc.height == 0)
            count(tallies, "label files without a size (the picture decides)", file);
        else if (voc.width != frame.width || voc.height != frame.height)
            count(tallies, "label files whose size differs from the picture's (the picture decides)", file);
        std::erase_if(tallies, [](const Tally& t) { return t.what.starts_with("boxes"); });
        voc = parse_voc(text, file, Strictness::strict, tallies, frame.width, frame.height);
        voc.width = frame.width;
        voc.height = frame.height;
    }
    Checked out;
    out.json = {{"kind", "voc"}, {"filename", voc.filename}, {"width", voc.width}, {"height", voc.height}};
    out.lines.push_back(fmt::format(
        "Pascal VOC labels: {} in {}", voc.objects.empty() ? "no box" : plural(voc.objects.size(), "box", "boxes"),
        voc.width > 0 ? fmt::format("{} x {}", voc.width, voc.height) : "a picture of unknown size"));
    BoxList boxes{out};
    for (const VocObject& o : voc.objects) {
        if (boxes.full()) break;
        boxes.add({{"line", o.line}, {"name", o.name}, {"x1", o.x1}, {"y1", o.y1}, {"x2", o.x2}, {"y2", o.y2}},
                  fmt::format("line {}: {} {} {} {} {}", o.line, printable(o.name), o.x1, o.y1, o.x2, o.y2));
    }
    boxes.finish(voc.objects.size());
    add_notes(out, tallies);
    return out;
}

Checked check_coco(const std::string& path, const std::string& image) {
    OpenOptions options;
    options.strictness = Strictness::strict;
    std::vector<Tally> tallies;
    const std::string file = printable(path, 300);
    const CocoFile coco = read_coco(path, options, tallies);
    if (coco.images.empty()) fail_data(file, "no images in it");
    // Pictures lie beside the file, or beside the folder it lies in.
    const std::string dir = parent_path(path);
    const CocoPictures beside = find_coco_pictures(path, dir == "." ? ".." : parent_path(dir));
    const auto samples = coco_samples(
        coco, path,
        [&](const std::string& name) {
            return !image.empty() && base_name(name) == base_name(image) ? image : beside(name);
        },
        options, tallies);
    Checked out;
    out.json = {{"kind", "coco"},
                {"images", coco.images.size()},
                {"annotations", coco.objects.size()},
                {"classes", coco.classes}};
    out.lines.push_back(fmt::format("COCO labels: {}, {}, {}", plural(coco.images.size(), "image", "images"),
                                    plural(coco.objects.size(), "box", "boxes"),
                                    plural(coco.classes.size(), "class", "classes")));
    BoxList boxes{out};
    for (const CocoObject& o : coco.objects) {
        if (boxes.full()) break;
        const std::string& name = coco.classes[static_cast<std::size_t>(o.class_id)];
        const std::string& picture = coco.images[o.image].file_name;
        boxes.add({{"line", o.line},
                   {"image", picture},
                   {"name", name},
                   {"bbox", {o.x, o.y, o.w, o.h}},
                   {"width", samples[o.image].width},
                   {"height", samples[o.image].height},
                   {"crowd", o.crowd}},
                  fmt::format("{}: {} xywh {} {} {} {} in {}x{}{}", printable(picture), printable(name), o.x, o.y, o.w,
                              o.h, samples[o.image].width, samples[o.image].height, o.crowd ? " (crowd)" : ""));
    }
    boxes.finish(coco.objects.size());
    add_notes(out, tallies);
    return out;
}

Checked check_tiny(const std::string& path) {
    const std::string file = printable(path, 300), text = read_whole(path, max_label_bytes), name = base_name(path);
    Checked out;
    out.json["kind"] = "tiny-imagenet";
    // Three lists, told apart by their names, else by the fields of the first line.
    const auto words = split_blanks(std::string_view(text).substr(0, text.find('\n')));
    const bool known =
        name.starts_with("wnids") || name.starts_with("val_annotations") || name.find("boxes") != std::string::npos;
    if (name.starts_with("wnids") || (!known && words.size() == 1)) {
        const auto wnids = parse_wnids(text, file);
        out.json["list"] = "wnids";
        out.json["classes"] = wnids;
        out.lines.push_back("tiny-imagenet's list of " + plural(wnids.size(), "class", "classes"));
        return out;
    }
    const bool val = name.starts_with("val_annotations") || (!known && words.size() == 6);
    std::vector<Tally> tallies;
    const auto rows = val ? parse_val_annotations(text, file, Strictness::strict, tallies)
                          : parse_tiny_boxes(text, file, Strictness::strict, tallies);
    out.json["list"] = val ? "val_annotations" : "boxes";
    out.lines.push_back("tiny-imagenet's list of " + plural(rows.size(), "box", "boxes"));
    BoxList boxes{out};
    for (const TinyRow& row : rows) {
        if (boxes.full()) break;
        const Object& o = row.object;
        boxes.add({{"line", row.line},
                   {"image", row.picture},
                   {"wnid", row.wnid},
                   {"x1", o.x1},
                   {"y1", o.y1},
                   {"x2", o.x2},
                   {"y2", o.y2}},
                  fmt::format("line {}: {} {} {} {} {} {}", row.line, printable(row.picture), row.wnid, o.x1, o.y1,
                              o.x2, o.y2));
    }
    boxes.finish(rows.size());
    add_notes(out, tallies);
    return out;
}

}  // namespace

Checked check_labels(const std::string& kind, const std::string& path, const std::string& image) {
    if (kind == "yolo") return check_yolo(path, image);
    if (kind == "voc") return check_voc(path, image);
    if (kind == "coco") return check_coco(path, image);
    return check_tiny(path);
}

}  // namespace solobox
