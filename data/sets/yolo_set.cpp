// The pictures and label files of a YOLO data set. Where its parts are: yolo_places.cpp. See yolo.h.
#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include "data/sets/exif_frame.h"
#include "data/sets/parts.h"
#include "data/sets/yolo.h"
#include "data/text.h"

namespace solobox {
namespace {

constexpr std::size_t max_yolo_label_bytes = std::size_t{64} << 20;

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

std::vector<std::string> pictures_of(const std::string& place, const std::string& base, DataSet& set) {
    std::vector<std::string> out;
    if (is_directory(place)) {
        std::set<std::string> entered;
        collect(place, out, entered);
        return out;
    }
    set.files.push_back(place);
    std::vector<std::string> notes;
    out = read_picture_list(place, base, notes);
    for (const std::string& note : notes) count(set.tallies, "places taken elsewhere than written", note);
    return out;
}

// The label file of a picture: where YOLO keeps it, or beside the picture when only there is one.
std::string label_of(const std::string& picture) {
    std::string labels = yolo_label_path(picture);
    if (is_file(labels)) return labels;
    const std::string beside = join_path(parent_path(picture), file_stem(picture) + ".txt");
    return is_file(beside) ? beside : labels;
}

class SetReader {
public:
    SetReader(DataSet& set, const OpenOptions& options, int class_count)
        : set_(set), options_(options), class_count_(class_count) {}

    void read(const YoloParts& parts, bool val, std::vector<Sample>& to) {
        std::vector<std::string> pictures;
        for (const std::string& place : val ? parts.val : parts.train)
            for (std::string& picture : pictures_of(place, parts.base, set_)) pictures.push_back(std::move(picture));
        std::sort(pictures.begin(), pictures.end());
        pictures.erase(std::unique(pictures.begin(), pictures.end()), pictures.end());
        if (options_.yolo_rows == YoloRows::keypoints && set_.points.count == 0) find_points(pictures);
        labelled_ = 0;
        std::string expected;
        for (const std::string& picture : pictures) {
            try {
                to.push_back(sample(picture, expected));
            } catch (const DataError& error) {
                set_.files.push_back(picture);
                const std::string message = error.what() + explained_ids(error.what(), pictures);
                try {
                    throw DataError(message);
                } catch (const DataError&) {
                    skip_or_rethrow(options_, set_.tallies, printable(picture, 300));
                }
            }
        }
        if (labelled_ == 0 && !expected.empty()) look_beside(pictures, expected);
        if (labelled_ > 0) folders_without_labels(pictures);
    }

    int largest_class() const { return largest_class_; }

    // What only all rows together can tell.
    void check_rows() const {
        if (boxes_ >= 4 && 2 * sticking_out_ > boxes_ && like_corners_ == boxes_)
            fail_data(corner_example_,
                      "most boxes stick out of their pictures, and all of them fit as corners x1 y1 x2 y2: YOLO's rows "
                      "are class, centre x, centre y, width, height. Write the labels again");
        if (options_.yolo_rows != YoloRows::detect || set_.points.count > 0 || long_rows_ == 0) return;
        const bool uniform = smallest_row_ == largest_row_;
        if (!uniform || static_cast<double>(like_points_) < 0.8 * static_cast<double>(long_rows_)) return;
        fail_data(long_example_,
                  "rows of {} numbers behind the class are a box and key points within it, or a polygon: nothing in "
                  "the set tells. kpt_shape in data.yaml says the first, yolo_rows=keypoints or yolo_rows=polygons "
                  "decides",
                  smallest_row_);
    }

private:
    Sample sample(const std::string& picture, std::string& expected) {
        Sample out;
        out.path = picture;
        const ImageInfo info = image_info(picture, options_.limits);
        out.width = info.width;
        out.height = info.height;
        const std::string labels = label_of(picture);
        const std::string file = printable(labels, 300);
        if (!is_file(labels)) {
            if (expected.empty()) expected = labels;
            count(set_.tallies, "pictures without a label file (background)", printable(picture, 300));
            return out;
        }
        ++labelled_;
        set_.files.push_back(labels);
        const std::vector<YoloBox> rows =
            parse_yolo(read_whole(labels, max_yolo_label_bytes), file, options_.strictness, set_.tallies, class_count_,
                       set_.points, options_.class_base);
        const Frame frame = frame_of(0, 0, info, options_);
        if (!rows.empty()) tell_frame(frame, picture, info, set_.tallies);
        const bool stored = frame == Frame::stored;
        const double w = stored ? info.stored_width : info.width, h = stored ? info.stored_height : info.height;
        for (const YoloBox& row : rows) {
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
            if (!row.polygon) {
                if (boxes_++ == 0) corner_example_ = fmt::format("{}: line {}", file, row.line);
                sticking_out_ += row.sticks_out;
                like_corners_ += row.may_be_corners;
                continue;
            }
            if (long_rows_++ == 0) long_example_ = fmt::format("{}: line {}", file, row.line);
            like_points_ += row.may_be_points;
            smallest_row_ = std::min(smallest_row_, row.numbers);
            largest_row_ = std::max(largest_row_, row.numbers);
        }
        return out;
    }

