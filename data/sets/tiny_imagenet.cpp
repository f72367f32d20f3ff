// See tiny_imagenet.h.
#include "data/sets/tiny_imagenet.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "data/sets/parts.h"
#include "data/text.h"

namespace solobox {
namespace {

constexpr std::size_t max_tiny_bytes = std::size_t{64} << 20;

bool is_plain_name(std::string_view name) {
    const auto plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    };
    return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), plain);
}

std::vector<TinyRow> parse_rows(std::string_view text, const std::string& file, Strictness strictness,
                                std::vector<Tally>& tallies, int side, bool with_wnid) {
    text = strip_bom(text);
    if (trim(text).empty()) fail_data(file, "the file is empty, expected a line for each picture");
    require_text(text, file);
    const std::size_t fields = with_wnid ? 6 : 5;
    std::vector<TinyRow> rows;
    std::unordered_set<std::string_view> seen;
    LineReader lines(text);
    for (std::string_view line; lines.next(line);) {
        const std::int64_t n = lines.number();
        const auto words = split_blanks(line);
        if (words.empty()) continue;
        if (words.size() != fields)
            fail_line(file, n, "{} fields, expected {}: picture {}x1 y1 x2 y2", words.size(), fields,
                      with_wnid ? "class " : "");
        TinyRow row;
        row.line = n;
        row.picture = words[0];
        if (!stays_below(row.picture) || row.picture.find('/') != std::string::npos)
            fail_line(file, n, "picture \"{}\" is a path, expected a bare file name", printable(row.picture));
        if (!seen.insert(words[0]).second) fail_line(file, n, "picture {} is listed twice", printable(row.picture));
        if (with_wnid) {
            row.wnid = words[1];
            if (!is_plain_name(row.wnid)) fail_line(file, n, "class id \"{}\" is not a name", printable(row.wnid));
        }
        std::int64_t ends[4];
        for (std::size_t i = 0; i < 4; ++i) {
            const std::string_view word = words[fields - 4 + i];
            const auto value = parse_integer(word);
            if (!value) fail_line(file, n, "\"{}\" in the box is not a whole number", printable(word));
            if (*value < 0 || *value >= side)
                fail_line(file, n, "box end {} lies outside the picture (0 to {})", *value, side - 1);
            ends[i] = *value;
        }
        row.object.x1 = static_cast<double>(ends[0]);
        row.object.y1 = static_cast<double>(ends[1]);
        row.object.x2 = static_cast<double>(ends[2] + 1);
        row.object.y2 = static_cast<double>(ends[3] + 1);
        if (ends[2] <= ends[0] || ends[3] <= ends[1]) {
            if (strictness == Strictness::strict)
                fail_line(file, n, "box {} {} {} {} is swapped or has no area", ends[0], ends[1], ends[2], ends[3]);
            count(tallies, TallyKind::bad_box, "boxes without area skipped", fmt::format("{}:{}", file, n));
            row.has_box = false;
        }
        rows.push_back(std::move(row));
    }
    return rows;
}

// words.txt: "wnid<tab>name, other name"; the first name is shown.
std::map<std::string, std::string> read_words(const std::string& path) {
    std::map<std::string, std::string> out;
    if (!is_file(path)) return out;
    const std::string text = read_whole(path, max_tiny_bytes);
    require_text(text, path);
    LineReader lines(text);
    for (std::string_view line; lines.next(line);) {
        const std::size_t tab = line.find('\t');
        if (tab == std::string_view::npos) continue;
        const std::string_view names = line.substr(tab + 1);
        out.emplace(line.substr(0, tab), trim(names.substr(0, names.find(','))));
    }
    return out;
}

int side_of(const std::string& folder, const Listing& listing, const OpenOptions& options) {
    for (const std::string& name : listing.files) {
        if (!has_picture_ending(name)) continue;
        try {
            const ImageInfo info = image_info(join_path(folder, name), options.limits);
            if (info.width == info.height) return info.width;
        } catch (const DataError&) {
            continue;  // a broken picture is named when it is decoded
        }
        break;
    }
    return 64;
}

struct TinyPart {
    DataSet& set;
    const OpenOptions& options;
    const std::unordered_map<std::string, int>& ids;
    int side;

    // rows: labels; a picture without a row is kept for classification when class_id >= 0, else left out.
    void add(const std::string& folder, const Listing& listing, const std::vector<TinyRow>& rows,
             const std::string& file, int class_id, std::vector<Sample>& to) const {
        std::unordered_set<std::string> left;
        for (const std::string& name : listing.files)
            if (has_picture_ending(name)) left.insert(name);
        for (const TinyRow& row : rows) {
            try {
                if (left.erase(row.picture) == 0)
                    fail_line(file, row.line, "picture {} is not in {}: add it or use --skip-bad",
                              printable(row.picture), printable(folder, 200));
                Sample sample = bare(join_path(folder, row.picture), class_id < 0 ? id_of(row, file) : class_id);
                if (row.has_box) {
                    sample.objects.push_back(row.object);
                    sample.objects.back().class_id = sample.class_id;
                }
                to.push_back(std::move(sample));
            } catch (const DataError&) {
                skip_or_rethrow(options, set.tallies, fmt::format("{}:{}", file, row.line));
            }
        }
        const std::set<std::string> in_order(left.begin(), left.end());
        for (const std::string& name : in_order) {
            if (class_id >= 0) to.push_back(bare(join_path(folder, name), class_id));
            count(set.tallies, class_id >= 0 ? TallyKind::box : TallyKind::picture,
                  class_id >= 0 ? "pictures without a box" : "pictures without a label left out",
                  printable(join_path(folder, name), 300));
        }
    }

