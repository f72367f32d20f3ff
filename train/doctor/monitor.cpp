#include "train/doctor/monitor.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

namespace solobox::doctor {
namespace {

constexpr std::size_t most_steps = 4096;  // kept: more tell the rules nothing new
constexpr std::size_t look_every = 200;   // steps, within a long epoch

using Clock = std::chrono::steady_clock;

struct Timer {
    explicit Timer(double& sum) : sum_(sum) {}
    ~Timer() { sum_ += std::chrono::duration<double>(Clock::now() - start_).count(); }
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    double& sum_;
    Clock::time_point start_ = Clock::now();
};

}  // namespace

Monitor::Monitor(Facts known, const std::string& thresholds, Say say) : facts_(std::move(known)), say_(std::move(say)) {
    overrides_.add(thresholds);
    const std::pair<const char*, Series*> steps[] = {
        {"step", &step_}, {"step_loss", &loss_}, {"grad_norm", &norm_}, {"step_lr", &lr_}};
    for (const auto& [name, series] : steps)
        if (const Series* s = facts_.series(name)) *series = *s;
    planned_.assign(step_.size(), NAN);
    if (const Series* s = facts_.series("step_lr_planned"); s && s->size() == step_.size()) planned_ = *s;
    for (const FactInfo& f : fact_catalogue()) {
        if (f.kind != FactKind::series || f.name.ends_with('.')) continue;
        if (const Series* s = facts_.series(f.name);
            s && facts_.series("epoch") && s->size() == facts_.series("epoch")->size())
            epochs_[f.name] = *s;
    }
    for (const char* family : {"train_term.", "val_term."})
        for (const auto& [name, s] : facts_.family(family)) epochs_[family + name] = *s;
}

void Monitor::step(const Step& s) {
    const Timer timer(seconds_);
    if (step_.size() >= 2 * most_steps) {
        whole_ = false;
        for (Series* series : {&step_, &loss_, &norm_, &lr_, &planned_})
            series->erase(series->begin(), series->end() - most_steps);
    }
    step_.push_back(s.step), loss_.push_back(s.loss), norm_.push_back(s.grad_norm), lr_.push_back(s.lr);
    planned_.push_back(s.planned_lr);
    if (loss_.size() == first_losses && !facts_.has("loss_start")) facts_.set("loss_start", usual_start(loss_));
    if (++since_look_ >= look_every) look();
}

void Monitor::append(const std::string& fact, std::size_t row, double value) {
    Series& s = epochs_[fact];
    s.resize(row, NAN);
    s.push_back(value);
}

void Monitor::epoch(double epoch, const std::vector<std::pair<std::string, double>>& values) {
    const std::size_t row = epochs_["epoch"].size();
    append("epoch", row, epoch);
    append("rss_mb", row, resident_memory_mb());
    for (const auto& [fact, value] : values) append(fact, row, value);
    look();
}

void Monitor::look() {
    const Timer timer(seconds_);
    since_look_ = 0;
    facts_.set("step", step_), facts_.set("step_loss", loss_), facts_.set("grad_norm", norm_),
        facts_.set("step_lr", lr_);
    facts_.set("step_lr_planned", planned_);
    for (const auto& [name, series] : epochs_) facts_.set(name, series);
    for (Verdict& v : examine(facts_, "R", overrides_)) {
        if (v.severity < Severity::warn) continue;
        const auto known = std::find_if(said_.begin(), said_.end(), [&](const Verdict& s) { return s.id == v.id; });
        if (known != said_.end() && known->severity >= v.severity) continue;
        if (say_) say_(v);
        if (known == said_.end())
            said_.push_back(std::move(v));
        else
            *known = std::move(v);
    }
}

void Monitor::finish() {
    look();
    if (!whole_) return;
    const std::vector<Verdict> now = examine(facts_, "R", overrides_);
    std::erase_if(said_, [&](const Verdict& s) {
        const auto found = std::find_if(now.begin(), now.end(), [&](const Verdict& v) { return v.id == s.id; });
        if (found == now.end() || found->severity != Severity::pass) return false;
        Verdict withdrawn = *found;
        withdrawn.message = "no longer so at the end: withdrawn";
        if (say_) say_(withdrawn);
        return true;
    });
}

ReportFinding finding_of(const Verdict& v) { return {name_of(v.severity), v.id, v.message, v.fix}; }

Monitor::Say tell(const RunDirectory& run, std::function<void(const std::string&)> talk) {
    return [&run, talk = std::move(talk)](const Verdict& v) {
        if (v.severity == Severity::pass) {
            if (talk) talk(fmt::format("{}: {}", v.id, v.message));
            run.event({{"event", "withdrawn"}, {"id", v.id}});
            return;
        }
        if (talk) talk(fmt::format("{} {}: {}\n       try: {}", name_of(v.severity), v.id, v.message, v.fix));
        run.event({{"event", "finding"},
                   {"id", v.id},
                   {"severity", name_of(v.severity)},
                   {"message", v.message},
                   {"cure", v.fix},
                   {"live", true}});
    };
}

double resident_memory_mb() {
    std::ifstream in("/proc/self/statm");
    double pages = 0, resident = 0;
    if (!(in >> pages >> resident)) return NAN;
    return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1e6;
}

}  // namespace solobox::doctor
