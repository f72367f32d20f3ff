#include "nn/safetensors.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <span>

#include "tensor/check.h"

namespace solobox {
namespace {

using Json = nlohmann::json;
constexpr std::uint64_t max_header = 100'000'000;  // the format's own limit
constexpr int max_depth = 8;
constexpr std::size_t max_name = 1000;  // letters of a tensor's name
constexpr const char* checksum_key = "solobox.crc32";
using Pieces = std::vector<std::span<const std::byte>>;

[[noreturn]] void fail(const std::string& name, const std::string& what) {
    throw DataError(fmt::format("{}: {}", name, what));
}

// A name from the file, fit for a message: short, no control characters.
std::string shown(const std::string& text) {
    std::string safe = text.substr(0, 80);
    for (char& c : safe)
        if (static_cast<unsigned char>(c) < 32 || c == 127) c = '?';
    return text.size() > 80 ? safe + "..." : safe;
}

std::uint64_t little_endian(const std::byte* p) {
    std::uint64_t value = 0;
    for (int i = 7; i >= 0; --i) value = value << 8 | static_cast<std::uint64_t>(p[i]);
    return value;
}

// JSON of limited depth in which every key occurs once.
Json parse_header(const std::byte* begin, std::size_t size, const std::string& name) {
    std::vector<std::set<std::string>> keys;
    std::string complaint;
    const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
        if (depth > max_depth) {
            complaint = "the header has too many nesting levels";
            throw DataError(complaint);
        }
        if (event == Json::parse_event_t::object_start) keys.emplace_back();
        if (event == Json::parse_event_t::object_end) keys.pop_back();
        if (event == Json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second) {
            complaint = fmt::format("duplicate name in the header: {}", Json(value).dump(-1, ' ', true).substr(0, 80));
            throw DataError(complaint);
        }
        return true;
    };
    const char* text = reinterpret_cast<const char*>(begin);
    // The parser takes a NUL for the end of its input and would not look at what follows.
    if (std::memchr(text, 0, size)) fail(name, "the header is not valid JSON: it holds a NUL byte");
    // The parser would skip both.
    if (std::string_view(text, size).starts_with("\xEF\xBB\xBF"))
        fail(name, "the header is not valid JSON: it begins with a byte-order mark");
    if (*text == ' ' || *text == '\t' || *text == '\n' || *text == '\r')
        fail(name, "the header is not valid JSON as the format has it: it begins with a blank");
    try {
        return Json::parse(text, text + size, watch);
    } catch (const DataError&) {
        fail(name, complaint);
    } catch (const Json::exception& e) {
        const bool encoding = std::string(e.what()).find("UTF-8") != std::string::npos;
        fail(name, encoding ? "the header is not valid UTF-8"
                            : "the header is not valid JSON (damaged, or not a safetensors file)");
    }
}

std::uint64_t natural(const Json& v, const std::string& name, const std::string& tensor, const char* what) {
    if (!v.is_number_unsigned()) fail(name, fmt::format("tensor '{}': {} must be whole numbers from 0", tensor, what));
    return v.get<std::uint64_t>();
}

struct Extent {
    std::uint64_t begin, end;
    std::string tensor;
};

Extent read_entry(const std::string& full_name, const Json& entry, std::uint64_t data_size, RawTensor& out,
                  const std::string& name) {
    const std::string tensor = shown(full_name);
    if (!entry.is_object()) fail(name, fmt::format("tensor '{}': the header entry is not an object", tensor));
    if (full_name.empty()) fail(name, "a tensor without a name");
    if (full_name.size() > max_name)
        fail(name, fmt::format("tensor '{}': a name of {} letters, at most {} are taken", tensor, full_name.size(),
                               max_name));
    if (std::any_of(full_name.begin(), full_name.end(),
                    [](char c) { return static_cast<unsigned char>(c) < 32 || c == 127; }))
        fail(name, fmt::format("tensor '{}': a control character in its name", tensor));
    for (const char* key : {"dtype", "shape", "data_offsets"})
        if (!entry.contains(key)) fail(name, fmt::format("tensor '{}': {} is missing", tensor, key));
    if (!entry["dtype"].is_string() || dtype_size(entry["dtype"].get<std::string>()) == 0)
        fail(name,
             fmt::format("tensor '{}': unknown dtype {}", tensor, entry["dtype"].dump(-1, ' ', true).substr(0, 40)));
    out.dtype = entry["dtype"].get<std::string>();
    if (!entry["shape"].is_array()) fail(name, fmt::format("tensor '{}': the shape is not a list", tensor));
    if (entry["shape"].size() > 8)
        fail(name,
             fmt::format("tensor '{}': shape of {} dimensions, at most 8 are taken", tensor, entry["shape"].size()));
    std::uint64_t count = 1, bytes = 0;
    bool empty = false, overflow = false;
    for (const Json& dim : entry["shape"]) {
        const std::uint64_t size = natural(dim, name, tensor, "shape sizes");
        empty = empty || size == 0;
        overflow =
            overflow || size > INT64_MAX || __builtin_mul_overflow(count, std::max<std::uint64_t>(size, 1), &count);
        out.shape.push_back(static_cast<std::int64_t>(size));
    }
    overflow = overflow || __builtin_mul_overflow(count, dtype_size(out.dtype), &bytes) || bytes > INT64_MAX;
    if (overflow)
        fail(name, fmt::format("tensor '{}': shape overflow, the product of its sizes is beyond 63 bits", tensor));
    if (empty) bytes = 0;
    const Json& offsets = entry["data_offsets"];
    if (!offsets.is_array() || offsets.size() != 2)
        fail(name, fmt::format("tensor '{}': data_offsets must be two numbers", tensor));
    const std::uint64_t begin = natural(offsets[0], name, tensor, "data_offsets"),
                        end = natural(offsets[1], name, tensor, "data_offsets");
    if (begin > end || end > data_size)
        fail(name,
             fmt::format("tensor '{}': data_offsets {}..{} lie outside the file's {} data bytes (size cut short?)",
                         tensor, begin, end, data_size));
    if (end - begin != bytes)
        fail(name, fmt::format("tensor '{}': shape and dtype need a size of {} bytes, data_offsets give {}", tensor,
                               bytes, end - begin));
    return {begin, end, full_name};
}

// Every data byte belongs to exactly one tensor. Puts the extents in the order of their places.
void check_cover(std::vector<Extent>& extents, std::uint64_t data_size, const std::string& name) {
    std::sort(extents.begin(), extents.end(),
              [](const auto& a, const auto& b) { return std::tie(a.begin, a.end) < std::tie(b.begin, b.end); });
    std::uint64_t at = 0;
    for (const Extent& e : extents) {
        if (e.begin < at) fail(name, fmt::format("tensor '{}' overlaps another one", shown(e.tensor)));
        if (e.begin > at)
            fail(name, fmt::format("a hole of {} bytes before tensor '{}'", e.begin - at, shown(e.tensor)));
        at = e.end;
    }
    if (at != data_size) fail(name, fmt::format("{} trailing bytes after the last tensor", data_size - at));
}

// CRC-32 of the header (in one spelling, without the checksum itself) and the data after it.
std::string checksum(Json header, const Pieces& data) {
    header["__metadata__"].erase(checksum_key);
    const std::string text = header.dump();
    uLong crc = crc32(0, reinterpret_cast<const Bytef*>(text.data()), static_cast<uInt>(text.size()));
    for (const auto& piece : data)
        for (std::size_t at = 0; at < piece.size();) {
            const std::size_t part = std::min<std::size_t>(piece.size() - at, 1U << 30);
            crc = crc32(crc, reinterpret_cast<const Bytef*>(piece.data()) + at, static_cast<uInt>(part));
            at += part;
        }
    return fmt::format("{:08x}", crc);
}

// A file in the making: its head, and behind it the tensors' own bytes, which nobody copies.
struct Layout {
    std::string head;
    Pieces data;
};

}  // namespace

