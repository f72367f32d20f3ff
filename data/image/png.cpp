// PNG (W3C PNG specification, second edition), read strictly: chunk order, every checksum, exactly the rows the header
// promises. Rows are inflated one at a time, so memory is the picture plus two rows, whatever the stream claims.
#include <zlib.h>

#include <algorithm>
#include <cstdlib>

#include "data/image/formats.h"
#include "data/text.h"

namespace solobox::image_formats {
namespace {

struct Header {
    std::int64_t width = 0, height = 0;
    unsigned depth = 0, colour = 0;
    bool interlaced = false;
    unsigned channels() const {
        static constexpr unsigned table[7] = {1, 0, 3, 1, 2, 0, 4};
        return table[colour];
    }
};

struct Chunk {
    std::string_view type;
    Bytes body;
};

constexpr std::size_t signature_size = 8;

class PngReader {
public:
    PngReader(Bytes b, const std::string& name) : b_(b), name_(name) {}

    // Reads chunks up to the first IDAT (header_only) or to IEND.
    void walk(bool header_only) {
        std::size_t at = signature_size;
        bool after_data = false;
        for (bool first = true;; first = false) {
            const Chunk chunk = next(at, header_only);
            if (chunk.type == "CgBI")
                fail_data(name_, "PNG in Apple's CgBI variant is not supported: convert it to PNG");
            if (first != (chunk.type == "IHDR")) broken("its first chunk is not the only IHDR");
            if (chunk.type == "IDAT") {
                if (header_only) return;
                if (after_data) broken("its picture data (IDAT) is not in one piece");
                data_.push_back(chunk.body);
            } else if (!data_.empty()) {
                after_data = true;
            }
            if (chunk.type == "IEND") break;
            take(chunk);
        }
        if (data_.empty()) broken("it has no picture data (IDAT)");
    }

    Header header;
    int orientation = 1;
    std::vector<std::uint8_t> palette;  // RGB triples
    const std::vector<Bytes>& data() const { return data_; }
    [[noreturn]] void broken(const std::string& what) const { fail_data(name_, "damaged PNG: {}", what); }

private:
    Chunk next(std::size_t& at, bool header_only) {
        if (at + 12 > b_.size()) broken("the file is cut off, the end chunk (IEND) is missing");
        const std::size_t length = u32be(b_, at);
        const std::string_view type(reinterpret_cast<const char*>(b_.data()) + at + 4, 4);
        for (const char c : type)
            if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')))
                broken(fmt::format("there is no chunk at offset {}", at));
        if (header_only && type == "IDAT") return {type, {}};
        if (length > b_.size() - at - 12) broken(fmt::format("chunk {} is cut off", type));
        const auto sum = ::crc32(0, b_.data() + at + 4, static_cast<uInt>(length + 4));
        if (sum != u32be(b_, at + 8 + length)) broken(fmt::format("chunk {} has a wrong checksum", type));
        const Chunk chunk{type, b_.subspan(at + 8, length)};
        at += length + 12;
        return chunk;
    }

    void take(const Chunk& chunk) {
        const Bytes body = chunk.body;
        if (chunk.type == "IHDR") {
            read_header(body);
        } else if (chunk.type == "PLTE") {
            if (body.empty() || body.size() % 3 != 0 || body.size() > 768 || !palette.empty())
                broken("its palette (PLTE) has a wrong size");
            palette.assign(body.begin(), body.end());
        } else if (chunk.type == "tRNS") {
            const std::size_t size = header.colour == 3 ? palette.size() / 3 : header.colour == 0 ? 2 : 6;
            const bool fits = header.colour == 3 ? !body.empty() && body.size() <= size : body.size() == size;
            if (header.colour >= 4 || !fits) broken("its transparency (tRNS) has a wrong size");
        } else if (chunk.type == "eXIf") {
            if (data_.empty()) orientation = exif_orientation(body);
        } else if (chunk.type != "IDAT" && chunk.type[0] < 'a') {
            broken(fmt::format("unknown critical chunk {}", chunk.type));
        }
    }

