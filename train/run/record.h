// What a run wrote down about itself while it worked: events.jsonl, and whether it counts in epochs.
#pragma once

#include <string>

namespace solobox {

struct RunRecord {
    // "finished", "interrupted", "diverged", "open" (at work, or killed), "overfit" (which counts in steps), "" where
    // nothing was written down: a run from before there were events
    std::string state;
    std::string data_hash;  // of the pictures and labels that it began with; "": not written down
};
RunRecord read_record(const std::string& run);

// ConfigError for an overfit run where epochs are asked for: `verb`, as "resume".
void refuse_overfit_run(const std::string& run, const std::string& verb);

}  // namespace solobox
