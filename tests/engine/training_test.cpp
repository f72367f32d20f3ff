// The training step: accumulation equals the big batch, averages, the naming of a NaN, flat memory, and the
// same bits for every number of threads.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <memory>

#include "nn/losses.h"
#include "nn/models/resnet.h"
#include "nn/models/single_box.h"
#include "tensor/kernels/parallel.h"
#include "tensor/pool.h"
#include "train/step/trainer.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

Tensor batch_noise(const Shape& shape, std::uint32_t op) {
    Random random({3, Stream::test, 0, 0, op});
    Tensor t(shape);
    for (std::int64_t i = 0; i < t.numel(); ++i) t.mutable_data()[i] = static_cast<Real>(random.uniform(0, 1));
    return t;
}

Tensor part(const Tensor& x, std::int64_t from, std::int64_t to) {
    const std::int64_t length = x.numel() / x.dim(0);
    Tensor out(x.shape().with(0, to - from));
    std::copy_n(x.data() + from * length, (to - from) * length, out.mutable_data());
    return out;
}

SingleBoxConfig small_tiny(NormKind norm) {
    SingleBoxConfig c = tiny_config();
    c.image = {32, 32};
    c.hidden = 16;
    c.norm = norm;
    return c;
}

LossValue mse(SingleBox& net, const Tensor& x, const Tensor& t) { return {mse_loss(sigmoid(net(Var(x))), t), {}}; }

std::vector<Tensor> values_of(const std::vector<NamedParameter>& params) {
    std::vector<Tensor> values;
    for (const auto& p : params) values.push_back(p.param->value.clone());
    return values;
}

// Three steps of SGD on 6 pictures, the batch in the given pieces.
std::vector<Tensor> train_in_pieces(const std::vector<std::int64_t>& sizes) {
    SingleBox net(small_tiny(NormKind::group), 5);
    const auto params = parameters_of(net);
    Sgd sgd(decay_weights_only(params, 1e-3), {0.9, 0, false});
    TrainerConfig how{[](std::int64_t) { return 0.05; }};
    how.clip = 1;
    Trainer trainer(params, sgd, how);
    const Tensor x = batch_noise({6, 32, 32, 3}, 1), t = batch_noise({6, 4}, 2);
    for (int step = 0; step < 3; ++step) {
        std::vector<BatchPart> parts;
        std::int64_t at = 0;
        for (const std::int64_t size : sizes) {
            parts.push_back({[&, at, size] { return mse(net, part(x, at, at + size), part(t, at, at + size)); },
                             static_cast<double>(size) / 6});
            at += size;
        }
        trainer.step(parts);
    }
    return values_of(params);
}

TEST(EngineTraining, AccumulationEqualsTheBigBatch) {
    const auto whole = train_in_pieces({6});
    for (const std::vector<std::int64_t>& sizes : {std::vector<std::int64_t>{2, 2, 2}, {5, 1}, {1, 1, 1, 1, 1, 1}}) {
        const auto pieces = train_in_pieces(sizes);
        for (std::size_t k = 0; k < whole.size(); ++k) {
            double scale = 0, off = 0;
            for (std::int64_t i = 0; i < whole[k].numel(); ++i) {
                scale = std::max(scale, std::abs(static_cast<double>(whole[k][i])));
                off = std::max(off, std::abs(static_cast<double>(whole[k][i]) - static_cast<double>(pieces[k][i])));
            }
            EXPECT_LE(off, (sizeof(Real) == 8 ? 1e-12 : 1e-4) * scale) << "tensor " << k;
        }
    }
}

// Weights after four steps, updated after backward or inside it.
std::vector<Tensor> train_with(const std::function<std::unique_ptr<Optimizer>(std::vector<Member>)>& optimizer,
                               bool in_backward, double& grad_norm) {
    SingleBox net(small_tiny(NormKind::batch), 5);
    const auto params = parameters_of(net);
    const auto o = optimizer(decay_weights_only(params, 1e-3));
    TrainerConfig how{[](std::int64_t step) { return 0.05 / static_cast<double>(step + 1); }};
    how.update_in_backward = in_backward;
    Trainer trainer(params, *o, how);
    const Tensor x = batch_noise({6, 32, 32, 3}, 1), t = batch_noise({6, 4}, 2);
    for (int step = 0; step < 4; ++step) grad_norm = trainer.step([&] { return mse(net, x, t); }).grad_norm;
    for (const auto& p : params) EXPECT_TRUE(!p.param->sink && p.param->grad.defined() != in_backward) << p.name;
    return values_of(params);
}

