#include "apps/child_run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <thread>

#include "apps/apps.h"
#include "train/run/run.h"

extern char** environ;

namespace solobox {

pid_t start_child(const std::vector<std::string>& words, const std::string& log) {
    // All that the child needs is made before the fork: only calls that are safe between fork and exec follow it.
    std::vector<std::string> texts{"solobox"};
    texts.insert(texts.end(), words.begin(), words.end());
    std::vector<char*> arguments, environment;
    for (auto& t : texts) arguments.push_back(t.data());
    arguments.push_back(nullptr);
    for (char** e = environ; *e; ++e)
        if (!std::string_view(*e).starts_with("SOLOBOX_CFG_")) environment.push_back(*e);
    environment.push_back(nullptr);
    const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC),
              text = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (nothing < 0 || text < 0) {
        const std::string reason = std::strerror(errno);
        for (const int fd : {nothing, text})
            if (fd >= 0) ::close(fd);
        throw IoError(fmt::format("{}: cannot be opened: {}", log, reason));
    }
    const pid_t parent = ::getpid(), child = ::fork();
    if (child == 0) {
        ::setpgid(0, 0);
        for (const int s : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) ::signal(s, SIG_DFL);
        ::prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (::getppid() != parent) ::_exit(143);  // it died in between
        if (::dup2(nothing, 0) < 0 || ::dup2(nothing, 1) < 0 || ::dup2(text, 2) < 0) ::_exit(1);
        // This very program, also when another one has been built in its place meanwhile.
        ::execve("/proc/self/exe", arguments.data(), environment.data());
        ::_exit(1);
    }
    const std::string reason = std::strerror(errno);
    ::close(nothing);
    ::close(text);
    if (child < 0) throw IoError(fmt::format("no new process: {}", reason));
    return child;
}

bool wait_until_free(const std::string& run, double seconds) {
    for (double waited = 0;; waited += 0.1) {
        try {
            RunDirectory::existing(run).lock();
            return true;
        } catch (const ConfigError&) {
            if (waited >= seconds) return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
}

}  // namespace solobox
