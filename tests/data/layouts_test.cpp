// Directories as real people have them: the whole tree is read, and nothing in part without a word. Inputs are made
// here.
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

// ---- the whole tree is looked at

TEST(Layouts, YearsOfVocAreOneSetEachWithItsOwnLists) {
    const TemporaryDirectory dir;
    for (const char* year : {"VOC2007", "VOC2012"}) {
        const std::string home = std::string("VOCdevkit/") + year + "/";
        for (int i = 0; i < 3; ++i) {
            const std::string name = std::string(year) + std::to_string(i);
            dir.write(home + "JPEGImages/" + name + ".png", picture(i));
            dir.write(home + "Annotations/" + name + ".xml", voc_of(name + ".png", i == 0 ? "dog" : "cat"));
        }
        dir.write(home + "ImageSets/Main/train.txt", std::string(year) + "0\n" + year + "1\n");
        dir.write(home + "ImageSets/Main/val.txt", std::string(year) + "2\n");
    }
    const DataSet set = open_dataset(dir.path());
    EXPECT_EQ(set.format, "voc");
    EXPECT_EQ(set.classes, (Names{"cat", "dog"}));
    EXPECT_EQ(names_of(set.train), (Names{"VOC20070.png", "VOC20071.png", "VOC20120.png", "VOC20121.png"}));
    EXPECT_EQ(names_of(set.val), (Names{"VOC20072.png", "VOC20122.png"}));
    EXPECT_EQ(set.train[0].objects.at(0).class_id, 1);
    // Without a word about years or parts they are two sets.
    std::filesystem::rename(dir / "VOCdevkit/VOC2007", dir / "VOCdevkit/mine");
    EXPECT_TRUE(has(refusal([&] { open_dataset(dir.path()); }), "several voc sets below"));
    EXPECT_EQ(open_dataset(dir / "VOCdevkit/mine").train.size(), 2U);
}

TEST(Layouts, AnnotationsInFoldersOfTheirOwnForEachPart) {
    const TemporaryDirectory dir;
    for (const auto& [part, i] : {std::pair{"train", 0}, {"train", 1}, {"val", 2}}) {
        const std::string name = std::to_string(i);
        dir.write(std::string("images/") + part + "/" + name + ".png", picture(i));
        dir.write(std::string("annotations/") + part + "/" + name + ".xml", voc_of(name + ".png"));
    }
    const DataSet set = open_dataset(dir.path());
    EXPECT_EQ(names_of(set.train), (Names{"0.png", "1.png"}));
    EXPECT_EQ(names_of(set.val), (Names{"2.png"}));
    EXPECT_TRUE(has(set.split, "by folders"));
}

TEST(Layouts, TextBesidePicturesInFoldersForEachPart) {
    const TemporaryDirectory dir;
    dir.write("classes.txt", "cat\ndog\n");
    for (const auto& [part, i] : {std::pair{"Training", 0}, {"Training", 1}, {"Validation", 2}, {"Testing", 3}}) {
        dir.write(fmt::format("{}/p{}.png", part, i), picture(i));
        dir.write(fmt::format("{}/p{}.txt", part, i), "1 0.5 0.5 0.4 0.4\n");
    }
    const DataSet set = open_dataset(dir.path());
    EXPECT_EQ(set.format, "yolo");
    EXPECT_EQ(set.classes, (Names{"cat", "dog"}));
    EXPECT_EQ(set.train.size(), 2U);
    EXPECT_EQ(names_of(set.val), (Names{"p2.png"}));
    EXPECT_EQ(set.val[0].objects.at(0).class_id, 1);
    EXPECT_TRUE(has(set.split, "Testing is a third part"));
    const LintReport report = lint(dir.path(), {});
    EXPECT_EQ(report.errors(), 0);
    ASSERT_FALSE(report.unread.empty());
    EXPECT_TRUE(has(report.unread[0].what, "a part for testing"));
    EXPECT_TRUE(report.unread[0].expected);
}

