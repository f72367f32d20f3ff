// The verbs of the command line. Each adds its options to the parser and returns what to run.
#pragma once

#include <CLI/CLI.hpp>
#include <atomic>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "tensor/check.h"

namespace solobox {

using Verb = std::function<ExitCode()>;

// What every verb sees: the words that started the program.
struct CommandLine {
    std::vector<std::string> words;
};

Verb add_overfit(CLI::App& app, const CommandLine& line);
Verb add_train(CLI::App& app, const CommandLine& line);
Verb add_resume(CLI::App& app);
Verb add_extend(CLI::App& app);
Verb add_branch(CLI::App& app, const CommandLine& line);
Verb add_val(CLI::App& app);
Verb add_predict(CLI::App& app);
Verb add_experiment(CLI::App& app);
Verb add_compare(CLI::App& app);
Verb add_report(CLI::App& app);
Verb add_lr_find(CLI::App& app);
Verb add_iou_lab(CLI::App& app);
Verb add_doctor(CLI::App& app);
Verb add_completion(CLI::App& app, CLI::App& root);
Verb add_model(CLI::App& app);
Verb add_gradcheck(CLI::App& app);
Verb add_diff(CLI::App& app);
Verb add_info(CLI::App& app);
Verb add_config(CLI::App& app);
Verb add_bench(CLI::App& app);
Verb add_data(CLI::App& app);
Verb add_check(CLI::App& app);

// --threads, shared by the verbs that compute.
void add_threads_option(CLI::App& app, int& threads);
void use_threads(int threads);  // 0: the default

// An option whose value may not be the empty text, which scripts pass by mistake.
CLI::Validator not_empty();

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

bool utf8_locale();
bool colour_allowed(int fd);

}  // namespace solobox
