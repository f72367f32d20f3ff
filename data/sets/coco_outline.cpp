// See coco_outline.h.
#include "data/sets/coco_outline.h"

#include <algorithm>
#include <cstdint>

namespace solobox {

void CocoOutline::value(int depth, const double* number, const std::string* text) {
    if (depth == 0 && part == "counts" && text != nullptr) packed = *text;
    if (depth != 1 || number == nullptr) return;
    if (part.empty())
        corner(*number);
    else if (part == "counts")
        runs.push_back(*number);
    else if (part == "size")
        size.push_back(*number);
}

void CocoOutline::corner(double v) {
    const bool is_x = numbers++ % 2 == 0;
    (is_x ? x1 : y1) = std::min(is_x ? x1 : y1, v);
    (is_x ? x2 : y2) = std::max(is_x ? x2 : y2, v);
}

// Five bits a letter, the sixth says that more follow; from the third run on the difference from two before.
void CocoOutline::unpack() {
    for (std::size_t i = 0; i < packed.size();) {
        std::int64_t value = 0;
        int shift = 0;
        bool more = true;
        while (more && i < packed.size() && shift < 60) {
            const int bits = packed[i++] - 48;
            value |= static_cast<std::int64_t>(bits & 0x1f) << shift;
            more = (bits & 0x20) != 0;
            shift += 5;
            if (!more && (bits & 0x10) != 0) value |= -(std::int64_t{1} << shift);
        }
        runs.push_back(static_cast<double>(value) + (runs.size() > 2 ? runs[runs.size() - 2] : 0));
    }
}

std::vector<double> CocoOutline::box() {
    if (runs.empty()) unpack();
    constexpr double most = 1e6;  // pixels a side
    if (size.size() == 2 && size[0] >= 1 && size[0] <= most && size[1] >= 1 && size[1] <= most && !runs.empty()) {
        const auto height = static_cast<std::int64_t>(size[0]);
        std::int64_t at = 0;
        for (std::size_t i = 0; i < runs.size(); ++i) {
            if (!(runs[i] >= 0 && runs[i] <= size[0] * size[1] - static_cast<double>(at))) return {};
            const std::int64_t end = at + static_cast<std::int64_t>(runs[i]);
            if (i % 2 == 1 && end > at) {
                const bool one = at / height == (end - 1) / height;  // within one column
                x1 = std::min(x1, static_cast<double>(at / height));
                x2 = std::max(x2, static_cast<double>((end - 1) / height + 1));
                y1 = std::min(y1, one ? static_cast<double>(at % height) : 0);
                y2 = std::max(y2, one ? static_cast<double>((end - 1) % height + 1) : size[0]);
            }
            at = end;
        }
    }
    if (!(x2 > x1 && y2 > y1)) return {};
    return {x1, y1, x2 - x1, y2 - y1};
}

}  // namespace solobox
