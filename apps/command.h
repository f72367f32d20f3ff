// The command line as a verb declares it: options, flags and commands below commands, by name. CLI11 stands behind it,
// in command.cpp and solobox.cpp alone: its headers cost every source that sees them ten seconds.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace solobox {

// What may be said of an option; each returns it, so that they chain.
class Option {
public:
    explicit Option(CLI::Option* option) : option_(option) {}
    Option& required();
    Option& within(std::int64_t low, std::int64_t high);  // a whole number, ends included
    Option& between(double low, double high);             // a number, ends included
    Option& one_of(const std::vector<std::string>& values);
    Option& not_empty();                         // the empty text, which scripts pass by mistake, is refused
    Option& not_blank(const std::string& what);  // the same, where `what` is expected
    Option& delimiter(char between_values);
    Option& one_value();  // each time it is given

private:
    CLI::Option* option_;
};

class Command {
public:
    explicit Command(CLI::App* app) : app_(app) {}

    // `name` without a dash is a positional argument. The variable must outlive the parsing.
    Option option(const std::string& name, std::string& to, const std::string& meaning);
    Option option(const std::string& name, int& to, const std::string& meaning);
    Option option(const std::string& name, std::int64_t& to, const std::string& meaning);
    Option option(const std::string& name, std::uint64_t& to, const std::string& meaning);
    Option option(const std::string& name, double& to, const std::string& meaning);
    Option option(const std::string& name, std::vector<std::string>& to, const std::string& meaning);
    void flag(const std::string& name, bool& to, const std::string& meaning);

    void example(const std::string& lines);  // at the end of its help
    Command command(const std::string& name, const std::string& meaning);
    void needs_command();  // nothing to do without one of them
    bool given() const;    // on this command line

    // For whoever lists what there is (completion, help, the manual page).
    struct Entry {
        std::string name, value, meaning;  // "--seed", "INT", ..; of a positional argument "words", "TEXT ..."
        bool required = false;
    };
    std::string name() const;
    std::string meaning() const;
    std::string footer() const;  // its example; of the program, the exit codes
    std::string help() const;
    std::vector<Entry> entries() const;
    std::vector<Command> commands() const;
    std::vector<std::string> option_names() const;  // the long ones, with dashes
    bool takes(const std::string& positional) const;

private:
    CLI::App* app_;
};

}  // namespace solobox
