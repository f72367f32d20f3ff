// Where an experiment keeps its runs: one directory each, named after what decides the result, so that no run is made
// twice and an experiment that was stopped, or whose file grew an arm, goes on with what is there.
//
//   DIR/experiment.yaml   runs.csv   table.csv   table.md   report.html   runs/<id>/ (a run of `train`, and
//   outcome.json)
#pragma once

#include <map>
#include <string>
#include <vector>

#include "train/config/config.h"
#include "train/run/scores.h"

namespace solobox::experiment {

// What decides a run's result, as text: its settings (threads, workers and places left out), the bytes of its data and
// of its starting weights, the program's version and the kernels that compute.
class Contents {
public:
    // DataError when a data set or a file of weights is not there.
    std::string of(const Config& config);
    static bool decides(const std::string& key);        // whether a key has a say in the result
    static std::string id(const std::string& content);  // 16 hexadecimal digits (FNV-1a)

private:
    std::string print_of(const std::string& place);
    std::map<std::string, std::string> prints_;
};

enum class State {
    missing,     // not begun
    unfinished,  // begun and stopped: `resume` goes on
    done,
    diverged,  // NaN or infinity: a result too, and the same one every time
    failed,    // anything else: tried again next time
};
const char* name_of(State state);

struct Outcome {
    State state = State::missing;
    std::string message;  // of a failed or diverged run
    RunScores scores;     // of a finished one
};

class Store {
public:
    explicit Store(std::string directory) : directory_(std::move(directory)) {}
    std::string run(const std::string& id) const { return directory_ + "/runs/" + id; }
    // State of a run; one whose table is not what it was when it ended is `missing`. DataError when the directory
    // belongs to other content (two contents with one id).
    Outcome look(const std::string& id, const std::string& content) const;
    // Before a run begins and after it has ended.
    void prepare(const std::string& id, const std::string& content) const;
    void record(const std::string& id, State state, const std::string& message) const;

private:
    std::string directory_;
};

}  // namespace solobox::experiment