TEST(Layouts, LooseFoldersOfOneLabellerAreOneSet) {
    const TemporaryDirectory dir;
    dir.write("classes.txt", "bird\n");
    for (int i = 0; i < 4; ++i) {
        dir.write(fmt::format("day{}/p{}.png", i % 2, i), picture(i));
        dir.write(fmt::format("day{}/p{}.txt", i % 2, i), a_box);
    }
    const DataSet set = open_dataset(dir.path());
    EXPECT_EQ(set.classes, (Names{"bird"}));
    EXPECT_EQ(set.train.size() + set.val.size(), 4U);
    // Texts beside pictures that are no boxes leave class folders what they are.
    const TemporaryDirectory captions;
    for (const char* name : {"cat/1", "cat/2", "dog/1"}) {
        captions.write(std::string(name) + ".png", picture(static_cast<int>(std::string(name).size())));
        captions.write(std::string(name) + ".txt", "a picture of an animal\n");
    }
    EXPECT_EQ(open_dataset(captions.path()).format, "folder");
    EXPECT_EQ(lint(captions.path(), {}).unread.size(), 2U);  // the texts of each folder
}

TEST(Layouts, DarknetSetsWhereverTheirPathsBegin) {
    const TemporaryDirectory dir;
    for (int i = 0; i < 3; ++i) {
        dir.write(fmt::format("work/img/air{}.png", i), picture(i));
        dir.write(fmt::format("work/img/air{}.txt", i), a_box);
    }
    dir.write("work/obj.names", "airplane\nbird\n");
    dir.write("work/obj.data",
              "# Yolo_mark\nclasses = 2\ntrain  = data/train.txt\nvalid = data/valid.txt\n"
              "names = data/obj.names\nbackup = backup/\n");
    dir.write("work/train.txt", "data/img/air0.png\ndata/img/air1.png\n");
    dir.write("work/valid.txt", "data\\img\\air2.png\r\n");
    const DataSet set = open_dataset(dir / "work");
    EXPECT_EQ(set.classes, (Names{"airplane", "bird"}));
    EXPECT_EQ(names_of(set.train), (Names{"air0.png", "air1.png"}));
    EXPECT_EQ(names_of(set.val), (Names{"air2.png"}));
    EXPECT_EQ(tally_of(set.tallies, "taken elsewhere"), 5);  // train, valid, names, and the paths of two lists
    EXPECT_EQ(open_dataset(dir / "work/obj.data").train.size(), 2U);
    EXPECT_EQ(open_dataset(dir.path()).train.size(), 2U);  // one folder further up
    dir.write("work/obj.data", "classes = 3\ntrain = train.txt\nnames = obj.names\n");
    EXPECT_TRUE(has(refusal([&] { open_dataset(dir / "work"); }), "line 3: classes is 3"));
    dir.write("work/obj.data", "classes = 2\ntrain = nowhere.txt\nnames = obj.names\n");
    EXPECT_TRUE(has(refusal([&] { open_dataset(dir / "work"); }), "line 2: train: nowhere.txt does not exist"));
}

TEST(Layouts, ListsBesideImagesAndLabelsAreTheSplit) {
    const TemporaryDirectory dir;
    for (int i = 0; i < 5; ++i) {
        dir.write(fmt::format("images/{}.png", i), picture(i));
        dir.write(fmt::format("labels/{}.txt", i), a_box);
    }
    dir.write("train.txt", "./images/4.png\nimages/0.png\n");
    dir.write("val.txt", "images/2.png\n");
    const DataSet set = open_dataset(dir.path());
    EXPECT_EQ(names_of(set.train), (Names{"0.png", "4.png"}));
    EXPECT_EQ(names_of(set.val), (Names{"2.png"}));
    // Two pictures are in no list: said.
    const LintReport report = lint(dir.path(), {});
    EXPECT_EQ(findings_of(report, "unread", "2 pictures in images/", false), 1);
}

