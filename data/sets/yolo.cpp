// The text of one YOLO label file. The directories are in yolo_set.cpp.
#include "data/sets/yolo.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <tuple>

#include "data/text.h"

namespace solobox {
namespace {

constexpr double slack = 0.01;  // beyond the picture by more than this is no rounding
constexpr std::int64_t max_classes = 100000;

class LabelParser {
public:
    LabelParser(const std::string& file, Strictness strictness, std::vector<Tally>& tallies, int class_count,
                const PointLayout& points, int class_base)
        : file_(file),
          strict_(strictness == Strictness::strict),
          tallies_(tallies),
          class_count_(class_count),
          points_(points),
          class_base_(class_base) {}

    std::vector<YoloBox> parse(std::string_view text) {
        LineReader lines(text);
        for (std::string_view line; lines.next(line);) {
            line_ = lines.number();
            split(line);
            if (!words_.empty()) row();
        }
        return std::move(boxes_);
    }

private:
    template <class... Args>
    [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
        fail_line(file_, line_, format, std::forward<Args>(args)...);
    }

    void split(std::string_view line) {
        words_.clear();
        std::size_t i = 0;
        while (i < line.size()) {
            const std::size_t start = line.find_first_not_of(" \t\r\v\f", i);
            if (start == std::string_view::npos) break;
            i = std::min(line.find_first_of(" \t\r\v\f", start), line.size());
            words_.push_back(line.substr(start, i - start));
        }
    }

    void row() {
        const std::size_t n = words_.size();
        const bool pointed = points_.count > 0 && n == 5 + static_cast<std::size_t>(points_.count * points_.numbers);
        const bool polygon = !pointed && n >= 7 && n % 2 == 1;
        if (n == 1 && words_[0].find(',') != std::string_view::npos)
            fail("wrong number of fields: they are separated by commas, expected blanks");
        if (n != 5 && !polygon && !pointed)
            fail("wrong number of fields: {} (\"{}\"), expected 5: class cx cy w h{}{}", n, printable(words_[0], 20),
                 n == 6 ? " (is the last one a confidence? remove it)" : "",
                 points_.count > 0 ? fmt::format(", or {} with its key points", 5 + points_.count * points_.numbers)
                 : n > 6 && (n - 5) % 3 == 0
                     ? fmt::format(" (a box and {} key points? kpt_shape: [{}, 3] in data.yaml)", (n - 5) / 3,
                                   (n - 5) / 3)
                     : "");
        YoloBox out;
        out.line = line_;
        out.class_id = class_id(words_[0]);
        numbers_.clear();
        for (std::size_t i = 1; i < n; ++i) numbers_.push_back(number(words_[i]));
        out.numbers = static_cast<int>(numbers_.size());
        const bool finite = std::all_of(numbers_.begin(), numbers_.end(), [](double v) { return std::isfinite(v); });
        if (!finite) {
            if (strict_) fail("a number is not finite: expected 5 finite numbers");
            return tally("boxes that are not finite skipped", TallyKind::bad_box);
        }
        if (polygon) {
            out.polygon = true;
            out.may_be_points = points_in_box(2) || points_in_box(3);
            if (points_in_box(3) && std::any_of(numbers_.begin(), numbers_.end(), [](double v) { return v == 2; }))
                fail("a box and {} key points with their visibility? kpt_shape: [{}, 3] in data.yaml says so",
                     (n - 5) / 3, (n - 5) / 3);
            if (!from_polygon(out.box)) return;
        } else {
            out.may_be_corners = numbers_[2] > numbers_[0] && numbers_[3] > numbers_[1];
            out.sticks_out = numbers_[0] - numbers_[2] / 2 < -1e-9 || numbers_[0] + numbers_[2] / 2 > 1 + 1e-9 ||
                             numbers_[1] - numbers_[3] / 2 < -1e-9 || numbers_[1] + numbers_[3] / 2 > 1 + 1e-9;
            if (!from_box(out.box)) return;
        }
        if (pointed) read_points(out);
        const auto key = std::tuple(out.class_id, out.box.cx, out.box.cy, out.box.w, out.box.h);
        if (!seen_.insert(key).second) return tally("repeated boxes dropped", TallyKind::box);
        if (polygon) tally("polygons turned into boxes", TallyKind::box);
        boxes_.push_back(out);
    }

    // Whether the first four numbers are a box, and all that follow points within it (or unlabelled ones at 0, 0), each
    // of so many numbers.
    bool points_in_box(std::size_t each) const {
        if (numbers_.size() <= 4 || (numbers_.size() - 4) % each != 0) return false;
        const double cx = numbers_[0], cy = numbers_[1], w = numbers_[2] / 2, h = numbers_[3] / 2;
        if (!(w > 0 && h > 0) || cx - w < -slack || cx + w > 1 + slack || cy - h < -slack || cy + h > 1 + slack)
            return false;
        for (std::size_t i = 4; i < numbers_.size(); i += each) {
            const double x = numbers_[i], y = numbers_[i + 1];
            if (each == 3 && numbers_[i + 2] != 0 && numbers_[i + 2] != 1 && numbers_[i + 2] != 2) return false;
            if (x == 0 && y == 0) continue;
            if (std::abs(x - cx) > w + slack || std::abs(y - cy) > h + slack) return false;
        }
        return true;
    }

