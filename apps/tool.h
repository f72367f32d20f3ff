// The whole command-line tool as one function: a program with a task of its own has train, resume, val, predict,
// overfit, report, doctor and all other commands for it.
//
//     int main(int argc, char** argv) { return solobox::tool(argc, argv, {my_kind()}); }
#pragma once

#include <vector>

#include "train/tasks/kinds.h"

namespace solobox {

// Finds the verb, runs it, turns errors into exit codes. `kinds` join those that are there.
int tool(int argc, char** argv, std::vector<TaskKind> kinds = {});

}  // namespace solobox
