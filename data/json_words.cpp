#include "data/json_words.h"

#include "data/text.h"

namespace solobox {

std::string explain_json(const std::string& what, const std::string& token) {
    const auto says = [&](const char* part) { return what.find(part) != std::string::npos; };
    const char last = token.empty() ? '\0' : token.back();
    const bool literal = says("invalid literal");
    if (says("number overflow")) return fmt::format("the number {} of a bbox is out of range", printable(token));
    if (says("unexpected end of input")) return "unexpected end of the file: it is cut, copy it again";
    if (says("expected end of input")) return "text after the end of the document";
    if (literal && (last == '/' || last == '#')) return "a comment, which JSON does not have";
    if (literal && last == '\'') return "a single quote: texts stand in double quotes";
    if (literal && (last == '+' || last == '.')) return "a number may not begin with + or a point";
    if (literal && (last == 'x' || last == 'X')) return "a hexadecimal number: write it as a decimal number";
    if (token.ends_with("N") || token.ends_with("I")) return "NaN and Infinity are not JSON: write finite numbers";
    if (literal && says("object key")) return "a key without quotes";
    if (last == ']' || last == '}') return "a comma (or nothing) where a value is expected";
    if (says("backslash") || says("'\\u'")) return "unknown escape in a text";
    const std::size_t from = what.find(" - "), to = what.find("; last read");
    return printable(from == std::string::npos ? what : what.substr(from + 3, to - from - 3), 120);
}

}  // namespace solobox
