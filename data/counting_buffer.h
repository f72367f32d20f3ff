// A file as a stream in blocks, which knows the line it has been read to. For parsers that stream.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <streambuf>
#include <string>
#include <vector>

#include "data/text.h"

namespace solobox {

// Refuses what is not a regular file, and an empty one (DataError); reading errors are IoErrors. `shown` is the name in
// messages.
class CountingBuffer : public std::streambuf {
public:
    CountingBuffer(const std::string& path, std::string shown) : shown_(std::move(shown)), block_(1 << 18) {
        const std::string first = read_prefix(path, 1);  // names what is not a regular file before it could hang us
        if (first.empty()) fail_data(shown_, "the file is empty: copy it again");
        in_.open(path, std::ios::binary);
        if (!in_) throw IoError(fmt::format("{}: cannot open: {}", shown_, std::strerror(errno)));
    }

    // 1-based line of the last byte taken; counts each byte once.
    std::int64_t line() {
        if (counted_) line_ += std::count(counted_, static_cast<const char*>(gptr()), '\n');
        counted_ = gptr();
        return line_;
    }

private:
    int_type underflow() override {
        if (gptr() < egptr()) return traits_type::to_int_type(*gptr());
        line();
        in_.read(block_.data(), static_cast<std::streamsize>(block_.size()));
        if (in_.bad()) throw IoError(fmt::format("{}: cannot read: {}", shown_, std::strerror(errno)));
        setg(block_.data(), block_.data(), block_.data() + in_.gcount());
        counted_ = gptr();
        return in_.gcount() == 0 ? traits_type::eof() : traits_type::to_int_type(*gptr());
    }

    std::string shown_;
    std::vector<char> block_;
    std::ifstream in_;
    const char* counted_ = nullptr;
    std::int64_t line_ = 1;
};

}  // namespace solobox
