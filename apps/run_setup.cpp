#include "apps/run_setup.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/draw.h"
#include "data/image.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/parallel.h"
#include "train/config_file.h"
#include "train/run_report.h"

namespace solobox {
namespace {

void fill_training_defaults(Config& config) {
    const std::pair<const char*, const char*> defaults[] = {{"warmup_steps", "200"}, {"dropout", "0.2"}};
    for (const auto& [key, value] : defaults)
        if (config.is_default(key)) config.set(key, value, "train default");
}

}  // namespace

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
    if (!file.empty()) load_config_file(config, file);
    apply_environment(config);
    config.set_words(settings, "command line");
    fill_training_defaults(config);
    apply_model_defaults(config);
    return config;
}

void set_up_compute(const Config& config, int threads) {
    use_threads(threads);
    fast::set_winograd(config.text("conv") != "direct");
}

void introduce(Talk& talk, const Config& config, const SingleBoxData& data, std::int64_t parameters) {
    talk.line(fmt::format("data: {}: {} training and {} validation pictures", data.source, data.train->size(),
                          data.val->size()));
    for (const auto& note : data.notes) talk.line("  " + note);
    if (data.train->cached() < data.train->size())
        talk.line(fmt::format("  {} of {} pictures fit cache_mb={}; the others are decoded in every epoch",
                              data.train->cached(), data.train->size(), config.at("cache_mb").value));
    talk.line(fmt::format("  a box that never looks reaches IoU {:.4f} (mean box) and {:.4f} (best constant box) there",
                          data.mean_iou, data.constant_iou));
    talk.line(
        fmt::format("model {} ({} norm), {} px, {} parameters; {} {}, batch {}, {} epochs, seed {}; {} threads, {} "
                    "kernels",
                    config.text("model"), config.text("norm"), config.integer("image"), parameters,
                    config.text("optimizer"), config.at("lr0").value, config.integer("batch"), config.integer("epochs"),
                    config.integer("seed"), thread_count(), name_of(active_kernels())));
    if (config.text("optimizer_override") != "none")
        talk.line(fmt::format("  warning: optimizer_override={} builds another optimizer than the configured {}",
                              config.text("optimizer_override"), config.text("optimizer")));
    for (const auto& [key, v] : config.all())
        if (!config.is_default(key)) talk.line(fmt::format("  {}={}  # {}", key, v.value, v.origin));
}

std::vector<ReportPicture> worst_pictures(const PictureStore& store, const BoxScores& scores, std::size_t most) {
    std::vector<std::size_t> order(store.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return scores.ious[a] < scores.ious[b]; });
    order.resize(std::min(order.size(), most));
    std::vector<ReportPicture> out;
    for (const std::size_t i : order)
        out.push_back({store.target(i).name, scale_to_fit(store.picture(i), 320, 320), store.target(i).box,
                       scores.predictions[i], scores.ious[i]});
    return out;
}

BoxScores finish_run(SingleBoxTask& task, const RunDirectory& run, const std::string& verdict_text) {
    load_weights(task, run.best_weights());
    const BoxScores scores = *task.measure(*task.data().val, {});
    Report report = read_run_report(run);
    report.verdict_text = verdict_text;
    report.summary.emplace_back("data", task.data().source);
    report.summary.emplace_back(
        "pictures", fmt::format("{} training, {} validation", task.data().train->size(), task.data().val->size()));
    report.pictures = worst_pictures(*task.data().val, scores, 24);
    run.write_text("report.html", render_report(report));
    const auto some = worst_pictures(*task.data().val, scores, 16);
    write_png(run.file("worst.png"), draw_pictures(some, 4, 224));
    std::vector<ReportPicture> first;
    for (std::size_t i = 0; i < std::min<std::size_t>(16, task.data().val->size()); ++i)
        first.push_back({task.data().val->target(i).name, scale_to_fit(task.data().val->picture(i), 320, 320),
                         task.data().val->target(i).box, scores.predictions[i], scores.ious[i]});
    write_png(run.file("val_pred.png"), draw_pictures(first, 4, 224));
    return scores;
}

}  // namespace solobox
