// The whole command-line tool as one function: a program of somebody's own has the same commands.
#pragma once

namespace solobox {

// Finds the verb, runs it, turns errors into exit codes.
int tool(int argc, char** argv);

}  // namespace solobox
