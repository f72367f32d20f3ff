// Written data sets read back the same: every format to every other, turned pictures, odd names, and directories that
// must not be written to. And the YAML guard, which their descriptions pass.
#include "data/sets/write_set.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "data/sets/dataset.h"
#include "data/sets/lint.h"
#include "data/sets/synthetic.h"
#include "data/sets/yaml_guard.h"
#include "data/text.h"
#include "tests/support/fixtures.h"

namespace solobox {
namespace {

using fixtures::has;
using fixtures::ramp;
using fixtures::refusal;
using fixtures::TemporaryDirectory;
using fixtures::turned_jpeg;

namespace fs = std::filesystem;

// A YOLO set with all that is hard to carry: background, several objects, a turned picture, blanks and brackets in
// names, equal names in two folders, class names that need quotes.
void make_source(const TemporaryDirectory& dir) {
    dir.write("data.yaml",
              "exif_boxes: stored\nnames:\n  0: \"zebra: \\\"big\\\"\"\n  1: caf\xC3\xA9 <&>\n  2: never\ntrain: "
              "images/train\nval: "
              "images/val\n");
    dir.write("images/train/a b [1].png", encode_png(ramp(37, 53)));
    dir.write("labels/train/a b [1].txt", "0 0.123456789 0.5 0.1 0.7\n1 0.3333333333 0.6666666 0.25 0.125\n");
    for (const int orientation : {2, 3, 6, 7, 8})
        dir.write(fmt::format("images/train/turned{}.jpg", orientation), turned_jpeg(61, 43, orientation));
    for (const int orientation : {2, 3, 6, 7, 8})
        dir.write(fmt::format("labels/train/turned{}.txt", orientation), "1 0.3 0.2 0.11 0.13\n");
    dir.write("images/train/deep/same.png", encode_png(ramp(20, 10)));
    dir.write("labels/train/deep/same.txt", "0 0.5 0.5 1 1\n");
    dir.write("images/val/same.png", encode_png(ramp(30, 11)));
    dir.write("labels/val/same.txt", "1 0.7 0.3 0.017 0.29\n");
    dir.write("images/val/empty.png", encode_png(ramp(31, 11)));
}

using SampleRow = std::tuple<bool, int, int, std::string, double, double, double, double>;

// Everything but names and ids: split, size, class name, corners rounded far below a pixel.
std::vector<SampleRow> rows_of(const DataSet& set) {
    std::vector<SampleRow> out;
    const auto place = [](double v) { return std::round(v * 1e7) / 1e7 + 0.0; };
    for (const bool val : {false, true})
        for (const Sample& s : val ? set.val : set.train) {
            if (s.objects.empty()) out.emplace_back(val, s.width, s.height, "", 0, 0, 0, 0);
            for (const Object& o : s.objects)
                out.emplace_back(val, s.width, s.height, set.classes.at(static_cast<std::size_t>(o.class_id)),
                                 place(o.x1), place(o.y1), place(o.x2), place(o.y2));
        }
    std::sort(out.begin(), out.end());
    return out;
}

// What "1e-6 of a pixel" asks: sorted rows agree in all names, and in corners up to that.
void expect_same(const DataSet& a, const DataSet& b) {
    const auto left = rows_of(a), right = rows_of(b);
    ASSERT_EQ(left.size(), right.size());
    for (std::size_t i = 0; i < left.size(); ++i) {
        EXPECT_EQ(std::get<0>(left[i]), std::get<0>(right[i]));
        EXPECT_EQ(std::get<1>(left[i]), std::get<1>(right[i]));
        EXPECT_EQ(std::get<2>(left[i]), std::get<2>(right[i]));
        EXPECT_EQ(std::get<3>(left[i]), std::get<3>(right[i]));
        EXPECT_NEAR(std::get<4>(left[i]), std::get<4>(right[i]), 1e-6);
        EXPECT_NEAR(std::get<5>(left[i]), std::get<5>(right[i]), 1e-6);
        EXPECT_NEAR(std::get<6>(left[i]), std::get<6>(right[i]), 1e-6);
        EXPECT_NEAR(std::get<7>(left[i]), std::get<7>(right[i]), 1e-6);
    }
}

DataSet write(const DataSet& set, const std::string& directory, const std::string& format) {
    SetWriter writer(directory, set_format(format), set.classes, &set);
    for (const bool val : {false, true})
        for (const Sample& sample : val ? set.val : set.train) writer.add(val, sample);
    writer.finish();
    DataSet back = open_dataset(directory);
    EXPECT_EQ(back.format, format);
    return back;
}

std::vector<std::string> picture_bytes(const DataSet& set) {
    std::vector<std::string> out;
    for (const auto* samples : {&set.train, &set.val})
        for (const Sample& s : *samples) out.push_back(read_whole(s.path, 1 << 24));
    std::sort(out.begin(), out.end());
    return out;
}

TEST(WriteSet, EveryFormatToEveryOther) {
    const TemporaryDirectory dir;
    make_source(dir);
    const DataSet source = open_dataset(dir.path());
    ASSERT_EQ(source.train.size(), 7U);
    ASSERT_EQ(source.val.size(), 2U);
    const TemporaryDirectory out;
    for (const char* first : {"yolo", "voc", "coco"}) {
        const DataSet once = write(source, out / first, first);
        expect_same(source, once);
        EXPECT_EQ(picture_bytes(once), picture_bytes(source));
        for (const char* second : {"yolo", "voc", "coco"}) {
            SCOPED_TRACE(std::string(first) + " to " + second);
            expect_same(source, write(once, out / (std::string(first) + "-" + second), second));
        }
        // VOC has names only where there are objects.
        const std::size_t classes = std::string(first) == "voc" ? 2 : 3;
        EXPECT_EQ(once.classes.size(), classes);
    }
}

TEST(WriteSet, CrowdsStayInCocoOnly) {
    const TemporaryDirectory dir;
    dir.write("images/a.png", encode_png(ramp(40, 30)));
    dir.write("a.json", R"({"images": [{"id": 1, "file_name": "a.png"}], "categories": [{"id": 1, "name": "x"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "iscrowd": 1},
                        {"id": 2, "image_id": 1, "category_id": 1, "bbox": [5, 6, 7, 8]}]})");
    const DataSet source = open_dataset(dir.path());
    const TemporaryDirectory out;
    for (const char* format : {"yolo", "voc", "coco"}) {
        SetWriter writer(out / format, set_format(format), source.classes);
        for (const auto* samples : {&source.train, &source.val})
            for (const Sample& s : *samples) writer.add(false, s);
        const bool coco = std::string(format) == "coco";
        EXPECT_EQ(writer.crowds_left_out(), coco ? 0 : 1);
        EXPECT_EQ(writer.boxes(), coco ? 2 : 1);
        writer.finish();
    }
    EXPECT_TRUE(open_dataset(out / "coco").train.at(0).objects.at(0).crowd);
}

