// The front door: detection, its errors, single-box targets, and the baselines that know nothing.
#include "data/sets/dataset.h"

#include <cmath>

#include "data/text.h"
#include "tests/support/fixtures.h"

namespace solobox {
namespace {

using namespace fixtures;

TEST(DataSetDoor, ErrorsSayWhatToTry) {
    const TemporaryDirectory dir;
    EXPECT_TRUE(has(refusal([&] { open_dataset(dir / "absent"); }), "No such file or directory"));
    EXPECT_TRUE(has(refusal([&] { open_dataset(dir.path()); }), "empty"));
    const std::string file = dir.write("notes.txt", "hello");
    EXPECT_TRUE(has(refusal([&] { open_dataset(file); }), "not a directory"));
    const std::string message = refusal([&] { open_dataset(dir.path()); });
    for (const char* format : {"tiny-imagenet", "yolo", "voc", "folder"}) EXPECT_TRUE(has(message, format));
    OpenOptions options;
    options.format = "coco2";
    EXPECT_THROW(open_dataset(dir.path(), options), ConfigError);
    for (const std::string& format : dataset_formats()) {
        options.format = format;
        EXPECT_TRUE(has(refusal([&] { open_dataset(dir.path(), options); }), dir.path()));
    }
}

TEST(DataSetDoor, ImageFolderBothWays) {
    const TemporaryDirectory dir;
    for (const char* name : {"cat/a.png", "cat/b.png", "cat/c.png", "dog/a.png", "dog/b.png"})
        dir.write(name, encode_png(ramp(4, 4)));
    const DataSet flat = open_dataset(dir.path());
    EXPECT_EQ(flat.format, "folder");
    EXPECT_EQ(flat.classes, (std::vector<std::string>{"cat", "dog"}));
    ASSERT_EQ(flat.train.size(), 3U);
    ASSERT_EQ(flat.val.size(), 2U);  // the last of each class
    EXPECT_EQ(flat.val[0].class_id, 0);
    EXPECT_EQ(flat.val[1].class_id, 1);
    const TemporaryDirectory split;
    for (const char* name : {"train/cat/a.png", "train/dog/b.png", "val/dog/c.png"})
        split.write(name, encode_png(ramp(4, 4)));
    const DataSet set = open_dataset(split.path());
    ASSERT_EQ(set.val.size(), 1U);
    EXPECT_EQ(set.val[0].class_id, 1);
    split.write("val/bird/d.png", encode_png(ramp(4, 4)));
    EXPECT_TRUE(has(refusal([&] { open_dataset(split.path()); }), "class bird"));
}

Sample sample_with(std::vector<Object> objects) {
    Sample sample;
    sample.path = "s.png";
    sample.width = 100;
    sample.height = 50;
    sample.objects = std::move(objects);
    return sample;
}

TEST(DataSetDoor, PicturesBelowAClassFolderAreItsOwn) {
    const TemporaryDirectory dir;
    const auto png = encode_png(ramp(8, 8));
    for (const char* name :
         {"train/a/1.png", "train/a/more/deep/2.png", "train/b/1.png", "val/a/x/1.png", "val/b/1.png"})
        dir.write(name, png);
    std::filesystem::create_directories(dir / "train/c");
    const DataSet set = open_dataset(dir.path());
    EXPECT_EQ(set.classes, (std::vector<std::string>{"a", "b", "c"}));  // an empty folder is a class without pictures
    EXPECT_EQ(set.train.size(), 3U);
    EXPECT_EQ(set.val.size(), 2U);
    std::filesystem::create_directory_symlink(dir / "train/b", dir / "train/b/again");
    if (list_directory(dir / "train/b").folders.size() == 1) {  // links are followed
        EXPECT_TRUE(has(refusal([&] { open_dataset(dir.path()); }), "16 folders"));
    }
}

TEST(DataSetDoor, SingleBoxTargets) {
    // The second is larger as written but smaller once cut; the third ties with the first; the fourth is a crowd.
    const Sample sample = sample_with(
        {{0, 10, 10, 30, 30, false}, {1, 95, 0, 195, 50, false}, {2, 50, 10, 70, 30, false}, {3, 0, 0, 100, 50, true}});
    const UnitBox largest = single_box_target(sample).value();
    EXPECT_DOUBLE_EQ(largest.cx, 0.2);
    EXPECT_DOUBLE_EQ(largest.cy, 0.4);
    EXPECT_DOUBLE_EQ(largest.w, 0.2);
    EXPECT_DOUBLE_EQ(largest.h, 0.4);
    EXPECT_EQ(single_object(sample)->class_id, 0);
    EXPECT_TRUE(has(refusal([&] { single_box_target(sample, BoxPolicy::error); }), "s.png: more than one object"));
    const Sample two = sample_with({{0, 0, 0, 5, 5, false}, {1, 0, 0, 90, 45, false}});
    EXPECT_EQ(single_object(two, BoxPolicy::first)->class_id, 0);
    EXPECT_EQ(single_object(two, BoxPolicy::largest)->class_id, 1);
    EXPECT_FALSE(single_box_target(sample_with({})).has_value());
    EXPECT_FALSE(single_box_target(sample_with({{0, 0, 0, 9, 9, true}})).has_value());
    EXPECT_FALSE(single_box_target(sample_with({{0, 200, 0, 209, 9, false}})).has_value());
    std::vector<Tally> tallies;
    const auto targets = usable({sample, two, sample_with({})}, BoxPolicy::largest, tallies);
    ASSERT_EQ(targets.size(), 2U);
    EXPECT_EQ(targets[1].class_id, 1);
    EXPECT_EQ(tally_of(tallies, "several"), 2);
    EXPECT_EQ(tally_of(tallies, "without an object"), 1);
    Sample unknown;
    EXPECT_THROW(single_box_target(unknown), ShapeError);
}

TEST(Baseline, IouOfUnitBoxes) {
    EXPECT_DOUBLE_EQ(unit_iou({0.5, 0.5, 0.5, 0.5}, {0.5, 0.5, 0.5, 0.5}), 1);
    EXPECT_DOUBLE_EQ(unit_iou({0.25, 0.5, 0.5, 1}, {0.75, 0.5, 0.5, 1}), 0);
    EXPECT_NEAR(unit_iou({0.25, 0.5, 0.5, 1}, {0.5, 0.5, 0.5, 1}), 1.0 / 3, 1e-12);
    EXPECT_NEAR(unit_iou({0.5, 0.5, 3, 3}, {0.5, 0.5, 1, 1}), 1, 1e-12);  // clamped to the picture
    EXPECT_EQ(unit_iou({0.5, 0.5, 0, 0}, {0.5, 0.5, 0, 0}), 0);
}

TEST(Baseline, MeanAndMedian) {
    const std::vector<UnitBox> boxes = {
        {0.1, 0.2, 0.3, 0.4}, {0.3, 0.4, 0.5, 0.6}, {0.8, 0.9, 0.1, 0.2}, {0.4, 0.5, 0.3, 0.4}};
    EXPECT_NEAR(mean_box(boxes).cx, 0.4, 1e-12);
    EXPECT_NEAR(median_box(boxes).cx, 0.35, 1e-12);
    EXPECT_NEAR(median_box(boxes).h, 0.4, 1e-12);
    EXPECT_EQ(mean_unit_iou({}, {}), 0);
}

// The truth by brute force on a grid: the search must not lose to it.
double best_on_grid(const std::vector<UnitBox>& boxes, int n) {
    double best = 0;
    for (int x1 = 0; x1 < n; ++x1)
        for (int x2 = x1 + 1; x2 <= n; ++x2)
            for (int y1 = 0; y1 < n; ++y1)
                for (int y2 = y1 + 1; y2 <= n; ++y2) {
                    const UnitBox box{(x1 + x2) / 2.0 / n, (y1 + y2) / 2.0 / n, double(x2 - x1) / n,
                                      double(y2 - y1) / n};
                    best = std::max(best, mean_unit_iou(box, boxes));
                }
    return best;
}

TEST(Baseline, BestConstantBoxBeatsTheGridTheMeanAndTheMedian) {
    std::uint32_t state = 7;
    const auto draw = [&] {
        state = state * 1664525U + 1013904223U;
        return (state >> 8U) / double(1U << 24U);
    };
    for (int round = 0; round < 5; ++round) {
        std::vector<UnitBox> boxes;
        for (int i = 0; i < 25; ++i) {
            const double w = 0.1 + 0.8 * draw(), h = 0.1 + 0.8 * draw();
            boxes.push_back({w / 2 + (1 - w) * draw(), h / 2 + (1 - h) * draw(), w, h});
        }
        const UnitBox best = best_constant_box(boxes);
        const double score = mean_unit_iou(best, boxes);
        EXPECT_GE(score, best_on_grid(boxes, 16) - 1e-12);
        EXPECT_GE(score, mean_unit_iou(mean_box(boxes), boxes));
        EXPECT_GE(score, mean_unit_iou(median_box(boxes), boxes));
        EXPECT_EQ(best_constant_box(boxes).cx, best.cx);
    }
    // Two far clusters, three to two: sitting on the larger one is best, and the mean sits between.
    const UnitBox a{0.2, 0.2, 0.2, 0.2}, b{0.8, 0.8, 0.2, 0.2};
    EXPECT_NEAR(unit_iou(best_constant_box({a, b, a, b, a}), a), 1, 1e-4);
}

std::string shared_set(const char* name) {
    const char* set = std::getenv("SOLOBOX_SHARED");
    return (set != nullptr ? std::string(set) : std::string(SOLOBOX_SOURCE_DIR) + "/../shared") + "/data/" + name;
}

TEST(Baseline, SharedSetsGiveTheKnownFigures) {
    if (!is_directory(shared_set("raccoon")) || !is_directory(shared_set("tiny-imagenet-20")))
        GTEST_SKIP() << "shared corpus absent: own fixtures only";
    const auto figures = [](const std::string& path) {
        const DataSet set = open_dataset(path);
        std::vector<Tally> tallies;
        std::vector<UnitBox> train, val;
        for (const Target& t : usable(set.train, BoxPolicy::largest, tallies)) train.push_back(t.box);
        for (const Target& t : usable(set.val, BoxPolicy::largest, tallies)) val.push_back(t.box);
        return std::pair(mean_unit_iou(mean_box(train), val), mean_unit_iou(best_constant_box(train), val));
    };
    const auto raccoon = figures(shared_set("raccoon"));
    EXPECT_NEAR(raccoon.first, 0.627, 0.0006);
    EXPECT_NEAR(raccoon.second, 0.667, 0.0015);
    const auto tiny = figures(shared_set("tiny-imagenet-20"));
    EXPECT_NEAR(tiny.first, 0.412, 0.0006);
    EXPECT_NEAR(tiny.second, 0.526, 0.0015);
}

TEST(DataText, PathsAndWords) {
    EXPECT_TRUE(stays_below("a/b.png"));
    EXPECT_TRUE(stays_below("..a/b..c"));
    for (const char* path : {"", "/a", "../a", "a/../b", "a/..", "c:\\a", "a\\b", "C:a"})
        EXPECT_FALSE(stays_below(path)) << path;
    EXPECT_EQ(printable("a\x1B[0m\n\xFF"), "a\\x1B[0m\\x0A\\xFF");
    EXPECT_EQ(printable("abcdef", 3), "abc...");
    EXPECT_EQ(parse_double("1,5"), std::nullopt);
    EXPECT_EQ(parse_double("1.5 "), std::nullopt);
    EXPECT_EQ(parse_double("-2.5e1"), -25.0);
    EXPECT_EQ(find_bad_utf8("\xC3\xA9"), std::string::npos);
    for (const char* bad : {"\xC0\x80", "\xED\xA0\x80", "\xF5\x80\x80\x80", "\xC3", "\x80"})
        EXPECT_EQ(find_bad_utf8(bad), 0U);
}

}  // namespace
}  // namespace solobox
