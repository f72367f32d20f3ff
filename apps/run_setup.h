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

// The configuration of an existing run, with key=value words on top of it (origin: `origin`).
Config config_of_run(const RunDirectory& run, const std::vector<std::string>& words, const std::string& origin);

// Tells whoever reads along what is about to happen.
void introduce(Talk& talk, const Config& config, const SingleBoxData& data, std::int64_t parameters);

// Best weights, pictures, report.html, val_pred.png, worst.png. Returns the scores of the best weights.
BoxScores finish_run(SingleBoxTask& task, const RunDirectory& run, const std::string& verdict_text);

// Pictures of a set with truth and prediction, worst first; at most `most`, thumbnails of at most 320 pixels.
std::vector<ReportPicture> worst_pictures(const PictureStore& store, const BoxScores& scores, std::size_t most);

}  // namespace solobox
