// What the verbs under `solobox data` share: the way a data set is named on the command line.
#pragma once

#include <string>

#include "apps/apps.h"
#include "data/dataset.h"

namespace solobox {

struct DataArguments {
    std::string data, format, exif_boxes = "stored";
    bool skip_bad = false, json = false, quiet = false;
    int threads = 0;
};

void add_data_arguments(CLI::App& app, DataArguments& a);
OpenOptions open_options(const DataArguments& a);
// Says on stderr what was opened and what was left out.
void tell(Talk& talk, const DataSet& set);
// Call it between pictures: after Ctrl-C or SIGTERM it throws, and what was begun is removed.
std::function<void()> stop_on_signal();

Verb add_data_check(CLI::App& app);
Verb add_data_show(CLI::App& app);
Verb add_data_convert(CLI::App& app);
Verb add_data_synth(CLI::App& app);

}  // namespace solobox
