// solobox gradcheck: every op, layer, loss and model against central differences. Compiled with Real = double.
#include "train/proof/gradcheck.h"

#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/apps.h"
#include "train/proof/ops_table.h"

namespace solobox {
namespace {

struct GradcheckArguments {
    std::string only;
    std::uint64_t seed = 0;
    int threads = 0;
    bool json = false, list = false;
};

ExitCode run(const GradcheckArguments& a) {
    use_threads(a.threads);
    if (a.list) {
        for (const OpRow& row : ops_table()) fmt::print("{:<6} {}\n", row.group, row.name);
        return ExitCode::done;
    }
    const auto results = run_gradcheck(a.only, a.seed);
    const bool pass = std::all_of(results.begin(), results.end(), [](const auto& r) { return r.pass; });
    if (a.json) {
        nlohmann::ordered_json rows = nlohmann::ordered_json::array();
        for (const auto& r : results)
            rows.push_back({{"name", r.name},
                            {"group", r.group},
                            {"shapes", r.shapes},
                            {"error", r.error},
                            {"coordinates", r.coordinates},
                            {"kinks", r.kinks},
                            {"pass", r.pass}});
        fmt::print("{}\n",
                   nlohmann::ordered_json{
                       {"verdict", pass ? "pass" : "fail"}, {"tolerance", gradcheck_tolerance}, {"checks", rows}}
                       .dump());
        return pass ? ExitCode::done : ExitCode::verdict;
    }
    fmt::print("{:<36} {:<44} {:>10} {:>7} {:>6}  verdict\n", "op", "shapes", "max error", "checked", "kinks");
    for (const auto& r : results) {
        fmt::print("{:<36} {:<44} {:>10.2e} {:>7} {:>6}  {}\n", r.name, r.shapes, r.error, r.coordinates, r.kinks,
                   r.pass ? "pass" : "FAIL");
        if (!r.pass) fmt::print("    {}\n", r.worst);
    }
    const auto failed = std::count_if(results.begin(), results.end(), [](const auto& r) { return !r.pass; });
    fmt::print("{} checks, {} failed (error = max |backward - numeric| / max |gradient|, at most {:g})\n",
               results.size(), failed, gradcheck_tolerance);
    return pass ? ExitCode::done : ExitCode::verdict;
}

}  // namespace

Verb add_gradcheck(Command app) {
    auto a = std::make_shared<GradcheckArguments>();
    app.option("name", a->only, "an op, layer or model, or a group: op, loss, layer, model (default: all)");
    app.option("--seed", a->seed, "of the random inputs (default 0)");
    add_threads_option(app, a->threads);
    app.flag("--list", a->list, "the names, without checking anything");
    app.flag("--json", a->json, "one JSON object on standard output");
    return [a] { return run(*a); };
}

}  // namespace solobox
