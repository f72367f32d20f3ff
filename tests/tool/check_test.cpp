// solobox check: one file of any kind. Own fixtures for every kind of flaw; and the shared collections of malformed
// files, when they are there: every row of their index must meet its outcome.
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <sstream>

#include "data/image/image.h"
#include "data/text.h"
#include "nn/safetensors.h"
#include "tests/support/program.h"

namespace solobox {
namespace {

namespace fs = std::filesystem;
using fixtures::Answer;
using fixtures::has;
using fixtures::ramp;
using fixtures::run_program;
using fixtures::TemporaryDirectory;

// Exit 2 or 3 and one line that names the file and is fit to print.
void expect_refusal(const Answer& a, const std::string& file) {
    EXPECT_TRUE(a.code == 2 || a.code == 3) << a.code << " " << a.err;
    if (!a.out.empty()) {  // with --json: the same, for a program
        const auto j = nlohmann::json::parse(a.out, nullptr, false);
        ASSERT_TRUE(j.is_object()) << a.out;
        EXPECT_EQ(a.err, "solobox: " + j.value("error", "") + "\n");
        EXPECT_EQ(j.value("exit_code", 0), a.code);
    }
    EXPECT_EQ(std::count(a.err.begin(), a.err.end(), '\n'), 1) << a.err;
    EXPECT_TRUE(has(a.err, file));
    EXPECT_LT(a.err.size(), 700U);
    EXPECT_EQ(find_control(a.err), std::string_view::npos) << a.err;
    EXPECT_EQ(find_bad_utf8(a.err), std::string_view::npos);
}

class CheckFile : public ::testing::Test {
protected:
    Answer check(const std::string& name, const std::string& text, std::vector<std::string> more = {}) const {
        more.insert(more.begin(), {"check", dir_.write(name, text)});
        return run_program(more);
    }
    void refused(const std::string& name, const std::string& text, int code, const std::string& part,
                 const std::vector<std::string>& more = {}) const {
        SCOPED_TRACE(name + ": " + printable(text));
        const Answer a = check(name, text, more);
        expect_refusal(a, name);
        EXPECT_EQ(a.code, code) << a.err;
        EXPECT_TRUE(has(a.err, part));
    }
    const TemporaryDirectory dir_;
};

TEST_F(CheckFile, Pictures) {
    const std::string png = fixtures::text_of(encode_png(Image{2, 1, {10, 20, 30, 20, 40, 60}}));
    Answer a = check("a.png", png, {"--json"});
    ASSERT_EQ(a.code, 0) << a.err;
    EXPECT_EQ(a.json()["kind"], "image");
    EXPECT_EQ(a.json()["width"], 2);
    EXPECT_EQ(a.json()["mean_rgb"], (std::vector<double>{15, 30, 45}));
    EXPECT_TRUE(has(check("a.jpg", png).out, "png picture, 2 x 1"));     // the bytes decide
    EXPECT_TRUE(has(check("noending", png).out, "png picture, 2 x 1"));  // and no ending is no matter
    refused("cut.png", png.substr(0, png.size() - 20), 3, "");
    refused("x.gif", "GIF89a......", 3, "GIF is not supported");
    refused("empty.jpg", "", 3, "empty");
    refused("page.jpg", "<html>", 3, "text");
}

TEST_F(CheckFile, YoloLabels) {
    const std::string picture = dir_.write("p.png", encode_png(ramp(80, 40)));
    const Answer a = check("a.txt", "1 0.5 0.5 0.25 0.5\n", {"--json", "--image", picture});
    ASSERT_EQ(a.code, 0) << a.err;
    EXPECT_EQ(a.json()["boxes"][0]["class"], 1);
    EXPECT_EQ(a.json()["boxes"][0]["x1"], 30);
    EXPECT_EQ(a.json()["boxes"][0]["y2"], 30);
    EXPECT_TRUE(has(check("b.txt", "").out, "background"));
    refused("c.txt", "0 0.5 0.5 0.2 0.2\n0 0.5 0.5 0.2\n", 3, "line 2: wrong number of fields");
    refused("d.txt", "0 0,5 0.5 0.2 0.2\n", 3, "line 1");
    refused("e.txt", "0 0.5 0.5 0 0.2\n", 3, "empty box");
    refused("f.txt", "0 nan 0.5 0.2 0.2\n", 3, "finite");
    refused("g.txt", std::string(512, '\0'), 3, "NUL");
    refused("h.txt", "18446744073709551616 0.5 0.5 0.2 0.2\n", 3, "class id");
    const Answer absent = check("i.txt", "0 0.5 0.5 0.2 0.2\n", {"--image", dir_ / "p2.png"});
    expect_refusal(absent, "p2.png");
}

TEST_F(CheckFile, VocLabels) {
    const auto xml = [](const std::string& box) {
        return "<annotation><filename>p.png</filename><object><name>x</name><bndbox>" + box +
               "</bndbox></object></annotation>\n";
    };
    const std::string good = xml("<xmin>1</xmin><ymin>2</ymin><xmax>3.5</xmax><ymax>4</ymax>");
    const Answer a = check("a.xml", good, {"--json"});
    ASSERT_EQ(a.code, 0) << a.err;
    EXPECT_EQ(a.json()["boxes"][0]["x2"], 3.5);
    refused("b.xml", xml("<xmin>3</xmin><ymin>2</ymin><xmax>1</xmax><ymax>4</ymax>"), 3, "xmin");
    refused("c.xml", good, 3, "outside", {"--image", dir_.write("tiny.png", encode_png(ramp(1, 1)))});
    refused("d.xml", "<!DOCTYPE a [<!ENTITY x SYSTEM \"/etc/passwd\">]><annotation>&x;</annotation>", 3, "DOCTYPE");
    refused("e.xml", good.substr(0, 60), 3, "line 1");
    std::string deep;
    for (int i = 0; i < 20000; ++i) deep += "<a>";
    refused("f.xml", "<annotation>" + deep, 3, "nest");
}

TEST_F(CheckFile, CocoLabels) {
    dir_.write("p.png", encode_png(ramp(80, 60)));
    const auto coco = [](const std::string& file_name, const std::string& box) {
        return R"({"images": [{"id": 1, "file_name": ")" + file_name +
               R"(", "width": 80, "height": 60}], "categories": [{"id": 3, "name": "x"}],)"
               "\n" +
               R"("annotations": [{"id": 1, "image_id": 1, "category_id": 3, "bbox": )" + box + "}]}";
    };
    const Answer a = check("labels/a.json", coco("p.png", "[26, 15, 37, 12]"), {"--json"});
    ASSERT_EQ(a.code, 0) << a.err;
    EXPECT_EQ(a.json()["boxes"][0]["bbox"], (std::vector<double>{26, 15, 37, 12}));
    EXPECT_EQ(a.json()["boxes"][0]["width"], 80);
    refused("labels/b.json", coco("q.png", "[26, 15, 37, 12]"), 3, "file_name");
    EXPECT_EQ(check("far/away/c.json", coco("p.png", "[1, 1, 2, 2]"), {"--image", dir_ / "p.png"}).code, 0);
    refused("d.json", coco("../p.png", "[1, 1, 2, 2]"), 3, "file_name");
    refused("e.json", coco("p.png", "[1, 1, 2, 0]"), 3, "line 2: bbox");
    refused("f.json", coco("p.png", "[1, 1, 2, 2]").substr(0, 150), 3, "end");
    refused("g.json", "{\"images\": " + std::string(100000, '['), 3, "nesting");
    refused("h.json", R"({"images": [], "annotations": [], "categories": []})", 3, "no images");
}

