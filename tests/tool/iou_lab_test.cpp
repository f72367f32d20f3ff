// solobox iou-lab as its users meet it: streams, the page, JSON, and what is refused.
#include "tests/support/cli_program.h"

namespace solobox {
namespace {

namespace fs = std::filesystem;
using namespace fixtures;

class IouLabCli : public Cli {
protected:
    Outcome lab(Words more) const {
        more.insert(more.begin(), {"iou-lab", "--grid", "7", "--steps", "40", "--lr", "0.005,0.02"});
        return run(more);
    }
};

TEST_F(IouLabCli, TableAndPage) {
    const Outcome r = lab({"--losses", "iou,ciou"});
    EXPECT_EQ(r.code, 0) << r.err;
    for (const char* text : {"no pull", "far", "aspect", "\niou ", "\nciou ", "runs/iou-lab/iou-lab.html\n"})
        EXPECT_TRUE(has(r.out, text)) << text << "\n" << r.out;
    EXPECT_FALSE(has(r.out, "giou"));
    for (const char c : r.out) EXPECT_TRUE(static_cast<unsigned char>(c) < 0x80) << "not ASCII";
    expect_plain(r.err);
    EXPECT_NE(r.err, "");
    const std::string page = read_text(file("runs/iou-lab/iou-lab.html"));
    EXPECT_TRUE(has(page, "id=\"pull-on-the-centre\""));
    // Again, quietly and elsewhere: the same bytes, and the old page is written anew without a question.
    const Outcome again = lab({"--losses", "iou,ciou", "-q", "--threads", "3", "--out", file("deep/er/page.html")});
    EXPECT_EQ(again.code, 0);
    EXPECT_EQ(again.err, "");
    EXPECT_EQ(read_text(file("deep/er/page.html")), page);
    EXPECT_EQ(lab({"--losses", "iou,ciou"}).code, 0);
    EXPECT_EQ(read_text(file("runs/iou-lab/iou-lab.html")), page);
}

TEST_F(IouLabCli, JsonHasOneObjectPerLoss) {
    const Json j = object_of(lab({"--json", "--losses", "giou,iou,log_wh", "--target", "0.4,0.6,0.3,0.2"}));
    EXPECT_EQ(j["target"], Json({0.4, 0.6, 0.3, 0.2}));
    EXPECT_EQ(j["grid"], 7);
    EXPECT_EQ(j["schedule"], "cosine");
    ASSERT_EQ(j["starts"].size(), 6U);
    ASSERT_EQ(j["losses"].size(), 3U);
    EXPECT_EQ(j["losses"][0]["loss"], "giou");
    for (const Json& loss : j["losses"]) {
        const double share = loss["centre"]["no_pull_share"];
        EXPECT_TRUE(loss["loss"] == "iou" ? share > 0.5 : share < 0.5) << loss["loss"] << share;
        EXPECT_TRUE(loss["best"]["lr"] == 0.005 || loss["best"]["lr"] == 0.02);
        EXPECT_EQ(loss["same_lr"]["lr"], j["same_lr"]);
        EXPECT_EQ(loss["rates"].size(), 2U);
        EXPECT_EQ(loss["best"]["mean_iou"].size(), 41U);
        ASSERT_EQ(loss["best"]["starts"].size(), 6U);
        for (const Json& start : loss["best"]["starts"]) {
            for (const char* key : {"0.5", "0.75", "0.95"}) EXPECT_TRUE(start["steps_to_iou"].contains(key)) << key;
            EXPECT_TRUE(start["final_iou"].is_number());
            EXPECT_TRUE(start["floored"].is_number());
        }
    }
    EXPECT_TRUE(j["losses"][1]["best"]["starts"][0]["steps_to_iou"]["0.5"].is_null());
    EXPECT_TRUE(fs::exists(file(j["page"])));
}

TEST_F(IouLabCli, WhatMeansNothingIsRefused) {
    expect_refused(run({"iou-lab", "--losses", "cuoi"}), 2, {"--losses", "'cuoi'", "'ciou'", "expected"});
    expect_refused(run({"iou-lab", "--losses", "iou,"}), 2, {"--losses", "expected"});
    expect_refused(run({"iou-lab", "--target", "0.5,0.5,0.4"}), 2, {"--target", "found 3", "expected 4"});
    expect_refused(run({"iou-lab", "--target", "0.5,0.5,0.4,x"}), 2, {"--target", "x", "number"});
    expect_refused(run({"iou-lab", "--target", "0.5,0.5,0.4,nan"}), 2, {"--target", "number"});
    expect_refused(run({"iou-lab", "--target", "0.1,0.5,0.4,0.3"}), 2, {"--target", "inside the picture"});
    expect_refused(run({"iou-lab", "--target", ""}), 2, {"--target", "empty"});
    expect_refused(run({"iou-lab", "--size", "0.2"}), 2, {"--size", "found 1", "expected 2"});
    expect_refused(run({"iou-lab", "--size", "0.2,2"}), 2, {"--size", "0.99"});
    expect_refused(run({"iou-lab", "--grid", "100"}), 2, {"--grid", "100", "41"});
    expect_refused(run({"iou-lab", "--steps", "0"}), 2, {"--steps", "expected"});
    expect_refused(run({"iou-lab", "--lr", "0.1,0"}), 2, {"--lr", "above 0"});
    expect_refused(run({"iou-lab", "--lr", "1e-1x"}), 2, {"--lr", "1e-1x"});
    expect_refused(run({"iou-lab", "--schedule", "step"}), 2, {"--schedule", "cosine"});
    expect_refused(run({"iou-lab", "--gird", "9"}), 2, {"--gird", "--grid"});
    EXPECT_FALSE(fs::exists(file("runs"))) << "a refused command leaves nothing";
    fs::create_directories(file("folder"));
    expect_refused(run({"iou-lab", "--out", file("folder")}), 2, {"--out", "directory", "iou-lab.html"});
    EXPECT_EQ(run({"iou-lab", "--out", "/dev/null/x.html"}).code, 1);
}

}  // namespace
}  // namespace solobox
