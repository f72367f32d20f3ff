#include "train/run/scores.h"

#include "train/run/table.h"

namespace solobox {

RunScores read_run_scores(const std::string& run) {
    const Table t(run + "/results.csv");
    RunScores s;
    s.info = read_task_info(run);
    s.rows = static_cast<std::int64_t>(t.rows.size());
    if (t.rows.empty()) return s;
    const std::vector<double> none(t.rows.size(), std::nan(""));
    const auto of = [&](const std::string& column) {
        return column.empty() || (s.steps && !t.has(column)) ? none : t.numbers(column);
    };
    s.steps = !t.has("epoch");
    const auto score = of(s.info.column), blind = of(s.info.blind_column), second = of(s.info.second_column),
               loss = of("val/loss"), epoch = of(s.steps ? "step" : "epoch");
    s.seconds = t.numbers("time").back();
    s.epochs = epoch.back();
    for (std::size_t i = 0; i < score.size(); ++i) {
        if (!std::isfinite(score[i])) continue;
        s.epoch.push_back(epoch[i]), s.score.push_back(score[i]);
        s.last = score[i], s.loss = loss[i], s.blind = blind[i], s.second = second[i];
        if (epoch[i] > 0 && !(score[i] <= s.best)) s.best = score[i], s.best_epoch = epoch[i];
    }
    return s;
}

}  // namespace solobox
