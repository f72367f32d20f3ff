// solobox val and predict: what a run's network says about pictures.
#include "apps/val.h"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/image/draw.h"
#include "data/image/image.h"
#include "train/session/run_report.h"
#include "train/tasks/single_box_task.h"

namespace solobox {
namespace {

using Json = nlohmann::ordered_json;

ExitCode val_boxes(const ValArguments& a, const RunDirectory& run, const Config& config) {
    Talk talk(a.quiet);
    const SingleBoxData data = load_single_box_data(config);
    SingleBoxTask task(config, data);
    const std::string weights = weights_file(run, a.weights);
    load_weights(task, weights);
    const PictureStore& store = a.split == "train" ? *data.train : *data.val;
    const auto truths = store.boxes();
    const double constant = mean_unit_iou(data.constant, truths), mean = mean_unit_iou(data.mean, truths);
    for (const auto& note : data.notes) talk.line("  " + note);
    std::vector<std::pair<std::string, double>> loss;
    const BoxScores s = *task.measure(store, {}, &loss);
    const LiftVerdict verdict = judge_lift(s.mean, constant);
    if (!a.out.empty()) write_png(a.out, draw_pictures(shown_pictures(store, s, 24, true), 4, 224));
    const char* coordinates[] = {"cx", "cy", "w", "h"};
    if (a.json) {
        Json spread;
        for (std::size_t k = 0; k < 4; ++k)
            spread[coordinates[k]] = {{"predicted_mean", s.predicted_mean[k]},
                                      {"predicted_std", s.predicted_deviation[k]},
                                      {"truth_mean", s.truth_mean[k]},
                                      {"truth_std", s.truth_deviation[k]}};
        print_json({{"run_dir", run.path()},
                    {"weights", weights},
                    {"data", data.source},
                    {"split", a.split},
                    {"images", store.size()},
                    {"iou", s.mean},
                    {"median_iou", s.median},
                    {"iou50", s.share50},
                    {"loss", loss.at(0).second},
                    {"mean_box_iou", mean},
                    {"constant_box_iou", constant},
                    {"lift", s.mean - constant},
                    {"coordinates", spread},
                    {"verdict_text", verdict.text()}});
        return ExitCode::done;
    }
    fmt::print("{}: {} pictures of {} ({})\n", weights, store.size(), data.source, a.split);
    fmt::print("mean IoU {:.4f}, median {:.4f}, {:.1f} % above 0.5, loss {:.4f}\n", s.mean, s.median, 100 * s.share50,
               loss.at(0).second);
    fmt::print("without looking: mean box {:.4f}, best constant box {:.4f}; lift {:+.4f}\n", mean, constant,
               s.mean - constant);
    fmt::print("{:<4} {:>16} {:>16}\n", "", "predicted", "truth");
    for (std::size_t k = 0; k < 4; ++k)
        fmt::print("{:<4} {:>8.3f} +-{:.3f} {:>9.3f} +-{:.3f}\n", coordinates[k], s.predicted_mean[k],
                   s.predicted_deviation[k], s.truth_mean[k], s.truth_deviation[k]);
    fmt::print("{}\n", verdict.text());
    return ExitCode::done;
}

ExitCode predict_boxes(const ValArguments& a, const RunDirectory& run, const Config& config) {
    SingleBoxTask task(
        config, SingleBoxData{std::make_shared<PictureStore>(), std::make_shared<PictureStore>(), {}, {}, {}, {}});
    load_weights(task, weights_file(run, a.weights));
    set_training(task, false);
    task.model().freeze();
    const int side = static_cast<int>(config.integer("image"));
    std::error_code error;
    if (!a.out.empty() && (std::filesystem::create_directories(a.out, error), error))
        throw IoError(fmt::format("{}: cannot be created: {}", a.out, error.message()));
    Json rows = Json::array();
    for (const std::string& path : a.images) {
        Image picture = read_image(path);
        const auto pixels = to_float_square(picture, side, config.flag("antialias"));
        Tensor x(Shape{1, side, side, 3});
        std::copy(pixels.begin(), pixels.end(), x.mutable_data());
        const auto start = std::chrono::steady_clock::now();
        const UnitBox b = task.predict(x).at(0);
        const double ms = 1e3 * std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        const double x1 = (b.cx - b.w / 2) * picture.width, y1 = (b.cy - b.h / 2) * picture.height,
                     x2 = (b.cx + b.w / 2) * picture.width, y2 = (b.cy + b.h / 2) * picture.height;
        std::string drawn;
        if (!a.out.empty()) {
            drawn = (std::filesystem::path(a.out) / (std::filesystem::path(path).stem().string() + ".png")).string();
            for (int i = 2; std::filesystem::exists(drawn, error); ++i)
                drawn = (std::filesystem::path(a.out) /
                         fmt::format("{}-{}.png", std::filesystem::path(path).stem().string(), i))
                            .string();
            draw_box(picture, b, {colour::prediction, std::max(2, picture.width / 160)});
            write_png(drawn, picture);
        }
        if (a.json)
            rows.push_back({{"image", path},
                            {"width", picture.width},
                            {"height", picture.height},
                            {"box", {b.cx, b.cy, b.w, b.h}},
                            {"pixels", {x1, y1, x2, y2}},
                            {"ms", ms},
                            {"drawn", drawn}});
        else
            fmt::print(
                "{}: x {:.1f} to {:.1f}, y {:.1f} to {:.1f} of {}x{} pixels; centre {:.4f} {:.4f}, size {:.4f} "
                "{:.4f}{}\n",
                path, x1, x2, y1, y2, picture.width, picture.height, b.cx, b.cy, b.w, b.h,
                drawn.empty() ? "" : " -> " + drawn);
    }
    if (a.json) print_json({{"run_dir", run.path()}, {"predictions", rows}});
    return ExitCode::done;
}

void add_common(Command app, ValArguments& a) {
    app.option("run", a.run, "directory of a run").required().not_empty();
    app.option("--weights", a.weights, "best (default) | last | a safetensors file").not_empty();
    add_threads_option(app, a.threads);
    app.flag("--json", a.json, "one JSON object on standard output");
}

ExitCode val(const ValArguments& a) {
    const RunDirectory run = RunDirectory::existing(a.run);
    Config config = read_config(run.file("args.yaml"));
    if (!a.data.empty()) config.set("data", a.data, "command line");
    if (a.skip_bad) config.set("skip_bad", "true", "--skip-bad");
    set_up_compute(config, a.threads);
    return is_classifier(config) ? val_classes(a, run, config) : val_boxes(a, run, config);
}

ExitCode predict(const ValArguments& a) {
    const RunDirectory run = RunDirectory::existing(a.run);
    const Config config = read_config(run.file("args.yaml"));
    set_up_compute(config, a.threads);
    return is_classifier(config) ? predict_classes(a, run, config) : predict_boxes(a, run, config);
}

}  // namespace

std::string weights_file(const RunDirectory& run, const std::string& which) {
    return which == "best" ? run.best_weights() : which == "last" ? run.last_weights() : which;
}

Verb add_val(Command app) {
    auto a = std::make_shared<ValArguments>();
    add_common(app, *a);
    app.option("--data", a->data, "another data set than the run's").not_empty();
    app.option("--split", a->split, "val (default) or train").one_of({"val", "train"});
    app.option("--out", a->out, "a PNG of the worst pictures").not_empty();
    app.flag("--skip-bad", a->skip_bad, "leave out pictures and labels that cannot be used");
    app.flag("-q,--quiet", a->quiet, "no talk");
    return [a] { return val(*a); };
}

Verb add_predict(Command app) {
    auto a = std::make_shared<ValArguments>();
    add_common(app, *a);
    app.option("images", a->images, "pictures").required();
    app.option("--out", a->out, "directory for the pictures with their boxes").not_empty();
    return [a] { return predict(*a); };
}

}  // namespace solobox
