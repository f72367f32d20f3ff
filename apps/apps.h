// The verbs of the command line. Each adds its options to the parser and returns what to run.
#pragma once

#include <atomic>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "apps/command.h"
#include "tensor/check.h"

namespace solobox {

using Verb = std::function<ExitCode()>;

// What every verb sees: the words that started the program.
struct CommandLine {
    std::vector<std::string> words;
};

Verb add_overfit(Command app, const CommandLine& line);
Verb add_train(Command app, const CommandLine& line);
Verb add_resume(Command app);
Verb add_extend(Command app);
Verb add_branch(Command app, const CommandLine& line);
Verb add_val(Command app);
Verb add_predict(Command app);
Verb add_experiment(Command app);
Verb add_compare(Command app);
Verb add_report(Command app);
Verb add_lr_find(Command app);
Verb add_iou_lab(Command app);
Verb add_doctor(Command app);
Verb add_help(Command app, Command root);
Verb add_completion(Command app, Command root);
Verb add_model(Command app);
Verb add_gradcheck(Command app);
Verb add_step(Command app);
Verb add_diff(Command app);
Verb add_info(Command app);
Verb add_config(Command app);
Verb add_bench(Command app);
Verb add_data(Command app);
Verb add_check(Command app);

// --threads, shared by the verbs that compute.
void add_threads_option(Command app, int& threads);
void use_threads(int threads);  // 0: the default

// Ctrl-C and SIGTERM set a flag that the work looks at; a second one leaves at once.
const std::atomic<int>& watch_signals();

// Talk goes to stderr: a line that replaces itself on a terminal, plain lines elsewhere.
class Talk {
public:
    explicit Talk(bool quiet);
    ~Talk() { end_live(); }
    void line(const std::string& text);
    void live(const std::string& text);  // not on a terminal: every tenth call, so that logs stay short
    bool terminal() const { return terminal_; }
    void end_live();  // the live line stays as it is, later talk starts on a new one

private:
    bool quiet_, terminal_, open_ = false;
    int calls_ = 0;
    std::string held_back_;  // the last live line that was not printed
};

// A result as one line on standard output.
void print_json(const nlohmann::ordered_json& j);
bool json_printed();  // there is one already: an error behind it stays on stderr

bool utf8_locale();
bool colour_allowed(int fd);

}  // namespace solobox