TEST_F(CheckFile, TinyImagenetLists) {
    EXPECT_TRUE(has(check("wnids.txt", "n01443537\nn01629819\n").out, "2 classes"));
    EXPECT_TRUE(has(check("val_annotations.txt", "a.JPEG\tn01443537\t1\t2\t30\t40\n").out, "1 box"));
    EXPECT_TRUE(has(check("n01443537_boxes.txt", "a.JPEG\t1\t2\t30\t40\n").out, "1 box"));
    EXPECT_TRUE(has(check("list", "a.JPEG\t1\t2\t30\t40\n", {"--as", "tiny-imagenet"}).out, "1 box"));
    refused("wnids.txt", "n01443537\nn01443537\n", 3, "line 2");
    refused("val_annotations.txt", "../a.JPEG\tn01443537\t1\t2\t30\t40\n", 3, "path");
    refused("n01443537_boxes.txt", "a.JPEG\t1\t2\t1\t40\n", 3, "box");
}

TEST_F(CheckFile, RunConfigurations) {
    const Answer a = check("run.yaml", "seed: 47\nimgsz: 64\nlr: 1e-4\noptimizer: SGD\n", {"--json"});
    ASSERT_EQ(a.code, 0) << a.err;
    EXPECT_EQ(a.json()["kind"], "run configuration");
    EXPECT_EQ(a.json()["settings"]["image"], "64");
    EXPECT_EQ(a.json()["settings"]["lr0"], "0.0001");
    for (const char* lr : {"1E-4", "1.0e-4", "+0.5e-3", ".0005", "1", "\"1e-4\""})
        EXPECT_EQ(check("lr.yaml", std::string("lr: ") + lr + "\n").code, 0) << lr;
    for (const char* lr : {"0,001", "fast", ".nan", "nan", ".inf", "1e999", "1e-4abc", "[1]", "{a: 1}", "null", "~", "",
                           "true", "-1", "1%"})
        refused("lr.yaml", std::string("seed: 1\nlr: ") + lr + "\n", 2, "lr");
    for (const char* batch : {"-1", "0", "2.5", "4000000000", "18446744073709551618", "many", "yes"})
        refused("batch.yaml", std::string("batch: ") + batch + "\n", 2, "batch");
    refused("key.yaml", "sede: 1\n", 2, "did you mean 'seed'");
    refused("case.yaml", "Seed: 1\n", 2, "unknown key");
    refused("twice.yaml", "seed: 1\nseed: 2\n", 2, "line 2: the key seed stands twice");
    refused("alias.yaml", "imgsz: 64\nimage: 32\n", 2, "same key");
    refused("name.yaml", "optimizer: sdg\n", 2, "SGD");
    refused("open.yaml", "seed: \"1\nlr: 2\n", 2, "quote");
    refused("empty.yaml", "", 2, "empty");
    refused("two.yaml", "seed: 1\n---\nseed: 2\n", 2, "document");
    refused("tag.yaml", "seed: !!python/object/apply:os.system [ls]\n", 2, "tag");
    refused("long.yaml", "seed: " + std::string(100000, '7') + "\n", 2, "seed");
}