TEST(WriteSet, OnlyIntoNewDirectoriesOutsideTheSource) {
    const TemporaryDirectory dir;
    make_source(dir);
    const DataSet source = open_dataset(dir.path());
    const auto refused = [&](const std::string& directory) {
        try {
            SetWriter(directory, SetFormat::yolo, {}, &source);
        } catch (const ConfigError& error) {
            return std::string(error.what());
        }
        return std::string();
    };
    EXPECT_TRUE(has(refused(dir.path()), "not empty"));
    EXPECT_TRUE(has(refused(dir / "new"), "lies within"));
    EXPECT_TRUE(has(refused(dir / "data.yaml"), "no directory"));
    const TemporaryDirectory out;
    fs::create_symlink(dir.path(), out / "link");
    EXPECT_TRUE(has(refused(out / "link/new"), "lies within"));
    EXPECT_FALSE(fs::exists(dir / "new"));
    // Pictures may lie elsewhere than the description that names them.
    const std::string yaml =
        out.write("data.yaml", "exif_boxes: stored\nnames: [x, y, z]\ntrain: " + dir.path() + "/images/train\n");
    const DataSet elsewhere = open_dataset(yaml);
    EXPECT_TRUE(lies_within(dir / "images/train/new", elsewhere));
    EXPECT_TRUE(lies_within(out / "new", elsewhere));
    EXPECT_FALSE(lies_within("/nowhere", elsewhere));
}

