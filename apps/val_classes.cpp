// solobox val and predict for classifiers.
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "apps/val.h"
#include "data/image/image.h"
#include "data/text.h"
#include "train/tasks/class_task.h"

namespace solobox {
namespace {

using Json = nlohmann::ordered_json;

void print_table(const ReportTable& t) {
    std::vector<std::size_t> width;
    for (const std::string& name : t.header) width.push_back(name.size());
    for (const auto& row : t.rows)
        for (std::size_t c = 0; c < row.size(); ++c) width[c] = std::max(width[c], row[c].size());
    const auto line = [&](const std::vector<std::string>& cells) {
        std::string out;
        for (std::size_t c = 0; c < cells.size(); ++c)
            out += c == 0 ? fmt::format("{:<{}}", cells[c], width[c]) : fmt::format("  {:>{}}", cells[c], width[c]);
        fmt::print("{}\n", out);
    };
    fmt::print("\n{}\n", t.title);
    line(t.header);
    for (const auto& row : t.rows) line(row);
}

std::vector<std::string> printed(std::vector<std::string> names) {
    for (std::string& name : names) name = printable(name, 200);
    return names;
}

std::vector<std::string> names_of(const RunDirectory& run) {
    std::ifstream in(run.file("classes.txt"));
    std::vector<std::string> names;
    for (std::string line; std::getline(in, line);) names.push_back(line);
    if (names.empty()) throw DataError(fmt::format("{}: no class names", run.file("classes.txt")));
    return names;
}

}  // namespace

ExitCode val_classes(const ValArguments& a, const RunDirectory& run, const Config& resolved) {
    Talk talk(a.quiet);
    Config config = resolved;
    config.set("classes", "0", "run");  // whether they are the run's is told by their names
    ClassTask task(config, load_class_data(config));
    if (printed(task.data().names) != names_of(run))
        throw DataError(
            fmt::format("{}: its classes are not those of the run ({})", config.text("data"), run.file("classes.txt")));
    const std::string weights = weights_file(run, a.weights);
    load_weights(task, weights);
    const PictureStore& store = a.split == "train" ? *task.data().train : *task.data().val;
    for (const std::string& note : task.introduction()) talk.line(note);
    const ClassScores s = *task.measure(store, {});
    const double chance = 100 / static_cast<double>(task.data().names.size()),
                 common = 100 * static_cast<double>(std::count(s.truth.begin(), s.truth.end(), task.data().common)) /
                          static_cast<double>(s.truth.size());
    const LiftVerdict verdict =
        judge_accuracy(s.acc1, std::max(chance, common), static_cast<std::int64_t>(store.size()));
    if (!a.out.empty()) write_png(a.out, draw_pictures(shown_classes(store, s, task.data().names, 24, true), 4, 224));
    const std::size_t classes = task.data().names.size();
    if (a.json) {
        std::vector<std::vector<std::int64_t>> confusion(classes, std::vector<std::int64_t>(classes));
        for (std::size_t i = 0; i < s.truth.size(); ++i)
            ++confusion[static_cast<std::size_t>(s.truth[i])][static_cast<std::size_t>(s.answer[i])];
        Json j{{"run_dir", run.path()}, {"weights", weights},     {"data", task.data().source},
               {"split", a.split},      {"images", store.size()}, {"acc1", s.acc1},
               {"acc5", s.acc5},        {"loss", s.loss}};
        j["chance"] = chance, j["common_class_acc1"] = common;
        j.update({{"acc5_is_trivial", classes <= 5},
                  {"classes", task.data().names},
                  {"confusion", confusion},
                  {"verdict_text", verdict.text()}});
        print_json(j);
        return ExitCode::done;
    }
    fmt::print("{}: {} pictures of {} ({})\n", weights, store.size(), task.data().source, a.split);
    fmt::print("top-1 {:.2f} %, top-5 {:.2f} %{}, loss {:.4f}\n", s.acc1, s.acc5, classes <= 5 ? " (trivial)" : "",
               s.loss);
    fmt::print("without looking: chance {:.2f} %, always the commonest training class {:.2f} %\n", chance, common);
    for (const ReportTable& t : class_tables(s, task.data().names)) print_table(t);
    fmt::print("\n{}\n", verdict.text());
    return ExitCode::done;
}

ExitCode predict_classes(const ValArguments& a, const RunDirectory& run, const Config& config) {
    if (!a.out.empty()) throw ConfigError("--out draws boxes: a classifier has none");
    ClassData none{std::make_shared<PictureStore>(), std::make_shared<PictureStore>(), names_of(run), {}, {}, 0};
    ClassTask task(config, none);
    load_weights(task, weights_file(run, a.weights));
    set_training(task, false);
    task.model().freeze();
    const int side = task.picture_spec().side;
    Json rows = Json::array();
    for (const std::string& path : a.images) {
        const Pixels<float> pixels = centre_picture(read_image(path), task.picture_spec());
        Tensor x(Shape{1, side, side, 3});
        std::copy(pixels.values.begin(), pixels.values.end(), x.mutable_data());
        const Tensor p = task.probabilities(x);
        std::vector<std::int64_t> order(static_cast<std::size_t>(p.numel()));
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), [&](std::int64_t i, std::int64_t k) { return p[i] > p[k]; });
        order.resize(std::min<std::size_t>(order.size(), 5));
        Json answers = Json::array();
        std::string text;
        for (const std::int64_t k : order) {
            const std::string& name = none.names[static_cast<std::size_t>(k)];
            answers.push_back({{"class", name}, {"index", k}, {"p", static_cast<double>(p[k])}});
            text += fmt::format("{}{} {:.1f} %", text.empty() ? "" : ", ", name, 100 * static_cast<double>(p[k]));
        }
        if (a.json)
            rows.push_back({{"image", path}, {"answers", answers}});
        else
            fmt::print("{}: {}\n", path, text);
    }
    if (a.json) print_json({{"run_dir", run.path()}, {"predictions", rows}});
    return ExitCode::done;
}

}  // namespace solobox
