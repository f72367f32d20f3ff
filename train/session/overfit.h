// The overfit job: train on N pictures until they are learned, and say whether the network could.
//
// A network that cannot learn eight pictures by heart is broken, whatever its learning curve on thousands looks like.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "data/types.h"
#include "nn/models/single_box.h"
#include "train/config/config.h"
#include "train/report/report.h"
#include "train/run/run.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

// One picture to learn, as the network sees it, and as a person does.
struct OverfitPicture {
    std::string name;
    Image image;
    UnitBox box;
};

struct OverfitPictures {
    std::vector<OverfitPicture> pictures;
    std::string source;              // "synthetic shapes (made in memory)", "VOC data set /data/raccoon"
    std::vector<std::string> notes;  // what was skipped, converted or counted
};

// The first n usable pictures of a data set in byte order of their paths; or n synthetic ones when `dir` is empty. A
// picture without an object is not usable. One that does not decode is a DataError, or left out with `skip_bad`.
OverfitPictures load_overfit_pictures(const std::string& dir, const std::string& format, std::int64_t n, bool skip_bad,
                                      const Config& config);

struct OverfitOptions {
    std::int64_t steps = 900;
    std::function<void(const std::string& line, bool live)> talk;  // progress; `live` lines replace each other
    const std::atomic<int>* stop_signal = nullptr;                 // non-zero: save and leave
    std::function<void(SingleBox&)> patch;                         // tests: damages the model before the first step
};

struct OverfitResult {
    bool pass = false;
    int stopped_by = 0;  // the signal's number
    std::int64_t steps = 0, parameters = 0;
    double seconds = 0, loss_first = 0, loss_last = 0;
    double mean_iou = 0, min_iou = 0, mean_box_iou = 0, constant_box_iou = 0;
    bool all_moved = false;  // every tensor had a gradient and changed within the first 3 steps
    std::string verdict_text;
    std::vector<ReportFinding> findings;
    Report report;
};

// What overfitting fixes, whatever the configuration says: no decay, no dropout, batch = min(N, 16). ConfigError when
// the user asked for something else. The head starts at the mean box unless the user chose its bias, or an output that
// nothing squashes (decode=identity).
void apply_overfit_settings(Config& config, std::int64_t n);

// Trains, writes CSVs, checkpoint, pictures and report into `run`, judges the reloaded checkpoint.
OverfitResult overfit(const OverfitPictures& data, const Config& config, const RunDirectory& run,
                      const OverfitOptions& options);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