    // What is at (0, 0) or marked 0 is not labelled, as COCO has it.
    void read_points(YoloBox& out) const {
        const auto each = static_cast<std::size_t>(points_.numbers);
        for (std::size_t i = 4; i + each <= numbers_.size(); i += each) {
            KeyPoint p{numbers_[i], numbers_[i + 1], 2};
            if (each == 3) p.visible = numbers_[i + 2] > 1.5 ? 2 : numbers_[i + 2] > 0.5 ? 1 : 0;
            if (p.x == 0 && p.y == 0) p.visible = 0;
            if (p.visible > 0) within(p.x, "key point x"), within(p.y, "key point y");
            out.points.push_back({std::clamp(p.x, 0.0, 1.0), std::clamp(p.y, 0.0, 1.0), p.visible});
        }
    }

    int class_id(std::string_view word) const {
        auto id = parse_integer(word);
        if (!id) {  // some exporters write 0.0
            const auto real = parse_double(word);
            if (real && std::isfinite(*real) && std::abs(*real) < 1e9 && *real == std::floor(*real))
                id = static_cast<std::int64_t>(*real);
        }
        if (!id) {
            const bool text = word.find_first_of("0123456789") == std::string_view::npos;
            fail("class id \"{}\" is not a whole number{}", printable(word),
                 text ? " (ids, not names, are expected)" : "");
        }
        if (*id < 0) fail("class id {} is negative", *id);
        if (*id < class_base_)
            fail("class id {}, but class_base={}: the first class has that number", *id, class_base_);
        *id -= class_base_;
        if (class_count_ >= 0 && *id >= class_count_)
            fail("class id {} is out of range: the set has {} classes ({} to {})", *id + class_base_, class_count_,
                 class_base_, class_count_ - 1 + class_base_);
        if (*id >= max_classes) fail("class id {} is out of range", *id);
        return static_cast<int>(*id);
    }

    double number(std::string_view word) const {
        const auto value = parse_double(word);
        if (value) return *value;
        double ignored = 0;
        const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), ignored);
        if (error == std::errc::result_out_of_range && end == word.data() + word.size())
            fail("\"{}\" is out of range for a number", printable(word));
        fail("\"{}\" is not a number{}", printable(word),
             word.find(',') != std::string_view::npos ? ": write the decimal mark as a dot" : "");
    }

    void within(double value, const char* what) const {
        if (value < -slack || value > 1 + slack)
            fail("{} {} is out of range 0 to 1: coordinates must be normalised by the picture's size", what, value);
    }

    bool from_box(UnitBox& box) {
        const double cx = numbers_[0], cy = numbers_[1], w = numbers_[2], h = numbers_[3];
        if (w < 0 || h < 0) {
            if (strict_)
                fail("{} {} is negative: expected a box with an area", w < 0 ? "width" : "height", w < 0 ? w : h);
            tally("boxes of negative size skipped", TallyKind::bad_box);
            return false;
        }
        within(cx, "centre x");
        within(cy, "centre y");
        within(w, "width");
        within(h, "height");
        return cut(cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2, box, numbers_);
    }

    bool from_polygon(UnitBox& box) {
        double x1 = 2, y1 = 2, x2 = -2, y2 = -2;
        for (std::size_t i = 0; i + 1 < numbers_.size(); i += 2) {
            within(numbers_[i], "polygon x");
            within(numbers_[i + 1], "polygon y");
            x1 = std::min(x1, numbers_[i]);
            x2 = std::max(x2, numbers_[i]);
            y1 = std::min(y1, numbers_[i + 1]);
            y2 = std::max(y2, numbers_[i + 1]);
        }
        return cut(x1, y1, x2, y2, box, {});
    }

    // Cuts corners to the picture. A box that lies within keeps its numbers to the bit.
    bool cut(double x1, double y1, double x2, double y2, UnitBox& box, const std::vector<double>& as_written) {
        constexpr double last_bits = 1e-9;
        const double l = std::clamp(x1, 0.0, 1.0), t = std::clamp(y1, 0.0, 1.0);
        const double r = std::clamp(x2, 0.0, 1.0), b = std::clamp(y2, 0.0, 1.0);
        if (!(r > l) || !(b > t)) {
            if (strict_) fail("empty box: it covers no part of the picture");
            tally("boxes without area skipped", TallyKind::bad_box);
            return false;
        }
        const bool inside = std::max({l - x1, t - y1, x2 - r, y2 - b}) <= last_bits;
        if (!inside) tally("boxes cut at the picture's edge", TallyKind::box);
        if (inside && !as_written.empty())
            box = {as_written[0], as_written[1], as_written[2], as_written[3]};
        else
            box = {(l + r) / 2, (t + b) / 2, r - l, b - t};
        return true;
    }

    void tally(const char* what, TallyKind kind) { count(tallies_, kind, what, fmt::format("{}:{}", file_, line_)); }

    const std::string& file_;
    bool strict_;
    std::vector<Tally>& tallies_;
    int class_count_;
    PointLayout points_;
    int class_base_;
    std::int64_t line_ = 0;
    std::vector<std::string_view> words_;
    std::vector<double> numbers_;
    std::vector<YoloBox> boxes_;
    std::set<std::tuple<int, double, double, double, double>> seen_;
};

}  // namespace

std::vector<YoloBox> parse_yolo(std::string_view text, const std::string& file, Strictness strictness,
                                std::vector<Tally>& tallies, int class_count, const PointLayout& points,
                                int class_base) {
    text = strip_bom(text);
    require_text(text, file);
    return LabelParser(file, strictness, tallies, class_count, points, class_base).parse(text);
}

}  // namespace solobox
