// solobox model: the layer table of a model, from its configuration alone; its weights and graph for other tools.
#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/apps.h"
#include "apps/onnx_file.h"
#include "nn/checkpoint.h"
#include "train/config/setup.h"
#include "train/run/run.h"
#include "train/tasks/class_task.h"
#include "train/tasks/single_box_setup.h"

namespace solobox {
namespace {

struct Arguments {
    std::string name, weights, format, out;
    std::int64_t image = 0, classes = 0;
    std::vector<std::string> words;
    bool json = false, onnx = false;
};

// A model by name, or the one of a run with its weights, without its type.
struct AnyModel {
    std::string name;
    std::int64_t image = 0;
    std::vector<LayerRow> layers;
    // Only what is asked for is built: a model of a billion parameters has a table, too.
    std::function<void(const std::string& weights)> build;
    std::function<Graph()> graph;
    std::function<void(SafetensorsFile& file)> save;
};

// Ours have a prefix, those of torch.save have none.
template <class Model>
void load_weights(Model& model, const std::string& path) {
    if (path.empty()) return;
    const SafetensorsFile file = read_safetensors(path);
    const bool prefixed = std::any_of(file.tensors.begin(), file.tensors.end(),
                                      [](const auto& t) { return t.first.starts_with("model."); });
    load_state(model, file, path, prefixed ? "model." : "");
}

bool is_run(const Arguments& a) { return std::filesystem::is_directory(a.name); }

AnyModel any_resnet(const Arguments& a, const Config& settings) {
    ResNetConfig config = class_model_config(settings, a.classes                     ? a.classes
                                                       : settings.integer("classes") ? settings.integer("classes")
                                                                                     : 1000);
    AnyModel any{settings.text("model"), config.image, describe(config), {}, {}, {}};
    const std::string of_run = is_run(a) ? a.name + "/weights/last.safetensors" : "";
    const auto model = std::make_shared<std::optional<ResNet>>();
    any.build = [=](const std::string& weights) {
        model->emplace(config, 0);
        load_weights(**model, weights.empty() ? of_run : weights);
    };
    any.graph = [=] {
        GraphBuilder graph("images", {-1, 3, config.image, config.image});
        const std::string logits = (*model)->append_to(graph);
        return graph.finish(logits, "logits", {-1, config.classes});
    };
    any.save = [=](SafetensorsFile& file) { save_state(**model, file, ""); };
    return any;
}

AnyModel any_single_box(const Arguments& a, const Config& config) {
    if (a.classes) throw ConfigError("--classes applies to residual networks: one box has no classes");
    const bool run = is_run(a);
    AnyModel any{config.text("model"), config.integer("image"), describe(model_config(config)), {}, {}, {}};
    const auto model = std::make_shared<std::unique_ptr<SingleBox>>();
    any.build = [=, of_run = run ? a.name + "/weights/last.safetensors" : ""](const std::string& weights) {
        *model = make_single_box(config, {});
        load_weights(**model, weights.empty() ? of_run : weights);
    };
    any.graph = [=] {
        const std::int64_t image = config.integer("image");
        GraphBuilder graph("images", {-1, 3, image, image});
        const std::string raw = (*model)->append_to(graph);
        return graph.finish(decode_boxes(graph, raw, decode_spec(config)), "boxes", {-1, 4});
    };
    any.save = [=](SafetensorsFile& file) { save_state(**model, file, ""); };
    return any;
}

AnyModel any_model(const Arguments& a) {
    Config config;
    if (is_run(a))
        for (const auto& [key, value] : read_settings(a.name + "/args.yaml")) config.set(key, value, "run");
    auto words = a.words;
    if (!is_run(a)) words.push_back("model=" + a.name);
    if (a.image) words.push_back(fmt::format("image={}", a.image));
    config.set_words(words, "command line");
    if (!is_run(a)) apply_model_defaults(config);  // those of a run are resolved already
    if (!is_run(a)) refuse_keys_of_other_tasks(config);
    return is_classifier(config) ? any_resnet(a, config) : any_single_box(a, config);
}

std::vector<std::int64_t> dims(const Shape& s) { return s.dims(); }

ExitCode show(const Arguments& a) {
    const AnyModel model = any_model(a);
    const auto& rows = model.layers;
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
        const nlohmann::ordered_json j{{"model", model.name},     {"image", model.image}, {"parameters", parameters},
                                       {"trainable", parameters}, {"macs", macs},         {"layers", layers}};
        fmt::print("{}\n", j.dump());
        return ExitCode::done;
    }
    fmt::print("{:<12} {:<16} {:>15} {:>15} {:>14} {:>16}\n", "name", "layer", "in (H,W,C)", "out", "parameters",
               "MACs");
    for (const LayerRow& row : rows)
        fmt::print("{:<12} {:<16} {:>15} {:>15} {:>14} {:>16}\n", row.name, row.type, row.in.str(), row.out.str(),
                   row.parameters, row.macs);
    fmt::print("total: {} parameters, all trainable; {} MACs ({:.3f} G) per {} px picture\n", parameters, macs,
               static_cast<double>(macs) / 1e9, model.image);
    return ExitCode::done;
}

ExitCode export_model(const Arguments& a) {
    const std::string format = a.onnx ? "onnx" : a.format;
    if (a.onnx && !a.format.empty() && a.format != "onnx")
        throw ConfigError(fmt::format("--onnx and --format {} contradict each other", a.format));
    if (format.empty()) throw ConfigError("which format? --format onnx or --format safetensors");
    const AnyModel model = any_model(a);
    model.build(a.weights);
    const std::string out = a.out.empty() ? model.name + "." + format : a.out;
    if (format == "onnx") {
        const Graph graph = model.graph();
        write_file_atomically(
            out, onnx_bytes(graph, model.name,
                            {{"input", "RGB, N x 3 x height x width, as the network was trained on it"},
                             {"output", graph.output.name == "boxes" ? "cx, cy, w, h as fractions of the picture"
                                                                     : "one score per class"}}));
    } else {
        SafetensorsFile file;
        model.save(file);
        write_safetensors(out, file);
    }
    std::int64_t parameters = 0;
    for (const LayerRow& row : model.layers) parameters += row.parameters;
    const auto size = std::filesystem::file_size(out);
    if (a.json) {
        const nlohmann::ordered_json j{
            {"model", model.name}, {"format", format}, {"file", out}, {"bytes", size}, {"parameters", parameters}};
        print_json(j);
    } else {
        fmt::print("{}: {}, {} parameters, {:.1f} MB\n", out, model.name, parameters, static_cast<double>(size) / 1e6);
    }
    return ExitCode::done;
}

}  // namespace

Verb add_model(Command app) {
    auto a = std::make_shared<Arguments>();
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
    Command file = app.command("export", "weights and graph for other tools");
    file.option("name", a->name, "as for show; of a run, its last weights").required();
    common(file);
    file.option("--format", a->format, "onnx (opset 13, box decoded inside) | safetensors (PyTorch's names)")
        .one_of({"onnx", "safetensors"});
    file.flag("--onnx", a->onnx, "the same as --format onnx");
    file.option("--out", a->out, "file to write (default NAME.FORMAT)").not_empty();
    file.option("--weights", a->weights, "safetensors to export (default: the run's, or freshly initialised)")
        .not_empty();
    return [a, table] { return table.given() ? show(*a) : export_model(*a); };
}

}  // namespace solobox
