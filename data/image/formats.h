// Inside data/image only: one strict reader per file format. Nobody else includes this.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "data/image/image.h"

namespace solobox::image_formats {

using Bytes = std::span<const std::uint8_t>;

inline unsigned u16be(Bytes b, std::size_t i) { return (unsigned{b[i]} << 8U) | b[i + 1]; }
inline unsigned u16le(Bytes b, std::size_t i) { return (unsigned{b[i + 1]} << 8U) | b[i]; }
inline std::uint32_t u32be(Bytes b, std::size_t i) { return (std::uint32_t{u16be(b, i)} << 16U) | u16be(b, i + 2); }
inline std::uint32_t u32le(Bytes b, std::size_t i) { return (std::uint32_t{u16le(b, i + 2)} << 16U) | u16le(b, i); }

// Orientation of a TIFF block as in JPEG's APP1 (after "Exif\0\0") or PNG's eXIf; 1 whenever anything is odd.
int exif_orientation(Bytes tiff);

// Fills orientation, upright sizes; throws when the stored size breaks the limits.
ImageInfo finish_info(const std::string& name, const char* format, std::int64_t width, std::int64_t height,
                      int orientation, const ImageLimits& limits);

// Header only. `b` starts with the format's magic and may be a prefix of the file.
ImageInfo jpeg_info(Bytes b, const std::string& name, const ImageLimits& limits);
ImageInfo png_info(Bytes b, const std::string& name, const ImageLimits& limits);
ImageInfo bmp_info(Bytes b, const std::string& name, const ImageLimits& limits);

// Walks the whole JPEG, every bit of its scans, without making pixels; throws unless a decoder can fill every block.
ImageInfo check_jpeg(Bytes b, const std::string& name, const ImageLimits& limits);

// The stored picture (not yet upright).
Image decode_png(Bytes b, const std::string& name, const ImageInfo& info);
Image decode_bmp(Bytes b, const std::string& name, const ImageInfo& info);

}  // namespace solobox::image_formats
