#include "apps/run_setup.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "data/image/image.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/parallel.h"
#include "train/config/file.h"
#include "train/config/setup.h"
#include "train/session/run_report.h"

namespace solobox {

Config training_config(const std::vector<std::string>& words) {
    Config config;
    std::vector<std::string> settings;
    std::string file;
    for (const std::string& word : words) {
        if (word.find('=') != std::string::npos) {
            settings.push_back(word);
            continue;
        }
        if (!file.empty())
            throw ConfigError(
                fmt::format("two configuration files, {} and {}: expected one, then key=value words", file, word));
        file = word;
    }
    if (!file.empty()) {
        if (is_run_settings(file))
            config = read_config(file);
        else
            load_config_file(config, file);
    }
    apply_environment(config);
    config.set_words(settings, "command line");
    apply_training_defaults(config);
    apply_model_defaults(config);
    return config;
}

void set_up_compute(const Config& config, int threads) {
    use_threads(threads);
    fast::set_winograd(config.text("conv") != "direct");
}

void introduce(Talk& talk, const Config& config, Task& task) {
    for (const std::string& line : task.introduction()) talk.line(line);
    const std::string norm = is_classifier(config) ? "batch" : config.text("norm");
    talk.line(fmt::format(
        "model {} ({} norm), {} px, {} parameters; {} {}, batch {}, {} epochs, seed {}; {} threads, {} kernels",
        config.text("model"), norm, config.integer("image"), count_parameters(task), config.text("optimizer"),
        config.at("lr0").value, config.integer("batch"), config.integer("epochs"), config.integer("seed"),
        thread_count(), name_of(active_kernels())));
    if (config.text("optimizer_override") != "none")
        talk.line(fmt::format("  warning: optimizer_override={} builds another optimizer than the configured {}",
                              config.text("optimizer_override"), config.text("optimizer")));
    for (const auto& [key, v] : config.all())
        if (!config.is_default(key)) talk.line(fmt::format("  {}={}  # {}", key, v.value, v.origin));
}

Exhibit finish_run(Task& task, const RunDirectory& run, const std::string& verdict_text) {
    load_weights(task, run.best_weights());
    Exhibit shown = task.exhibit();
    Report report = read_run_report(run);
    report.verdict_text = verdict_text;
    report.environment.emplace(report.environment.begin(), "data", task.introduction().front());
    report.pictures = shown.worst;
    report.tables = shown.tables;
    run.write_text("report.html", render_report(report));
    const std::vector<ReportPicture> some(shown.worst.begin(),
                                          shown.worst.begin() + std::min<std::ptrdiff_t>(16, std::ssize(shown.worst)));
    write_png(run.file("worst.png"), draw_pictures(some, 4, 224));
    write_png(run.file("val_pred.png"), draw_pictures(shown.first, 4, 224));
    return shown;
}

}  // namespace solobox
