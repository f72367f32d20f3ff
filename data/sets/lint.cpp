// See lint.h.
#include "data/sets/lint.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "data/image/image.h"
#include "data/sets/lint_pictures.h"
#include "data/sets/parts.h"
#include "data/sets/yolo.h"
#include "data/text.h"
#include "tensor/kernels/parallel.h"

namespace solobox {
namespace {

// "FILE: line 7: text" -> place FILE:7 and text; "FILE: text" -> FILE and text.
Finding from_message(const std::string& message, bool error, const std::string& kind) {
    Finding out{error, kind, message, ""};
    const std::size_t line = message.find(": line ");
    if (line != std::string::npos) {
        const std::size_t end = message.find(": ", line + 7);
        if (end != std::string::npos && parse_integer(std::string_view(message).substr(line + 7, end - line - 7))) {
            out.place = message.substr(0, line) + ":" + message.substr(line + 7, end - line - 7);
            out.message = message.substr(end + 2);
            return out;
        }
    }
    if (const std::size_t colon = message.find(": "); colon != std::string::npos) {
        out.place = message.substr(0, colon);
        out.message = message.substr(colon + 2);
    }
    return out;
}

class Linter {
public:
    Linter(const std::string& path, const OpenOptions& options, Look look)
        : options_(options), lenient_(options.skip_bad), look_(look) {
        options_.skip_bad = true;  // all flaws, not the first
        options_.keep_empty = true;
        options_.strictness = Strictness::lenient;
        out_.quick = look == Look::headers;
        out_.set = open_dataset(path, options_);
    }

    LintReport run(const std::function<void(std::int64_t, std::int64_t)>& progress) {
        from_tallies();
        if (out_.set.format == "yolo") labels_without_picture();
        if (out_.set.format == "coco") pictures_not_listed();
        unread();
        if (look_ == Look::pixels)
            decode(progress);
        else
            read_headers();
        for (auto* samples : {&out_.set.train, &out_.set.val})
            std::erase_if(*samples, [&](const Sample& s) { return out_.unusable.contains(s.path); });
        count_split(out_.set.train, out_.train);
        count_split(out_.set.val, out_.val);
        empty_parts();
        unused_classes();
        if (look_ == Look::pixels) {
            equal_pictures();
            near_pictures();
        } else {
            equal_files();
        }
        measure_boxes();
        measure_baseline();
        std::stable_sort(out_.findings.begin(), out_.findings.end(),
                         [](const Finding& a, const Finding& b) { return a.error > b.error; });
        return std::move(out_);
    }

private:
    void from_tallies() {
        for (const Tally& tally : out_.set.tallies) {
            const bool refused = tally.kind == TallyKind::refused, box = tally.kind == TallyKind::bad_box,
                       missing = tally.kind == TallyKind::absent;
            const bool error = !lenient_ && (refused || box || missing);
            for (const std::string& note : tally.notes) {
                if (refused) {
                    out_.findings.push_back(from_message(note, error, "unusable"));
                    if (out_.set.format == "yolo" && tally.what.starts_with("pictures or labels")) other_lines();
                } else {
                    out_.findings.push_back({error, box ? "box" : "label", note, tally.what});
                }
            }
        }
    }

    // A reader stops at the first bad line of a label file; here are the others.
    void other_lines() {
        const Finding first = out_.findings.back();
        const std::size_t colon = first.place.rfind(':');
        const std::string file = first.place.substr(0, colon);
        if (colon == std::string::npos || !file.ends_with(".txt") || !is_file(file)) return;
        const auto begin = parse_integer(std::string_view(first.place).substr(colon + 1)).value_or(0);
        const std::string text = read_whole(file, std::size_t{64} << 20);
        const std::string_view body = strip_bom(text);
        if (find_control(body) != std::string_view::npos || find_bad_utf8(body) != std::string_view::npos) return;
        const int classes = out_.set.classes_named ? static_cast<int>(out_.set.classes.size()) : -1;
        LineReader lines(body);
        int found = 0;
        for (std::string_view line; lines.next(line) && found < 1000;) {
            if (lines.number() <= begin) continue;
            std::vector<Tally> unused;
            try {
                parse_yolo(line, file, Strictness::lenient, unused, classes, out_.set.points, options_.class_base);
            } catch (const DataError& error) {
                Finding finding = from_message(error.what(), first.error, first.kind);
                finding.place = fmt::format("{}:{}", file, lines.number());
                out_.findings.push_back(std::move(finding));
                ++found;
            }
        }
    }

