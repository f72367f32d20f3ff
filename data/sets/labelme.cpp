// See labelme.h.
#include "data/sets/labelme.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "data/json_words.h"
#include "data/sets/exif_frame.h"
#include "data/sets/parts.h"
#include "data/text.h"

namespace solobox {
namespace {

using Json = nlohmann::json;
constexpr std::size_t max_labelme_bytes = std::size_t{256} << 20;  // most of it the picture itself, in letters
constexpr double max_labelme_place = 1e6;                          // pixels
constexpr int max_labelme_depth = 16;

bool begins_like_labelme(const std::string& path) {
    const std::string head = read_prefix(path, 1 << 16);
    if (!trim(strip_bom(head)).starts_with("{")) return false;
    const auto holds = [&](const char* key) { return head.find(key) != std::string::npos; };
    return holds("\"shapes\"") && (holds("\"imagePath\"") || holds("\"flags\"") || holds("\"version\"")) &&
           !holds("\"annotations\"");
}

double labelme_place(const Json& v, const std::string& file, std::size_t shape) {
    if (!v.is_number() || !(std::abs(v.get<double>()) <= max_labelme_place))
        fail_data(file, "shape {}: a point is not two numbers of pixels", shape);
    return v.get<double>();
}

int labelme_side(const Json& root, const char* key, const std::string& file) {
    if (!root.contains(key) || root[key].is_null()) return 0;
    const Json& v = root[key];
    if (!v.is_number() || !(v.get<double>() >= 1 && v.get<double>() <= max_labelme_place))
        fail_data(file, "{} is not a number of pixels", key);
    return v.get<int>();
}

}  // namespace

LabelmeFile parse_labelme(const std::string& text, const std::string& file, std::vector<Tally>& tallies) {
    const auto shallow = [&](int depth, Json::parse_event_t, Json&) {
        if (depth > max_labelme_depth) fail_data(file, "nesting deeper than {} levels", max_labelme_depth);
        return true;
    };
    Json root;
    try {
        root = Json::parse(strip_bom(text), shallow);
    } catch (const Json::exception& error) {
        fail_data(file, "not JSON: {}", explain_json(error.what(), ""));
    }
    if (!root.is_object() || !root.contains("shapes") || !root["shapes"].is_array())
        fail_data(file, "no list \"shapes\": is it a labelme file?");
    LabelmeFile out;
    if (root.contains("imagePath") && root["imagePath"].is_string())
        out.picture = with_slashes(root["imagePath"].get<std::string>());
    out.width = labelme_side(root, "imageWidth", file), out.height = labelme_side(root, "imageHeight", file);
    std::size_t number = 0;
    for (const Json& shape : root["shapes"]) {
        ++number;
        if (!shape.is_object() || !shape.contains("label") || !shape["label"].is_string() ||
            shape["label"].get<std::string>().empty())
            fail_data(file, "shape {} has no label", number);
        LabelmeShape found;
        found.label = shape["label"].get<std::string>();
        if (find_control(found.label) != std::string::npos)
            fail_data(file, "shape {}: \"{}\" is not a class name", number, printable(found.label));
        if (!shape.contains("points") || !shape["points"].is_array() || shape["points"].empty())
            fail_data(file, "shape {} has no points", number);
        std::vector<std::pair<double, double>> points;
        for (const Json& p : shape["points"]) {
            if (!p.is_array() || p.size() != 2) fail_data(file, "shape {}: a point is not two numbers", number);
            points.emplace_back(labelme_place(p[0], file, number), labelme_place(p[1], file, number));
        }
        const std::string kind = shape.contains("shape_type") && shape["shape_type"].is_string()
                                     ? shape["shape_type"].get<std::string>()
                                     : "polygon";
        if (kind == "circle" && points.size() == 2) {
            const auto [cx, cy] = points[0];
            const double r = std::hypot(points[1].first - cx, points[1].second - cy);
            points = {{cx - r, cy - r}, {cx + r, cy + r}};
        } else if (kind == "point" || kind == "points" || kind == "line" || kind == "linestrip" || points.size() < 2) {
            count(tallies, TallyKind::box, "points and lines, which have no box, left out",
                  fmt::format("{}: shape {}", file, number));
            continue;
        }
        found.x1 = found.y1 = INFINITY, found.x2 = found.y2 = -INFINITY;
        for (const auto& [x, y] : points) {
            found.x1 = std::min(found.x1, x), found.x2 = std::max(found.x2, x);
            found.y1 = std::min(found.y1, y), found.y2 = std::max(found.y2, y);
        }
        out.shapes.push_back(std::move(found));
    }
    return out;
}

bool looks_like_labelme(const std::string& dir) {
    int tried = 0;
    for (const std::string& name : list_directory(dir).files)
        if (ending_of(name) == ".json" && tried++ < 20 && begins_like_labelme(join_path(dir, name))) return true;
    return false;
}

DataSet open_labelme(const std::string& dir, const OpenOptions& options) {
    DataSet set;
    set.format = "labelme";
    set.root = dir;
    std::vector<Sample> all;
    std::vector<std::vector<std::string>> names;
    std::set<std::string> classes, seen;
    const std::string parent = parent_path(dir);
    std::map<std::string, std::string> by_name,
        by_stem;  // of pictures beside the files, or in a folder of pictures beside theirs
    for (const std::string& home : {dir, join_path(parent, "images"), join_path(parent, "JPEGImages")}) {
        if (!is_directory(home)) continue;
        for (const std::string& name : list_directory(home).files)
            if (has_picture_ending(name)) {
                by_name.emplace(name, join_path(home, name));
                by_stem.emplace(file_stem(name), join_path(home, name));
            }
    }
    for (const std::string& name : list_directory(dir).files) {
        const std::string path = join_path(dir, name), file = printable(path, 300);
        if (ending_of(name) != ".json") continue;
        try {
            const std::string text = read_whole(path, max_labelme_bytes);
            if (text.find("\"shapes\"") == std::string::npos) continue;  // another kind of JSON
            set.files.push_back(path);
            const LabelmeFile labels = parse_labelme(text, file, set.tallies);
            Sample sample;
            // The bare name first: the folders of imagePath are often those of another machine.
            if (const auto at = by_name.find(base_name(labels.picture)); at != by_name.end()) sample.path = at->second;
            for (const std::string& stem : {file_stem(labels.picture), file_stem(name)})
                if (const auto at = by_stem.find(stem); at != by_stem.end() && sample.path.empty())
                    sample.path = at->second;
            if (sample.path.empty())
                fail_data(file, "its picture \"{}\" is not beside it: add it or use --skip-bad",
                          printable(labels.picture.empty() ? file_stem(name) : labels.picture, 100));
            if (!seen.insert(sample.path).second)
                fail_data(file, "its picture {} has another label file already", printable(sample.path, 200));
            const ImageInfo info = image_info(sample.path, options.limits);
            sample.width = info.width, sample.height = info.height;
            Frame frame = frame_of(labels.width, labels.height, info, options);
            std::vector<Object> boxes;
            for (const LabelmeShape& s : labels.shapes) boxes.push_back({0, s.x1, s.y1, s.x2, s.y2, false});
            if (frame == Frame::unknown) frame = frame_by_boxes(boxes, info);
            if (!boxes.empty()) tell_frame(frame, sample.path, info, set.tallies);
            const bool stored = frame == Frame::stored;
            const double w = stored ? info.stored_width : info.width, h = stored ? info.stored_height : info.height;
            std::vector<std::string> mine;
            for (std::size_t i = 0; i < boxes.size(); ++i) {
                Object o = boxes[i];
                o.x1 = std::max(o.x1, 0.0), o.y1 = std::max(o.y1, 0.0), o.x2 = std::min(o.x2, w),
                o.y2 = std::min(o.y2, h);
                const std::string where = fmt::format("{}: shape {}", file, i + 1);
                if (!(o.x2 > o.x1 && o.y2 > o.y1)) {
                    count(set.tallies, TallyKind::bad_box, "boxes without area, or outside the picture, skipped",
                          where);
                    continue;
                }
                const Object& b = boxes[i];
                if (std::max({o.x1 - b.x1, o.y1 - b.y1, b.x2 - o.x2, b.y2 - o.y2}) > 1e-6)
                    count(set.tallies, TallyKind::box, "boxes cut at the picture's edge", where);
                if (stored) o = orient_object(o, info.orientation, info.stored_width, info.stored_height);
                mine.push_back(labels.shapes[i].label);
                classes.insert(mine.back());
                sample.objects.push_back(o);
            }
            all.push_back(std::move(sample));
            names.push_back(std::move(mine));
        } catch (const DataError&) {
            skip_or_rethrow(options, set.tallies, file);
        }
    }
    set.classes.assign(classes.begin(), classes.end());
    for (std::size_t i = 0; i < all.size(); ++i)
        for (std::size_t k = 0; k < names[i].size(); ++k)
            all[i].objects[k].class_id = static_cast<int>(std::distance(classes.begin(), classes.find(names[i][k])));
    for (const auto& [picture, path] : by_name)
        if (!seen.contains(path) && parent_path(path) == dir) {
            count(set.tallies, "pictures without a label file left out", printable(path, 300));
            set.files.push_back(path);
        }
    split_by_order(std::move(all), options.val_fraction, set);
    return set;
}

}  // namespace solobox
