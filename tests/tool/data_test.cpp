// solobox data: check, show, convert and synth as their users meet them. Data sets are made here; nothing below them
// may change.
#include <sys/stat.h>

#include <algorithm>
#include <map>

#include "data/image/image.h"
#include "data/text.h"
#include "tests/support/program.h"

namespace solobox {
namespace {

namespace fs = std::filesystem;
using fixtures::Answer;
using fixtures::has;
using fixtures::ramp;
using fixtures::run_program;
using fixtures::TemporaryDirectory;

// Path -> contents and time of change.
std::map<std::string, std::pair<std::string, fs::file_time_type>> state_of(const std::string& dir) {
    std::map<std::string, std::pair<std::string, fs::file_time_type>> out;
    for (const auto& entry : fs::recursive_directory_iterator(dir))
        out[entry.path().string()] = {entry.is_regular_file() ? read_whole(entry.path().string(), 1 << 24) : "",
                                      entry.last_write_time()};
    return out;
}

TEST(DataVerbs, CheckSaysCleanOrNot) {
    const TemporaryDirectory dir;
    fixtures::write_small_yolo_set(dir);
    const auto before = state_of(dir.path());
    Answer a = run_program({"data", "check", dir.path()});
    EXPECT_EQ(a.code, 0) << a.err;
    EXPECT_TRUE(has(a.out, "clean: 0 errors"));
    EXPECT_TRUE(has(a.out, "mean box IoU 0.500, best constant box IoU 0.500"));
    a = run_program({"data", "check", dir.path(), "--json"});
    EXPECT_EQ(a.code, 0);
    EXPECT_EQ(a.json()["train"]["pictures"], 4);
    EXPECT_EQ(a.json()["val"]["classes"][1]["boxes"], 1);
    EXPECT_TRUE(a.json()["clean"]);
    EXPECT_EQ(before, state_of(dir.path()));

    dir.write("labels/train/1.txt", "0 0.5 0.5 0.5 0.5\n5 0.5 0.5 0.5 0.5\n");
    a = run_program({"data", "check", dir.path()});
    EXPECT_EQ(a.code, 3);
    EXPECT_TRUE(has(a.out, "labels/train/1.txt:2: error: class id 5"));
    EXPECT_EQ(run_program({"data", "check", dir.path(), "--skip-bad"}).code, 0);
    const TemporaryDirectory out;
    a = run_program({"data", "check", dir.path(), "--json", "--fix", out / "new"});
    EXPECT_EQ(a.code, 3);
    EXPECT_EQ(a.json()["fixed"]["format"], "yolo");
    EXPECT_EQ(run_program({"data", "check", out / "new"}).code, 0);
    // Once more: the directory is no longer new.
    a = run_program({"data", "check", dir.path(), "--fix", out / "new"});
    EXPECT_EQ(a.code, 2);
    EXPECT_TRUE(has(a.err, "not empty"));
    EXPECT_EQ(run_program({"data", "check", dir.path(), "--fix", dir / "new"}).code, 2);
    EXPECT_EQ(run_program({"data", "check", dir.path(), "--format", "xyz"}).code, 2);
    EXPECT_EQ(run_program({"data", "check", dir / "nowhere"}).code, 3);
    EXPECT_EQ(run_program({"data"}).code, 2);
}

TEST(DataVerbs, SynthIsAFunctionOfTheSeed) {
    const TemporaryDirectory out;
    for (const char* format : {"yolo", "voc", "coco"}) {
        SCOPED_TRACE(format);
        const std::string a = out / (std::string("a-") + format), b = out / (std::string("b-") + format);
        for (const std::string& dir : {a, b}) {
            const Answer made = run_program({"data", "synth", dir, "--count", "6", "--val", "2", "--size", "32",
                                             "--seed", "5", "--format", format});
            EXPECT_EQ(made.code, 0) << made.err;
        }
        std::vector<std::string> contents[2];
        for (int i = 0; i < 2; ++i)
            for (const auto& [path, state] : state_of(i ? b : a)) contents[i].push_back(state.first);
        EXPECT_EQ(contents[0], contents[1]);
        const Answer check = run_program({"data", "check", a, "--json"});
        EXPECT_EQ(check.code, 0) << check.out;
        EXPECT_EQ(check.json()["format"], format);
        EXPECT_EQ(check.json()["train"]["boxes"], 6);
        EXPECT_EQ(check.json()["val"]["boxes"], 2);
        EXPECT_EQ(run_program({"data", "synth", a}).code, 2);  // not empty
    }
    EXPECT_EQ(run_program({"data", "synth", out / "x", "--size", "8"}).code, 2);
    EXPECT_EQ(run_program({"data", "synth", out / "x", "--format", "gif"}).code, 2);
    EXPECT_FALSE(fs::exists(out / "x"));
}

TEST(DataVerbs, ConvertThereAndBack) {
    const TemporaryDirectory dir, out;
    fixtures::write_small_yolo_set(dir);
    const auto before = state_of(dir.path());
    std::string from = dir.path();
    for (const char* format : {"voc", "coco", "yolo"}) {
        const std::string to = out / format;
        const Answer a = run_program({"data", "convert", from, to, "--to", format, "--json"});
        ASSERT_EQ(a.code, 0) << a.err;
        EXPECT_EQ(a.json()["pictures"], 5);
        EXPECT_EQ(a.json()["boxes"], 5);
        from = to;
    }
    for (const char* name : {"train/0", "train/3", "val/v"})
        EXPECT_EQ(read_whole(out / (std::string("yolo/labels/") + name + ".txt"), 1000),
                  read_whole(dir / (std::string("labels/") + name + ".txt"), 1000));
    EXPECT_EQ(read_whole(out / "yolo/images/val/v.png", 1 << 20), read_whole(dir / "images/val/v.png", 1 << 20));
    EXPECT_EQ(before, state_of(dir.path()));
    EXPECT_EQ(run_program({"data", "convert", dir.path(), out / "yolo", "--to", "voc"}).code, 2);
    EXPECT_EQ(run_program({"data", "convert", dir.path(), out / "z", "--to", "folder"}).code, 2);
    EXPECT_EQ(run_program({"data", "convert", dir.path(), out / "z"}).code, 2);
    // A picture that is only a header: nothing of the copy stays.
    dir.write("labels/train/2.txt", "bad\n");
    EXPECT_EQ(run_program({"data", "convert", dir.path(), out / "z", "--to", "voc"}).code, 3);
    EXPECT_FALSE(fs::exists(out / "z"));
    EXPECT_EQ(run_program({"data", "convert", dir.path(), out / "z", "--to", "voc", "--skip-bad"}).code, 0);
}

TEST(DataVerbs, ShowDrawsEveryBox) {
    const TemporaryDirectory dir, out;
    fixtures::write_small_yolo_set(dir);
    const auto before = state_of(dir.path());
    const Answer a = run_program({"data", "show", dir.path(), "--out", out / "s.png", "-n", "9", "--json"});
    ASSERT_EQ(a.code, 0) << a.err;
    EXPECT_EQ(a.json()["pictures"], 4);
    EXPECT_EQ(a.json()["boxes"], 4);
    const Image sheet = read_image(out / "s.png");
    EXPECT_EQ(sheet.width, a.json()["width"]);
    std::int64_t green = 0;  // the colour of the first class
    for (std::size_t i = 0; i < sheet.rgb.size(); i += 3)
        green += sheet.rgb[i] == 46 && sheet.rgb[i + 1] == 204 && sheet.rgb[i + 2] == 113;
    EXPECT_GT(green, 4 * 500);
    EXPECT_EQ(run_program({"data", "show", dir.path(), "--split", "val", "--out", out / "v.png"}).code, 0);
    EXPECT_EQ(run_program({"data", "show", dir.path(), "--split", "test", "--out", out / "v.png"}).code, 2);
    EXPECT_EQ(run_program({"data", "show", dir.path(), "--out", dir / "s.png"}).code, 2);  // only read
    EXPECT_EQ(run_program({"data", "show", dir.path(), "--out", out / "none/s.png"}).code, 1);
    EXPECT_EQ(before, state_of(dir.path()));
    const std::string png = read_whole(dir / "images/train/0.png", 1 << 20);
    dir.write("images/train/0.png", png.substr(0, png.size() / 2));
    EXPECT_EQ(run_program({"data", "show", dir.path(), "--out", out / "b.png"}).code, 3);
    EXPECT_EQ(run_program({"data", "show", dir.path(), "--out", out / "b.png", "--skip-bad"}).code, 0);
}

TEST(DataVerbs, HostileDirectoriesEndWithOneMessage) {
    const TemporaryDirectory dir, out;
    fixtures::write_small_yolo_set(dir);
    // A pipe and a link in a circle between the pictures, a folder that is its own child, a pipe for a label.
    ASSERT_EQ(::mkfifo((dir / "images/train/pipe.png").c_str(), 0600), 0);
    ASSERT_EQ(::mkfifo((dir / "labels/train/0.txt.fifo").c_str(), 0600), 0);
    fs::create_symlink("loop.png", dir / "images/train/loop.png");
    fs::create_directory_symlink(".", dir / "images/train/self");
    fs::create_directory_symlink("..", dir / "images/train/up");
    const Answer a = run_program({"data", "check", dir.path(), "-q"});
    EXPECT_LT(a.code, 4) << a.err;
    EXPECT_LT(a.seconds, 20);
    const TemporaryDirectory voc;
    voc.write("JPEGImages/a.png", encode_png(ramp(9, 9)));
    voc.write("Annotations/a.xml",
              "<annotation><filename>../../a.png</filename><object><name>x</name><bndbox><xmin>1</xmin><ymin>1</ymin>"
              "<xmax>3</xmax><ymax>3</ymax></bndbox></object></annotation>");
    const Answer b = run_program({"data", "convert", voc.path(), out / "v", "--to", "coco", "-q"});
    EXPECT_EQ(b.code, 3);
    EXPECT_EQ(std::count(b.err.begin(), b.err.end(), '\n'), 1) << b.err;
    ASSERT_EQ(::mkfifo((out / "pipe").c_str(), 0600), 0);
    for (const char* verb : {"check", "show"}) EXPECT_EQ(run_program({"data", verb, out / "pipe"}).code, 3);
}

}  // namespace
}  // namespace solobox