    std::set<std::string> picture_folders() const {
        std::set<std::string> out;
        for (const auto* samples : {&out_.set.train, &out_.set.val})
            for (const Sample& sample : *samples) out.insert(parent_path(sample.path));
        return out;
    }

    void labels_without_picture() {
        std::set<std::string> expected, folders;
        const std::set<std::string> pictures = picture_folders();
        for (const std::string& folder : pictures)
            for (const std::string& name : list_directory(folder).files) {
                if (!has_picture_ending(name)) continue;
                expected.insert(join_path(folder, file_stem(name) + ".txt"));
                const std::string label = yolo_label_path(join_path(folder, name));
                folders.insert(parent_path(label));
                expected.insert(label);
            }
        for (const std::string& folder : folders) {
            if (!is_directory(folder)) continue;
            const bool beside = pictures.contains(folder);  // other texts lie there, too
            for (const std::string& name : list_directory(folder).files)
                if (name.ends_with(".txt") && (!beside || begins_like_labels(join_path(folder, name))) &&
                    name != "classes.txt" && !expected.contains(join_path(folder, name))) {
                    out_.set.files.push_back(join_path(folder, name));
                    out_.findings.push_back({!lenient_, "label", printable(join_path(folder, name), 300),
                                             "a label file without its picture"});
                }
        }
    }

    void pictures_not_listed() {
        // Those that a file lists and that were left out for their labels are told by their labels.
        std::set<std::string> listed(out_.set.files.begin(), out_.set.files.end());
        for (const auto* samples : {&out_.set.train, &out_.set.val})
            for (const Sample& sample : *samples) listed.insert(sample.path);
        for (const std::string& folder : picture_folders())
            for (const std::string& name : list_directory(folder).files) {
                const std::string path = join_path(folder, name);
                if (!has_picture_ending(name) || listed.contains(path)) continue;
                try {
                    (void)image_info(path, options_.limits);
                } catch (const DataError&) {
                    continue;  // listed, and named as unusable already
                }
                out_.set.files.push_back(path);
                out_.findings.push_back({false, "label", printable(path, 300), "a picture that no COCO file lists"});
            }
    }

    void decode(const std::function<void(std::int64_t, std::int64_t)>& progress) {
        for (const auto* samples : {&out_.set.train, &out_.set.val})
            for (const Sample& sample : *samples) all_.push_back(&sample);
        prints_.resize(all_.size());
        glances_.resize(all_.size());
        std::vector<std::string> flaws(all_.size());
        const auto n = static_cast<std::int64_t>(all_.size());
        constexpr std::int64_t block = 64;  // pictures between two words of progress
        for (std::int64_t begin = 0; begin < n; begin += block) {
            if (progress) progress(begin, n);
            parallel_for(std::min(block, n - begin), [&](std::int64_t tile) {
                const auto i = static_cast<std::size_t>(begin + tile);
                const Sample& sample = *all_[i];
                try {
                    const Image image = read_image(sample.path, options_.limits);
                    if (sample.width > 0 && (image.width != sample.width || image.height != sample.height))
                        fail_data(printable(sample.path, 300), "{} x {} pixels, but its labels are for {} x {}",
                                  image.width, image.height, sample.width, sample.height);
                    prints_[i] = fingerprint(image);
                    glances_[i] = glance(image);
                    if (!sample.mask.empty()) flaws[i] = flaw_of_mask(sample.mask, options_.limits);
                } catch (const DataError& error) {
                    flaws[i] = error.what();
                }
            });
        }
        for (std::size_t i = 0; i < all_.size(); ++i) {
            if (flaws[i].empty()) {
                by_print_[prints_[i]].push_back({i < out_.set.train.size(), all_[i]->path});
                known_.emplace_back(i < out_.set.train.size(), all_[i]->path);
                known_glances_.push_back(glances_[i]);
                continue;
            }
            out_.unusable.insert(all_[i]->path);
            out_.findings.push_back(from_message(flaws[i], !lenient_, "picture"));
        }
    }

    void equal_pictures() {
        for (const auto& [print, pictures] : by_print_) {
            std::vector<std::string> train, val;
            for (const auto& [in_train, path] : pictures) (in_train ? train : val).push_back(path);
            for (const std::string& path : train)
                if (!val.empty()) {
                    out_.leaks.push_back({path, val.front()});
                    out_.findings.push_back({true, "leak", printable(path, 300),
                                             "the same picture is in val: " + printable(val.front(), 300)});
                }
            for (auto* same : {&train, &val})
                if (same->size() > 1) out_.duplicates.push_back(*same);
        }
        std::sort(out_.leaks.begin(), out_.leaks.end());
        std::sort(out_.duplicates.begin(), out_.duplicates.end());
        for (const auto& same : out_.duplicates)
            for (std::size_t i = 1; i < same.size(); ++i)
                out_.findings.push_back({false, "duplicate", printable(same[i], 300),
                                         "the same picture as " + printable(same.front(), 300)});
    }

