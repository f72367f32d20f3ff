// One COCO file, streamed through the events of a JSON parser. The directories are in coco.cpp.
#include <algorithm>
#include <cmath>
#include <istream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <unordered_map>

#include "data/counting_buffer.h"
#include "data/json_words.h"
#include "data/sets/coco.h"
#include "data/sets/coco_outline.h"
#include "data/text.h"

namespace solobox {
namespace {

constexpr int max_json_depth = 64;      // segmentations need six
constexpr std::size_t max_keys = 256;   // in one object that we look into
constexpr double max_coordinate = 1e6;  // pixels; no picture is larger
constexpr std::size_t max_id_text = 256;

// A number or a text; the number 1 and the text "1" are different ids, and numbers come first.
struct Id {
    bool is_text = false;
    std::int64_t number = 0;
    std::string text;
    auto operator<=>(const Id&) const = default;
    std::string shown() const { return is_text ? '"' + printable(text) + '"' : std::to_string(number); }
};

struct IdHash {
    std::size_t operator()(const Id& id) const {
        return id.is_text ? std::hash<std::string>()(id.text) : std::hash<std::int64_t>()(id.number);
    }
};

struct Value {
    enum class Kind { null, flag, whole, real, text, list, object } kind = Kind::null;
    std::int64_t whole = 0;
    double real = 0;  // of whole numbers too
    const std::string* text = nullptr;
    bool is_number() const { return kind == Kind::whole || kind == Kind::real; }
    const char* name() const {
        static constexpr const char* names[] = {"null",   "a flag", "a whole number", "a number",
                                                "a text", "a list", "an object"};
        return names[static_cast<int>(kind)];
    }
};

// One object of a section as far as it has been read.
struct Row {
    std::optional<Id> id, image, category;
    std::optional<std::string> file_name, name;
    int width = 0, height = 0;
    ExifBoxes frame = ExifBoxes::detect;
    std::vector<double> box;
    CocoOutline outline;
    std::string bad_side;
    bool has_box = false, null_box = false, crowd = false, flawed = false;
    std::int64_t line = 0;
};

struct Annotation {
    Id image, category;
    double x, y, w, h;
    bool crowd;
    std::int64_t line;
    bool from_mask;
};

class Handler : public nlohmann::json_sax<nlohmann::json> {
public:
    Handler(CountingBuffer& in, const std::string& file, bool skip_bad, std::vector<Tally>& tallies)
        : in_(in), file_(file), skip_bad_(skip_bad), tallies_(tallies) {}

    bool null() override { return scalar({}); }
    bool boolean(bool v) override { return scalar({Value::Kind::flag, v, v ? 1.0 : 0.0, nullptr}); }
    bool number_integer(std::int64_t v) override {
        return scalar({Value::Kind::whole, v, static_cast<double>(v), nullptr});
    }
    bool number_unsigned(std::uint64_t v) override {
        if (v > static_cast<std::uint64_t>(INT64_MAX)) return number_float(static_cast<double>(v), {});
        return number_integer(static_cast<std::int64_t>(v));
    }
    bool number_float(double v, const std::string&) override { return scalar({Value::Kind::real, 0, v, nullptr}); }
    bool string(std::string& v) override { return scalar({Value::Kind::text, 0, 0, &v}); }
    bool binary(nlohmann::json::binary_t&) override { return true; }  // JSON text has none
    bool start_object(std::size_t) override { return open(Value::Kind::object); }
    bool start_array(std::size_t) override { return open(Value::Kind::list); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }

    bool key(std::string& name) override {
        if (ignored_from_ != 0) return true;
        if (in_segmentation_) {
            row_.outline.part = name;
            return true;
        }
        auto& seen = depth_ == 1 ? top_keys_ : row_keys_;
        if (std::find(seen.begin(), seen.end(), name) != seen.end())
            fail("the key \"{}\" stands twice in one object (duplicate key)", printable(name));
        if (seen.size() >= max_keys) fail("more than {} keys in one object", max_keys);
        seen.push_back(name);
        key_ = name;
        return true;
    }

    bool parse_error(std::size_t, const std::string& token, const nlohmann::json::exception& error) override {
        fail("not JSON: {}", explain_json(error.what(), token));
    }

    CocoFile finish();

private:
    enum class Section { none, images, annotations, categories };

    template <class... Args>
    [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
        fail_line(file_, in_.line(), format, std::forward<Args>(args)...);
    }

