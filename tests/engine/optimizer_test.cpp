// Groups of an optimizer: their rates, their decay, and the floors of a plateau.
#include "optim/optimizer.h"

#include <gtest/gtest.h>

#include "nn/models/single_box.h"
#include "optim/schedule.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

TEST(EngineOptimizer, GroupsSetRateAndDecayAndEveryRuleMustFit) {
    SingleBoxConfig small = tiny_config();
    small.image = {32, 32}, small.hidden = 16, small.norm = NormKind::batch;
    SingleBox net(small, 1);
    const auto params = parameters_of(net);
    const auto members = decay_weights_only(params, 0.1, {{params.front().name, 0.5, 0.0}, {"", 2, std::nullopt}});
    EXPECT_EQ(members.front().lr_scale, 0.5);
    EXPECT_EQ(members.front().weight_decay, 0);
    for (std::size_t i = 1; i < members.size(); ++i) {
        EXPECT_EQ(members[i].lr_scale, 2);
        EXPECT_EQ(members[i].weight_decay, params[i].param->kind == ParamKind::weight ? 0.1 : 0) << params[i].name;
    }
    EXPECT_THROW(decay_weights_only(params, 0.1, {{"backbone.", 0.1, 0.0}}), ConfigError);
    EXPECT_THROW(decay_weights_only(params, 0.1, {{"", 1, 0.0}, {params.front().name, 1, 0.0}}), ConfigError)
        << "the second rule gets nothing";
    std::vector<NamedParameter> twice = params;
    twice.push_back(params.front());
    EXPECT_THROW(Sgd(decay_weights_only(twice, 0), {}), ConfigError);
}

TEST(EngineOptimizer, GroupsMayHaveRatesOfTheirOwnAtEveryStep) {
    Parameter weight(Tensor::full({2}, 1)), bias(Tensor::full({2}, 1), ParamKind::bias);
    const std::vector<NamedParameter> params{{"a.weight", &weight}, {"a.bias", &bias}};
    Sgd sgd(decay_weights_only(params, 0, {{"", 1, {}, ParamKind::bias}}), {0});
    EXPECT_EQ(sgd.members()[0].group, 1U);  // no rule fits: behind the last
    EXPECT_EQ(sgd.members()[1].group, 0U);
    for (const NamedParameter& p : params) p.param->grad = Tensor::full({2}, 1);
    sgd.step(100, {0.25, 0.5});
    EXPECT_EQ(weight.value[0], Real(0.5));
    EXPECT_EQ(bias.value[0], Real(0.75));
    EXPECT_THROW(sgd.step(1, {0.25}), Error);
}

TEST(EngineOptimizer, APlateauLowersEachRateToItsOwnFloor) {
    schedule::Plateau::Config config;
    config.factor = 0.1, config.patience = 0, config.min_lr = {0.05, 0.002, 0};
    schedule::Plateau plateau(config, {1, 0.01, 4e-8});
    for (const double metric : {1.0, 2.0, 2.0}) plateau.see(metric);
    EXPECT_DOUBLE_EQ(plateau.lr(0), 0.05);
    EXPECT_DOUBLE_EQ(plateau.lr(1), 0.002);
    EXPECT_DOUBLE_EQ(plateau.lr(2), 4e-9);  // the first drop is above eps = 1e-8, the second is not
    EXPECT_THROW(schedule::Plateau(config, {1, 2}), ConfigError);
}

}  // namespace
}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
