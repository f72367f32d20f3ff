#include "train/run/causes.h"

#include <algorithm>
#include <cmath>

#include "tensor/check.h"

namespace solobox {

const std::vector<Cause>& causes() {
    static const std::vector<Cause> table{
        {"rate-too-high", "D78", 1, "a lower rate (lr0 / 10 or less), a warmup (warmup_steps=200), clip=5"},
        {"rate-too-small", "D79", 0.1,
         "raise lr0 tenfold and more (`solobox lr-find` shows how far), or allow more steps"},
        {"detached", "D31", 0, "look for a detach, a value copied out of the graph, or a frozen trunk at that place"},
        {"clamped", "D06", 0.05,
         "give the loss unclamped outputs (clamp_before_loss=false), squash them (decode=sigmoid), clamp for metrics "
         "only"},
        {"vanishing-gradient", "D36", 1e-7, "clip=5, a lower rate, norm=group"},
        {"still-learning", "D57", 0, "allow more steps (--steps, epochs), or raise lr0"},
    };
    return table;
}

const Cause& cause(const std::string& id) {
    for (const Cause& c : causes())
        if (c.id == id) return c;
    throw Error("no cause " + id);
}

std::string Cause::sentence() const {
    std::string text = cure;
    if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
    return text + ".";
}

std::string StepSizes::when() const {
    return from == to ? fmt::format("in step {:g}", to) : fmt::format("between steps {:g} and {:g}", from, to);
}

StepSizes step_sizes(const std::vector<UpdateRatios>& tensors) {
    constexpr double threefold = 2;  // a growth that no learning needs within some dozen steps
    StepSizes out;
    std::vector<double> paths;
    for (const UpdateRatios& t : tensors) {
        double path = 0;
        for (std::size_t i = 0; i < t.step.size(); ++i) {
            if (!std::isfinite(t.ratio[i])) continue;
            // Between two samples steps are as large as their mean; the first sample stands for its own step.
            const double before = i > 0 && std::isfinite(t.ratio[i - 1]) ? t.ratio[i - 1] : t.ratio[i];
            path += i == 0 ? t.ratio[i] : (t.step[i] - t.step[i - 1]) * (before + t.ratio[i]) / 2;
            if (t.ratio[i] > out.largest) out.largest = t.ratio[i], out.from = out.to = t.step[i], out.where = t.name;
            // What happened between the samples shows in the norm: it grew by at least so much.
            const double grew = i > 0 && t.norm[i - 1] > 0 ? t.norm[i] / t.norm[i - 1] - 1 : 0;
            if (grew > out.largest && grew > threefold)
                out.largest = grew, out.from = t.step[i - 1], out.to = t.step[i], out.where = t.name;
        }
        paths.push_back(path);
    }
    if (paths.empty()) return out;
    std::sort(paths.begin(), paths.end());
    out.moved = paths[paths.size() / 2];
    out.known = true;
    return out;
}

}  // namespace solobox
