// Units that get no gradient, or next to none: counted from one backward pass.
#include "train/step/flow.h"

#include <gtest/gtest.h>

#include <cmath>

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

TEST(EngineFlow, DeadUnitsAreCounted) {
    Parameter conv(Tensor::zeros({1, 1, 2, 4}), ParamKind::weight, Layout::hwio),
        bias(Tensor::zeros({4}), ParamKind::bias), linear(Tensor::zeros({2, 3}));
    FlowRecorder flow({{"conv", &conv}, {"bias", &bias}, {"linear", &linear}});
    conv.grad = Tensor::zeros({1, 1, 2, 4});
    conv.grad.mutable_data()[4 + 2] = 1;  // the third filter alone
    linear.grad = Tensor::full({2, 3}, 1);
    flow.before_update(1);
    flow.after_update();
    EXPECT_EQ(flow.flows()[0].samples[0].dead_fraction, 0.75);
    EXPECT_TRUE(std::isnan(flow.flows()[1].samples[0].dead_fraction));  // no gradient arrived at all
    EXPECT_EQ(flow.flows()[2].samples[0].dead_fraction, 0);
    EXPECT_EQ(flow.flows()[2].samples[0].saturated_fraction, 0);
    EXPECT_EQ(layer_row(flow.flows()[0])[5], "0.75");
}

// A unit that sits on the flat part of what follows still gets a gradient, and next to nothing of it.
TEST(EngineFlow, SaturatedUnitsAreCounted) {
    Parameter linear(Tensor::zeros({4, 2}));
    FlowRecorder flow({{"linear", &linear}});
    linear.grad = Tensor::full({4, 2}, 1);
    for (int k : {0, 1})
        linear.grad.mutable_data()[k] = static_cast<Real>(0.009), linear.grad.mutable_data()[2 + k] = 0;
    flow.before_update(1);
    flow.after_update();
    EXPECT_EQ(flow.flows()[0].samples[0].saturated_fraction, 0.25);
    EXPECT_EQ(flow.flows()[0].samples[0].dead_fraction, 0.25);
}

// The momentum follows its schedule: with 0 from the second step on, SGD forgets what it has gathered.

}  // namespace
}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
