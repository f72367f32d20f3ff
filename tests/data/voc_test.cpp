// Pascal VOC: one file read strictly, and directories in the layouts people have.
#include "data/sets/voc.h"

#include "data/sets/dataset.h"
#include "tests/support/fixtures.h"

namespace solobox {
namespace {

using namespace fixtures;

std::string object(const std::string& name, const std::string& x1, const std::string& y1, const std::string& x2,
                   const std::string& y2) {
    return "<object><name>" + name + "</name><bndbox><xmax>" + x2 + "</xmax><xmin>" + x1 + "</xmin><ymin>" + y1 +
           "</ymin><ymax>" + y2 + "</ymax></bndbox></object>\n";
}

std::string annotation(const std::string& objects, const std::string& filename = "a.png", int width = 40,
                       int height = 30) {
    return "<annotation>\n<filename>" + filename + "</filename>\n<size><width>" + std::to_string(width) +
           "</width><height>" + std::to_string(height) + "</height></size>\n" + objects + "</annotation>\n";
}

VocFile strict(const std::string& text) {
    std::vector<Tally> tallies;
    return parse_voc(text, "f.xml", Strictness::strict, tallies);
}

std::string refused_annotation(const std::string& text) {
    return refusal([&] { strict(text); });
}

TEST(DataVoc, ReadsObjectsInAnyOrderAsWritten) {
    const VocFile file = strict("\xEF\xBB\xBF" + annotation(object("cat &amp; dog", " 1.5 ", "2", "11", "&#50;2") +
                                                            object("b", "0", "0", "40", "30")));
    ASSERT_EQ(file.objects.size(), 2U);
    EXPECT_EQ(file.filename, "a.png");
    EXPECT_EQ(file.width, 40);
    EXPECT_EQ(file.objects[0].name, "cat & dog");
    EXPECT_EQ(file.objects[0].x1, 1.5);
    EXPECT_EQ(file.objects[0].y2, 22);
    EXPECT_EQ(file.objects[0].line, 4);
    EXPECT_EQ(file.objects[1].line, 5);
    EXPECT_TRUE(strict(annotation("")).objects.empty());
}

TEST(DataVoc, Latin1IsConvertedOnce) {
    const std::string text =
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>" + annotation(object("\xE9t\xE9", "1", "2", "3", "4"));
    EXPECT_EQ(strict(text).objects.at(0).name, "\xC3\xA9t\xC3\xA9");
    const TemporaryDirectory dir;
    dir.write("a.png", encode_png(ramp(40, 30)));
    dir.write("a.xml", text);
    EXPECT_EQ(open_dataset(dir.path()).classes, (std::vector<std::string>{"\xC3\xA9t\xC3\xA9"}));
}

TEST(DataVoc, FlawedBoxesAreRefusedStrictlyAndCountedLeniently) {
    const std::pair<std::string, const char*> flaws[] = {{object("x", "9", "1", "3", "4"), "xmin 9 is beyond xmax 3"},
                                                         {object("x", "1", "9", "3", "4"), "ymin 9 is beyond ymax 4"},
                                                         {object("x", "3", "1", "3", "4"), "empty box"},
                                                         {object("x", "nan", "1", "3", "4"), "xmin is nan"},
                                                         {object("x", "50", "1", "60", "4"), "outside"}};
    for (const auto& [text, words] : flaws) {
        const std::string message = refused_annotation(annotation(object("ok", "1", "1", "2", "2") + text));
        EXPECT_TRUE(has(message, words));
        EXPECT_TRUE(has(message, "f.xml: line 5:"));
        std::vector<Tally> tallies;
        EXPECT_EQ(parse_voc(annotation(object("ok", "1", "1", "2", "2") + text), "f.xml", Strictness::lenient, tallies)
                      .objects.size(),
                  1U);
        ASSERT_EQ(tallies.size(), 1U);
        EXPECT_EQ(tallies[0].count, 1);
        EXPECT_EQ(tallies[0].example, "f.xml:5");
    }
}

TEST(DataVoc, WorseThanABadBoxIsRefusedEvenLeniently) {
    const std::pair<std::string, const char*> flaws[] = {{object("x", "1,5", "1", "3", "4"), "xmin is \"1,5\""},
                                                         {object("x", "", "1", "3", "4"), "xmin"},
                                                         {object("x", "1", "1", "1e30", "4"), "out of range"},
                                                         {object("", "1", "1", "2", "2"), "<name>"},
                                                         {"<object><name>a</name></object>", "bndbox"},
                                                         {"<object><name>a</name><name>b</name></object>", "twice"},
                                                         {"<deep>", "does not match"},
                                                         {"a & b", "bare &"},
                                                         {"&dog;", "undefined entity"},
                                                         {"<!DOCTYPE x>", "DOCTYPE"},
                                                         {std::string("\0", 1), "0x00"},
                                                         {"\xFF", "UTF-8"}};
    for (const auto& [text, words] : flaws) {
        std::vector<Tally> tallies;
        EXPECT_TRUE(has(
            refusal([&, &text = text] { parse_voc(annotation(text), "f.xml", Strictness::lenient, tallies); }), words));
    }
    EXPECT_TRUE(has(refused_annotation(annotation("", "../a.png")), "path"));
    EXPECT_TRUE(has(refused_annotation(annotation("", "/a.png")), "path"));
    EXPECT_TRUE(has(refused_annotation(annotation("", "a.png", -4)), "width"));
    EXPECT_TRUE(has(refused_annotation(annotation("") + "more"), "after the root"));
    EXPECT_TRUE(has(refused_annotation(annotation("") + "<b/>"), "after the root"));
    EXPECT_TRUE(has(refused_annotation("<html/>"), "expected <annotation>"));
    EXPECT_TRUE(has(refused_annotation(" \n"), "empty"));
    EXPECT_TRUE(has(refused_annotation("{}"), "not XML"));
    std::string deep = "<annotation>";
    for (int i = 0; i < 100000; ++i) deep += "<a>";
    EXPECT_TRUE(has(refused_annotation(deep), "nesting"));
    const std::string good = annotation(object("a", "1", "1", "2", "2"));
    for (std::size_t cut = 0; cut + 2 < good.size(); ++cut) refused_annotation(good.substr(0, cut));
}

TEST(DataVoc, BoxesThatStickOutAreCut) {
    std::vector<Tally> tallies;
    const VocFile file = parse_voc(annotation(object("x", "-5", "1", "41", "4")), "f.xml", Strictness::strict, tallies);
    EXPECT_EQ(file.objects.at(0).x1, 0);
    EXPECT_EQ(file.objects.at(0).x2, 40);
    EXPECT_EQ(tally_of(tallies, "cut at"), 1);
    // Another picture size than <size> decides when given.
    const VocFile wide =
        parse_voc(annotation(object("x", "-5", "1", "41", "4")), "f.xml", Strictness::strict, tallies, 100, 100);
    EXPECT_EQ(wide.objects.at(0).x2, 41);
}

class Layouts : public testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(Layouts, AreAllFound) {
    const auto [labels, images] = GetParam();
    const TemporaryDirectory dir;
    for (const char* name : {"p1", "p2", "p3", "p4", "p5"}) {
        dir.write(std::string(images) + name + ".png", encode_png(ramp(40, 30)));
        dir.write(std::string(labels) + name + ".xml",
                  annotation(object("cat", "1", "2", "11", "22"), std::string(name) + ".png"));
    }
    dir.write(std::string(labels) + "._p1.xml", "resource fork");
    const DataSet set = open_dataset(dir.path());
    EXPECT_EQ(set.format, "voc");
    ASSERT_EQ(set.train.size(), 4U);
    ASSERT_EQ(set.val.size(), 1U);  // the last 20 % in byte order
    EXPECT_TRUE(set.val[0].path.ends_with("p5.png"));
    EXPECT_EQ(set.train[0].width, 40);
    EXPECT_EQ(set.train[0].objects.at(0).x2, 11);
    EXPECT_TRUE(set.tallies.empty());
}

INSTANTIATE_TEST_SUITE_P(DataVoc, Layouts,
                         testing::Values(std::pair("Annotations/", "JPEGImages/"), std::pair("annotations/", "images/"),
                                         std::pair("Set/Annotations/", "Set/JPEGImages/"), std::pair("", "")));

TEST(DataVoc, ImageSetsSplitAndNamesResolve) {
    const TemporaryDirectory dir;
    for (const char* name : {"a", "b", "c", "d"})
        dir.write(std::string("JPEGImages/") + name + ".jpg", encode_jpeg(ramp(40, 30)));
    dir.write("Annotations/a.xml", annotation(object("zebra", "1", "2", "11", "22"), ""));           // by stem
    dir.write("Annotations/b.xml", annotation(object("ant", "1", "2", "11", "22"), "b"));            // without ending
    dir.write("Annotations/c.xml", annotation(object("ant", "1", "2", "41", "22"), "c.jpg", 0, 0));  // no size
    dir.write("Annotations/d.xml", annotation("", "d.jpg", 999, 999));                               // wrong size
    dir.write("ImageSets/Main/train.txt", "c\r\na\r\n");
    dir.write("ImageSets/Main/val.txt", "b\n");
    const DataSet set = open_dataset(dir.path());
    EXPECT_EQ(set.classes, (std::vector<std::string>{"ant", "zebra"}));
    ASSERT_EQ(set.train.size(), 2U);
    EXPECT_TRUE(set.train[0].path.ends_with("a.jpg"));
    EXPECT_EQ(set.train[0].objects[0].class_id, 1);
    EXPECT_EQ(set.train[1].objects[0].x2, 40);
    ASSERT_EQ(set.val.size(), 1U);
    EXPECT_EQ(tally_of(set.tallies, "neither ImageSets list"), 1);
    EXPECT_EQ(tally_of(set.tallies, "without a size"), 1);
    EXPECT_EQ(tally_of(set.tallies, "differs"), 1);
    dir.write("ImageSets/Main/val.txt", "absent\n");
    EXPECT_TRUE(has(refusal([&] { open_dataset(dir.path()); }), "\"absent\""));
}

TEST(DataVoc, MissingAndBrokenPicturesStopOrAreCounted) {
    const TemporaryDirectory dir;
    dir.write("a.png", encode_png(ramp(40, 30)));
    dir.write("a.xml", annotation(object("cat", "1", "2", "11", "22")));
    dir.write("b.xml", annotation(object("cat", "1", "2", "11", "22"), "b.png"));
    EXPECT_TRUE(has(refusal([&] { open_dataset(dir.path()); }), "b.xml: its picture \"b.png\" is not in"));
    dir.write("c.xml", annotation(object("dog", "1", "2", "11", "22"), "c.png"));
    dir.write("c.png", "not a picture");
    OpenOptions options;
    options.skip_bad = true;
    const DataSet set = open_dataset(dir.path(), options);
    EXPECT_EQ(set.train.size() + set.val.size(), 1U);
    EXPECT_EQ(tally_of(set.tallies, "cannot be used"), 2);
    EXPECT_EQ(set.classes, (std::vector<std::string>{"cat"}));
}

TEST(DataVoc, OrientedPicturesTurnTheirBoxes) {
    // Orientation 6, stored 40x30, upright 30x40.
    const TemporaryDirectory dir;
    dir.write("a.jpg", fixtures::turned_jpeg(40, 30, 6));
    dir.write("a.xml", annotation(object("cat", "0", "0", "10", "5"), "a.jpg", 40, 30));
    const DataSet stored = open_dataset(dir.path());
    const Sample& turned = stored.train.empty() ? stored.val.at(0) : stored.train[0];
    EXPECT_EQ(turned.width, 30);
    EXPECT_EQ(turned.objects.at(0).x1, 25);  // top left of the stored picture is top right upright
    EXPECT_EQ(turned.objects.at(0).y2, 10);
    dir.write("a.xml", annotation(object("cat", "0", "0", "10", "5"), "a.jpg", 30, 40));  // the size says: upright
    const DataSet upright = open_dataset(dir.path());
    EXPECT_EQ((upright.train.empty() ? upright.val.at(0) : upright.train[0]).objects.at(0).x2, 10);
}

}  // namespace
}  // namespace solobox