    // Calls look(words) for every row of the pictures' label files until it says that it has seen enough.
    template <class Look>
    static void each_row(const std::vector<std::string>& pictures, Look look) {
        for (const std::string& picture : pictures) {
            const std::string labels = label_of(picture);
            if (!is_file(labels)) continue;
            const std::string text = read_whole(labels, max_yolo_label_bytes);
            LineReader lines(strip_bom(text));
            for (std::string_view line; lines.next(line);)
                if (const auto words = split_blanks(line); !words.empty() && look(words)) return;
        }
    }

    // yolo_rows=keypoints without kpt_shape: as many as the first long row has, with a visibility where all thirds are
    // one.
    void find_points(const std::vector<std::string>& pictures) {
        each_row(pictures, [&](const std::vector<std::string_view>& words) {
            if (words.size() < 7) return false;
            const std::size_t n = words.size() - 5;
            bool marked = n % 3 == 0;
            for (std::size_t i = 7; marked && i < words.size(); i += 3)
                marked = words[i] == "0" || words[i] == "1" || words[i] == "2" || words[i].starts_with("0.0000") ||
                         words[i].starts_with("1.0000") || words[i].starts_with("2.0000");
            if (!marked && n % 2 != 0) return false;
            set_.points = {static_cast<int>(n / (marked ? 3 : 2)), marked ? 3 : 2, {}};
            return true;
        });
    }

    // What a class out of range has to do with all the others: ids that count from one use the number behind the last
    // class, and 0 never.
    std::string explained_ids(const std::string& message, const std::vector<std::string>& pictures) {
        if (class_count_ < 1 || options_.class_base != 0 ||
            message.find("is out of range: the set has") == std::string::npos)
            return "";
        if (!ids_.has_value()) ids_ = range_of_ids(pictures);
        if (ids_->first != 1 || ids_->second != class_count_) return "";
        return fmt::format("; all ids run from 1 to {}: class_base=1 reads ids that count from one", class_count_);
    }

    // The lowest and highest class id of all labels; (0, 0) when some are no whole numbers.
    static std::pair<std::int64_t, std::int64_t> range_of_ids(const std::vector<std::string>& pictures) {
        std::int64_t lowest = INT64_MAX, highest = -1;
        each_row(pictures, [&](const std::vector<std::string_view>& words) {
            const auto id = parse_integer(words[0]);
            lowest = id ? std::min(lowest, *id) : 0, highest = id ? std::max(highest, *id) : 0;
            return !id;
        });
        return {lowest, highest};
    }

    // A folder of a part in which nothing is labelled may be one whose labels were lost.
    void folders_without_labels(const std::vector<std::string>& pictures) {
        std::map<std::string, std::pair<std::size_t, std::size_t>> folders;  // pictures, label files
        for (const std::string& picture : pictures) {
            auto& [all, with_file] = folders[parent_path(picture)];
            ++all, with_file += is_file(label_of(picture));
        }
        for (const auto& [folder, n] : folders)
            if (n.second == 0)
                count(set_.tallies, "folders of which no picture has a label file (their labels lost?)",
                      fmt::format("{}: {} pictures", printable(folder, 300), n.first));
    }

    // No picture of this part has a label file: perhaps they lie in a folder of another name.
    void look_beside(const std::vector<std::string>& pictures, const std::string& expected) {
        std::set<std::string> stems;
        for (const std::string& picture : pictures) stems.insert(file_stem(picture) + ".txt");
        const std::string folder = parent_path(expected), home = parent_path(folder);
        std::string found;
        if (is_directory(home))
            for (const std::string& name : list_directory(home).folders) {
                if (join_path(home, name) == folder || !found.empty()) continue;
                const Listing there = list_directory(join_path(home, name));
                if (std::any_of(there.files.begin(), there.files.end(),
                                [&](const std::string& f) { return stems.contains(f); }))
                    found = join_path(home, name);
            }
        count(set_.tallies, "parts without any label file", printable(folder, 300), 1,
              fmt::format("{}: no label file for any of {} pictures ({} ..) in {}{}", printable(folder, 300),
                          pictures.size(), printable(base_name(pictures.front()), 60),
                          is_directory(folder) ? "it" : "this folder, which is not there",
                          found.empty() ? ""
                                        : fmt::format("; {} has files of their names: call it {}",
                                                      printable(found, 200), printable(base_name(folder)))),
              TallyKind::refused);
    }

