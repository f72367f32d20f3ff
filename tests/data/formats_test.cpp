// More formats that people have: segmentations of COCO, MOT, labelme, masks. Inputs are made here.
#include <cmath>

#include "data/sets/dataset.h"
#include "data/sets/labelme.h"
#include "data/sets/lint.h"
#include "data/sets/mot.h"
#include "data/sets/parts.h"
#include "data/sets/yolo.h"
#include "data/text.h"
#include "tests/support/small_sets.h"

namespace solobox {
namespace {

using namespace fixtures;

// ---- more formats

TEST(Layouts, CocoBoxesFromSegmentations) {
    const TemporaryDirectory dir;
    dir.write("a.png", encode_png(ramp(10, 8)));
    const auto box = [&](const std::string& rest) {
        dir.write("c.json", R"({"images": [{"id": 1, "file_name": "a.png"}], "categories": [{"id": 1, "name": "x"}],
                               "annotations": [{"id": 1, "image_id": 1, "category_id": 1, )" +
                                rest + "}]}");
        const Object o = open_dataset(dir.path()).train.at(0).objects.at(0);
        return std::array<double, 4>{o.x1, o.y1, o.x2, o.y2};
    };
    using Box = std::array<double, 4>;
    EXPECT_EQ(box(R"("segmentation": [[1, 2, 5.5, 2, 5.5, 6, 1, 6]])"), (Box{1, 2, 5.5, 6}));
    EXPECT_EQ(box(R"("segmentation": [[1, 2, 3, 2, 3, 4], [6, 5, 8, 5, 8, 7]])"), (Box{1, 2, 8, 7}));
    // 8 rows: two in column 3 from row 2 on, then the same two in column 4.
    EXPECT_EQ(box(R"("segmentation": {"counts": [26, 2, 6, 2, 44], "size": [8, 10]})"), (Box{3, 2, 5, 4}));
    EXPECT_EQ(box(R"("segmentation": {"size": [8, 10], "counts": [4, 9, 67]})"), (Box{0, 0, 2, 8}));
    // The same run lengths as letters: from the fourth on the difference from the one before the last.
    EXPECT_EQ(box(R"("segmentation": {"counts": "j0260V1", "size": [8, 10]})"), (Box{3, 2, 5, 4}));
    EXPECT_EQ(box(R"("bbox": [2, 2, 3, 3], "segmentation": [[1, 2, 5, 2, 5, 6]])"), (Box{2, 2, 5, 5}));
    EXPECT_EQ(box(R"("bbox": [], "segmentation": [[1, 2, 5, 2, 5, 6]])"), (Box{1, 2, 5, 6}));
    for (const char* none : {R"("segmentation": [])", R"("segmentation": {"counts": [80], "size": [8, 10]})",
                             R"("segmentation": {"counts": [5, -3], "size": [8, 10]})", R"("iscrowd": 0)"})
        EXPECT_TRUE(has(refusal([&] { (void)box(none); }), "without bbox")) << none;
}

TEST(Layouts, MotSequencesSplitByWholeSequences) {
    const TemporaryDirectory dir;
    for (const auto& [name, frames] : {std::pair{"A", 6}, {"B", 2}, {"C", 3}}) {
        std::string rows;
        for (int i = 1; i <= frames; ++i) {
            dir.write(fmt::format("{}/img1/{:06}.png", name, i), picture(name[0] + i));
            rows += fmt::format("{},1,-4,5,20,20,-1,-1,-1,-1\n", i);
        }
        dir.write(std::string(name) + "/gt/gt.txt", rows);
        dir.write(std::string(name) + "/det/det.txt", rows);
    }
    const DataSet set = open_dataset(dir.path());
    EXPECT_EQ(set.format, "mot");
    EXPECT_EQ(set.classes, (Names{"pedestrian"}));
    EXPECT_EQ(set.val.size(), 2U);  // B is nearest to a fifth of 11
    EXPECT_TRUE(has(set.split, "B for validation"));
    EXPECT_EQ(set.train.at(0).objects.at(0).x1, 0);
    EXPECT_EQ(tally_of(set.tallies, "cut at the frame's edge"), 11);
    // Frames, parts by folders.
    const TemporaryDirectory parts;
    for (const char* part : {"train/S1", "test/S2"}) {
        parts.write(std::string(part) + "/img/frame_0001.png", picture(part[1]));
        parts.write(std::string(part) + "/gt/gt.txt", "1,1,5,5,9,9,1,1,0.5\n1,2,5,5,9,9,0,1,0.5\n1,3,5,5,9,9,1,7,1\n");
    }
    const DataSet two = open_dataset(parts.path());
    EXPECT_EQ(two.train.size(), 1U);
    EXPECT_EQ(two.val.size(), 1U);
    EXPECT_EQ(two.classes, (Names{"pedestrian", "static person"}));
    EXPECT_EQ(two.train[0].objects.size(), 2U);  // confidence 0 does not count
}

TEST(Layouts, MotRowsAndTheirFlaws) {
    EXPECT_EQ(parse_mot("1 2 3 4 5 6\n", "g").at(0).w, 5);
    EXPECT_EQ(parse_mot("1,2,3,4,5,6,-1\n\n2,2,3,4,5,6,-1\n", "g").size(), 2U);
    EXPECT_EQ(parse_mot("1,2,3,4,5,6,1,-11773,-14337,0\n", "g").at(0).kind, -1);
    EXPECT_EQ(parse_mot("1,2,3,4,5,6,1,3,0.7\n", "g").at(0).kind, 3);
    EXPECT_EQ(parse_mot("1,2,3,4,5,6,1,3.5,0.7\n", "g").at(0).kind, -1);
    const std::pair<const char*, const char*> flaws[] = {{"1,2,3\n", "3 columns"},
                                                         {"1,2,3,4,5,6,1\n1,2,3,4,5,6\n", "line 2: 6 columns"},
                                                         {"x,2,3,4,5,6\n", "\"x\" is not a finite number"},
                                                         {"1,2,nan,4,5,6\n", "not a finite number"},
                                                         {"1.5,2,3,4,5,6\n", "frame 1.5"},
                                                         {"1,2,3,4,5e9,6\n", "out of range"}};
    for (const auto& flaw : flaws)
        EXPECT_TRUE(has(refusal([&] { parse_mot(flaw.first, "g"); }), flaw.second)) << flaw.first;
}

TEST(Layouts, Labelme) {
    const TemporaryDirectory dir;
    for (int i = 0; i < 5; ++i) {
        dir.write(fmt::format("p{}.png", i), encode_png(ramp(60 + i, 40)));
        dir.write(fmt::format("p{}.json", i),
                  fmt::format(R"({{"version": "5.0.1", "flags": {{}}, "imagePath": "..\\photos\\p{}.png",
                      "imageHeight": 40, "imageWidth": {}, "imageData": null, "shapes": [
                      {{"label": "cat", "points": [[30, 20], [10, 5]], "shape_type": "rectangle"}},
                      {{"label": "ball", "points": [[30, 20], [30, 25]], "shape_type": "circle"}},
                      {{"label": "eye", "points": [[3, 2]], "shape_type": "point"}},
                      {{"label": "dog", "points": [[50, 30], [90, 30], [70, 39]], "shape_type": "polygon"}}]}})",
                              i, 60 + i));
    }
    const DataSet set = open_dataset(dir.path());
    EXPECT_EQ(set.format, "labelme");
    EXPECT_EQ(set.classes, (Names{"ball", "cat", "dog"}));
    EXPECT_EQ(set.train.size(), 4U);
    const std::vector<Object>& o = set.train[0].objects;
    ASSERT_EQ(o.size(), 3U);
    EXPECT_EQ(o[0].class_id, 1);
    EXPECT_EQ(o[0].x1, 10);
    EXPECT_EQ(o[1].y2, 25);  // a radius of 5 around 20
    EXPECT_EQ(o[2].x2, 60);  // cut
    EXPECT_EQ(tally_of(set.tallies, "points and lines"), 5);
    std::vector<Tally> tallies;
    const std::pair<const char*, const char*> flaws[] = {
        {"{", "not JSON"},
        {"{}", "no list \"shapes\""},
        {R"({"shapes": [{"points": [[1, 2]]}]})", "shape 1 has no label"},
        {R"({"shapes": [{"label": "x", "points": [[1, "a"], [2, 3]]}]})", "shape 1: a point"},
        {R"({"shapes": [{"label": "x", "points": []}]})", "no points"},
        {R"({"shapes": [], "imageWidth": -3})", "imageWidth"}};
    for (const auto& flaw : flaws)
        EXPECT_TRUE(has(refusal([&] { parse_labelme(flaw.first, "f.json", tallies); }), flaw.second)) << flaw.first;
}

