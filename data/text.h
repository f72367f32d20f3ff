// Bytes and words for the readers of this room: files read whole and bounded, numbers parsed without a locale, foreign
// text made safe to print. It knows no format. Nothing here writes to the disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/types.h"
#include "tensor/check.h"

namespace solobox {

template <class... Args>
[[noreturn]] void fail_data(const std::string& file, fmt::format_string<Args...> format, Args&&... args) {
    throw DataError(file + ": " + fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
[[noreturn]] void fail_line(const std::string& file, std::int64_t line, fmt::format_string<Args...> format,
                            Args&&... args) {
    throw DataError(fmt::format("{}: line {}: ", file, line) + fmt::format(format, std::forward<Args>(args)...));
}

// The first `limit` bytes of a regular file (all of it when it is shorter). DataError when it does not exist or is not
// a regular file, IoError for every other failure; both carry the system's text.
std::string read_prefix(const std::string& path, std::size_t limit);

// The whole file; DataError when it is larger than `limit` bytes.
std::string read_whole(const std::string& path, std::size_t limit);

// Text from a file, made fit for a message: control characters and broken UTF-8 as \xNN, at most `limit` characters.
std::string printable(std::string_view text, std::size_t limit = 40);

std::string_view trim(std::string_view text);       // without blanks, tabs, CR, LF at both ends
std::string_view strip_bom(std::string_view text);  // without a UTF-8 byte-order mark
std::string lower(std::string_view text);           // ASCII only
std::vector<std::string_view> split_blanks(std::string_view line);

// The whole of `text` as a number, or nothing: no blanks, no sign '+', '.' as the decimal mark. NaN and infinity are
// numbers here (so the caller can name them); a value beyond the range of double is not.
std::optional<double> parse_double(std::string_view text);
std::optional<std::int64_t> parse_integer(std::string_view text);

// A number as CSV and JSON want it: the shortest text that reads back the same, '.' in every locale.
std::string number_text(double value);

// Offset of the first byte that is no UTF-8, or npos. Surrogates and overlong forms are no UTF-8.
std::size_t find_bad_utf8(std::string_view text);
// Offset of the first control character other than tab, LF, CR, or npos.
std::size_t find_control(std::string_view text);
// DataError "is not text" when there are control characters or broken UTF-8.
void require_text(std::string_view text, const std::string& file);

// CRC-32 of the bytes, going on from an earlier one.
std::uint32_t checksum(std::string_view bytes, std::uint32_t start = 0);

// Lines without their ends (LF or CRLF), one at a time, numbered from 1.
class LineReader {
public:
    explicit LineReader(std::string_view text) : rest_(text) {}
    bool next(std::string_view& line);
    std::int64_t number() const { return number_; }

private:
    std::string_view rest_;
    std::int64_t number_ = 0;
};

// A relative path that stays below its start: not absolute, no "..", no NUL, no backslash.
bool stays_below(std::string_view relative);

// Adds to the tally of that kind, or starts one. `note` is kept for each call; "" takes the example.
void count(std::vector<Tally>& tallies, const std::string& what, const std::string& example, std::int64_t n = 1,
           const std::string& note = "", TallyKind kind = TallyKind::picture);
void count(std::vector<Tally>& tallies, TallyKind kind, const std::string& what, const std::string& example);

// Names in a directory in byte order, without "." and "..", hidden files and the "._*" files of macOS.
struct Listing {
    std::vector<std::string> files, folders;
};
Listing list_directory(const std::string& path);
bool is_directory(const std::string& path);
bool is_file(const std::string& path);
bool has_picture_ending(std::string_view name);  // .jpg .jpeg .png .bmp in any case
// ".webp" of a picture of a kind that nobody here reads; "" of everything else.
std::string unread_picture_ending(std::string_view name);
std::string ending_of(std::string_view name);    // ".jpg", in lower case; "" when there is none
std::string base_name(const std::string& path);  // without its folders
// With / where Windows writes \, and without a leading ./
std::string with_slashes(std::string path);
std::string file_stem(std::string_view name);  // without folders and the last ending
std::string join_path(const std::string& folder, std::string_view name);
std::string parent_path(const std::string& path);  // "." when there is none

}  // namespace solobox
