// What the verbs under `solobox data` share: the way a data set is named on the command line.
#pragma once

#include <string>

#include "apps/apps.h"
#include "data/sets/dataset.h"

namespace solobox {

struct DataArguments {
    std::string data, format, exif_boxes = "detect", yolo_rows = "detect";
    std::string train_list, val_list, val_match;
    std::int64_t class_base = 0;
    bool skip_bad = false, json = false, quiet = false;
    int threads = 0;
};

void add_data_arguments(Command app, DataArguments& a);
OpenOptions open_options(const DataArguments& a);
// Says on stderr what was opened and what was left out.
void tell(Talk& talk, const DataSet& set);
// Call it between pictures: after Ctrl-C or SIGTERM it throws, and what was begun is removed.
std::function<void()> stop_on_signal();

Verb add_data_check(Command app);
Verb add_data_show(Command app);
Verb add_data_convert(Command app);
Verb add_data_synth(Command app);

}  // namespace solobox