TEST_F(CheckFile, BasesOfConfigurations) {
    dir_.write("base.yaml", "seed: 1\nlr: 0.5\n");
    const Answer a = check("sub/run.yaml", "base: ../base.yaml\nseed: 147\n", {"--json"});
    ASSERT_EQ(a.code, 0) << a.err;
    EXPECT_EQ(a.json()["settings"]["seed"], "147");
    EXPECT_EQ(a.json()["settings"]["lr0"], "0.5");
    refused("self.yaml", "base: self.yaml\n", 2, "cycle");
    dir_.write("b.yaml", "base: a.yaml\n");
    const Answer cycle = check("a.yaml", "base: b.yaml\n");
    EXPECT_EQ(cycle.code, 2);
    EXPECT_TRUE(has(cycle.err, "cycle"));
    refused("gone.yaml", "base: no_such_file.yaml\n", 2, "no_such_file.yaml");
    refused("dir.yaml", "base: .\n", 2, "directory");
    refused("list.yaml", "base: [x]\n", 2, "base");
    dir_.write("wrong.yaml", "sed: 1\n");
    EXPECT_TRUE(has(check("of.yaml", "base: wrong.yaml\n").err, "wrong.yaml: line 1"));
}

TEST_F(CheckFile, DataDescriptions) {
    dir_.write("images/a.png", encode_png(ramp(9, 9)));
    const Answer a = check("data.yaml", "names: [x, y]\nnc: 2\ntrain: images\nval: images\n", {"--json"});
    ASSERT_EQ(a.code, 0) << a.err;
    EXPECT_EQ(a.json()["kind"], "data.yaml");
    EXPECT_EQ(a.json()["classes"].size(), 2U);
    refused("data.yaml", "names: [x, y]\nnc: 3\ntrain: images\n", 3, "line 2: nc");
    refused("data.yaml", "names: [x]\ntrain: nowhere\n", 3, "nowhere");
    refused("data.yaml", "train: images\nval: images\n", 3, "names");
    refused("data.yaml", "names: [x]\nnames: [y]\ntrain: images\n", 2, "duplicate key");
}