    void read_header(Bytes body) {
        if (body.size() != 13) broken("IHDR has a wrong length");
        header.width = u32be(body, 0);
        header.height = u32be(body, 4);
        header.depth = body[8];
        header.colour = body[9];
        header.interlaced = body[12] == 1;
        const bool power = header.depth != 0 && header.depth <= 16 && (header.depth & (header.depth - 1)) == 0;
        bool fits = power && header.colour <= 6 && header.colour != 1 && header.colour != 5;
        if (header.colour == 3) fits = fits && header.depth <= 8;
        if (header.colour == 2 || header.colour >= 4) fits = fits && header.depth >= 8;
        if (!fits) broken(fmt::format("colour type {} with {} bits does not exist", header.colour, header.depth));
        if (body[10] != 0 || body[11] != 0 || body[12] > 1) broken("unknown compression, filter or interlace method");
        if (header.width == 0 || header.height == 0) broken("its width or height is 0");
    }

    Bytes b_;
    const std::string& name_;
    std::vector<Bytes> data_;
};

// The IDAT chunks as one zlib stream, read in pieces.
class Inflater {
public:
    explicit Inflater(const PngReader& png) : png_(png) {
        if (::inflateInit(&stream_) != Z_OK) png_.broken("zlib has no memory");
    }
    ~Inflater() { ::inflateEnd(&stream_); }
    Inflater(const Inflater&) = delete;
    Inflater& operator=(const Inflater&) = delete;

    void read(std::uint8_t* out, std::size_t size) {
        if (fill(out, size) != size) png_.broken("its picture data (IDAT) ends before the picture is complete");
    }

    // The stream must end here (a few bytes of padding are forgiven) with its checksum intact.
    void finish() {
        std::vector<std::uint8_t> rest(std::size_t{1} << 16);
        fill(rest.data(), rest.size());
        if (ended_) return;
        png_.broken(stream_.avail_out == 0 ? "its picture data (IDAT) is longer than the picture"
                                           : "its picture data (IDAT) is cut off");
    }

private:
    std::size_t fill(std::uint8_t* out, std::size_t size) {
        stream_.next_out = out;
        stream_.avail_out = static_cast<uInt>(size);
        while (stream_.avail_out > 0 && !ended_) {
            if (stream_.avail_in == 0 && part_ < png_.data().size()) {
                const Bytes part = png_.data()[part_++];
                // zlib's interface predates const; it does not write to its input.
                stream_.next_in = const_cast<Bytef*>(part.data());
                stream_.avail_in = static_cast<uInt>(part.size());
                continue;
            }
            const int status = ::inflate(&stream_, Z_NO_FLUSH);
            if (status == Z_STREAM_END)
                ended_ = true;
            else if (status == Z_BUF_ERROR)
                break;  // no input left
            else if (status != Z_OK)
                png_.broken(fmt::format("its picture data (IDAT) does not decompress{}{}", stream_.msg ? ": " : "",
                                        stream_.msg ? stream_.msg : ""));
        }
        return size - stream_.avail_out;
    }

    const PngReader& png_;
    z_stream stream_{};
    std::size_t part_ = 0;
    bool ended_ = false;
};

int paeth(int a, int b, int c) {
    const int p = a + b - c, pa = std::abs(p - a), pb = std::abs(p - b), pc = std::abs(p - c);
    return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
}

// row, above: bytes of this row (filtered, then plain) and of the one above (plain).
void unfilter(unsigned filter, std::vector<std::uint8_t>& row, const std::vector<std::uint8_t>& above,
              std::size_t step) {
    for (std::size_t i = 0; i < row.size(); ++i) {
        const int a = i >= step ? row[i - step] : 0, b = above[i], c = i >= step ? above[i - step] : 0;
        int guess = 0;
        if (filter == 1) guess = a;
        if (filter == 2) guess = b;
        if (filter == 3) guess = (a + b) / 2;
        if (filter == 4) guess = paeth(a, b, c);
        row[i] = static_cast<std::uint8_t>(row[i] + guess);
    }
}

struct Pass {
    int x0, y0, dx, dy;
};

class RowWriter {
public:
    RowWriter(const PngReader& png, Image& image) : png_(png), image_(image) {}

