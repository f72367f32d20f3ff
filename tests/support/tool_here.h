// The tool in a fork of the test's own process: an instrumented program takes a fifth of a second to start, and some
// tests try hundreds of files. Not for tests of what a process is: signals, terminals, memory, threads.
#pragma once

#include <cerrno>

#include "apps/tool.h"
#include "tests/support/program.h"

namespace solobox::fixtures {

inline int tool_here(int argc, char** argv) {
    static char name[] = "solobox";
    program_invocation_short_name = name;
    return tool(argc, argv);
}

// As run_program; the plain build starts the program itself.
inline Answer run_tool(const std::vector<std::string>& words) {
    return run_program(words, SOLOBOX_BINARY, instrumented ? tool_here : nullptr);
}

}  // namespace solobox::fixtures
