// Planted faults: each does what its line says, and one that could do nothing is refused.
#include "train/config/faults.h"

#include <gtest/gtest.h>

#include <map>

#include "nn/box_loss.h"
#include "nn/visit.h"
#include "tests/support/configs.h"
#include "train/step/parameter_groups.h"
#include "train/step/run_rate.h"
#include "train/tasks/classes.h"
#include "train/tasks/single_box.h"

namespace solobox {
namespace {

using fixtures::config_of;

// The network of a configuration, made small.
ResNet faulty_resnet(const std::string& fault) {
    ResNetConfig c = class_model_config(config_of({"model=resnet18", "aux_heads=2", "fault=" + fault}), 3);
    c.layers = {1, 1, 1, 1}, c.planes = 4, c.small_stem = true;
    return ResNet(c, 1);
}

Var four_pictures() { return Var(normal({4, 32, 32, 3}, 0, 1, Random({5, Stream::test, 0, 0, 1}))); }
IndexTensor four_labels() { return IndexTensor::from({4}, {0, 1, 2, 1}); }

template <class Model, class Loss>
std::map<std::string, bool> moved_by(Model& model, const Loss& loss) {
    for (const auto& p : parameters_of(model)) p.param->zero_grad();
    Tape tape;
    tape.backward(loss());
    std::map<std::string, bool> moved;
    for (const auto& [name, p] : parameters_of(model)) moved[name] = p->grad.defined() && max_abs(p->grad) > 0;
    return moved;
}

TEST(Faults, CutLeavesTheTrunkWithoutGradient) {
    ResNet net = faulty_resnet("cut");
    const ClassLossSpec spec{0, 0.4, net.aux_names()};
    for (const auto& [name, moved] :
         moved_by(net, [&] { return class_loss(net.answers(four_pictures(), {}), four_labels(), spec).total; }))
        EXPECT_EQ(moved, !in_backbone(net.heads(), name)) << name;
    const auto box = make_single_box(config_of({"image=32", "hidden=8", "fault=cut"}), {});
    for (const auto& [name, moved] : moved_by(*box, [&] { return sum((*box)(four_pictures())); }))
        EXPECT_EQ(moved, !in_backbone(box->heads(), name)) << name;
}

TEST(Faults, UnweightedIsAPlainSum) {
    const auto plain_sum = [](const LossValue& loss) {
        double sum = 0;
        for (const LossTerm& t : loss.terms) sum += static_cast<double>(t.value.value().item());
        return sum;
    };
    ResNet net = faulty_resnet("unweighted");
    const Config config = config_of({"model=resnet18", "aux_heads=2", "aux_weight=0.25", "fault=unweighted"});
    const LossValue classes = class_loss(net.answers(four_pictures(), {}), four_labels(), class_loss_spec(config));
    EXPECT_NEAR(static_cast<double>(classes.total.value().item()), plain_sum(classes), 1e-5);
    EXPECT_EQ(classes.terms[1].weight, 0.25);
    const Var raw(Tensor::full({2, 4}, Real(0.3)));
    const LossValue boxes =
        box_loss(raw, Tensor::full({2, 4}, Real(0.2)), {}, loss_spec(config_of({"fault=unweighted"})));
    EXPECT_NEAR(static_cast<double>(boxes.total.value().item()), plain_sum(boxes), 1e-5);
    EXPECT_EQ(boxes.terms[0].weight, 5);
}

TEST(Faults, SilentHeadsAnswerInTrainingOnly) {
    ResNet net = faulty_resnet("aux_silent");
    EXPECT_EQ(net.answers(four_pictures(), {}).named.size(), 3U);
    set_training(net, false);
    const Answers out = net.answers(four_pictures(), {});
    EXPECT_EQ(out.named.size(), 1U);
    const Config config = config_of({"model=resnet18", "aux_heads=2", "fault=aux_silent"});
    const LossValue loss = class_loss(out, four_labels(), class_loss_spec(config));
    ASSERT_EQ(loss.terms.size(), 3U);
    EXPECT_EQ(loss.terms[1].value.value().item(), 0);
    EXPECT_EQ(loss.total.value().item(), loss.terms[0].value.value().item());
}

TEST(Faults, DetachedHeadsTeachTheTrunkNothing) {
    const auto by_heads = [](ResNet& net) {
        return moved_by(net, [&] {
            const Answers out = net.answers(four_pictures(), {});
            return cross_entropy(out.named[1].second, four_labels()) +
                   cross_entropy(out.named[2].second, four_labels());
        });
    };
    ResNet healthy = faulty_resnet("none"), ill = faulty_resnet("aux_detached");
    EXPECT_TRUE(by_heads(healthy).at("layer1.0.conv1.weight"));
    for (const auto& [name, moved] : by_heads(ill)) EXPECT_EQ(moved, name.starts_with("aux_")) << name;
}

TEST(Faults, ShiftedHeadsReadTheStageBefore) {
    ResNet net = faulty_resnet("aux_shifted");
    std::map<std::string, std::vector<Real>> seen;
    {
        const Observe watch([&](const std::string& name, const Tensor& t) { seen[name] = t.to_vector(); });
        (void)net.answers(four_pictures(), {});
    }
    EXPECT_EQ(seen.at("aux_layer2.input"), seen.at("layer1.0"));
    EXPECT_EQ(seen.at("aux_layer3.input"), seen.at("layer2.0"));
    for (const auto& [name, p] : parameters_of(net))
        if (name == "aux_layer3.weight") {
            EXPECT_EQ(p->value.shape(), (Shape{3, 8}));
        }
}

TEST(Faults, FlatGroupsLoseTheirRate) {
    const auto box = make_single_box(config_of({"image=32", "hidden=8"}), {});
    for (const Member& m :
         optimizer_members(config_of({"backbone_lr=0.1", "fault=flat_groups"}), parameters_of(*box), box->heads()))
        EXPECT_EQ(m.lr_scale, 1) << m.param.name;
    EXPECT_TRUE(configured_stages(config_of({"freeze=backbone"}), box->heads())[0].trains);
    EXPECT_FALSE(configured_stages(config_of({"freeze=backbone", "fault=frozen_trains"}), box->heads())[0].trains);
}

TEST(Faults, OfTheRate) {
    const std::vector<std::string> common{"epochs=4", "warmup_steps=0", "freeze=backbone", "unfreeze_epoch=3"};
    const auto rate_of = [&](const std::string& fault) {
        auto words = common;
        words.push_back("fault=" + fault);
        return RunRate(config_of(words), 4);
    };
    const RunRate healthy = rate_of("none"), stale = rate_of("stale_schedule"), burst = rate_of("burst_schedule");
    RunRate second = rate_of("second_writer");
    for (std::int64_t t = 0; t < 16; ++t) {
        EXPECT_EQ(stale(t), healthy(std::min<std::int64_t>(t, 8))) << t;
        EXPECT_EQ(burst(t), healthy(t / 4 * 4)) << t;
        EXPECT_EQ(second(t), healthy(t)) << t;
    }
    EXPECT_LT(healthy(9), healthy(8));
    second.see(1.0);
    EXPECT_EQ(second(4), healthy(4));
    second.see(1.5);  // no better
    for (std::int64_t t = 8; t < 12; ++t) EXPECT_EQ(second(t), healthy(t) * (t < 10 ? 0.5 : 1)) << t;
    second.see(0.5);
    EXPECT_EQ(second(12), healthy(12));
}

TEST(Faults, WithoutAnyEffectAreRefused) {
    const std::vector<std::vector<std::string>> harmless{{"fault=unweighted", "model=resnet18"},
                                                         {"fault=unweighted", "loss=ciou"},
                                                         {"fault=aux_silent", "model=resnet18"},
                                                         {"fault=aux_shifted"},
                                                         {"fault=second_writer", "schedule=plateau"},
                                                         {"fault=flat_groups"},
                                                         {"fault=frozen_trains"},
                                                         {"fault=forgotten", "freeze=backbone"},
                                                         {"fault=stale_schedule"},
                                                         {"fault=ema_tail", "ema_decay=0"},
                                                         {"fault=ema_parameters_only"},
                                                         {"fault=batch_metric", "norm=group"},
                                                         {"fault=degenerate_boxes", "batch=4"},
                                                         {"fault=degenerate_boxes", "model=resnet18"}};
    for (const auto& words : harmless)
        EXPECT_THROW(refuse_harmless_fault(config_of(words), false), ConfigError) << words.front();
    EXPECT_THROW(refuse_harmless_fault(config_of({"fault=ema_tail"}), true), ConfigError);
    refuse_harmless_fault(config_of({"fault=ema_tail"}), false);
    refuse_harmless_fault(config_of({"fault=aux_silent", "model=resnet18", "aux_heads=1"}), true);
    EXPECT_THROW(has_fault({}, "cutt"), Error);
}

}  // namespace
}  // namespace solobox
