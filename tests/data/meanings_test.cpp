// What can mean two things, what is lost, and reasons that stay: data sets with quirks. Inputs are made here.
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

// ---- two meanings

TEST(Layouts, LongYoloRowsThatCanBeKeyPoints) {
    const char* const rows[] = {
        "0 0.5 0.5 0.4 0.4 0.4 0.4 0.6 0.4 0.5 0.6 0.45 0.55 0.55 0.55\n",  // five points of two numbers
        "0 0.5 0.5 0.4 0.4 0.4 0.4 1 0.6 0.4 1 0.5 0.6 1 0.45 0.5 1\n",     // four with a visibility that could be an x
    };
    for (const char* row : rows) {
        SCOPED_TRACE(row);
        const TemporaryDirectory dir;
        dir.write("images/a.png", picture(0));
        dir.write("images/b.png", picture(1));
        dir.write("labels/a.txt", row);
        dir.write("labels/b.txt", row);
        const std::string message = refusal([&] { open_dataset(dir.path()); });
        EXPECT_TRUE(has(message, "kpt_shape") && has(message, "yolo_rows=") && has(message, "line 1"));
        OpenOptions options;
        options.yolo_rows = YoloRows::keypoints;
        DataSet set = open_dataset(dir.path(), options);
        EXPECT_NEAR(set.train.at(0).objects.at(0).x2 - set.train[0].objects[0].x1, 0.4 * set.train[0].width, 1e-9);
        EXPECT_EQ(set.train[0].objects[0].points.size(), static_cast<std::size_t>(set.points.count));
        options.yolo_rows = YoloRows::polygons;
        set = open_dataset(dir.path(), options);
        EXPECT_GT(set.train.at(0).objects.at(0).x2, 0.59 * set.train[0].width);
        EXPECT_EQ(tally_of(set.tallies, "polygons"), 2);
    }
    // Numbers of corners that differ are those of polygons; a visibility of 2 is of no polygon.
    const TemporaryDirectory dir;
    dir.write("images/a.png", picture(0));
    dir.write("labels/a.txt", "0 0.5 0.5 0.4 0.4 0.45 0.5\n0 0.5 0.5 0.4 0.4 0.45 0.5 0.5 0.55\n");
    EXPECT_EQ(tally_of(open_dataset(dir.path()).tallies, "polygons"), 2);
    dir.write("labels/a.txt", "0 0.5 0.5 0.4 0.4 0.4 0.4 2 0.6 0.4 1\n");
    EXPECT_TRUE(has(refusal([&] { open_dataset(dir.path()); }), "kpt_shape: [2, 3]"));
    dir.write("labels/a.txt", "0 0.5 0.5 0.4 0.4 0.4 0.4 2\n");
    EXPECT_TRUE(has(refusal([&] { open_dataset(dir.path()); }), "kpt_shape: [1, 3]"));
}

TEST(Layouts, TheFrameOfTurnedPictures) {
    // YOLO: nothing tells.
    const TemporaryDirectory yolo;
    yolo.write("images/a.jpg", turned_jpeg(40, 30, 8));
    yolo.write("images/b.jpg", turned_jpeg(40, 30, 3));
    yolo.write("labels/a.txt", "0 0.25 0.5 0.5 1\n");
    yolo.write("labels/b.txt", "");  // background: no matter
    EXPECT_TRUE(has(refusal([&] { open_dataset(yolo.path()); }), "exif_boxes=upright"));
    OpenOptions options;
    options.exif_boxes = ExifBoxes::upright;
    DataSet set = open_dataset(yolo.path(), options);
    EXPECT_EQ(set.train.at(0).objects.at(0).x2, 15);  // of 30 x 40
    EXPECT_EQ(tally_of(set.tallies, "taken upright"), 1);
    options.exif_boxes = ExifBoxes::stored;
    EXPECT_EQ(tally_of(open_dataset(yolo.path(), options).tallies, "taken as stored"), 1);
    yolo.write("data.yaml", "names: [x]\ntrain: images\nexif_boxes: stored\n");
    EXPECT_EQ(tally_of(open_dataset(yolo.path()).tallies, "taken as stored"), 1);
    // VOC without a size: the frame that keeps the boxes inside.
    const TemporaryDirectory voc;
    const auto boxed = [](int right, int bottom) {
        return fmt::format(
            "<annotation><filename>a.jpg</filename><object><name>x</name><bndbox><xmin>1</xmin>"
            "<ymin>1</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object></annotation>",
            right, bottom);
    };
    voc.write("a.jpg", turned_jpeg(40, 30, 6));
    voc.write("a.xml", boxed(38, 20));  // only in 40 x 30
    EXPECT_EQ(tally_of(open_dataset(voc.path()).tallies, "taken as stored"), 1);
    voc.write("a.xml", boxed(20, 38));  // only in 30 x 40
    EXPECT_EQ(tally_of(open_dataset(voc.path()).tallies, "taken upright"), 1);
    voc.write("a.xml", boxed(20, 20));  // in both
    EXPECT_TRUE(has(refusal([&] { open_dataset(voc.path()); }), "exif_boxes"));
}

