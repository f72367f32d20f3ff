// See image.h. The only file that includes stb_image; it decodes JPEG, and only after check_jpeg found nothing missing.
#include "data/image/image.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "data/image/formats.h"
#include "data/text.h"

// stb_image does not clear its buffers. Should it ever disagree with check_jpeg about what is in a file, the pixels
// still depend on the file alone.
#define STBI_MALLOC(size) std::calloc(1, size)
#define STBI_REALLOC(old, size) std::realloc(old, size)  // JPEG never grows a buffer
#define STBI_FREE(p) std::free(p)
#define STBI_ONLY_JPEG
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_MAX_DIMENSIONS 65535
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb/stb_image.h>
#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb/stb_image_write.h>
#pragma GCC diagnostic pop

namespace solobox {
namespace {

using namespace image_formats;

Bytes as_bytes(std::string_view text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

bool all_zero(std::string_view bytes) { return bytes.find_first_not_of('\0') == std::string_view::npos; }

// What the bytes are, for a message; formats we read give "".
std::string refused_format(std::string_view b) {
    const auto at = [&](std::size_t i, std::string_view magic) {
        return b.substr(std::min(i, b.size())).starts_with(magic);
    };
    if (at(0, "GIF8")) return "GIF";
    if (at(0, "RIFF") && at(8, "WEBP")) return "WebP";
    if (at(0, std::string_view("II*\0", 4)) || at(0, std::string_view("MM\0*", 4))) return "TIFF";
    if (at(0, "8BPS")) return "PSD";
    if (at(4, "ftypavif")) return "AVIF";
    if (at(4, "ftyphei") || at(4, "ftypmif1") || at(4, "ftyphev")) return "HEIC";
    if (at(0, "\xFF\x0A") || at(4, "JXL ")) return "JPEG XL";
    if (at(4, "jP  ") || at(0, "\xFF\x4F\xFF\x51")) return "JPEG 2000";
    if (at(0, "#?RADIANCE") || at(0, "#?RGBE")) return "Radiance HDR";
    if (at(0, "\x53\x80\xF6\x34")) return "Softimage PIC";
    if (at(0, "qoif")) return "QOI";
    if (at(0, "%PDF")) return "PDF";
    if (b.size() > 2 && b[0] == 'P' && b[1] >= '1' && b[1] <= '7' && std::strchr(" \t\r\n#", b[2]) != nullptr)
        return "PNM";
    // TGA has no magic, but few other files begin with a possible header of one.
    const auto byte = [&](std::size_t i) { return i < b.size() ? static_cast<unsigned char>(b[i]) : 0U; };
    const unsigned kind = byte(2) & ~8U, depth = byte(16);
    if (b.size() >= 18 && byte(1) <= 1 && kind >= 1 && kind <= 3 && depth >= 8 && depth <= 32 &&
        (depth % 8 == 0 || depth == 15))
        return "TGA";
    return "";
}

[[noreturn]] void refuse_unknown(std::string_view b, const std::string& name) {
    if (b.empty()) fail_data(name, "the file is empty: copy it again");
    if (const std::string format = refused_format(b); !format.empty())
        fail_data(name, "{} is not supported: convert it to PNG or JPEG", format);
    if (all_zero(b)) fail_data(name, "nothing but zero bytes: copy the file again");
    if (b.starts_with("version https://git-lfs")) fail_data(name, "a Git LFS pointer, not a picture: run git lfs pull");
    const std::string_view head = trim(b.substr(0, 256));
    if (head.starts_with("<")) fail_data(name, "text (HTML or XML), not a picture: download it again");
    if (b.size() >= 4 && b.substr(1, 3) == "PNG")
        fail_data(name, "damaged PNG: wrong signature, copy it in binary mode");
    if (b.starts_with("\xFF\xD8")) fail_data(name, "damaged JPEG: no marker after the first one");
    fail_data(name, "not a picture this program reads: convert it to PNG or JPEG");
}

enum class Format { jpeg, png, bmp };

Format detect(std::string_view b, const std::string& name) {
    if (b.starts_with("\xFF\xD8\xFF")) return Format::jpeg;
    if (b.starts_with("\x89PNG\r\n\x1A\n")) return Format::png;
    if (b.starts_with("BM") && b.size() >= 18) return Format::bmp;
    refuse_unknown(b, name);
}

}  // namespace

namespace image_formats {

ImageInfo finish_info(const std::string& name, const char* format, std::int64_t width, std::int64_t height,
                      int orientation, const ImageLimits& limits) {
    if (width <= 0 || height <= 0) fail_data(name, "damaged {}: its size is {} x {} pixels", format, width, height);
    if (width > limits.max_side || height > limits.max_side || width * height > limits.max_pixels)
        fail_data(name, "{} x {} pixels, the limit is {} a side and {} in all: make the picture smaller", width, height,
                  limits.max_side, limits.max_pixels);
    ImageInfo info{format, static_cast<int>(width), static_cast<int>(height), 0, 0, orientation};
    info.width = orientation >= 5 ? info.stored_height : info.stored_width;
    info.height = orientation >= 5 ? info.stored_width : info.stored_height;
    return info;
}

int exif_orientation(Bytes tiff) {
    if (tiff.size() < 14) return 1;
    const bool little = tiff[0] == 'I' && tiff[1] == 'I', big = tiff[0] == 'M' && tiff[1] == 'M';
    if (!little && !big) return 1;
    const auto u16 = [&](std::size_t i) { return little ? u16le(tiff, i) : u16be(tiff, i); };
    const auto u32 = [&](std::size_t i) { return little ? u32le(tiff, i) : u32be(tiff, i); };
    const std::size_t ifd = u32(4);
    if (u16(2) != 42 || ifd < 8 || ifd > tiff.size() - 2) return 1;
    const std::size_t entries = u16(ifd);
    for (std::size_t i = 0, at = ifd + 2; i < entries && at + 12 <= tiff.size(); ++i, at += 12) {
        if (u16(at) != 0x0112) continue;
        const unsigned value = u16(at + 8);
        const bool is_short = u16(at + 2) == 3 && u32(at + 4) == 1;
        return is_short && value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
    }
    return 1;
}

}  // namespace image_formats

ImageInfo parse_image_info(std::string_view bytes, const std::string& name, const ImageLimits& limits) {
    switch (detect(bytes, name)) {
        case Format::jpeg:
            return jpeg_info(as_bytes(bytes), name, limits);
        case Format::png:
            return png_info(as_bytes(bytes), name, limits);
        case Format::bmp:
            return bmp_info(as_bytes(bytes), name, limits);
    }
    refuse_unknown(bytes, name);
}

ImageInfo image_info(const std::string& path, const ImageLimits& limits) {
    constexpr std::size_t prefix = std::size_t{1} << 15;
    const std::string name = printable(path, 300);
    const std::string start = read_prefix(path, prefix);
    try {
        return parse_image_info(start, name, limits);
    } catch (const DataError&) {
        if (start.size() < prefix) throw;
    }
    // Thumbnails and colour profiles can push the frame header far back: only then is the whole file read.
    return parse_image_info(read_whole(path, limits.max_file_bytes), name, limits);
}

Image decode_image(std::string_view bytes, const std::string& name, const ImageLimits& limits) {
    const Format format = detect(bytes, name);
    if (format == Format::png) {
        const ImageInfo info = png_info(as_bytes(bytes), name, limits);
        return apply_orientation(decode_png(as_bytes(bytes), name, info), info.orientation);
    }
    if (format == Format::bmp) return decode_bmp(as_bytes(bytes), name, bmp_info(as_bytes(bytes), name, limits));
    const ImageInfo info = check_jpeg(as_bytes(bytes), name, limits);
    Image image;
    const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
        stbi_load_from_memory(as_bytes(bytes).data(), static_cast<int>(bytes.size()), &image.width, &image.height,
                              nullptr, 3),
        stbi_image_free);
    if (!pixels) fail_data(name, "damaged JPEG: {}", stbi_failure_reason() ? stbi_failure_reason() : "does not decode");
    if (image.width != info.stored_width || image.height != info.stored_height)
        fail_data(name, "damaged JPEG: two sizes, {} x {} and {} x {}", info.stored_width, info.stored_height,
                  image.width, image.height);
    const std::size_t size = static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height) * 3;
    image.rgb.assign(pixels.get(), pixels.get() + size);
    return apply_orientation(std::move(image), info.orientation);
}

