// The safetensors container: named arrays of bytes behind a JSON header. Every length, offset and shape is checked
// before it is used; a file is written whole or not at all. Knows nothing of models.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace solobox {

struct RawTensor {
    std::string dtype;  // F64 | F32 | F16 | BF16 | I64 | I32 | I16 | I8 | U8 | BOOL
    std::vector<std::int64_t> shape;
    std::vector<std::byte> bytes;  // dense, row-major, little-endian

    std::int64_t numel() const;
};

struct SafetensorsFile {
    std::map<std::string, RawTensor> tensors;
    std::map<std::string, std::string> metadata;
};

// Bytes of one element; 0 for an unknown dtype.
std::size_t dtype_size(const std::string& dtype);

// DataError naming the file and what is wrong with it. Also checks the checksum, where the file has one of ours.
SafetensorsFile read_safetensors(const std::string& path);
SafetensorsFile parse_safetensors(const std::vector<std::byte>& bytes, const std::string& name);

// Adds a CRC-32 of header and data to the metadata, writes a temporary file beside `path`, fsyncs it and renames it: a
// crash leaves the old or the new file, never half. Equal contents give equal bytes. IoError with the system's reason.
void write_safetensors(const std::string& path, const SafetensorsFile& file);
std::vector<std::byte> serialize_safetensors(const SafetensorsFile& file);

// Writes bytes the same careful way.
void write_file_atomically(const std::string& path, const std::vector<std::byte>& bytes);

}  // namespace solobox
