// solobox val and predict: what a run's network says about pictures.
#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "apps/run_setup.h"
#include "data/image/draw.h"
#include "data/image/image.h"
#include "data/text.h"
#include "train/run/record.h"

namespace solobox {
namespace {

using Json = nlohmann::ordered_json;

struct ValArguments {
    std::string run, weights = "best", data, split = "val", out;
    std::vector<std::string> images;
    int threads = 0;
    bool json = false, skip_bad = false, quiet = false;
};

std::string weights_file(const RunDirectory& run, const std::string& which) {  // best | last | a file
    if (which != "best" && which != "last") return which;
    const bool one = read_record(run.path()).state == "overfit";  // which keeps the last alone
    return which == "best" && !one ? run.best_weights() : run.last_weights();
}

// Of the run, as it printed them; none where the task has none.
std::vector<std::string> names_of(const RunDirectory& run, bool needed) {
    std::ifstream in(run.file("classes.txt"));
    std::vector<std::string> names;
    for (std::string line; std::getline(in, line);) names.push_back(line);
    if (needed && names.empty()) throw DataError(fmt::format("{}: no class names", run.file("classes.txt")));
    return names;
}

void add_common(Command app, ValArguments& a) {
    app.option("run", a.run, "directory of a run").required().not_empty();
    app.option("--weights", a.weights, "best (default) | last | a safetensors file").not_empty();
    add_threads_option(app, a.threads);
    app.flag("--json", a.json, "one JSON object on standard output");
}

ExitCode val(const ValArguments& a) {
    const RunDirectory run = RunDirectory::existing(a.run);
    if (a.data.empty() && read_record(a.run).state == "overfit")
        throw ConfigError(
            fmt::format("{}: an overfit run: how well it knows its own pictures is its verdict; --data "
                        "DIRECTORY measures it on others",
                        a.run));
    Config config = read_config(run.file("args.yaml"));
    if (!a.data.empty()) config.set("data", a.data, "command line");
    if (std::error_code error;
        config.text("data") != "synthetic" && !std::filesystem::exists(config.text("data"), error))
        throw DataError(
            fmt::format("{}: the data set is not there: --data DIRECTORY says where it is", config.text("data")));
    if (a.skip_bad) config.set("skip_bad", "true", "--skip-bad");
    // Whether the classes are the run's is told by their names.
    if (config.at("classes").origin == "data set") config.set("classes", "0", "run");
    set_up_compute(config, a.threads);
    Talk talk(a.quiet);
    const std::unique_ptr<Learner> learner = make_learner(config);
    std::vector<std::string> printed;
    for (const std::string& name : learner->class_names()) printed.push_back(printable(name, 200));
    if (!printed.empty() && printed != names_of(run, true))
        throw DataError(
            fmt::format("{}: its classes are not those of the run ({})", config.text("data"), run.file("classes.txt")));
    if (a.data.empty())
        refuse_changed_data(*learner, run, fmt::format("--data {} measures on it as it is now", config.text("data")));
    const std::string weights = weights_file(run, a.weights);
    load_weights(*learner, weights);
    const PictureStore& store = a.split == "train" ? *learner->data().train : *learner->data().val;
    for (const auto& line : learner->introduction()) talk.line(line);
    const Measurement m = *learner->measure(store, {});
    const LiftVerdict verdict = learner->judge(m.evaluation.score, m.blind, store.size());
    if (!a.out.empty()) write_png(a.out, draw_pictures(shown_pictures(*learner, store, m, 24, true), 4, 224));
    if (a.json) {
        Json j{{"run_dir", run.path()},
               {"weights", weights},
               {"data", learner->data().source},
               {"split", a.split},
               {"images", store.size()}};
        m.meter->add_json(j, m.evaluation.loss);
        j["verdict_text"] = verdict.text();
        print_json(j);
        return ExitCode::done;
    }
    fmt::print("{}: {} pictures of {} ({})\n{}{}\n", weights, store.size(), learner->data().source, a.split,
               m.meter->words(m.evaluation.loss), verdict.text());
    return ExitCode::done;
}

// A file below `out` named after the picture, that is not there yet.
std::string free_name(const std::string& out, const std::string& picture) {
    const std::filesystem::path place(out);
    const std::string stem = std::filesystem::path(picture).stem().string();
    std::string name = (place / (stem + ".png")).string();
    std::error_code error;
    for (int i = 2; std::filesystem::exists(name, error); ++i)
        name = (place / fmt::format("{}-{}.png", stem, i)).string();
    return name;
}

void draw(Image& picture, const Prediction& p, bool boxes) {
    const LineStyle style{colour::prediction, std::max(2, picture.width / 160)};
    for (const Scored& o : p.objects) {
        if (boxes) draw_box(picture, o.box, style);
        for (const KeyPoint& point : o.points) draw_point(picture, point, std::max(4, picture.width / 32), style);
    }
}

ExitCode predict(const ValArguments& a) {
    const RunDirectory run = RunDirectory::existing(a.run);
    const Config config = read_config(run.file("args.yaml"));
    set_up_compute(config, a.threads);
    const std::unique_ptr<Learner> learner = make_predictor(config, names_of(run, task_of(config).picture_classes));
    const Task& task = learner->task();
    if (!a.out.empty() && !task.draws()) throw ConfigError("--out draws boxes: a classifier has none");
    load_weights(*learner, weights_file(run, a.weights));
    set_training(*learner, false);
    learner->model().freeze();
    std::error_code error;
    if (!a.out.empty() && (std::filesystem::create_directories(a.out, error), error))
        throw IoError(fmt::format("{}: cannot be created: {}", a.out, error.message()));
    Json rows = Json::array();
    for (const std::string& path : a.images) {
        Image picture = read_image(path);
        const auto start = std::chrono::steady_clock::now();
        const Prediction p = learner->predict(picture);
        const double ms = 1e3 * std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        const std::string words = task.words(p, picture, learner->data());
        Json row{{"image", path}};
        task.add_json(row, p, picture, learner->data());
        std::string drawn;
        if (!a.out.empty()) {
            drawn = free_name(a.out, path);
            draw(picture, p, task.needs() != Need::points);
            write_png(drawn, picture);
        }
        if (task.draws()) row["ms"] = ms, row["drawn"] = drawn;
        if (a.json)
            rows.push_back(std::move(row));
        else
            fmt::print("{}: {}{}\n", path, words, drawn.empty() ? "" : " -> " + drawn);
    }
    if (a.json) print_json({{"run_dir", run.path()}, {"predictions", rows}});
    return ExitCode::done;
}

}  // namespace

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
    app.option("--out", a->out, "directory for the pictures with what was found").not_empty();
    return [a] { return predict(*a); };
}

}  // namespace solobox
