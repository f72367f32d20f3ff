#include "train/run/legacy_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "tensor/check.h"
#include "train/run/table.h"

namespace solobox {
namespace {

namespace fs = std::filesystem;
constexpr std::int64_t log_every_n_steps = 5;  // the report's setting

using LegacyRow = std::map<std::string, std::string>;

// Zero-based step behind which a row of results.csv was measured, and the epoch it belongs to.
struct Place {
    std::int64_t step, epoch;
    bool end;  // of that epoch
};
Place place_of(double epochs, std::int64_t per_epoch) {
    const auto steps = static_cast<std::int64_t>(std::llround(epochs * static_cast<double>(per_epoch)));
    const bool end = steps > 0 && steps % per_epoch == 0;
    return {std::max<std::int64_t>(steps - 1, 0), steps / per_epoch - (end ? 1 : 0), end};
}

}  // namespace

void write_legacy_names(const RunDirectory& run, const Config& config, const LegacyRun& what) {
    const std::int64_t per_epoch = what.steps_per_epoch;
    const Table steps(run.file("steps.csv")), results(run.file("results.csv"));
    const auto text = [](const Table& t, std::size_t row, const char* column) { return t.rows[row][t.column(column)]; };
    const std::string lr = "lr-" + config.text("optimizer");
    std::vector<LegacyRow> rows;
    for (std::size_t i = log_every_n_steps - 1; i < steps.rows.size(); i += log_every_n_steps)
        rows.push_back({{"epoch", std::to_string(static_cast<std::int64_t>(i) / per_epoch)},
                        {"step", std::to_string(i)},
                        {"train/loss_step", text(steps, i, "loss")}});
    const auto epochs = results.numbers("epoch");
    for (std::size_t i = 0; i < results.rows.size(); ++i) {
        const Place at = place_of(epochs[i], per_epoch);
        const LegacyRow where{{"epoch", std::to_string(at.epoch)}, {"step", std::to_string(at.step)}};
        if (!text(results, i, "val/loss").empty()) {
            LegacyRow row = where;
            for (const char* column : {"val/loss", "val/acc1", "val/acc5"}) row[column] = text(results, i, column);
            rows.push_back(row);
        }
        if (!at.end) continue;
        LegacyRow row = where;
        row["train/loss_epoch"] = text(results, i, "train/loss");
        for (const char* column : {"train/acc1", "train/acc5"}) row[column] = text(results, i, column);
        rows.push_back(row);
        row = where;
        row[lr] = text(results, i, "lr");
        rows.push_back(row);
    }
    std::stable_sort(rows.begin(), rows.end(), [](const LegacyRow& a, const LegacyRow& b) {
        return std::stoll(a.at("step")) < std::stoll(b.at("step"));
    });
    std::map<std::string, bool> columns;
    for (const LegacyRow& row : rows)
        for (const auto& [name, value] : row) columns[name] = true;
    std::string csv;
    for (const auto& [name, used] : columns) csv += (csv.empty() ? "" : ",") + name;
    for (const LegacyRow& row : rows) {
        std::string line;
        for (const auto& [name, used] : columns)
            line += (name == columns.begin()->first ? "" : ",") + (row.contains(name) ? row.at(name) : "");
        csv += "\n" + line;
    }
    const auto folder = [&](const std::string& name) {
        std::error_code error;
        fs::create_directories(run.file(name), error);
        if (error) throw IoError(fmt::format("{}: cannot be created: {}", run.file(name), error.message()));
        return name;
    };
    std::int64_t version = 0;
    while (fs::exists(run.file(fmt::format("logs/csv_logs/version_{}", version)))) ++version;
    run.write_text(folder(fmt::format("logs/csv_logs/version_{}", version)) + "/metrics.csv", csv + "\n");

    // One is kept: that of an earlier end of the run goes.
    std::error_code error;
    fs::remove_all(run.file("checkpoints"), error);
    const std::string place =
        folder(fmt::format("checkpoints/{}-epoch={:02}-val", config.text("model"), what.best_epoch));
    fs::copy_file(run.best_weights(), run.file(fmt::format("{}/acc1={:.4f}.ckpt", place, what.best_accuracy)),
                  fs::copy_options::overwrite_existing, error);
    if (error) throw IoError(fmt::format("{}: cannot be copied: {}", run.best_weights(), error.message()));
}

}  // namespace solobox