    // Headers that no reader has needed yet.
    void read_headers() {
        for (const auto* samples : {&out_.set.train, &out_.set.val})
            for (const Sample& sample : *samples) {
                if (sample.width > 0) continue;
                try {
                    (void)image_info(sample.path, options_.limits);
                } catch (const DataError& error) {
                    out_.unusable.insert(sample.path);
                    out_.findings.push_back(from_message(error.what(), !lenient_, "picture"));
                }
            }
    }

    // What is there for testing, and notes, are told beside the findings.
    void unread() {
        out_.unread = find_unread(out_.set);
        const auto of_unread_kind = [](const Unread& u) { return !unread_picture_ending(u.example).empty(); };
        std::int64_t lost = 0;
        for (const Unread& u : out_.unread)
            if (u.pictures && !u.expected && !of_unread_kind(u)) lost += u.count;
        const bool most = lost > std::ssize(out_.set.train) + std::ssize(out_.set.val);
        for (const Unread& u : out_.unread) {
            if (u.expected) continue;
            const bool kind = of_unread_kind(u), error = kind || (u.pictures && most);
            out_.findings.push_back(
                {error && !lenient_, "unread", printable(u.example, 300),
                 kind ? fmt::format("{} {}: convert them to PNG or JPEG (mogrify -format png FILES)", u.count, u.what)
                      : fmt::format("{} {} that nothing of the set refers to", u.count, u.what)});
        }
    }

    // Boxes are what a set of boxes is for.
    void empty_parts() {
        const bool boxes = out_.train.boxes + out_.val.boxes > 0;
        for (const auto& [name, counts] : {std::pair{"train", &out_.train}, std::pair{"val", &out_.val}}) {
            if (counts->pictures == 0)
                out_.findings.push_back(
                    {true, "part", printable(out_.set.root, 300), fmt::format("{}: no picture", name)});
            else if (counts->boxes == 0 && (boxes || labelled_with_boxes()))
                out_.findings.push_back({true, "part", printable(out_.set.root, 300),
                                         fmt::format("{}: no box in any of its {} pictures", name, counts->pictures)});
        }
    }

    bool labelled_with_boxes() const {
        const std::string& f = out_.set.format;
        return f != "folder" && f != "tiny-imagenet" && f != "masks";
    }

    void unused_classes() {
        const auto& classes = out_.set.classes;
        if (out_.set.format == "masks" || classes.empty()) return;
        std::vector<std::string> unused;
        const auto warn = [&](const std::string& text) {
            out_.findings.push_back({false, "class", printable(out_.set.root, 300), text});
        };
        for (std::size_t i = 0; i < classes.size(); ++i) {
            if (out_.train.pictures_of_class[i] > 0) continue;
            if (out_.val.pictures_of_class[i] > 0)
                warn(fmt::format("class {}: no training picture has it", printable(classes[i], 60)));
            else
                unused.push_back(printable(classes[i], 60));
        }
        // Only the first is never used, and nothing was wrong with the labels: ids that count from one.
        const bool from_one =
            unused.size() == 1 && classes.size() > 1 && unused[0] == printable(classes[0], 60) &&
            out_.set.format == "yolo" && options_.class_base == 0 &&
            std::none_of(out_.findings.begin(), out_.findings.end(), [](const Finding& f) { return f.error; });
        constexpr std::size_t most = 5;
        for (std::size_t i = 0; i < std::min(unused.size(), most); ++i)
            warn(fmt::format("class {}: no picture has it{}", unused[i],
                             from_one ? " (do the ids count from one? class_base=1)" : ""));
        if (unused.size() > most) warn(fmt::format("{} more classes that no picture has", unused.size() - most));
        std::map<std::string, std::string> plain;
        for (const std::string& name : classes)
            if (const auto [same, fresh] = plain.emplace(lower(trim(name)), name); !fresh)
                warn(fmt::format("classes \"{}\" and \"{}\" differ in case or blanks only", printable(same->second, 60),
                                 printable(name, 60)));
    }

