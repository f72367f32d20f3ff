// Writing safetensors: what is written comes back, equal contents give equal bytes, a failed write leaves the old file.
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "tests/support/safetensors_fixtures.h"

namespace solobox {
namespace {

namespace fs = std::filesystem;
using namespace fixtures;

TEST(EngineSafetensors, WhatIsWrittenComesBack) {
    const TemporaryDirectory dir;
    write_safetensors(dir / "x.safetensors", sample());
    expect_same(sample(), read_safetensors(dir / "x.safetensors"));
    write_safetensors(dir / "empty.safetensors", {});
    EXPECT_TRUE(read_safetensors(dir / "empty.safetensors").tensors.empty());
    for (const auto& left : fs::directory_iterator(dir.path()))
        EXPECT_EQ(left.path().extension(), ".safetensors") << left.path();
}

TEST(EngineSafetensors, EqualContentsGiveEqualBytes) {
    SafetensorsFile other;  // filled in another order
    const SafetensorsFile file = sample();
    for (auto it = file.metadata.rbegin(); it != file.metadata.rend(); ++it) other.metadata.insert(*it);
    for (auto it = file.tensors.rbegin(); it != file.tensors.rend(); ++it) other.tensors.insert(*it);
    const Bytes bytes = serialize_safetensors(file);
    EXPECT_TRUE(bytes == serialize_safetensors(other));
    EXPECT_TRUE(bytes == serialize_safetensors(parse_safetensors(bytes, "again")));
    other.metadata["step"] = "8";
    EXPECT_FALSE(bytes == serialize_safetensors(other));
}

TEST(EngineSafetensors, EveryTensorIsAlignedToItsElements) {
    const Bytes bytes = serialize_safetensors(sample());
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), 8);
    EXPECT_EQ(length % 8, 0U);
    const auto header = nlohmann::json::parse(std::string(reinterpret_cast<const char*>(bytes.data()) + 8, length));
    std::uint64_t end = 0;
    for (const auto& [name, e] : header.items()) {
        if (name == "__metadata__") continue;
        EXPECT_EQ(e["data_offsets"][0].get<std::uint64_t>() % dtype_size(e["dtype"]), 0U) << name;
        end = std::max(end, e["data_offsets"][1].get<std::uint64_t>());
    }
    EXPECT_EQ(8 + length + end, bytes.size());
}

TEST(EngineSafetensors, NothingUnreadableIsWritten) {
    const TemporaryDirectory dir;
    const std::string path = dir / "x.safetensors";
    write_safetensors(path, sample());
    const std::string before = read_text(path);
    const auto damaged = [&](const std::function<void(SafetensorsFile&)>& damage) {
        SafetensorsFile file = sample();
        damage(file);
        EXPECT_THROW(write_safetensors(path, file), Error);
        EXPECT_EQ(read_text(path), before);
    };
    damaged([](SafetensorsFile& f) { f.tensors["wide"].bytes.pop_back(); });
    damaged([](SafetensorsFile& f) { f.tensors["wide"].shape = {4}; });
    damaged([](SafetensorsFile& f) { f.tensors["wide"].dtype = "F128"; });
    damaged([](SafetensorsFile& f) { f.tensors["__metadata__"] = f.tensors["wide"]; });
}

// ---- writing ----

TEST(EngineSafetensors, AWriteThatCannotBeginSaysWhy) {
    const TemporaryDirectory dir;
    const auto reason = [](const std::string& path) -> std::string {
        try {
            write_safetensors(path, sample());
        } catch (const IoError& e) {
            EXPECT_EQ(e.code(), ExitCode::internal);
            return e.what();
        }
        return "";
    };
    EXPECT_TRUE(has(reason(dir / "no/such/dir/x"), "No such file"));
    EXPECT_TRUE(has(reason(dir.write("file", "x") + "/x"), "Not a directory"));
    fs::create_directory(dir / "folder");
    EXPECT_TRUE(has(reason(dir / "folder"), "directory"));
    EXPECT_FALSE(fs::exists(dir / "folder.tmp"));
}

// Runs `work` in a child whose files may not grow beyond `limit` bytes; returns what it wrote to `fd`.
std::string in_child_with_limit(rlim_t limit, const std::function<std::string()>& work) {
    int pipe_ends[2];
    if (::pipe(pipe_ends) != 0) throw IoError("pipe");
    const pid_t child = ::fork();
    if (child == 0) {
        std::signal(SIGXFSZ, SIG_IGN);
        const rlimit files{limit, limit};
        ::setrlimit(RLIMIT_FSIZE, &files);
        std::string text;
        try {
            text = work();
        } catch (const std::exception& e) {
            text = std::string("exception: ") + e.what();
        }
        const bool all = ::write(pipe_ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size());
        ::_exit(all ? 0 : 1);
    }
    ::close(pipe_ends[1]);
    std::string text;
    char part[512];
    for (ssize_t n; (n = ::read(pipe_ends[0], part, sizeof part)) > 0;) text.append(part, static_cast<std::size_t>(n));
    ::close(pipe_ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    return text;
}

TEST(EngineSafetensors, AFailedWriteLeavesTheOldFile) {
    const TemporaryDirectory dir;
    const std::string path = dir / "last.safetensors";
    write_safetensors(path, sample());
    const std::string before = read_text(path);
    SafetensorsFile large = sample();
    large.tensors["large"] = raw("F32", {100000});
    for (const rlim_t limit : {rlim_t{0}, rlim_t{1000}, rlim_t{200000}}) {
        const std::string said = in_child_with_limit(limit, [&]() -> std::string {
            try {
                write_safetensors(path, large);
            } catch (const IoError& e) {
                return e.what();
            }
            return "written";
        });
        EXPECT_TRUE(has(said, "last.safetensors") && has(said, std::strerror(EFBIG))) << said;
        EXPECT_EQ(read_text(path), before);
        EXPECT_FALSE(fs::exists(path + ".tmp")) << "half a file stays";
    }
    write_safetensors(path, large);
    expect_same(large, read_safetensors(path));
}

}  // namespace
}  // namespace solobox