TEST(EngineTraining, AnUpdateInsideBackwardHasTheSameBits) {
    const std::vector<std::function<std::unique_ptr<Optimizer>(std::vector<Member>)>> optimizers{
        [](auto m) {
            return std::make_unique<Sgd>(std::move(m), Sgd::Config{0.9, 0.1, false});
        },
        [](auto m) {
            return std::make_unique<Sgd>(std::move(m), Sgd::Config{0, 0, false});
        },
        [](auto m) { return std::make_unique<Adam>(std::move(m), Adam::Config{}); }};
    for (const auto& optimizer : optimizers) {
        double norm_after = 0, norm_inside = 0;
        const auto after = train_with(optimizer, false, norm_after), inside = train_with(optimizer, true, norm_inside);
        EXPECT_NEAR(norm_after, norm_inside, 1e-9 * norm_after);
        for (std::size_t k = 0; k < after.size(); ++k) EXPECT_EQ(after[k].to_vector(), inside[k].to_vector()) << k;
    }
}

TEST(EngineTraining, AnUpdateInsideBackwardRefusesWhatNeedsAllGradients) {
    SingleBox net(small_tiny(NormKind::group), 5);
    const auto params = parameters_of(net);
    Sgd sgd(decay_weights_only(params, 0), {0.9, 0, false});
    TrainerConfig how{[](std::int64_t) { return 0.05; }};
    how.update_in_backward = true;
    const Tensor x = batch_noise({2, 32, 32, 3}, 1), t = batch_noise({2, 4}, 2);
    FlowRecorder flow(params);
    EXPECT_THROW(Trainer(params, sgd, how).step([&] { return mse(net, x, t); }, &flow), Error);
    const BatchPart half{[&] { return mse(net, x, t); }, 0.5};
    EXPECT_THROW(Trainer(params, sgd, how).step({half, half}), Error);
    how.where_possible = true;  // such steps update after backward then
    EXPECT_FALSE(Trainer(params, sgd, how).step({half, half}).in_backward);
    EXPECT_FALSE(Trainer(params, sgd, how).step([&] { return mse(net, x, t); }, &flow).in_backward);
    EXPECT_TRUE(Trainer(params, sgd, how).step([&] { return mse(net, x, t); }).in_backward);
    how.where_possible = false;
    how.clip = 1;
    EXPECT_THROW(Trainer(params, sgd, how).step([&] { return mse(net, x, t); }), Error);
    how.clip = 0;
    // A NaN stops the step, and no sink stays behind.
    params[0].param->value.mutable_data()[0] = std::numeric_limits<Real>::quiet_NaN();
    EXPECT_THROW(Trainer(params, sgd, how).step([&] { return mse(net, x, t); }), NonFiniteError);
    for (const auto& p : params) EXPECT_FALSE(p.param->sink) << p.name;
    // Behind a finite loss the parameter is named whose gradient it was. A group without a rate leaves no sink either.
    Parameter w(Tensor::full({2}, 0));
    const std::vector<NamedParameter> one{{"layer.weight", &w}};
    Sgd simple(decay_weights_only(one, 0), {0, 0, false});
    const auto root = [&]() -> Objective { return LossValue{sum(sqrt(use(w))), {}}; };  // its slope at 0 is infinite
    try {
        Trainer(one, simple, how).step(root);
        ADD_FAILURE() << "an infinite gradient was taken";
    } catch (const NonFiniteError& e) {
        EXPECT_NE(std::string(e.what()).find("parameter 'layer.weight'"), std::string::npos) << e.what();
    }
    how.group_rates = [](std::int64_t, double) { return std::vector<double>{}; };
    simple.members()[0].group = 1;
    EXPECT_THROW(simple.begin_step_in_backward(1, {}, {0.5}), Error);
    EXPECT_FALSE(w.sink);
}