Image read_image(const std::string& path, const ImageLimits& limits) {
    return decode_image(read_whole(path, limits.max_file_bytes), printable(path, 300), limits);
}

namespace {

// Where the stored pixel (x, y) of a w x h picture goes.
struct Turn {
    bool swap, flip_x, flip_y;  // swap x and y first, then mirror within the upright picture
};

Turn turn_of(int orientation) {
    static constexpr Turn turns[9] = {{false, false, false}, {false, false, false}, {false, true, false},
                                      {false, true, true},   {false, false, true},  {true, false, false},
                                      {true, true, false},   {true, true, true},    {true, false, true}};
    check(orientation >= 1 && orientation <= 8, "[orientation] {}, expected 1 to 8", orientation);
    return turns[orientation];
}

}  // namespace

Image apply_orientation(Image stored, int orientation) {
    if (orientation == 1) return stored;
    const Turn turn = turn_of(orientation);
    const auto w = static_cast<std::size_t>(stored.width), h = static_cast<std::size_t>(stored.height);
    Image out{turn.swap ? stored.height : stored.width, turn.swap ? stored.width : stored.height, {}};
    out.rgb.resize(stored.rgb.size());
    const auto ow = static_cast<std::size_t>(out.width), oh = static_cast<std::size_t>(out.height);
    for (std::size_t y = 0; y < h; ++y)
        for (std::size_t x = 0; x < w; ++x) {
            std::size_t tx = turn.swap ? y : x, ty = turn.swap ? x : y;
            if (turn.flip_x) tx = ow - 1 - tx;
            if (turn.flip_y) ty = oh - 1 - ty;
            std::memcpy(&out.rgb[(ty * ow + tx) * 3], &stored.rgb[(y * w + x) * 3], 3);
        }
    return out;
}

