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
#include <nlohmann/json.hpp>

#include "apps/apps.h"
#include "train/config/file.h"
#include "train/config/names.h"

namespace solobox {
namespace {

// On stderr for people; where --json was asked for, on standard output too, unless a result stands there already.
int fail(const CommandLine& line, const std::string& message, ExitCode code) {
    fmt::print(stderr, "{}: {}\n", program_invocation_short_name, message);
    const auto& words = line.words;
    if (std::find(words.begin(), words.end(), "--json") != words.end() && !json_printed())
        print_json({{"error", message}, {"exit_code", static_cast<int>(code)}});
    return static_cast<int>(code);
}

// What people write for a key=value word: --lr, --epochs.
std::string as_a_key(const std::string& option, const std::vector<std::string>& names, bool takes_words) {
    if (option == "--epochs" && std::find(names.begin(), names.end(), "--steps") != names.end())
        return ": did you mean '--steps'?";
    if (takes_words) try {
            return fmt::format(": did you mean '{}=VALUE'?", config_key(option.substr(2)).name);
        } catch (const ConfigError&) {
        }
    return did_you_mean(option, names);
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
                return fmt::format("unknown option '{}'{}", word, as_a_key(word, names, Command(at).takes("words")));
        } else if (!word.starts_with("-") && !at->get_subcommands({}).empty()) {
            for (CLI::App* sub : at->get_subcommands({})) names.push_back(sub->get_name());
            if (std::find(names.begin(), names.end(), word) == names.end())
                return fmt::format("unknown command '{}'{}", word, did_you_mean(word, names));
            at = at->get_subcommand(word);
        }
    }
    return "";
}

// The innermost command of this command line, as it is called: "solobox data check".
std::pair<CLI::App*, std::string> innermost(CLI::App& app) {
    std::pair<CLI::App*, std::string> at{&app, program_invocation_short_name};
    for (auto subs = app.get_subcommands(); !subs.empty(); subs = at.first->get_subcommands())
        at = {subs.front(), at.second + " " + subs.front()->get_name()};
    return at;
}

// "expected words: CONFIG.yaml and key=value words"; "" where nothing is missing.
std::string missing_argument(const CLI::App& at) {
    for (const CLI::Option* o : at.get_options())
        if (o->get_required() && o->empty())
            return fmt::format("expected {}: {}", o->get_positional() ? o->get_name(true) : o->get_name(),
                               o->get_description());
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
int print_and_exit(CLI::App& app, const CommandLine& line, const CLI::Success& e) {
    const int code = app.exit(e);
    std::cout.flush();
    if (!std::cout) return fail(line, "the text could not be written to standard output", ExitCode::internal);
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
    const auto add = [&](const char* name, const char* text, const char* example, auto make) {
        CLI::App* sub = app.add_subcommand(name, text);
        Command(sub).example(example);
        verbs.emplace_back(sub, make(Command(sub)));
    };
    add("overfit", "train on N pictures until they are learned; verdict, exit 0 or 4",
        "solobox overfit --data photos -n 8", [&](Command s) { return add_overfit(s, line); });
    add("train", "a run: epochs of training and validation, resumable, with a report",
        "solobox train data=photos epochs=40 head_bias=prior", [&](Command s) { return add_train(s, line); });
    add("resume", "go on with a run that was stopped, as if nothing had happened", "solobox resume runs/train/photos",
        add_resume);
    add("extend", "more epochs for a run", "solobox extend runs/train/photos --epochs 80", add_extend);
    add("branch", "a new run from another one's best weights, with other settings",
        "solobox branch runs/train/photos lr0=1e-4", [&](Command s) { return add_branch(s, line); });
    add("val", "a run's IoU on its validation pictures, beside boxes that never look",
        "solobox val runs/train/photos --out worst.png", add_val);
    add("predict", "boxes drawn on pictures", "solobox predict runs/train/photos new/*.jpg --out boxes", add_predict);
    add("doctor", "why it does not learn: a configuration, a run, or a log of any program",
        "solobox doctor runs/train/photos; solobox doctor --log results.csv", add_doctor);
    add("experiment", "arms x seeds, resumable: a table with confidence intervals",
        "solobox experiment experiments/iou-losses.yaml --jobs 2", add_experiment);
    add("compare", "runs side by side: table and page",
        "solobox compare runs/train/photos runs/train/photos-branch --out compare.html", add_compare);
    add("report", "draw a run's page again", "solobox report runs/train/photos", add_report);
    add("lr-find", "loss against learning rate, from tiny to too large", "solobox lr-find data=photos", add_lr_find);
    add("iou-lab", "what box losses do to a box: gradient fields and a race, as one page", "solobox iou-lab",
        add_iou_lab);
    add("completion", "a script that completes commands in your shell",
        "solobox completion bash > ~/.local/share/bash-completion/completions/solobox",
        [&](Command s) { return add_completion(s, Command(&app)); });
    add("check", "one file of any kind: what it is, what it means, whether it can be used",
        "solobox check best.safetensors", add_check);
    add("data", "look at data sets and write new ones: check, show, convert, synth", "solobox data check photos",
        add_data);
    add("model", "tables of layers; weights and graphs for other tools", "solobox model show resnet18", add_model);
    add("gradcheck", "backward against central differences, in double", "solobox gradcheck", add_gradcheck);
    add("step", "one training step of a tiny network in numbers, for a lesson", "solobox step --lr 0.1", add_step);
    add("diff", "the first step and tensor in which two runs differ, exit 0 or 4",
        "solobox diff runs/train/a runs/train/b", add_diff);
    add("config", "the configuration keys", "solobox config --schema", add_config);
    add("bench", "seconds per training step, page faults, memory", "solobox bench", add_bench);
    add("info", "CPU, kernels, BLAS, threads", "solobox info", add_info);
    add("help", "the help of a command, or of all of them as a manual page", "solobox help train",
        [&](Command s) { return add_help(s, Command(&app)); });
    try {
        std::vector<std::string> words = with_current_names(line.words);
        std::reverse(words.begin(), words.end());  // as CLI11 takes them,
        words.pop_back();                          // without the program
        app.parse(std::move(words));
        for (auto& [sub, run] : verbs)
            if (sub->parsed()) {
                const auto code = run();
                if (std::fflush(stdout) != 0)
                    return fail(line, "the result could not be written to standard output", ExitCode::internal);
                return static_cast<int>(code);
            }
    } catch (const CLI::Success& e) {  // --help, --version
        return print_and_exit(app, line, e);
    } catch (const CLI::ParseError& e) {
        const auto [at, called] = innermost(app);
        std::string what = unknown_word(app, line.words);
        if (what.empty() && dynamic_cast<const CLI::RequiredError*>(&e)) what = missing_argument(*at);
        return fail(line, fmt::format("{}\nRun `{} --help`.", what.empty() ? e.what() : what, called), ExitCode::usage);
    } catch (const Error& e) {
        return fail(line, e.what(), e.code());
    } catch (const std::bad_alloc&) {
        return fail(line, "out of memory: use a smaller image, batch or model", ExitCode::internal);
    } catch (const std::exception& e) {
        return fail(line, e.what(), ExitCode::internal);
    }
    return static_cast<int>(ExitCode::usage);
}

}  // namespace solobox
