// Auxiliary heads of the ResNets: what they read, what they are called, what they add to the loss, and that a network
// without them stays as it is.
#include <gtest/gtest.h>

#include <map>

#include "nn/checkpoint.h"
#include "nn/models/resnet.h"
#include "train/tasks/classes.h"

namespace solobox {
namespace {

ResNetConfig small_resnet(std::int64_t heads) {
    ResNetConfig c = resnet_config("resnet18", 3);
    c.layers = {1, 2, 1, 1}, c.planes = 4, c.small_stem = true, c.aux_heads = heads;
    return c;
}

Tensor pictures() { return normal({4, 32, 32, 3}, 0, 1, Random({5, Stream::test, 0, 0, 1})); }
IndexTensor labels() { return IndexTensor::from({4}, {0, 1, 2, 1}); }

std::map<std::string, Tensor> seen_by(ResNet& model) {
    std::map<std::string, Tensor> seen;
    const NoGrad quiet;
    const Observe watch([&](const std::string& name, const Tensor& t) { seen[name] = t.clone(); });
    (void)model.answers(Var(pictures()), {});
    return seen;
}

TEST(AuxHeads, HaveNamesAndReadTheirStages) {
    for (const std::int64_t heads : {0, 1, 2}) {
        ResNet model(small_resnet(heads), 1);
        const std::vector<std::string> all{"aux_layer2", "aux_layer3"};
        const std::vector<std::string> names(all.end() - heads, all.end());
        EXPECT_EQ(model.aux_names(), names);
        for (const bool training : {true, false}) {
            set_training(model, training);
            const Answers out = model.answers(Var(pictures()), {});
            ASSERT_EQ(out.named.size(), names.size() + 1);
            for (std::size_t i = 0; i < names.size(); ++i) {
                EXPECT_EQ(out.named[i + 1].first, names[i]);
                EXPECT_EQ(out.named[i + 1].second.shape(), (Shape{4, 3}));
            }
            if (!training) {
                EXPECT_EQ(model(Var(pictures())).value().to_vector(), out["logits"].value().to_vector());
            }
        }
        const auto seen = seen_by(model);
        if (heads > 0) {
            EXPECT_EQ(seen.at("aux_layer3.input").to_vector(), seen.at("layer3.0").to_vector());
        }
        if (heads > 1) {
            EXPECT_EQ(seen.at("aux_layer2.input").to_vector(), seen.at("layer2.1").to_vector());
        }
        const auto params = parameters_of(model);
        std::int64_t described = 0;
        for (const LayerRow& row : describe(small_resnet(heads))) described += row.parameters;
        EXPECT_EQ(count_parameters(model), described);
        if (heads > 1) {
            EXPECT_EQ(params[params.size() - 4].name, "aux_layer2.weight");
            EXPECT_EQ(params[params.size() - 4].param->value.shape(), (Shape{3, 8}));
            EXPECT_EQ(params[params.size() - 2].param->value.shape(), (Shape{3, 16}));
            EXPECT_EQ(params.back().name, "aux_layer3.bias");
        }
    }
}

TEST(AuxHeads, LeaveTheRestOfTheNetworkAlone) {
    ResNet plain(small_resnet(0), 1), watched(small_resnet(2), 1);
    const auto a = parameters_of(plain), b = parameters_of(watched);
    ASSERT_EQ(a.size() + 4, b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
        EXPECT_EQ(a[i].name, b[i].name);
        EXPECT_EQ(a[i].param->value.to_vector(), b[i].param->value.to_vector());
    }
    SafetensorsFile file;
    save_state(plain, file);
    EXPECT_THROW(load_state(watched, file, "a file"), DataError);
    set_training(watched, false);
    const Tensor before = watched(Var(pictures())).value();
    watched.freeze();
    const Answers frozen = watched.answers(Var(pictures()), {});
    EXPECT_EQ(frozen.named.size(), 1U);
    for (std::int64_t i = 0; i < before.numel(); ++i)
        EXPECT_NEAR(static_cast<double>(before[i]), static_cast<double>(frozen.main().value()[i]), 1e-4);
    EXPECT_THROW(ResNet(small_resnet(3), 1), ConfigError);
}

TEST(AuxHeads, AddTheirWeightedLosses) {
    ResNet model(small_resnet(2), 1);
    ClassLossSpec spec{0.1, 0.4, model.aux_names()};
    const LossValue loss = class_loss(model.answers(Var(pictures()), {}), labels(), spec);
    std::string names;
    double sum = 0;
    for (const LossTerm& t : loss.terms) {
        names += t.name + " ";
        sum += t.weight * static_cast<double>(t.value.value().item());
    }
    EXPECT_EQ(names, "ce aux_layer2 aux_layer3 ");
    const auto accuracy = class_accuracy(model.answers(Var(pictures()), {}), labels());
    ASSERT_EQ(accuracy.size(), 2U);
    EXPECT_EQ(accuracy[1].second, 100);  // three classes
    EXPECT_EQ(loss.terms[0].weight, 1);
    EXPECT_EQ(loss.terms[2].weight, 0.4);
    EXPECT_NEAR(static_cast<double>(loss.total.value().item()), sum, 1e-5);
    ResNet plain(small_resnet(0), 1);
    const LossValue alone = class_loss(plain.answers(Var(pictures()), {}), labels(), {0.1, 0.4, {}});
    EXPECT_TRUE(alone.terms.empty());
    EXPECT_EQ(alone.total.value().item(), loss.terms[0].value.value().item());
    // Every head and the trunk get a gradient.
    Tape tape;
    tape.backward(class_loss(model.answers(Var(pictures()), {}), labels(), spec).total);
    for (const auto& [name, p] : parameters_of(model)) EXPECT_TRUE(p->grad.defined()) << name;
}

}  // namespace
}  // namespace solobox