    // An entry of the wrong form: the whole file is refused, or (skip_bad) the entry left out.
    template <class... Args>
    void flaw(std::int64_t line, fmt::format_string<Args...> format, Args&&... args) {
        try {
            fail_line(file_, line, format, std::forward<Args>(args)...);
        } catch (const DataError& error) {
            if (!skip_bad_) throw;
            count(tallies_, "entries that cannot be used left out", fmt::format("{}:{}", file_, line), 1, error.what(),
                  TallyKind::refused);
        }
        row_.flawed = true;
    }

    bool is_section(const std::string& name) const {
        return name == "images" || name == "annotations" || name == "categories";
    }

    bool scalar(const Value& value) {
        if (ignored_from_ != 0) return true;
        if (depth_ == 0) fail("the top level is {}, expected an object", value.name());
        if (depth_ == 1 && is_section(key_)) fail("\"{}\" is {}, expected a list", key_, value.name());
        if (depth_ == 2) fail("{} in \"{}\", expected objects", value.name(), key_of(section_));
        if (in_segmentation_) {
            row_.outline.value(depth_ - 4, value.is_number() ? &value.real : nullptr, value.text);
            return true;
        }
        if (depth_ == 3) field(value);
        if (depth_ == 4) box_number(value);
        return true;
    }

    bool open(Value::Kind kind) {
        if (depth_ >= max_json_depth) fail("nesting deeper than {} levels", max_json_depth);
        const Value value{kind, 0, 0, nullptr};
        ++depth_;
        if (ignored_from_ != 0) return true;
        const bool list = kind == Value::Kind::list;
        if (depth_ == 1 && list) fail("the top level is a list, expected an object with images and annotations");
        if (depth_ == 2) {
            if (!is_section(key_)) {
                ignored_from_ = depth_;
            } else if (!list) {
                fail("\"{}\" is {}, expected a list", key_, value.name());
            } else {
                section_ = key_ == "images"        ? Section::images
                           : key_ == "annotations" ? Section::annotations
                                                   : Section::categories;
                found_.insert(key_);
            }
        } else if (depth_ == 3) {
            if (list) fail("wrong nesting: a list in \"{}\", expected objects", key_of(section_));
            row_ = {};
            row_.line = in_.line();
            row_keys_.clear();
        } else if (depth_ == 4) {
            if (list && section_ == Section::annotations && key_ == "bbox") {
                row_.has_box = true;
            } else if (section_ == Section::annotations && key_ == "segmentation") {
                in_segmentation_ = true;
                row_.outline = {};
            } else {
                field(value);
                ignored_from_ = depth_;
            }
        } else if (in_segmentation_) {
            row_.outline.numbers = 0;
        } else if (depth_ == 5) {
            flaw(in_.line(), "bbox holds {}, expected 4 numbers", value.name());
            ignored_from_ = depth_;
        }
        return true;
    }

    bool close() {
        const int depth = depth_--;
        if (depth == 4) in_segmentation_ = false;
        if (ignored_from_ == depth) {
            ignored_from_ = 0;
        } else if (ignored_from_ == 0 && depth == 3) {
            end_row();
        } else if (ignored_from_ == 0 && depth == 2) {
            section_ = Section::none;
        }
        return true;
    }

    static const char* key_of(Section section) {
        static constexpr const char* names[] = {"", "images", "annotations", "categories"};
        return names[static_cast<int>(section)];
    }

    void box_number(const Value& value) {
        if (!value.is_number()) {
            if (!row_.flawed) flaw(in_.line(), "bbox holds {}, expected 4 numbers", value.name());
        } else if (row_.box.size() < 5) {
            row_.box.push_back(value.real);
        }
    }

    void read_id(const Value& value, std::optional<Id>& to) {
        if (value.kind == Value::Kind::whole)
            to = Id{false, value.whole, {}};
        else if (value.kind == Value::Kind::text && !value.text->empty() && value.text->size() <= max_id_text)
            to = Id{true, 0, *value.text};
        else if (value.kind == Value::Kind::real && value.real == std::floor(value.real) && std::abs(value.real) < 9e15)
            to = Id{false, static_cast<std::int64_t>(value.real), {}};  // 1.0, as pandas writes it
        else if (value.kind == Value::Kind::real)
            flaw(in_.line(), "{} is {}, expected a whole number of at most 63 bits", key_, value.real);
        else
            flaw(in_.line(), "{} is {}, expected an id: a whole number or a short text", key_, value.name());
    }