std::int64_t RawTensor::numel() const {
    std::int64_t n = 1;
    for (const auto d : shape) n *= d;
    return n;
}

std::size_t dtype_size(const std::string& dtype) {
    if (dtype == "F64" || dtype == "I64") return 8;
    if (dtype == "F32" || dtype == "I32") return 4;
    if (dtype == "F16" || dtype == "BF16" || dtype == "I16") return 2;
    if (dtype == "U8" || dtype == "I8" || dtype == "BOOL") return 1;
    return 0;
}

namespace {

// Where bytes come from: a file is read piece by piece, straight into its tensors, so it is in memory once.
struct Source {
    std::uint64_t size = 0;
    std::function<void(std::uint64_t at, std::byte* to, std::size_t count)> read;
};

SafetensorsFile parse(const Source& source, const std::string& name) {
    if (source.size < 8) fail(name, fmt::format("too short for a safetensors file: {} bytes", source.size));
    std::byte length[8];
    source.read(0, length, sizeof length);
    const std::uint64_t header = little_endian(length);
    if (header < 2 || header > max_header || header > source.size - 8) {
        // What people have beside a safetensors file.
        const std::string_view begin(reinterpret_cast<const char*>(length), sizeof length);
        if (begin.starts_with("PK\x03\x04") || (begin[0] == '\x80' && begin[1] >= 2 && begin[1] <= 5))
            fail(name,
                 "the header length is none, this is a pickle of torch.save, which is never executed here: in Python, "
                 "safetensors.torch.save_file(model.state_dict(), 'model.safetensors') writes what can be read");
        fail(name,
             fmt::format("header length {} does not fit a file of {} bytes: not a safetensors file, or a damaged one",
                         header, source.size));
    }
    std::vector<std::byte> text(header);
    source.read(8, text.data(), text.size());
    const Json json = parse_header(text.data(), header, name);
    if (!json.is_object()) fail(name, "the header is not a JSON object");
    const std::uint64_t data_size = source.size - 8 - header;
    SafetensorsFile file;
    std::vector<Extent> extents;
    for (const auto& [key, entry] : json.items()) {
        if (key == "__metadata__") {
            if (!entry.is_object()) fail(name, "__metadata__ is not an object");
            for (const auto& [k, v] : entry.items()) {
                if (!v.is_string()) fail(name, "metadata values must be text");
                file.metadata[k] = v.get<std::string>();
            }
            continue;
        }
        RawTensor& tensor = file.tensors[key];
        extents.push_back(read_entry(key, entry, data_size, tensor, name));
    }
    check_cover(extents, data_size, name);  // sorts them by place
    Pieces data;
    for (const Extent& e : extents) {
        std::vector<std::byte>& bytes = file.tensors[e.tensor].bytes;
        bytes.resize(e.end - e.begin);
        if (!bytes.empty()) source.read(8 + header + e.begin, bytes.data(), bytes.size());
        data.emplace_back(bytes);
    }
    const auto sum = file.metadata.find(checksum_key);
    if (sum != file.metadata.end()) {
        if (sum->second != checksum(json, data))
            fail(name, "the checksum does not match: the file was damaged after it was written");
        file.metadata.erase(sum);
    }
    return file;
}

}  // namespace