    void write(const std::vector<std::uint8_t>& row, const Pass& pass, int y) {
        const Header& head = png_.header;
        std::uint8_t* out = image_.rgb.data() + (static_cast<std::size_t>(y) * static_cast<std::size_t>(image_.width) +
                                                 static_cast<std::size_t>(pass.x0)) *
                                                    3;
        const std::size_t step = static_cast<std::size_t>(pass.dx) * 3;
        const unsigned channels = head.channels(), bytes = head.depth == 16 ? 2 : 1;
        const bool colours = channels >= 3;
        std::size_t i = 0;
        for (int x = pass.x0; x < image_.width; x += pass.dx, out += step, ++i) {
            if (head.depth < 8) {
                small(row, i, out);
            } else if (head.colour == 3) {
                from_palette(row[i], out);
            } else {
                const std::uint8_t* in = row.data() + i * channels * bytes;  // big-endian: the high byte comes first
                out[0] = in[0];
                out[1] = in[colours ? bytes : 0];
                out[2] = in[colours ? 2 * bytes : 0];
            }
        }
    }

private:
    void small(const std::vector<std::uint8_t>& row, std::size_t i, std::uint8_t* out) const {
        const unsigned depth = png_.header.depth, top = (1U << depth) - 1;
        const std::size_t bit = i * depth;
        const unsigned value = (unsigned{row[bit / 8]} >> (8 - depth - bit % 8)) & top;
        if (png_.header.colour == 3) return from_palette(value, out);
        out[0] = out[1] = out[2] = static_cast<std::uint8_t>(value * (255 / top));
    }

    void from_palette(std::size_t index, std::uint8_t* out) const {
        if (index * 3 >= png_.palette.size())
            png_.broken(fmt::format("a pixel has colour {} of a palette of {}", index, png_.palette.size() / 3));
        std::copy_n(png_.palette.begin() + static_cast<std::ptrdiff_t>(index * 3), 3, out);
    }

    const PngReader& png_;
    Image& image_;
};

}  // namespace

ImageInfo png_info(Bytes b, const std::string& name, const ImageLimits& limits) {
    PngReader png(b, name);
    png.walk(true);
    return finish_info(name, "png", png.header.width, png.header.height, png.orientation, limits);
}

Image decode_png(Bytes b, const std::string& name, const ImageInfo& info) {
    PngReader png(b, name);
    png.walk(false);
    if (png.header.colour == 3 && png.palette.empty()) png.broken("its palette (PLTE) is missing");
    // Deflate packs at most about 1032 : 1, so a bomb's header shows before memory is spent.
    const std::int64_t bits = png.header.channels() * png.header.depth;
    std::size_t packed = 0;
    for (const Bytes& part : png.data()) packed += part.size();
    const std::int64_t row_bytes = (info.stored_width * bits + 7) / 8;
    if (static_cast<std::int64_t>(packed) * 1040 + 64 < row_bytes * info.stored_height)
        png.broken(
            fmt::format("{} bytes of data cannot hold {} x {} pixels", packed, info.stored_width, info.stored_height));
    Image image{info.stored_width, info.stored_height, {}};
    image.rgb.resize(static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height) * 3);
    static constexpr Pass adam7[7] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
                                      {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};
    static constexpr Pass plain[1] = {{0, 0, 1, 1}};
    const std::span<const Pass> passes = png.header.interlaced ? std::span<const Pass>(adam7) : plain;
    const auto step = static_cast<std::size_t>(std::max<std::int64_t>(1, bits / 8));
    Inflater inflater(png);
    RowWriter writer(png, image);
    for (const Pass& pass : passes) {
        if (pass.x0 >= image.width || pass.y0 >= image.height) continue;
        const std::int64_t columns = (image.width - pass.x0 + pass.dx - 1) / pass.dx;
        std::vector<std::uint8_t> row(static_cast<std::size_t>((columns * bits + 7) / 8));
        std::vector<std::uint8_t> above(row.size(), 0);
        for (int y = pass.y0; y < image.height; y += pass.dy) {
            std::uint8_t filter = 0;
            inflater.read(&filter, 1);
            if (filter > 4) png.broken(fmt::format("row {} has the unknown filter {}", y, filter));
            inflater.read(row.data(), row.size());
            unfilter(filter, row, above, step);
            writer.write(row, pass, y);
            std::swap(row, above);
        }
    }
    inflater.finish();
    return image;
}

}  // namespace solobox::image_formats
