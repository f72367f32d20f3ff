// See jpeg_scan.h.
#include "data/image/jpeg_scan.h"

#include <algorithm>
#include <cstdlib>

namespace solobox::image_formats {

void HuffmanTable::build(const std::uint8_t* lengths, const std::uint8_t* symbols) {
    int total = 0, code = 0;
    fast.fill(0);
    for (std::size_t length = 1; length <= 16; ++length) {
        counts[length] = lengths[length - 1];
        first[length] = code;
        offset[length] = total;
        for (int i = 0; i < counts[length]; ++i) {
            if (total >= 256 || code >= (1 << length)) throw JpegError("a Huffman table has more codes than fit");
            const std::uint8_t value = symbols[total];
            values[static_cast<std::size_t>(total)] = value;
            if (length <= 9) {
                const auto shift = 9 - length;
                const auto from = static_cast<std::size_t>(code) << shift;
                std::fill_n(fast.begin() + static_cast<std::ptrdiff_t>(from), std::size_t{1} << shift,
                            static_cast<std::uint16_t>((length << 8U) | value));
            }
            ++total;
            ++code;
        }
        code <<= 1;
    }
    present = true;
}

namespace {

class BitReader {
public:
    BitReader(std::span<const std::uint8_t> bytes, std::size_t at) : bytes_(bytes), at_(at) {}

    unsigned bits(int n) {
        if (n == 0) return 0;
        if (held_ < n) refill();
        if (held_ < n) throw JpegError("the scan data ends before the picture is complete");
        held_ -= n;
        return static_cast<unsigned>((buffer_ >> held_) & ((std::uint64_t{1} << n) - 1));
    }

    int symbol(const HuffmanTable& table) {
        if (held_ < 16) refill();
        // Beyond the end the code is read as if zeros followed; bits() then refuses to hand them out.
        const auto look =
            static_cast<unsigned>((held_ >= 16 ? buffer_ >> (held_ - 16) : buffer_ << (16 - held_)) & 0xFFFFU);
        if (const unsigned entry = table.fast[look >> 7U]; entry != 0) {
            bits(static_cast<int>(entry >> 8U));
            return static_cast<int>(entry & 0xFFU);
        }
        for (std::size_t length = 10; length <= 16; ++length) {
            const int index = static_cast<int>(look >> (16 - length)) - table.first[length];
            if (index < table.counts[length]) {
                if (index < 0) break;
                bits(static_cast<int>(length));
                return table.values[static_cast<std::size_t>(table.offset[length] + index)];
            }
        }
        if (held_ < 16) throw JpegError("the scan data ends before the picture is complete");
        throw JpegError("the scan data holds a code that its Huffman table lacks");
    }

    // A signed value of `size` bits as JPEG writes them (T.81 F.2.2.1, EXTEND).
    int value(int size) {
        if (size == 0) return 0;
        const int raw = static_cast<int>(bits(size));
        return raw < (1 << (size - 1)) ? raw - (1 << size) + 1 : raw;
    }

    // Drops the bits up to the next restart marker and steps over it.
    void restart() {
        if (held_ >= 8) throw JpegError("a restart marker is missing in the scan data");
        buffer_ = 0;
        held_ = 0;
        while (at_ + 1 < bytes_.size() && bytes_[at_] == 0xFF && bytes_[at_ + 1] == 0xFF) ++at_;
        if (at_ + 1 >= bytes_.size() || bytes_[at_] != 0xFF || bytes_[at_ + 1] < 0xD0 || bytes_[at_ + 1] > 0xD7)
            throw JpegError("a restart marker is missing in the scan data");
        at_ += 2;
    }

    std::size_t position() const { return at_; }

private:
    void refill() {
        while (held_ <= 48 && at_ < bytes_.size()) {
            const std::uint8_t byte = bytes_[at_];
            if (byte == 0xFF) {
                if (at_ + 1 >= bytes_.size() || bytes_[at_ + 1] != 0) return;  // a marker: the data ends here
                ++at_;
            }
            ++at_;
            buffer_ = (buffer_ << 8U) | byte;
            held_ += 8;
        }
    }

    std::span<const std::uint8_t> bytes_;
    std::size_t at_;
    std::uint64_t buffer_ = 0;
    int held_ = 0;
};

class ScanWalker {
public:
    ScanWalker(std::span<const std::uint8_t> bytes, std::size_t at, const JpegScan& scan)
        : scan_(scan), reader_(bytes, at) {}

