// JPEG: what the markers say, and whether everything a decoder needs is there (ITU-T T.81, annex B). Makes no pixels:
// image.cpp hands a file that passed to stb_image, which on its own answers missing data with memory as it was.
#include <algorithm>

#include "data/image/formats.h"
#include "data/image/jpeg_scan.h"
#include "data/text.h"

namespace solobox::image_formats {
namespace {

constexpr int max_scans = 100;                         // more only serve to keep a decoder busy
constexpr std::int64_t max_block_visits = 60'000'000;  // scans x blocks; a 64-megapixel picture of 10 scans needs 30 M
constexpr std::int64_t max_decode_bytes = std::int64_t{950} << 20;  // the file, coefficients, planes and pixels

class JpegReader {
public:
    JpegReader(Bytes bytes, const std::string& name, const ImageLimits& limits)
        : b_(bytes), name_(name), limits_(limits) {}

    ImageInfo header() {
        at_ = 2;
        while (!frame_seen_) {
            const int marker = next_marker();
            if (marker == 0xD9 || marker == 0xDA)
                fail_data(name_, "damaged JPEG: no frame header (SOF) before the data");
            segment(marker);
        }
        return info_;
    }

    ImageInfo check() {
        header();
        reserve();
        for (;;) {
            const int marker = next_marker();
            if (marker == 0xD9) break;
            if (marker == 0xDA)
                scan();
            else
                segment(marker);
        }
        for (const JpegComponent& part : parts_)
            if (!part.dc_seen) fail_data(name_, "damaged JPEG: no scan data for colour component {}", part.id);
        return info_;
    }

private:
    [[noreturn]] void broken(const std::string& what) const { fail_data(name_, "damaged JPEG: {}", what); }

    int next_marker() {
        if (at_ < b_.size() && b_[at_] != 0xFF) broken(fmt::format("stray bytes before the marker at offset {}", at_));
        while (at_ < b_.size() && b_[at_] == 0xFF) ++at_;
        if (at_ >= b_.size()) broken("the file is cut off, the end marker (EOI) is missing");
        return b_[at_++];
    }

    // Steps over one segment, reading those that matter.
    void segment(int marker) {
        if (marker == 0 || marker == 1 || (marker >= 0xD0 && marker <= 0xD8) || marker < 0xC0)
            broken(fmt::format("unexpected marker FF{:02X}", marker));
        if (at_ + 2 > b_.size()) broken("the file is cut off in a header");
        const std::size_t length = u16be(b_, at_);
        if (length < 2) broken(fmt::format("segment FF{:02X} has length {}", marker, length));
        if (at_ + length > b_.size()) broken("the file is cut off in a header");
        const Bytes body = b_.subspan(at_ + 2, length - 2);
        at_ += length;
        if (marker == 0xC4)
            huffman(body);
        else if (marker == 0xDB)
            quantization(body);
        else if (marker == 0xDD) {
            if (body.size() != 2) broken("the restart interval has a wrong length");
            restart_ = static_cast<int>(u16be(body, 0));
        } else if (marker == 0xE1)
            exif(body);
        else if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC8)
            frame(marker, body);
    }

    void exif(Bytes body) {
        static constexpr std::string_view magic("Exif\0\0", 6);
        if (exif_seen_ || body.size() < 6 || !std::equal(magic.begin(), magic.end(), body.begin())) return;
        exif_seen_ = true;
        if (!frame_seen_) orientation_ = exif_orientation(body.subspan(6));
    }

    void huffman(Bytes body) {
        while (!body.empty()) {
            if (body.size() < 17) broken("a Huffman table is cut off");
            const unsigned kind = body[0] >> 4U, id = body[0] & 15U;
            if (kind > 1 || id > 3) broken("a Huffman table has an impossible number");
            std::size_t total = 0;
            for (std::size_t i = 1; i <= 16; ++i) total += body[i];
            if (total > 256 || body.size() < 17 + total) broken("a Huffman table has more codes than fit");
            try {
                tables_[kind * 4 + id].build(&body[1], body.data() + 17);
            } catch (const JpegError& error) {
                broken(error.what());
            }
            body = body.subspan(17 + total);
        }
    }

    void quantization(Bytes body) {
        while (!body.empty()) {
            const unsigned wide = body[0] >> 4U, id = body[0] & 15U;
            const std::size_t size = 1 + 64 * (wide + 1);
            if (wide > 1 || id > 3) broken("a quantization table has an impossible number");
            if (body.size() < size) broken("a quantization table is cut off");
            quant_seen_[id] = true;
            body = body.subspan(size);
        }
    }

