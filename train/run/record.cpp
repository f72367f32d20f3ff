#include "train/run/record.h"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tensor/check.h"

namespace solobox {

RunRecord read_record(const std::string& run) {
    RunRecord record;
    std::ifstream in(run + "/events.jsonl", std::ios::binary);
    for (std::string line; std::getline(in, line);) {
        const auto j = nlohmann::json::parse(line, nullptr, false);
        if (!j.is_object()) continue;  // cut off while it was written
        const auto text = [&](const char* key) {
            return j.contains(key) && j[key].is_string() ? j[key].get<std::string>() : std::string();
        };
        const std::string event = text("event");
        if (event == "start") record.data_hash = text("data_hash");
        if (event == "start" || event == "resume" || event == "extend") record.state = "open";
        if (event == "finished" || event == "interrupted" || event == "diverged") record.state = event;
    }
    std::ifstream results(run + "/results.csv", std::ios::binary);
    std::string header;
    if (std::getline(results, header) && header.starts_with("step,")) record.state = "overfit";
    return record;
}

void refuse_overfit_run(const std::string& run, const std::string& verb) {
    if (read_record(run).state == "overfit")
        throw ConfigError(fmt::format("{}: an overfit run, which has no epochs: {} takes a run of `train`", run, verb));
}

}  // namespace solobox
