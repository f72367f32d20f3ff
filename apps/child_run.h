// A run of `train` in a process of its own: whatever becomes of it, the one who asked goes on.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace solobox {

// Starts this program with these words: standard output to nothing, standard error into `log` (appended). The child
// has a process group of its own, so that a terminal's Ctrl-C reaches it through its parent alone, gets SIGTERM when
// its parent dies, and sees no SOLOBOX_CFG_ variable: all settings are in the words. IoError when it cannot be started.
pid_t start_child(const std::vector<std::string>& words, const std::string& log);

// Waits at most that long (seconds) for a run's directory to be free of a process that still writes to it.
bool wait_until_free(const std::string& run, double seconds);

}  // namespace solobox
