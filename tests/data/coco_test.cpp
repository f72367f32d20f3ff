// COCO: one file read strictly, leniently and with bad entries left out; the directories it comes in.
#include "data/sets/coco.h"

#include <gtest/gtest.h>

#include "data/sets/dataset.h"
#include "tests/support/fixtures.h"

namespace solobox {
namespace {

using fixtures::has;
using fixtures::ramp;
using fixtures::refusal;
using fixtures::tally_of;
using fixtures::TemporaryDirectory;

const std::string image_json = R"({"id": 1, "file_name": "a.png", "width": 80, "height": 60})";
const std::string box_json = R"({"id": 1, "image_id": 1, "category_id": 7, "bbox": [26, 15, 37, 12], "iscrowd": 0})";
const std::string category = R"({"id": 7, "name": "thing"})";

std::string coco(const std::string& images, const std::string& annotations, const std::string& categories = category) {
    return "{\"images\": [" + images + "],\n\"annotations\": [" + annotations + "],\n\"categories\": [" + categories +
           "]}\n";
}

class Coco : public ::testing::Test {
protected:
    Coco() {
        dir_.write("images/a.png", encode_png(ramp(80, 60)));
        dir_.write("images/b.png", encode_png(ramp(40, 30)));
    }
    DataSet open(const std::string& text, const OpenOptions& options = {}) const {
        return open_dataset(dir_.write("annotations/instances.json", text), options);
    }
    std::string refused(const std::string& text, Strictness strictness = Strictness::strict) const {
        OpenOptions options;
        options.strictness = strictness;
        const std::string message = refusal([&] { open(text, options); });
        EXPECT_TRUE(has(message, "instances.json"));
        EXPECT_LT(message.size(), 600U);
        EXPECT_EQ(message.find('\n'), std::string::npos) << message;
        return message;
    }
    const TemporaryDirectory dir_;
};

TEST_F(Coco, ABoxBecomesCorners) {
    const DataSet set = open(coco(image_json, box_json));
    EXPECT_EQ(set.format, "coco");
    ASSERT_EQ(set.classes, std::vector<std::string>{"thing"});
    ASSERT_EQ(set.train.size() + set.val.size(), 1U);
    const Sample& s = set.train.empty() ? set.val[0] : set.train[0];
    EXPECT_EQ(s.width, 80);
    ASSERT_EQ(s.objects.size(), 1U);
    EXPECT_EQ(s.objects[0].x1, 26);
    EXPECT_EQ(s.objects[0].y1, 15);
    EXPECT_EQ(s.objects[0].x2, 63);
    EXPECT_EQ(s.objects[0].y2, 27);
    EXPECT_FALSE(s.objects[0].crowd);
}

TEST_F(Coco, OrderIdsAndAbsentKeysDoNotMatter) {
    // Annotations first; ids as texts, with holes, negative, beyond 32 bits; no iscrowd; polygons and captions beside.
    const std::string text =
        "\xEF\xBB\xBF"
        R"({"info": {"year": [1, {"x": null}]},
        "annotations": [{"image_id": "x", "category_id": 90, "bbox": [1, 2, 3.5, 4], "segmentation": [[1, 2], [3]]},
                        {"id": 9007199254740993, "image_id": -5, "category_id": "k", "bbox": [0, 0, 1, 1], "iscrowd": 1}],
        "images": [{"file_name": "images/a.png", "id": "x"}, {"id": -5, "file_name": "b.png", "width": 40.0, "height": 30}],
        "categories": [{"id": "k", "name": "late"}, {"id": 90, "name": "ninety"}, {"id": 3, "name": "three"}]})";
    const DataSet set = open(text);
    EXPECT_EQ(set.classes, (std::vector<std::string>{"three", "ninety", "late"}));  // by id, numbers first
    std::vector<Sample> all = set.train;
    all.insert(all.end(), set.val.begin(), set.val.end());
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0].objects.at(0).class_id, 1);
    EXPECT_EQ(all[0].objects.at(0).x2, 4.5);
    EXPECT_TRUE(all[1].objects.at(0).crowd);
    EXPECT_FALSE(single_object(all[1]));  // crowds are no target
    EXPECT_EQ(tally_of(set.tallies, "without a size"), 1);
}

TEST_F(Coco, AnImageWithoutAnnotationsIsBackground) {
    const DataSet set =
        open(coco(image_json + R"(, {"id": 2, "file_name": "b.png", "width": 40, "height": 30})", box_json));
    EXPECT_EQ(set.train.size() + set.val.size(), 2U);
    EXPECT_EQ(tally_of(set.tallies, "background"), 1);
}