TEST(Layouts, TwoLayoutsAreAnErrorThatNamesBoth) {
    const TemporaryDirectory dir;
    for (int i = 0; i < 2; ++i) {
        dir.write(fmt::format("images/{}.png", i), picture(i));
        dir.write(fmt::format("labels/{}.txt", i), a_box);
        dir.write(fmt::format("annotations/{}.xml", i), voc_of(std::to_string(i) + ".png"));
    }
    const std::string both = refusal([&] { open_dataset(dir.path()); });
    EXPECT_TRUE(has(both, "voc") && has(both, "yolo") && has(both, "format="));
    OpenOptions options;
    options.format = "voc";
    EXPECT_EQ(open_dataset(dir.path(), options).classes, (Names{"cat"}));
    options.format = "yolo";
    EXPECT_EQ(open_dataset(dir.path(), options).classes, (Names{"class0"}));
    const TemporaryDirectory apart;
    apart.write("a/p.png", picture(0));
    apart.write("a/p.xml", voc_of("p.png"));
    apart.write("b/instances.json", R"({"images": [], "annotations": [], "categories": []})");
    const std::string message = refusal([&] { open_dataset(apart.path()); });
    EXPECT_TRUE(has(message, "/a (voc)") && has(message, "/b (coco)"));
}

TEST(Layouts, RoboflowCocoWithThreeParts) {
    const TemporaryDirectory dir;
    for (const char* part : {"train", "valid", "test"}) {
        const std::string home = std::string(part) + "/";
        dir.write(home + "p.png", picture(part[0]));
        dir.write(home + "_annotations.coco.json",
                  R"({"images": [{"id": 0, "file_name": "p.png"}], "categories": [{"id": 0, "name": "x"}],
                      "annotations": [{"id": 0, "image_id": 0, "category_id": 0, "bbox": [1, 1, 9, 9]}]})");
    }
    const LintReport report = lint(dir.path(), {});
    EXPECT_EQ(report.train.pictures, 1);
    EXPECT_EQ(report.val.pictures, 1);
    EXPECT_EQ(report.errors(), 0);
    EXPECT_TRUE(has(report.unread.at(0).what, "in test/"));
}

TEST(Layouts, ClassFoldersOneFolderDownAndFoldersThatAreNoClass) {
    const TemporaryDirectory dir;
    for (const char* name : {"PetImages/Cat/1.png", "PetImages/Cat/2.png", "PetImages/Dog/1.png"})
        dir.write(name, picture(static_cast<int>(std::string(name).size())));
    EXPECT_EQ(open_dataset(dir.path()).classes, (Names{"Cat", "Dog"}));
    const TemporaryDirectory photos;
    photos.write("obj_train_data/1.png", picture(1));
    const std::string message = refusal([&] { open_dataset(photos.path()); });
    EXPECT_TRUE(has(message, "no known data set") && has(message, "1 .png"));
}

TEST(Layouts, WhatIsNotReadIsCounted) {
    const TemporaryDirectory dir;
    write_small_yolo_set(dir);
    dir.write("README.md", "words");
    dir.write("Thumbs.db", "x");
    for (int i = 0; i < 7; ++i) dir.write(fmt::format("more/{}.png", i), picture(i));
    dir.write("more/table.csv", "a,b\n1,2\n");
    LintReport report = lint(dir.path(), {});
    EXPECT_EQ(findings_of(report, "unread", "7 pictures in more/", true), 1);  // more than the 5 that were read
    EXPECT_EQ(findings_of(report, "unread", "1 .csv files in more/", false), 1);
    for (int i = 2; i < 7; ++i) std::filesystem::remove(dir / fmt::format("more/{}.png", i));
    report = lint(dir.path(), {});
    EXPECT_EQ(findings_of(report, "unread", "2 pictures in more/", false), 1);
    EXPECT_EQ(report.errors(), 0);
}

// ---- what looks like something else

