#include "train/tasks/make_task.h"

#include <algorithm>
#include <cmath>

#include "train/config/faults.h"
#include "train/config/setup.h"
#include "train/step/training_schedule.h"
#include "train/tasks/class_task.h"
#include "train/tasks/single_box_setup.h"
#include "train/tasks/single_box_task.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

void check_task(const Config& c) {
    refuse_keys_of_other_tasks(c);
    if (const double every = c.number("val_every"); every > 1 && every != std::floor(every))
        throw ConfigError(fmt::format("val_every={}: expected a whole number of epochs, or a part of one", every));
    if (is_classifier(c)) {
        (void)describe(class_model_config(c, std::max<std::int64_t>(c.integer("classes"), 2)));
        (void)class_picture_spec(c);
    } else {
        (void)describe(model_config(c)), (void)loss_spec(c);
    }
    refuse_ignored_stages(c);
    refuse_harmless_fault(c, false);
    (void)make_training_schedule(c, 1);
}

namespace {

template <class Data>
Data one_batch_of(Data data, const Config& c) {
    const auto n = static_cast<std::size_t>(c.integer("batch"));
    data.train = std::make_shared<PictureStore>(data.train->some(n));
    data.val = std::make_shared<PictureStore>(data.val->some(n));
    return data;
}

}  // namespace

std::unique_ptr<Task> make_task(const Config& c, bool one_batch) {
    check_task(c);
    if (is_classifier(c)) {
        const ClassData data = load_class_data(c);
        return std::make_unique<ClassTask>(c, one_batch ? one_batch_of(data, c) : data);
    }
    const SingleBoxData data = load_single_box_data(c);
    return std::make_unique<SingleBoxTask>(c, one_batch ? one_batch_of(data, c) : data);
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
