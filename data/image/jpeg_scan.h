// Walks the entropy-coded data of one JPEG scan without making pixels (ITU-T T.81, annexes F and G), so that image_jpeg
// can tell a whole picture from one whose data is cut, missing or impossible. Huffman coding, 8 bits a sample only.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace solobox::image_formats {

struct JpegError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct HuffmanTable {
    bool present = false;
    std::array<std::uint8_t, 17> counts{};  // codes of each length, 1 to 16
    std::array<std::uint8_t, 256> values{};
    std::array<std::uint16_t, 512> fast{};  // first 9 bits -> length << 8 | value, 0 when the code is longer
    std::array<int, 17> first{}, offset{};  // first code of a length, and its place in `values`

    // Throws JpegError when more codes are claimed than the lengths can hold.
    void build(const std::uint8_t* lengths, const std::uint8_t* symbols);
};

struct JpegComponent {
    int id = 0, h = 1, v = 1, quant = 0;
    int blocks_x = 0, blocks_y = 0;      // in a scan of its own
    int padded_x = 0;                    // blocks in a row when interleaved
    bool dc_seen = false;                // its DC coefficients (baseline: all) have come
    std::vector<std::uint64_t> nonzero;  // progressive: one bit for each coefficient that is not zero, a word a block
};

struct JpegScan {
    std::vector<JpegComponent*> components;
    std::array<const HuffmanTable*, 4> dc{}, ac{};  // by position in `components`
    bool progressive = false;
    int start = 0, end = 63, high = 0, low = 0;  // spectral selection, successive approximation
    int restart_interval = 0;
    int mcus_x = 0, mcus_y = 0;
};

// Walks the scan that starts at bytes[at]; returns where its data ends (at a marker). Throws JpegError.
std::size_t walk_scan(std::span<const std::uint8_t> bytes, std::size_t at, const JpegScan& scan);

}  // namespace solobox::image_formats