TEST(Layouts, PartsAndHomesOfPicturesAreNoClasses) {
    const TemporaryDirectory bare, images, kaggle;
    for (const char* name : {"train/1", "train/2", "val/3"}) {
        bare.write(std::string(name) + ".png", picture(name[std::string(name).size() - 1]));
        images.write("images/" + std::string(name) + ".png", picture(name[std::string(name).size() - 1]));
    }
    for (const auto* dir : {&bare, &images})
        EXPECT_TRUE(has(refusal([&] { open_dataset(dir->path()); }), "no known data set")) << dir->path();
    // As archives unpack: a part in a folder of its own name once more.
    for (const char* name : {"training_set/training_set/cats/1", "training_set/training_set/dogs/2",
                             "test_set/test_set/cats/3", "test_set/test_set/dogs/4"})
        kaggle.write(std::string(name) + ".png", picture(name[std::string(name).size() - 1]));
    const DataSet set = open_dataset(kaggle.path());
    EXPECT_EQ(set.classes, (Names{"cats", "dogs"}));
    EXPECT_EQ(set.val.size(), 2U);
    // train and test as classes among others are classes.
    const TemporaryDirectory vehicles;
    for (const char* name : {"bus/1", "car/2", "train/3"})
        vehicles.write(std::string(name) + ".png", picture(name[std::string(name).size() - 1]));
    EXPECT_EQ(open_dataset(vehicles.path()).classes.size(), 3U);
    // Masks in folders of parts, and beside photographs under other names.
    Image mask = ramp(40, 30);
    for (std::size_t i = 0; i < mask.rgb.size(); ++i) mask.rgb[i] = i < 900 ? 255 : 0;
    const TemporaryDirectory parts, ade;
    for (const char* name : {"train/1", "train/2", "val/3"}) {
        parts.write("images/" + std::string(name) + ".png", encode_png(ramp(40, 30)));
        parts.write("masks/" + std::string(name) + ".png", encode_png(mask));
    }
    ade.write("images/1.jpg", encode_jpeg(ramp(40, 30)));
    ade.write("annotations/1.png", encode_png(mask));
    EXPECT_EQ(open_dataset(parts.path()).val.size(), 1U);
    EXPECT_EQ(open_dataset(ade.path()).format, "masks");
}

TEST(Layouts, CornersAndOldSizesAreErrors) {
    const TemporaryDirectory yolo;
    for (int i = 0; i < 6; ++i) {
        yolo.write(fmt::format("images/{}.png", i), picture(i));
        yolo.write(fmt::format("labels/{}.txt", i), fmt::format("0 0.{}5 0.6 0.{}5 0.95\n", i + 1, i + 3));
    }
    EXPECT_TRUE(has(refusal([&] { open_dataset(yolo.path()); }), "corners x1 y1 x2 y2"));
    // Boxes at the edge of their pictures stick out by rounding; they are none.
    for (int i = 0; i < 6; ++i) yolo.write(fmt::format("labels/{}.txt", i), "0 0.8 0.6 0.401 0.5\n");
    EXPECT_EQ(open_dataset(yolo.path()).train.size(), 5U);
    const TemporaryDirectory coco;
    std::string images, boxes;
    for (int i = 0; i < 5; ++i) {
        coco.write(fmt::format("{}.png", i), encode_png(ramp(100, 80)));
        images +=
            fmt::format(R"({}{{"id": {}, "file_name": "{}.png", "width": 100, "height": 80}})", i ? ", " : "", i, i);
        boxes += fmt::format(R"({}{{"id": {}, "image_id": {}, "category_id": 1, "bbox": [40, 30, 90, 70]}})",
                             i ? ", " : "", i, i);
    }
    coco.write("c.json", "{\"images\": [" + images + "], \"annotations\": [" + boxes +
                             "], \"categories\": [{\"id\": 1, \"name\": \"x\"}]}");
    EXPECT_TRUE(has(refusal([&] { open_dataset(coco.path()); }), "corners x1, y1, x2, y2"));
    const TemporaryDirectory voc;
    const auto sized = [&](int w, int h, int right) {
        voc.write("1.xml",
                  fmt::format("<annotation><size><width>{}</width><height>{}</height></size><object><name>x</name>"
                              "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>{}</xmax><ymax>20</ymax></bndbox></object>"
                              "</annotation>",
                              w, h, right));
        return lint(voc.path(), {});
    };
    voc.write("1.png", encode_png(ramp(100, 80)));
    EXPECT_EQ(findings_of(sized(50, 40, 40), "box", "resized behind the labelling", true), 1);
    EXPECT_EQ(findings_of(sized(50, 40, 90), "box", "resized", true), 0);  // beyond that size: the picture's pixels
    EXPECT_EQ(findings_of(sized(100, 80, 40), "box", "resized", true), 0);
    EXPECT_EQ(findings_of(sized(90, 40, 40), "box", "resized", true), 0);  // another shape: only a wrong number
}