    void frame(int marker, Bytes body) {
        if (marker == 0xC3 || marker == 0xC7 || marker == 0xCB || marker == 0xCF)
            fail_data(name_, "lossless JPEG is not supported: convert it to PNG");
        if (marker > 0xC8) fail_data(name_, "JPEG with arithmetic coding is not supported: convert it to PNG");
        if (marker > 0xC2) fail_data(name_, "hierarchical JPEG is not supported: convert it to PNG");
        if (frame_seen_) broken("it has two frame headers (SOF)");
        if (body.size() < 6) broken("the frame header is cut off");
        if (body[0] != 8)
            fail_data(name_, "JPEG with {} bits a sample is not supported (8 are): convert it to PNG", body[0]);
        const int height = static_cast<int>(u16be(body, 1)), width = static_cast<int>(u16be(body, 3));
        const std::size_t n = body[5];
        if (n != 1 && n != 3 && n != 4) broken(fmt::format("it has {} colour components, expected 1, 3 or 4", n));
        if (body.size() != 6 + 3 * n) broken("the frame header has a wrong length");
        frame_seen_ = true;
        progressive_ = marker == 0xC2;
        info_ = finish_info(name_, "jpeg", width, height, orientation_, limits_);
        for (std::size_t i = 0; i < n; ++i) components_from(body.subspan(6 + 3 * i, 3));
        layout();
    }

    void components_from(Bytes spec) {
        JpegComponent part;
        part.id = spec[0];
        part.h = spec[1] >> 4U;
        part.v = spec[1] & 15U;
        part.quant = spec[2];
        if (part.h < 1 || part.h > 4 || part.v < 1 || part.v > 4) broken("impossible sampling factors");
        if (part.quant > 3) broken("a quantization table has an impossible number");
        for (const JpegComponent& other : parts_)
            if (other.id == part.id) broken("two colour components have the same number");
        parts_.push_back(std::move(part));
    }

    void layout() {
        int h_max = 1, v_max = 1;
        for (const JpegComponent& part : parts_) {
            h_max = std::max(h_max, part.h);
            v_max = std::max(v_max, part.v);
        }
        const auto up = [](int a, int n) { return (a + n - 1) / n; };
        mcus_x_ = up(info_.stored_width, 8 * h_max);
        mcus_y_ = up(info_.stored_height, 8 * v_max);
        std::int64_t samples = 0;
        for (JpegComponent& part : parts_) {
            // stb_image repeats whole samples only; other ratios would make it read past its rows.
            if (h_max % part.h != 0 || v_max % part.v != 0)
                fail_data(name_, "JPEG with fractional sampling factors is not supported: convert it to PNG");
            part.blocks_x = up(up(info_.stored_width * part.h, h_max), 8);
            part.blocks_y = up(up(info_.stored_height * part.v, v_max), 8);
            part.padded_x = mcus_x_ * part.h;
            samples += std::int64_t{64} * part.padded_x * mcus_y_ * part.v;
        }
        const std::int64_t pixels = std::int64_t{info_.stored_width} * info_.stored_height;
        const std::int64_t need = samples * (progressive_ ? 3 : 1) + pixels * 3 + static_cast<std::int64_t>(b_.size());
        if (need > max_decode_bytes)
            fail_data(name_, "decoding needs {} MB (limit {}): make the picture smaller", need >> 20,
                      max_decode_bytes >> 20);
    }

    void reserve() {
        // A scan spends at least one bit on a block (progressive runs apart), so a bomb shows before memory is spent.
        std::int64_t blocks = 0;
        for (const JpegComponent& part : parts_) blocks += std::int64_t{part.blocks_x} * part.blocks_y;
        if (static_cast<std::int64_t>(b_.size()) * 8 < blocks / (progressive_ ? 4 : 1))
            broken(
                fmt::format("{} bytes cannot hold {} x {} pixels", b_.size(), info_.stored_width, info_.stored_height));
        if (!progressive_) return;
        for (JpegComponent& part : parts_)
            part.nonzero.assign(static_cast<std::size_t>(part.padded_x) * static_cast<std::size_t>(mcus_y_ * part.v),
                                0);
    }

