#include "train/run/diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "nn/safetensors.h"
#include "tensor/check.h"
#include "train/run/run.h"
#include "train/run/table.h"

namespace solobox {
namespace {

using Row = std::vector<std::string>;

void compare_steps(const Table& a, const Table& b, RunDiff& diff) {
    diff.steps_a = a.rows.empty() ? 0 : a.step(a.rows.back());
    diff.steps_b = b.rows.empty() ? 0 : b.step(b.rows.back());
    for (std::size_t i = 0; i < std::min(a.rows.size(), b.rows.size()); ++i)
        for (const char* name : {"step", "lr", "loss", "grad_norm"})
            if (a.rows[i][a.column(name)] != b.rows[i][b.column(name)]) {
                diff.first_step = a.step(a.rows[i]);
                diff.column = name;
                return;
            }
}

// Gradients come before the weights that they change.
void compare_layers(const Table& a, const Table& b, RunDiff& diff) {
    using Key = std::pair<std::int64_t, std::string>;
    std::map<Key, const Row*> there;
    for (const Row& row : b.rows) there[{b.step(row), row[b.column("name")]}] = &row;
    for (const auto& [column, word] : {std::pair{"grad_bits", "gradient"}, std::pair{"weight_bits", "weight"}}) {
        const std::size_t in_a = a.column(column), in_b = b.column(column);
        std::int64_t step = 0, count = 0;
        std::string first;
        for (const Row& row : a.rows) {
            const std::int64_t at = a.step(row);
            if (step && at > step) break;
            const auto other = there.find({at, row[a.column("name")]});
            if (other == there.end() || (*other->second)[in_b] == row[in_a]) continue;
            if (!count++) first = row[a.column("name")];
            step = at;
        }
        if (step && (!diff.tensor_step || step < diff.tensor_step)) {
            diff.tensor_step = step;
            diff.tensor = first;
            diff.part = word;
            diff.tensors = count;
        }
    }
    if (diff.tensor_step && (!diff.first_step || diff.tensor_step < diff.first_step)) {
        diff.first_step = diff.tensor_step;
        diff.column = "";
    }
}

double largest_difference(const RawTensor& a, const RawTensor& b) {
    double off = 0;
    if (a.dtype != "F32" || b.dtype != "F32" || a.shape != b.shape) return std::nan("");
    for (std::size_t at = 0; at + 4 <= a.bytes.size(); at += 4) {
        float x, y;
        std::memcpy(&x, a.bytes.data() + at, 4);
        std::memcpy(&y, b.bytes.data() + at, 4);
        off = std::max(off, std::abs(static_cast<double>(x) - static_cast<double>(y)));
    }
    return off;
}

void compare_weights(const std::string& a, const std::string& b, RunDiff& diff) {
    const auto one = read_safetensors(a), two = read_safetensors(b);
    for (const auto& [name, tensor] : one.tensors) {
        const auto other = two.tensors.find(name);
        if (other != two.tensors.end() && other->second.shape == tensor.shape && other->second.bytes == tensor.bytes)
            continue;
        diff.weights = name;
        diff.weights_off = other == two.tensors.end() ? std::nan("") : largest_difference(tensor, other->second);
        return;
    }
    for (const auto& [name, tensor] : two.tensors)
        if (!one.tensors.contains(name)) {
            diff.weights = name;
            diff.weights_off = std::nan("");
            return;
        }
}

}  // namespace

RunDiff diff_runs(const std::string& a, const std::string& b) {
    RunDiff diff;
    const auto one = read_settings(a + "/args.yaml"), two = read_settings(b + "/args.yaml");
    for (const auto& [key, value] : one) {
        const auto other = two.find(key);
        const std::string there = other == two.end() ? "not there" : other->second;
        if (value != there) diff.settings.push_back(fmt::format("{}: {} | {}", key, value, there));
    }
    for (const auto& [key, value] : two)
        if (!one.contains(key)) diff.settings.push_back(fmt::format("{}: not there | {}", key, value));
    compare_steps(Table(a + "/steps.csv"), Table(b + "/steps.csv"), diff);
    compare_layers(Table(a + "/layers.csv"), Table(b + "/layers.csv"), diff);
    compare_weights(a + "/weights/last.safetensors", b + "/weights/last.safetensors", diff);
    return diff;
}

std::vector<std::string> describe(const RunDiff& d) {
    std::vector<std::string> lines;
    for (const auto& s : d.settings) lines.push_back("setting " + s);
    if (d.equal()) {
        lines.push_back(fmt::format("equal to the bit: {} steps and the last weights", d.steps_a));
        return lines;
    }
    if (d.first_step) {
        lines.push_back(fmt::format("first difference: step {}{}", d.first_step,
                                    d.column.empty() ? "" : fmt::format(", column {} of steps.csv", d.column)));
        if (d.tensor_step)
            lines.push_back(fmt::format("first tensor: {} of '{}' at step {}; {} tensor{} differ{} there", d.part,
                                        d.tensor, d.tensor_step, d.tensors, d.tensors == 1 ? "" : "s",
                                        d.tensors == 1 ? "s" : ""));
        if (d.tensor_step != d.first_step)
            lines.push_back(fmt::format("tensors were not recorded at step {}: run both with trace=true to see which",
                                        d.first_step));
    } else if (d.steps_a != d.steps_b) {
        lines.push_back(fmt::format("equal as far as both go: {} | {} steps", d.steps_a, d.steps_b));
    }
    if (!d.weights.empty())
        lines.push_back(fmt::format(
            "last weights: '{}' differs{}", d.weights,
            std::isnan(d.weights_off) ? " in shape or is missing" : fmt::format(" by up to {:g}", d.weights_off)));
    return lines;
}

}  // namespace solobox