Object orient_object(const Object& stored, int orientation, int stored_width, int stored_height) {
    const Turn turn = turn_of(orientation);
    Object out = stored;
    if (turn.swap) {
        std::swap(out.x1, out.y1);
        std::swap(out.x2, out.y2);
        for (KeyPoint& p : out.points) std::swap(p.x, p.y);
    }
    const double width = turn.swap ? stored_height : stored_width, height = turn.swap ? stored_width : stored_height;
    if (turn.flip_x) {
        const double x1 = out.x1;
        out.x1 = width - out.x2;
        out.x2 = width - x1;
        for (KeyPoint& p : out.points) p.x = width - p.x;
    }
    if (turn.flip_y) {
        const double y1 = out.y1;
        out.y1 = height - out.y2;
        out.y2 = height - y1;
        for (KeyPoint& p : out.points) p.y = height - p.y;
    }
    return out;
}

namespace {

void append(void* to, void* data, int size) {
    const auto* bytes = static_cast<const std::uint8_t*>(data);
    auto& out = *static_cast<std::vector<std::uint8_t>*>(to);
    out.insert(out.end(), bytes, bytes + size);
}

void check_pixels(const Image& image, const char* op) {
    check(image.width > 0 && image.height > 0 &&
              image.rgb.size() == static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height) * 3,
          "[{}] {} bytes of pixels for {} x {}", op, image.rgb.size(), image.width, image.height);
}

}  // namespace

std::vector<std::uint8_t> encode_png(const Image& image) {
    check_pixels(image, "encode_png");
    std::vector<std::uint8_t> out;
    check(stbi_write_png_to_func(append, &out, image.width, image.height, 3, image.rgb.data(), 0) != 0,
          "[encode_png] out of memory for {} x {}", image.width, image.height);
    return out;
}

std::vector<std::uint8_t> encode_jpeg(const Image& image, int quality) {
    check_pixels(image, "encode_jpeg");
    std::vector<std::uint8_t> out;
    check(stbi_write_jpg_to_func(append, &out, image.width, image.height, 3, image.rgb.data(), quality) != 0,
          "[encode_jpeg] cannot write {} x {}", image.width, image.height);
    return out;
}

void write_png(const std::string& path, const Image& image) {
    const std::vector<std::uint8_t> bytes = encode_png(image);
    std::FILE* file = std::fopen(path.c_str(), "wb");
    bool ok = file != nullptr;
    if (ok) ok = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
    const int error = errno;
    if (file != nullptr && std::fclose(file) != 0) ok = false;
    if (!ok) throw IoError(fmt::format("{}: cannot write: {}", printable(path, 300), std::strerror(error)));
}

std::string base64(const std::vector<std::uint8_t>& bytes) {
    static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const std::size_t left = std::min<std::size_t>(3, bytes.size() - i);
        std::uint32_t word = std::uint32_t{bytes[i]} << 16U;
        if (left > 1) word |= std::uint32_t{bytes[i + 1]} << 8U;
        if (left > 2) word |= bytes[i + 2];
        for (std::size_t k = 0; k < 4; ++k) out += k <= left ? digits[(word >> (18 - 6 * k)) & 63U] : '=';
    }
    return out;
}

}  // namespace solobox