TEST(Layouts, NamesInListsKeepTheirFolders) {
    const TemporaryDirectory dir;
    for (const char* name : {"seq1/0", "seq1/1", "seq2/1"}) {
        dir.write("images/" + std::string(name) + ".png", picture(name[3] + name[5]));
        dir.write("labels/" + std::string(name) + ".txt", a_box);
    }
    dir.write("images/seq2/0.png", "no picture");
    dir.write("data.yaml", "names: [x]\ntrain: images\n");
    OpenOptions options;
    options.skip_bad = true;
    options.val_list = dir.write("v.lst", "seq2/0.png\nseq2/1.png\n");
    const DataSet set = open_dataset(dir.path(), options);
    EXPECT_EQ(set.val.size(), 1U);  // never seq1/0.png
    EXPECT_EQ(tally_of(set.tallies, "fit no picture"), 1);
    // Below the set, whether a directory or its data.yaml was named.
    options.val_list.clear();
    options.val_match = "^images/seq1/";
    for (const std::string& named : {dir.path(), dir / "data.yaml"})
        EXPECT_EQ(open_dataset(named, options).val.size(), 2U) << named;
    // A list's paths keep at least one of their folders.
    const TemporaryDirectory lists;
    for (int i = 0; i < 2; ++i) {
        lists.write(fmt::format("{}.png", i), picture(i));
        lists.write(fmt::format("{}.txt", i), a_box);
    }
    lists.write("data.yaml", "names: [x]\ntrain: t.txt\n");
    lists.write("t.txt", "night/0.png\nnight/1.png\n");
    EXPECT_TRUE(has(refusal([&] { open_dataset(lists.path()); }), "night/0.png"));
}

TEST(Layouts, AllPartsAreSeenByASplitThatIsSaid) {
    const TemporaryDirectory dir;
    for (const auto& [part, i] : {std::pair{"train", 0}, {"train", 1}, {"val", 2}, {"test", 3}}) {
        dir.write(fmt::format("images/{}/{}.png", part, i), picture(i));
        dir.write(fmt::format("labels/{}/{}.txt", part, i), a_box);
    }
    OpenOptions options;
    options.val_match = "test/";
    EXPECT_EQ(names_of(open_dataset(dir.path(), options).val), (Names{"3.png"}));
    dir.write("data.yaml", "names: [x]\ntrain: images/train\nval: images/val\ntest: images/test\n");
    EXPECT_EQ(open_dataset(dir.path(), options).train.size(), 3U);
    dir.write("data.yaml", "names: [x]\ntrain: images/train\nval: images/val\ntest: not/shipped\n");
    EXPECT_EQ(open_dataset(dir.path()).val.size(), 1U);
}

TEST(Layouts, StrayLabelsDoNotHideTheParts) {
    const TemporaryDirectory dir;
    dir.write("sample.png", picture(9));
    dir.write("sample.txt", a_box);
    for (const auto& [part, i] : {std::pair{"train", 0}, {"train", 1}, {"val", 2}}) {
        dir.write(fmt::format("{}/{}.png", part, i), picture(i));
        dir.write(fmt::format("{}/{}.txt", part, i), a_box);
    }
    const LintReport report = lint(dir.path(), {});
    EXPECT_EQ(report.train.pictures, 2);
    EXPECT_EQ(report.val.pictures, 1);
    EXPECT_EQ(findings_of(report, "unread", "1 pictures at its top", false), 1);
    // VOC2007 as it is distributed.
    const TemporaryDirectory voc;
    for (const auto& [part, i] : {std::pair{"VOCtrainval2007", 0}, {"VOCtrainval2007", 1}, {"VOCtest2007", 2}}) {
        voc.write(fmt::format("{}/VOC2007/JPEGImages/{}.png", part, i), picture(i));
        voc.write(fmt::format("{}/VOC2007/Annotations/{}.xml", part, i), voc_of(fmt::format("{}.png", i)));
    }
    EXPECT_EQ(names_of(open_dataset(voc.path()).val), (Names{"2.png"}));
}