TEST(WriteSet, NothingStaysOfAnUnfinishedOne) {
    const TemporaryDirectory out;
    {
        SetWriter writer(out / "set", SetFormat::voc, {"x"});
        writer.add(false, "a.png", "not looked at", Sample{"a.png", 4, 4, -1, {{0, 1, 1, 2, 2, false}}});
    }
    EXPECT_TRUE(fs::is_empty(out.path()));
    fs::create_directory(out / "set");  // empty: as good as new
    SetWriter(out / "set", SetFormat::voc, {"x"}).finish();
    EXPECT_TRUE(fs::exists(out / "set/Annotations"));
}

// ---- lint

std::int64_t found(const LintReport& report, const std::string& kind, const std::string& place) {
    return std::count_if(report.findings.begin(), report.findings.end(),
                         [&](const Finding& f) { return f.kind == kind && f.place.find(place) != std::string::npos; });
}

TEST(Lint, ACleanSetHasNoFindings) {
    const TemporaryDirectory dir;
    fixtures::write_small_yolo_set(dir);
    const LintReport report = lint(dir.path(), {});
    EXPECT_EQ(report.errors(), 0);
    ASSERT_EQ(report.findings.size(), 1U);  // y is only validated on
    EXPECT_EQ(report.findings[0].message, "class y: no training picture has it");
    EXPECT_TRUE(report.unread.empty());
    EXPECT_EQ(report.train.pictures, 4);
    EXPECT_EQ(report.train.boxes_of_class, (std::vector<std::int64_t>{4, 0}));
    EXPECT_EQ(report.val.pictures_of_class, (std::vector<std::int64_t>{0, 1}));
    EXPECT_DOUBLE_EQ(report.box_width.max, 0.5);
    EXPECT_DOUBLE_EQ(report.box_width.min, 0.25);
    EXPECT_EQ(report.val_targets, 1);
    EXPECT_NEAR(report.mean_box_iou, 0.5, 1e-9);
    EXPECT_NEAR(report.constant_box_iou, 0.5, 1e-6);
}

TEST(Lint, EveryFlawHasItsPlace) {
    const TemporaryDirectory dir;
    fixtures::write_small_yolo_set(dir);
    dir.write("labels/train/0.txt", "0 0.5 0.5 0 0.5\n0 0.5 0.5 0.5 0.5\n0 0.5 0.5 0 0.1\n");
    dir.write("labels/train/1.txt", "0 0.5 0.5 0.5 0.5\n0 0.5 0.5\n0 0.5 x 0.5 0.5\n7 0.5 0.5 0.5 0.5\n");
    dir.write("labels/train/nobody.txt", "0 0.5 0.5 0.5 0.5\n");
    dir.write("images/train/bare.png", encode_png(ramp(70, 30)));
    dir.write("images/train/leak.png", encode_png(ramp(50, 30)));
    dir.write("images/train/twin.png", encode_png(ramp(23, 30)));
    const std::string png = fixtures::text_of(encode_png(ramp(64, 64)));
    dir.write("images/val/cut.png", png.substr(0, png.size() / 2));
    dir.write("images/val/text.png", "no picture at all");
    const LintReport report = lint(dir.path(), {});
    EXPECT_EQ(found(report, "box", "labels/train/0.txt:1"), 1);
    EXPECT_EQ(found(report, "box", "labels/train/0.txt:3"), 1);
    for (const char* line : {"1.txt:2", "1.txt:3", "1.txt:4"}) EXPECT_EQ(found(report, "unusable", line), 1) << line;
    EXPECT_EQ(found(report, "label", "nobody.txt"), 1);
    EXPECT_EQ(found(report, "label", "bare.png"), 1);
    EXPECT_EQ(found(report, "leak", "leak.png"), 1);
    EXPECT_EQ(found(report, "duplicate", "twin.png"), 1);
    EXPECT_EQ(found(report, "picture", "cut.png"), 1);
    EXPECT_EQ(found(report, "unusable", "text.png"), 1);
    EXPECT_EQ(report.leaks.size(), 1U);
    EXPECT_EQ(report.errors(), 2 + 3 + 1 + 1 + 1 + 1);  // boxes, lines, orphan, leak, cut, text
    // What training leaves out with --skip-bad is then no error; a leak still is one.
    OpenOptions options;
    options.skip_bad = true;
    EXPECT_EQ(lint(dir.path(), options).errors(), 1);
}