SafetensorsFile parse_safetensors(const std::vector<std::byte>& bytes, const std::string& name) {
    return parse({bytes.size(), [&](std::uint64_t at, std::byte* to,
                                    std::size_t count) { std::memcpy(to, bytes.data() + at, count); }},
                 name);
}

SafetensorsFile read_safetensors(const std::string& path) {
    std::error_code error;
    if (std::filesystem::is_directory(path, error))
        fail(path, "is a directory, expected a safetensors file (of a run: weights/best.safetensors)");
    if (std::filesystem::is_other(path, error))
        fail(path, "is a pipe or a device, expected a safetensors file");  // opening a pipe could wait for ever
    std::ifstream in(path, std::ios::binary);
    if (!in) fail(path, fmt::format("cannot be opened: {}", std::strerror(errno)));
    in.seekg(0, std::ios::end);
    const auto size = static_cast<std::uint64_t>(std::max<std::streamoff>(in.tellg(), 0));
    const auto read = [&](std::uint64_t at, std::byte* to, std::size_t count) {
        in.seekg(static_cast<std::streamoff>(at));
        if (!in.read(reinterpret_cast<char*>(to), static_cast<std::streamsize>(count)))
            fail(path, fmt::format("cannot be read: {}", in.eof() ? "it ends too early" : std::strerror(errno)));
    };
    return parse({size, read}, path);
}

