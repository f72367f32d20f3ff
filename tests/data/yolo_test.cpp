// YOLO: one label text read strictly, and directories with and without data.yaml.
#include "data/sets/yolo.h"

#include <clocale>
#include <ctime>

#include "data/sets/dataset.h"
#include "tests/support/fixtures.h"

namespace solobox {
namespace {

using namespace fixtures;

std::vector<YoloBox> parse(const std::string& text, std::vector<Tally>& tallies, Strictness how = Strictness::strict,
                           int classes = -1) {
    return parse_yolo(text, "l.txt", how, tallies, classes);
}

std::string refused_labels(const std::string& text, int classes = -1) {
    std::vector<Tally> tallies;
    return refusal([&] { parse(text, tallies, Strictness::strict, classes); });
}

TEST(DataYolo, ReadsWhatPeopleWrite) {
    std::vector<Tally> tallies;
    for (const char* text : {"0 0.5 0.4 0.25 0.2", "0 0.5 0.4 0.25 0.2\r\n\r\n", "\n0\t0.5\t0.4\t0.25\t0.2\n",
                             "\xEF\xBB\xBF  0 5e-1 .4 0.25 0.20\n", "0.0 0.5 0.4 0.25 0.2\n"}) {
        const auto boxes = parse(text, tallies);
        ASSERT_EQ(boxes.size(), 1U) << text;
        EXPECT_EQ(boxes[0].class_id, 0);
        EXPECT_EQ(boxes[0].box.cx, 0.5);
        EXPECT_EQ(boxes[0].box.cy, 0.4);
        EXPECT_EQ(boxes[0].box.w, 0.25);
        EXPECT_EQ(boxes[0].box.h, 0.2);
    }
    EXPECT_TRUE(parse("", tallies).empty());
    EXPECT_TRUE(parse(" \r\n\t\n", tallies).empty());
    EXPECT_TRUE(tallies.empty());
}

TEST(DataYolo, RefusalsNameTheLine) {
    const std::pair<const char*, const char*> flaws[] = {{"0 0.5 0.5 0.2", "number of fields: 4"},
                                                         {"0 0.5 0.5 0.2 0.2 0.9", "confidence"},
                                                         {"0 0,5 0.5 0.2 0.2", "\"0,5\" is not a number"},
                                                         {"0,0.5,0.5,0.2,0.2", "commas"},
                                                         {"0 nan 0.5 0.2 0.2", "not finite"},
                                                         {"0 0.5 0.5 -0.2 0.2", "width -0.2"},
                                                         {"0 0.5 0.5 0 0.2", "empty box"},
                                                         {"0 1.5 0.5 0.2 0.2", "out of range"},
                                                         {"0 0.5 0.5 1.5 0.2", "width 1.5"},
                                                         {"0 1e999 0.5 0.2 0.2", "out of range"},
                                                         {"-1 0.5 0.5 0.2 0.2", "negative"},
                                                         {"0.5 0.5 0.5 0.2 0.2", "class id"},
                                                         {"18446744073709551616 0.5 0.5 0.2 0.2", "class id"},
                                                         {"4294967296 0.5 0.5 0.2 0.2", "class id"},
                                                         {"cat 0.5 0.5 0.2 0.2", "names"},
                                                         {"0 0.5 0.5 0.2 0.2abc", "not a number"},
                                                         {"0 0.5 0.5 0.2 0x1p-2", "not a number"},
                                                         {"0 +0.5 0.5 0.2 0.2", "not a number"},
                                                         {"0 0.1 0.1 2.0 0.1 0.2 0.2", "polygon x 2"}};
    for (const auto& [text, words] : flaws) {
        const std::string message = refused_labels("0 0.5 0.5 0.1 0.1\n\n" + std::string(text) + "\n");
        EXPECT_TRUE(has(message, "l.txt: line 3: "));
        EXPECT_TRUE(has(message, words));
    }
    EXPECT_TRUE(has(refused_labels("0 0.5 0.5 0.1 0.1\n2 0.5 0.5 0.1 0.1\n", 2),
                    "line 2: class id 2 is out of range: the set has 2 classes"));
    EXPECT_TRUE(has(refused_labels(std::string("0 0.5 0.5 0.1 0.1\n\0\0", 20)), "line 2: not text (NUL"));
    EXPECT_LT(refused_labels(std::string(100000, 'x')).size(), 200U);
    EXPECT_FALSE(has(refused_labels("0 \xC2\x9B"
                                    "31m 0.5 0.5 0.1"),
                     "\x9B"));  // a terminal command is not printed raw
}

TEST(DataYolo, RoundingIsCutAndMoreIsAnError) {
    std::vector<Tally> tallies;
    const auto boxes = parse("0 0.5 0.5 1.0004 1.0\n", tallies);
    EXPECT_EQ(boxes.at(0).box.w, 1.0);
    EXPECT_EQ(tally_of(tallies, "cut at"), 1);
    const auto out = parse("0 0.9 0.5 0.4 0.2\n", tallies);
    EXPECT_NEAR(out.at(0).box.w, 0.3, 1e-12);
    EXPECT_NEAR(out.at(0).box.cx, 0.85, 1e-12);
    EXPECT_EQ(tally_of(tallies, "cut at"), 2);
}

TEST(DataYolo, PolygonsRepetitionsAndLenientSkips) {
    std::vector<Tally> tallies;
    const auto boxes = parse("1 0.1 0.1 0.6 0.2 0.3 0.7\n", tallies);
    ASSERT_EQ(boxes.size(), 1U);
    EXPECT_NEAR(boxes[0].box.cx, 0.35, 1e-12);
    EXPECT_NEAR(boxes[0].box.h, 0.6, 1e-12);
    EXPECT_EQ(tally_of(tallies, "polygons"), 1);
    EXPECT_EQ(parse("0 0.5 0.5 0.2 0.2\n0 0.5 0.5 0.2 0.2\n1 0.5 0.5 0.2 0.2\n", tallies).size(), 2U);
    EXPECT_EQ(tally_of(tallies, "repeated"), 1);
    tallies.clear();
    EXPECT_EQ(parse("0 0.5 0.5 -0.2 0.2\n0 nan 0.5 0.2 0.2\n0 0.5 0.5 0 0.2\n0 0.5 0.5 0.2 0.2\n", tallies,
                    Strictness::lenient)
                  .size(),
              1U);
    EXPECT_EQ(tally_of(tallies, "skipped"), 3);
    EXPECT_TRUE(has(refusal([&] { parse("0 1.5 0.5 0.2 0.2\n", tallies, Strictness::lenient); }), "out of range"));
}

TEST(DataYolo, LocaleChangesNothing) {
    std::vector<Tally> tallies;
    const std::string before = std::setlocale(LC_ALL, nullptr);
    std::setlocale(LC_ALL, "de_DE.UTF-8");  // where the system has it
    EXPECT_EQ(parse("0 0.5 0.5 0.25 0.25\n", tallies).at(0).box.w, 0.25);
    EXPECT_TRUE(has(refused_labels("0 0,5 0.5 0.2 0.2\n"), "not a number"));
    std::setlocale(LC_ALL, before.c_str());
}

TEST(DataYolo, AMillionLinesAreQuick) {
    std::string text;
    for (int i = 0; i < 1000000; ++i) text += "0 0.227703 0.830088 0.108862 0.183142\n";
    std::vector<Tally> tallies;
    // Work of this process, whatever runs beside it: a search through the lines before would take hours.
    const std::clock_t start = std::clock();
    EXPECT_EQ(parse(text, tallies).size(), 1U);
    EXPECT_EQ(tally_of(tallies, "repeated"), 999999);
    EXPECT_LT(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC, 20.0);
}

void add(const TemporaryDirectory& dir, const std::string& folder, const std::string& stem, const std::string& label) {
    dir.write(folder + "images/" + stem + ".png", encode_png(ramp(40, 20)));
    if (label != "absent") dir.write(folder + "labels/" + stem + ".txt", label);
}

TEST(DataYolo, PlainFoldersWithTheLastFifthAsVal) {
    const TemporaryDirectory dir;
    for (const char* stem : {"a", "b", "c", "d"}) add(dir, "", stem, "1 0.5 0.5 0.5 0.5\n");
    add(dir, "", "e", "absent");
    const DataSet set = open_dataset(dir.path());
    EXPECT_EQ(set.format, "yolo");
    EXPECT_EQ(set.classes, (std::vector<std::string>{"class0", "class1"}));
    ASSERT_EQ(set.train.size(), 4U);
    ASSERT_EQ(set.val.size(), 1U);
    EXPECT_TRUE(set.val[0].objects.empty());
    EXPECT_EQ(tally_of(set.tallies, "background"), 1);
    EXPECT_EQ(set.train[0].objects.at(0).x1, 10);
    EXPECT_EQ(set.train[0].objects.at(0).y2, 15);
    EXPECT_EQ(set.train[0].objects.at(0).class_id, 1);
}

TEST(DataYolo, DataYamlInItsDialects) {
    const TemporaryDirectory dir;
    add(dir, "train/", "a", "1 0.5 0.5 0.5 0.5\n");
    add(dir, "valid/", "b", "0 0.5 0.5 0.5 0.5\n");
    const std::string texts[] = {"names: [cat, dog]\nnc: 2\ntrain: train/images\nval: valid/images\n",
                                 "names:\n  1: dog\n  0: cat\ntrain: ../train/images\nval: ../valid/images\n",
                                 "path: .\nnames: {0: cat, 1: dog}\ntrain: [train/images]\nval: valid\n"};
    for (const std::string& text : texts) {
        const std::string path = dir.write("data.yaml", text);
        for (const std::string& place : {dir.path(), path}) {
            const DataSet set = open_dataset(place);
            EXPECT_EQ(set.classes, (std::vector<std::string>{"cat", "dog"}));
            ASSERT_EQ(set.train.size(), 1U);
            ASSERT_EQ(set.val.size(), 1U);
            EXPECT_EQ(set.train[0].objects.at(0).class_id, 1);
        }
    }
    dir.write("list.txt", "./train/images/a.png\nvalid/images/b.png\n");
    dir.write("data.yaml", "names: [cat, dog]\ntrain: list.txt\nval: valid/images\n");
    EXPECT_EQ(open_dataset(dir.path()).train.size(), 2U);
}

TEST(DataYolo, DataYamlFlaws) {
    const TemporaryDirectory dir;
    add(dir, "", "a", "1 0.5 0.5 0.5 0.5\n");
    const std::pair<const char*, const char*> flaws[] = {
        {"names: [cat]\ntrain: images\n", "a.txt: line 1: class id 1 is out of range: the set has 1 classes"},
        {"names: [cat, dog]\nnc: 3\ntrain: images\n", "nc is 3"},
        {"names: [cat, dog]\ntrain: nowhere\n", "nowhere does not exist"},
        {"names: [cat, dog]\n", "no `train`"},
        {"names: 3\ntrain: images\n", "names must be"},
        {"names: {0: a, 2: b}\ntrain: images\n", "class id 1 is missing"},
        {"names: [a, b\ntrain: images\n", "not YAML"},
        {"names: [a, b]\nnames: [c]\ntrain: images\n", "twice"}};
    for (const auto& [text, words] : flaws) {
        dir.write("data.yaml", text);
        EXPECT_TRUE(has(refusal([&] { open_dataset(dir.path()); }), words));
    }
    dir.write("data.yaml", "names: " + std::string(100000, '[') + "\n");
    EXPECT_TRUE(has(refusal([&] { open_dataset(dir.path()); }), "nesting"));
}

}  // namespace
}  // namespace solobox
