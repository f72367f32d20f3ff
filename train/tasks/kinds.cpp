#include "train/tasks/kinds.h"

#include <cmath>

#include "train/config/faults.h"
#include "train/config/setup.h"
#include "train/step/open_split.h"
#include "train/step/training_schedule.h"
#include "train/tasks/classes.h"
#include "train/tasks/keys.h"
#include "train/tasks/single_box.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

template <class T>
TaskKind kind(TaskKeys keys) {
    return {std::move(keys), [](const Config& c) -> std::unique_ptr<Task> { return std::make_unique<T>(c); }};
}

// A row here and one in keys.cpp: a kind of task.
std::vector<TaskKind>& table() {
    static std::vector<TaskKind> all{kind<SingleBoxTask>(single_box_task_keys()), kind<ClassTask>(class_task_keys())};
    return all;
}

}  // namespace

const std::vector<TaskKind>& task_kinds() { return table(); }

void add_task_kind(TaskKind kind) {
    add_task_keys(kind.keys);
    table().push_back(std::move(kind));
}

std::unique_ptr<Task> make_task(const Config& c) {
    const std::string& name = task_of(c).kind;
    for (const TaskKind& k : table())
        if (k.keys.kind == name) return k.make(c);
    throw Error(fmt::format("the kind of task '{}' has keys and no task", name));
}

void check_task(const Config& c) {
    refuse_keys_of_other_tasks(c);
    if (const double every = c.number("val_every"); every > 1 && every != std::floor(every))
        throw ConfigError(fmt::format("val_every={}: expected a whole number of epochs, or a part of one", every));
    (void)make_task(c)->layers(0);
    refuse_ignored_stages(c);
    refuse_harmless_fault(c, false);
    (void)make_training_schedule(c, 1);
}

std::unique_ptr<Learner> make_learner(const Config& c, bool one_batch) {
    check_task(c);
    auto task = make_task(c);
    Split data = open_split(c, *task);
    return std::make_unique<Learner>(c, std::move(task),
                                     one_batch ? one_batch_of(std::move(data), c) : std::move(data));
}

std::unique_ptr<Learner> make_predictor(const Config& c, const std::vector<std::string>& classes) {
    Split none;
    none.classes = classes;
    return std::make_unique<Learner>(c, make_task(c), std::move(none));
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
