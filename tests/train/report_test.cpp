// The report page: complete, well-formed, escaped, closed to the outside, and honest about what has no number.
#include "train/report/report.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <locale>
#include <pugixml.hpp>
#include <string>
#include <string_view>

#include "data/image/draw.h"
#include "train/report/parts.h"
#include "train/report/text.h"

namespace solobox {
namespace {

using report_parts::Flow;
using report_parts::flow_state;

constexpr double inf = INFINITY;

std::size_t count(std::string_view text, std::string_view what) {
    std::size_t found = 0;
    for (std::size_t at = text.find(what); at != std::string_view::npos; at = text.find(what, at + what.size()))
        ++found;
    return found;
}

// pugixml forgives a stray "<" in text or a missing root, so the tags are also counted by hand.
pugi::xml_document parsed(const std::string& page) {
    pugi::xml_document document;
    const pugi::xml_parse_result result = document.load_string(page.c_str(), pugi::parse_default | pugi::parse_doctype);
    EXPECT_TRUE(result) << result.description() << " near " << page.substr(static_cast<std::size_t>(result.offset), 80);
    EXPECT_STREQ(document.document_element().name(), "html");
    std::size_t elements = 0;
    const std::function<void(const pugi::xml_node&)> walk = [&](const pugi::xml_node& node) {
        ++elements;
        for (const pugi::xml_node& child : node.children())
            if (child.type() == pugi::node_element) walk(child);
    };
    walk(document.document_element());
    EXPECT_EQ(elements, count(page, "<") - count(page, "</") - count(page, "<!DOCTYPE"));
    return document;
}

// No attribute leads outside: only data URIs, fragments and references to patterns of the page itself.
void expect_closed(const pugi::xml_node& node) {
    for (const pugi::xml_attribute& a : node.attributes()) {
        const std::string name = a.name(), value = a.value();
        if (name == "src" || name == "href" || name == "xlink:href" || name == "srcset" || name == "action" ||
            name == "data") {
            EXPECT_TRUE(value.starts_with("data:image/") || value.starts_with("#"))
                << node.name() << " " << value.substr(0, 60);
        }
        EXPECT_FALSE(name.starts_with("on")) << "inline handler " << name;
    }
    EXPECT_STRNE(node.name(), "link");
    EXPECT_STRNE(node.name(), "iframe");
    for (const pugi::xml_node& child : node.children()) expect_closed(child);
}

// Numbers in geometry attributes must be numbers.
void expect_finite_geometry(const pugi::xml_node& node) {
    for (const char* name :
         {"x", "y", "x1", "x2", "y1", "y2", "width", "height", "d", "cx", "cy", "r", "style", "viewBox"}) {
        const std::string value = node.attribute(name).value();
        for (const char* bad : {"nan", "NaN", "inf", "-nan", "e+", "e-"})
            EXPECT_EQ(value.find(bad), std::string::npos) << node.name() << " " << name << "=" << value.substr(0, 80);
    }
    for (const pugi::xml_node& child : node.children()) expect_finite_geometry(child);
}

void expect_sound(const std::string& page) {
    const pugi::xml_document document = parsed(page);
    expect_closed(document);
    expect_finite_geometry(document.child("html").child("body"));
    EXPECT_EQ(page.find("://"), std::string::npos);
    EXPECT_EQ(page.find("@import"), std::string::npos);
}

Image noise(int width, int height, unsigned seed) {
    Image image{width, height,
                std::vector<std::uint8_t>(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3)};
    for (std::uint8_t& v : image.rgb) v = static_cast<std::uint8_t>((seed = seed * 1664525U + 1013904223U) >> 24U);
    return image;
}

Report rich() {
    Report r;
    r.title = "overfit: 3 images";
    r.verdict = "pass";
    r.verdict_text = "All images are learned.";
    r.summary = {{"mean IoU", "0.991"}, {"mean-box IoU", "0.627"}};
    r.plots = {{"Loss", "step", {{"train", {0, 1, 2, 3}, {1.0, 0.1, 0.01, 0.001}, true}}, "falls"}};
    r.fields = {
        {"pulls",
         "Pulls",
         "where to",
         {{"truth", "target"}, {"dot", "none"}},
         {{"first field", "a loss", "cx", "cy", false, 2, 1, {0, 1}, {{1, 0}, {0, 0}}, {{{}, "truth"}}, {}, "points"},
          {"second field", "", "w", "h", true, 1, 2, {NAN, INFINITY}, {{NAN, 1}, {0, -1}}, {}, {{0.5, 0.2}}, ""}}}};
    r.pictures = {{"good.jpg", noise(40, 30, 1), UnitBox{}, UnitBox{}, 0.97},
                  {"worst.jpg", noise(400, 300, 2), UnitBox{}, UnitBox{0.4, 0.4, 0.5, 0.5}, 0.12},
                  {"middle.jpg", noise(64, 64, 3), UnitBox{}, UnitBox{}, 0.55}};
    r.layer_steps = {0, 1, 2, 3};
    r.layers = {{"first.weight", {0, 0, 0, 0}, {1, 1, 1, 1}, {0, 0, 0, 0}, {1, 1, 1, 1}},
                {"head.weight", {0.1, 0.2, 0.3, 0.4}, {1, 1, 1, 1}, {1e-3, 1e-3, 1e-3, 1e-3}, {}}};
    r.findings = {{"INFO", "D45", "image is small", "imgsz=384"},
                  {"FAIL", "D03", "blocked layer", "check the backward"}};
    r.config = {{"batch", "8", "command line"}, {"seed", "0", "default"}};
    r.environment = {{"CPU", "some processor"}};
    return r;
}

std::string paths_of_first_plot(const std::string& page) {
    const std::size_t at = page.find("<path class=\"line c0\" d=\"", page.find("class=\"pa\""));
    return at == std::string::npos ? "" : page.substr(at + 25, page.find('"', at + 25) - at - 25);
}

TEST(Report, ShowsEveryPart) {
    const std::string page = render_report(rich());
    expect_sound(page);
    for (const char* text : {"overfit: 3 images",
                             "Passed",
                             "All images are learned.",
                             "0.991",
                             "0.627",
                             "first field",
                             "second field",
                             "href=\"#pulls\"",
                             "good.jpg",
                             "worst.jpg",
                             "middle.jpg",
                             "first.weight",
                             "head.weight",
                             "D45",
                             "image is small",
                             "imgsz=384",
                             "check the backward",
                             "command line",
                             "some processor",
                             "log scale",
                             "falls",
                             "prefers-color-scheme: dark",
                             "@media print"})
        EXPECT_NE(page.find(text), std::string::npos) << text;
    EXPECT_LT(page.find("title=\"worst.jpg\""), page.find("title=\"middle.jpg\""));
    EXPECT_LT(page.find("title=\"middle.jpg\""), page.find("title=\"good.jpg\""));
    EXPECT_LT(page.find("D03"), page.find("D45"));
    EXPECT_EQ(count(page, "class=\"truth\" x="), 4U);  // of three pictures and a field
    EXPECT_EQ(count(page, "class=\"prediction\" x="), 3U);
    EXPECT_EQ(count(page, "<tr class=\"set\">"), 1U);
}

TEST(Report, FieldsHaveAnArrowOrADotPerCell) {
    const std::string page = render_report(rich());
    const pugi::xml_document document = parsed(page);
    const auto section = document.find_node([](const pugi::xml_node& n) {
        return std::string_view(n.name()) == "section" && std::string_view(n.attribute("id").value()) == "pulls";
    });
    const auto fields = section.find_child_by_attribute("class", "fields");
    const pugi::xml_node first = fields.first_child(), second = first.next_sibling();
    const auto path = [](const pugi::xml_node& figure, const char* kind) {
        const auto n = figure.find_node([&](const pugi::xml_node& x) {
            return std::string_view(x.name()) == "path" && std::string_view(x.attribute("class").value()) == kind;
        });
        return std::string(n.attribute("d").value());
    };
    // To the right, in the left half; half of 0.92 cells to either side of its middle.
    EXPECT_TRUE(path(first, "arrows").starts_with("M20 500L480 500M")) << path(first, "arrows");
    EXPECT_EQ(path(first, "still"), "M750 500h0");
    EXPECT_EQ(path(first, "shade"), "M500 0H1000V1000H500z") << "the darker cell; the lightest is left out";
    // What is not finite has no arrow; y upwards: row 1 is the upper half, and an arrow of falling y points down.
    EXPECT_TRUE(path(second, "arrows").starts_with("M500 20L500 480M")) << path(second, "arrows");
    EXPECT_EQ(path(second, "still"), "");
    EXPECT_TRUE(path(second, "cross").starts_with("M500 800")) << path(second, "cross");
}

TEST(Report, BlockedLayerIsSaidInWords) {
    const std::string page = render_report(rich());
    EXPECT_NE(page.find("<b>1 of 2</b> parameter tensors receive no gradient"), std::string::npos);
    EXPECT_NE(page.find("<code>first.weight</code> blocked, in every recorded step"), std::string::npos);
    EXPECT_NE(page.find("class=\"hatch\""), std::string::npos);
    EXPECT_NE(page.find(">blocked</text>"), std::string::npos);
    Report healthy = rich();
    healthy.layers.erase(healthy.layers.begin());
    const std::string fine = render_report(healthy);
    EXPECT_EQ(fine.find("class=\"hatch\""), std::string::npos);
    EXPECT_EQ(fine.find("blocked</"), std::string::npos);
}

TEST(Report, FlowStates) {
    EXPECT_EQ(flow_state({1, 2, 3}, 2).flow, Flow::fine);
    EXPECT_EQ(flow_state({0, 0, 3}, 2).flow, Flow::fine);
    const auto stopped = flow_state({1, 2, 0, NAN, 0}, 4);
    EXPECT_EQ(stopped.flow, Flow::zero);
    EXPECT_EQ(stopped.since, 2U);
    EXPECT_FALSE(stopped.always);
    EXPECT_TRUE(flow_state({0, NAN, 0}, 2).always);
    EXPECT_EQ(flow_state({}, 4).flow, Flow::missing);
    EXPECT_TRUE(flow_state({NAN, NAN}, 1).always);
    const auto lost = flow_state({1, 2, NAN, NAN}, 3);
    EXPECT_EQ(lost.flow, Flow::missing);
    EXPECT_EQ(lost.since, 2U);
    EXPECT_EQ(flow_state({1, 2, NAN, NAN}, 1).flow, Flow::fine);  // nobody was recorded after step 1
    EXPECT_EQ(flow_state({1, inf}, 1).flow, Flow::not_finite);
}

TEST(Report, EmptyPartsAreLeftOut) {
    const std::string page = render_report({});
    expect_sound(page);
    EXPECT_EQ(page.find("<section"), std::string::npos);
    EXPECT_EQ(page.find("class=\"verdict"), std::string::npos);
    Report bare;
    bare.plots = {{"empty", "", {}, ""}, {"no values", "", {{"a", {}, {}}, {"b", {1, 2}, {NAN, NAN}}}, ""}};
    bare.layers = {{"w", {}, {}, {}, {}}};
    bare.pictures = {{"", {}, {}, {}, 0}, {"sizes disagree", Image{5, 5, {1}}, {}, {}, 1}};
    expect_sound(render_report(bare));
}

TEST(Report, HostileTextIsEscaped) {
    const std::string evil = "<script>alert(\"1\")</script>&amp;'\x01\x7f\xff\xc0\xaf\xed\xa0\x80\xe2\x80\xae]]>";
    Report r = rich();
    r.title = r.verdict = r.verdict_text = evil;
    r.summary = {{evil, evil}};
    r.plots[0].title = r.plots[0].x_label = r.plots[0].note = r.plots[0].curves[0].name = evil;
    r.fields[0].title = r.fields[0].lead = r.fields[0].key[0].first = r.fields[0].key[0].second = evil;
    for (ReportField& f : r.fields[0].fields) f.title = f.subtitle = f.x_label = f.y_label = f.note = evil;
    r.fields[0].fields[0].rects[0].look = evil;
    for (ReportPicture& p : r.pictures) p.name = evil;
    for (ReportLayer& l : r.layers) l.name = evil;
    r.findings = {{evil, evil, evil, evil}};
    r.config = {{evil, evil, evil}};
    r.environment = {{evil, evil}};
    const std::string page = render_report(r);
    expect_sound(page);
    EXPECT_EQ(count(page, "<script"), 1U);
    EXPECT_EQ(page.find("alert(\""), std::string::npos);
    for (const char c : page) EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20 || c == '\n');
    EXPECT_EQ(page.find('\x7f'), std::string::npos);
    EXPECT_EQ(page.find("\xe2\x80\xae"), std::string::npos);
    EXPECT_EQ(report_text::escape("a\xff"
                                  "b"),
              "a\xEF\xBF\xBD"
              "b");
    EXPECT_EQ(report_text::escape("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    EXPECT_EQ(report_text::escape("a\tb\r\nc"), "a b  c");
    EXPECT_EQ(report_text::escape("\xe2\x82"), "\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(Report, NaNIsAGapInTheLine) {
    Report r;
    r.plots = {{"p", "x", {{"c", {0, 1, 2, 3, 4, 5, 6}, {1, 2, NAN, 2, NAN, 1, 1}}}, ""}};
    const std::string d = paths_of_first_plot(render_report(r));
    EXPECT_EQ(count(d, "M"), 3U) << d;
    EXPECT_EQ(count(d, "L"), 2U) << d;
    EXPECT_EQ(count(d, "h0"), 1U) << d;  // the lonely value is a dot
}

TEST(Report, LogAxisLeavesOutWhatHasNoLogarithm) {
    Report r;
    r.plots = {{"p", "x", {{"c", {0, 1, 2, 3}, {1, 0, -1, 1e-6}, true}}, ""},
               {"q", "x", {{"c", {0, 1}, {0, -1}, true}}, ""}};
    const std::string page = render_report(r);
    expect_sound(page);
    EXPECT_NE(page.find("2 at or below 0 not on a log axis"), std::string::npos);
    EXPECT_EQ(count(page, "log scale</small>"), 1U);  // the second has nothing positive and stays linear
}

TEST(Report, ExtremeNumbersDoNotBreakTheDrawing) {
    Report r = rich();
    const std::vector<std::vector<double>> hard = {
        {1.7e308, -1.7e308}, {5e-324, 1e-320}, {inf, -inf, 3, NAN}, {7},
        {7, 7, 7},           {0, 0},           {1e15, 1e15 + 1},    {-1e-300, 1e-300}};
    for (const auto& y : hard)
        for (const bool log_scale : {false, true}) {
            std::vector<double> x;
            for (std::size_t i = 0; i < y.size(); ++i) x.push_back(static_cast<double>(i));
            r.plots.push_back(
                {"hard",
                 "x",
                 {{"by index", x, y, log_scale}, {"by itself", y, y, log_scale}, {"no x", {}, y, log_scale}},
                 ""});
            r.layers.push_back({"hard", y, y, y, y});
        }
    for (ReportPicture& p : r.pictures) {
        p.truth = UnitBox{inf, NAN, 1, 1};
        p.prediction = UnitBox{1e300, -1e300, 1e308, -1};
        p.score = inf;
    }
    r.layer_steps = {NAN, inf, 3, 2};
    expect_sound(render_report(r));
}

TEST(Report, HundredLargeNoisyPicturesStayUnderTwoMegabytes) {
    Report r;
    for (int i = 0; i < 100; ++i) {
        const bool tall = i % 3 == 0;
        r.pictures.push_back({"picture " + std::to_string(i),
                              noise(tall ? 300 : 500, tall ? 700 : 375, static_cast<unsigned>(i)), UnitBox{}, UnitBox{},
                              i / 100.0});
    }
    const std::string page = render_report(r);
    EXPECT_LT(page.size(), 2'000'000U);
    for (const ReportPicture& p : r.pictures) EXPECT_NE(page.find(">" + p.name + "<"), std::string::npos) << p.name;
    expect_closed(parsed(page));
}

TEST(Report, ManyPicturesAreListedByName) {
    Report r;
    for (int i = 0; i < 700; ++i)
        r.pictures.push_back(
            {"p" + std::to_string(i) + ".jpg", noise(8, 8, static_cast<unsigned>(i)), {}, {}, i / 700.0});
    const std::string page = render_report(r);
    expect_sound(page);
    EXPECT_LT(page.size(), 2'000'000U);
    for (const ReportPicture& p : r.pictures) EXPECT_NE(page.find(p.name), std::string::npos) << p.name;
}

TEST(Report, LongRunsAndDeepModelsStaySmall) {
    Report r;
    std::vector<double> x, y;
    for (int i = 0; i < 100'000; ++i) {
        x.push_back(i);
        y.push_back(i == 54'321 ? 1000 : std::sin(i * 0.01));
    }
    r.plots = {{"p", "step", {{"c", x, y}}, ""}};
    for (int l = 0; l < 160; ++l) {
        ReportLayer layer{"layer" + std::to_string(l), {}, {}, {}, {}};
        for (int i = 0; i < 1000; ++i) layer.grad_norm.push_back(l % 5 == 0 && i % 2 == 0 ? 0 : 1.0 / (1 + i));
        layer.update_ratio = layer.weight_norm = layer.dead_fraction = layer.grad_norm;
        r.layers.push_back(layer);
    }
    const std::string page = render_report(r);
    expect_sound(page);
    EXPECT_LT(page.size(), 1'000'000U);
    EXPECT_NE(page.find("1000 <small>@ 54321</small>"), std::string::npos);
    EXPECT_EQ(count(paths_of_first_plot(page), " 10.0"), 1U);  // the spike survives the thinning: top of the plot
}

// A comma for the point and dots between thousands, without asking the system for a locale it may not have.
struct GermanNumbers : std::numpunct<char> {
    char do_decimal_point() const override { return ','; }
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\3"; }
};

TEST(Report, NumbersIgnoreTheLocale) {
    const std::string before = render_report(rich());
    const std::locale old = std::locale::global(std::locale(std::locale::classic(), new GermanNumbers));
    const std::string after = render_report(rich());
    std::locale::global(old);
    EXPECT_EQ(after, before);
}

TEST(Report, NumbersAreShort) {
    EXPECT_EQ(report_text::number(1e-5), "1e-5");
    EXPECT_EQ(report_text::number(1.5e20), "1.5e20");
    EXPECT_EQ(report_text::number(0.01234567), "0.01235");
    EXPECT_EQ(report_text::number(-0.0), "0");
    EXPECT_EQ(report_text::number(NAN), "NaN");
    EXPECT_EQ(report_text::number(-inf), "-inf");
}

TEST(Report, TicksAreRoundAndInside) {
    const auto ticks = report_parts::linear_ticks(0, 0.97, 5);
    EXPECT_EQ(ticks.labels.front(), "0.0");
    EXPECT_EQ(ticks.labels.back(), "0.8");
    const auto decades = report_parts::decade_ticks(-3.2, 0.5, 6);
    EXPECT_EQ(decades.labels, (std::vector<std::string>{"0.001", "0.01", "0.1", "1"}));
    // Every other decade would leave one number alone: each of them, then.
    EXPECT_EQ(report_parts::decade_ticks(-1.9, 1.5, 3).labels, (std::vector<std::string>{"0.1", "1", "10"}));
    EXPECT_TRUE(report_parts::linear_ticks(NAN, 1, 5).at.empty());
    EXPECT_TRUE(report_parts::linear_ticks(1, 1, 5).at.empty());
}

TEST(Report, SameInputSameBytes) { EXPECT_EQ(render_report(rich()), render_report(rich())); }

TEST(DrawPictures, GridHoldsEveryPictureAndBothColours) {
    const auto pictures = rich().pictures;
    const Image grid = draw_pictures(pictures, 2, 120);
    ASSERT_GT(grid.width, 240);
    ASSERT_GT(grid.height, 240);
    ASSERT_EQ(grid.rgb.size(), static_cast<std::size_t>(grid.width) * static_cast<std::size_t>(grid.height) * 3);
    std::size_t green = 0, red = 0;
    for (std::size_t i = 0; i < grid.rgb.size(); i += 3) {
        green +=
            grid.rgb[i] == colour::truth.r && grid.rgb[i + 1] == colour::truth.g && grid.rgb[i + 2] == colour::truth.b
                ? 1
                : 0;
        red += grid.rgb[i] == colour::prediction.r && grid.rgb[i + 1] == colour::prediction.g &&
                       grid.rgb[i + 2] == colour::prediction.b
                   ? 1
                   : 0;
    }
    EXPECT_GT(green, 100U);
    EXPECT_GT(red, 100U);
}

TEST(DrawPictures, StrangeArgumentsStillGiveAPicture) {
    EXPECT_GT(draw_pictures({}, 0, 0).width, 0);
    EXPECT_GT(draw_pictures(rich().pictures, -5, -5).width, 0);
    EXPECT_GT(draw_pictures(rich().pictures, 1'000'000, 1'000'000).width, 0);
    auto broken = rich().pictures;
    broken[0].image = {};
    broken[1].prediction = {NAN, 0, 0, 0};
    broken[1].score = NAN;
    broken[2].name = std::string(500, 'x');
    EXPECT_GT(draw_pictures(broken, 3, 64).height, 0);
}

}  // namespace
}  // namespace solobox