TEST_F(Coco, WhatRefersToNothingOrStandsTwiceIsRefused) {
    const std::string other = R"({"id": 2, "image_id": 1, "category_id": 7, "bbox": [1, 1, 2, 2]})";
    for (const Strictness strictness : {Strictness::strict, Strictness::lenient}) {
        EXPECT_TRUE(has(refused(coco(image_json + ",\n" + image_json, box_json), strictness),
                        "line 2: image id 1 stands twice"));
        EXPECT_TRUE(has(refused(coco(image_json, box_json + ",\n" + box_json), strictness),
                        "line 3: annotation id 1 stands twice"));
        EXPECT_TRUE(has(refused(coco(image_json, box_json, category + "," + category), strictness), "category id 7"));
        EXPECT_TRUE(has(refused(coco("", other), strictness), "image_id 1 is not the id"));
        EXPECT_TRUE(has(refused(coco(image_json, box_json, ""), strictness), "category_id 7 is not the id"));
    }
    // The number and the text are different ids, and the message says so.
    EXPECT_TRUE(has(refused(coco(R"({"id": "1", "file_name": "a.png"})", box_json)), "different ids"));
}

TEST_F(Coco, WrongFormsAreRefusedWithTheLine) {
    const auto with_box = [&](const std::string& value) {
        return coco(image_json, R"({"id": 1, "image_id": 1, "category_id": 7, "bbox": )" + value + "}");
    };
    EXPECT_TRUE(has(refused(with_box("[1, 2, 3]")), "line 2: bbox has 3 numbers"));
    EXPECT_TRUE(has(refused(with_box("[1, 2, 3, 4, 5]")), "bbox has more than 4"));
    EXPECT_TRUE(has(refused(with_box("[\"1\", 2, 3, 4]")), "bbox holds a text"));
    EXPECT_TRUE(has(refused(with_box("[[1, 2, 3, 4]]")), "bbox holds a list"));
    EXPECT_TRUE(has(refused(with_box("null")), "bbox is null"));
    EXPECT_TRUE(has(refused(with_box("{\"x\": 1}")), "bbox is an object"));
    EXPECT_TRUE(has(refused(with_box("[1, 2, 1e300, 4]")), "bbox [1, 2, 1e+300, 4] is out of range"));
    EXPECT_TRUE(has(refused(with_box("[1, 2, 1e999, 4]")), "bbox"));
    EXPECT_TRUE(has(refused(coco(image_json, R"({"id": 1, "image_id": 1, "category_id": 7})")), "without bbox"));
    EXPECT_TRUE(
        has(refused(coco(image_json, R"({"id": 1, "category_id": 7, "bbox": [1, 2, 3, 4]})")), "without image_id"));
    const auto with_id = [&](const std::string& id) {
        return coco("{\"id\": " + id + ", \"file_name\": \"a.png\"}", "");
    };
    EXPECT_TRUE(has(refused(with_id("1.5")), "id is 1.5"));
    EXPECT_TRUE(has(refused(with_id("123456789012345678901234567890")), "id is"));
    EXPECT_TRUE(has(refused(with_id("18446744073709551615")), "63 bits"));
    EXPECT_TRUE(has(refused(with_id("null")), "id is null"));
    EXPECT_TRUE(has(refused(with_id("[1]")), "id is a list"));
    const auto with_name = [&](const std::string& name) {
        return coco("{\"id\": 1, \"file_name\": " + name + "}", "");
    };
    for (const char* name : {"\"../a.png\"", "\"/etc/passwd\"", "\"images/../../a.png\"", "\"a.png\\u0000\"", "\"\""})
        EXPECT_TRUE(has(refused(with_name(name)), "file_name")) << name;
    EXPECT_TRUE(has(refused(with_name("5")), "file_name is a whole number"));
    EXPECT_TRUE(has(refused(with_name("\"nowhere.png\"")), "\"nowhere.png\" is not there"));
    const auto with_width = [&](const std::string& width) {
        return coco("{\"id\": 1, \"file_name\": \"a.png\", \"height\": 60, \"width\": " + width + "}", "");
    };
    for (const char* width : {"0", "-80", "\"80\"", "80.5", "null", "1e9"})
        EXPECT_TRUE(has(refused(with_width(width)), "width is")) << width;
    EXPECT_TRUE(has(refused(coco(image_json, box_json, "{\"id\": 7}")), "has no name"));
}

