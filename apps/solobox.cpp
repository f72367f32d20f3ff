// The command-line tool: finds the verb, runs it, turns errors into exit codes.
#include <fmt/core.h>

#include <cstdlib>
#include <exception>
#include <new>

#include "apps/apps.h"

namespace {

int fail(const std::string& message, solobox::ExitCode code) {
    fmt::print(stderr, "solobox: {}\n", message);
    return static_cast<int>(code);
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"solobox: a deep-learning engine for the CPU that says why a network does not learn", "solobox"};
    app.require_subcommand(1);
    app.set_version_flag("--version", SOLOBOX_VERSION);
    app.footer(
        "Exit codes: 0 done, 1 internal or I/O failure, 2 usage, 3 data, 4 verdict not met, 5 diverged, 130/143 "
        "interrupted.");
    const solobox::CommandLine line{{argv, argv + argc}};
    std::vector<std::pair<CLI::App*, solobox::Verb>> verbs;
    const auto add = [&](const char* name, const char* text, auto make) {
        CLI::App* sub = app.add_subcommand(name, text);
        verbs.emplace_back(sub, make(*sub));
    };
    add("overfit", "train on N pictures until they are learned; verdict, exit 0 or 4",
        [&](CLI::App& s) { return solobox::add_overfit(s, line); });
    add("model", "tables of layers, shapes, parameters, MACs", solobox::add_model);
    add("gradcheck", "backward against central differences, in double", solobox::add_gradcheck);
    add("config", "the configuration keys", solobox::add_config);
    add("bench", "seconds per training step, page faults, memory", solobox::add_bench);
    add("info", "CPU, kernels, BLAS, threads", solobox::add_info);
    try {
        app.parse(argc, argv);
        for (auto& [sub, run] : verbs)
            if (sub->parsed()) {
                const auto code = run();
                if (std::fflush(stdout) != 0)
                    return fail("the result could not be written to standard output", solobox::ExitCode::internal);
                return static_cast<int>(code);
            }
    } catch (const CLI::CallForHelp& e) {
        return app.exit(e);
    } catch (const CLI::CallForAllHelp& e) {
        return app.exit(e);
    } catch (const CLI::CallForVersion& e) {
        return app.exit(e);
    } catch (const CLI::ParseError& e) {
        return fail(fmt::format("{}\nRun `solobox --help` or `solobox COMMAND --help`.", e.what()),
                    solobox::ExitCode::usage);
    } catch (const solobox::Error& e) {
        return fail(e.what(), e.code());
    } catch (const std::bad_alloc&) {
        return fail("out of memory: use a smaller image, batch or model", solobox::ExitCode::internal);
    } catch (const std::exception& e) {
        return fail(e.what(), solobox::ExitCode::internal);
    }
    return static_cast<int>(solobox::ExitCode::usage);
}