    void scan() {
        if (at_ + 3 > b_.size()) broken("the file is cut off in a scan header");
        const std::size_t length = u16be(b_, at_), n = b_[at_ + 2];
        if (length != 6 + 2 * n || n < 1 || n > parts_.size()) broken("a scan header has a wrong length");
        if (at_ + length > b_.size()) broken("the file is cut off in a scan header");
        const Bytes body = b_.subspan(at_ + 3, length - 3);
        JpegScan scan;
        scan.progressive = progressive_;
        scan.start = body[2 * n];
        scan.end = body[2 * n + 1];
        scan.high = body[2 * n + 2] >> 4U;
        scan.low = body[2 * n + 2] & 15U;
        scan.restart_interval = restart_;
        scan.mcus_x = mcus_x_;
        scan.mcus_y = mcus_y_;
        check_bands(scan, n);
        std::int64_t blocks = 0;
        for (std::size_t i = 0; i < n; ++i) {
            scan.components.push_back(&component(body[2 * i], scan));
            pick_tables(scan, i, body[2 * i + 1]);
            blocks += std::int64_t{scan.components[i]->blocks_x} * scan.components[i]->blocks_y;
        }
        visits_ += blocks;
        if (++scans_ > max_scans || visits_ > max_block_visits) broken("it has too many scans");
        at_ += length;
        try {
            at_ = walk_scan(b_, at_, scan);
        } catch (const JpegError& error) {
            broken(error.what());
        }
        if (!progressive_ || scan.start == 0)
            for (JpegComponent* part : scan.components) part->dc_seen = true;
        // Bytes between the last block and the marker mean nothing; encoders do leave some.
        while (at_ + 1 < b_.size() && !(b_[at_] == 0xFF && b_[at_ + 1] != 0)) ++at_;
        if (at_ + 1 >= b_.size()) at_ = b_.size();
    }

    void check_bands(JpegScan& scan, std::size_t n) {
        if (!progressive_) {
            if (scan.start != 0 || scan.high != 0 || scan.low != 0) broken("a scan has impossible parameters");
            scan.end = 63;  // some encoders leave it 0; decoders do not look
            return;
        }
        const bool dc = scan.start == 0;
        if (scan.end > 63 || scan.start > scan.end || scan.low > 13 || scan.high > 13 || (dc && scan.end != 0) ||
            (!dc && n != 1))
            broken("a scan has impossible parameters");
    }

    JpegComponent& component(int id, const JpegScan& scan) {
        for (JpegComponent& part : parts_) {
            if (part.id != id) continue;
            if (std::find(scan.components.begin(), scan.components.end(), &part) != scan.components.end())
                broken("a scan names a colour component twice");
            if (!quant_seen_[static_cast<std::size_t>(part.quant)]) broken("a quantization table is missing");
            return part;
        }
        broken(fmt::format("a scan names colour component {}, which the frame lacks", id));
    }

    void pick_tables(JpegScan& scan, std::size_t i, unsigned packed) {
        const unsigned dc = packed >> 4U, ac = packed & 15U;
        if (dc > 3 || ac > 3) broken("a Huffman table has an impossible number");
        scan.dc[i] = &tables_[dc];
        scan.ac[i] = &tables_[4 + ac];
        const bool needs_dc = !progressive_ || (scan.start == 0 && scan.high == 0);
        const bool needs_ac = !progressive_ || scan.start > 0;
        if ((needs_dc && !scan.dc[i]->present) || (needs_ac && !scan.ac[i]->present))
            broken("a Huffman table is missing");
    }

    Bytes b_;
    const std::string& name_;
    const ImageLimits& limits_;
    std::size_t at_ = 0;
    ImageInfo info_;
    bool frame_seen_ = false, exif_seen_ = false, progressive_ = false;
    int orientation_ = 1, restart_ = 0, mcus_x_ = 0, mcus_y_ = 0, scans_ = 0;
    std::int64_t visits_ = 0;
    std::vector<JpegComponent> parts_;
    std::array<HuffmanTable, 8> tables_;  // 4 for DC, then 4 for AC
    std::array<bool, 4> quant_seen_{};
};

}  // namespace

ImageInfo jpeg_info(Bytes b, const std::string& name, const ImageLimits& limits) {
    return JpegReader(b, name, limits).header();
}

ImageInfo check_jpeg(Bytes b, const std::string& name, const ImageLimits& limits) {
    return JpegReader(b, name, limits).check();
}

}  // namespace solobox::image_formats
