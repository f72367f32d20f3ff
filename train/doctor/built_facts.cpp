#include <algorithm>
#include <chrono>
#include <cmath>

#include "train/doctor/probes.h"
#include "train/step/parameter_groups.h"
#include "train/tasks/kinds.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

using doctor::Facts;
using doctor::Series;
using doctor::Texts;

// From the parameters themselves: BatchNorm has running statistics, GroupNorm parameters of kind norm without them.
std::string norm_found(Learner& learner) {
    bool running = false, scale = false;
    Visitor v;
    v.on_buffer = [&](const std::string&, Tensor&) { running = true; };
    v.on_parameter = [&](const std::string&, Parameter& p) { scale = scale || p.kind == ParamKind::norm; };
    learner.visit(v);
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

}  // namespace

std::unique_ptr<Learner> make_patient(const Config& config, Config& settings) {
    settings = config;
    // As many pictures as one step of the doctor takes; another number for validation, so that its last batch is small.
    const bool large = config.integer("image") > 160;
    const char *batch = large ? "4" : "8", *pictures = large ? "12" : "16";
    const std::pair<const char*, const char*> few[] = {
        {"data", "synthetic"}, {"format", "detect"}, {"train_images", pictures}, {"val_images", "11"},
        {"batch", batch},      {"accumulate", "1"},  {"drop_last", "false"},     {"cache_mb", "512"},
        {"workers", "0"},      {"weights", ""}};
    for (const auto& [key, value] : few) settings.set(key, value, "default");
    if (task_of(config).picture_classes) settings.set("classes", "0", "default");
    return make_learner(settings);
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

void read_built_facts(Learner& learner, const Config& config, Facts& facts) {
    const auto params = parameters_of(learner);
    const Prefixes heads = learner.model().heads();
    const auto optimizer = make_optimizer(config, params, heads, learner.task().groups());
    facts.set("optimizer_built", std::string(optimizer->name()));
    Texts decayed;
    double backbone = 0, head = 0, decay = 0, trainable = 0;
    for (const Member& m : optimizer->members()) {
        const bool small = m.param.param->value.rank() <= 1 || m.param.name.ends_with(".bias");
        if (m.weight_decay > 0 && small) decayed.push_back(m.param.name);
        decay = std::max(decay, m.weight_decay);
        double& scale = in_backbone(heads, m.param.name) ? backbone : head;
        scale = std::max(scale, m.lr_scale);
    }
    for (const auto& p : params) trainable += static_cast<double>(p.param->value.numel());
    facts.set("decayed_tensors", decayed);
    facts.set("weight_decay_built", decay);
    if (backbone > 0 && head > 0) facts.set("group_ratio", backbone / head);
    facts.set("parameters", trainable);
    facts.set("norm", norm_found(learner));
    read_layers(learner.model().layers(), facts);
    learner.task().tell(learner.model(), facts);
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