TEST(Layouts, IdsThatCountFromOne) {
    const TemporaryDirectory dir;
    dir.write("classes.txt", "a\nb\nc\n");
    for (int i = 0; i < 3; ++i) {
        dir.write(fmt::format("images/{}.png", i), picture(i));
        dir.write(fmt::format("labels/{}.txt", i), fmt::format("{} 0.5 0.5 0.4 0.4\n", i + 1));
    }
    const std::string message = refusal([&] { open_dataset(dir.path()); });
    EXPECT_TRUE(has(message, "class id 3 is out of range") && has(message, "class_base=1"));
    OpenOptions options;
    options.class_base = 1;
    const DataSet set = open_dataset(dir.path(), options);
    EXPECT_EQ(set.classes.size(), 3U);
    EXPECT_EQ(set.train.at(0).objects.at(0).class_id, 0);
    dir.write("labels/0.txt", a_box);
    EXPECT_TRUE(has(refusal([&] { open_dataset(dir.path(), options); }), "class id 0, but class_base=1"));
    // Without names they are only suspicious.
    std::filesystem::remove(dir / "classes.txt");
    dir.write("labels/0.txt", "1 0.5 0.5 0.4 0.4\n");
    EXPECT_EQ(
        findings_of(lint(dir.path(), {}), "class", "class0: no picture has it (do the ids count from one?", false), 1);
}

// ---- clean although something was lost

TEST(Layouts, PicturesOfKindsThatAreNotReadAreAnError) {
    const TemporaryDirectory yolo;
    write_small_yolo_set(yolo);
    yolo.write("images/train/x.webp", "RIFF");
    yolo.write("images/train/y.TIF", "II*");
    const DataSet set = open_dataset(yolo.path());
    EXPECT_EQ(tally_of(set.tallies, "kinds that are not read"), 2);
    LintReport report = lint(yolo.path(), {});
    EXPECT_EQ(findings_of(report, "unusable", "a tif picture", true), 1);
    EXPECT_EQ(report.errors(), 2);
    OpenOptions options;
    options.skip_bad = true;
    EXPECT_EQ(lint(yolo.path(), options).errors(), 0);
    // In class folders, below them, and where nothing else is.
    const TemporaryDirectory folder;
    for (const char* name : {"a/1.png", "a/2.png", "b/1.png", "b/2.png"})
        folder.write(name, picture(2 * name[2] + name[0]));
    folder.write("a/deep/3.gif", "GIF89a");
    folder.write("c/only.heic", "x");
    EXPECT_EQ(lint(folder.path(), {}).errors(), 2);
    // Its label names it.
    const TemporaryDirectory voc;
    voc.write("JPEGImages/1.png", picture(1));
    voc.write("Annotations/1.xml", voc_of("1.png"));
    voc.write("JPEGImages/2.webp", "RIFF");
    voc.write("Annotations/2.xml", voc_of("2.webp"));
    EXPECT_TRUE(has(refusal([&] { open_dataset(voc.path()); }), "2.webp is of a kind that is not read"));
}