// Weights after three steps and the most bytes that a step added to what was there before it.
template <class Model>
std::vector<Tensor> train_and_weigh(Model& net, std::int64_t image, std::int64_t& peak) {
    const auto params = parameters_of(net);
    Sgd sgd(decay_weights_only(params, 1e-3), {0.9, 0, false});
    Trainer trainer(params, sgd, {[](std::int64_t) { return 0.02; }});
    const Tensor x = batch_noise({4, image, image, 3}, 1);
    std::int64_t before = 0;  // the other model, parameters, moments
    for (int step = 0; step < 3; ++step) {
        if (step == 2) {
            pool::reset_peak();
            before = pool::stats().live_bytes;
        }
        trainer.step([&] { return LossValue{mean(square(net(Var(x)))), {}}; });
    }
    peak = pool::stats().peak_bytes - before;
    return values_of(params);
}

// Filters whose ReLU never opens get no gradient; whatever the storage, units are what is counted.
TEST(EngineTraining, MomentumFollowsItsSchedule) {
    Parameter w(Tensor::zeros({1}));
    Sgd sgd(decay_weights_only({{"w", &w}}, 0), {0.5, 0, false});
    TrainerConfig how{[](std::int64_t) { return 1.0; }};
    how.momentum = [](std::int64_t step) { return step == 0 ? 0.9 : 0.0; };
    Trainer trainer({{"w", &w}}, sgd, how);
    for (int i = 0; i < 2; ++i) trainer.step([&] { return LossValue{sum(use(w)), {}}; });
    EXPECT_EQ(w.value[0], Real(-2));
}

TEST(EngineTraining, RecomputingChangesMemoryAndNoBit) {
    for (const NormKind norm : {NormKind::batch, NormKind::group}) {
        std::int64_t kept = 0, anew = 0;
        SingleBoxConfig c = small_tiny(norm);
        c.image = {64, 64};
        SingleBox plain(c, 5);
        c.recompute = true;
        SingleBox lean(c, 5);
        const auto a = train_and_weigh(plain, 64, kept), b = train_and_weigh(lean, 64, anew);
        for (std::size_t k = 0; k < a.size(); ++k) EXPECT_EQ(a[k].to_vector(), b[k].to_vector()) << k;
        EXPECT_LT(anew, kept);
    }
    std::int64_t kept = 0, anew = 0;
    ResNetConfig c = resnet_config("resnet50", 3);
    c.layers = {2, 1, 1, 1};
    c.planes = 16;
    ResNet plain(c, 5);
    c.recompute = true;
    ResNet lean(c, 5);
    const auto a = train_and_weigh(plain, 64, kept), b = train_and_weigh(lean, 64, anew);
    for (std::size_t k = 0; k < a.size(); ++k) EXPECT_EQ(a[k].to_vector(), b[k].to_vector()) << k;
    EXPECT_LT(static_cast<double>(anew), 0.85 * static_cast<double>(kept));
}

