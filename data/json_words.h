// What a JSON parser's complaint means for whoever wrote the file.
#pragma once

#include <string>

namespace solobox {

// what: of nlohmann's exception; token: the last that it read, "" when it is not known. One phrase, fit for a message.
std::string explain_json(const std::string& what, const std::string& token);

}  // namespace solobox
