#include "apps/tool.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <new>

#include "apps/apps.h"
#include "train/config/file.h"
#include "train/config/names.h"

namespace solobox {
namespace {

int fail(const std::string& message, ExitCode code) {
    fmt::print(stderr, "solobox: {}\n", message);
    return static_cast<int>(code);
}

// The first word that no command or option is called, with the nearest that is; "" when all are known.
std::string unknown_word(CLI::App& app, const std::vector<std::string>& words) {
    CLI::App* at = &app;
    for (std::size_t i = 1; i < words.size(); ++i) {
        std::string word = words[i].substr(0, words[i].find('='));
        std::vector<std::string> names;
        if (words[i].starts_with("--") && word.size() > 2) {
            for (const CLI::Option* o : at->get_options())
                for (const auto& name : o->get_lnames()) names.push_back("--" + name);
            if (std::find(names.begin(), names.end(), word) == names.end())
                return fmt::format("unknown option '{}'{}", word, did_you_mean(word, names));
        } else if (!word.starts_with("-") && !at->get_subcommands({}).empty()) {
            for (CLI::App* sub : at->get_subcommands({})) names.push_back(sub->get_name());
            if (std::find(names.begin(), names.end(), word) == names.end())
                return fmt::format("unknown command '{}'{}", word, did_you_mean(word, names));
            at = at->get_subcommand(word);
        }
    }
    return "";
}

// The words, with files of experiments under their present names.
std::vector<std::string> with_current_names(const std::vector<std::string>& words) {
    std::vector<std::string> now;
    for (const std::string& word : words) {
        now.push_back(current_name(word));
        if (now.back() != word)
            fmt::print(stderr, "solobox: {} is called {} now; the old name works until further notice\n", word,
                       now.back());
    }
    return now;
}

// Help and version are results too: a full disk behind standard output is a failure.
int print_and_exit(CLI::App& app, const CLI::Success& e) {
    const int code = app.exit(e);
    std::cout.flush();
    if (!std::cout) return fail("the text could not be written to standard output", ExitCode::internal);
    return code;
}

}  // namespace

int tool(int argc, char** argv, std::vector<TaskKind> kinds) {
    for (TaskKind& kind : kinds) add_task_kind(std::move(kind));
    std::signal(SIGXFSZ, SIG_IGN);  // a file size limit is then an error of write(), with its reason
    CLI::App app{"solobox: a deep-learning engine for the CPU that says why a network does not learn",
                 program_invocation_short_name};
    app.require_subcommand(1);
    app.set_version_flag("--version", SOLOBOX_VERSION);
    app.footer(
        "Exit codes: 0 done, 1 internal or I/O failure, 2 usage, 3 data, 4 verdict not met, 5 diverged, 130/143 "
        "interrupted.");
    const CommandLine line{{argv, argv + argc}};
    std::vector<std::pair<CLI::App*, Verb>> verbs;
    const auto add = [&](const char* name, const char* text, auto make) {
        CLI::App* sub = app.add_subcommand(name, text);
        verbs.emplace_back(sub, make(Command(sub)));
    };
    add("overfit", "train on N pictures until they are learned; verdict, exit 0 or 4",
        [&](Command s) { return add_overfit(s, line); });
    add("train", "a run: epochs of training and validation, resumable, with a report",
        [&](Command s) { return add_train(s, line); });
    add("resume", "go on with a run that was stopped, as if nothing had happened", add_resume);
    add("extend", "more epochs for a run", add_extend);
    add("branch", "a new run from another one's best weights, with other settings",
        [&](Command s) { return add_branch(s, line); });
    add("val", "a run's IoU on its validation pictures, beside boxes that never look", add_val);
    add("predict", "boxes drawn on pictures", add_predict);
    add("doctor", "why it does not learn: a configuration, a run, or a log of any program", add_doctor);
    add("experiment", "arms x seeds, resumable: a table with confidence intervals", add_experiment);
    add("compare", "runs side by side: table and page", add_compare);
    add("report", "draw a run's page again", add_report);
    add("lr-find", "loss against learning rate, from tiny to too large", add_lr_find);
    add("iou-lab", "what box losses do to a box: gradient fields and a race, as one page", add_iou_lab);
    add("completion", "a script that completes commands in your shell",
        [&](Command s) { return add_completion(s, Command(&app)); });
    add("check", "one file of any kind: what it is, what it means, whether it can be used", add_check);
    add("data", "look at data sets and write new ones: check, show, convert, synth", add_data);
    add("model", "tables of layers; weights and graphs for other tools", add_model);
    add("gradcheck", "backward against central differences, in double", add_gradcheck);
    add("diff", "the first step and tensor in which two runs differ, exit 0 or 4", add_diff);
    add("config", "the configuration keys", add_config);
    add("bench", "seconds per training step, page faults, memory", add_bench);
    add("info", "CPU, kernels, BLAS, threads", add_info);
    try {
        std::vector<std::string> words = with_current_names(line.words);
        std::reverse(words.begin(), words.end());  // as CLI11 takes them,
        words.pop_back();                          // without the program
        app.parse(std::move(words));
        for (auto& [sub, run] : verbs)
            if (sub->parsed()) {
                const auto code = run();
                if (std::fflush(stdout) != 0)
                    return fail("the result could not be written to standard output", ExitCode::internal);
                return static_cast<int>(code);
            }
    } catch (const CLI::Success& e) {  // --help, --version
        return print_and_exit(app, e);
    } catch (const CLI::ParseError& e) {
        const std::string unknown = unknown_word(app, line.words);
        return fail(fmt::format("{0}\nRun `{1} --help` or `{1} COMMAND --help`.", unknown.empty() ? e.what() : unknown,
                                program_invocation_short_name),
                    ExitCode::usage);
    } catch (const Error& e) {
        return fail(e.what(), e.code());
    } catch (const std::bad_alloc&) {
        return fail("out of memory: use a smaller image, batch or model", ExitCode::internal);
    } catch (const std::exception& e) {
        return fail(e.what(), ExitCode::internal);
    }
    return static_cast<int>(ExitCode::usage);
}

}  // namespace solobox
