// When things go wrong around the program: occupied and impossible directories, full disks, signals, broken pictures.
#include <sys/stat.h>

#include <cstring>
#include <fstream>
#include <functional>

#include "nn/safetensors.h"
#include "tests/support/cli_program.h"

namespace solobox {
namespace {

namespace fs = std::filesystem;
using namespace fixtures;

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

}  // namespace
}  // namespace solobox
