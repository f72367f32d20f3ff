// The built program as its users meet it: run as a child in a directory of its own, with its streams caught, a
// terminal, a file size limit or a signal where a test wants one.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/program.h"

extern char** environ;

namespace solobox::fixtures {

using Clock = std::chrono::steady_clock;
using Words = std::vector<std::string>;
using Json = nlohmann::json;

inline constexpr double slower = instrumented ? 15 : 1;
inline constexpr double time_limit = 60 * slower;  // seconds; a child that takes longer hangs

struct Setting {
    std::map<std::string, std::string> environment;
    rlim_t largest_file = RLIM_INFINITY;
    std::string signal_at;  // send `signal` once stderr holds this text
    int signal = 0;
    bool twice = false;
    const char* stdout_to = nullptr;  // a file instead of the pipe
    bool terminal = false;            // stderr is a terminal
};

struct Outcome {
    int code = -1;  // exit code; 1000 + signal when killed by one
    std::string out, err;
    double seconds_after_signal = 0;
};

class Cli : public ::testing::Test {
protected:
    // `words` after the program's name. Everything the child needs is made before the fork: only calls that are safe
    // between fork and exec follow it.
    Outcome run(const Words& words, const Setting& setting = {}) const {
        std::vector<std::string> texts{SOLOBOX_BINARY};
        texts.insert(texts.end(), words.begin(), words.end());
        std::vector<char*> arguments, environment;
        for (auto& t : texts) arguments.push_back(t.data());
        arguments.push_back(nullptr);
        std::vector<std::string> variables;
        for (char** e = environ; *e; ++e)
            if (!std::string(*e).starts_with("SOLOBOX_") && !std::string(*e).starts_with("LC_"))
                variables.push_back(*e);
        for (const auto& [name, value] : setting.environment) variables.push_back(name + "=" + value);
        for (auto& v : variables) environment.push_back(v.data());
        environment.push_back(nullptr);
        int out[2], err[2];
        if (::pipe2(out, O_CLOEXEC) != 0) throw IoError("pipe");
        if (setting.terminal) {
            err[0] = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
            if (err[0] < 0 || ::grantpt(err[0]) != 0 || ::unlockpt(err[0]) != 0) throw IoError("no terminal");
            err[1] = ::open(::ptsname(err[0]), O_RDWR | O_NOCTTY | O_CLOEXEC);
        } else if (::pipe2(err, O_CLOEXEC) != 0) {
            throw IoError("pipe");
        }
        const int target = setting.stdout_to ? ::open(setting.stdout_to, O_WRONLY | O_CLOEXEC) : out[1];
        const pid_t child = ::fork();
        if (child < 0) throw IoError("fork");
        if (child == 0) {
            for (const int s : {SIGINT, SIGTERM, SIGPIPE, SIGHUP}) ::signal(s, SIG_DFL);
            ::signal(SIGXFSZ, SIG_IGN);
            const rlimit limit{setting.largest_file, setting.largest_file}, no_core{0, 0};
            if (setting.largest_file != RLIM_INFINITY) ::setrlimit(RLIMIT_FSIZE, &limit);
            ::setrlimit(RLIMIT_CORE, &no_core);
            const int nothing = ::open("/dev/null", O_RDONLY);
            if (::dup2(nothing, 0) < 0 || ::dup2(target, 1) < 0 || ::dup2(err[1], 2) < 0 ||
                ::chdir(dir_.path().c_str()) != 0)
                ::_exit(99);
            ::execve(arguments[0], arguments.data(), environment.data());
            ::_exit(98);
        }
        ::close(out[1]);
        ::close(err[1]);
        if (setting.stdout_to) ::close(target);
        return collect(child, out[0], err[0], setting);
    }
    Outcome overfit(Words words, const Setting& setting = {}) const {
        words.insert(words.begin(), {"overfit", "image=32", "hidden=16"});
        return run(words, setting);
    }
    std::string file(const std::string& name) const { return dir_ / name; }
    std::string weights(const std::string& run_name) const { return file(run_name + "/weights/last.safetensors"); }

    const TemporaryDirectory dir_;

private:
    static Outcome collect(pid_t child, int out, int err, const Setting& setting) {
        Outcome r;
        const auto start = Clock::now();
        auto signalled = start;
        bool sent = false;
        pollfd ends[2] = {{out, POLLIN, 0}, {err, POLLIN, 0}};
        while (ends[0].fd >= 0 || ends[1].fd >= 0) {
            if (std::chrono::duration<double>(Clock::now() - start).count() > time_limit) {
                ADD_FAILURE() << "the program takes more than " << time_limit << " s";
                ::kill(child, SIGKILL);
            }
            if (::poll(ends, 2, 100) <= 0) continue;
            for (int i = 0; i < 2; ++i) {
                if (ends[i].fd < 0 || !ends[i].revents) continue;
                char part[65536];
                const ssize_t n = ::read(ends[i].fd, part, sizeof part);
                if (n > 0)
                    (i ? r.err : r.out).append(part, static_cast<std::size_t>(n));
                else if (n == 0 || errno != EINTR)
                    ends[i].fd = -1;
            }
            if (setting.signal && !sent && r.err.find(setting.signal_at) != std::string::npos) {
                sent = true;
                signalled = Clock::now();
                ::kill(child, setting.signal);
                if (setting.twice) {
                    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // so that they are two
                    ::kill(child, setting.signal);
                }
            }
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        r.seconds_after_signal = std::chrono::duration<double>(Clock::now() - signalled).count();
        r.code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
        ::close(out);
        ::close(err);
        EXPECT_TRUE(!setting.signal || sent) << "the signal was never sent:\n" << r.err;
        return r;
    }
};

// The one JSON object of standard output.
inline Json object_of(const Outcome& r) {
    const Json j = Json::parse(r.out, nullptr, false);
    EXPECT_TRUE(j.is_object()) << r.out << r.err;
    EXPECT_EQ(std::count(r.out.begin(), r.out.end(), '\n'), 1) << r.out;
    return j.is_object() ? j : Json::object();
}

// Refused with this code: nothing on stdout, a message on stderr that holds all of `parts`.
inline void expect_refused(const Outcome& r, int code, const Words& parts) {
    EXPECT_EQ(r.code, code) << r.err;
    EXPECT_EQ(r.out, "");
    EXPECT_TRUE(has(r.err, "solobox: "));
    for (const auto& part : parts) EXPECT_TRUE(has(r.err, part));
    for (const char* trace : {"terminate", "what():", "std::", ".cpp:"}) EXPECT_FALSE(has(r.err, trace)) << r.err;
}

inline void expect_plain(const std::string& err) {
    EXPECT_EQ(err.find('\r'), std::string::npos) << err;
    EXPECT_EQ(err.find('\x1b'), std::string::npos) << err;
}

}  // namespace solobox::fixtures