TEST(Lint, AMendedCopyIsClean) {
    const TemporaryDirectory dir, out;
    fixtures::write_small_yolo_set(dir);
    dir.write("labels/train/0.txt", "0 0.5 0.5 0 0.5\n0 0.5 0.5 0.5 0.5\n");
    dir.write("labels/train/1.txt", "broken\n");
    dir.write("images/train/leak.png", encode_png(ramp(50, 30)));
    dir.write("images/train/twin.png", encode_png(ramp(23, 30)));
    const std::string png = fixtures::text_of(encode_png(ramp(64, 64)));
    dir.write("images/val/cut.png", png.substr(0, png.size() / 2));
    const LintReport before = lint(dir.path(), {});
    EXPECT_GT(before.errors(), 0);
    std::vector<std::string> what;
    EXPECT_EQ(mend(before, out / "mended", what), "yolo");
    EXPECT_EQ(what.size(), 3U);  // does not decode, leak, repeated
    const LintReport after = lint(out / "mended", {});
    ASSERT_EQ(after.findings.size(), 1U);
    EXPECT_EQ(after.findings[0].message, "class y: no training picture has it");
    EXPECT_EQ(after.train.pictures, 3);
    EXPECT_EQ(after.val.pictures, 1);
}

// ---- YAML

TEST(YamlGuard, OnlyThePlainPartOfYaml) {
    const auto refused = [](const std::string& text) { return refusal([&] { guard_yaml(text, "f.yaml"); }); };
    EXPECT_TRUE(has(refused("a: 1\nb: 2\na: 3\n"), "line 3: the key a stands twice"));
    EXPECT_TRUE(has(refused("a: {b: 1, b: 2}\n"), "duplicate key"));
    EXPECT_TRUE(has(refused("a: &x 1\nb: *x\n"), "anchor"));
    EXPECT_TRUE(has(refused("a: *x\n"), "anchor"));
    EXPECT_TRUE(has(refused("a:\n  <<: {b: 1}\n"), "merge"));
    EXPECT_TRUE(has(refused("a: !!python/object:os.system 1\n"), "tag"));
    EXPECT_TRUE(has(refused("a: !huge 1\n"), "tag"));
    EXPECT_TRUE(has(refused("a: 1\n---\nb: 1\n"), "second document"));
    EXPECT_TRUE(has(refused(""), "empty"));
    EXPECT_TRUE(has(refused("# nothing\n"), "empty"));
    EXPECT_TRUE(has(refused("- a\n- b\n"), "map"));
    EXPECT_TRUE(has(refused("words\n"), "map"));
    EXPECT_TRUE(has(refused("a:\n\tb: 1\n"), "line 2: a tab"));
    EXPECT_TRUE(has(refused("a: \"open\nb: 1\n"), "quote"));
    EXPECT_TRUE(has(refused("a: 'it''s\nb: 1\n"), "quote"));
    EXPECT_TRUE(has(refused("a: [1, 2\nb: 1\n"), "line"));
    EXPECT_TRUE(has(refused("a: \"\\q\"\n"), "escape"));
    EXPECT_TRUE(has(refused("a: " + std::string(30000, '[')), "nesting"));
    EXPECT_TRUE(has(refused(std::string("a: \0b\n", 6)), "NUL"));
    EXPECT_TRUE(has(refused("a: \xFF\n"), "UTF-8"));
    guard_yaml("\xEF\xBB\xBF---\r\na: \"x\\\"y\"\r\nb: 'it''s'  # said\r\nc: [1, {d: e}]\r\n...\r\n", "f.yaml");
}

TEST(YamlGuard, EntriesOfTheTopLevel) {
    const auto entries = yaml_entries("a: 1e-4\n\nb: [x, y]\nc: {d: 1}\ne:\nf: \"1\"\n", "f.yaml");
    ASSERT_EQ(entries.size(), 5U);
    EXPECT_EQ(entries[0].text, "1e-4");
    EXPECT_EQ(entries[1].list, (std::vector<std::string>{"x", "y"}));
    EXPECT_EQ(entries[1].line, 3);
    EXPECT_EQ(entries[2].kind, YamlEntry::Kind::map);
    EXPECT_EQ(entries[3].kind, YamlEntry::Kind::nothing);
    EXPECT_EQ(entries[4].text, "1");
}

}  // namespace
}  // namespace solobox
