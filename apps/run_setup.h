// What the verbs of training runs share: configurations resolved, tasks built, pages written.
#pragma once

#include <string>
#include <vector>

#include "apps/apps.h"
#include "train/report.h"
#include "train/session.h"
#include "train/single_box_task.h"

namespace solobox {

// Defaults < base chain < file < environment < command line; words without '=' name the file (at most one).
Config training_config(const std::vector<std::string>& words);

// Threads as asked for on the command line (0: the default), kernels as the configuration says.
void set_up_compute(const Config& config, int threads);

// Tells whoever reads along what is about to happen.
void introduce(Talk& talk, const Config& config, const SingleBoxData& data, std::int64_t parameters);

// Best weights, pictures, report.html, val_pred.png, worst.png. Returns the scores of the best weights.
BoxScores finish_run(SingleBoxTask& task, const RunDirectory& run, const std::string& verdict_text);

// Pictures of a set with truth and prediction, worst first; at most `most`, thumbnails of at most 320 pixels.
std::vector<ReportPicture> worst_pictures(const PictureStore& store, const BoxScores& scores, std::size_t most);

}  // namespace solobox