    void read_side(const Value& value, int& to) {
        if (!value.is_number() || !(value.real >= 1 && value.real <= max_coordinate) ||
            value.real != std::floor(value.real))
            // Said when the object is complete: 0x50 and 060 begin like a width of 0, but are no JSON.
            row_.bad_side = fmt::format("{} is {}, expected the picture's pixels", key_,
                                        value.is_number() ? fmt::format("{}", value.real) : value.name());
        else
            to = static_cast<int>(value.real);
    }

    void read_text(const Value& value, std::optional<std::string>& to) {
        if (value.kind != Value::Kind::text) return flaw(in_.line(), "{} is {}, expected a text", key_, value.name());
        to = *value.text;
    }

    void field(const Value& value) {
        if (key_ == "id") return read_id(value, row_.id);
        if (section_ == Section::images) {
            if (key_ == "file_name") read_text(value, row_.file_name);
            if (key_ == "width") read_side(value, row_.width);
            if (key_ == "height") read_side(value, row_.height);
            if (key_ == "exif_boxes" && value.kind == Value::Kind::text) row_.frame = exif_boxes(*value.text);
        } else if (section_ == Section::annotations) {
            if (key_ == "image_id") read_id(value, row_.image);
            if (key_ == "category_id") read_id(value, row_.category);
            if (key_ == "bbox" && value.kind == Value::Kind::null)
                row_.null_box = true;
            else if (key_ == "bbox")
                flaw(in_.line(), "bbox is {}, expected 4 numbers", value.name());
            if (key_ == "iscrowd") {
                const bool number = value.kind == Value::Kind::whole || value.kind == Value::Kind::flag;
                if (!number || (value.whole != 0 && value.whole != 1))
                    flaw(in_.line(), "iscrowd is {}, expected 0 or 1", value.name());
                row_.crowd = value.whole == 1;
            }
        } else if (key_ == "name") {
            read_text(value, row_.name);
        }
    }

    void end_row() {
        if (section_ == Section::images) end_image();
        if (section_ == Section::annotations) end_annotation();
        if (section_ == Section::categories) end_category();
    }

    void end_image() {
        if (!row_.flawed && !row_.bad_side.empty()) flaw(row_.line, "{}", row_.bad_side);
        if (!row_.flawed && !row_.id) flaw(row_.line, "an image without id");
        if (!row_.flawed && !row_.file_name) flaw(row_.line, "image {} has no file_name", row_.id->shown());
        // Windows writes \\ between folders, and no name of a picture has one.
        if (row_.file_name) *row_.file_name = with_slashes(*row_.file_name);
        if (!row_.flawed && !stays_below(*row_.file_name))
            flaw(row_.line, "file_name \"{}\" is a path out of the data set, or none: write it below the set",
                 printable(*row_.file_name));
        if (!row_.id) return;
        if (!images_.emplace(*row_.id, out_.images.size()).second)
            fail_line(file_, row_.line, "image id {} stands twice (duplicate id)", row_.id->shown());
        if (row_.width == 0 || row_.height == 0) row_.width = row_.height = 0;
        out_.images.push_back(
            {row_.file_name.value_or(""), row_.width, row_.height, row_.frame, row_.line, !row_.flawed});
    }

    void end_annotation() {
        if (!row_.flawed && !row_.image) flaw(row_.line, "an annotation without image_id");
        if (!row_.flawed && !row_.category) flaw(row_.line, "an annotation without category_id");
        const bool no_box = !row_.has_box || row_.box.empty();
        if (!row_.flawed && no_box) row_.box = row_.outline.box();
        if (!row_.flawed && row_.null_box && row_.box.empty()) flaw(row_.line, "bbox is null, expected 4 numbers");
        if (!row_.flawed && !row_.has_box && row_.box.empty())
            flaw(row_.line, "an annotation without bbox, nor a segmentation that covers anything");
        if (!row_.flawed && row_.box.size() != 4)
            flaw(row_.line, "bbox has {} numbers, expected 4: x, y, width, height",
                 row_.box.size() > 4 ? "more than 4" : std::to_string(row_.box.size()));
        if (!row_.flawed && std::any_of(row_.box.begin(), row_.box.end(),
                                        [](double v) { return !std::isfinite(v) || std::abs(v) > max_coordinate; }))
            flaw(row_.line, "bbox [{}] is out of range for pixels", fmt::join(row_.box, ", "));
        if (row_.id) annotation_ids_.emplace_back(std::move(*row_.id), row_.line);
        if (row_.flawed) {
            if (row_.image) incomplete_.push_back(std::move(*row_.image));
            return;
        }
        annotations_.push_back({std::move(*row_.image), std::move(*row_.category), row_.box[0], row_.box[1],
                                row_.box[2], row_.box[3], row_.crowd, row_.line, no_box});
    }

