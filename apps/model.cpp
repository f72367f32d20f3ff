// solobox model: the layer table of a model, from its configuration alone; its weights and graph for other tools.
#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/apps.h"
#include "apps/onnx_file.h"
#include "nn/checkpoint.h"
#include "train/config/setup.h"
#include "train/run/run.h"
#include "train/tasks/kinds.h"

namespace solobox {
namespace {

struct ModelArguments {
    std::string name, weights, format, out;
    std::int64_t image = 0, classes = 0;
    std::vector<std::string> words;
    bool json = false, onnx = false;
};

bool is_run(const ModelArguments& a) { return std::filesystem::is_directory(a.name); }

Config configuration(const ModelArguments& a) {
    Config config;
    if (!is_run(a) && a.name.find('/') != std::string::npos)
        throw DataError(fmt::format("{}: no such run directory", a.name));
    if (is_run(a))
        for (const auto& [key, value] : read_settings(a.name + "/args.yaml")) config.set(key, value, "run");
    auto words = a.words;
    if (!is_run(a)) words.push_back("model=" + a.name);
    if (a.image) words.push_back(fmt::format("image={}", a.image));
    config.set_words(words, "command line");
    if (!is_run(a)) apply_model_defaults(config);  // those of a run are resolved already
    if (!is_run(a)) refuse_keys_of_other_tasks(config);
    if (a.classes && !task_of(config).picture_classes)
        throw ConfigError(fmt::format("--classes applies to networks that put out classes: model={} puts out {}",
                                      config.text("model"), task_of(config).puts_out));
    if (a.classes) config.set("classes", std::to_string(a.classes), "--classes");
    return config;
}

std::vector<std::int64_t> dims(const Shape& s) { return s.dims(); }

ExitCode show(const ModelArguments& a) {
    const Config config = configuration(a);
    const std::string& name = config.text("model");
    const std::int64_t image = config.integer("image");
    // From the configuration alone: a model of a billion parameters has a table, too.
    const std::vector<LayerRow> rows = make_task(config)->layers(0);
    std::int64_t parameters = 0, macs = 0;
    for (const LayerRow& row : rows) {
        parameters += row.parameters;
        macs += row.macs;
    }
    if (a.json) {
        nlohmann::ordered_json layers = nlohmann::ordered_json::array();
        for (const LayerRow& row : rows)
            layers.push_back({{"name", row.name},
                              {"type", row.type},
                              {"in", dims(row.in)},
                              {"out", dims(row.out)},
                              {"parameters", row.parameters},
                              {"macs", row.macs}});
        const nlohmann::ordered_json j{{"model", name},           {"image", image}, {"parameters", parameters},
                                       {"trainable", parameters}, {"macs", macs},   {"layers", layers}};
        fmt::print("{}\n", j.dump());
        return ExitCode::done;
    }
    fmt::print("{:<12} {:<16} {:>15} {:>15} {:>14} {:>16}\n", "name", "layer", "in (H,W,C)", "out", "parameters",
               "MACs");
    for (const LayerRow& row : rows)
        fmt::print("{:<12} {:<16} {:>15} {:>15} {:>14} {:>16}\n", row.name, row.type, row.in.str(), row.out.str(),
                   row.parameters, row.macs);
    fmt::print("total: {} parameters, all trainable; {} MACs ({:.3f} G) per {} px picture\n", parameters, macs,
               static_cast<double>(macs) / 1e9, image);
    return ExitCode::done;
}

ExitCode export_model(const ModelArguments& a) {
    const std::string format = a.onnx ? "onnx" : a.format;
    if (a.onnx && !a.format.empty() && a.format != "onnx")
        throw ConfigError(fmt::format("--onnx and --format {} contradict each other", a.format));
    if (format.empty()) throw ConfigError("which format? --format onnx or --format safetensors");
    const Config config = configuration(a);
    const std::string& name = config.text("model");
    const auto task = make_task(config);
    const auto model = task->make_model({});
    const std::string weights = !a.weights.empty() ? a.weights : is_run(a) ? a.name + "/weights/last.safetensors" : "";
    if (!weights.empty()) load(*model, weights);
    const std::string out = a.out.empty() ? name + "." + format : a.out;
    if (format == "onnx") {
        const Extent size = task->recipe(false, 0).size;
        GraphBuilder graph("images", {-1, 3, size.height, size.width});
        const std::string answer = model->append_to(graph);
        write_file_atomically(out,
                              onnx_bytes(task->finish_graph(graph, answer), name,
                                         {{"input", "RGB, N x 3 x height x width, as the network was trained on it"},
                                          {"output", task->graph_says()}}));
    } else {
        SafetensorsFile file;
        save_state(*model, file, "");
        write_safetensors(out, file);
    }
    std::int64_t parameters = 0;
    for (const LayerRow& row : model->layers()) parameters += row.parameters;
    const auto size = std::filesystem::file_size(out);
    if (a.json) {
        const nlohmann::ordered_json j{
            {"model", name}, {"format", format}, {"file", out}, {"bytes", size}, {"parameters", parameters}};
        print_json(j);
    } else {
        fmt::print("{}: {}, {} parameters, {:.1f} MB\n", out, name, parameters, static_cast<double>(size) / 1e6);
    }
    return ExitCode::done;
}

}  // namespace

Verb add_model(Command app) {
    auto a = std::make_shared<ModelArguments>();
    app.needs_command();
    const auto common = [&](Command sub) {
        sub.option("words", a->words, "key=value configuration words");
        sub.option("--image", a->image, "side of the pictures in pixels").within(1, 4096);
        sub.option("--classes", a->classes, "resnets: classes (default 1000)").within(1, 1 << 20);
        sub.flag("--json", a->json, "one JSON object on standard output");
    };
    Command table = app.command("show", "layer table with shapes, parameters and MACs");
    table.option("name", a->name, "tiny | toy | resnet18 | resnet34 | resnet50, or the directory of a run").required();
    common(table);
    table.example("solobox model show resnet18 --image 64");
    Command file = app.command("export", "weights and graph for other tools");
    file.option("name", a->name, "as for show; of a run, its last weights").required();
    common(file);
    file.example("solobox model export runs/train/photos --onnx --out photos.onnx");
    file.option("--format", a->format, "onnx (opset 13, box decoded inside) | safetensors (PyTorch's names)")
        .one_of({"onnx", "safetensors"});
    file.flag("--onnx", a->onnx, "the same as --format onnx");
    file.option("--out", a->out, "file to write (default NAME.FORMAT)").not_empty();
    file.option("--weights", a->weights, "safetensors to export (default: the run's, or freshly initialised)")
        .not_empty();
    return [a, table] { return table.given() ? show(*a) : export_model(*a); };
}

}  // namespace solobox
