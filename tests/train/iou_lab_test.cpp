// The IoU lab as a whole: every box loss is in it, its answers do not depend on threads, its page is whole.
#include "train/lab/iou_lab.h"

#include <gtest/gtest.h>

#include <pugixml.hpp>
#include <set>

#include "tensor/kernels/parallel.h"
#include "train/lab/page.h"

namespace solobox {
namespace {

LabSpec small_lab() {
    LabSpec spec;
    spec.grid = 6;
    spec.steps = 12;
    spec.rates = {0.005, 0.05};
    return spec;
}

// The names that box_loss_of would have taken, from its own message.
std::vector<std::string> names_of_losses() {
    std::vector<std::string> names;
    try {
        (void)box_loss_of("?");
    } catch (const ConfigError& e) {
        const std::string text = e.what(), before = "one of ";
        for (std::size_t at = text.find(before) + before.size(); at < text.size();) {
            const std::size_t end = std::min(text.find(", ", at), text.size());
            names.push_back(text.substr(at, end - at));
            at = end + 2;
        }
    }
    return names;
}

TEST(IouLab, EveryBoxLossHasARow) {
    std::set<std::string> shown;
    for (const LabEntry& e : lab_losses()) {
        shown.insert(name_of(e.loss.loss));
        EXPECT_EQ(&lab_loss(e.name), &e) << e.name << " is there twice";
        EXPECT_EQ(e.loss.reduction, Reduction::sum) << e.name << ": each row has its own gradient";
    }
    ASSERT_GE(names_of_losses().size(), 10U);
    for (const std::string& name : names_of_losses()) {
        if (name == "occupancy") continue;  // of a map of cells: there is no single box that it could move
        EXPECT_TRUE(shown.contains(name)) << name << ": no row in iou_lab.cpp";
    }
}

TEST(IouLab, StartsHaveTheirCentreInThePicture) {
    for (const UnitBox& t :
         {UnitBox{0.5, 0.5, 0.5, 0.5}, UnitBox{0.25, 0.75, 0.5, 0.5}, UnitBox{0.02, 0.98, 0.04, 0.04}})
        for (const LabStart& s : lab_starts(t)) {
            EXPECT_TRUE(s.box.cx > 0 && s.box.cx < 1 && s.box.cy > 0 && s.box.cy < 1) << s.name;
            EXPECT_EQ(s.iou == 0, s.name == "far" || s.name == "near") << s.name;
        }
}

TEST(IouLab, SpecsThatMeanNothingAreRefused) {
    const auto refused = [](auto change, const char* option) {
        LabSpec spec;
        change(spec);
        try {
            check_lab(spec);
            ADD_FAILURE() << option << " was taken";
        } catch (const ConfigError& e) {
            EXPECT_NE(std::string(e.what()).find(option), std::string::npos) << e.what();
            EXPECT_NE(std::string(e.what()).find("expected"), std::string::npos) << e.what();
        }
    };
    refused([](LabSpec& s) { s.target = {0.1, 0.5, 0.4, 0.3}; }, "--target");
    refused([](LabSpec& s) { s.target = {0.5, 0.5, 0.6, 0.3}; }, "--target");
    refused([](LabSpec& s) { s.target.w = 0; }, "--target");
    refused([](LabSpec& s) { s.width = 1.5; }, "--size");
    refused([](LabSpec& s) { s.height = -0.1; }, "--size");
    refused([](LabSpec& s) { s.grid = 4; }, "--grid");
    refused([](LabSpec& s) { s.steps = 0; }, "--steps");
    refused([](LabSpec& s) { s.rates = {}; }, "--lr");
    refused([](LabSpec& s) { s.rates = {0.1, -1}; }, "--lr");
    refused([](LabSpec& s) { s.rates = {0.1, 0.1}; }, "--lr");
    refused([](LabSpec& s) { s.losses = {"cuoi"}; }, "did you mean 'ciou'");
    refused([](LabSpec& s) { s.losses = {"iou", "iou"}; }, "--losses");
    check_lab({});
}

TEST(IouLab, ThePageIsTheSameForEveryNumberOfThreads) {
    const int before = thread_count();
    set_thread_count(1);
    const std::string one = render_report(iou_lab_report(run_iou_lab(small_lab())));
    set_thread_count(4);
    const std::string four = render_report(iou_lab_report(run_iou_lab(small_lab())));
    set_thread_count(before);
    EXPECT_TRUE(one == four);
}

TEST(IouLab, ThePageHasTwoFieldsPerLossAndIsWellFormed) {
    LabSpec spec = small_lab();
    for (const std::vector<std::string>& losses : {std::vector<std::string>{}, {"iou"}, {"giou", "mse"}}) {
        spec.losses = losses;
        const IouLab lab = run_iou_lab(spec);
        const std::string page = render_report(iou_lab_report(lab));
        pugi::xml_document document;
        ASSERT_TRUE(document.load_string(page.c_str(), pugi::parse_default | pugi::parse_doctype));
        for (const char* section : {"pull-on-the-centre", "pull-on-the-sides"}) {
            const auto group = document.find_node([&](const pugi::xml_node& n) {
                return std::string(n.name()) == "section" && std::string(n.attribute("id").value()) == section;
            });
            ASSERT_TRUE(group) << section;
            std::vector<std::string> titles;
            for (const pugi::xml_node& figure : group.find_child_by_attribute("class", "fields").children("figure"))
                titles.push_back(figure.child("figcaption").text().get());
            EXPECT_EQ(titles, lab.spec.losses);
        }
        EXPECT_EQ(lab.spec.losses.size(), losses.empty() ? lab_losses().size() : losses.size());
        for (const char* outside : {"://", "@import", "nan", "NaN"})
            EXPECT_EQ(page.find(outside), std::string::npos) << outside;
        EXPECT_LT(page.size(), std::size_t{2} << 20U);
        // One dot for each position without a pull, one arrow for each other.
        std::size_t dots = 0, arrows = 0, none = 0;
        for (const LabLoss& loss : lab.losses)
            for (const LabField* f : {&loss.centre, &loss.size})
                for (const auto& [dx, dy] : f->pull) none += dx == 0 && dy == 0 ? 1 : 0;
        for (std::size_t at = 0; (at = page.find("<path class=\"still\" d=\"", at)) != std::string::npos; ++at)
            for (std::size_t i = at + 23; page[i] != '"'; ++i) dots += page[i] == 'M' ? 1 : 0;
        for (std::size_t at = 0; (at = page.find("<path class=\"arrows\" d=\"", at)) != std::string::npos; ++at)
            for (std::size_t i = at + 24; page[i] != '"'; ++i) arrows += page[i] == 'M' ? 1 : 0;
        EXPECT_EQ(dots, none);
        EXPECT_EQ(arrows / 2, lab.losses.size() * 2 * 36 - none);  // a shaft and a head
    }
}

TEST(IouLab, ThePageSaysWhatWasMeasured) {
    LabSpec spec;
    spec.losses = {"iou", "diou"};
    const IouLab lab = run_iou_lab(spec);
    const std::string page = render_report(iou_lab_report(lab));
    EXPECT_GT(lab.losses[0].centre.still_share, 0.5);
    for (const std::string& text : {fmt::format("iou ({:.1f} %)", 100 * lab.losses[0].centre.still_share),
                                    std::string("iou never moves the box from far and near."),
                                    std::string("A pull on the centre from every position."),
                                    fmt::format("{} / {} / {}", *lab.losses[1].best_race().paths[2].steps_to[0],
                                                *lab.losses[1].best_race().paths[2].steps_to[1],
                                                *lab.losses[1].best_race().paths[2].steps_to[2])})
        EXPECT_NE(page.find(text), std::string::npos) << text;
    EXPECT_EQ(page.find("diou never moves"), std::string::npos);
}

}  // namespace
}  // namespace solobox