namespace {

Layout lay_out(const SafetensorsFile& file) {
    for (const auto& [name, t] : file.tensors)  // what could not be read back must not replace a good file
        check(name != "__metadata__" && dtype_size(t.dtype) != 0 &&
                  t.bytes.size() == static_cast<std::uint64_t>(t.numel()) * dtype_size(t.dtype),
              "[safetensors] tensor '{}': {} bytes do not fit dtype {} and {} elements", shown(name), t.bytes.size(),
              t.dtype, t.numel());
    // Wide elements first, so that every tensor is aligned to its own size; names in order: equal files, equal bytes.
    std::vector<const std::pair<const std::string, RawTensor>*> order;
    for (const auto& entry : file.tensors) order.push_back(&entry);
    std::stable_sort(order.begin(), order.end(),
                     [](auto* a, auto* b) { return dtype_size(a->second.dtype) > dtype_size(b->second.dtype); });
    Layout layout;
    nlohmann::ordered_json header = nlohmann::ordered_json::object();
    header["__metadata__"] = file.metadata;
    std::uint64_t at = 0;
    for (const auto* entry : order) {
        const RawTensor& t = entry->second;
        header[entry->first] = {{"dtype", t.dtype}, {"shape", t.shape}, {"data_offsets", {at, at + t.bytes.size()}}};
        at += t.bytes.size();
        layout.data.emplace_back(t.bytes);
    }
    header["__metadata__"][checksum_key] = checksum(Json(header), layout.data);
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    layout.head.assign(8, '\0');
    for (std::size_t i = 0; i < 8; ++i) layout.head[i] = static_cast<char>(text.size() >> (8 * i) & 0xff);
    layout.head += text;
    return layout;
}

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

// Small pieces are gathered into larger writes, large ones go as they are.
class Gathered {
public:
    explicit Gathered(int fd) : fd_(fd) {}
    bool put(std::span<const std::byte> piece) {
        if (piece.size() < enough) {
            waiting_.insert(waiting_.end(), piece.begin(), piece.end());
            return waiting_.size() < enough || flush();
        }
        return flush() && out(piece);
    }
    bool flush() {
        const bool done = out(waiting_);
        waiting_.clear();
        return done;
    }

private:
    static constexpr std::size_t enough = std::size_t{1} << 20;
    bool out(std::span<const std::byte> bytes) const {
        while (!bytes.empty()) {
            const ssize_t written = write(fd_, bytes.data(), std::min<std::size_t>(bytes.size(), 1U << 30));
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) return false;
            bytes = bytes.subspan(static_cast<std::size_t>(written));
        }
        return true;
    }
    int fd_;
    std::vector<std::byte> waiting_;
};

void write_pieces_atomically(const std::string& path, const Pieces& pieces) {
    const std::string temporary = path + ".tmp";
    const auto give_up = [&](const char* what, int fd) {
        const std::string reason = std::strerror(errno);
        if (fd >= 0) close(fd);
        unlink(temporary.c_str());
        throw IoError(fmt::format("{}: {} failed: {}", path, what, reason));
    };
    const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) give_up("open", -1);
    Gathered file(fd);
    if (!std::all_of(pieces.begin(), pieces.end(), [&](const auto& piece) { return file.put(piece); }) || !file.flush())
        give_up("write", fd);
    if (fsync(fd) != 0) give_up("fsync", fd);
    if (close(fd) != 0) give_up("close", -1);
    if (rename(temporary.c_str(), path.c_str()) != 0) give_up("rename", -1);
    // The rename itself must survive a power cut too.
    const std::string folder = std::filesystem::path(path).parent_path().string();
    const int dir = open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir >= 0) {
        fsync(dir);
        close(dir);
    }
}

}  // namespace

std::vector<std::byte> serialize_safetensors(const SafetensorsFile& file) {
    const Layout layout = lay_out(file);
    std::vector<std::byte> bytes;
    const auto head = bytes_of(layout.head);
    bytes.insert(bytes.end(), head.begin(), head.end());
    for (const auto& piece : layout.data) bytes.insert(bytes.end(), piece.begin(), piece.end());
    return bytes;
}

void write_file_atomically(const std::string& path, const std::vector<std::byte>& bytes) {
    write_pieces_atomically(path, {bytes});
}

void write_safetensors(const std::string& path, const SafetensorsFile& file) {
    Layout layout = lay_out(file);
    layout.data.insert(layout.data.begin(), bytes_of(layout.head));
    write_pieces_atomically(path, layout.data);
}

}  // namespace solobox
