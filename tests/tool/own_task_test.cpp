// A task that is none of the tool's own: examples/own_task.cpp, a key point per picture, through every command that it
// gets for its main of one line. Pictures and labels with points are written here.
#include <algorithm>
#include <filesystem>

#include "data/image/draw.h"
#include "data/image/image.h"
#include "tensor/random.h"
#include "tests/support/program.h"
#include "train/run/table.h"

namespace solobox {
namespace {

using namespace fixtures;
namespace fs = std::filesystem;

Answer own(const std::vector<std::string>& words) { return run_program(words, SOLOBOX_OWN_TASK); }

// A bright square on noise; its key point is its upper left corner.
void write_points(const TemporaryDirectory& dir, int train, int val, const std::string& shape = "kpt_shape: [1, 3]\n") {
    dir.write("set/data.yaml", "train: images/train\nval: images/val\nnames: [square]\n" + shape);
    Random random({3, Stream::test});
    for (int i = 0; i < train + val; ++i) {
        const int side = 64, size = 12, x = static_cast<int>(random.below(side - size)),
                  y = static_cast<int>(random.below(side - size));
        Image image = make_canvas(side, side, {40, 60, 80});
        for (auto& v : image.rgb) v = static_cast<std::uint8_t>(v + random.below(30));
        fill_rect(image, {x, y, x + size, y + size}, {240, 230, 60});
        const std::string place = fmt::format("{}/{:03}", i < train ? "train" : "val", i);
        dir.write("set/images/" + place + ".png", encode_png(image));
        const auto f = [&](double v) { return v / side; };
        dir.write("set/labels/" + place + ".txt", fmt::format("0 {} {} {} {} {} {} 2\n", f(x + size / 2.0),
                                                              f(y + size / 2.0), f(size), f(size), f(x), f(y)));
    }
}

std::vector<std::string> training(const TemporaryDirectory& dir, const std::string& run,
                                  const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{
        "train",          "data=" + dir / "set", "model=pointer", "pointer_width=8", "image=64", "epochs=3", "batch=8",
        "warmup_steps=2", "degrees=10",          "mosaic=0.3",    "--out",           dir / run,  "-q"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

TEST(OwnTask, LearnsEightPicturesByHeart) {
    if (instrumented) GTEST_SKIP() << "learns for a while: run in the plain build";
    const TemporaryDirectory dir;
    const Answer a = own({"overfit", "--task", "point", "image=64", "lr0=3e-3", "--out", dir / "run", "--json", "-q"});
    ASSERT_EQ(a.code, 0) << a.out << a.err;
    EXPECT_EQ(a.json()["verdict"], "pass");
    EXPECT_GT(a.json()["mean_closeness"], 0.95);
    EXPECT_TRUE(fs::exists(dir / "run/report.html"));
    EXPECT_TRUE(has(read_text(dir / "run/task.json"), "\"kind\": \"point\""));
}

TEST(OwnTask, TrainsAndIsReadByEveryCommand) {
    const TemporaryDirectory dir;
    write_points(dir, 24, 8);
    const Answer a = own(training(dir, "run", {"--json"}));
    ASSERT_EQ(a.code, 0) << a.out << a.err;
    EXPECT_TRUE(a.json().contains("best_closeness"));
    EXPECT_TRUE(a.json().contains("mean_point_closeness"));
    EXPECT_TRUE(Table(dir / "run/results.csv").has("metrics/closeness"));
    const std::string page = read_text(dir / "run/report.html");
    EXPECT_TRUE(has(page, "<line class=\"truth\"")) << "no points on the pictures";
    EXPECT_TRUE(has(page, "<line class=\"prediction\""));
    EXPECT_TRUE(has(page, "best closeness"));

    const Answer val = own({"val", dir / "run", "--json", "--out", dir / "worst.png"});
    ASSERT_EQ(val.code, 0) << val.err;
    EXPECT_NEAR(val.json()["closeness"].get<double>(), a.json()["best_closeness"].get<double>(), 1e-6);
    const Answer p = own({"predict", dir / "run", dir / "set/images/val/024.png", "--out", dir / "drawn", "--json"});
    ASSERT_EQ(p.code, 0) << p.err;
    EXPECT_EQ(p.json()["predictions"][0]["objects"][0]["points"].size(), 1U);
    EXPECT_TRUE(fs::exists(dir / "drawn/024.png"));
    EXPECT_EQ(own({"report", dir / "run"}).code, 0);
    EXPECT_EQ(own({"compare", dir / "run", dir / "run", "--out", dir / "both.html"}).code, 0);
    const Answer doctor = own({"doctor", dir / "run", "--json"});
    ASSERT_EQ(doctor.code, 0) << doctor.err;
    EXPECT_EQ(doctor.json()["fail"], 0) << doctor.out;
    const Answer probed = own({"doctor", "model=pointer", "pointer_width=8", "image=64", "--json"});
    ASSERT_EQ(probed.code, 0) << probed.err;
    const Answer keys = own({"config", "--schema"});
    EXPECT_TRUE(has(keys.out, "pointer_width"));
    EXPECT_TRUE(has(keys.out, "[point]"));
    EXPECT_EQ(own({"model", "show", "pointer", "--json"}).code, 0);
}

// kill -9 after so long; 0 when it was done before.
int killed_after(double seconds, std::vector<std::string> words) {
    words.insert(words.begin(), {"-s", "KILL", fmt::format("{:.3f}", seconds), SOLOBOX_OWN_TASK});
    return run_program(words, "/usr/bin/timeout").code;
}

TEST(OwnTask, KilledAndResumedEndsWithTheSameBits) {
    const TemporaryDirectory dir;
    write_points(dir, 24, 8);
    ASSERT_EQ(own(training(dir, "whole")).code, 0);
    const auto without_seconds = [&](const std::string& run) {
        std::string text;
        for (const auto& row : Table(dir / (run + "/results.csv")).rows)
            text += row.at(0) + row.at(2) + row.at(3) + "\n";
        return text;
    };
    int killed = 0, code = 1;
    for (int part = 0; part < 40 && code != 0; ++part) {
        const bool there = fs::exists(dir / "cut/args.yaml");
        code = killed_after(
            (0.15 + 0.1 * part) * (instrumented ? 8 : 1),
            there ? std::vector<std::string>{"resume", dir / "cut", "-q"} : training(dir, "cut", {"--exist-ok"}));
        killed += code != 0;
    }
    EXPECT_GT(killed, 0);
    EXPECT_EQ(code, 0);
    EXPECT_TRUE(read_text(dir / "whole/weights/last.safetensors") == read_text(dir / "cut/weights/last.safetensors"));
    EXPECT_EQ(without_seconds("whole"), without_seconds("cut"));
}

TEST(OwnTask, LabelsWithoutPointsAreRefused) {
    const TemporaryDirectory dir;
    write_points(dir, 8, 4, "");
    const Answer a = own(training(dir, "run"));
    EXPECT_EQ(a.code, 3);
    for (const char* bad : {"kpt_shape: [1]\n", "kpt_shape: [0, 3]\n", "kpt_shape: [1, 4]\n",
                            "kpt_shape: [1, 3]\nflip_idx: [0, 1]\n", "kpt_shape: x\n"}) {
        write_points(dir, 8, 4, bad);
        const Answer b = own(training(dir, "run"));
        EXPECT_EQ(b.code, 3) << bad;
        EXPECT_TRUE(has(b.err, "data.yaml")) << b.err;
    }
}

TEST(OwnTask, TheToolItselfDoesNotKnowIt) { EXPECT_EQ(run_program({"overfit", "--model", "pointer"}).code, 2); }

}  // namespace
}  // namespace solobox
