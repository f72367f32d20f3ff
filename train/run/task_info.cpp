#include "train/run/task_info.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tensor/check.h"
#include "train/run/table.h"

namespace solobox {
namespace {

using Json = nlohmann::ordered_json;

// Runs from before task.json knew two kinds, told apart by their columns.
TaskInfo from_columns(const Table& t) {
    if (!t.has("val/acc1")) return box_task_info();
    std::int64_t classes = 0;
    if (t.has("metrics/chance"))
        for (const double chance : t.numbers("metrics/chance"))
            if (std::isfinite(chance)) classes = std::llround(100 / chance);
    return class_task_info(classes);
}

Json pairs(const std::vector<std::pair<std::string, std::string>>& list) {
    Json out = Json::array();
    for (const auto& [a, b] : list) out.push_back({a, b});
    return out;
}

}  // namespace

TaskInfo box_task_info() {
    TaskInfo t;
    t.kind = "box", t.name = "iou", t.title = "IoU", t.column = "metrics/iou";
    t.blind_column = "metrics/constant_box_iou", t.blind_title = "best constant box";
    t.second_column = "metrics/mean_box_iou", t.second_title = "mean box";
    t.compare_title = t.plot_title = "IoU on the validation pictures";
    t.plot_note = "The constant box never looks at a picture: only what lies above its line was learned.";
    t.plot = {{"metrics/iou", "mean IoU"},
              {"metrics/iou50", "share above 0.5"},
              {"metrics/constant_box_iou", "best constant box"},
              {"metrics/mean_box_iou", "mean box"}};
    t.shown = {{"best constant box", "metrics/constant_box_iou"},
               {"lift over it", "metrics/constant_box_iou", true},
               {"mean box", "metrics/mean_box_iou"}};
    return t;
}

TaskInfo class_task_info(std::int64_t classes) {
    TaskInfo t;
    t.kind = "classes", t.name = "acc1", t.title = "top-1", t.column = "val/acc1", t.full = 100;
    t.blind_column = "metrics/blind_acc1", t.blind_title = "most frequent class";
    t.compare_title = "Top-1 accuracy on the validation pictures, %";
    t.plot_title = "Accuracy in %";
    t.plot_note = "Chance never looks at a picture: only what lies above it was learned.";
    t.plot = {{"train/acc1", "training top-1"},
              {"val/acc1", "validation top-1"},
              {"val/acc5", "validation top-5"},
              {"metrics/chance", "chance"}};
    t.shown = {{"top-5 there", "val/acc5"}, {"chance", "metrics/chance"}};
    t.classes = classes;
    return t;
}

std::string TaskInfo::text(double score) const {
    return percent() ? fmt::format("{:.2f} %", score) : fmt::format("{:.4f}", score);
}

void write_task_info(const RunDirectory& run, const TaskInfo& t) {
    Json shown = Json::array();
    for (const auto& s : t.shown) shown.push_back({{"title", s.title}, {"column", s.column}, {"lift", s.lift}});
    const Json j{{"kind", t.kind},
                 {"score", {{"name", t.name}, {"title", t.title}, {"column", t.column}, {"full", t.full}}},
                 {"blind", {{"column", t.blind_column}, {"title", t.blind_title}}},
                 {"second_blind", {{"column", t.second_column}, {"title", t.second_title}}},
                 {"compare_title", t.compare_title},
                 {"plot", {{"title", t.plot_title}, {"note", t.plot_note}, {"curves", pairs(t.plot)}}},
                 {"shown", shown},
                 {"classes", t.classes}};
    run.write_text("task.json", j.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

TaskInfo read_task_info(const std::string& run) {
    const std::string path = run + "/task.json";
    std::ifstream in(path, std::ios::binary);
    if (!in) return from_columns(Table(run + "/results.csv"));
    try {
        const Json j = Json::parse(in);
        TaskInfo t;
        t.kind = j.at("kind");
        const Json &score = j.at("score"), &blind = j.at("blind"), &second = j.at("second_blind"), &plot = j.at("plot");
        t.name = score.at("name"), t.title = score.at("title"), t.column = score.at("column"),
        t.full = score.at("full");
        t.blind_column = blind.at("column"), t.blind_title = blind.at("title");
        t.second_column = second.at("column"), t.second_title = second.at("title");
        t.compare_title = j.at("compare_title");
        t.plot_title = plot.at("title"), t.plot_note = plot.at("note");
        for (const Json& curve : plot.at("curves")) t.plot.emplace_back(curve.at(0), curve.at(1));
        for (const Json& s : j.at("shown")) t.shown.push_back({s.at("title"), s.at("column"), s.at("lift")});
        t.classes = j.at("classes");
        return t;
    } catch (const Json::exception& e) {
        throw DataError(fmt::format("{}: not the task of a run: {}", path, e.what()));
    }
}

}  // namespace solobox
