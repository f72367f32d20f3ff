#include "apps/command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

namespace solobox {
Option& Option::required() { return option_->required(), *this; }
Option& Option::within(std::int64_t low, std::int64_t high) { return option_->check(CLI::Range(low, high)), *this; }
Option& Option::between(double low, double high) { return option_->check(CLI::Range(low, high)), *this; }
Option& Option::one_of(const std::vector<std::string>& values) { return option_->check(CLI::IsMember(values)), *this; }
Option& Option::not_empty() { return not_blank("a path"); }
Option& Option::not_blank(const std::string& what) {
    option_->check(CLI::Validator(
        [what](const std::string& text) {
            return text.empty() ? fmt::format("expected {}, found an empty text", what) : std::string();
        },
        "", "not blank"));
    return *this;
}
Option& Option::delimiter(char between_values) { return option_->delimiter(between_values), *this; }
Option& Option::one_value() { return option_->allow_extra_args(false), *this; }

Option Command::option(const std::string& name, std::string& to, const std::string& meaning) {
    return Option(app_->add_option(name, to, meaning));
}
Option Command::option(const std::string& name, int& to, const std::string& meaning) {
    return Option(app_->add_option(name, to, meaning));
}
Option Command::option(const std::string& name, std::int64_t& to, const std::string& meaning) {
    return Option(app_->add_option(name, to, meaning));
}
Option Command::option(const std::string& name, std::uint64_t& to, const std::string& meaning) {
    return Option(app_->add_option(name, to, meaning));
}
Option Command::option(const std::string& name, double& to, const std::string& meaning) {
    return Option(app_->add_option(name, to, meaning));
}
Option Command::option(const std::string& name, std::vector<std::string>& to, const std::string& meaning) {
    return Option(app_->add_option(name, to, meaning));
}
void Command::flag(const std::string& name, bool& to, const std::string& meaning) { app_->add_flag(name, to, meaning); }

void Command::example(const std::string& lines) { app_->footer("Example: " + lines); }

Command Command::command(const std::string& name, const std::string& meaning) {
    return Command(app_->add_subcommand(name, meaning));
}
void Command::needs_command() { app_->require_subcommand(1); }
bool Command::given() const { return app_->parsed(); }

std::string Command::name() const { return app_->get_name(); }
std::string Command::meaning() const { return app_->get_description(); }
std::string Command::footer() const { return app_->get_footer(); }
std::string Command::help() const {
    // Not App::help(): on a command line with a command that one shows the command's.
    std::string called = app_->get_name();
    for (CLI::App* above = app_->get_parent(); above; above = above->get_parent())
        called = above->get_name() + " " + called;
    return app_->get_formatter()->make_help(app_, called, CLI::AppFormatMode::Normal);
}
std::vector<Command::Entry> Command::entries() const {
    std::vector<Entry> all;
    for (const CLI::Option* o : app_->get_options()) {
        const bool many = o->get_expected_max() > 1;
        // "INT:INT in [1 - 4096]": the second says more.
        std::string value = o->get_type_size() == 0 ? "" : o->get_type_name();
        if (const std::size_t colon = value.find(':'); colon != std::string::npos && colon + 1 < value.size())
            value.erase(0, colon + 1);
        all.push_back({o->get_positional() ? o->get_name(true) : o->get_name(false, true), value + (many ? " ..." : ""),
                       o->get_description(), o->get_required()});
    }
    return all;
}
std::vector<Command> Command::commands() const {
    std::vector<Command> all;
    for (CLI::App* sub : app_->get_subcommands({})) all.emplace_back(sub);
    return all;
}
std::vector<std::string> Command::option_names() const {
    std::vector<std::string> names;
    for (const CLI::Option* o : app_->get_options())
        for (const auto& name : o->get_lnames()) names.push_back("--" + name);
    return names;
}
bool Command::takes(const std::string& positional) const {
    for (const CLI::Option* o : app_->get_options())
        if (o->get_positional() && o->get_name(true) == positional) return true;
    return false;
}

}  // namespace solobox
