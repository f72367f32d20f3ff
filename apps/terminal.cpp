// Threads, signals and talk: what the verbs share.
#include <fmt/core.h>
#include <langinfo.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <clocale>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "apps/apps.h"
#include "tensor/kernels/parallel.h"
#include "train/config/json_text.h"

namespace solobox {
namespace {

std::atomic<int> caught{0};
bool json_out = false;
static_assert(std::atomic<int>::is_always_lock_free);

extern "C" void on_signal(int number) {
    if (caught.exchange(number) != 0) _exit(128 + number);
}

}  // namespace

void add_threads_option(Command app, int& threads) {
    app.option("--threads", threads,
               "threads to compute with; the result does not depend on it (default: physical cores)")
        .within(1, 1024);
}

void use_threads(int threads) {
    if (threads > 0) set_thread_count(threads);
}

const std::atomic<int>& watch_signals() {
    struct sigaction action {};
    action.sa_handler = on_signal;
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    return caught;
}

Talk::Talk(bool quiet) : quiet_(quiet), terminal_(isatty(STDERR_FILENO) != 0) {}

void Talk::end_live() {
    if (open_) fmt::print(stderr, "\n");
    open_ = false;
    if (!held_back_.empty()) fmt::print(stderr, "{}\n", held_back_);  // the last step is always said
    held_back_.clear();
}

void Talk::line(const std::string& text) {
    if (quiet_) return;
    end_live();
    fmt::print(stderr, "{}\n", text);
}

void Talk::live(const std::string& text) {
    if (quiet_) return;
    if (terminal_) {
        // A line that wraps would scroll with every step.
        winsize size{};
        const std::size_t width = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
        fmt::print(stderr, "\r\033[K{}", text.size() < width ? text : text.substr(0, width - 1));
        std::fflush(stderr);
        open_ = true;
    } else if (calls_++ % 10 == 0) {
        fmt::print(stderr, "{}\n", text);
        held_back_.clear();
    } else {
        held_back_ = text;
    }
}

void print_json(const nlohmann::ordered_json& j) {
    fmt::print("{}\n", json_text(j));
    json_out = true;
}

bool json_printed() { return json_out; }

bool utf8_locale() {
    // The C library is asked for the user's character set alone; numbers keep the "C" locale everywhere.
    const char* previous = std::setlocale(LC_CTYPE, "");
    const bool utf8 = previous && std::strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    std::setlocale(LC_CTYPE, "C");
    return utf8;
}

bool colour_allowed(int fd) {
    const char* none = std::getenv("NO_COLOR");
    return isatty(fd) != 0 && !(none && *none);
}

}  // namespace solobox