TEST(EngineTraining, TheAverageFollowsParametersAndRunningStatistics) {
    SingleBox net(small_tiny(NormKind::batch), 1);
    const auto params = parameters_of(net);
    const auto tensors = tensors_of(net);
    ASSERT_EQ(tensors.size(), params.size() + 10) << "five batch norms, two statistics each";
    std::vector<std::vector<double>> expected;
    for (const auto& t : tensors) expected.emplace_back(t.tensor->data(), t.tensor->data() + t.tensor->numel());
    const EmaConfig config{0.9, 4};
    Ema ema(config, tensors);
    Sgd sgd(decay_weights_only(params, 0), {0, 0, false});
    TrainerConfig how{[](std::int64_t) { return 0.1; }};
    how.ema = &ema;
    Trainer trainer(params, sgd, how);
    const Tensor x = batch_noise({4, 32, 32, 3}, 1), t = batch_noise({4, 4}, 2);
    for (int step = 1; step <= 5; ++step) {
        trainer.step([&] { return mse(net, x, t); });
        const double d = 0.9 * (1 - std::exp(-step / 4.0));
        for (std::size_t k = 0; k < tensors.size(); ++k)
            for (std::size_t i = 0; i < expected[k].size(); ++i)
                expected[k][i] = d * expected[k][i] +
                                 (1 - d) * static_cast<double>((*tensors[k].tensor)[static_cast<std::int64_t>(i)]);
    }
    const auto averages = ema.averages();
    const Tensor live = params.front().param->value.clone();
    ema.swap();
    EXPECT_THROW(ema.update(), Error);
    for (std::size_t k = 0; k < tensors.size(); ++k) {
        EXPECT_EQ(averages[k].first, tensors[k].name);
        for (std::size_t i = 0; i < expected[k].size(); ++i)
            ASSERT_NEAR(static_cast<double>((*tensors[k].tensor)[static_cast<std::int64_t>(i)]), expected[k][i],
                        sizeof(Real) == 8 ? 1e-12 : 1e-5)
                << tensors[k].name;
    }
    ema.swap();
    EXPECT_EQ(fingerprint(params.front().param->value), fingerprint(live));
    Ema other(config, tensors);
    other.restore(averages, ema.updates());
    for (std::size_t k = 0; k < tensors.size(); ++k)
        EXPECT_EQ(fingerprint(other.averages()[k].second), fingerprint(averages[k].second));
}

std::string complaint(const std::function<void()>& act) {
    try {
        act();
    } catch (const NonFiniteError& e) {
        return e.what();
    }
    return "nothing was noticed";
}
bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

struct Watched {
    SingleBox net{small_tiny(NormKind::group), 1};
    std::vector<NamedParameter> params = parameters_of(net);
    Sgd sgd{decay_weights_only(params, 0), {0, 0, false}};
    Tensor x = batch_noise({2, 32, 32, 3}, 1), t = batch_noise({2, 4}, 2);
    TrainerConfig how() {
        TrainerConfig c{[](std::int64_t) { return 0.01; }};
        c.batch_names = [] { return std::string("a.jpg, b.jpg"); };
        return c;
    }
};

TEST(EngineTraining, ANanIsNamedWithOpStepParameterAndBatch) {
    Watched w;
    Trainer trainer(w.params, w.sgd, w.how());
    const auto step = [&] { trainer.step([&] { return mse(w.net, w.x, w.t); }); };
    step();
    Parameter& weight = w.net.hidden().weight;
    const Real kept = weight.value[3];
    weight.value.mutable_data()[3] = std::numeric_limits<Real>::quiet_NaN();
    std::string text = complaint(step);
    EXPECT_TRUE(has(text, "step 2") && has(text, "[linear]") && has(text, "a.jpg, b.jpg")) << text;
    std::string name;
    for (const auto& p : w.params)
        if (p.param == &weight) name = p.name;
    EXPECT_TRUE(has(text, "parameter '" + name + "'")) << text;
    weight.value.mutable_data()[3] = kept;

    w.x.mutable_data()[0] = std::numeric_limits<Real>::infinity();
    text = complaint(step);
    EXPECT_TRUE(has(text, "[conv2d]") && has(text, "input 0, a constant") && has(text, "a.jpg")) << text;
    w.x.mutable_data()[0] = 0;

    text = complaint([&] {
        trainer.step([&] { return LossValue{sum(sqrt(mul(use(weight), Tensor::scalar(0)))), {}}; });
    });
    EXPECT_TRUE(has(text, "backward pass of [sqrt]")) << text;
}

TEST(EngineTraining, AnInfinityThatTheLossSwallowsIsFoundWhenEveryOpIsWatched) {
    Watched w;
    TrainerConfig how = w.how();
    const auto swallowed = [&] {
        LossValue value = mse(w.net, w.x, w.t);
        const Tensor most = Tensor::scalar(std::numeric_limits<Real>::max());
        const Var huge = mul(mul(add(square(mean(use(*w.params.back().param))), Tensor::scalar(2)), most), most);
        value.total = add(value.total, minimum(huge, Tensor::scalar(5)));  // min(inf, 5) is 5, its gradient 0
        return value;
    };
    {
        Trainer trainer(w.params, w.sgd, how);
        EXPECT_NO_THROW(trainer.step(swallowed));
    }
    how.check_finite = true;
    Trainer trainer(w.params, w.sgd, how);
    const std::string text = complaint([&] { trainer.step(swallowed); });
    EXPECT_TRUE(has(text, "step 1") && has(text, "[mul]") && has(text, "a.jpg")) << text;
}