TEST(Layouts, FoldersWithoutLabelsAndClassesThatDifferInCase) {
    const TemporaryDirectory dir;
    for (const char* name : {"a/1", "a/2", "b/3", "b/4"})
        dir.write("images/" + std::string(name) + ".png", picture(name[2]));
    for (const char* name : {"a/1", "a/2"}) dir.write("labels/" + std::string(name) + ".txt", a_box);
    EXPECT_EQ(findings_of(lint(dir.path(), {}), "label", "images/b: 2 pictures", false), 1);
    const TemporaryDirectory voc;
    for (const auto& [i, name] : {std::pair{1, "Cat"}, {2, "cat"}, {3, "dog"}}) {
        voc.write(fmt::format("{}.png", i), picture(i));
        voc.write(fmt::format("{}.xml", i), voc_of(fmt::format("{}.png", i), name));
    }
    EXPECT_EQ(findings_of(lint(voc.path(), {}), "class", "differ in case", false), 1);
}

TEST(Layouts, ExportsOfLabellingToolsAsTheyAre) {
    const TemporaryDirectory studio;
    studio.write("images/1.png", picture(1));
    studio.write("labels/1.txt", a_box);
    studio.write("classes.txt", "cat\n");
    studio.write("notes.json", R"({"categories": [{"id": 0, "name": "cat"}], "info": {"year": 2024}})");
    EXPECT_EQ(open_dataset(studio.path()).format, "yolo");
    const TemporaryDirectory fiftyone;
    fiftyone.write("data/1.png", picture(1));
    fiftyone.write("labels.json",
                   R"({"images": [{"id": 1, "file_name": "1.png"}], "categories": [{"id": 1, "name": "x"}],
                                     "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9]}]})");
    EXPECT_EQ(open_dataset(fiftyone.path()).train.size(), 1U);
    fiftyone.write("more/1.png", picture(2));  // which of the two?
    EXPECT_TRUE(has(refusal([&] { open_dataset(fiftyone.path()); }), "is not there"));
    // The picture with the ending that the file names.
    const TemporaryDirectory labelme;
    labelme.write("p.bmp", "BM");
    labelme.write("p.png", picture(1));
    labelme.write("p.json", R"({"version": "5", "imagePath": "p.png", "shapes": [
                                {"label": "x", "points": [[1, 1], [9, 9]], "shape_type": "rectangle"}]})");
    EXPECT_TRUE(open_dataset(labelme.path()).train.at(0).path.ends_with("p.png"));
    // CVAT's MOT names its classes; numbers that are none of MOT16's stay numbers.
    const TemporaryDirectory mot;
    mot.write("img1/000001.png", picture(1));
    mot.write("gt/gt.txt", "1,1,2,2,9,9,1,1,1.0\n1,2,4,4,9,9,1,2,1.0\n");
    mot.write("gt/labels.txt", "car\nbus\n");
    EXPECT_EQ(open_dataset(mot.path()).classes, (Names{"car", "bus"}));
    std::filesystem::remove(mot / "gt/labels.txt");
    mot.write("gt/gt.txt", "1,1,2,2,9,9,1,0,1.0\n1,2,4,4,9,9,1,20,1.0\n");
    EXPECT_EQ(open_dataset(mot.path()).classes, (Names{"class0", "class20"}));
    // Pictures from 0, rows from 1: told by the last, or refused.
    std::filesystem::rename(mot / "img1/000001.png", mot / "img1/000000.png");
    EXPECT_EQ(open_dataset(mot.path()).train.at(0).objects.size(), 2U);
    mot.write("img1/000001.png", picture(3));
    EXPECT_TRUE(has(refusal([&] { open_dataset(mot.path()); }), "numbered from 0"));
}

}  // namespace
}  // namespace solobox
