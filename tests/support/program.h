// Runs the built program as a child and waits for its answer: for product tests that need neither signals nor
// terminals.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/fixtures.h"

namespace solobox::fixtures {

// Instrumented programs are ten times slower: what learns for a while is the plain build's business.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool instrumented = true;
#else
inline constexpr bool instrumented = false;
#endif

struct Answer {
    int code = -1;  // exit code; 1000 + signal when killed by one
    std::string out, err;
    double seconds = 0;
    nlohmann::json json() const { return nlohmann::json::parse(out); }
};

// Standard output and error go to files, so no pipe can fill up; a child that takes longer than a minute is ended.
inline Answer run_program(const std::vector<std::string>& words, const std::string& program = SOLOBOX_BINARY) {
    const TemporaryDirectory scratch;
    const std::string out = scratch / "out", err = scratch / "err";
    std::vector<std::string> texts{program};
    texts.insert(texts.end(), words.begin(), words.end());
    std::vector<char*> arguments;
    for (auto& t : texts) arguments.push_back(t.data());
    arguments.push_back(nullptr);
    const auto start = std::chrono::steady_clock::now();
    const pid_t child = ::fork();
    if (child < 0) throw IoError("fork");
    if (child == 0) {
        const int nothing = ::open("/dev/null", O_RDONLY), to_out = ::open(out.c_str(), O_WRONLY | O_CREAT, 0600),
                  to_err = ::open(err.c_str(), O_WRONLY | O_CREAT, 0600);
        if (::dup2(nothing, 0) < 0 || ::dup2(to_out, 1) < 0 || ::dup2(to_err, 2) < 0) ::_exit(99);
        ::execv(arguments[0], arguments.data());
        ::_exit(98);
    }
    Answer answer;
    int status = 0;
    const auto seconds = [&] {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
    while (::waitpid(child, &status, WNOHANG) == 0) {
        if (seconds() > 60) ::kill(child, SIGKILL);
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    answer.seconds = seconds();
    answer.code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    const auto text = [](const std::string& path) {
        std::ifstream in(path, std::ios::binary);
        return std::string(std::istreambuf_iterator<char>(in), {});
    };
    answer.out = text(out);
    answer.err = text(err);
    return answer;
}

}  // namespace solobox::fixtures
