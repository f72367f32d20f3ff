#include "train/names.h"

#include <algorithm>

namespace solobox {
namespace {

// Changes of a letter from a to b; capitals do not count.
std::size_t edit_distance(const std::string& a, const std::string& b) {
    const auto low = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t above = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (low(a[i - 1]) == low(b[j - 1]) ? 0 : 1)});
            diagonal = above;
        }
    }
    return row[b.size()];
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
