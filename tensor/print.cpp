#include "tensor/print.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <ostream>
#include <vector>

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

constexpr std::int64_t all_up_to = 1000;  // elements
constexpr std::int64_t from_each_end = 3;

template <class T>
std::string number(T value) {
    if constexpr (std::is_floating_point_v<T>)
        return fmt::format("{:.4g}", value);
    else
        return fmt::format("{}", +value);
}

// The places of an axis that are shown; -1 stands for what is left out.
std::vector<std::int64_t> places(std::int64_t length, bool whole) {
    std::vector<std::int64_t> at;
    for (std::int64_t i = 0; i < length; ++i)
        if (whole || length <= 2 * from_each_end || i < from_each_end || i >= length - from_each_end)
            at.push_back(i);
        else if (at.back() >= 0)
            at.push_back(-1);
    return at;
}

template <class T>
struct Printer {
    const Array<T>& x;
    bool whole;
    std::size_t width = 0;
    std::string out = {};

    void axis(int depth, std::int64_t offset) {
        if (depth == x.rank()) {
            out += fmt::format("{:>{}}", number(x[offset]), width);
            return;
        }
        std::int64_t stride = 1;
        for (int d = depth + 1; d < x.rank(); ++d) stride *= x.dim(d);
        const bool last = depth + 1 == x.rank();
        out += "[";
        bool first = true;
        for (const std::int64_t i : places(x.dim(depth), whole)) {
            if (!first) {
                out += last ? ", " : ",\n" + std::string(depth + 2 < x.rank() ? 1 : 0, '\n');
                if (!last) out += std::string(static_cast<std::size_t>(depth) + 1, ' ');
            }
            first = false;
            if (i < 0)
                out += "...";
            else
                axis(depth + 1, offset + i * stride);
        }
        out += "]";
    }

    void measure(int depth, std::int64_t offset) {
        if (depth == x.rank()) {
            width = std::max(width, number(x[offset]).size());
            return;
        }
        std::int64_t stride = 1;
        for (int d = depth + 1; d < x.rank(); ++d) stride *= x.dim(d);
        for (const std::int64_t i : places(x.dim(depth), whole))
            if (i >= 0) measure(depth + 1, offset + i * stride);
    }
};

template <class T>
std::string text_of(const Array<T>& x) {
    if (!x.defined()) return "(undefined)";
    std::string shape;
    for (int d = 0; d < x.rank(); ++d) shape += fmt::format("{}{}", d ? ", " : "", x.dim(d));
    Printer<T> p{x, x.numel() <= all_up_to};
    p.measure(0, 0);
    p.axis(0, 0);
    return fmt::format("({}{})\n{}", shape, x.rank() == 1 ? "," : "", p.out);
}

}  // namespace

std::string to_text(const Tensor& x) { return text_of(x); }
std::string to_text(const IndexTensor& x) { return text_of(x); }
std::string to_text(const MaskTensor& x) { return text_of(x); }

std::ostream& operator<<(std::ostream& out, const Tensor& x) { return out << to_text(x); }
std::ostream& operator<<(std::ostream& out, const IndexTensor& x) { return out << to_text(x); }
std::ostream& operator<<(std::ostream& out, const MaskTensor& x) { return out << to_text(x); }
std::ostream& operator<<(std::ostream& out, const Var& x) { return out << x.value(); }

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
