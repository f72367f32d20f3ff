#include "train/step/training_schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tensor/check.h"

namespace solobox {
namespace {

std::string schedule_name(const Config& c) {
    const std::string& name = c.text("schedule");
    if (c.is_default("cos_lr")) return name;
    const std::string wanted = c.flag("cos_lr") ? "cosine" : "linear";
    if (!c.is_default("schedule") && name != wanted)
        throw ConfigError(fmt::format("cos_lr={} ({}) asks for schedule={}, but schedule={} ({}): set one of them",
                                      c.at("cos_lr").value, c.at("cos_lr").origin, wanted, name,
                                      c.at("schedule").origin));
    return wanted;
}

// A key that somebody set and that the schedule never looks at is an error, not a surprise. A file takes back what its
// base set by giving the default.
void refuse_ignored(const Config& c, const std::string& name) {
    static const std::vector<std::pair<const char*, std::vector<std::string>>> used = {
        {"step_size", {"step"}},
        {"milestones", {"multistep"}},
        {"gamma", {"step", "multistep", "exponential"}},
        {"plateau_factor", {"plateau"}},
        {"plateau_patience", {"plateau"}},
        {"min_lr", {"plateau"}},
        {"pct_start", {"onecycle"}},
        {"div_factor", {"onecycle"}},
        {"final_div_factor", {"onecycle"}},
        {"cycle_momentum", {"onecycle"}},
        {"base_momentum", {"onecycle"}},
        {"max_momentum", {"onecycle"}},
        {"schedule_epochs", {"cosine", "linear", "step", "multistep", "exponential", "onecycle"}},
        {"lrf", {"cosine", "linear"}},
        {"lr0", {"cosine", "constant", "linear", "step", "multistep", "exponential", "onecycle", "plateau"}},
    };
    for (const auto& [key, schedules] : used)
        if (!c.is_default(key) && c.at(key).value != config_key(key).default_value &&
            std::find(schedules.begin(), schedules.end(), name) == schedules.end())
            throw ConfigError(fmt::format("{}={} ({}) would be ignored: schedule={} does not use it", key,
                                          c.at(key).value, c.at(key).origin, name));
}

}  // namespace

Schedule make_training_schedule(const Config& c, const schedule::Calendar& steps) {
    const std::string name = schedule_name(c);
    refuse_ignored(c, name);
    const bool in_epochs = c.number("warmup_epochs") > 0;
    if (in_epochs && c.at("warmup_steps").origin != "default" && c.at("warmup_steps").origin != "train default")
        throw ConfigError("warmup_steps and warmup_epochs are both set: keep one of them");
    const std::int64_t length = c.integer("schedule_epochs"),
                       total = steps.before(length ? length : c.integer("epochs"));
    const std::int64_t asked = in_epochs ? std::llround(c.number("warmup_epochs") * static_cast<double>(steps.in(0)))
                                         : c.integer("warmup_steps");
    const std::int64_t warmup = std::min(asked, total);
    const double base = c.number("lr0"), gamma = c.number("gamma");
    // A schedule of its own length keeps its last value beyond it.
    const std::int64_t end = length ? total - 1 : std::numeric_limits<std::int64_t>::max();
    const auto epoch = [steps, end](std::int64_t t) { return steps.epoch_of(std::min(t, end)); };
    // Behind the warm-up, time counts from its end where the schedule falls steadily, and in whole epochs where it
    // falls in steps.
    std::function<double(std::int64_t)> after;
    if (name == "cosine") {
        const schedule::WarmupCosine s{base, base * c.number("lrf"), warmup, total, schedule::Warmup::ramp, 0};
        return {[s](std::int64_t t) { return schedule::warmup_cosine(s, std::min(t, s.total)); }, {}};
    }
    if (name == "staircase") {
        const auto epochs = static_cast<std::int64_t>(std::ceil(c.number("warmup_epochs")));
        return {[=](std::int64_t t) { return schedule::staircase(epochs, epoch(t)); }, {}};
    }
    if (name == "onecycle") {
        schedule::OneCycle s;
        s.max_lr = base, s.total = total, s.pct_start = c.number("pct_start");
        s.div_factor = c.number("div_factor"), s.final_div_factor = c.number("final_div_factor");
        Schedule cycle{[s](std::int64_t t) { return schedule::one_cycle_lr(s, std::min(t, s.total - 1)); }, {}};
        if (!c.flag("cycle_momentum")) return cycle;
        if (!c.is_default("momentum"))
            throw ConfigError(
                fmt::format("momentum={} ({}) would be ignored: schedule=onecycle moves it from max_momentum to "
                            "base_momentum and back; or set cycle_momentum=false",
                            c.at("momentum").value, c.at("momentum").origin));
        s.base_momentum = c.number("base_momentum"), s.max_momentum = c.number("max_momentum");
        if (s.base_momentum > s.max_momentum)
            throw ConfigError(
                fmt::format("base_momentum={} is above max_momentum={}", s.base_momentum, s.max_momentum));
        cycle.momentum = [s](std::int64_t t) { return schedule::one_cycle_momentum(s, std::min(t, s.total - 1)); };
        return cycle;
    }
    if (name == "linear") {
        const double share = c.number("lrf");
        const std::int64_t span = std::max<std::int64_t>(total - warmup, 1);
        after = [=](std::int64_t t) { return schedule::linear_lr(base, 1, share, span, std::min(t - warmup, span)); };
    } else if (name == "step") {
        const std::int64_t size = c.integer("step_size");
        after = [=](std::int64_t t) { return schedule::step_lr(base, size, gamma, epoch(t)); };
    } else if (name == "multistep") {
        const auto milestones = parse_list("milestones", c.text("milestones"));
        if (milestones.empty()) throw ConfigError("schedule=multistep needs milestones, for instance milestones=30,60");
        after = [=](std::int64_t t) { return schedule::multistep_lr(base, milestones, gamma, epoch(t)); };
    } else if (name == "exponential") {
        after = [=](std::int64_t t) { return schedule::exponential_lr(base, gamma, epoch(t)); };
    } else {
        after = [base](std::int64_t) { return base; };
    }
    Schedule s;
    s.rate = [=](std::int64_t t) {
        return t < warmup ? base * static_cast<double>(t + 1) / static_cast<double>(warmup) : after(t);
    };
    s.plateau.factor = c.number("plateau_factor");
    s.plateau.patience = c.integer("plateau_patience");
    s.plateau.min_lr = {0};  // of the factor; the rate itself stops at min_lr
    return s;
}

}  // namespace solobox
