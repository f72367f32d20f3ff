// What a run was about, for whoever reads its tables: RUN/task.json. Which column is the score, what never looks at a
// picture, what the page shows. Pages, comparisons, experiments and the doctor ask this, never a column's name.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "train/run/run.h"

namespace solobox {

struct TaskInfo {
    // A number of the best epoch, for the head of the page.
    struct Shown {
        std::string title, column;
        bool lift = false;  // the score minus this column instead
    };
    std::string kind;    // "box", "classes"
    std::string name;    // of the score, in JSON: "iou", "acc1"
    std::string title;   // for people: "IoU", "top-1"
    std::string column;  // of results.csv: "metrics/iou"
    double full = 1;     // the best there is; 100: in per cent
    // The best answer that never looks at a picture, and maybe a second one; column "": none.
    std::string blind_column, blind_title, second_column, second_title;
    std::string compare_title;  // of the score in a comparison of runs
    std::string plot_title, plot_note;
    std::vector<std::pair<std::string, std::string>> plot;  // column, name of the curve
    std::vector<Shown> shown;
    std::int64_t classes = 0;  // that are told apart; 0: none

    bool percent() const { return full == 100; }
    std::string blind_name() const { return blind_column.substr(blind_column.rfind('/') + 1); }
    std::string text(double score) const;  // "0.6123", "61.23 %"
    bool operator==(const TaskInfo&) const = default;
};

// Of the two kinds that there were before task.json: their runs have none.
TaskInfo box_task_info();
TaskInfo class_task_info(std::int64_t classes);

void write_task_info(const RunDirectory& run, const TaskInfo& info);
// Of a run; derived from the columns of its results.csv where it was made before there was a task.json. DataError when
// neither can be read.
TaskInfo read_task_info(const std::string& run);

}  // namespace solobox