    Sample bare(const std::string& path, int class_id) const {
        Sample sample;
        sample.path = path;
        sample.width = sample.height = side;
        sample.class_id = class_id;
        return sample;
    }

    int id_of(const TinyRow& row, const std::string& file) const {
        const auto it = ids.find(row.wnid);
        if (it == ids.end()) fail_line(file, row.line, "class {} is not in wnids.txt", printable(row.wnid));
        return it->second;
    }
};

}  // namespace

std::vector<std::string> parse_wnids(std::string_view text, const std::string& file) {
    text = strip_bom(text);
    require_text(text, file);
    std::vector<std::string> out;
    std::unordered_set<std::string_view> seen;
    LineReader lines(text);
    for (std::string_view line; lines.next(line);) {
        const std::string_view wnid = trim(line);
        if (wnid.empty()) continue;
        if (wnid.find_first_of("/\\.") != std::string_view::npos)
            fail_line(file, lines.number(), "class id \"{}\" is a path, expected a bare id such as n01443537",
                      printable(wnid));
        if (!is_plain_name(wnid))
            fail_line(file, lines.number(), "\"{}\" is not a class id, expected one such as n01443537 a line",
                      printable(wnid));
        if (!seen.insert(wnid).second) fail_line(file, lines.number(), "class {} is listed twice", wnid);
        out.emplace_back(wnid);
    }
    if (out.empty()) fail_data(file, "the file is empty, expected a class id a line");
    return out;
}

std::vector<TinyRow> parse_val_annotations(std::string_view text, const std::string& file, Strictness strictness,
                                           std::vector<Tally>& tallies, int side) {
    return parse_rows(text, file, strictness, tallies, side, true);
}

std::vector<TinyRow> parse_tiny_boxes(std::string_view text, const std::string& file, Strictness strictness,
                                      std::vector<Tally>& tallies, int side) {
    return parse_rows(text, file, strictness, tallies, side, false);
}

bool looks_like_tiny_imagenet(const std::string& dir) {
    return is_file(join_path(dir, "wnids.txt")) && is_directory(join_path(dir, "train"));
}

DataSet open_tiny_imagenet(const std::string& dir, const OpenOptions& options) {
    DataSet set;
    set.format = "tiny-imagenet";
    set.root = dir;
    const std::string list = join_path(dir, "wnids.txt");
    const std::vector<std::string> wnids = parse_wnids(read_whole(list, max_tiny_bytes), printable(list, 300));
    const auto words = read_words(join_path(dir, "words.txt"));
    set.files = {list, join_path(dir, "words.txt")};
    std::unordered_map<std::string, int> ids;
    for (const std::string& wnid : wnids) {
        ids.emplace(wnid, static_cast<int>(set.classes.size()));
        const auto word = words.find(wnid);
        set.classes.push_back(word == words.end() || word->second.empty() ? wnid : word->second);
    }
    for (const std::string& wnid : wnids) {
        const std::string home = join_path(dir, "train/" + wnid), folder = join_path(home, "images");
        if (!is_directory(folder)) fail_data(printable(folder, 300), "no such directory, but wnids.txt lists {}", wnid);
        const Listing listing = list_directory(folder);
        const TinyPart part{set, options, ids, side_of(folder, listing, options)};
        const std::string boxes = join_path(home, wnid + "_boxes.txt"), file = printable(boxes, 300);
        std::vector<TinyRow> rows;
        set.files.push_back(boxes);
        if (is_file(boxes))
            rows =
                parse_tiny_boxes(read_whole(boxes, max_tiny_bytes), file, options.strictness, set.tallies, part.side);
        part.add(folder, listing, rows, file, ids.at(wnid), set.train);
    }
    const std::string folder = join_path(dir, "val/images"), path = join_path(dir, "val/val_annotations.txt");
    if (is_directory(folder)) {
        const Listing listing = list_directory(folder);
        const TinyPart part{set, options, ids, side_of(folder, listing, options)};
        const std::string file = printable(path, 300);
        part.add(
            folder, listing,
            parse_val_annotations(read_whole(path, max_tiny_bytes), file, options.strictness, set.tallies, part.side),
            file, -1, set.val);
        set.files.push_back(path);
        set.split = "by folders: train to train on, val for validation";
        sort_by_path(set.train);
        sort_by_path(set.val);
    } else {
        split_by_order(std::move(set.train), options.val_fraction, set);
    }
    return set;
}

}  // namespace solobox
