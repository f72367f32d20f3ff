// See text.h.
#include "data/text.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>

namespace solobox {
namespace {

struct Descriptor {
    explicit Descriptor(int number) : fd(number) {}
    ~Descriptor() {
        if (fd >= 0) ::close(fd);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int fd;
};

[[noreturn]] void fail_system(const std::string& path, const char* what, int error) {
    const std::string text = fmt::format("{}: cannot {}: {}", printable(path, 300), what, std::strerror(error));
    if (error == ENOENT || error == ENOTDIR || error == EISDIR || error == ELOOP || error == ENAMETOOLONG)
        throw DataError(text);
    throw IoError(text);
}

}  // namespace

std::string read_prefix(const std::string& path, std::size_t limit) {
    // Non-blocking, so that a pipe or a device cannot hang the scan before we have seen what it is.
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (file.fd < 0) fail_system(path, "open", errno);
    struct stat state {};
    if (::fstat(file.fd, &state) != 0) fail_system(path, "read", errno);
    if (S_ISDIR(state.st_mode)) fail_system(path, "read", EISDIR);
    if (!S_ISREG(state.st_mode)) fail_data(printable(path, 300), "is not a regular file: give a file on disk");
    std::string bytes(std::min(limit, static_cast<std::size_t>(std::max<off_t>(state.st_size, 0))), '\0');
    std::size_t got = 0;
    while (got < bytes.size()) {
        const ssize_t n = ::read(file.fd, bytes.data() + got, bytes.size() - got);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail_system(path, "read", errno);
        if (n == 0) break;
        got += static_cast<std::size_t>(n);
    }
    bytes.resize(got);
    return bytes;
}

std::string read_whole(const std::string& path, std::size_t limit) {
    std::string bytes = read_prefix(path, limit + 1);
    if (bytes.size() > limit)
        fail_data(printable(path, 300), "larger than {} MB: is it the file you meant?", limit >> 20);
    return bytes;
}

namespace {

// Length of the UTF-8 sequence at `i`, 0 when it is broken.
std::size_t utf8_length(std::string_view text, std::size_t i) {
    const auto byte = [&](std::size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U; };
    const auto tail = [&](std::size_t at) { return (byte(at) & 0xC0U) == 0x80U; };
    const unsigned first = byte(i);
    if (first < 0x80) return 1;
    if (first >= 0xC2 && first <= 0xDF) return tail(i + 1) ? 2 : 0;
    if (first >= 0xE0 && first <= 0xEF) {
        if (!tail(i + 1) || !tail(i + 2)) return 0;
        if ((first == 0xE0 && byte(i + 1) < 0xA0) || (first == 0xED && byte(i + 1) > 0x9F)) return 0;
        return 3;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        if (!tail(i + 1) || !tail(i + 2) || !tail(i + 3)) return 0;
        if ((first == 0xF0 && byte(i + 1) < 0x90) || (first == 0xF4 && byte(i + 1) > 0x8F)) return 0;
        return 4;
    }
    return 0;
}

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

}  // namespace

std::string printable(std::string_view text, std::size_t limit) {
    std::string out;
    std::size_t shown = 0;
    for (std::size_t i = 0; i < text.size(); ++shown) {
        if (shown >= limit) return out + "...";
        const auto byte = static_cast<unsigned char>(text[i]);
        const std::size_t length = utf8_length(text, i);
        // C1 controls (U+0080..U+009F) steer terminals too.
        const bool c1 = length == 2 && byte == 0xC2 && static_cast<unsigned char>(text[i + 1]) < 0xA0;
        if (length == 0 || c1 || byte < 0x20 || byte == 0x7F) {
            out += fmt::format("\\x{:02X}", byte);
            ++i;
        } else {
            out.append(text.substr(i, length));
            i += length;
        }
    }
    return out;
}

std::string_view trim(std::string_view text) {
    while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
    return text;
}

std::string_view strip_bom(std::string_view text) {
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    return text;
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

std::vector<std::string_view> split_blanks(std::string_view line) {
    std::vector<std::string_view> words;
    std::size_t i = 0;
    while (i < line.size()) {
        while (i < line.size() && is_blank(line[i])) ++i;
        const std::size_t start = i;
        while (i < line.size() && !is_blank(line[i])) ++i;
        if (i > start) words.push_back(line.substr(start, i - start));
    }
    return words;
}

std::optional<double> parse_double(std::string_view text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::string number_text(double value) { return fmt::format("{}", value); }

std::size_t find_bad_utf8(std::string_view text) {
    for (std::size_t i = 0; i < text.size();) {
        const std::size_t length = utf8_length(text, i);
        if (length == 0) return i;
        i += length;
    }
    return std::string_view::npos;
}

std::size_t find_control(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        if ((byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7F) return i;
    }
    return std::string_view::npos;
}

void require_text(std::string_view text, const std::string& file) {
    const std::size_t at = std::min(find_control(text), find_bad_utf8(text));
    if (at == std::string_view::npos) return;
    const auto line = std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n') + 1;
    const auto byte = static_cast<unsigned char>(text[at]);
    fail_line(file, line, "not text ({} 0x{:02X}, expected UTF-8): write the file again",
              byte == 0 ? "NUL byte" : "byte", byte);
}

bool LineReader::next(std::string_view& line) {
    if (rest_.empty()) return false;
    const std::size_t end = rest_.find('\n');
    line = rest_.substr(0, end);
    rest_ = end == std::string_view::npos ? std::string_view() : rest_.substr(end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    ++number_;
    return true;
}

bool stays_below(std::string_view relative) {
    if (relative.empty() || relative.front() == '/' || relative.find('\\') != std::string_view::npos) return false;
    if (relative.find('\0') != std::string_view::npos) return false;
    if (relative.size() > 1 && relative[1] == ':') return false;  // a drive letter
    for (std::size_t i = 0; i <= relative.size();) {
        const std::size_t end = std::min(relative.find('/', i), relative.size());
        if (relative.substr(i, end - i) == "..") return false;
        i = end + 1;
    }
    return true;
}

void count(std::vector<Tally>& tallies, const std::string& what, const std::string& example, std::int64_t n,
           const std::string& note, TallyKind kind) {
    if (n <= 0) return;
    auto tally = std::find_if(tallies.begin(), tallies.end(), [&](const Tally& t) { return t.what == what; });
    if (tally == tallies.end()) tally = tallies.insert(tally, {what, 0, example, {}, kind});
    tally->count += n;
    if (tally->notes.size() < max_tally_notes) tally->notes.push_back(note.empty() ? example : note);
}

void count(std::vector<Tally>& tallies, TallyKind kind, const std::string& what, const std::string& example) {
    count(tallies, what, example, 1, "", kind);
}

Listing list_directory(const std::string& path) {
    DIR* folder = ::opendir(path.c_str());
    if (folder == nullptr) fail_system(path, "open the directory", errno);
    Listing listing;
    while (const dirent* entry = ::readdir(folder)) {
        const std::string name = entry->d_name;
        if (name.front() == '.') continue;
        // d_type is free; only links and odd file systems need a stat.
        bool is_folder = entry->d_type == DT_DIR;
        bool is_regular = entry->d_type == DT_REG;
        if (!is_folder && !is_regular) {
            is_folder = is_directory(join_path(path, name));
            is_regular = !is_folder && is_file(join_path(path, name));
        }
        if (is_folder) listing.folders.push_back(name);
        if (is_regular) listing.files.push_back(name);
    }
    ::closedir(folder);
    std::sort(listing.files.begin(), listing.files.end());
    std::sort(listing.folders.begin(), listing.folders.end());
    return listing;
}

bool is_directory(const std::string& path) {
    std::error_code error;
    return std::filesystem::is_directory(path, error);
}

bool is_file(const std::string& path) {
    std::error_code error;
    return std::filesystem::is_regular_file(path, error);
}

bool has_picture_ending(std::string_view name) {
    const std::string low = lower(name);
    return low.ends_with(".jpg") || low.ends_with(".jpeg") || low.ends_with(".png") || low.ends_with(".bmp");
}

std::string ending_of(std::string_view name) {
    const std::size_t slash = name.rfind('/');
    if (slash != std::string_view::npos) name.remove_prefix(slash + 1);
    const std::size_t dot = name.rfind('.');
    return dot == std::string_view::npos || dot == 0 ? "" : lower(name.substr(dot));
}

std::string unread_picture_ending(std::string_view name) {
    const std::string ending = ending_of(name);
    for (const char* kind : {".webp", ".tif",  ".tiff", ".gif", ".heic", ".heif", ".avif", ".jp2", ".j2k",
                             ".jxl",  ".jfif", ".ppm",  ".pgm", ".pbm",  ".pnm",  ".tga",  ".dng", ".cr2",
                             ".nef",  ".arw",  ".raw",  ".exr", ".dcm",  ".mpo",  ".ico",  ".svg", ".psd"})
        if (ending == kind) return ending;
    return "";
}

std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string with_slashes(std::string path) {
    std::replace(path.begin(), path.end(), '\\', '/');
    while (path.starts_with("./")) path.erase(0, 2);
    return path;
}

std::string file_stem(std::string_view name) {
    const std::size_t slash = name.rfind('/');
    if (slash != std::string_view::npos) name.remove_prefix(slash + 1);
    const std::size_t dot = name.rfind('.');
    return std::string(dot == std::string_view::npos || dot == 0 ? name : name.substr(0, dot));
}

std::string join_path(const std::string& folder, std::string_view name) {
    if (folder.empty() || folder == ".") return std::string(name);
    if (folder.back() == '/') return folder + std::string(name);
    return folder + "/" + std::string(name);
}

std::string parent_path(const std::string& path) {
    const std::size_t slash = path.find_last_of('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

std::uint32_t checksum(std::string_view bytes, std::uint32_t start) {
    return static_cast<std::uint32_t>(crc32_z(start, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace solobox
