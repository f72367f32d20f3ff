// A run from its first file to its page: what `solobox train` and `resume` do, for whoever calls it. A program of one's
// own has it in one call:
//
//     const WholeRun r = run(my_kind(), {"data=photos", "epochs=20"}, "runs/mine");
//
// Called again with the same words it goes on where it was stopped; `solobox compare` and a tool with that kind read
// what it leaves.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "train/report/report.h"
#include "train/session/session.h"
#include "train/tasks/kinds.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {

struct WholeRun {
    SessionResult session;
    std::string directory;
    LiftVerdict verdict;                  // empty for a run that was interrupted
    std::optional<Measurement> shown;     // of the best weights, on the validation pictures; as above
    std::vector<ReportFinding> findings;  // what the doctor warns of: FAIL and WARN
};

// A run of this kind of task in the directory `place`, begun or gone on with. Words as of `solobox train`: key=value,
// and at most one file; without model= the kind's first model. Errors: as train(); ConfigError for words that are not
// understood, or a directory that holds something else.
WholeRun run(const TaskKind& kind, const std::vector<std::string>& words, const std::string& place,
             SessionOptions options = {});

// ---- its parts, which the verbs use

// Defaults < base chain < file < environment < command line; words without '=' name the file (at most one). A run's
// args.yaml keeps the origins that it names: what was a default there is one here.
Config training_config(const std::vector<std::string>& words);

// The configuration learns how many classes the data have, where the task has such: it is the learner's own.
void take_classes(Config& config, const Learner& learner);
// The directory of a new run, locked, with what was asked for in it. `parent`: of a branch, or null.
RunDirectory begin_run(Learner& learner, const RunDirectory::Place& place, const std::vector<std::string>& words,
                       const nlohmann::ordered_json& parent);
// DataError when the learner's pictures or labels are not those that the run began with: a training picture may stand
// among the validation pictures now. `advice`: what to do instead.
void refuse_changed_data(const Learner& learner, const RunDirectory& run, const std::string& advice);
// The weights that a run starts from (the key `weights`), with notes for people.
std::vector<std::string> take_weights(Learner& learner);
// Trains, judges, draws the page and asks the doctor. What diverges says so in the run, then throws.
WholeRun carry_out(Learner& learner, const RunDirectory& run, const SessionOptions& options);
// report.html, val_pred.png and worst.png of the best weights, which the model has from then on.
Measurement finish_run(Learner& learner, const RunDirectory& run, const std::string& verdict_text);
// classes.txt, by which the run knows them again; nothing where the task has none.
void write_classes(const RunDirectory& run, const std::vector<std::string>& names);

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