TEST_F(CheckFile, Checkpoints) {
    SafetensorsFile file;
    const float values[] = {1, 2, std::numeric_limits<float>::quiet_NaN()};
    RawTensor tensor{"F32", {3}, std::vector<std::byte>(sizeof values)};
    std::memcpy(tensor.bytes.data(), values, sizeof values);
    file.tensors["fc.weight"] = tensor;
    file.metadata["step"] = "64";
    write_safetensors(dir_ / "a.safetensors", file);
    const Answer a = run_program({"check", dir_ / "a.safetensors", "--json"});
    ASSERT_EQ(a.code, 0) << a.err;
    EXPECT_EQ(a.json()["tensors"][0]["name"], "fc.weight");
    EXPECT_EQ(a.json()["tensors"][0]["shape"], (std::vector<int>{3}));
    EXPECT_EQ(a.json()["metadata"]["step"], "64");
    EXPECT_EQ(a.json()["non_finite"], 1);
    const std::string bytes = read_whole(dir_ / "a.safetensors", 1 << 20);
    EXPECT_EQ(check("noending", bytes).code, 0);
    refused("cut.safetensors", bytes.substr(0, bytes.size() - 1), 3, "");
    refused("short.safetensors", "1234567", 3, "");
    refused("page.safetensors", "<html></html>", 3, "");
    refused("model.pt", std::string("PK\x03\x04....", 8), 3, "safetensors");
}

TEST_F(CheckFile, WhatIsNoOrdinaryFile) {
    ASSERT_EQ(::mkfifo((dir_ / "pipe.txt").c_str(), 0600), 0);
    fs::create_symlink("loop.json", dir_ / "loop.json");
    fs::create_directory(dir_ / "folder.xml");
    for (const char* name : {"pipe.txt", "loop.json", "folder.xml", "absent.yaml"})
        for (const char* as : {"", "yolo", "voc", "coco", "tiny-imagenet", "yaml", "safetensors", "image"}) {
            SCOPED_TRACE(std::string(name) + " as " + as);
            std::vector<std::string> words{"check", dir_ / name};
            if (*as) words.insert(words.end(), {"--as", as});
            expect_refusal(run_program(words), name);
        }
    refused("unknown", "\x01\x02\x03", 3, "--as");
    EXPECT_EQ(check("a.txt", "", {"--as", "gif"}).code, 2);
    EXPECT_EQ(check("a.yaml", "seed: 1\n", {"--image", dir_ / "x.png"}).code, 2);
    EXPECT_EQ(run_program({"check"}).code, 2);
    EXPECT_EQ(run_program({"check", ""}).code, 2);
    // Whatever it is read as: garbage ends with one message.
    std::string garbage;
    for (unsigned i = 0; i < 4096; ++i) garbage += static_cast<char>((i * 2654435761U) >> 13U);
    for (const char* as : {"yolo", "voc", "coco", "tiny-imagenet", "yaml", "safetensors", "image"})
        expect_refusal(check("garbage", garbage, {"--as", as}), "garbage");
}

