// tiny-imagenet-200's own folders, in small.
#include "data/sets/tiny_imagenet.h"

#include "data/sets/dataset.h"
#include "tests/support/fixtures.h"

namespace solobox {
namespace {

using namespace fixtures;

TEST(DataTinyImagenet, EndsAreInclusive) {
    std::vector<Tally> tallies;
    const auto rows = parse_val_annotations("val_0.JPEG\tn01\t0\t32\t44\t63\r\nval_1.JPEG n02 1 1 2 2", "v.txt",
                                            Strictness::strict, tallies);
    ASSERT_EQ(rows.size(), 2U);
    EXPECT_EQ(rows[0].picture, "val_0.JPEG");
    EXPECT_EQ(rows[0].wnid, "n01");
    EXPECT_EQ(rows[0].object.x1, 0);
    EXPECT_EQ(rows[0].object.y1, 32);
    EXPECT_EQ(rows[0].object.x2, 45);
    EXPECT_EQ(rows[0].object.y2, 64);
    EXPECT_EQ(rows[1].object.x2, 3);
    EXPECT_EQ(parse_tiny_boxes("a.JPEG\t0\t0\t63\t63\n", "b.txt", Strictness::strict, tallies).at(0).object.x2, 64);
    EXPECT_TRUE(tallies.empty());
}

TEST(DataTinyImagenet, RowsAreChecked) {
    const std::pair<const char*, const char*> flaws[] = {{"a\tn1\t0\t0\t5", "5 fields, expected 6"},
                                                         {"a\tn1\t0\t0\t5\t64", "box end 64"},
                                                         {"a\tn1\t-1\t0\t5\t6", "box end -1"},
                                                         {"a\tn1\t0\t0\tx\t6", "\"x\""},
                                                         {"a\tn1\t0.5\t0\t5\t6", "whole"},
                                                         {"../a\tn1\t0\t0\t5\t6", "path"},
                                                         {"ok\tn1\t0\t0\t5\t6", "twice"},
                                                         {"a\tn/1\t0\t0\t5\t6", "class id"}};
    for (const auto& [text, words] : flaws) {
        std::vector<Tally> tallies;
        const std::string all = "ok\tn1\t0\t0\t5\t6\n" + std::string(text) + "\n";
        const std::string message = refusal([&] { parse_val_annotations(all, "v.txt", Strictness::lenient, tallies); });
        EXPECT_TRUE(has(message, words));
        EXPECT_TRUE(has(message, "v.txt: line 2: "));
    }
    std::vector<Tally> tallies;
    EXPECT_TRUE(has(refusal([&] { parse_val_annotations("", "v.txt", Strictness::lenient, tallies); }), "empty"));
    for (const char* box : {"10\t10\t10\t58", "10\t10\t9\t58", "10\t10\t20\t10"}) {
        const std::string text = std::string("a.JPEG\t") + box + "\n";
        EXPECT_TRUE(
            has(refusal([&] { parse_tiny_boxes(text, "b.txt", Strictness::strict, tallies); }), "line 1: box 10"));
        EXPECT_FALSE(parse_tiny_boxes(text, "b.txt", Strictness::lenient, tallies).at(0).has_box);
    }
    EXPECT_EQ(tally_of(tallies, "without area"), 3);
}

TEST(DataTinyImagenet, Wnids) {
    EXPECT_EQ(parse_wnids("n1\r\n\nn2\n", "w"), (std::vector<std::string>{"n1", "n2"}));
    EXPECT_TRUE(has(refusal([] { parse_wnids("n1\nn1\n", "w"); }), "line 2: class n1 is listed twice"));
    EXPECT_TRUE(has(refusal([] { parse_wnids("../x\n", "w"); }), "path"));
    EXPECT_TRUE(has(refusal([] { parse_wnids("\xFF\xFE\n", "w"); }), "not text"));
    EXPECT_TRUE(has(refusal([] { parse_wnids("\n", "w"); }), "empty"));
    EXPECT_TRUE(has(refusal([] { parse_wnids("n1 n2\n", "w"); }), "not a class id"));
}

class TinySet : public testing::Test {
protected:
    TinySet() {
        dir_.write("wnids.txt", "n2\nn1\n");
        dir_.write("words.txt", "n1\tcat, house cat\nn2\tdog\nn3\tbird\n");
        for (const char* wnid : {"n1", "n2"}) {
            const std::string home = std::string("train/") + wnid + "/";
            for (const char* k : {"0", "1"})
                dir_.write(home + "images/" + wnid + "_" + k + ".JPEG", encode_jpeg(ramp(64, 64)));
            dir_.write(home + wnid + "_boxes.txt",
                       std::string(wnid) + "_0.JPEG\t0\t0\t9\t9\n" + wnid + "_1.JPEG\t5\t5\t5\t9\n");
        }
        dir_.write("val/images/val_0.JPEG", encode_jpeg(ramp(64, 64)));
        dir_.write("val/val_annotations.txt", "val_0.JPEG\tn1\t1\t2\t3\t4\n");
    }
    TemporaryDirectory dir_;
};

TEST_F(TinySet, IsRead) {
    const DataSet set = open_dataset(dir_.path());
    EXPECT_EQ(set.format, "tiny-imagenet");
    EXPECT_EQ(set.classes, (std::vector<std::string>{"dog", "cat"}));
    ASSERT_EQ(set.train.size(), 4U);
    ASSERT_EQ(set.val.size(), 1U);
    EXPECT_EQ(set.train[0].class_id, 1);  // n1, in byte order of path
    EXPECT_EQ(set.train[0].objects.at(0).x2, 10);
    EXPECT_EQ(set.train[0].objects.at(0).class_id, 1);
    EXPECT_TRUE(set.train[1].objects.empty());  // degenerate
    EXPECT_EQ(set.val[0].class_id, 1);
    EXPECT_EQ(set.val[0].width, 64);
    EXPECT_EQ(tally_of(set.tallies, "without area"), 2);
}

TEST_F(TinySet, FlawsBetweenFiles) {
    dir_.write("val/val_annotations.txt", "val_0.JPEG\tn9\t1\t2\t3\t4\n");
    EXPECT_TRUE(has(refusal([&] { open_dataset(dir_.path()); }), "line 1: class n9 is not in wnids.txt"));
    dir_.write("val/val_annotations.txt", "val_7.JPEG\tn1\t1\t2\t3\t4\n");
    EXPECT_TRUE(has(refusal([&] { open_dataset(dir_.path()); }), "line 1: picture val_7.JPEG is not in"));
    OpenOptions options;
    options.skip_bad = true;
    const DataSet set = open_dataset(dir_.path(), options);
    EXPECT_EQ(set.train.size(), 4U);
    EXPECT_TRUE(set.val.empty());
    EXPECT_EQ(tally_of(set.tallies, "cannot be used"), 1);
    dir_.write("wnids.txt", "n2\nn1\nn3\n");
    EXPECT_TRUE(has(refusal([&] { open_dataset(dir_.path()); }), "wnids.txt lists n3"));
}

}  // namespace
}  // namespace solobox
