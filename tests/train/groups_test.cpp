// Which parameters an optimizer has, and how fast each goes: groups from a configuration, members that come and go.
#include <gtest/gtest.h>

#include "nn/models/single_box.h"
#include "nn/visit.h"
#include "tests/support/configs.h"
#include "train/step/parameter_groups.h"
#include "train/step/run_rate.h"
#include "train/step/training_schedule.h"

namespace solobox {
namespace {

using fixtures::config_of;

SingleBox small_box() {
    SingleBoxConfig c = tiny_config();
    c.image = {32, 32}, c.hidden = 8;
    return SingleBox(c, 1);
}

TEST(Groups, TheBackboneHasItsOwnRate) {
    SingleBox net = small_box();
    const auto params = parameters_of(net);
    for (const Member& m : optimizer_members(config_of({"backbone_lr=0.1"}), params, net.heads())) {
        const bool trunk = m.param.name.starts_with("feat.");
        EXPECT_EQ(in_backbone(net.heads(), m.param.name), trunk) << m.param.name;
        EXPECT_EQ(m.lr_scale, trunk ? 0.1 : 1) << m.param.name;
    }
    EXPECT_FALSE(in_backbone(net.heads(), "aux_layer3.weight"));
    EXPECT_TRUE(in_backbone(net.heads(), "layer1.0.conv1.weight"));
    EXPECT_FALSE(in_backbone(net.heads(), "fc.bias"));
    // One step of plain SGD on gradients of 1: the factor is what differs.
    const auto sgd = make_optimizer(config_of({"optimizer=SGD", "momentum=0", "weight_decay=0", "backbone_lr=0.25"}),
                                    params, net.heads());
    std::vector<double> before;
    for (const auto& p : params) {
        before.push_back(static_cast<double>(p.param->value[0]));
        p.param->grad = Tensor::full(p.param->value.shape(), 1);
    }
    sgd->step(0.5);
    for (std::size_t i = 0; i < params.size(); ++i)
        EXPECT_NEAR(before[i] - static_cast<double>(params[i].param->value[0]),
                    params[i].name.starts_with("feat.") ? 0.125 : 0.5, 1e-6);
}

TEST(Groups, MembersComeAndGo) {
    SingleBox net = small_box();
    const auto params = parameters_of(net);
    const auto adam = make_optimizer({}, params, net.heads());
    const std::size_t all = adam->members().size();
    EXPECT_THROW(adam->add(optimizer_members({}, {params[2]}, net.heads())), ConfigError);
    params[2].param->trainable = false;
    adam->drop_frozen();
    EXPECT_EQ(adam->members().size(), all - 1);
    params[2].param->trainable = true;
    adam->add(optimizer_members({}, {params[2]}, net.heads()));
    EXPECT_EQ(adam->members().size(), all);
    EXPECT_EQ(adam->members().back().param.name, params[2].name);
}

TEST(Groups, AScheduleMayBeShorterThanTheRun) {
    for (const std::string name : {"cosine", "linear", "exponential", "onecycle"}) {
        const auto common = {"schedule=" + name, std::string("warmup_steps=3"), std::string("cycle_momentum=true")};
        std::vector<std::string> words(common);
        if (name != "onecycle") words.pop_back();
        Config shorter = config_of(words), longer = shorter;
        shorter.set("epochs", "2", "test");
        longer.set("epochs", "5", "test");
        longer.set("schedule_epochs", "2", "test");
        const auto a = make_training_schedule(shorter, 10).rate, b = make_training_schedule(longer, 10).rate;
        for (std::int64_t t = 0; t < 20; ++t) EXPECT_EQ(a(t), b(t)) << name << t;
        for (std::int64_t t = 21; t < 50; ++t) EXPECT_EQ(b(t), b(20)) << name << t;
        EXPECT_LE(b(20), a(19)) << name;
    }
    EXPECT_THROW(make_training_schedule(config_of({"schedule=constant", "schedule_epochs=2"}), 10), ConfigError);
}

TEST(Groups, ACalendarPlacesStepsInEpochs) {
    const schedule::Calendar even(4), uneven({3, 5, 2});
    for (std::int64_t t = 0; t < 20; ++t) EXPECT_EQ(even.epoch_of(t), t / 4) << t;
    EXPECT_EQ(even.before(7), 28);
    const std::vector<std::int64_t> epochs{0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4};
    for (std::size_t t = 0; t < epochs.size(); ++t)
        EXPECT_EQ(uneven.epoch_of(static_cast<std::int64_t>(t)), epochs[t]) << t;
    EXPECT_EQ(uneven.before(2), 8);
    EXPECT_EQ(uneven.before(5), 14);
    EXPECT_EQ(uneven.in(1), 5);
}

TEST(Groups, UpdatesTakeTheBatchesThatAreDue) {
    Stage ramp, later;
    ramp.per_update = [](std::int64_t number) { return 1 + number / 3; };  // 1 1 1 2 2 2 3 3 3 ..
    later.epoch = 1, later.batch = 2, later.lr_scale = 0.1;
    const Stages stages({ramp, later}, 3, [](const Stage& s) { return s.batch ? 4 : 8; });
    const std::vector<std::pair<std::int64_t, std::int64_t>> first{{0, 1}, {1, 1}, {2, 1}, {3, 2}, {5, 3}, {7, 1}};
    for (const auto& [batch, takes] : first) EXPECT_EQ(stages.take(0, batch).batches, takes) << batch;
    EXPECT_EQ(stages.take(0, 7).due, 3);  // and one is left
    EXPECT_EQ(stages.begun(0, 8), 5);
    EXPECT_EQ(stages.batches().before(3), 16);
    EXPECT_EQ(stages.updates().before(1), 5);
    EXPECT_EQ(stages.updates().before(2), 9);
    ASSERT_EQ(stages.scales().size(), 2U);
    EXPECT_EQ(stages.scales()[1].from, 5);
    EXPECT_THROW(Stages({Stage{}, later, Stage{}}, 3, [](const Stage&) { return 1; }), ConfigError);
}

TEST(Groups, TheRateHasAFactorFromTheSwitchOn) {
    const RunRate rate(config_of({"schedule=constant", "warmup_steps=0", "lr0=0.5", "freeze=backbone",
                                  "unfreeze_epoch=3", "unfreeze_lr=0.1"}),
                       10);
    EXPECT_EQ(rate(19), 0.5);
    EXPECT_EQ(rate(20), 0.05);
}

}  // namespace
}  // namespace solobox