TEST(EngineTraining, ValuesAreClippedBeforeTheNorm) {
    Watched w;
    TrainerConfig how = w.how();
    how.clip_value = 1e-6;
    const auto before = values_of(w.params);
    Trainer(w.params, w.sgd, how).step([&] { return mse(w.net, w.x, w.t); });
    for (std::size_t k = 0; k < before.size(); ++k)
        for (std::int64_t i = 0; i < before[k].numel(); ++i)
            ASSERT_LE(std::abs(static_cast<double>(w.params[k].param->value[i] - before[k][i])),
                      0.01 * 1e-6 + 1e-7 * std::abs(static_cast<double>(before[k][i])));
}

TEST(EngineTraining, MemoryStaysFlatOverAThousandSteps) {
    SingleBoxConfig c = small_tiny(NormKind::batch);
    SingleBox net(c, 1);
    const auto params = parameters_of(net);
    Adam adam(decay_weights_only(params, 1e-4), {});
    Trainer trainer(params, adam, {[](std::int64_t) { return 1e-4; }, 1});
    const Tensor x = batch_noise({1, 32, 32, 3}, 1), t = batch_noise({1, 4}, 2);
    PoolStats early;
    for (int step = 1; step <= (sizeof(Real) == 8 ? 100 : 1000); ++step) {  // double takes the slow kernels
        trainer.step([&] { return mse(net, x, t); });
        if (step == 3) pool::reset_peak();
        if (step == 6) early = pool::stats();
    }
    const PoolStats late = pool::stats();
    EXPECT_EQ(late.live_bytes, early.live_bytes);
    EXPECT_EQ(late.peak_bytes, early.peak_bytes);
    EXPECT_EQ(late.reserved_bytes, early.reserved_bytes);
    EXPECT_EQ(late.system_calls, early.system_calls);
}

// Two steps of a model; every parameter's and statistic's bits after them.
template <class Model>
std::vector<std::uint64_t> bits_after_training(Model& model, const std::function<Var(Model&)>& loss) {
    const auto params = parameters_of(model);
    Adam adam(decay_weights_only(params, 1e-2), {});
    Trainer trainer(params, adam, {[](std::int64_t) { return 1e-3; }, 0.5});
    for (int step = 0; step < 2; ++step) trainer.step([&] { return LossValue{loss(model), {}}; });
    std::vector<std::uint64_t> bits;
    for (const auto& t : tensors_of(model)) bits.push_back(fingerprint(*t.tensor));
    return bits;
}

template <class Make>
void expect_same_bits_for_all_thread_counts(Make run) {
    const int usual = thread_count();
    set_thread_count(1);
    const auto one = run();
    for (const int threads : {2, 3, 4, 2}) {
        set_thread_count(threads);
        EXPECT_EQ(run(), one) << threads << " threads";
    }
    set_thread_count(usual);
}

TEST(EngineTraining, BitsDoNotDependOnThreads) {
    for (const NormKind norm : {NormKind::group, NormKind::batch})
        expect_same_bits_for_all_thread_counts([&] {
            SingleBoxConfig c = tiny_config();
            c.image = {64, 64};
            c.norm = norm;
            SingleBox net(c, 1);
            const Tensor x = batch_noise({5, 64, 64, 3}, 1), t = batch_noise({5, 4}, 2);
            return bits_after_training<SingleBox>(net, [&](SingleBox& m) { return mse(m, x, t).total; });
        });
    expect_same_bits_for_all_thread_counts([&] {
        ResNet net(resnet_config("resnet18", 5), 1);
        const Tensor x = batch_noise({3, 40, 40, 3}, 1);
        const IndexTensor labels = IndexTensor::from(Shape{3}, {0, 4, 2});
        return bits_after_training<ResNet>(net, [&](ResNet& m) { return cross_entropy(m(Var(x)), labels); });
    });
}

}  // namespace
}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
