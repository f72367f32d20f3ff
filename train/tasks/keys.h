// What each kind of task brings to the configuration.
#pragma once

#include "train/config/keys.h"

namespace solobox {

TaskKeys single_box_task_keys();
TaskKeys class_task_keys();

}  // namespace solobox
