// Looks over a foreign XML text before any parser sees it. Accepts the plain part of XML that annotation tools write
// and refuses the rest: DOCTYPE, entities other than the five predefined ones, deep nesting, two roots, broken UTF-8.
#pragma once

#include <string>

namespace solobox {

// Returns the text as UTF-8 without a byte-order mark (ISO-8859-1 is converted when the declaration says so).
// DataError names `file`, the line and what is wrong; also when the root element is not `root`.
std::string guard_xml(std::string text, const std::string& file, const std::string& root);

}  // namespace solobox
