#include "train/run/scores.h"

#include "train/run/table.h"

namespace solobox {

RunScores read_run_scores(const std::string& run) {
    const Table t(run + "/results.csv");
    RunScores s;
    s.classes = t.has("val/acc1");
    s.rows = static_cast<std::int64_t>(t.rows.size());
    if (t.rows.empty()) return s;
    const auto score = t.numbers(s.classes ? "val/acc1" : "metrics/iou"),
               blind = t.numbers(s.classes ? "metrics/blind_acc1" : "metrics/constant_box_iou"),
               loss = t.numbers("val/loss"), epoch = t.numbers("epoch");
    const auto mean_box =
        s.classes ? std::vector<double>(score.size(), std::nan("")) : t.numbers("metrics/mean_box_iou");
    s.seconds = t.numbers("time").back();
    s.epochs = epoch.back();
    for (std::size_t i = 0; i < score.size(); ++i) {
        if (!std::isfinite(score[i])) continue;
        s.epoch.push_back(epoch[i]), s.score.push_back(score[i]);
        s.last = score[i], s.loss = loss[i], s.blind = blind[i], s.mean_box = mean_box[i];
        if (epoch[i] > 0 && !(score[i] <= s.best)) s.best = score[i], s.best_epoch = epoch[i];
    }
    return s;
}

}  // namespace solobox
