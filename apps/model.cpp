// solobox model show: the layer table of a model, from its configuration alone.
#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/apps.h"
#include "train/single_box_setup.h"

namespace solobox {
namespace {

struct Arguments {
    std::string name;
    std::vector<std::string> words;
    bool json = false;
};

std::vector<std::int64_t> dims(const Shape& s) { return s.dims(); }

ExitCode show(const Arguments& a) {
    Config config;
    auto words = a.words;
    words.push_back("model=" + a.name);
    config.set_words(words, "command line");
    apply_model_defaults(config);
    const auto rows = describe(model_config(config));
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
        const nlohmann::ordered_json j{{"model", a.name},
                                       {"image", config.integer("image")},
                                       {"parameters", parameters},
                                       {"trainable", parameters},
                                       {"macs", macs},
                                       {"layers", layers}};
        fmt::print("{}\n", j.dump());
        return ExitCode::done;
    }
    fmt::print("{:<12} {:<16} {:>15} {:>15} {:>14} {:>16}\n", "name", "layer", "in (H,W,C)", "out", "parameters",
               "MACs");
    for (const LayerRow& row : rows)
        fmt::print("{:<12} {:<16} {:>15} {:>15} {:>14} {:>16}\n", row.name, row.type, row.in.str(), row.out.str(),
                   row.parameters, row.macs);
    fmt::print("total: {} parameters, all trainable; {} MACs ({:.3f} G) per {} px picture\n", parameters, macs,
               static_cast<double>(macs) / 1e9, config.integer("image"));
    return ExitCode::done;
}

}  // namespace

Verb add_model(CLI::App& app) {
    auto a = std::make_shared<Arguments>();
    app.require_subcommand(1);
    CLI::App* sub = app.add_subcommand("show", "layer table with shapes, parameters and MACs");
    sub->add_option("name", a->name, "tiny | toy")->required();
    sub->add_option("words", a->words, "key=value configuration words");
    sub->add_flag("--json", a->json, "one JSON object on standard output");
    return [a] { return show(*a); };
}

}  // namespace solobox
