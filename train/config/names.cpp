#include "train/config/names.h"

#include <algorithm>

namespace solobox {
namespace {

// Changes of a letter from a to b, two neighbours exchanged being one of them; capitals do not count.
std::size_t edit_distance(const std::string& a, const std::string& b) {
    const auto low = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    const auto same = [&](std::size_t i, std::size_t j) { return low(a[i]) == low(b[j]); };
    std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
    for (std::size_t i = 0; i <= a.size(); ++i)
        for (std::size_t j = 0; j <= b.size(); ++j) {
            if (i == 0 || j == 0) {
                d[i][j] = i + j;
                continue;
            }
            d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (same(i - 1, j - 1) ? 0U : 1U)});
            if (i > 1 && j > 1 && same(i - 1, j - 2) && same(i - 2, j - 1))
                d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[a.size()][b.size()];
}

}  // namespace

std::string did_you_mean(const std::string& name, const std::vector<std::string>& valid) {
    // One letter at least is right.
    std::size_t best = std::min(std::max<std::size_t>(2, name.size() / 3) + 1, name.size());
    std::string nearest;
    for (const auto& candidate : valid) {
        const std::size_t d = edit_distance(name, candidate);
        const bool prefix = name.size() >= 3 && candidate.starts_with(name);
        if (d < best || (prefix && best > 1)) {
            best = prefix ? 1 : d;
            nearest = candidate;
        }
    }
    return nearest.empty() ? "" : ": did you mean '" + nearest + "'?";
}

}  // namespace solobox
