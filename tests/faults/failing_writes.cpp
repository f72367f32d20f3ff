// A library to preload: the FAIL_AT-th write, fsync or rename of a regular file fails with the error number FAIL_WITH.
// Everything before and after it works, as on a disk that was full for a moment.
#include <dlfcn.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace {

std::atomic<long> calls{0};

long setting(const char* name) {
    const char* text = std::getenv(name);
    return text ? std::atol(text) : 0;
}

bool fails() {
    static const long at = setting("FAIL_AT");
    if (++calls != at) return false;
    errno = static_cast<int>(setting("FAIL_WITH"));
    return true;
}

bool regular(int fd) {
    struct stat state {};
    return ::fstat(fd, &state) == 0 && S_ISREG(state.st_mode);
}

template <class Function>
Function next(const char* name) {
    return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

ssize_t write(int fd, const void* data, size_t size) {
    static const auto real = next<ssize_t (*)(int, const void*, size_t)>("write");
    return regular(fd) && fails() ? -1 : real(fd, data, size);
}

ssize_t writev(int fd, const struct iovec* parts, int count) {
    static const auto real = next<ssize_t (*)(int, const struct iovec*, int)>("writev");
    return regular(fd) && fails() ? -1 : real(fd, parts, count);
}

int fsync(int fd) {
    static const auto real = next<int (*)(int)>("fsync");
    return regular(fd) && fails() ? -1 : real(fd);
}

int rename(const char* from, const char* to) {
    static const auto real = next<int (*)(const char*, const char*)>("rename");
    return fails() ? -1 : real(from, to);
}

}  // extern "C"