    void end_category() {
        if (!row_.flawed && !row_.id) flaw(row_.line, "a category without id");
        if (!row_.flawed && (!row_.name || row_.name->empty()))
            flaw(row_.line, "category {} has no name", row_.id->shown());
        if (!row_.flawed && find_control(*row_.name) != std::string::npos)
            flaw(row_.line, "name \"{}\" is not a class name", printable(*row_.name));
        if (!row_.id || row_.flawed) return;
        if (!categories_.emplace(*row_.id, *row_.name).second)
            fail_line(file_, row_.line, "category id {} stands twice (duplicate id)", row_.id->shown());
    }

    CountingBuffer& in_;
    const std::string& file_;
    bool skip_bad_;
    std::vector<Tally>& tallies_;

    int depth_ = 0, ignored_from_ = 0;  // open containers; the outermost one that is not looked into
    Section section_ = Section::none;
    bool in_segmentation_ = false;
    std::string key_;
    std::vector<std::string> top_keys_, row_keys_;
    std::set<std::string> found_;
    Row row_;

    CocoFile out_;
    std::unordered_map<Id, std::size_t, IdHash> images_;
    std::map<Id, std::string> categories_;
    std::vector<Annotation> annotations_;
    std::vector<std::pair<Id, std::int64_t>> annotation_ids_;
    std::vector<Id> incomplete_;  // images that lost an annotation
};

CocoFile Handler::finish() {
    for (const char* name : {"images", "annotations", "categories"})
        if (!found_.contains(name)) fail_data(file_, "no list \"{}\": is it a COCO instances file?", name);
    std::sort(annotation_ids_.begin(), annotation_ids_.end());
    for (std::size_t i = 1; i < annotation_ids_.size(); ++i)
        if (annotation_ids_[i].first == annotation_ids_[i - 1].first)
            fail_line(file_, annotation_ids_[i].second, "annotation id {} stands twice (duplicate id)",
                      annotation_ids_[i].first.shown());
    std::map<Id, int> classes;
    for (const auto& [id, name] : categories_) {
        auto at = std::find(out_.classes.begin(), out_.classes.end(), name);
        if (at != out_.classes.end()) count(tallies_, "categories of equal name taken as one", file_);
        if (at == out_.classes.end()) at = out_.classes.insert(at, name);
        classes[id] = static_cast<int>(at - out_.classes.begin());
    }
    for (const Id& id : incomplete_)
        if (const auto at = images_.find(id); at != images_.end()) out_.images[at->second].usable = false;
    out_.objects.reserve(annotations_.size());
    for (const Annotation& a : annotations_) {
        const auto image = images_.find(a.image);
        if (image == images_.end()) {
            flaw(a.line, "image_id {} is not the id of an image{}", a.image.shown(),
                 images_.contains(Id{!a.image.is_text, parse_integer(a.image.text).value_or(0),
                                     a.image.is_text ? "" : std::to_string(a.image.number)})
                     ? " (1 and \"1\" are different ids: write both alike)"
                     : "");
            continue;
        }
        const auto category = classes.find(a.category);
        if (category == classes.end()) {
            flaw(a.line, "category_id {} is not the id of a category", a.category.shown());
            out_.images[image->second].usable = false;
            continue;
        }
        out_.objects.push_back({image->second, category->second, a.x, a.y, a.w, a.h, a.crowd, a.line, a.from_mask});
    }
    return std::move(out_);
}

}  // namespace

CocoFile read_coco(const std::string& path, const OpenOptions& options, std::vector<Tally>& tallies) {
    const std::string file = printable(path, 300);
    CountingBuffer buffer(path, file);
    std::istream in(&buffer);
    in.exceptions(std::ios::badbit);  // what the buffer throws passes through
    Handler handler(buffer, file, options.skip_bad, tallies);
    nlohmann::json::sax_parse(in, &handler);
    return handler.finish();
}

}  // namespace solobox
