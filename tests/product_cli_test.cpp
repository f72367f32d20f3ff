// The command line as its users meet it: streams, exit codes, what the errors say, signals, full disks, broken
// pictures. Every test runs the built program as a child, in a directory of its own.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "nn/safetensors.h"
#include "tests/data_fixtures.h"

extern char** environ;

namespace solobox {
namespace {

namespace fs = std::filesystem;
using fixtures::has;
using Clock = std::chrono::steady_clock;
using Words = std::vector<std::string>;
using Json = nlohmann::json;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr double slower = 15;
#else
constexpr double slower = 1;
#endif
constexpr double time_limit = 60 * slower;  // seconds; a child that takes longer hangs

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

std::string read_text(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

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

    const fixtures::TemporaryDirectory dir_;

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
Json object_of(const Outcome& r) {
    const Json j = Json::parse(r.out, nullptr, false);
    EXPECT_TRUE(j.is_object()) << r.out << r.err;
    EXPECT_EQ(std::count(r.out.begin(), r.out.end(), '\n'), 1) << r.out;
    return j.is_object() ? j : Json::object();
}

// Refused with this code: nothing on stdout, a message on stderr that holds all of `parts`.
void expect_refused(const Outcome& r, int code, const Words& parts) {
    EXPECT_EQ(r.code, code) << r.err;
    EXPECT_EQ(r.out, "");
    EXPECT_TRUE(has(r.err, "solobox: "));
    for (const auto& part : parts) EXPECT_TRUE(has(r.err, part));
    for (const char* trace : {"terminate", "what():", "std::", ".cpp:"}) EXPECT_FALSE(has(r.err, trace)) << r.err;
}

void expect_plain(const std::string& err) {
    EXPECT_EQ(err.find('\r'), std::string::npos) << err;
    EXPECT_EQ(err.find('\x1b'), std::string::npos) << err;
}

// ---- help, and words that are not understood ----

TEST_F(Cli, HelpAndVersion) {
    for (const Words& words : {Words{"--help"}, Words{"-h"}, Words{"overfit", "--help"},
                               Words{"model", "show", "--help"}, Words{"gradcheck", "--help"}}) {
        const Outcome r = run(words);
        EXPECT_EQ(r.code, 0);
        EXPECT_TRUE(has(r.out, "Usage:"));
        EXPECT_EQ(r.err, "");
    }
    EXPECT_TRUE(has(run({"--help"}).out, "overfit"));
    const Outcome version = run({"--version"});
    EXPECT_EQ(version.code, 0);
    EXPECT_TRUE(has(version.out, SOLOBOX_VERSION));
}

TEST_F(Cli, AnUnknownVerbGetsTheNearest) {
    expect_refused(run({"overfitt"}), 2, {"'overfitt'", "'overfit'"});
    expect_refused(run({"gradchek", "sigmoid"}), 2, {"'gradcheck'"});
    expect_refused(run({"model", "shw", "toy"}), 2, {"'show'"});
}

TEST_F(Cli, AnUnknownOptionGetsTheNearest) {
    expect_refused(run({"overfit", "--step", "3"}), 2, {"--step", "--steps"});
    expect_refused(run({"overfit", "--thraeds", "3"}), 2, {"--thraeds", "--threads"});
}

TEST_F(Cli, AnUnknownKeyGetsTheNearest) {
    expect_refused(run({"overfit", "imag=32"}), 2, {"'imag'", "did you mean 'image'"});
    expect_refused(run({"model", "show", "toy", "nrom=none"}), 2, {"did you mean 'norm'"});
}

TEST_F(Cli, UsageErrors) {
    for (const Words& words :
         {Words{}, Words{"model"}, Words{"model", "show"}, Words{"overfit", "-n", "0"}, Words{"overfit", "-n", "2x"},
          Words{"overfit", "--steps", "-1"}, Words{"overfit", "--threads", "0"}, Words{"overfit", "lr0=1e-4abc"},
          Words{"overfit", "batch=-1"}, Words{"overfit", "image=64", "imgsz=64"},
          Words{"overfit", "model=tiny", "--model", "toy"}, Words{"overfit", "word"}, Words{"overfit", "dropout=0.5"},
          Words{"overfit", "--model", "nosuch"}, Words{"overfit", "-n", "2", "-n", "3"}, Words{"bench", "nosuch"},
          Words{"overfit", "decode=log_wh"}})
        expect_refused(run(words), 2, {});
    EXPECT_FALSE(fs::exists(file("runs"))) << "a refused command leaves no run";
}

// ---- two runs compared ----

TEST_F(Cli, DiffNamesTheFirstStepAndTensor) {
    const auto train = [&](const std::string& out, const Words& more) {
        Words words{"overfit", "-n", "2", "image=32", "hidden=16", "--steps", "12", "--out", file(out)};
        words.insert(words.end(), more.begin(), more.end());
        const Outcome r = run(words);
        EXPECT_TRUE(r.code == 0 || r.code == 4) << r.err;
    };
    train("a", {"--threads", "1"});
    train("b", {"--threads", "3"});
    const Outcome same = run({"diff", file("a"), file("b")});
    EXPECT_EQ(same.code, 0) << same.out << same.err;
    EXPECT_TRUE(has(same.out, "equal to the bit: 12 steps"));

    train("seed", {"--seed", "1"});
    const Outcome other = run({"diff", file("a"), file("seed")});
    EXPECT_EQ(other.code, 4);
    EXPECT_TRUE(has(other.out, "setting seed: 0 | 1"));
    EXPECT_TRUE(has(other.out, "first difference: step 1, column loss"));
    EXPECT_TRUE(has(other.out, "last weights: 'model."));

    // One bit of one tensor at step 10.
    std::ifstream in(file("b/layers.csv"));
    std::string text{std::istreambuf_iterator<char>(in), {}};
    const std::size_t row =
        text.find("\n10,head.weight,") == std::string::npos ? text.rfind("\n10,") : text.find("\n10,head.weight,");
    const std::size_t end = text.find('\n', row + 1);
    text[end - 1] = text[end - 1] == '0' ? '1' : '0';
    std::ofstream(file("b/layers.csv")) << text;
    const std::string name = text.substr(row + 4, text.find(',', row + 4) - row - 4);
    const Json j = object_of(run({"diff", file("a"), file("b"), "--json"}));
    EXPECT_FALSE(j["equal"]);
    EXPECT_EQ(j["first_step"], 10);
    EXPECT_EQ(j["tensor"], name);
    EXPECT_EQ(j["part"], "weight");

    expect_refused(run({"diff", file("a"), file("nosuch")}), 3, {"nosuch"});
    fs::create_directories(file("empty"));
    expect_refused(run({"diff", file("a"), file("empty")}), 3, {"empty/"});
    expect_refused(run({"diff", file("a")}), 2, {});
}

// ---- the overfit job ----

TEST_F(Cli, OverfitPrintsOneJsonObject) {
    const Outcome r = run({"overfit", "-n", "2", "image=32", "hidden=16", "--steps", "30", "--json"});
    EXPECT_TRUE(r.code == 0 || r.code == 4) << r.code << r.err;
    const Json j = object_of(r);
    for (const char* key : {"verdict", "images", "steps", "seconds", "loss_first", "loss_last", "mean_iou", "min_iou",
                            "mean_box_iou", "constant_box_iou", "parameters", "threads", "kernels", "run_dir"})
        EXPECT_TRUE(j.contains(key)) << key;
    EXPECT_EQ(j.value("verdict", ""), r.code == 0 ? "pass" : "fail");
    EXPECT_EQ(j.value("images", 0), 2);
    EXPECT_EQ(j.value("run_dir", ""), "runs/overfit/synthetic");
    expect_plain(r.err);
    // The run's directory.
    for (const char* name :
         {"args.yaml", "cmd.txt", "env.json", "results.csv", "layers.csv", "report.html", "weights/last.safetensors"})
        EXPECT_TRUE(fs::exists(file("runs/latest") + "/" + name)) << name;
    EXPECT_TRUE(has(read_text(file("runs/latest/cmd.txt")), "overfit -n 2 image=32 hidden=16 --steps 30 --json"));
    EXPECT_TRUE(has(read_text(file("runs/latest/args.yaml")), "image: 32  # command line"));
    EXPECT_TRUE(Json::parse(read_text(file("runs/latest/env.json")), nullptr, false).is_object());
    // Again: another directory beside it, the same weights.
    EXPECT_EQ(object_of(run({"overfit", "-n", "2", "image=32", "hidden=16", "--steps", "30", "--json", "-q"}))
                  .value("run_dir", ""),
              "runs/overfit/synthetic-2");
    EXPECT_EQ(read_text(weights("runs/overfit/synthetic")), read_text(weights("runs/latest")));
}

TEST_F(Cli, QuietIsQuietAndTheVerdictIsOnStandardOutput) {
    const Outcome r = overfit({"-n", "2", "--steps", "3", "-q"});
    EXPECT_EQ(r.code, 4);
    EXPECT_EQ(r.err, "");
    EXPECT_TRUE(has(r.out, "verdict: fail"));
    EXPECT_TRUE(has(r.out, "constant box")) << "an IoU is never printed alone";
}

TEST_F(Cli, TheLastStepIsSaidEvenWithoutATerminal) {
    const Outcome r = overfit({"-n", "2", "--steps", "30"});
    EXPECT_TRUE(has(r.err, "30/30")) << r.err;
    expect_plain(r.err);
}

TEST_F(Cli, ATerminalGetsALiveLine) {
    Setting terminal;
    terminal.terminal = true;
    const Outcome r = overfit({"-n", "2", "--steps", "20"}, terminal);
    EXPECT_EQ(r.code, 4) << r.err;
    EXPECT_TRUE(has(r.err, "\r\x1b[K"));
    expect_plain(r.out);
}

TEST_F(Cli, ADivergedRunHasItsOwnCode) {
    expect_refused(overfit({"-n", "2", "--steps", "30", "decode=identity", "loss=mse", "optimizer=SGD", "lr0=100",
                            "clip=0", "warmup_steps=0"}),
                   5, {"step ", "not finite"});
}

TEST_F(Cli, TheSameWeightsForEveryThreadCountAndLocale) {
    std::string first, first_out;
    for (const char* threads : {"1", "2", "4"}) {
        const std::string name = std::string("t") + threads;
        Setting german;
        if (std::string(threads) != "1") german.environment = {{"LC_ALL", "de_DE.UTF-8"}, {"LANG", "de_DE.UTF-8"}};
        const Outcome r =
            overfit({"-n", "18", "norm=batch", "--steps", "5", "--json", "--threads", threads, "--out", name}, german);
        ASSERT_EQ(r.code, 4) << r.err;
        Json j = object_of(r);
        EXPECT_EQ(j.value("threads", 0), std::atoi(threads));
        for (const char* key : {"seconds", "threads", "run_dir"}) j.erase(key);
        const std::string bytes = read_text(weights(name));
        if (first.empty()) first = bytes, first_out = j.dump();
        EXPECT_GT(bytes.size(), 100000U);
        EXPECT_TRUE(bytes == first) << threads << " threads";
        EXPECT_EQ(j.dump(), first_out);
    }
}

// ---- where the results go ----

TEST_F(Cli, AnOccupiedDirectoryIsRefusedUnlessExistOk) {
    ASSERT_EQ(overfit({"-n", "2", "--steps", "3", "--out", "o"}).code, 4);
    const std::string before = read_text(weights("o"));
    expect_refused(overfit({"-n", "2", "--steps", "4", "--out", "o"}), 2, {"--out o", "not empty", "--exist-ok"});
    EXPECT_EQ(read_text(weights("o")), before);
    EXPECT_EQ(overfit({"-n", "2", "--steps", "4", "--out", "o", "--exist-ok"}).code, 4);
    EXPECT_NE(read_text(weights("o")), before);
    fs::create_directory(file("empty"));
    EXPECT_EQ(overfit({"-n", "2", "--steps", "3", "--out", "empty"}).code, 4) << "an empty directory is free";
}

TEST_F(Cli, AnImpossibleDirectoryIsNamedWithTheReason) {
    dir_.write("plain", "x");
    expect_refused(overfit({"-n", "2", "--steps", "3", "--out", "plain/below"}), 1,
                   {"plain/below", std::strerror(ENOTDIR)});
    expect_refused(overfit({"-n", "2", "--steps", "3", "--out", "plain"}), 2, {"plain", "not a directory"});
    const Outcome proc = overfit({"-n", "2", "--steps", "3", "--out", "/proc/solobox"});
    expect_refused(proc, 1, {"/proc/solobox"});
    EXPECT_TRUE(has(proc.err, std::strerror(ENOENT)) || has(proc.err, std::strerror(EPERM)) ||
                has(proc.err, std::strerror(EACCES)))
        << proc.err;
    if (::geteuid() != 0) {
        fs::create_directory(file("locked"));
        fs::permissions(file("locked"), fs::perms::owner_read | fs::perms::owner_exec);
        expect_refused(overfit({"-n", "2", "--steps", "3", "--out", "locked/x"}), 1,
                       {"locked/x", std::strerror(EACCES)});
    }
}

TEST_F(Cli, AFullDiskLeavesNoHalfCheckpoint) {
    ASSERT_EQ(overfit({"-n", "2", "--steps", "3", "--out", "kept"}).code, 4);
    const std::string before = read_text(weights("kept"));
    Setting full;
    full.largest_file = 200'000;  // tables fit, a checkpoint of 1.6 MB does not
    expect_refused(overfit({"-n", "2", "--steps", "4", "--out", "new"}, full), 1,
                   {"last.safetensors", std::strerror(EFBIG)});
    EXPECT_TRUE(fs::is_empty(file("new/weights")));
    expect_refused(overfit({"-n", "2", "--steps", "4", "--out", "kept", "--exist-ok"}, full), 1,
                   {"last.safetensors", std::strerror(EFBIG)});
    EXPECT_TRUE(read_text(weights("kept")) == before) << "the old checkpoint stays, whole";
    EXPECT_FALSE(fs::exists(weights("kept") + ".tmp"));
    full.largest_file = 0;
    expect_refused(overfit({"-n", "2", "--steps", "4", "--out", "nothing"}, full), 1,
                   {"nothing/", std::strerror(EFBIG)});
}

TEST_F(Cli, AResultThatCannotBeWrittenIsAFailure) {
    Setting full;
    full.stdout_to = "/dev/full";
    for (const Words& words : {Words{"info"}, Words{"config", "--json"}, Words{"--help"}, Words{"--version"}})
        EXPECT_EQ(run(words, full).code, 1) << words.front();
}

// ---- signals ----

class CliSignal : public Cli {
protected:
    // A job that would take minutes.
    Outcome interrupted(int signal, const std::string& name, bool twice = false) const {
        Setting s;
        s.signal_at = "step ";
        s.signal = signal;
        s.twice = twice;
        return run({"overfit", "-n", "16", "image=96", "lr0=0", "--steps", "100000", "--json", "--out", name}, s);
    }
};

TEST_F(CliSignal, InterruptAndTerminateLeaveACheckpoint) {
    for (const auto& [signal, code] : {std::pair{SIGINT, 130}, std::pair{SIGTERM, 143}}) {
        const std::string name = "s" + std::to_string(signal);
        const Outcome r = interrupted(signal, name);
        EXPECT_EQ(r.code, code) << r.err;
        EXPECT_LT(r.seconds_after_signal, 2 * slower);
        EXPECT_LT(object_of(r).value("steps", 0), 100000);
        const SafetensorsFile file = read_safetensors(weights(name));
        EXPECT_TRUE(file.tensors.contains("model.feat.0.weight"));
        EXPECT_EQ(file.metadata.at("step"), std::to_string(object_of(r).value("steps", 0)));
        expect_plain(r.err);
    }
}

TEST_F(CliSignal, ASecondSignalLeavesAtOnce) {
    const Outcome r = interrupted(SIGINT, "twice", true);
    EXPECT_EQ(r.code, 130) << r.err;
    EXPECT_LT(r.seconds_after_signal, 2 * slower);
    EXPECT_FALSE(fs::exists(weights("twice") + ".tmp") && fs::exists(weights("twice"))) << "at most one of the two";
    if (fs::exists(weights("twice"))) {
        EXPECT_NO_THROW((void)read_safetensors(weights("twice")));
    }
}

// ---- data ----

class CliData : public Cli {
protected:
    // A VOC directory of five pictures; the one called `broken` is cut in the middle.
    std::string voc(const std::string& broken = "") const {
        for (const char* stem : {"a", "b", "c", "d", "e"}) {
            auto jpeg = encode_jpeg(fixtures::ramp(64, 48), 95);
            if (stem == broken) jpeg.resize(jpeg.size() / 2);
            dir_.write(std::string("set/JPEGImages/") + stem + ".jpg", jpeg);
            const int x = 4 + 3 * (stem[0] - 'a');
            dir_.write(
                std::string("set/Annotations/") + stem + ".xml",
                fmt::format(
                    "<annotation><filename>{0}.jpg</filename><size><width>64</width><height>48</height></"
                    "size><object><name>it</name><bndbox><xmin>{1}</xmin><ymin>6</ymin><xmax>{2}</xmax><ymax>40</ymax>"
                    "</bndbox></object></annotation>",
                    stem, x, x + 30));
        }
        return "set";
    }
    // Path, size, time and bytes of everything in the set.
    std::string snapshot() const {
        std::vector<std::string> rows;
        for (const auto& e : fs::recursive_directory_iterator(file("set"))) {
            struct stat s {};
            ::stat(e.path().c_str(), &s);
            rows.push_back(fmt::format("{} {} {}.{} {} {}", e.path().string(), s.st_size, s.st_mtim.tv_sec,
                                       s.st_mtim.tv_nsec, s.st_mode,
                                       e.is_regular_file() ? read_text(e.path().string()) : ""));
        }
        std::sort(rows.begin(), rows.end());
        return fmt::format("{}", fmt::join(rows, "\n"));
    }
};

TEST_F(CliData, APathThatIsNotThereIsADataError) {
    expect_refused(overfit({"-n", "2", "--data", "no/such/set"}), 3, {"no/such/set", std::strerror(ENOENT)});
    dir_.write("file.txt", "x");
    expect_refused(overfit({"-n", "2", "--data", "file.txt"}), 3, {"file.txt"});
    fs::create_directory(file("hollow"));
    expect_refused(overfit({"-n", "2", "--data", "hollow"}), 3, {"hollow", "empty"});
    expect_refused(overfit({"-n", "2", "--data", voc(), "--format", "nosuch"}), 2, {"nosuch", "voc"});
    EXPECT_FALSE(fs::exists(file("runs"))) << "a refused command leaves no run";
}

TEST_F(CliData, TheSetStaysAsItIs) {
    const std::string set = voc(), before = snapshot();
    const Outcome r = overfit({"-n", "4", "--data", set, "--steps", "5", "--json"});
    EXPECT_EQ(r.code, 4) << r.err;
    EXPECT_TRUE(has(r.err, "voc")) << "the format that was found is said";
    EXPECT_EQ(object_of(r).value("run_dir", ""), "runs/overfit/set");
    EXPECT_EQ(snapshot(), before);
}

TEST_F(CliData, ACutPictureIsNamed) {
    const std::string set = voc("b"), before = snapshot();
    expect_refused(overfit({"-n", "4", "--data", set, "--steps", "5"}), 3, {"b.jpg", "--skip-bad"});
    EXPECT_FALSE(fs::exists(file("runs"))) << "it stops before step 1";
    EXPECT_EQ(snapshot(), before);
}

TEST_F(CliData, SkipBadGoesOnAndCounts) {
    const std::string set = voc("b"), before = snapshot();
    const Outcome r = overfit({"-n", "4", "--data", set, "--steps", "5", "--json", "--skip-bad"});
    EXPECT_EQ(r.code, 4) << r.err;
    EXPECT_EQ(object_of(r).value("images", 0), 4);
    EXPECT_TRUE(has(r.err, "b.jpg"));
    EXPECT_TRUE(has(r.err, "left out: 1") || has(r.err, "1 left out") || has(r.err, "1 picture"))
        << "how many were left out is said:\n"
        << r.err;
    expect_refused(overfit({"-n", "5", "--data", set, "--steps", "5", "--skip-bad"}), 3,
                   {"4 usable", "1 left out", "-n 4"});
    EXPECT_EQ(snapshot(), before);
}

// ---- the other verbs ----

TEST_F(Cli, ModelShowCountsTheToy) {
    const Json j = object_of(run({"model", "show", "toy", "--json"}));
    EXPECT_EQ(j.value("parameters", 0), 266056324);
    std::int64_t sum = 0;
    for (const auto& layer : j.value("layers", Json::array())) sum += layer.value("parameters", 0);
    EXPECT_EQ(sum, 266056324);
    EXPECT_TRUE(has(run({"model", "show", "tiny"}).out, "total:"));
    expect_refused(run({"model", "show", "tony"}), 2, {"tiny", "toy"});
}

TEST_F(Cli, GradcheckOfOneOp) {
    const Outcome r = run({"gradcheck", "sigmoid", "--json"});
    EXPECT_EQ(r.code, 0) << r.err;
    EXPECT_EQ(object_of(r).value("verdict", ""), "pass");
    expect_refused(run({"gradcheck", "nosuch"}), 2, {"nosuch"});
    expect_refused(run({"gradcheck", "sigmiod"}), 2, {"did you mean 'sigmoid'"});
}

TEST_F(Cli, KernelsAreChosenByTheEnvironment) {
    Setting nonsense, reference;
    nonsense.environment = {{"SOLOBOX_KERNELS", "nonsense"}};
    reference.environment = {{"SOLOBOX_KERNELS", "ref"}};
    expect_refused(run({"info"}, nonsense), 2, {"SOLOBOX_KERNELS=nonsense", "ref"});
    expect_refused(overfit({"-n", "2", "--steps", "3"}, nonsense), 2, {"SOLOBOX_KERNELS=nonsense"});
    EXPECT_FALSE(fs::exists(file("runs")));
    EXPECT_EQ(object_of(run({"info", "--json"}, reference)).value("kernels", ""), "ref");
    const Outcome r = overfit({"-n", "2", "--steps", "3", "--json", "--out", "ref"}, reference);
    EXPECT_EQ(object_of(r).value("kernels", ""), "ref");
    EXPECT_TRUE(has(read_text(file("ref/env.json")), "\"kernels\": \"ref\""));
}

TEST_F(Cli, ConfigPrintsItsKeys) {
    EXPECT_TRUE(has(run({"config"}).out, "lr0: 0.001  # default"));
    EXPECT_TRUE(has(run({"config", "--schema"}).out, "img_size"));
    EXPECT_GT(object_of(run({"config", "--schema", "--json"})).value("keys", Json::array()).size(), 30U);
}

// ---- models for other tools, benchmarks ----

TEST_F(Cli, ExportsAModelForOtherTools) {
    const Json onnx = object_of(run({"model", "export", "tiny", "--onnx", "--out", "a.onnx", "--json", "norm=group"}));
    EXPECT_EQ(onnx.value("parameters", 0), 1'442'964);
    EXPECT_EQ(read_text(file("a.onnx")).substr(0, 2), "\x08\x07");  // field 1, IR version 7
    EXPECT_TRUE(has(read_text(file("a.onnx")), "InstanceNormalization"));
    EXPECT_TRUE(has(read_text(file("a.onnx")), "feat.0.weight"));
    EXPECT_EQ(run({"model", "export", "resnet18", "--onnx", "--classes", "5", "--image", "64"}).code, 0);
    EXPECT_TRUE(has(read_text(file("resnet18.onnx")), "layer4.1.bn2.running_var"));

    // What was written reads back, and is written again to the same bytes.
    EXPECT_EQ(run({"model", "export", "tiny", "--format", "safetensors", "--out", "a.safetensors", "seed=4"}).code, 0);
    EXPECT_EQ(run({"model", "export", "tiny", "--format", "safetensors", "--out", "b.safetensors", "--weights",
                   "a.safetensors"})
                  .code,
              0);
    EXPECT_EQ(read_text(file("a.safetensors")), read_text(file("b.safetensors")));
    EXPECT_TRUE(read_safetensors(file("a.safetensors")).tensors.contains("feat.0.weight"));

    // The model of a run, with its weights.
    run({"overfit", "-n", "2", "--steps", "3", "--out", "run", "image=64"});
    EXPECT_EQ(run({"model", "export", "run", "--format", "safetensors", "--out", "c.safetensors"}).code, 0);
    const auto trained = read_safetensors(file("run/weights/last.safetensors")).tensors;
    const auto written = read_safetensors(file("c.safetensors")).tensors;
    for (const auto& [name, tensor] : written) EXPECT_EQ(trained.at("model." + name).bytes, tensor.bytes) << name;
    EXPECT_EQ(run({"model", "export", "run", "--onnx", "--out", "c.onnx"}).code, 0);
    EXPECT_EQ(object_of(run({"model", "show", "run", "--json"})).value("image", 0), 64);
}

TEST_F(Cli, ExportRefusesWhatItCannotDo) {
    expect_refused(run({"model", "export", "tiny"}), 2, {"--format onnx"});
    expect_refused(run({"model", "export", "tiny", "--format", "onxn"}), 2, {"onxn"});
    expect_refused(run({"model", "export", "tiny", "--onnx", "--format", "safetensors"}), 2, {"contradict"});
    expect_refused(run({"model", "export", "resnet19", "--onnx"}), 2, {"resnet19", "resnet18"});
    expect_refused(run({"model", "export", "tinny", "--onnx"}), 2, {"tinny"});
    expect_refused(run({"model", "export", "tiny", "--onnx", "--classes", "3"}), 2, {"--classes"});
    expect_refused(run({"model", "export", "resnet18", "--onnx", "hidden=64"}), 2, {"hidden=64", "ignored"});
    expect_refused(run({"model", "export", "tiny", "--onnx", "--weights", "nowhere.safetensors"}), 3, {"nowhere"});
    EXPECT_EQ(run({"model", "export", "tiny", "--format", "safetensors", "--out", "t.safetensors"}).code, 0);
    expect_refused(run({"model", "export", "resnet18", "--onnx", "--weights", "t.safetensors"}), 3, {"t.safetensors"});
    expect_refused(run({"model", "export", "tiny", "--onnx", "--out", "no/such/place.onnx"}), 1, {"place.onnx"});
}

TEST_F(Cli, BenchGivesTheKeysOfItsPeers) {
    const Json step = object_of(run({"bench", "tiny-gn", "--steps", "1", "--json"}));
    for (const char* key : {"workload", "batch", "image", "params", "step_s", "forward_s", "img_s", "rss_mb", "gflops",
                            "planned_mb", "first_step_after_s", "page_faults_per_step"})
        EXPECT_TRUE(step.contains(key)) << key;
    EXPECT_EQ(step.value("params", 0), 1'442'964);
    const Json picture = object_of(run({"bench", "tiny-bn", "--predict", "--steps", "1", "--json", "--save", "case"}));
    EXPECT_GT(picture.value("predict_s", 0.0), 0);
    EXPECT_EQ(read_safetensors(file("case/case.safetensors")).tensors.at("input").shape,
              (std::vector<std::int64_t>{1, 3, 128, 128}));
    expect_refused(run({"bench", "kernels", "--of", "nosuch"}), 2, {"nosuch"});
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    const Json kernels = object_of(run({"bench", "kernels", "--steps", "1", "--json"}));
    EXPECT_GT(kernels.value("rows", Json::array()).size(), 20U);
    for (const Json& row : kernels.value("rows", Json::array())) EXPECT_LT(row.value("error", 0.0), 1e-5) << row;
#endif
}

}  // namespace
}  // namespace solobox
