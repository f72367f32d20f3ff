// Splits that the user says: lists and expressions, for every format.
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

// ---- splits that are said

TEST(Layouts, SplitsByListsAndByExpression) {
    const TemporaryDirectory dir;
    for (int i = 0; i < 6; ++i) {
        const std::string name = fmt::format("video{}#t={}.mp4.png", i % 3, i);
        dir.write("images/" + name, picture(i));
        dir.write("labels/" + file_stem(name) + ".txt", a_box);
    }
    OpenOptions options;
    options.val_match = "video[12]#";
    DataSet set = open_dataset(dir.path(), options);
    EXPECT_EQ(set.train.size(), 2U);
    EXPECT_EQ(set.val.size(), 4U);
    EXPECT_TRUE(has(set.split, "val_match"));
    options.val_match = "nothing";
    EXPECT_THROW(open_dataset(dir.path(), options), ConfigError);
    options.val_match = "video[";
    EXPECT_THROW(open_dataset(dir.path(), options), ConfigError);
    options.val_match = "";
    // Bare names, names without ending, paths; CRLF; the rest is the other part.
    options.val_list = dir.write("lists/val.lst", "video0#t=0.mp4.png\r\nvideo1#t=1.mp4\nimages/video2#t=2.mp4.png\n");
    set = open_dataset(dir / "images/..", options);
    EXPECT_EQ(set.val.size(), 3U);
    EXPECT_EQ(set.train.size(), 3U);
    options.train_list = dir.write("lists/train.lst", "video0#t=3.mp4.png\n");
    set = open_dataset(dir.path(), options);
    EXPECT_EQ(set.train.size(), 1U);
    EXPECT_EQ(tally_of(set.tallies, "in neither list"), 2);
    dir.write("lists/train.lst", "video0#t=0.mp4.png\n");
    EXPECT_TRUE(has(refusal([&] { open_dataset(dir.path(), options); }), "stands in both lists"));
    dir.write("lists/train.lst", "video0#t=3.mp4.png\nno such.png\n");
    EXPECT_TRUE(has(refusal([&] { open_dataset(dir.path(), options); }), "train.lst: line 2: \"no such.png\""));
    options.skip_bad = true;
    EXPECT_EQ(open_dataset(dir.path(), options).train.size(), 1U);
    options.val_match = "x";
    EXPECT_THROW(open_dataset(dir.path(), options), ConfigError);
}

TEST(Layouts, TheSaidSplitTakesAllPartsOfTheSet) {
    const TemporaryDirectory dir;
    for (const auto& [part, i] : {std::pair{"train", 0}, {"train", 1}, {"valid", 2}, {"test", 3}}) {
        dir.write(fmt::format("{}/v{}.png", part, i), picture(i));
        dir.write(fmt::format("{}/v{}.xml", part, i), voc_of(fmt::format("v{}.png", i)));
    }
    OpenOptions options;
    options.val_match = "v[03]";
    const DataSet set = open_dataset(dir.path(), options);
    EXPECT_EQ(names_of(set.val), (Names{"v3.png", "v0.png"}));  // in byte order of path
    EXPECT_EQ(names_of(set.train), (Names{"v1.png", "v2.png"}));
}

}  // namespace
}  // namespace solobox
