#include "apps/run_setup.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/parallel.h"

namespace solobox {

void set_up_compute(const Config& config, int threads) {
    use_threads(threads);
    fast::set_winograd(config.text("conv") != "direct");
}

void introduce(Talk& talk, Learner& learner) {
    const Config& config = learner.config();
    for (const std::string& line : learner.introduction()) talk.line(line);
    const TaskKeys& task = task_of(config);
    const std::string norm = task.norm ? fmt::format(" ({} norm)", task.norm(config)) : "";
    talk.line(
        fmt::format("model {}{}, {} px, {} parameters; {} {}, batch {}, {} epochs, seed {}; {} threads, {} kernels",
                    config.text("model"), norm, config.integer("image"), count_parameters(learner),
                    config.text("optimizer"), config.at("lr0").value, config.integer("batch"), config.integer("epochs"),
                    config.integer("seed"), thread_count(), name_of(active_kernels())));
    if (config.text("optimizer_override") != "none")
        talk.line(fmt::format("  warning: optimizer_override={} builds another optimizer than the configured {}",
                              config.text("optimizer_override"), config.text("optimizer")));
    for (const auto& [key, v] : config.all())
        if (!config.is_default(key)) talk.line(fmt::format("  {}={}  # {}", key, v.value, v.origin));
}

void print_findings(const std::vector<ReportFinding>& findings) {
    for (const auto& f : findings) fmt::print("  {} {}: {}\n       try: {}\n", f.severity, f.id, f.message, f.cure);
}

nlohmann::ordered_json json_of(const std::vector<ReportFinding>& findings) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const auto& f : findings)
        list.push_back({{"severity", f.severity}, {"id", f.id}, {"message", f.message}, {"cure", f.cure}});
    return list;
}

}  // namespace solobox