TEST_F(Coco, SectionsMustBeListsOfObjects) {
    for (const char* name : {"images", "annotations", "categories"}) {
        const std::string key = std::string("\"") + name + "\"";
        std::string text = coco(image_json, box_json);
        text.replace(text.find(key), key.size(), "\"else\"");
        EXPECT_TRUE(has(refused(text), "no list " + key));
        for (const char* value : {"null", "{}", "5", "\"x\"", "[5]", "[[]]"}) {
            const std::string alone = "{" + key + ": " + value + "}";
            EXPECT_TRUE(has(refused(alone), name)) << value;
        }
    }
    EXPECT_TRUE(has(refused("[]"), "top level is a list"));
    EXPECT_TRUE(has(refused("null"), "top level is null"));
    EXPECT_TRUE(has(refused(coco("", "")), "no usable picture"));
}

TEST_F(Coco, WhatIsNotJsonIsNamed) {
    const std::string good = coco(image_json, box_json);
    const auto replaced = [&](const std::string& from, const std::string& to) {
        std::string text = good;
        return text.replace(text.find(from), from.size(), to);
    };
    EXPECT_TRUE(has(refused(""), "empty"));
    EXPECT_TRUE(has(refused("{"), "end"));
    EXPECT_TRUE(has(refused(good.substr(0, good.size() / 2)), "end"));
    EXPECT_TRUE(has(refused(good + "x"), "after"));
    EXPECT_TRUE(has(refused(good + good), "after"));
    EXPECT_TRUE(has(refused(replaced("12]", "12,]")), "comma"));
    EXPECT_TRUE(has(refused(replaced("[26", "/* */ [26")), "comment"));
    EXPECT_TRUE(has(refused(replaced("\"bbox\"", "bbox")), "key"));
    EXPECT_TRUE(has(refused(replaced("\"bbox\"", "'bbox'")), "quote"));
    EXPECT_TRUE(has(refused(replaced("26", "NaN")), "NaN"));
    EXPECT_TRUE(has(refused(replaced("26", "-Infinity")), "Infinity"));
    EXPECT_TRUE(has(refused(replaced("26", "+26")), "number"));
    EXPECT_TRUE(has(refused(replaced("26", "0x1A")), "number"));
    EXPECT_TRUE(has(refused(replaced("26", "026")), "number"));
    EXPECT_TRUE(has(refused(replaced("26", "26.")), "number"));
    EXPECT_TRUE(has(refused(replaced("a.png", "a\\q.png")), "escape"));
    EXPECT_TRUE(has(refused(replaced("a.png", "a\n.png")), "control character"));
    EXPECT_TRUE(has(refused(replaced("a.png", "a\xFF.png")), "UTF-8"));
    EXPECT_TRUE(has(refused(replaced("\"iscrowd\"", "\"bbox\"")), "duplicate key"));
    EXPECT_TRUE(has(refused(replaced("\"categories\"", "\"images\"")), "duplicate key"));
    EXPECT_TRUE(has(refused(std::string(100000, '[')), "list"));
    EXPECT_TRUE(has(refused("{\"x\": " + std::string(100000, '[')), "nesting"));
    std::string objects = "{\"x\": ";
    for (int i = 0; i < 20000; ++i) objects += "{\"a\": ";
    EXPECT_TRUE(has(refused(objects), "nesting"));
    EXPECT_TRUE(has(refused(std::string("{\"images\": \x01\x02\0\xFE", 14)), "not JSON"));
}

TEST_F(Coco, BoxesAreCheckedAgainstThePicture) {
    const auto with_box = [&](const std::string& value) {
        return coco(image_json, R"({"id": 1, "image_id": 1, "category_id": 7, "bbox": )" + value + "}");
    };
    for (const char* bad : {"[1, 2, 0, 4]", "[1, 2, -3, 4]", "[80, 2, 3, 4]", "[1, -9, 3, 4]"}) {
        EXPECT_TRUE(has(refused(with_box(bad)), "bbox")) << bad;
        const DataSet set = open(with_box(bad));
        EXPECT_EQ(tally_of(set.tallies, "skipped"), 1) << bad;
        EXPECT_TRUE((set.train.empty() ? set.val : set.train)[0].objects.empty());
    }
    const DataSet set = open(with_box("[70, 50, 20, 20]"));
    EXPECT_EQ(tally_of(set.tallies, "cut"), 1);
    EXPECT_EQ((set.train.empty() ? set.val : set.train)[0].objects.at(0).x2, 80);
}

