// Whole runs, for programs of one's own: a task with its model, loss and meter gets tables, checkpoints, kill and
// resume, the page and the doctor.
//
//     #include <solobox/run.h>                     find_package(solobox), link solobox::tool
//
// Either as a program with all of solobox's commands, `int main(..) { return tool(argc, argv, {my_kind()}); }`, or as a
// call, `run(my_kind(), {"data=photos", "epochs=20"}, "runs/mine")`. docs/adding_a_task.md; examples/own_task.cpp.
#pragma once

#include "apps/tool.h"
#include "solobox/engine.h"
#include "train/config/keys.h"
#include "train/session/whole_run.h"
#include "train/tasks/kinds.h"
#include "train/tasks/recipes.h"
