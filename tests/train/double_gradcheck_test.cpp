// Every op, layer, loss and model against central differences, in double.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>

#include "nn/losses.h"
#include "train/proof/gradcheck.h"

namespace solobox {
namespace {

class Gradcheck : public ::testing::TestWithParam<std::string> {};

TEST_P(Gradcheck, BackwardIsTheDerivative) {
    std::int64_t compared = 0, kinks = 0;
    for (const auto& r : run_gradcheck(GetParam(), 1)) {
        EXPECT_TRUE(r.pass) << r.name << " " << r.shapes << ": error " << r.error << " at " << r.worst;
        compared += r.coordinates;
        kinks += r.kinks;
    }
    EXPECT_LE(static_cast<double>(kinks), std::max(1.0, 0.01 * static_cast<double>(compared)));
}

std::vector<std::string> row_names() {
    std::vector<std::string> names;
    for (const auto& row : ops_table()) names.push_back(row.name);
    return names;
}

INSTANTIATE_TEST_SUITE_P(Rows, Gradcheck, ::testing::ValuesIn(row_names()), [](const auto& row) {
    return std::regex_replace(row.param, std::regex("[^A-Za-z0-9]"), "_");
});

// An op is what some source file records on the tape; each needs a row, or nobody checks its backward.
TEST(OpsTable, EveryRecordedOpHasARow) {
    std::set<std::string> recorded;
    const std::regex call(
        "(?:record|pointwise|read_window|extremum|shared_extremum|first_extremum|spread|resample|finish)\\(\\s*\"([a-"
        "z0-9_]+)\"");
    for (const auto& entry : std::filesystem::directory_iterator(SOLOBOX_SOURCE_DIR "/tensor/ops")) {
        if (entry.path().extension() != ".cpp") continue;
        std::ifstream in(entry.path());
        const std::string text{std::istreambuf_iterator<char>(in), {}};
        for (auto it = std::sregex_iterator(text.begin(), text.end(), call); it != std::sregex_iterator(); ++it)
            recorded.insert((*it)[1]);
    }
    EXPECT_GE(recorded.size(), 50U);
    recorded.erase("argmax");  // not differentiable
    const auto names = row_names();
    for (const auto& op : recorded)
        EXPECT_NE(std::find(names.begin(), names.end(), op), names.end()) << op << " has no row in train/ops_table.cpp";
}

// The check itself must be able to fail: a case whose backward is wrong in one factor.
TEST(GradcheckItself, SeesAWrongBackward) {
    OpCase broken;
    broken.inputs.push_back(std::make_shared<Parameter>(Tensor::from({3}, {0.5, -1, 2})));
    broken.shapes = "3";
    broken.run = [p = broken.inputs[0]] {
        const Var x = use(*p);
        Tensor y(x.shape());
        for (int i = 0; i < 3; ++i) y.mutable_data()[i] = x.value()[i] * x.value()[i];
        return record("broken_square", y, {x}, [v = x.value()](const Tensor& dy) -> Grads {
            Tensor dx(v.shape());
            for (int i = 0; i < 3; ++i) dx.mutable_data()[i] = dy[i] * v[i] * (i == 1 ? 2.001 : 2);
            return {dx};
        });
    };
    const GradcheckResult r = gradcheck({"broken_square", "op", nullptr}, broken, 0);
    EXPECT_FALSE(r.pass);
    EXPECT_NE(r.worst.find("[1]"), std::string::npos) << r.worst;
}

TEST(GradcheckItself, CountsCoordinatesAtAKink) {
    OpCase c;
    c.inputs.push_back(std::make_shared<Parameter>(Tensor::from({4}, {1e-8, -3, 2, 1})));
    c.shapes = "4";
    c.run = [p = c.inputs[0]] { return abs(use(*p)); };
    const GradcheckResult r = gradcheck({"abs", "op", nullptr}, c, 0);
    EXPECT_TRUE(r.pass);
    EXPECT_EQ(r.kinks, 1);
    EXPECT_EQ(r.coordinates, 3);
}

}  // namespace
}  // namespace solobox
