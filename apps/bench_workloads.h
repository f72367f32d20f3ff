// The workloads of `solobox bench`: the peers' models, batches, losses and SGD (1e-3, momentum 0.9, decay 1e-4).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "nn/describe.h"
#include "nn/graph.h"
#include "nn/losses.h"
#include "nn/visit.h"

namespace solobox {

struct Workload {
    std::int64_t batch = 8, image = 128;
    std::vector<LayerRow> layers;
    std::vector<NamedParameter> params;
    std::function<Var(const Var& images)> forward;
    std::function<LossValue(const Var& output)> loss;
    std::function<void()> evaluate;  // from here on as after training
    std::function<Graph()> graph;    // what evaluation computes
    std::function<void()> freeze;    // for prediction only

    std::int64_t macs() const;  // of one picture
};

struct WorkloadOptions {
    bool recompute = false;
    std::int64_t batch = 0;  // pictures; 0: the workload's own
};

// ConfigError for an unknown name.
Workload make_workload(const std::string& name, const WorkloadOptions& options = {});
std::vector<std::string> workload_names();

// Numbers without meaning, the same every time.
Tensor random_numbers(const Shape& shape, std::uint32_t op, double low, double high);

std::int64_t page_faults();  // of this process so far, without disk

}  // namespace solobox
