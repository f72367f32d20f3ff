#include <algorithm>
#include <chrono>
#include <cmath>

#include "train/doctor/probes.h"
#include "train/step/parameter_groups.h"
#include "train/tasks/class_task.h"
#include "train/tasks/make_task.h"
#include "train/tasks/single_box_setup.h"
#include "train/tasks/single_box_task.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

using doctor::Facts;
using doctor::Series;
using doctor::Texts;

// From the parameters themselves: BatchNorm has running statistics, GroupNorm parameters of kind norm without them.
std::string norm_found(Task& task) {
    bool running = false, scale = false;
    Visitor v;
    v.on_buffer = [&](const std::string&, Tensor&) { running = true; };
    v.on_parameter = [&](const std::string&, Parameter& p) { scale = scale || p.kind == ParamKind::norm; };
    task.visit(v);
    return running ? "batch" : scale ? "group" : "none";
}

void read_layers(const std::vector<LayerRow>& rows, Facts& facts) {
    double depth = 0, map = INFINITY, macs = 0;
    for (const LayerRow& row : rows) {
        // A shortcut lies beside the path, not on it.
        if (row.type.starts_with("conv") && row.name.find("downsample") == std::string::npos) ++depth;
        if (row.type.starts_with("batchnorm") && row.out.rank() == 3)
            map = std::min(map, static_cast<double>(row.out.dims()[0] * row.out.dims()[1]));
        macs += static_cast<double>(row.macs);
    }
    facts.set("convolutions", depth);
    if (std::isfinite(map)) facts.set("smallest_map", map);
    facts.set("gmacs_per_image", macs / 1e9);
}

// The decode on its own, on raw numbers of -8 to 8: centres that leave the picture, sides below 0.
double share_outside(Task& task, std::int64_t outputs) {
    constexpr std::int64_t n = 33;
    Tensor raw(Shape{n, outputs});
    for (std::int64_t i = 0; i < outputs * n; ++i)
        raw.mutable_data()[i] = static_cast<Real>(-8 + 0.5 * static_cast<double>(i / outputs));
    const Tensor box = task.decoded(raw);
    std::int64_t outside = 0;
    for (std::int64_t i = 0; i < box.numel(); ++i)
        outside += !(box[i] >= Real(-1e-6) && (i % 4 >= 2 || box[i] <= Real(1 + 1e-6)));
    return static_cast<double>(outside) / static_cast<double>(box.numel());
}

}  // namespace

std::unique_ptr<Task> make_patient(const Config& config, Config& settings) {
    settings = config;
    // As many pictures as one step of the doctor takes; another number for validation, so that its last batch is small.
    const bool large = config.integer("image") > 160;
    const char *batch = large ? "4" : "8", *pictures = large ? "12" : "16";
    const std::pair<const char*, const char*> few[] = {
        {"data", "synthetic"}, {"format", "detect"}, {"train_images", pictures}, {"val_images", "11"},
        {"batch", batch},      {"accumulate", "1"},  {"drop_last", "false"},     {"cache_mb", "512"},
        {"workers", "0"},      {"weights", ""}};
    for (const auto& [key, value] : few) settings.set(key, value, "default");
    if (is_classifier(config)) settings.set("classes", "0", "default");
    return make_task(settings);
}

double measure_gmacs() {
    constexpr std::int64_t n = 384;
    const NoGrad quiet;
    const Var a(Tensor::full({n, n}, Real(1))), b(Tensor::full({n, n}, Real(1)));
    double best = INFINITY;
    for (int i = 0; i < 8; ++i) {
        const auto start = std::chrono::steady_clock::now();
        (void)matmul(a, b).value();
        best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return static_cast<double>(n * n * n) / best / 1e9;
}

void read_built_facts(Task& task, const Config& config, Facts& facts) {
    const auto params = parameters_of(task);
    const auto optimizer = make_optimizer(config, params);
    facts.set("optimizer_built", std::string(optimizer->name()));
    Texts decayed;
    double backbone = 0, head = 0, decay = 0, trainable = 0;
    for (const Member& m : optimizer->members()) {
        const bool small = m.param.param->value.rank() <= 1 || m.param.name.ends_with(".bias");
        if (m.weight_decay > 0 && small) decayed.push_back(m.param.name);
        decay = std::max(decay, m.weight_decay);
        double& scale = in_backbone(config, m.param.name) ? backbone : head;
        scale = std::max(scale, m.lr_scale);
    }
    for (const auto& p : params) trainable += static_cast<double>(p.param->value.numel());
    facts.set("decayed_tensors", decayed);
    facts.set("weight_decay_built", decay);
    if (backbone > 0 && head > 0) facts.set("group_ratio", backbone / head);
    facts.set("parameters", trainable);
    facts.set("norm", norm_found(task));
    if (auto* classes = dynamic_cast<ClassTask*>(&task)) {
        // With as many classes as the configuration asks for, which the synthetic pictures have not.
        ResNetConfig model = classes->model().config();
        if (const double* n = facts.number("classes"))
            model.classes = std::max<std::int64_t>(2, static_cast<std::int64_t>(*n));
        read_layers(describe(model), facts);
        facts.set("head_outputs", static_cast<double>(model.classes));
    } else if (auto* box = dynamic_cast<SingleBoxTask*>(&task)) {
        read_layers(describe(box->model().config()), facts);
        const Tensor& bias = box->model().head().bias.value;
        facts.set("decoded_outside", share_outside(task, bias.numel()));
        const Tensor start = task.decoded(bias.reshaped({1, bias.numel()}));
        facts.set("head_start", Series{static_cast<double>(start[0]), static_cast<double>(start[1]),
                                       static_cast<double>(start[2]), static_cast<double>(start[3])});
    }
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
