// solobox check: one file of any kind that the tool reads. What is it, what does it mean, can it be used?
#include <fmt/core.h>

#include <cstring>
#include <memory>

#include "apps/apps.h"
#include "apps/check_file.h"
#include "data/image/image.h"
#include "data/text.h"
#include "nn/safetensors.h"

namespace solobox {
namespace {

using Json = nlohmann::ordered_json;

struct CheckArguments {
    std::string file, as, image;
    bool json = false;
};

const std::vector<std::string> kinds = {"yolo", "voc", "coco", "tiny-imagenet", "yaml", "safetensors", "image"};

bool ends_with_any(const std::string& name, std::initializer_list<const char*> endings) {
    for (const char* ending : endings)
        if (name.ends_with(ending)) return true;
    return false;
}

// A kind by what the file is called: a broken file should be told what is wrong with it as what it claims to be.
std::string kind_by_name(const std::string& path) {
    const std::string name = lower(path.substr(path.rfind('/') + 1));
    if (ends_with_any(name, {".xml"})) return "voc";
    if (ends_with_any(name, {".json"})) return "coco";
    if (ends_with_any(name, {".yaml", ".yml"})) return "yaml";
    if (ends_with_any(name, {".safetensors"})) return "safetensors";
    if (has_picture_ending(name) ||
        ends_with_any(name, {".gif", ".tga", ".psd", ".hdr", ".pic", ".ppm", ".pgm", ".pbm", ".pnm", ".tif", ".tiff",
                             ".webp", ".avif", ".heic", ".jxl", ".jp2", ".qoi", ".jpe", ".jfif"}))
        return "image";
    if (!name.ends_with(".txt")) return "";
    const bool tiny = name == "wnids.txt" || name.starts_with("wnids_") || name.starts_with("val_annotations") ||
                      name.ends_with("_boxes.txt") || name.starts_with("boxes_");
    return tiny ? "tiny-imagenet" : "yolo";
}

std::string kind_by_content(const std::string& head) {
    for (const std::string_view magic : {"\xFF\xD8", "\x89PNG", "BM", "GIF8", "RIFF", "II*", "MM", "8BPS"})
        if (std::string_view(head).starts_with(magic)) return "image";
    if (head.size() > 8 && head[8] == '{' && head.find('\0') < 8) return "safetensors";
    if (find_control(head) != std::string::npos) return "";
    const std::string_view text = trim(strip_bom(head));
    if (text.starts_with("{")) return "coco";
    if (text.starts_with("<")) return "voc";
    const std::string_view line = text.substr(0, text.find('\n'));
    const auto words = split_blanks(line);
    if (words.size() >= 5 && parse_double(words[0])) return "yolo";
    if (line.starts_with("#") || line.starts_with("---") || line.find(": ") != std::string_view::npos) return "yaml";
    return "";
}

// `as` or what name and content say; after a look that the file can be opened without waiting for anybody.
std::string find_kind(const std::string& path, const std::string& as) {
    const std::string shown = printable(path, 300);
    if (is_directory(path)) fail_data(shown, "a directory, expected a file: `solobox data check` looks at data sets");
    const std::string head = read_prefix(path, 4096);
    if (!as.empty()) return as;
    if (const std::string kind = kind_by_name(path); !kind.empty()) return kind;
    if (head.empty()) fail_data(shown, "the file is empty");
    if (head.starts_with("PK\x03\x04") || head.starts_with("\x80\x02"))
        fail_data(shown, "a ZIP or pickle (PyTorch's .pt?), which is not read: save it as safetensors");
    if (const std::string kind = kind_by_content(head); !kind.empty()) return kind;
    fail_data(shown, "cannot tell what this is: say it with --as {}", fmt::join(kinds, "|"));
}

Checked check_image(const std::string& path) {
    const std::string name = printable(path, 300), bytes = read_whole(path, ImageLimits().max_file_bytes);
    const Image image = decode_image(bytes, name);
    const ImageInfo info = parse_image_info(bytes, name);
    double sum[3] = {0, 0, 0};
    for (std::size_t i = 0; i < image.rgb.size(); ++i) sum[i % 3] += image.rgb[i];
    const double pixels = static_cast<double>(image.rgb.size()) / 3;
    Checked out;
    out.json = {{"kind", "image"},
                {"format", info.format},
                {"width", image.width},
                {"height", image.height},
                {"stored_width", info.stored_width},
                {"stored_height", info.stored_height},
                {"orientation", info.orientation},
                {"mean_rgb", {sum[0] / pixels, sum[1] / pixels, sum[2] / pixels}}};
    out.lines.push_back(fmt::format(
        "{} picture, {} x {} pixels{}, mean R, G, B {:.1f}, {:.1f}, {:.1f}", info.format, image.width, image.height,
        info.orientation == 1 ? ""
                              : fmt::format(" upright (stored {} x {}, EXIF orientation {})", info.stored_width,
                                            info.stored_height, info.orientation),
        sum[0] / pixels, sum[1] / pixels, sum[2] / pixels));
    return out;
}

// Elements whose exponent is all ones: NaN or infinity. Only floating types have them.
std::int64_t non_finite(const RawTensor& t) {
    const auto count_ones = [&](auto word, std::uint64_t mask) {
        std::int64_t n = 0;
        for (std::size_t i = 0; i + sizeof(word) <= t.bytes.size(); i += sizeof(word)) {
            std::memcpy(&word, t.bytes.data() + i, sizeof(word));
            n += (word & mask) == mask;
        }
        return n;
    };
    if (t.dtype == "F64") return count_ones(std::uint64_t{}, 0x7FF0000000000000ULL);
    if (t.dtype == "F32") return count_ones(std::uint32_t{}, 0x7F800000ULL);
    if (t.dtype == "F16") return count_ones(std::uint16_t{}, 0x7C00ULL);
    if (t.dtype == "BF16") return count_ones(std::uint16_t{}, 0x7F80ULL);
    return 0;
}

Checked check_safetensors(const std::string& path) {
    const SafetensorsFile file = read_safetensors(path);
    Checked out;
    std::int64_t elements = 0, bad = 0;
    Json tensors = Json::array();
    std::vector<std::string> rows;
    for (const auto& [name, t] : file.tensors) {
        const std::int64_t broken = non_finite(t);
        elements += t.numel();
        bad += broken;
        tensors.push_back({{"name", name}, {"dtype", t.dtype}, {"shape", t.shape}, {"non_finite", broken}});
        rows.push_back(fmt::format("  {} {} [{}]{}", printable(name, 120), t.dtype, fmt::join(t.shape, ", "),
                                   broken > 0 ? fmt::format(": {} values are NaN or infinite", broken) : ""));
    }
    out.json = {{"kind", "safetensors"},
                {"tensors", tensors},
                {"elements", elements},
                {"non_finite", bad},
                {"metadata", file.metadata}};
    out.lines.push_back(fmt::format("safetensors file: {} tensors, {} elements{}", file.tensors.size(), elements,
                                    bad > 0 ? fmt::format("; {} are NaN or infinite", bad) : ""));
    out.lines.insert(out.lines.end(), rows.begin(), rows.end());
    for (const auto& [key, value] : file.metadata)
        out.lines.push_back(fmt::format("  metadata {}: {}", printable(key), printable(value, 120)));
    return out;
}

ExitCode check_file(const CheckArguments& a) {
    const std::string kind = find_kind(a.file, a.as);
    const bool labels = kind == "yolo" || kind == "voc" || kind == "coco";
    if (!a.image.empty() && !labels)
        throw ConfigError(
            fmt::format("--image belongs to labels, but {} is checked as {}", printable(a.file, 300), kind));
    const Checked result = kind == "image"         ? check_image(a.file)
                           : kind == "yaml"        ? check_yaml(a.file)
                           : kind == "safetensors" ? check_safetensors(a.file)
                                                   : check_labels(kind, a.file, a.image);
    if (a.json) {
        Json j{{"file", a.file}};
        for (const auto& [key, value] : result.json.items()) j[key] = value;
        print_json(j);
    } else {
        fmt::print("{}: {}\n", printable(a.file, 300), result.lines.front());
        for (std::size_t i = 1; i < result.lines.size(); ++i) fmt::print("{}\n", result.lines[i]);
    }
    return ExitCode::done;
}

}  // namespace

Verb add_check(Command app) {
    auto a = std::make_shared<CheckArguments>();
    app.option("FILE", a->file, "labels, a picture, a configuration or a checkpoint").required().not_empty();
    app.option("--as", a->as, "what it is, instead of finding out").one_of(kinds);
    app.option("--image", a->image, "the picture that belongs to the labels").not_empty();
    app.flag("--json", a->json, "one JSON object on standard output");
    return [a] { return check_file(*a); };
}

}  // namespace solobox
