// solobox completion: a script that makes the shell complete commands, options and configuration keys. Made from the
// parser itself, so it knows what the program knows.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "apps/apps.h"
#include "data/text.h"
#include "train/config/config.h"

namespace solobox {
namespace {

struct Completion {
    std::string path;  // "data check"; "" for the program
    std::vector<std::string> words;
    bool keys = false;  // takes key=value words
};

void collect(const Command& at, const std::string& path, std::vector<Completion>& out) {
    Completion c{path, {}, at.takes("words")};
    for (const Command& sub : at.commands()) c.words.push_back(sub.name());
    for (const std::string& name : at.option_names()) c.words.push_back(name);
    out.push_back(c);
    for (const Command& sub : at.commands()) collect(sub, path.empty() ? sub.name() : path + " " + sub.name(), out);
}

std::string keys() {
    std::string text;
    for (const ConfigKey& k : config_schema()) text += (text.empty() ? "" : " ") + k.name + "=";
    return text;
}

// Values by key, where there are few to choose from: "loss" -> "box ciou diou ..".
std::string values_of(const ConfigKey& k) {
    if (k.type == KeyType::flag) return "true false";
    if (k.type != KeyType::choice) return k.name == "data" ? "synthetic" : "";
    return fmt::format("{}", fmt::join(k.choices, " "));
}

std::string value_cases() {
    std::string cases;
    for (const ConfigKey& k : config_schema()) {
        std::vector<std::string> names = k.aliases;
        names.insert(names.begin(), k.name);
        if (const std::string values = values_of(k); !values.empty())
            cases += fmt::format("            {}) words='{}' ;;\n", fmt::join(names, "|"), values);
    }
    return cases;
}

// Longest command path first, so that `data check` wins over `data`.
std::string bash(const std::vector<Completion>& commands) {
    std::string cases;
    for (const Completion& c : commands)
        cases +=
            fmt::format("        '{}') words='{}{}' ;;\n", c.path, fmt::join(c.words, " "), c.keys ? " " + keys() : "");
    return "_solobox() {\n"
           "    local current=${COMP_WORDS[COMP_CWORD]} path='' words='' i\n"
           "    for ((i = 1; i < COMP_CWORD; ++i)); do\n"
           "        case \"${path:+$path }${COMP_WORDS[i]}\" in\n            " +
           [&] {
               std::string known;
               for (const Completion& c : commands)
                   if (!c.path.empty()) known += (known.empty() ? "'" : " | '") + c.path + "'";
               return known;
           }() +
           ") path=\"${path:+$path }${COMP_WORDS[i]}\" ;;\n"
           "        esac\n"
           "    done\n"
           "    case \"$path\" in\n" +
           cases +
           "    esac\n"
           // Bash takes key=value apart at its '=', zsh does not.
           "    local key='' before='' at=$COMP_CWORD\n"
           "    if [[ $current == *=* && $current != = ]]; then\n"
           "        key=${current%%=*} before=$key= current=${current#*=}\n"
           "    elif [[ $current == = && $at -ge 2 ]]; then key=${COMP_WORDS[at-1]} current=''\n"
           "    elif [[ $at -ge 3 && ${COMP_WORDS[at-1]} == = ]]; then key=${COMP_WORDS[at-2]}\n"
           "    fi\n"
           "    if [[ -n $key ]]; then\n"
           "        words=''\n"
           "        case \"$key\" in\n" +
           value_cases() +
           "        esac\n"
           "        COMPREPLY=($(compgen -P \"$before\" -W \"$words\" -- \"$current\"))\n"
           "        [[ -z $words || $key == data ]] && COMPREPLY+=($(compgen -P \"$before\" -f -- \"$current\"))\n"
           "        return\n"
           "    fi\n"
           "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\") $(compgen -f -- \"$current\"))\n"
           "    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace +o filenames\n"
           "}\n"
           "complete -o filenames -F _solobox solobox\n";
}

std::string fish(const std::vector<Completion>& commands) {
    std::string text = "complete -c solobox -f\n", assignments;
    for (const ConfigKey& k : config_schema()) {
        const std::string values = values_of(k);
        for (const std::string_view value : split_blanks(values)) assignments += fmt::format(" {}={}", k.name, value);
    }
    for (const Completion& c : commands) {
        const std::string when =
            c.path.empty() ? "__fish_use_subcommand"
                           : fmt::format("__fish_seen_subcommand_from {}", c.path.substr(c.path.rfind(' ') + 1));
        for (const std::string& w : c.words)
            text += w.starts_with("--") ? fmt::format("complete -c solobox -n '{}' -l {} -F\n", when, w.substr(2))
                                        : fmt::format("complete -c solobox -n '{}' -a {}\n", when, w);
        if (c.keys) text += fmt::format("complete -c solobox -n '{}' -F -a '{}{}'\n", when, keys(), assignments);
    }
    return text;
}

}  // namespace

Verb add_completion(Command app, Command root) {
    auto shell = std::make_shared<std::string>();
    app.option("shell", *shell, "bash | zsh | fish").required().one_of({"bash", "zsh", "fish"});
    return [shell, root] {
        std::vector<Completion> commands;
        collect(root, "", commands);
        const std::string text = *shell == "fish" ? fish(commands) : bash(commands);
        // zsh reads bash's completions.
        fmt::print(
            "{}{}",
            *shell == "zsh" ? "autoload -U +X bashcompinit && bashcompinit\nautoload -U +X compinit && compinit\n" : "",
            text);
        return ExitCode::done;
    };
}

}  // namespace solobox