TEST(Layouts, APartWithoutABoxIsAnError) {
    const TemporaryDirectory dir;
    write_small_yolo_set(dir);
    dir.write("labels/val/v.txt", "");
    EXPECT_EQ(findings_of(lint(dir.path(), {}), "part", "val: no box in any of its 1 pictures", true), 1);
    // Its labels stand beside where they belong.
    std::filesystem::rename(dir / "labels/val", dir / "labels/validation");
    dir.write("labels/validation/v.txt", a_box);
    const LintReport report = lint(dir.path(), {});
    EXPECT_EQ(findings_of(report, "unusable", "labels/validation has files of their names: call it val", true), 1);
    // Classes that nothing has.
    const TemporaryDirectory unused;
    write_small_yolo_set(unused);
    unused.write("data.yaml", "names: [x, y, z]\ntrain: images/train\nval: images/val\n");
    EXPECT_EQ(findings_of(lint(unused.path(), {}), "class", "class z: no picture has it", false), 1);
}

TEST(Layouts, ValidationThatIsTrainingIsFoundByFileAndByContent) {
    const TemporaryDirectory dir;
    write_small_yolo_set(dir);
    DataSet set = open_dataset(dir.path());
    EXPECT_TRUE(pictures_in_both(set.train, set.val).empty());
    dir.write("images/val/copy.png", read_text(dir / "images/train/2.png"));
    std::filesystem::create_symlink(dir / "images/train/0.png", dir / "images/val/link.png");
    for (const char* name : {"copy", "link"}) dir.write(std::string("labels/val/") + name + ".txt", a_box);
    set = open_dataset(dir.path());
    const auto both = pictures_in_both(set.train, set.val);
    ASSERT_EQ(both.size(), 2U);
    EXPECT_TRUE(has(both[0].first, "2.png") && has(both[0].second, "copy.png"));
    dir.write("data.yaml", "names: [x, y]\ntrain: images/train\nval: [images/train]\n");
    set = open_dataset(dir.path());
    EXPECT_EQ(pictures_in_both(set.train, set.val).size(), 4U);
    EXPECT_EQ(lint(dir.path(), {}, {}, Look::headers).leaks.size(), 4U);
}

TEST(Layouts, NearlyEqualPicturesOnBothSides) {
    const TemporaryDirectory dir;
    Image scene = ramp(96, 72);
    for (int i = 0; i < 3; ++i) {
        // A patch moves over the scene, as in the frames of a video.
        Image frame = scene;
        for (int y = 20; y < 28; ++y)
            for (int x = 10 + 3 * i; x < 18 + 3 * i; ++x)
                for (int c = 0; c < 3; ++c) frame.rgb[static_cast<std::size_t>((y * 96 + x) * 3 + c)] = 255;
        dir.write(fmt::format("images/{}/f{}.png", i < 2 ? "train" : "val", i), encode_png(frame));
        dir.write(fmt::format("labels/{}/f{}.txt", i < 2 ? "train" : "val", i), a_box);
    }
    Image other = scene;
    for (std::size_t i = 0; i < other.rgb.size(); ++i) other.rgb[i] = static_cast<std::uint8_t>(255 - other.rgb[i]);
    dir.write("images/val/other.png", encode_png(other));
    dir.write("labels/val/other.txt", a_box);
    const LintReport report = lint(dir.path(), {});
    ASSERT_EQ(report.near.size(), 1U);
    EXPECT_TRUE(has(report.near[0][1], "f2.png"));
    EXPECT_EQ(report.errors(), 0);
}

// ---- reasons stay when nothing is left

