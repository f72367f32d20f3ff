// Small data sets of many layouts, and what the lint says of them: shared by the tests of data/sets.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "data/sets/lint.h"
#include "data/text.h"
#include "tests/support/fixtures.h"

namespace solobox::fixtures {

inline std::vector<std::uint8_t> picture(int i) { return encode_png(ramp(40 + i, 30)); }

inline std::string voc_of(const std::string& name, const std::string& thing = "cat") {
    return "<annotation><filename>" + name + "</filename><object><name>" + thing +
           "</name><bndbox><xmin>2</xmin><ymin>3</ymin><xmax>20</xmax><ymax>25</ymax></bndbox></object></annotation>";
}

inline constexpr const char* a_box = "0 0.5 0.5 0.4 0.4\n";

inline std::vector<std::string> names_of(const std::vector<Sample>& samples) {
    std::vector<std::string> out;
    for (const Sample& s : samples) out.push_back(base_name(s.path));
    return out;
}

inline std::int64_t findings_of(const LintReport& r, const std::string& kind, const std::string& words, bool error) {
    return std::count_if(r.findings.begin(), r.findings.end(), [&](const Finding& f) {
        return f.kind == kind && f.error == error && (f.message + " " + f.place).find(words) != std::string::npos;
    });
}

using Names = std::vector<std::string>;

}  // namespace solobox::fixtures
