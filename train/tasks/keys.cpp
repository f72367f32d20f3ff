// The one table of kinds, as the configuration sees it; kinds.cpp has it for whoever makes a task.
#include "train/tasks/keys.h"

#include <fmt/format.h>

#include <algorithm>

#include "tensor/check.h"

namespace solobox {
namespace {

std::vector<TaskKeys>& table() {
    static std::vector<TaskKeys> all{single_box_task_keys(), class_task_keys()};
    return all;
}

}  // namespace

const std::vector<TaskKeys>& task_keys() { return table(); }

void add_task_keys(TaskKeys keys) {
    for (const TaskKeys& t : table()) {
        if (t.kind == keys.kind) throw Error(fmt::format("there is a kind of task '{}' already", keys.kind));
        for (const std::string& model : keys.models)
            if (std::find(t.models.begin(), t.models.end(), model) != t.models.end())
                throw Error(fmt::format("model '{}' belongs to the kind '{}' already", model, t.kind));
    }
    table().push_back(std::move(keys));
    (void)config_schema();  // a key that is there twice is said now
}

}  // namespace solobox