    void equal_files() {
        for (const auto& [train, val] : pictures_in_both(out_.set.train, out_.set.val)) {
            out_.leaks.push_back({train, val});
            out_.findings.push_back(
                {true, "leak", printable(train, 300), "the same picture is in val: " + printable(val, 300)});
        }
        std::sort(out_.leaks.begin(), out_.leaks.end());
    }

    // Frames of one video, the same photograph saved twice: a score on them is too good.
    void near_pictures() {
        std::set<std::string> leaked;
        for (const auto& [train, val] : out_.leaks) leaked.insert(val);
        std::vector<std::size_t> train, val;
        for (std::size_t i = 0; i < known_.size(); ++i) (known_[i].first ? train : val).push_back(i);
        const std::vector<std::size_t> twin = nearly_equal_pairs(known_glances_, train, val);
        for (std::size_t v = 0; v < val.size(); ++v) {
            const std::string& path = known_[val[v]].second;
            if (twin[v] == SIZE_MAX || leaked.contains(path)) continue;
            const std::string& other = known_[twin[v]].second;
            out_.near.push_back({other, path});
            out_.findings.push_back({false, "near", printable(path, 300),
                                     "nearly the same picture is in train: " + printable(other, 300) +
                                         " (one video? split by it: val_match=, val_list=)"});
        }
    }

    void count_split(const std::vector<Sample>& samples, SplitCounts& counts) const {
        const std::size_t classes = out_.set.classes.size();
        counts.boxes_of_class.assign(classes, 0);
        counts.pictures_of_class.assign(classes, 0);
        for (const Sample& sample : samples) {
            ++counts.pictures;
            counts.background += sample.objects.empty() && sample.class_id < 0 && sample.mask.empty();
            counts.masks += !sample.mask.empty();
            std::set<int> here;
            if (sample.class_id >= 0) here.insert(sample.class_id);
            for (const Object& object : sample.objects) {
                ++counts.boxes;
                counts.crowds += object.crowd;
                ++counts.boxes_of_class.at(static_cast<std::size_t>(object.class_id));
                here.insert(object.class_id);
            }
            for (const int id : here) ++counts.pictures_of_class.at(static_cast<std::size_t>(id));
        }
    }

    void measure_boxes() {
        std::vector<double> w, h, area, w_pixels, h_pixels;
        for (const auto* samples : {&out_.set.train, &out_.set.val})
            for (const Sample& sample : *samples)
                for (const Object& o : sample.objects) {
                    w_pixels.push_back(o.x2 - o.x1);
                    h_pixels.push_back(o.y2 - o.y1);
                    w.push_back((o.x2 - o.x1) / sample.width);
                    h.push_back((o.y2 - o.y1) / sample.height);
                    area.push_back(w.back() * h.back());
                }
        out_.box_width = spread_of(std::move(w));
        out_.box_height = spread_of(std::move(h));
        out_.box_area = spread_of(std::move(area));
        out_.box_width_pixels = spread_of(std::move(w_pixels));
        out_.box_height_pixels = spread_of(std::move(h_pixels));
    }

    void measure_baseline() {
        std::vector<Tally> unused;
        const auto boxes = [&](const std::vector<Sample>& samples) {
            std::vector<UnitBox> out;
            for (const Target& target : usable(samples, BoxPolicy::largest, unused)) out.push_back(target.box);
            return out;
        };
        const std::vector<UnitBox> train = boxes(out_.set.train), val = boxes(out_.set.val);
        out_.val_targets = static_cast<std::int64_t>(val.size());
        if (train.empty() || val.empty()) return;
        out_.mean_box_iou = mean_unit_iou(mean_box(train), val);
        out_.constant_box_iou = mean_unit_iou(best_constant_box(train), val);
    }

    OpenOptions options_;
    bool lenient_;
    Look look_;
    LintReport out_;
    std::vector<const Sample*> all_;
    std::vector<Fingerprint> prints_;
    std::vector<Glance> glances_;
    std::vector<std::pair<bool, std::string>> known_;  // pictures that decode: in train?, path
    std::vector<Glance> known_glances_;                // of them
    std::map<Fingerprint, std::vector<std::pair<bool, std::string>>> by_print_;  // in train?, path
};

}  // namespace

std::int64_t LintReport::errors() const {
    return std::count_if(findings.begin(), findings.end(), [](const Finding& f) { return f.error; });
}
std::int64_t LintReport::warnings() const { return static_cast<std::int64_t>(findings.size()) - errors(); }

LintReport lint(const std::string& path, const OpenOptions& options,
                const std::function<void(std::int64_t, std::int64_t)>& progress, Look look) {
    return Linter(path, options, look).run(progress);
}

}  // namespace solobox
