// BMP: Windows' bitmaps of 1, 4, 8, 16, 24 and 32 bits, plain or with bit fields, and OS/2's first kind.
// Run-length coded ones, embedded JPEG or PNG and OS/2's second kind are refused by name.
#include <algorithm>
#include <bit>

#include "data/image/formats.h"
#include "data/text.h"

namespace solobox::image_formats {
namespace {

struct Layout {
    std::int64_t width = 0, height = 0;
    bool top_down = false;
    unsigned bits = 0;
    std::size_t pixels_at = 0, palette_at = 0, palette_count = 0, palette_step = 4;
    std::uint32_t masks[3] = {0, 0, 0};
};

void read_masks(Bytes b, const std::string& name, std::uint32_t compression, std::size_t header, Layout& at) {
    if (compression == 0) {
        if (at.bits == 16) at.masks[0] = 0x7C00, at.masks[1] = 0x3E0, at.masks[2] = 0x1F;
        if (at.bits == 32) at.masks[0] = 0xFF0000, at.masks[1] = 0xFF00, at.masks[2] = 0xFF;
        return;
    }
    if (at.bits != 16 && at.bits != 32) fail_data(name, "damaged BMP: bit fields with {} bits a pixel", at.bits);
    if (b.size() < 14 + 40 + 12) fail_data(name, "damaged BMP: the file is cut off in its header");
    for (std::size_t i = 0; i < 3; ++i) {
        const std::uint32_t mask = at.masks[i] = u32le(b, 14 + 40 + 4 * i);
        const std::uint32_t low = mask == 0 ? 0 : mask >> static_cast<unsigned>(std::countr_zero(mask));
        if (mask == 0 || (low & (low + 1)) != 0 || (at.bits == 16 && mask > 0xFFFF))
            fail_data(name, "damaged BMP: impossible bit field {:08X}", mask);
    }
    if (header == 40) at.palette_at += 12;
}

Layout read_layout(Bytes b, const std::string& name) {
    if (b.size() < 26) fail_data(name, "damaged BMP: the file is cut off in its header");
    Layout at;
    const std::uint32_t header = u32le(b, 14);
    at.pixels_at = u32le(b, 10);
    if (header == 64 || header == 16) fail_data(name, "BMP of OS/2's second kind is not supported: convert it to PNG");
    const bool core = header == 12;
    if (!core && header != 40 && header != 52 && header != 56 && header != 108 && header != 124)
        fail_data(name, "damaged BMP: unknown header of {} bytes", header);
    if (b.size() < 14 + std::size_t{header}) fail_data(name, "damaged BMP: the file is cut off in its header");
    const auto height = core ? std::int64_t{u16le(b, 20)} : std::int64_t{static_cast<std::int32_t>(u32le(b, 22))};
    at.width = core ? std::int64_t{u16le(b, 18)} : std::int64_t{static_cast<std::int32_t>(u32le(b, 18))};
    at.top_down = height < 0;
    at.height = height < 0 ? -height : height;
    at.bits = u16le(b, core ? 24 : 28);
    if (const unsigned planes = u16le(b, core ? 22 : 26); planes != 1)
        fail_data(name, "damaged BMP: it has {} planes, expected 1", planes);
    at.palette_at = 14 + std::size_t{header};
    at.palette_step = core ? 3 : 4;
    const std::uint32_t compression = core ? 0 : u32le(b, 30);
    if (compression == 1 || compression == 2)
        fail_data(name, "run-length coded BMP is not supported: convert it to PNG");
    if (compression == 4 || compression == 5)
        fail_data(name, "BMP with {} inside is not supported: convert it to PNG", compression == 4 ? "JPEG" : "PNG");
    if (compression != 0 && compression != 3) fail_data(name, "damaged BMP: unknown compression {}", compression);
    static constexpr unsigned known[] = {1, 4, 8, 16, 24, 32};
    if (std::find(std::begin(known), std::end(known), at.bits) == std::end(known))
        fail_data(name, "damaged BMP: {} bits a pixel, expected 1, 4, 8, 16, 24 or 32", at.bits);
    read_masks(b, name, compression, header, at);
    if (at.bits <= 8) {
        const std::uint32_t used = core ? 0 : u32le(b, 46);
        if (used > 256) fail_data(name, "damaged BMP: a palette of {} colours", used);
        at.palette_count = used == 0 ? std::size_t{1} << at.bits : used;
    }
    return at;
}

// A channel of `mask` as 8 bits.
std::uint8_t channel(std::uint32_t value, std::uint32_t mask) {
    const auto shift = static_cast<unsigned>(std::countr_zero(mask));
    const std::uint64_t top = mask >> shift;
    return static_cast<std::uint8_t>((std::uint64_t{(value & mask) >> shift} * 255 + top / 2) / top);
}

}  // namespace

ImageInfo bmp_info(Bytes b, const std::string& name, const ImageLimits& limits) {
    const Layout at = read_layout(b, name);
    return finish_info(name, "bmp", at.width, at.height, 1, limits);
}

Image decode_bmp(Bytes b, const std::string& name, const ImageInfo& info) {
    const Layout at = read_layout(b, name);
    const auto width = static_cast<std::size_t>(info.stored_width),
               height = static_cast<std::size_t>(info.stored_height);
    const std::size_t row_bytes = (width * at.bits + 7) / 8, stride = (row_bytes + 3) / 4 * 4;
    if (at.pixels_at < at.palette_at || at.pixels_at > b.size())
        fail_data(name, "damaged BMP: its pixels are said to start at byte {} of {}", at.pixels_at, b.size());
    if (b.size() - at.pixels_at < stride * (height - 1) + row_bytes)
        fail_data(name, "damaged BMP: the file is cut off, {} bytes of pixels instead of {}", b.size() - at.pixels_at,
                  stride * height);
    std::uint8_t palette[256][3] = {};  // colours beyond the palette are black, as everybody shows them
    const std::size_t colours = std::min(at.palette_count, (at.pixels_at - at.palette_at) / at.palette_step);
    for (std::size_t i = 0; i < colours; ++i)
        for (std::size_t c = 0; c < 3; ++c) palette[i][c] = b[at.palette_at + i * at.palette_step + 2 - c];
    Image image{info.stored_width, info.stored_height, std::vector<std::uint8_t>(width * height * 3)};
    for (std::size_t y = 0; y < height; ++y) {
        const Bytes row = b.subspan(at.pixels_at + stride * (at.top_down ? y : height - 1 - y), row_bytes);
        std::uint8_t* out = image.rgb.data() + y * width * 3;
        for (std::size_t x = 0; x < width; ++x, out += 3) {
            if (at.bits <= 8) {
                const std::size_t bit = x * at.bits;
                const unsigned index = (unsigned{row[bit / 8]} >> (8 - at.bits - bit % 8)) & ((1U << at.bits) - 1);
                std::copy_n(palette[index], 3, out);
            } else if (at.bits == 24) {
                for (std::size_t c = 0; c < 3; ++c) out[c] = row[x * 3 + 2 - c];
            } else {
                const std::uint32_t value = at.bits == 16 ? u16le(row, x * 2) : u32le(row, x * 4);
                for (std::size_t c = 0; c < 3; ++c) out[c] = channel(value, at.masks[c]);
            }
        }
    }
    return image;
}

}  // namespace solobox::image_formats
