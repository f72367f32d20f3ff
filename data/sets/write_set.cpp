// See write_set.h. Numbers are written with as many digits as it takes to read the same double back.
#include "data/sets/write_set.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <pugixml.hpp>
#include <sstream>
#include <utility>

#include "data/image/image.h"
#include "data/text.h"

namespace solobox {
namespace {

namespace fs = std::filesystem;

constexpr const char* splits[] = {"train", "val"};

[[noreturn]] void fail_write(const std::string& path, const std::string& reason) {
    throw IoError(fmt::format("{}: cannot write: {}", printable(path, 300), reason));
}

void make_directories(const std::string& path) {
    std::error_code error;
    fs::create_directories(path, error);
    if (error) fail_write(path, error.message());
}

// A text in double quotes, for YAML and JSON alike. Broken UTF-8 is replaced: neither can hold it.
std::string in_quotes(const std::string& text) {
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// A file name that every format can list: blanks end a name in ImageSets, the rest has a meaning somewhere.
std::string plain_name(std::string_view name) {
    std::string out(name);
    for (char& c : out) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte <= 0x20 || byte == 0x7F || std::strchr("\"'\\<>&:*?|#", c) != nullptr) c = '_';
    }
    for (std::size_t bad; (bad = find_bad_utf8(out)) != std::string::npos;) out[bad] = '_';
    return out;
}

// The labels as they belong to the stored pixels: the turn of the EXIF orientation undone.
Sample to_stored(const Sample& upright, const ImageInfo& info) {
    static constexpr int inverse[9] = {1, 1, 2, 3, 4, 5, 8, 7, 6};
    Sample out = upright;
    out.width = info.stored_width;
    out.height = info.stored_height;
    for (Object& object : out.objects)
        object = orient_object(object, inverse[info.orientation], info.width, info.height);
    return out;
}

}  // namespace

SetFormat set_format(const std::string& name) {
    if (name == "yolo") return SetFormat::yolo;
    if (name == "voc") return SetFormat::voc;
    if (name == "coco") return SetFormat::coco;
    throw ConfigError(fmt::format("format \"{}\" cannot be written, expected yolo | voc | coco", printable(name)));
}

bool lies_within(const std::string& path, const DataSet& set) {
    std::set<std::string> homes = {is_directory(set.root) ? set.root : parent_path(set.root)};
    for (const auto* samples : {&set.train, &set.val})
        for (const Sample& sample : *samples) homes.insert(parent_path(sample.path));
    std::error_code error;
    const fs::path inner = fs::weakly_canonical(fs::absolute(path, error), error);
    return std::any_of(homes.begin(), homes.end(), [&](const std::string& home) {
        const fs::path relative = inner.lexically_relative(fs::weakly_canonical(fs::absolute(home, error), error));
        return !relative.empty() && *relative.begin() != "..";
    });
}

void require_new_directory(const std::string& directory, const DataSet* source) {
    const std::string shown = printable(directory, 300);
    std::error_code error;
    if (fs::exists(fs::symlink_status(directory, error)) && !is_directory(directory))
        throw ConfigError(shown + ": exists and is no directory: give a new one");
    if (is_directory(directory) && !fs::is_empty(directory, error))
        throw ConfigError(shown + ": is not empty: give a new directory");
    if (source && lies_within(directory, *source))
        throw ConfigError(fmt::format("{}: lies within {}, which is only read: give a directory elsewhere", shown,
                                      printable(source->root, 300)));
}

SetWriter::SetWriter(const std::string& directory, SetFormat format, std::vector<std::string> classes,
                     const DataSet* source)
    : target_(directory), format_(format), classes_(std::move(classes)) {
    while (target_.size() > 1 && target_.ends_with('/')) target_.pop_back();
    require_new_directory(target_, source);
    std::error_code error;
    make_directories(parent_path(target_));
    work_ = fmt::format("{}.part-{}", target_, ::getpid());
    if (!fs::create_directory(work_, error)) fail_write(work_, error ? error.message() : "it exists already");
    for (const char* split : splits) {
        if (format_ != SetFormat::voc) make_directories(work_ + "/images/" + split);
        if (format_ == SetFormat::yolo) make_directories(work_ + "/labels/" + split);
        lists_[split], rows_[split], image_ids_[split];
    }
    if (format_ == SetFormat::coco) make_directories(work_ + "/annotations");
    if (format_ == SetFormat::voc)
        for (const char* folder : {"/JPEGImages", "/Annotations", "/ImageSets/Main"}) make_directories(work_ + folder);
}

SetWriter::~SetWriter() {
    std::error_code ignored;
    if (!work_.empty()) fs::remove_all(work_, ignored);
}

void SetWriter::put(const std::string& relative, std::string_view text) {
    const std::string path = join_path(work_, relative);
    errno = 0;
    std::ofstream out(path, std::ios::binary);
    out.write(text.data(), static_cast<std::streamsize>(text.size()));
    out.close();
    if (!out) fail_write(path, errno != 0 ? std::strerror(errno) : "the file is incomplete");
}

// Labels are found by stem, so no two pictures of a set may share one, whatever folders they came from.
std::string SetWriter::free_name(const std::string& path) {
    const std::string name = plain_name(base_name(path)), stem = file_stem(name), ending = name.substr(stem.size());
    std::string free = stem;
    for (int i = 2; !stems_.insert(free).second; ++i) free = fmt::format("{}_{}", stem, i);
    return free + ending;
}