TEST(Layouts, ReasonsStayWhenNothingIsUsable) {
    const TemporaryDirectory coco;
    coco.write("a.json", R"({"images": [
{"id": 1, "file_name": "gone.png"},
{"id": 2, "file_name": "../out.png"}],
"annotations": [], "categories": [{"id": 1, "name": "x"}]})");
    OpenOptions skip;
    skip.skip_bad = true;
    std::string message = refusal([&] { open_dataset(coco.path(), skip); });
    EXPECT_TRUE(has(message, "a.json: line 2") && has(message, "gone.png"));
    LintReport report = lint(coco.path(), {});
    EXPECT_EQ(findings_of(report, "unusable", "a.json:3", true), 1);
    EXPECT_EQ(report.train.pictures + report.val.pictures, 0);
    const TemporaryDirectory voc;
    voc.write("1.png", picture(1));
    voc.write("1.xml", "<annotation><object></object></annotation>");
    message = refusal([&] { open_dataset(voc.path(), skip); });
    EXPECT_TRUE(has(message, "1.xml: line 1") && has(message, "<name>"));
    const TemporaryDirectory yolo;
    for (int i = 0; i < 9; ++i) {
        yolo.write(fmt::format("images/{}.png", i), picture(i));
        yolo.write(fmt::format("labels/{}.txt", i), "0 1 2\n");
    }
    message = refusal([&] { open_dataset(yolo.path(), skip); });
    EXPECT_TRUE(has(message, "labels/0.txt: line 1") && has(message, "and 6 more"));
    EXPECT_EQ(lint(yolo.path(), {}).errors(), 9 + 2);  // labels; two parts without a picture
}

// ---- dialects

TEST(Layouts, WindowsPathsAndIdsOfPandas) {
    const TemporaryDirectory dir;
    dir.write("images/sub/a.png", picture(0));
    dir.write("c.json", R"({"images": [{"id": 1.0, "file_name": ".\\images\\sub\\a.png"}],
"annotations": [{"id": 5.0, "image_id": 1, "category_id": 2.0, "bbox": [1, 1, 5, 5]}],
"categories": [{"id": 2, "name": "x"}]})");
    EXPECT_EQ(open_dataset(dir.path()).train.at(0).objects.size(), 1U);
    dir.write("c.json", R"({"images": [{"id": 1.5, "file_name": "a.png"}], "annotations": [], "categories": []})");
    EXPECT_TRUE(has(refusal([&] { open_dataset(dir.path()); }), "id is 1.5"));
    const TemporaryDirectory yolo;
    write_small_yolo_set(yolo);
    yolo.write("data.yaml", "names: [x, y]\npath: .\\\ntrain: images\\train\nval: '.\\images\\val'\n");
    EXPECT_EQ(open_dataset(yolo.path()).val.size(), 1U);
    yolo.write("data.yaml", "names: [x, y]\ntrain: C:\\data\\images\\nowhere\n");
    EXPECT_TRUE(has(refusal([&] { open_dataset(yolo.path()); }), "one of another machine"));
    // Relative to the folder above the file, as from a directory of data sets.
    const TemporaryDirectory parent;
    parent.write("set/images/a.png", picture(0));
    parent.write("set/labels/a.txt", a_box);
    parent.write("set/data.yaml", "names: [x]\ntrain: set/images\n");
    const DataSet set = open_dataset(parent / "set");
    EXPECT_EQ(set.train.size(), 1U);
    EXPECT_EQ(tally_of(set.tallies, "taken elsewhere"), 1);
}

TEST(Layouts, StrictReadersOfXml) {
    const TemporaryDirectory dir;
    dir.write("1.png", picture(1));
    const auto refused = [&](const std::string& box) {
        dir.write("1.xml", "<annotation><object><name>x</name><bndbox>" + box +
                               "<ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>");
        return refusal([&] { open_dataset(dir.path()); });
    };
    EXPECT_TRUE(has(refused("<xmin>1<b/>2</xmin>"), "<b> inside <xmin>"));
    EXPECT_TRUE(has(refused("<xmin><v>1</v></xmin>"), "<v> inside <xmin>"));
    EXPECT_TRUE(has(refused("<xmin a='1' b='2' a='3'>1</xmin>"), "the attribute a stands twice"));
}

}  // namespace
}  // namespace solobox