    DataSet& set_;
    const OpenOptions& options_;
    int class_count_;
    int largest_class_ = -1, smallest_row_ = INT32_MAX, largest_row_ = 0;
    std::int64_t labelled_ = 0, long_rows_ = 0, like_points_ = 0, boxes_ = 0, sticking_out_ = 0, like_corners_ = 0;
    std::string long_example_, corner_example_;
    std::optional<std::pair<std::int64_t, std::int64_t>> ids_;
};

// From the folder of the labels up to the set's own.
std::vector<std::string> read_class_list(const std::string& dir, const std::string& home, DataSet& set) {
    for (std::string folder = dir;; folder = parent_path(folder)) {
        std::vector<std::string> candidates;
        for (const char* name : {"classes.txt", "labels/classes.txt", "obj.names", "_darknet.labels", "classes.names"})
            candidates.push_back(join_path(folder, name));
        std::vector<std::string> named;
        for (const std::string& name : list_directory(folder).files)
            if (ending_of(name) == ".names") named.push_back(join_path(folder, name));
        if (named.size() == 1) candidates.push_back(named[0]);
        for (const std::string& path : candidates) {
            if (!is_file(path)) continue;
            const std::string text = read_whole(path, std::size_t{1} << 20);
            require_text(strip_bom(text), path);
            set.files.push_back(path);
            std::vector<std::string> out;
            LineReader lines(strip_bom(text));
            for (std::string_view line; lines.next(line);)
                if (!trim(line).empty()) out.emplace_back(trim(line));
            return out;
        }
        if (folder == home || home.empty() || !folder.starts_with(home) || folder == parent_path(folder)) return {};
    }
}

}  // namespace

std::string yolo_label_path(const std::string& picture) {
    std::string path = picture;
    const std::string padded = "/" + lower(path);
    if (const std::size_t at = padded.rfind("/images/"); at != std::string::npos)
        path.replace(at, 6, path[at] == 'I' ? (path[at + 1] == 'M' ? "LABELS" : "Labels") : "labels");
    const std::size_t dot = path.rfind('.');
    return path.substr(0, dot) + ".txt";
}

bool begins_like_labels(const std::string& path) {
    const std::string text = read_prefix(path, 4096);
    LineReader lines(strip_bom(text));
    for (std::string_view line; lines.next(line);) {
        const auto words = split_blanks(line);
        if (words.empty()) continue;
        return words.size() >= 5 &&
               std::all_of(words.begin(), words.end(), [](std::string_view w) { return parse_double(w).has_value(); });
    }
    return false;
}

bool has_labels_beside(const std::string& dir) {
    const Listing listing = list_directory(dir);
    std::set<std::string> pictures;
    for (const std::string& name : listing.files)
        if (has_picture_ending(name) || !unread_picture_ending(name).empty()) pictures.insert(file_stem(name));
    if (pictures.empty()) return false;
    int tried = 0;
    for (const std::string& name : listing.files)
        if (ending_of(name) == ".txt" && pictures.contains(file_stem(name)) && tried++ < 50 &&
            begins_like_labels(join_path(dir, name)))
            return true;
    return false;
}

bool looks_like_yolo(const std::string& dir) {
    return !find_yolo_yaml(dir).empty() || !find_darknet_data(dir).empty() || !plain_yolo_parts(dir).train.empty() ||
           has_labels_beside(dir);
}

DataSet open_yolo(const std::string& path, const OpenOptions& given, const std::string& home) {
    OpenOptions options = given;
    DataSet set;
    set.format = "yolo";
    set.root = path;
    std::string described = path;
    if (is_directory(path)) {
        described = find_yolo_yaml(path);
        if (described.empty()) described = find_darknet_data(path);
    }
    YoloParts parts;
    bool named = true;
    if (!described.empty()) {
        YoloDescription description = read_yolo_description(described);
        set.classes = std::move(description.classes);
        set.points = description.points;
        if (options.exif_boxes == ExifBoxes::detect) options.exif_boxes = description.exif_boxes;
        parts = {std::move(description.train), std::move(description.val), std::move(description.test),
                 description.base, fmt::format("as {} says", printable(base_name(described)))};
        set.files.push_back(described);
        set.files.insert(set.files.end(), description.files.begin(), description.files.end());
        for (const std::string& note : description.notes)
            count(set.tallies, "places taken elsewhere than written", note);
    } else {
        parts = plain_yolo_parts(path);
        if (parts.train.empty() && has_labels_beside(path)) {
            parts = listed_yolo_parts(path);
            if (parts.train.empty()) parts = {{path}, {}, {}, path, ""};
        }
        if (parts.train.empty())
            fail_data(printable(path, 300),
                      "no YOLO set: expected data.yaml, obj.data, images/ and labels/, or .txt files beside pictures");
        set.classes = read_class_list(path, home, set);
        named = set.classes_named = !set.classes.empty();
    }
    SetReader reader(set, options, named ? static_cast<int>(set.classes.size()) : -1);
    if (parts.val.empty() || options.split_is_told()) {
        std::vector<Sample> all;
        for (auto* more : {&parts.val, &parts.test})
            if (options.split_is_told()) parts.train.insert(parts.train.end(), more->begin(), more->end());
        reader.read(parts, false, all);
        split_by_order(std::move(all), options.val_fraction, set);
    } else {
        reader.read(parts, false, set.train);
        reader.read(parts, true, set.val);
        set.split = parts.split;
    }
    reader.check_rows();
    for (int i = 0; !named && i <= reader.largest_class(); ++i) set.classes.push_back(fmt::format("class{}", i));
    return set;
}

}  // namespace solobox
