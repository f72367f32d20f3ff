// Pictures: files or bytes in, upright 8-bit RGB out; and the few ways pictures leave (PNG, JPEG, base64, floats).
//
// JPEG, PNG and BMP, told apart by their first bytes and never by the file's name. Everything else is refused by name.
// It refuses to guess: a picture whose structure, checksums or amount of data is wrong is an error, not a grey area.
// So the same bytes always give the same pixels. Peak memory stays below 1 GB within the default limits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/types.h"

namespace solobox {

struct ImageLimits {
    std::int64_t max_pixels = std::int64_t{64} << 20;  // width * height, checked before anything is allocated
    int max_side = 65535;                              // pixels
    std::size_t max_file_bytes = std::size_t{128} << 20;
};

// What the header says.
struct ImageInfo {
    std::string format;  // "jpeg" | "png" | "bmp"
    int stored_width = 0, stored_height = 0;
    int width = 0, height = 0;  // upright: swapped for the orientations 5 to 8
    int orientation = 1;        // EXIF, 1 to 8; 1 when the file has none or a broken one
};

// Reads the header only, so it is quick; a file may pass here and still fail to decode.
// DataError names the file and says what is wrong.
ImageInfo image_info(const std::string& path, const ImageLimits& limits = {});
ImageInfo parse_image_info(std::string_view bytes, const std::string& name, const ImageLimits& limits = {});

// The whole picture, upright. EXIF orientation applied, alpha dropped (not blended), 16 bits cut to 8, grey repeated.
Image read_image(const std::string& path, const ImageLimits& limits = {});
Image decode_image(std::string_view bytes, const std::string& name, const ImageLimits& limits = {});

// `name` is shown in messages; orientation 1 to 8 as EXIF numbers it: turns stored pixels upright.
Image apply_orientation(Image stored, int orientation);
// The same turn for a box given in pixels of the stored picture (stored_width x stored_height).
Object orient_object(const Object& stored, int orientation, int stored_width, int stored_height);

std::vector<std::uint8_t> encode_png(const Image& image);
std::vector<std::uint8_t> encode_jpeg(const Image& image, int quality = 85);  // quality 1 to 100
void write_png(const std::string& path, const Image& image);                  // IoError with the system's text
std::string base64(const std::vector<std::uint8_t>& bytes);

// Bilinear resize, half-pixel centres. `antialias` widens the triangle when shrinking (Pillow's and torchvision's
// antialias=True); otherwise two taps a side whatever the scale (torch's align_corners=False).
// in: (height, width, channels) floats, any range; out: (out_height, out_width, channels).
std::vector<float> resize_bilinear(const std::vector<float>& in, int height, int width, int channels, int out_height,
                                   int out_width, bool antialias);
Image resize_bilinear(const Image& image, int width, int height, bool antialias = true);  // rounded to 8 bits

// (size, size, 3) in [0, 1]; the picture is squeezed, not letterboxed, so unit boxes stay as they are.
std::vector<float> to_float(const Image& image, int height, int width, bool antialias = true);

}  // namespace solobox
