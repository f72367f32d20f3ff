// solobox info and solobox config.
#include <fmt/core.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "apps/apps.h"
#include "train/run.h"

namespace solobox {

Verb add_info(CLI::App& app) {
    auto json = std::make_shared<bool>(false);
    app.add_flag("--json", *json, "one JSON object on standard output");
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

Verb add_config(CLI::App& app) {
    auto json = std::make_shared<bool>(false);
    auto schema = std::make_shared<bool>(false);
    app.add_flag("--schema", *schema, "all keys with aliases, type, range, default and meaning");
    app.add_flag("--json", *json, "one JSON object on standard output");
    return [json, schema] {
        if (*json)
            fmt::print("{}\n", schema_json());
        else
            fmt::print("{}", *schema ? schema_text() : Config().to_yaml());
        return ExitCode::done;
    };
}

}  // namespace solobox
