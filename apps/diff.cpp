// solobox diff: the first step and tensor in which two runs differ.
#include "train/run/diff.h"

#include <fmt/core.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "apps/apps.h"

namespace solobox {
namespace {

struct DiffArguments {
    std::string a, b;
    bool json = false;
};

ExitCode run(const DiffArguments& a) {
    const RunDiff d = diff_runs(a.a, a.b);
    if (a.json) {
        const nlohmann::ordered_json j{
            {"equal", d.equal()},         {"settings", d.settings}, {"steps", {d.steps_a, d.steps_b}},
            {"first_step", d.first_step}, {"column", d.column},     {"tensor_step", d.tensor_step},
            {"tensor", d.tensor},         {"part", d.part},         {"tensors", d.tensors},
            {"weights", d.weights}};
        print_json(j);
    } else {
        for (const auto& line : describe(d)) fmt::print("{}\n", line);
    }
    return d.equal() ? ExitCode::done : ExitCode::verdict;
}

}  // namespace

Verb add_diff(Command app) {
    auto a = std::make_shared<DiffArguments>();
    app.option("run", a->a, "directory of one run").required().not_empty();
    app.option("other", a->b, "directory of the other").required().not_empty();
    app.flag("--json", a->json, "one JSON object on standard output");
    return [a] { return run(*a); };
}

}  // namespace solobox