void SetWriter::add(bool val, const Sample& sample) {
    const ImageLimits limits;
    const std::string bytes = read_whole(sample.path, limits.max_file_bytes);
    const ImageInfo info = parse_image_info(bytes, printable(sample.path, 300), limits);
    Sample upright = sample;
    if (sample.width != info.width || sample.height != info.height)  // tiny-imagenet's readers take one for all
        fail_data(printable(sample.path, 300), "{} x {} pixels, but its labels are for {} x {}", info.width,
                  info.height, sample.width, sample.height);
    const bool turned = std::exchange(turned_, info.orientation != 1);
    any_turned_ = any_turned_ || turned_;
    add(val, sample.path, bytes, to_stored(upright, info));
    turned_ = turned;
}

void SetWriter::add(bool val, const std::string& name, std::string_view bytes, const Sample& sample) {
    const std::string split = splits[val ? 1 : 0], free = free_name(name);
    Sample labels = sample;
    if (format_ != SetFormat::coco)
        crowds_left_out_ +=
            static_cast<std::int64_t>(std::erase_if(labels.objects, [](const Object& o) { return o.crowd; }));
    put((format_ == SetFormat::voc ? "JPEGImages/" : "images/" + split + "/") + free, bytes);
    if (format_ == SetFormat::yolo) label_yolo(split, free, labels);
    if (format_ == SetFormat::voc) label_voc(split, free, labels);
    if (format_ == SetFormat::coco) label_coco(split, free, labels);
    ++pictures_;
    boxes_ += static_cast<std::int64_t>(labels.objects.size());
}

void SetWriter::label_yolo(const std::string& split, const std::string& name, const Sample& stored) {
    std::string text;
    const double w = stored.width, h = stored.height;
    for (const Object& o : stored.objects)
        text += fmt::format("{} {} {} {} {}\n", o.class_id, (o.x1 + o.x2) / 2 / w, (o.y1 + o.y2) / 2 / h,
                            (o.x2 - o.x1) / w, (o.y2 - o.y1) / h);
    put(fmt::format("labels/{}/{}.txt", split, file_stem(name)), text);
}

void SetWriter::label_voc(const std::string& split, const std::string& name, const Sample& stored) {
    pugi::xml_document document;
    const auto text = [](pugi::xml_node parent, const char* child, const std::string& value) {
        parent.append_child(child).append_child(pugi::node_pcdata).set_value(value.c_str());
    };
    pugi::xml_node root = document.append_child("annotation");
    text(root, "folder", "JPEGImages");
    text(root, "filename", name);
    pugi::xml_node size = root.append_child("size");
    text(size, "width", std::to_string(stored.width));
    text(size, "height", std::to_string(stored.height));
    text(size, "depth", "3");
    if (turned_) text(root, "exif_boxes", "stored");  // of a picture that EXIF turns, and no size may tell
    for (const Object& o : stored.objects) {
        pugi::xml_node object = root.append_child("object");
        text(object, "name", classes_.at(static_cast<std::size_t>(o.class_id)));
        pugi::xml_node box = object.append_child("bndbox");
        text(box, "xmin", fmt::format("{}", o.x1));
        text(box, "ymin", fmt::format("{}", o.y1));
        text(box, "xmax", fmt::format("{}", o.x2));
        text(box, "ymax", fmt::format("{}", o.y2));
    }
    std::ostringstream out;
    document.save(out, "  ", pugi::format_default | pugi::format_no_declaration, pugi::encoding_utf8);
    put(fmt::format("Annotations/{}.xml", file_stem(name)), out.str());
    lists_[split] += file_stem(name) + "\n";
}

void SetWriter::label_coco(const std::string& split, const std::string& name, const Sample& stored) {
    std::string &images = lists_[split], &rows = rows_[split];
    const std::int64_t id = ++image_ids_[split];
    images +=
        fmt::format("{}\n{{\"id\": {}, \"file_name\": {}, \"width\": {}, \"height\": {}{}}}", images.empty() ? "" : ",",
                    id, in_quotes(name), stored.width, stored.height, turned_ ? ", \"exif_boxes\": \"stored\"" : "");
    for (const Object& o : stored.objects) {
        const double w = o.x2 - o.x1, h = o.y2 - o.y1;
        rows += fmt::format(
            "{}\n{{\"id\": {}, \"image_id\": {}, \"category_id\": {}, \"bbox\": [{}, {}, {}, {}], \"area\": {}, "
            "\"iscrowd\": {}}}",
            rows.empty() ? "" : ",", ++annotation_ids_, id, o.class_id, o.x1, o.y1, w, h, w * h, o.crowd ? 1 : 0);
    }
}

void SetWriter::finish() {
    if (format_ == SetFormat::yolo) {
        std::string yaml = "path: .\ntrain: images/train\nval: images/val\n";
        if (any_turned_) yaml += "exif_boxes: stored\n";
        yaml += "names:\n";
        for (std::size_t i = 0; i < classes_.size(); ++i) yaml += fmt::format("  {}: {}\n", i, in_quotes(classes_[i]));
        put("data.yaml", yaml);
    } else if (format_ == SetFormat::voc) {
        for (const char* split : splits) put(fmt::format("ImageSets/Main/{}.txt", split), lists_[split]);
    } else {
        std::string categories;
        for (std::size_t i = 0; i < classes_.size(); ++i)
            categories += fmt::format("{}\n{{\"id\": {}, \"name\": {}}}", i == 0 ? "" : ",", i, in_quotes(classes_[i]));
        for (const char* split : splits)
            put(fmt::format("annotations/instances_{}.json", split),
                fmt::format("{{\"images\": [{}],\n\"annotations\": [{}],\n\"categories\": [{}]}}\n", lists_[split],
                            rows_[split], categories));
    }
    std::error_code error;
    fs::rename(work_, target_, error);  // over an empty directory, too
    if (error) fail_write(target_, error.message());
    work_.clear();
}

}  // namespace solobox
