// solobox info and solobox config.
#include <fmt/core.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "apps/run_setup.h"
#include "train/run/run.h"
#include "train/step/training_schedule.h"

namespace solobox {

Verb add_info(Command app) {
    auto json = std::make_shared<bool>(false);
    app.flag("--json", *json, "one JSON object on standard output");
    return [json] {
        nlohmann::ordered_json j;
        for (const auto& [key, value] : environment_facts()) {
            j[key] = value;
            if (!*json) fmt::print("{:<10} {}\n", key, value);
        }
        if (*json) fmt::print("{}\n", j.dump());
        return ExitCode::done;
    };
}

Verb add_config(Command app) {
    struct InfoArguments {
        bool json = false, schema = false, markdown = false;
        std::vector<std::string> words;
    };
    auto a = std::make_shared<InfoArguments>();
    app.flag("--schema", a->schema, "all keys with aliases, type, range, default and meaning");
    app.flag("--markdown", a->markdown, "with --schema: the table as the docs have it");
    app.flag("--json", a->json, "one JSON object on standard output");
    app.option("words", a->words, "CONFIG.yaml and key=value words: what `train` would make of them, with origins");
    return [a] {
        if (a->schema && a->markdown) {
            fmt::print("{}", schema_markdown());
            return ExitCode::done;
        }
        if (a->schema || (a->json && a->words.empty())) {
            fmt::print("{}{}", a->json ? schema_json() : schema_text(), a->json ? "\n" : "");
            return ExitCode::done;
        }
        const Config config = a->words.empty() ? Config() : training_config(a->words);
        check_config(config);
        if (!a->json) {
            fmt::print("{}", config.to_yaml());
            return ExitCode::done;
        }
        nlohmann::ordered_json j;
        for (const auto& [key, v] : config.all()) j[key] = {{"value", v.value}, {"origin", v.origin}};
        print_json(j);
        return ExitCode::done;
    };
}

}  // namespace solobox
