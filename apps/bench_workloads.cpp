#include "apps/bench_workloads.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>

#include "nn/models/resnet.h"
#include "train/config/names.h"
#include "train/tasks/single_box.h"

namespace solobox {

std::int64_t Workload::macs() const {
    std::int64_t total = 0;
    for (const LayerRow& row : layers) total += row.macs;
    return total;
}

std::vector<std::string> workload_names() {
    return {"tiny-gn", "tiny-bn", "toy-quarter", "toy448", "resnet18", "resnet50"};
}

Tensor random_numbers(const Shape& shape, std::uint32_t op, double low, double high) {
    Random random({0, Stream::test, 0, 0, op});
    Tensor t(shape);
    for (std::int64_t i = 0; i < t.numel(); ++i) t.mutable_data()[i] = static_cast<Real>(random.uniform(low, high));
    return t;
}

namespace {

Workload single_box_workload(std::vector<std::string> words, const WorkloadOptions& o) {
    Config config;
    if (o.recompute) words.push_back("recompute=1");
    config.set_words(words, "workload");
    const std::shared_ptr<SingleBox> model = make_single_box(config, {});
    Workload w;
    if (o.batch > 0) w.batch = o.batch;
    w.image = config.integer("image");
    w.layers = describe(model_config(config));
    w.params = parameters_of(*model);
    w.forward = [model](const Var& x) { return (*model)(x); };
    w.evaluate = [model] { set_training(*model, false); };
    w.freeze = [model] { model->freeze(); };
    w.graph = [model, image = w.image] {
        GraphBuilder graph("images", {-1, 3, image, image});
        const std::string raw = model->append_to(graph);
        return graph.finish(raw, "raw", {-1, 4});
    };
    w.loss = [t = random_numbers({w.batch, 4}, 1, 0.25, 0.75), decode = decode_spec(config),
              spec = loss_spec(config)](const Var& y) { return box_loss(y, t, decode, spec); };
    return w;
}

Workload resnet_workload(const std::string& name, std::int64_t image, const WorkloadOptions& o) {
    ResNetConfig config = resnet_config(name, 5);
    config.image = image;
    config.recompute = o.recompute;
    const auto model = std::make_shared<ResNet>(config, 0);
    Workload w;
    w.batch = o.batch > 0 ? o.batch : 32;
    w.image = image;
    w.layers = describe(config);
    w.params = parameters_of(*model);
    w.forward = [model](const Var& x) { return (*model)(x); };
    w.evaluate = [model] { set_training(*model, false); };
    w.freeze = [model] { model->freeze(); };
    w.graph = [model, image] {
        GraphBuilder graph("images", {-1, 3, image, image});
        const std::string logits = model->append_to(graph);
        return graph.finish(logits, "logits", {-1, 5});
    };
    IndexTensor labels(Shape{w.batch});
    for (std::int64_t i = 0; i < w.batch; ++i) labels.mutable_data()[i] = i % 5;
    w.loss = [labels](const Var& y) { return LossValue{cross_entropy(y, labels), {}}; };
    return w;
}

}  // namespace

Workload make_workload(const std::string& name, const WorkloadOptions& o) {
    if (name == "tiny-gn") return single_box_workload({"norm=group"}, o);
    if (name == "tiny-bn") return single_box_workload({"norm=batch"}, o);
    if (name == "toy-quarter")
        return single_box_workload({"model=toy", "width_mult=0.25", "image=224", "hidden=512", "norm=group"}, o);
    if (name == "toy448") return single_box_workload({"model=toy", "image=448", "hidden=4096", "norm=none"}, o);
    if (name == "resnet18") return resnet_workload(name, 64, o);
    if (name == "resnet50") return resnet_workload(name, 224, o);
    throw ConfigError(fmt::format("unknown workload '{}'{}: expected {}", name, did_you_mean(name, workload_names()),
                                  fmt::join(workload_names(), ", ")));
}

}  // namespace solobox
