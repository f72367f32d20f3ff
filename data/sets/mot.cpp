// See mot.h.
#include "data/sets/mot.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "data/sets/parts.h"
#include "data/text.h"

namespace solobox {
namespace {

constexpr std::size_t max_mot_bytes = std::size_t{256} << 20;
constexpr double max_mot_place = 1e6;  // pixels
constexpr const char* kinds[] = {"pedestrian", "person on vehicle",      "car",           "bicycle",
                                 "motorbike",  "non motorized vehicle",  "static person", "distractor",
                                 "occluder",   "occluder on the ground", "occluder full", "reflection",
                                 "crowd"};
constexpr int kind_count = static_cast<int>(std::size(kinds));
constexpr double max_kinds = 10'000;

std::string frames_below(const std::string& dir) {
    const Listing here = list_directory(dir);
    for (const char* wanted : {"img1", "img", "images", "frames"})
        for (const std::string& name : here.folders)
            if (lower(name) == wanted) return join_path(dir, name);
    return "";
}

std::string truth_of(const std::string& dir) { return join_path(dir, "gt/gt.txt"); }

std::vector<std::string_view> fields_of(std::string_view line) {
    if (line.find(',') == std::string_view::npos) return split_blanks(line);
    std::vector<std::string_view> out;
    for (std::size_t at = 0; at <= line.size();) {
        const std::size_t end = std::min(line.find(',', at), line.size());
        out.push_back(trim(line.substr(at, end - at)));
        at = end + 1;
    }
    if (out.size() > 1 && out.back().empty()) out.pop_back();  // a comma at the end
    return out;
}

// The last number in a file's name; -1 when there is none.
std::int64_t number_in(const std::string& name) {
    const std::string stem = file_stem(name);
    std::size_t end = stem.size();
    while (end > 0 && (stem[end - 1] < '0' || stem[end - 1] > '9')) --end;
    std::size_t begin = end;
    while (begin > 0 && stem[begin - 1] >= '0' && stem[begin - 1] <= '9') --begin;
    return parse_integer(std::string_view(stem).substr(begin, end - begin)).value_or(-1);
}

}  // namespace

std::vector<MotRow> parse_mot(std::string_view text, const std::string& file) {
    text = strip_bom(text);
    require_text(text, file);
    std::vector<MotRow> rows;
    std::vector<double> eighth;
    std::size_t columns = 0;
    LineReader lines(text);
    for (std::string_view line; lines.next(line);) {
        const auto words = fields_of(line);
        if (words.empty() || (words.size() == 1 && words[0].empty())) continue;
        if (words.size() < 6 || words.size() > 10)
            fail_line(file, lines.number(), "{} columns, expected 6 to 10: frame, track, left, top, width, height, ..",
                      words.size());
        if (columns != 0 && words.size() != columns)
            fail_line(file, lines.number(), "{} columns, the lines before have {}", words.size(), columns);
        columns = words.size();
        std::vector<double> numbers;
        for (const std::string_view word : words) {
            const auto value = parse_double(word);
            if (!value || !std::isfinite(*value))
                fail_line(file, lines.number(), "\"{}\" is not a finite number", printable(word));
            numbers.push_back(*value);
        }
        MotRow row;
        row.line = lines.number();
        if (numbers[0] < 0 || numbers[0] > 1e9 || numbers[0] != std::floor(numbers[0]))
            fail_line(file, row.line, "frame {} is no whole number from 1", numbers[0]);
        row.frame = static_cast<std::int64_t>(numbers[0]);
        row.track = static_cast<std::int64_t>(std::clamp(numbers[1], -1e15, 1e15));
        row.x = numbers[2], row.y = numbers[3], row.w = numbers[4], row.h = numbers[5];
        if (std::max({std::abs(row.x), std::abs(row.y), std::abs(row.w), std::abs(row.h)}) > max_mot_place)
            fail_line(file, row.line, "the box {} {} {} {} is out of range for pixels", row.x, row.y, row.w, row.h);
        if (numbers.size() > 6) row.confidence = numbers[6];
        if (numbers.size() == 9) eighth.push_back(numbers[7]);
        rows.push_back(row);
    }
    const bool named = !eighth.empty() && std::all_of(eighth.begin(), eighth.end(), [](double v) {
        return v == std::floor(v) && v >= 0 && v <= max_kinds;
    });
    for (std::size_t i = 0; named && i < rows.size(); ++i) rows[i].kind = static_cast<int>(eighth[i]);
    return rows;
}

namespace {

// By kind + 1, so that "none" has a place.
std::vector<std::string> kind_names(const std::string& dir, const std::map<int, int>& ids, DataSet& set) {
    const int highest = ids.empty() ? 0 : ids.rbegin()->first;
    std::vector<std::string> names{"pedestrian"};
    for (int k = 0; k <= highest; ++k) names.push_back(fmt::format("class{}", k));
    const std::string list = join_path(dir, "gt/labels.txt");
    if (is_file(list)) {
        const std::string text = read_whole(list, std::size_t{1} << 20);
        require_text(strip_bom(text), printable(list, 300));
        set.files.push_back(list);
        LineReader lines(strip_bom(text));
        std::size_t kind = 1;  // CVAT counts from 1
        for (std::string_view line; lines.next(line); ++kind)
            if (!trim(line).empty() && kind + 1 < names.size()) names[kind + 1] = std::string(trim(line));
        return names;
    }
    const bool of_mot16 = std::all_of(ids.begin(), ids.end(), [](const auto& id) {
        return id.first == -1 || (id.first >= 1 && id.first <= kind_count);
    });
    for (int k = 1; of_mot16 && k <= highest; ++k) names[static_cast<std::size_t>(k) + 1] = kinds[k - 1];
    return names;
}

}  // namespace

bool looks_like_mot(const std::string& dir) {
    if (!is_file(truth_of(dir))) return false;
    return !frames_below(dir).empty();
}

DataSet open_mot(const std::string& dir, const OpenOptions& options) {
    const std::string truth = truth_of(dir), file = printable(truth, 300), folder = frames_below(dir);
    if (!is_file(truth) || folder.empty())
        fail_data(printable(dir, 300), "no MOT sequence: expected gt/gt.txt beside img1/ or img/");
    DataSet set;
    set.format = "mot";
    set.root = dir;
    set.files.push_back(truth);
    const std::vector<MotRow> rows = parse_mot(read_whole(truth, max_mot_bytes), file);
    std::map<std::int64_t, std::vector<const MotRow*>> by_frame;
    std::map<int, int> ids;
    for (const MotRow& row : rows) {
        by_frame[row.frame].push_back(&row);
        if (row.confidence != 0) ids[row.kind] = 0;
    }
    const std::vector<std::string> names = kind_names(dir, ids, set);
    for (auto& [kind, id] : ids) {
        id = static_cast<int>(set.classes.size());
        set.classes.push_back(names.at(static_cast<std::size_t>(kind + 1)));
    }
    std::map<std::int64_t, std::string> pictures;
    for (const std::string& name : list_directory(folder).files) {
        if (!has_picture_ending(name)) continue;
        const std::int64_t number = number_in(name);
        if (number < 0) fail_data(printable(join_path(folder, name), 300), "a frame without a number in its name");
        if (!pictures.emplace(number, name).second)
            fail_data(printable(join_path(folder, name), 300), "a second picture of frame {}", number);
    }
    if (!pictures.empty() && pictures.begin()->first == 0 && !by_frame.empty() && !by_frame.contains(0)) {
        // The rows of MOT count from 1.
        const std::int64_t last = pictures.rbegin()->first;
        if (!by_frame.contains(last + 1))
            fail_data(printable(folder, 300),
                      "pictures are numbered from 0 and the rows of {} from {}: nothing tells whether frame 1 is the "
                      "first picture or the second. Number the pictures from 1",
                      file, by_frame.begin()->first);
        std::map<std::int64_t, std::string> moved;
        for (auto& [number, name] : pictures) moved.emplace(number + 1, std::move(name));
        pictures = std::move(moved);
        count(set.tallies, "sequences whose pictures count from 0 and rows from 1 (moved by one)", file);
    }
    std::vector<Sample> all;
    for (const auto& [number, name] : pictures) {
        const std::string path = join_path(folder, name);
        const auto found = by_frame.find(number);
        if (found == by_frame.end()) count(set.tallies, "frames without a box (background)", printable(path, 300));
        try {
            const ImageInfo info = image_info(path, options.limits);
            Sample sample{path, info.width, info.height, -1, {}};
            for (const MotRow* row : found == by_frame.end() ? std::vector<const MotRow*>() : found->second) {
                const std::string line = fmt::format("{}:{}", file, row->line);
                if (row->confidence == 0) {
                    count(set.tallies, TallyKind::box, "boxes marked as not to be counted (confidence 0)", line);
                    continue;
                }
                const Object whole{ids.at(row->kind), row->x, row->y, row->x + row->w, row->y + row->h, false};
                Object cut = whole;
                cut.x1 = std::max(cut.x1, 0.0), cut.y1 = std::max(cut.y1, 0.0);
                cut.x2 = std::min<double>(cut.x2, info.width), cut.y2 = std::min<double>(cut.y2, info.height);
                if (!(cut.x2 > cut.x1 && cut.y2 > cut.y1)) {
                    count(set.tallies, TallyKind::bad_box, "boxes without area, or outside the frame, skipped", line);
                    continue;
                }
                if (cut.x1 != whole.x1 || cut.y1 != whole.y1 || cut.x2 != whole.x2 || cut.y2 != whole.y2)
                    count(set.tallies, TallyKind::box, "boxes cut at the frame's edge", line);
                sample.objects.push_back(cut);
            }
            all.push_back(std::move(sample));
        } catch (const DataError&) {
            skip_or_rethrow(options, set.tallies, printable(path, 300));
        }
    }
    for (const auto& [number, some] : by_frame)
        if (!pictures.contains(number))
            count(set.tallies, TallyKind::absent, "rows of frames that are not there",
                  fmt::format("{}:{}", file, some.front()->line));
    split_by_order(std::move(all), options.val_fraction, set);
    return set;
}

}  // namespace solobox
