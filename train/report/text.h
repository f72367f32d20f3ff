// Text for the report: escaping and numbers. Whatever comes in, what goes out can stand in XML text and attributes.
#pragma once

#include <string>
#include <string_view>

namespace solobox::report_text {

// Well-formed UTF-8 with & < > " ' as entities. Bytes that are not UTF-8, control characters and the invisible ones
// that turn the reading direction become U+FFFD; tab and line breaks become spaces.
std::string escape(std::string_view text);

// "0.0123", "1.5e-7", "NaN", "inf": up to `digits` significant digits, the same in every locale.
std::string number(double value, int digits = 4);
// Two decimals for people, "–" when not finite.
std::string iou(double value);

}  // namespace solobox::report_text
