#include "train/session/overfit.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "data/image/image.h"
#include "data/text.h"
#include "nn/checkpoint.h"
#include "train/config/setup.h"
#include "train/doctor/monitor.h"
#include "train/session/clock.h"
#include "train/step/parameter_groups.h"
#include "train/step/trainer.h"
#include "train/tasks/kinds.h"

namespace solobox {
inline namespace SOLOBOX_PRECISION {
namespace {

constexpr std::int64_t check_every = 10;
constexpr std::int64_t cycle = 300;  // steps from one warm restart of the learning rate to the next

// What an evaluation in between or at the end says.
struct Look {
    Learned learned;
    std::vector<double> each;
    std::vector<Prediction> predictions;
};

struct History {  // the curves that the report draws
    std::vector<double> step, loss, lr, check_step, score, worst, check_loss;
};

// The whole job's state: what several steps of it share.
struct Job {
    const OverfitData& data;
    const Config& config;
    const RunDirectory& run;
    const OverfitOptions& options;
    std::unique_ptr<Task> task = make_task(config);
    Batch all;  // every picture, as the network sees it
    Tensor images;
    std::unique_ptr<Model> model;
    std::vector<Blind> blind;
    OverfitRules rules;
    std::vector<std::size_t> which;  // of the step's batch

    Job(const OverfitData& d, const Config& c, const RunDirectory& r, const OverfitOptions& o);
    const PictureStore& store() const { return *data.split.train; }
    std::size_t count() const { return all.count(); }
    void talk(const std::string& line, bool live = false) const {
        if (options.talk) options.talk(line, live);
    }
    Look look(Model& net) const;
    Answers answers(Model& net, const std::vector<std::size_t>& some, const RandomKey& dropout = {}) const;
    std::vector<Labels> labels(const std::vector<std::size_t>& some) const;
    std::vector<std::size_t> members(std::int64_t step) const;
    OverfitWords words(const Learned& l) const { return task->overfit_words(l, blind); }
};

std::vector<std::size_t> first(std::size_t n) {
    std::vector<std::size_t> some(n);
    std::iota(some.begin(), some.end(), std::size_t{0});
    return some;
}

Job::Job(const OverfitData& d, const Config& c, const RunDirectory& r, const OverfitOptions& o)
    : data(d), config(c), run(r), options(o) {
    const Recipe recipe = task->recipe(false, 0);
    all.size = recipe.size;
    for (std::size_t i = 0; i < d.pictures.size(); ++i) {
        Frame frame = solobox::look(d.pictures[i], store().labels(i), recipe);
        all.images.insert(all.images.end(), frame.pixels.values.begin(), frame.pixels.values.end());
        all.labels.push_back(std::move(frame.labels));
        all.which.push_back(i);
    }
    images = images_of(all, 0, count());
    task->check_plan({count(), static_cast<std::size_t>(c.integer("batch")), 0, {recipe.size}}, 1);
    model = task->make_model(d.split);
    blind = task->blind(d.split, store());
    rules = task->overfit_rules(d.split, blind);
}

Answers Job::answers(Model& net, const std::vector<std::size_t>& some, const RandomKey& dropout) const {
    if (some.size() == count() && std::is_sorted(some.begin(), some.end())) return net.answers(Var(images), dropout);
    const auto length = static_cast<std::int64_t>(all.length());
    Tensor x(images.shape().with(0, std::ssize(some)));
    for (std::size_t i = 0; i < some.size(); ++i)
        std::copy_n(images.data() + static_cast<std::int64_t>(some[i]) * length, length,
                    x.mutable_data() + static_cast<std::int64_t>(i) * length);
    return net.answers(Var(x), dropout);
}

std::vector<Labels> Job::labels(const std::vector<std::size_t>& some) const {
    std::vector<Labels> out;
    for (const std::size_t i : some) out.push_back(all.labels[i]);
    return out;
}

// A fresh order every epoch, a function of (seed, epoch); the last, smaller batch counts too.
std::vector<std::size_t> Job::members(std::int64_t step) const {
    const BatchPlan plan{count(),
                         static_cast<std::size_t>(config.integer("batch")),
                         static_cast<std::uint64_t>(config.integer("seed")),
                         {all.size}};
    if (plan.per_epoch() == 1 && !rules.shuffle_whole) return first(count());
    return plan.members(step / plan.per_epoch(), step % plan.per_epoch());
}

Look Job::look(Model& net) const {
    const NoGrad quiet;
    set_training(net, false);
    const auto meter = task->meter(data.split, blind, "");
    Look out;
    constexpr std::size_t chunk = 16;
    for (std::size_t from = 0; from < count(); from += chunk) {
        std::vector<std::size_t> some(std::min(chunk, count() - from));
        std::iota(some.begin(), some.end(), from);
        const Answers said = answers(net, some);
        const std::vector<Labels> truth = labels(some);
        if (rules.needs_loss)
            out.learned.loss += static_cast<double>(some.size()) / static_cast<double>(count()) *
                                task->answer_loss(task->objective(said, truth).loss);
        std::vector<Reading> read = task->read(said);
        for (std::size_t i = 0; i < some.size(); ++i) {
            meter->add(read.front().pictures.at(i), truth[i]);
            out.predictions.push_back(std::move(read.front().pictures[i]));
        }
    }
    set_training(net, true);
    const Measured measured = meter->result();
    out.learned.score = measured.score;
    out.learned.worst = *std::min_element(measured.each.begin(), measured.each.end());
    out.each = measured.each;
    return out;
}

class Tables {
public:
    Tables(const Job& job, const Objective& sample)
        : job_(job),
          results_(job.run.file("results.csv"), header(sample)),
          layers_(job.run.file("layers.csv"), layer_columns()),
          steps_(job.run.file("steps.csv"), {"step", "loss", "grad_norm", "lr"}) {}

    void step(const StepReport& s) {
        steps_.row({std::to_string(s.step), number_text(s.loss), number_text(s.grad_norm), number_text(s.lr)});
    }
    void result(double seconds, const StepReport& s, const Learned& l) {
        std::vector<std::string> cells{std::to_string(s.step), fmt::format("{:.3f}", seconds), number_text(s.loss)};
        for (const std::size_t k : written_) cells.push_back(number_text(s.terms.at(k).second));
        for (const auto& [name, v] : job_.task->overfit_columns(l, job_.blind)) cells.push_back(number_text(v));
        cells.push_back(number_text(s.lr));
        results_.row(cells);
    }
    void flows(const std::vector<ParameterFlow>& flows) {
        for (const auto& f : flows) layers_.row(layer_row(f));
    }

private:
    // The terms of the loss, and of what is watched beside them what the task wants to see.
    std::vector<std::string> header(const Objective& sample) {
        std::vector<std::string> names{"step", "time", "train/loss"};
        const auto write = [&](std::size_t place, const std::string& name) {
            written_.push_back(place);
            names.push_back("train/" + name);
        };
        const std::size_t terms = sample.loss.terms.size();
        for (std::size_t k = 0; k < terms; ++k) write(k, sample.loss.terms[k].name);
        const auto& wanted = job_.rules.watched;
        for (std::size_t k = 0; k < sample.watched.size(); ++k)
            if (std::find(wanted.begin(), wanted.end(), sample.watched[k].first) != wanted.end())
                write(terms + k, sample.watched[k].first);
        for (const auto& [name, v] : job_.task->overfit_columns({}, job_.blind)) names.push_back(name);
        names.emplace_back("lr");
        return names;
    }
    const Job& job_;
    std::vector<std::size_t> written_;  // places among a step's terms
    CsvFile results_, layers_, steps_;
};

// A cycle has brought enough to earn another.
bool worth_going_on(const OverfitRules& rules, const Learned& now, double before) {
    return rules.fall > 0 ? now.loss <= rules.fall * before : now.score >= before + rules.gain;
}

doctor::Facts known_facts(const Job& job) {
    doctor::Facts known;
    known.set("clip", job.config.number("clip"));
    known.set("kind", job.task->info().kind);
    const auto classes = job.task->class_names(job.data.split);
    if (classes.empty()) return known;
    known.set("classes", static_cast<double>(classes.size()));
    if (const TaskKeys& keys = task_of(job.config); keys.tell) {
        doctor::Facts told;
        keys.tell(job.config, told);
        for (const char* name : {"aux_heads", "aux_weight"})
            if (const double* v = told.number(name)) known.set(name, *v);
    }
    return known;
}

// The steps themselves. Returns what was measured on the way.
Measurements train(Job& job, OverfitResult& result, History& h) {
    const auto params = parameters_of(*job.model);
    const auto optimizer = make_optimizer(job.config, params, job.model->heads(), job.task->groups());
    FlowRecorder flow(params);
    const std::int64_t cycle_steps = std::min(job.options.steps, cycle);
    double before = job.rules.start;  // of the last cycle
    std::int64_t step = 0;
    TrainerConfig how{make_schedule(job.config, cycle_steps), job.config.number("clip")};
    how.check_finite = job.config.flag("check_finite");
    how.sometimes = job.model->sometimes();
    how.batch_names = [&] {
        std::string names;
        for (const std::size_t i : job.which) names += (names.empty() ? "" : ", ") + job.store().name(i);
        return names;
    };
    Trainer trainer(params, *optimizer, how);
    const auto loss = [&]() -> Objective {
        const RandomKey key{static_cast<std::uint64_t>(job.config.integer("seed")), Stream::dropout,
                            static_cast<std::uint32_t>(step)};
        return job.task->objective(job.answers(*job.model, job.which, key), job.labels(job.which));
    };
    job.which = job.members(0);
    Tables tables(job, [&] {
        const NoGrad quiet;
        set_training(*job.model, false);  // a look that leaves no trace in running statistics
        const Objective sample = loss();
        set_training(*job.model, true);
        return sample;
    }());
    doctor::Monitor watch(known_facts(job), job.config.text("thresholds"),
                          doctor::tell(job.run, [&](const std::string& line) { job.talk(line); }));
    const Stopwatch clock;
    Measurements m;
    for (; step < job.options.steps; ++step) {
        if (job.options.stop_signal && (result.stopped_by = job.options.stop_signal->load()) != 0) break;
        job.which = job.members(step);
        const bool check = (step + 1) % check_every == 0 || step + 1 == job.options.steps;
        const bool watched = step < 3 || check || job.config.flag("trace");
        const StepReport s = watch.guarded([&] { return trainer.step(loss, watched ? &flow : nullptr); });
        m.largest_lr = std::max(m.largest_lr, s.lr);
        m.losses.push_back(s.loss);
        tables.step(s);
        watch.step({static_cast<double>(s.step), s.loss, s.grad_norm, s.lr, NAN});
        const auto number = static_cast<double>(s.step);
        h.step.push_back(number), h.loss.push_back(s.loss), h.lr.push_back(s.lr);
        if (watched) tables.flows(flow.flows());
        if (!check) continue;
        watch.look();
        const Learned now = job.look(*job.model).learned;
        h.check_step.push_back(number), h.score.push_back(now.score), h.worst.push_back(now.worst),
            h.check_loss.push_back(now.loss);
        tables.result(clock.seconds(), s, now);
        job.talk(fmt::format("step {:>4}/{}  loss {:.4f}  {}  lr {:.2e}  {:.0f} img/s", s.step, job.options.steps,
                             s.loss, job.words(now).progress, s.lr,
                             number * static_cast<double>(job.which.size()) / std::max(clock.seconds(), 1e-9)),
                 true);
        if (job.rules.enough.reached(now) && s.step >= 3) break;
        if (s.step % cycle_steps != 0) continue;
        if (!worth_going_on(job.rules, now, before) && s.step < job.options.steps) {
            Learned last = now;
            (job.rules.fall > 0 ? last.loss : last.score) = before;
            job.talk(fmt::format("stopping: {} steps brought nothing ({}, {} before)", cycle_steps,
                                 job.words(now).measure, job.words(last).measure));
            break;
        }
        before = job.rules.fall > 0 ? now.loss : now.score;
    }
    result.steps = trainer.steps_done();
    result.seconds = clock.seconds();
    m.flows = flow.flows();
    watch.finish();
    for (const doctor::Verdict& v : watch.said()) result.findings.push_back(doctor::finding_of(v));
    return m;
}

Report make_report(const Job& job, const OverfitResult& r, const History& h, const Measurements& m, const Look& last) {
    const TaskInfo info = job.task->info();
    Report report;
    report.title = fmt::format("overfit: {} pictures, {}", job.count(), job.config.text("model"));
    if (const auto classes = job.task->class_names(job.data.split); !classes.empty())
        report.title = fmt::format("overfit: {} pictures of {} classes, {}", job.count(), classes.size(),
                                   job.config.text("model"));
    report.verdict = r.stopped_by ? "" : r.pass ? "pass" : "fail";
    report.verdict_text = r.verdict_text;
    report.summary = r.words.summary;
    report.summary.insert(report.summary.end(), {{"steps", std::to_string(r.steps)},
                                                 {"seconds", fmt::format("{:.1f}", r.seconds)},
                                                 {"parameters", fmt::format("{}", r.parameters)},
                                                 {"data", job.data.split.source}});
    ReportPlot loss{"Loss",
                    "step",
                    {{"training step", h.step, h.loss, true}},
                    "The same pictures in every step: should fall towards 0."};
    if (job.rules.needs_loss) loss.curves.push_back({"evaluation mode", h.check_step, h.check_loss, true});
    report.plots.push_back(std::move(loss));
    const std::vector<double> ends =
        h.check_step.empty() ? std::vector<double>{} : std::vector<double>{h.check_step.front(), h.check_step.back()};
    const auto level = [&](double v) { return std::vector<double>(ends.size(), v); };
    ReportPlot score{
        fmt::format("{}{} on the same pictures, evaluation mode", info.title, info.percent() ? ", %," : ""),
        "step",
        {{"mean " + info.title, h.check_step, h.score, false}},
        "A network that looks at no picture stays at the line of the best answer that never looks."};
    if (!info.percent()) score.curves.push_back({"smallest " + info.title, h.check_step, h.worst, false});
    if (!r.blind.empty()) score.curves.push_back({r.blind.back().title, ends, level(r.blind.back().score), false});
    score.curves.push_back({"pass", ends, level(std::min(job.rules.pass.score, info.full)), false});
    report.plots.push_back(std::move(score));
    report.plots.push_back({"Learning rate", "step", {{"lr", h.step, h.lr, false}}, ""});
    for (std::size_t i = 0; i < job.count(); ++i) {
        ReportPicture p = job.task->show(last.predictions[i], job.all.labels[i], job.data.split);
        p.name = job.store().name(i);
        p.image = job.data.pictures[i];
        p.score = last.each[i];
        report.pictures.push_back(std::move(p));
    }
    add_flow_layers(report, m.flows);
    report.findings = r.findings;
    for (const auto& [key, value] : job.config.all()) report.config.push_back({key, value.value, value.origin});
    report.environment = environment_facts();
    return report;
}

void judge(const Job& job, OverfitResult& r, const Measurements& m) {
    const bool learned = job.rules.pass.reached(r.learned);
    r.all_moved = everything_moved(m.flows, job.model->sometimes());
    r.pass = learned && r.all_moved && r.stopped_by == 0;
    if (r.pass) {
        r.verdict_text = fmt::format(
            "Learned: in evaluation mode, from the reloaded checkpoint, {}; every tensor had a gradient and moved "
            "within the first 3 steps.",
            r.words.learned);
        return;
    }
    if (r.stopped_by) {
        r.verdict_text = fmt::format("Interrupted after {} steps, {}.", r.steps, r.words.short_of);
        return;
    }
    const std::vector<ReportFinding> causes = diagnose(m);  // before what was seen on the way
    r.findings.insert(r.findings.begin(), causes.begin(), causes.end());
    r.verdict_text =
        learned ? "The pictures were learned, but some tensor had no gradient or did not move in the first 3 steps."
                : fmt::format("Not learned: {}.", r.words.missing);
    if (!r.findings.empty()) r.verdict_text += " " + r.findings.front().message;
}

void save(Job& job, std::int64_t steps) {
    SafetensorsFile file;
    save_state(*job.model, file);
    file.metadata = {{"format", "solobox"}, {"step", std::to_string(steps)}, {"seed", job.config.at("seed").value}};
    write_safetensors(job.run.last_weights(), file);
}

// What the diagnosis reads of the network as it was saved.
void examine(const Job& job, Model& net, Measurements& m) {
    set_training(net, false);
    const auto some = first(std::min<std::size_t>(job.count(), 16));
    m.activations = measure_activations([&] { (void)job.answers(net, some); });
    const NoGrad quiet;
    const auto more = first(std::min<std::size_t>(job.count(), 64));
    const Answers said = job.answers(net, more);
    if (const auto signal = job.task->signal(said, job.labels(more))) m.outputs = *signal;
}

}  // namespace

double OverfitResult::blind_score(const std::string& name) const {
    for (const Blind& b : blind)
        if (b.name == name) return b.score;
    return NAN;
}

OverfitResult overfit(const OverfitData& data, const Config& config, const RunDirectory& run,
                      const OverfitOptions& options) {
    OverfitResult result;
    Job job(data, config, run, options);
    write_task_info(run, job.task->info());
    result.blind = job.blind;
    result.parameters = count_parameters(*job.model);
    if (options.patch) options.patch(*job.model);
    History history;
    Measurements m = train(job, result, history);
    result.loss_first = m.losses.empty() ? 0 : m.losses.front();
    result.loss_last = m.losses.empty() ? 0 : m.losses.back();
    save(job, result.steps);

    // The verdict is about what was saved: a fresh model that has only the file.
    const auto reloaded = job.task->make_model(data.split);
    if (options.patch) options.patch(*reloaded);
    load_state(*reloaded, read_safetensors(run.last_weights()), run.last_weights());
    const Look last = job.look(*reloaded);
    result.learned = last.learned;
    result.words = job.words(last.learned);
    m.scores = result.words.scores;
    examine(job, *reloaded, m);
    judge(job, result, m);
    // An interrupted run has no verdict.
    if (!result.stopped_by)
        run.event({{"event", "facts"},
                   {"overfit_verdict", result.pass ? "pass" : "fail"},
                   {"overfit_reason", result.verdict_text},
                   {"overfit_cure", result.findings.empty() ? "" : result.findings.front().cure}});
    result.report = make_report(job, result, history, m, last);
    run.write_text("report.html", render_report(result.report));
    auto worst_first = result.report.pictures;
    std::stable_sort(worst_first.begin(), worst_first.end(),
                     [](const auto& a, const auto& b) { return a.score < b.score; });
    write_png(run.file("pictures.png"), draw_pictures(worst_first, 4, 224));
    return result;
}

}  // namespace SOLOBOX_PRECISION
}  // namespace solobox