// ---- the shared collections

std::string corpus(const std::string& name) {
    const char* set = std::getenv("SOLOBOX_SHARED");
    return (set ? std::string(set) : std::string(SOLOBOX_SOURCE_DIR) + "/../shared") + "/data/" + name + "/";
}

std::vector<std::vector<std::string>> read_index(const std::string& folder) {
    std::ifstream file(folder + "index.tsv");
    std::vector<std::vector<std::string>> rows;
    std::string line;
    for (bool header = true; std::getline(file, line); header = false) {
        if (header) continue;
        std::vector<std::string> row(8);
        std::stringstream fields(line);
        for (std::size_t i = 0; i < row.size() && std::getline(fields, row[i], '\t');) ++i;
        rows.push_back(row);
    }
    return rows;
}

TEST(CheckCorpus, Texts) {
    const std::string folder = corpus("bad-text");
    const auto rows = read_index(folder);
    if (rows.empty()) GTEST_SKIP() << "shared corpus absent: own fixtures only";
    int checked = 0, others = 0;
    for (const auto& row : rows) {
        const std::string &file = row[0], &kind = row[1], &expected = row[3];
        if (!is_file(folder + file)) continue;  // "not kept"
        SCOPED_TRACE(file + " (" + row[2] + ")");
        std::vector<std::string> words{"check", folder + file, "--json"};
        if (kind == "yolo" || kind == "voc" || kind == "coco")
            words.insert(words.end(), {"--image", folder + "image.png"});
        const Answer a = run_program(words);
        EXPECT_LT(a.seconds, 5);
        const bool names_its_base = file == "yaml/base_good.yaml" || file.starts_with("yaml/base_cycle");
        if (a.code == 0) {
            EXPECT_TRUE(a.json().is_object());
        } else if (!names_its_base) {
            expect_refusal(a, file);
        }
        // The others are wrong only against a model, a data set or this program's key names.
        const bool alone = row[6] == "syntax";
        others += !alone;
        if (!alone) continue;
        ++checked;
        EXPECT_TRUE(expected != "ok" || a.code == 0) << a.err;
        EXPECT_TRUE(expected != "refused" || a.code == 2 || a.code == 3) << a.out;
        EXPECT_TRUE(expected != "ok" || kind != "coco" || a.json()["boxes"].size() == 1) << a.out;
    }
    std::printf("shared corpus: %d rows judged, %d only run (they need a model, a data set or other key names)\n",
                checked, others);
}

TEST(CheckCorpus, Pictures) {
    const std::string folder = corpus("bad-images");
    const auto rows = read_index(folder);
    if (rows.empty()) GTEST_SKIP() << "shared corpus absent: own fixtures only";
    for (const auto& row : rows) {
        SCOPED_TRACE(row[0] + " (" + row[2] + ")");
        const Answer a = run_program({"check", folder + row[0], "--json"});
        EXPECT_LT(a.seconds, 5);
        if (a.code == 0) {
            EXPECT_NE(row[3], "refused");
            EXPECT_EQ(a.json()["kind"], "image");
            const std::string size =
                fmt::format("{}x{}", a.json()["stored_width"].get<int>(), a.json()["stored_height"].get<int>());
            EXPECT_TRUE(row[4].empty() || row[4].starts_with(size)) << size << " " << row[4];
        } else {
            expect_refusal(a, row[0]);
            const bool taken = row[1] == "jpg" || row[1] == "png" || row[1] == "bmp";
            EXPECT_TRUE(row[3] != "decodes" || !taken) << a.err;  // a format that is not read is refused by name
        }
    }
}

}  // namespace
}  // namespace solobox
