// Overfitting for classifiers: N pictures of several classes, learned by heart or not.
#pragma once

#include <string>
#include <vector>

#include "data/feed/class_pictures.h"
#include "nn/models/resnet.h"
#include "train/session/overfit.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

struct ClassPicture {
    std::string name;
    Image image;
    int class_id = 0;
};

struct ClassPictures {
    std::vector<ClassPicture> pictures;
    std::vector<std::string> names;  // of the classes
    std::string source;
    std::vector<std::string> notes;
};

// n training pictures of a data set, one of each class in turn, in byte order of their paths; or synthetic shapes when
// `dir` is empty. A picture that does not decode is a DataError, or left out with `skip_bad`.
ClassPictures load_class_pictures(const std::string& dir, const std::string& format, std::int64_t n, bool skip_bad,
                                  const Config& config);

struct ClassOverfitResult {
    bool pass = false;
    int stopped_by = 0;  // the signal's number
    std::int64_t steps = 0, parameters = 0;
    double seconds = 0, loss_first = 0, loss_last = 0;  // of training steps
    double loss = 0, accuracy = 0;                      // evaluation mode, reloaded checkpoint; accuracy in %
    double smallest = 0;                                // probability that a picture's own class got
    double common_share = 0;                            // accuracy in % of always giving the commonest class
    std::string verdict_text;
    std::vector<ReportFinding> findings;
};

// Trains, writes tables, checkpoint, pictures and report into `run`, judges the reloaded checkpoint: every picture
// right and a loss below 0.01. `patch` damages the model before the first step: for tests.
ClassOverfitResult overfit_classes(const ClassPictures& data, const Config& config, const RunDirectory& run,
                                   const OverfitOptions& options, const std::function<void(ResNet&)>& patch = {});

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
