// What the data tests share: a temporary directory that cleans up after itself, and small pictures made in memory.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/image/image.h"
#include "data/types.h"
#include "tensor/check.h"

namespace solobox::fixtures {

class TemporaryDirectory {
public:
    TemporaryDirectory() {
        std::string pattern = (std::filesystem::temp_directory_path() / "solobox-data-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) throw IoError("no temporary directory");
        path_ = pattern;
    }
    ~TemporaryDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

    const std::string& path() const { return path_; }
    std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

    std::string write(const std::string& name, std::string_view text) const {
        const std::string path = *this / name;
        std::filesystem::create_directories(std::filesystem::path(path).parent_path());
        std::ofstream(path, std::ios::binary) << text;
        return path;
    }
    std::string write(const std::string& name, const std::vector<std::uint8_t>& bytes) const {
        return write(name, std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    }

private:
    std::string path_;
};

inline std::string text_of(const std::vector<std::uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

// The whole file, "" when there is none.
inline std::string read_text(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

// Where the shared corpora are, if they are: SOLOBOX_SHARED, or beside the repository.
inline std::string shared_directory() {
    if (const char* given = std::getenv("SOLOBOX_SHARED"); given != nullptr && *given != 0) return given;
    return (std::filesystem::path(SOLOBOX_SOURCE_DIR).parent_path() / "shared").string();
}

// Red grows to the right, green downwards, so every turn and mirror shows.
inline Image ramp(int width, int height) {
    Image image{width, height, {}};
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x) {
            image.rgb.push_back(static_cast<std::uint8_t>(255 * x / std::max(1, width - 1)));
            image.rgb.push_back(static_cast<std::uint8_t>(255 * y / std::max(1, height - 1)));
            image.rgb.push_back(static_cast<std::uint8_t>((x * 7 + y * 13) % 256));
        }
    return image;
}

// A JPEG of a ramp whose pixels are to be turned as its EXIF block says (1 to 8); big-endian.
inline std::string turned_jpeg(int width, int height, int orientation) {
    const std::string jpeg = text_of(encode_jpeg(ramp(width, height)));
    const std::string tiff = std::string("MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0", 19) +
                             static_cast<char>(orientation) + std::string("\0\0\0\0\0\0", 6);
    const std::string body = std::string("Exif\0\0", 6) + tiff;
    return jpeg.substr(0, 2) + std::string("\xFF\xE1\0", 3) + static_cast<char>(body.size() + 2) + body +
           jpeg.substr(2);
}

// The message of the DataError that `call` throws; a test failure when it throws none.
template <class Call>
std::string refusal(Call&& call) {
    try {
        call();
    } catch (const DataError& error) {
        EXPECT_EQ(error.code(), ExitCode::data);
        return error.what();
    }
    ADD_FAILURE() << "no DataError";
    return "";
}

inline std::int64_t tally_of(const std::vector<Tally>& tallies, std::string_view what) {
    std::int64_t n = 0;
    for (const Tally& tally : tallies)
        if (tally.what.find(what) != std::string::npos) n += tally.count;
    return n;
}

inline testing::AssertionResult has(const std::string& text, std::string_view part) {
    if (text.find(part) != std::string::npos) return testing::AssertionSuccess();
    return testing::AssertionFailure() << "\"" << text << "\" lacks \"" << part << "\"";
}

// Four pictures of class x to train on, one of class y to validate on.
inline void write_small_yolo_set(const TemporaryDirectory& dir) {
    dir.write("data.yaml", "names: [x, y]\ntrain: images/train\nval: images/val\n");
    for (int i = 0; i < 4; ++i) {
        dir.write(fmt::format("images/train/{}.png", i), encode_png(ramp(20 + i, 30)));
        dir.write(fmt::format("labels/train/{}.txt", i), "0 0.5 0.5 0.5 0.5\n");
    }
    dir.write("images/val/v.png", encode_png(ramp(50, 30)));
    dir.write("labels/val/v.txt", "1 0.5 0.5 0.25 0.5\n");
}

}  // namespace solobox::fixtures
