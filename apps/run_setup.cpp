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

Measurement finish_run(Learner& learner, const RunDirectory& run, const std::string& verdict_text) {
    load_weights(learner, run.best_weights());
    const PictureStore& store = *learner.data().val;
    Measurement m = *learner.measure(store, {});
    Report report = read_run_report(run);
    report.verdict_text = verdict_text;
    report.environment.emplace(report.environment.begin(), "data", learner.introduction().front());
    report.pictures = shown_pictures(learner, store, m, 24, true);
    report.tables = m.measured.tables;
    run.write_text("report.html", render_report(report));
    const auto& worst = report.pictures;
    const std::vector<ReportPicture> some(worst.begin(),
                                          worst.begin() + std::min<std::ptrdiff_t>(16, std::ssize(worst)));
    write_png(run.file("worst.png"), draw_pictures(some, 4, 224));
    write_png(run.file("val_pred.png"), draw_pictures(shown_pictures(learner, store, m, 16, false), 4, 224));
    return m;
}

}  // namespace solobox
