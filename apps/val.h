// val and predict, by what a model puts out: boxes (val.cpp) or classes (val_classes.cpp).
#pragma once

#include <string>
#include <vector>

#include "apps/run_setup.h"

namespace solobox {

struct ValArguments {
    std::string run, weights = "best", data, split = "val", out;
    std::vector<std::string> images;
    int threads = 0;
    bool json = false, skip_bad = false, quiet = false;
};

std::string weights_file(const RunDirectory& run, const std::string& which);  // best | last | a file

ExitCode val_classes(const ValArguments& a, const RunDirectory& run, const Config& config);
ExitCode predict_classes(const ValArguments& a, const RunDirectory& run, const Config& config);

}  // namespace solobox
