// The errors of the whole project, and the two ways to raise them.
//
// An error says what was found, what was expected and the next thing to try. Its class decides the exit code of the
// command-line tool, so throw the one that fits: a wrong key is the user's to mend (2), a broken file the data's (3).
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

namespace solobox {

enum class ExitCode : int {
    done = 0,
    internal = 1,      // internal or I/O failure
    usage = 2,         // usage or configuration error
    data = 3,          // a file of the data set cannot be used
    verdict = 4,       // the question was answered, and the answer is no
    diverged = 5,      // NaN or infinity
    interrupted = 130  // Ctrl-C
};

class Error : public std::runtime_error {
public:
    explicit Error(const std::string& message, ExitCode code = ExitCode::internal)
        : std::runtime_error(message), code_(code) {}
    ExitCode code() const { return code_; }

private:
    ExitCode code_;
};

// A shape, a type or an argument that an op cannot take: a fault of the calling program.
struct ShapeError : Error {
    explicit ShapeError(const std::string& message) : Error(message, ExitCode::internal) {}
};
struct ConfigError : Error {
    explicit ConfigError(const std::string& message) : Error(message, ExitCode::usage) {}
};
// Always names the file, and the line where there are lines.
struct DataError : Error {
    explicit DataError(const std::string& message) : Error(message, ExitCode::data) {}
};
struct IoError : Error {
    explicit IoError(const std::string& message) : Error(message, ExitCode::internal) {}
};

template <class... Args>
[[noreturn]] void fail_shape(fmt::format_string<Args...> format, Args&&... args) {
    throw ShapeError(fmt::format(format, std::forward<Args>(args)...));
}

// check(x.rank() == 4, "[conv2d] input is {}, expected (N, H, W, C)", x.shape().str());
template <class... Args>
void check(bool ok, fmt::format_string<Args...> format, Args&&... args) {
    if (!ok) fail_shape(format, std::forward<Args>(args)...);
}

// a * b for sizes; throws ShapeError instead of wrapping round. Both must be >= 0.
inline std::int64_t checked_mul(std::int64_t a, std::int64_t b) {
    std::int64_t product = 0;
    if (__builtin_mul_overflow(a, b, &product)) fail_shape("size {} x {} exceeds 63 bits", a, b);
    return product;
}

}  // namespace solobox