    std::size_t walk() {
        if (scan_.components.size() == 1) {
            JpegComponent& part = *scan_.components[0];
            for (int y = 0; y < part.blocks_y; ++y)
                for (int x = 0; x < part.blocks_x; ++x) {
                    step();
                    block(0, part, x, y);
                }
        } else {
            for (int y = 0; y < scan_.mcus_y; ++y)
                for (int x = 0; x < scan_.mcus_x; ++x) {
                    step();
                    unit(x, y);
                }
        }
        return reader_.position();
    }

private:
    void step() {
        if (scan_.restart_interval > 0 && done_ == scan_.restart_interval) {
            reader_.restart();
            previous_.fill(0);
            run_ = 0;
            done_ = 0;
        }
        ++done_;
    }

    void unit(int x, int y) {
        for (std::size_t i = 0; i < scan_.components.size(); ++i) {
            JpegComponent& part = *scan_.components[i];
            for (int v = 0; v < part.v; ++v)
                for (int h = 0; h < part.h; ++h) block(i, part, x * part.h + h, y * part.v + v);
        }
    }

    void block(std::size_t i, JpegComponent& part, int x, int y) {
        if (!scan_.progressive) {
            dc_first(i);
            ac_baseline(*scan_.ac[i]);
        } else if (scan_.start == 0) {
            if (scan_.high == 0)
                dc_first(i);
            else
                reader_.bits(1);
        } else {
            auto& mask = part.nonzero[static_cast<std::size_t>(y) * static_cast<std::size_t>(part.padded_x) +
                                      static_cast<std::size_t>(x)];
            if (scan_.high == 0)
                ac_first(*scan_.ac[i], mask);
            else
                ac_refine(*scan_.ac[i], mask);
        }
    }

    void dc_first(std::size_t i) {
        const int size = reader_.symbol(*scan_.dc[i]);
        if (size > 15) throw JpegError("a DC coefficient is out of range");
        previous_[i] += reader_.value(size);
        if (std::abs(previous_[i]) > (32767 >> scan_.low)) throw JpegError("a DC coefficient is out of range");
    }

    void ac_baseline(const HuffmanTable& table) {
        for (int k = 1; k < 64;) {
            const int code = reader_.symbol(table);
            const int run = code >> 4, size = code & 15;
            if (size == 0) {
                if (run != 15) break;
                k += 16;
                continue;
            }
            k += run;
            if (k > 63) throw JpegError("a block has more than 64 coefficients");
            reader_.bits(size);
            ++k;
        }
    }

    void ac_first(const HuffmanTable& table, std::uint64_t& mask) {
        if (run_ > 0) {
            --run_;
            return;
        }
        for (int k = scan_.start; k <= scan_.end;) {
            const int code = reader_.symbol(table);
            const int run = code >> 4, size = code & 15;
            if (size == 0) {
                if (run < 15) {
                    run_ = (1 << run) - 1 + static_cast<int>(reader_.bits(run));
                    break;
                }
                k += 16;
                continue;
            }
            k += run;
            if (k > scan_.end) throw JpegError("a block has more coefficients than its scan");
            if (size + scan_.low > 15) throw JpegError("an AC coefficient is out of range");
            reader_.bits(size);
            mask |= std::uint64_t{1} << k;
            ++k;
        }
    }

    void ac_refine(const HuffmanTable& table, std::uint64_t& mask) {
        int k = scan_.start;
        if (run_ == 0) {
            while (k <= scan_.end) {
                const int code = reader_.symbol(table);
                int run = code >> 4;
                const int size = code & 15;
                if (size > 1) throw JpegError("a refined coefficient is out of range");
                if (size == 0 && run < 15) {
                    run_ = (1 << run) + static_cast<int>(reader_.bits(run));
                    break;
                }
                if (size == 1) reader_.bits(1);
                for (; k <= scan_.end; ++k) {
                    if ((mask >> k & 1U) != 0) {
                        reader_.bits(1);
                    } else if (run-- == 0) {
                        if (size == 1) mask |= std::uint64_t{1} << k;
                        ++k;
                        break;
                    }
                }
            }
            if (run_ == 0) return;
        }
        for (; k <= scan_.end; ++k)
            if ((mask >> k & 1U) != 0) reader_.bits(1);
        --run_;
    }

    const JpegScan& scan_;
    BitReader reader_;
    std::array<int, 4> previous_{};  // DC predictions
    int run_ = 0;                    // blocks left of an end-of-band run
    int done_ = 0;                   // units since the last restart
};

}  // namespace

std::size_t walk_scan(std::span<const std::uint8_t> bytes, std::size_t at, const JpegScan& scan) {
    return ScanWalker(bytes, at, scan).walk();
}

}  // namespace solobox::image_formats