TEST_F(Coco, SkipBadLeavesOutTheWholePicture) {
    OpenOptions options;
    options.skip_bad = true;
    // a has a good and a bad annotation, so its labels are not complete; c does not exist.
    const DataSet set = open(coco(image_json + R"(, {"id": 2, "file_name": "b.png"}, {"id": 3, "file_name": "c.png"})",
                                  box_json + R"(, {"id": 2, "image_id": 1, "category_id": 7, "bbox": "x"})"
                                             R"(, {"id": 3, "image_id": 99, "category_id": 7, "bbox": [1, 1, 2, 2]})"),
                             options);
    ASSERT_EQ(set.train.size() + set.val.size(), 1U);
    EXPECT_TRUE(has((set.train.empty() ? set.val : set.train)[0].path, "b.png"));
    EXPECT_EQ(tally_of(set.tallies, "entries that cannot be used"), 2);
    EXPECT_EQ(tally_of(set.tallies, "pictures or labels"), 1);
}

TEST_F(Coco, SplitsOfTheirOwn) {
    const auto part = [](const std::string& name, const std::string& classes) {
        return coco("{\"id\": 1, \"file_name\": \"" + name + "\"}",
                    R"({"id": 1, "image_id": 1, "category_id": 2, "bbox": [1, 1, 9, 9]})", classes);
    };
    dir_.write("train2017/1.png", encode_png(ramp(20, 20)));
    dir_.write("val2017/1.png", encode_png(ramp(30, 20)));
    dir_.write("annotations/instances_train2017.json", part("1.png", R"({"id": 2, "name": "x"})"));
    dir_.write("annotations/instances_val2017.json",
               part("1.png", R"({"id": 1, "name": "new"}, {"id": 2, "name": "x"})"));
    dir_.write("annotations/captions_train2017.json", R"({"images": [], "annotations": [{"caption": "x"}]})");
    const DataSet set = open_dataset(dir_.path());
    EXPECT_EQ(set.format, "coco");
    EXPECT_EQ(set.classes, (std::vector<std::string>{"x", "new"}));
    ASSERT_EQ(set.train.size(), 1U);
    ASSERT_EQ(set.val.size(), 1U);
    EXPECT_EQ(set.train[0].width, 20);
    EXPECT_EQ(set.val[0].width, 30);
    EXPECT_EQ(set.val[0].objects.at(0).class_id, 0);
}

TEST(CocoLayout, RoboflowFoldersAndPlainFiles) {
    const TemporaryDirectory dir;
    for (const char* split : {"train", "valid"}) {
        dir.write(std::string(split) + "/a.png", encode_png(ramp(80, 60)));
        dir.write(std::string(split) + "/_annotations.coco.json", coco(image_json, box_json));
    }
    const DataSet set = open_dataset(dir.path());
    EXPECT_EQ(set.format, "coco");
    EXPECT_EQ(set.train.size(), 1U);
    EXPECT_EQ(set.val.size(), 1U);

    const TemporaryDirectory flat;
    flat.write("a.png", encode_png(ramp(80, 60)));
    flat.write("labels.json", coco(image_json, box_json));
    flat.write("package.json", "{\"name\": \"x\"}");  // other JSON files are no COCO
    EXPECT_EQ(open_dataset(flat.path()).format, "coco");
    flat.write("more.json", coco(image_json, box_json));
    EXPECT_TRUE(has(refusal([&] { open_dataset(flat.path()); }), "which COCO file"));
}

TEST(CocoLayout, PicturesOutsideTheSetAreNotFound) {
    const TemporaryDirectory dir;
    dir.write("a.png", encode_png(ramp(80, 60)));
    dir.write("set/images/b.png", encode_png(ramp(80, 60)));
    const std::string file = dir.write("set/labels.json", coco(image_json, box_json));
    EXPECT_TRUE(has(refusal([&] { open_dataset(dir / "set"); }), "not there"));
    EXPECT_TRUE(has(refusal([&] { open_dataset(file); }), "not there"));
}

TEST(CocoLayout, AHundredThousandAnnotationsAreQuick) {
    const TemporaryDirectory dir;
    dir.write("a.png", encode_png(ramp(80, 60)));
    std::string rows, polygon = "[[0.5";
    for (int i = 0; i < 100; ++i) polygon += ", 12.25";
    polygon += "]]";
    for (int i = 0; i < 100000; ++i)
        rows += fmt::format(
            "{}{{\"id\": {}, \"image_id\": 1, \"category_id\": 7, \"bbox\": [1, 2, 3, 4], "
            "\"segmentation\": {}}}",
            i ? "," : "", i, polygon);
    const DataSet set = open_dataset(dir.write("labels.json", coco(image_json, rows)));
    EXPECT_EQ((set.train.empty() ? set.val : set.train)[0].objects.size(), 100000U);
}

}  // namespace
}  // namespace solobox
