// solobox help: the help of a command; of all of them as the manual page, made from the same texts.
#include <fmt/format.h>

#include <algorithm>

#include "apps/apps.h"
#include "train/config/names.h"

namespace solobox {
namespace {

// Text for troff: no control line, hyphens that can be copied, backslashes as they are.
std::string troff(const std::string& text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool first = i == 0 || text[i - 1] == '\n';
        if (first && (text[i] == '.' || text[i] == '\'')) out += "\\&";
        out += text[i] == '-' ? "\\-" : text[i] == '\\' ? "\\e" : std::string(1, text[i]);
    }
    return out;
}

void describe(const Command& at, const std::string& path, std::string& out) {
    std::string call = "solobox " + path;
    for (const Command::Entry& e : at.entries())
        if (!e.name.starts_with('-')) call += e.required ? " " + e.name : " [" + e.name + "]";
    out += fmt::format(".SS {}\n.B {}\n.br\n{}\n", troff(path), troff(call), troff(at.meaning() + "."));
    for (const Command::Entry& e : at.entries())
        if (e.name != "-h,--help")
            out += fmt::format(".TP\n.BR {}{}\n{}\n", troff(e.name),
                               e.value.empty() ? "" : fmt::format(" \" \" {}", troff("\"" + e.value + "\"")),
                               troff(e.meaning));
    if (!at.footer().empty()) out += fmt::format(".PP\n{}\n", troff(at.footer()));
    for (const Command& sub : at.commands()) describe(sub, path + " " + sub.name(), out);
}

std::string manual(const Command& root) {
    std::string out = fmt::format(
        ".TH SOLOBOX 1 \"\" \"solobox {}\" \"User Commands\"\n.SH NAME\nsolobox \\- {}\n.SH SYNOPSIS\n"
        ".B solobox\n.I COMMAND\n[words and options]\n.SH DESCRIPTION\n{}\n.SH COMMANDS\n",
        SOLOBOX_VERSION, troff("a deep-learning engine for the CPU that says why a network does not learn"),
        troff("Overfits pictures and gives a verdict, trains single-box regressors and residual networks, says why a "
              "network does not learn, and settles claims with experiments."));
    for (const Command& sub : root.commands()) describe(sub, sub.name(), out);
    return out + fmt::format(
                     ".SH CONFIGURATION\nWords of the form key=value set configuration keys; \n.B solobox config "
                     "\\-\\-schema\n"
                     "lists them all. The environment sets a key as SOLOBOX_CFG_KEY.\n.SH EXIT STATUS\n{}\n.SH "
                     "FILES\n.TP\nruns/\n"
                     "runs of train and overfit, each with its settings, tables, weights and report\n",
                     troff(root.footer()));
}

}  // namespace

Verb add_help(Command app, Command root) {
    auto words = std::make_shared<std::vector<std::string>>();
    auto man = std::make_shared<bool>(false);
    app.option("command", *words, "whose help: train, or data check");
    app.flag("--man", *man, "all of it, as a manual page (troff)");
    return [words, man, root] {
        if (*man) {
            fmt::print("{}", manual(root));
            return ExitCode::done;
        }
        Command at = root;
        for (const std::string& word : *words) {
            std::vector<std::string> names;
            const std::vector<Command> commands = at.commands();
            for (const Command& c : commands) names.push_back(c.name());
            const auto found = std::find(names.begin(), names.end(), word);
            if (found == names.end())
                throw ConfigError(fmt::format("unknown command '{}'{}", word, did_you_mean(word, names)));
            at = commands[static_cast<std::size_t>(found - names.begin())];
        }
        fmt::print("{}", at.help());
        return ExitCode::done;
    };
}

}  // namespace solobox
