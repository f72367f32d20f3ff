// A library to preload: the program runs in the locale of its environment, as C and C++ see it, as if it had asked for
// it itself. Ends a program whose locale then does not write a decimal comma: a test would prove nothing. Every program
// leaves its name in the file FOREIGN_LOCALE_LOG.
#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <locale>

namespace {

[[gnu::constructor]] void switch_locale() {
    static const std::ios_base::Init streams;  // the standard streams may not be there yet
    const char* const set = std::setlocale(LC_ALL, "");
    bool comma = set && *std::localeconv()->decimal_point == ',';
    try {
        const std::locale here("");
        std::locale::global(here);
        for (std::ostream* out : {&std::cout, &std::cerr, &std::clog}) out->imbue(here);
        std::cin.imbue(here);
        comma = comma && std::use_facet<std::numpunct<char>>(here).decimal_point() == ',';
    } catch (const std::exception&) {
        comma = false;
    }
    if (!comma) {
        std::fputs("foreign_locale: the locale of the environment is missing, or has no decimal comma\n", stderr);
        std::_Exit(97);
    }
    if (const char* const log = std::getenv("FOREIGN_LOCALE_LOG"))
        if (std::FILE* const file = std::fopen(log, "a")) {
            std::fprintf(file, "%s\n", program_invocation_short_name);
            std::fclose(file);
        }
}

}  // namespace