TEST(Layouts, PicturesAndMasks) {
    const TemporaryDirectory dir;
    Image mask = ramp(30, 20);
    for (std::size_t i = 0; i < mask.rgb.size(); ++i) mask.rgb[i] = i < 300 ? 255 : 0;
    for (int i = 0; i < 4; ++i) {
        dir.write(fmt::format("Images/{}.jpg", i), encode_jpeg(ramp(60, 40 + (i == 3 ? 1 : 0))));
        dir.write(fmt::format("Ground_Truth/{}.png", i), encode_png(mask));
    }
    const LintReport report = lint(dir.path(), {});
    EXPECT_EQ(report.set.format, "masks");
    EXPECT_EQ(report.train.masks + report.val.masks, 4);
    EXPECT_EQ(report.errors(), 0);
    EXPECT_EQ(report.unread.size(), 0U);
    // Another shape, no mask, no picture, grey everywhere, nothing in it.
    dir.write("Images/9.jpg", encode_jpeg(ramp(60, 90)));
    dir.write("Ground_Truth/9.png", encode_png(mask));
    EXPECT_TRUE(has(refusal([&] { open_dataset(dir.path()); }), "another shape"));
    dir.write("Images/9.jpg", encode_jpeg(ramp(60, 40)));
    dir.write("Images/lonely.jpg", encode_jpeg(ramp(61, 40)));
    EXPECT_TRUE(has(refusal([&] { open_dataset(dir.path()); }), "no mask of this name"));
    dir.write("Ground_Truth/lonely_mask.png", encode_png(ramp(61, 40)));
    dir.write("Ground_Truth/nobody.png", encode_png(mask));
    dir.write("Ground_Truth/9.png", encode_png({30, 20, std::vector<std::uint8_t>(1800, 0)}));
    const LintReport bad = lint(dir.path(), {});
    EXPECT_EQ(findings_of(bad, "picture", "neither black nor white", true), 1);
    EXPECT_EQ(findings_of(bad, "picture", "the mask is empty", true), 1);
    EXPECT_EQ(findings_of(bad, "label", "nobody.png", true), 1);
    // Parts of it.
    const TemporaryDirectory parts;
    for (const char* part : {"Train", "Test"}) {
        parts.write(std::string(part) + "/Image/1.jpg", encode_jpeg(ramp(60, 40)));
        parts.write(std::string(part) + "/GT_Object/1.png", encode_png(mask));
    }
    EXPECT_EQ(open_dataset(parts.path()).val.size(), 1U);
}

}  // namespace
}  // namespace solobox
